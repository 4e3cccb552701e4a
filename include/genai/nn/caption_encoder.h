// What a network is told in words, as one vector.
#pragma once

#include "genai/nn/modules.h"

namespace genai {

/// Words and their places, one block of a transformer among them (A. Vaswani et al., "Attention is
/// all you need", 2017), then their mean.
struct CaptionEncoderImpl : torch::nn::Module {
  /// @param vocabulary  ids; the last one is "no word"
  CaptionEncoderImpl(int64_t vocabulary, int64_t length, int64_t width, int64_t out);
  /// ids int64 [B, length] -> [B, out]; without any word the same vector whatever else.
  at::Tensor forward(const at::Tensor& ids);

 private:
  int64_t nothing_;
  torch::nn::Embedding words_{nullptr};
  at::Tensor places_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear query_key_value_{nullptr}, mix_{nullptr}, up_{nullptr}, down_{nullptr},
      out_{nullptr};
};
TORCH_MODULE(CaptionEncoder);

}  // namespace genai
