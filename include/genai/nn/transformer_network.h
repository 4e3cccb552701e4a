// A decoder-only transformer over tokens, normalized before each part: A. Vaswani et al.,
// "Attention is all you need", 2017; A. Radford et al., "Language models are unsupervised multitask
// learners" (GPT-2), 2019, section 2.3. With what came since:
//   rotary positions      J. Su et al., "RoFormer", 2021, equation 34
//   RMS norm              B. Zhang, R. Sennrich, 2019, equation 4
//   SwiGLU                N. Shazeer, "GLU variants improve transformer", 2020, equation 6
//   ReLU^2                D. So et al., "Primer", 2021, section 4
//   normed queries, keys  M. Dehghani et al., "Scaling vision transformers to 22 billion", 2023
//   shared keys, values   J. Ainslie et al., "GQA", 2023
//   soft-capped logits    Gemma team, "Gemma 2", 2024, section 2
//   low-rank adapters     E. Hu et al., "LoRA", 2021, equation 3
#pragma once
#include "genai/core/language_shapes.h"
#include "genai/core/tensors.h"
#include "genai/nn/modules.h"

namespace genai {

/// Names of its parameters are those that make_decoder (decode/decoder.h) reads.
class TransformerNetworkImpl : public torch::nn::Module {
 public:
  /// Weights as in GPT-2: normal of deviation 0.02, of 0.02 / sqrt(2 layers) where a part ends in
  /// the residual stream; biases 0.
  /// @param lora_rank  > 0: every matrix W of the blocks becomes W + (16 / rank) B A, with A
  /// "lora_a"
  ///                   [rank, in] and B "lora_b" [out, rank], 0 at first; all else is held
  TransformerNetworkImpl(const TransformerShape& shape, double dropout, int64_t lora_rank = 0);

  /// Logits [B, T, V] of the token after each of `tokens`, int64 [B, T], T <= context.
  Tensor forward(const Tensor& tokens);

  const TransformerShape& shape() const { return shape_; }

 private:
  void initialize();
  Tensor embed(const Tensor& tokens);

  TransformerShape shape_;
  double dropout_;
  torch::nn::Embedding tokens_{nullptr}, positions_{nullptr}, bigrams_{nullptr};
  torch::nn::ModuleList blocks_{nullptr};
  std::shared_ptr<torch::nn::Module> norm_;
  torch::nn::Linear head_{nullptr};
  Tensor angles_;  // [2, T, head / 2]: cosine and sine of rotary positions
};
TORCH_MODULE(TransformerNetwork);

/// The weights of the same network without adapters; what has none is returned as it is.
Tensors merge_adapters(Tensors weights);

/// Cross-entropy [B, T] in nats of logits [B, T, V] and targets int64 [B, T]; 0 at kNoTarget.
Tensor token_losses(const Tensor& logits, const Tensor& target);

}  // namespace genai
