// How networks whose input is no image are told one: at each resolution as channels.
#pragma once
#include "genai/nn/modules.h"

namespace genai {

/// A 1x1 convolution of the grid, averaged to the size of some maps, is added to them. With the
/// convolution that follows it comes to a concatenation of channels.
struct GridInputImpl : torch::nn::Module {
  /// @param widths  channels of the maps that are told, in the order that forward counts them
  GridInputImpl(int64_t channels, const std::vector<int64_t>& widths);
  /// x [B, widths[place], h, w], grid [B, channels, H, W] -> [B, widths[place], h, w]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& grid, size_t place);

 private:
  torch::nn::ModuleList convolutions_{nullptr};
};
TORCH_MODULE(GridInput);

}  // namespace genai
