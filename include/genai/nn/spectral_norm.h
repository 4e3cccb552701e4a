// Weights divided by their largest singular value, so that a layer stretches no input by more than
// its length: T. Miyato et al., "Spectral normalization for generative adversarial networks", 2018,
// algorithm 1.
#pragma once
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

namespace genai {

struct SpectralNormImpl : torch::nn::Module {
  /// @param weight  [out, ...], as of the layer
  explicit SpectralNormImpl(const at::Tensor& weight);
  /// weight / sigma; sigma by one step of the power method in each forward pass of training, from a
  /// buffer that is checkpointed.
  at::Tensor forward(const at::Tensor& weight);

 private:
  at::Tensor u_;  // [out]
};
TORCH_MODULE(SpectralNorm);

}  // namespace genai
