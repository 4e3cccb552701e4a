// What a network is told in words: one vector, and one of each word.
#pragma once

#include "genai/nn/modules.h"

namespace genai {

struct EncodedCaption {
  at::Tensor whole;  ///< [B, out]; without any word the same vector whatever else
  at::Tensor words;  ///< [B, length, width]; zeros where there is none
};

/// Words that look at each other, then at themselves: x + attention(norm(x)), x + mlp(norm(x))
/// (A. Vaswani et al., "Attention is all you need", 2017, section 3.1).
struct WordBlockImpl : torch::nn::Module {
  explicit WordBlockImpl(int64_t width);  // a multiple of kHeads
  /// x [B, T, width]; there [B, T], bool: which words are there to be looked at
  at::Tensor forward(const at::Tensor& x, const at::Tensor& there);

 private:
  static constexpr int64_t kHeads = 4;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear query_key_value_{nullptr}, mix_{nullptr}, up_{nullptr}, down_{nullptr};
};
TORCH_MODULE(WordBlock);

/// Words and their places through two blocks and a last norm, and their mean.
struct CaptionEncoderImpl : torch::nn::Module {
  /// @param vocabulary  ids; the last one is "no word"
  CaptionEncoderImpl(int64_t vocabulary, int64_t length, int64_t width, int64_t out);
  EncodedCaption forward(const at::Tensor& ids);  // int64 [B, length]

 private:
  int64_t nothing_;
  torch::nn::Embedding words_{nullptr};
  at::Tensor places_;
  torch::nn::ModuleList blocks_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear out_{nullptr};
};
TORCH_MODULE(CaptionEncoder);

}  // namespace genai
