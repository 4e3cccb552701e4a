#include "genai/nn/caption_encoder.h"

#include <torch/nn/init.h>

#include <cmath>

namespace genai {
namespace nn = torch::nn;

WordBlockImpl::WordBlockImpl(int64_t width) {
  norm1_ = register_module("norm1", nn::LayerNorm(nn::LayerNormOptions({width})));
  query_key_value_ = register_module("query_key_value", nn::Linear(width, 3 * width));
  mix_ = register_module("mix", nn::Linear(width, width));
  norm2_ = register_module("norm2", nn::LayerNorm(nn::LayerNormOptions({width})));
  up_ = register_module("up", nn::Linear(width, 2 * width));
  down_ = register_module("down", nn::Linear(2 * width, width));
}

at::Tensor WordBlockImpl::forward(const at::Tensor& before, const at::Tensor& there) {
  const int64_t b = before.size(0), t = before.size(1), w = before.size(2);
  const auto qkv = query_key_value_->forward(norm1_->forward(before))
                       .view({b, t, 3, kHeads, w / kHeads})
                       .permute({2, 0, 3, 1, 4})
                       .unbind(0);  // [B, heads, T, width / heads] each
  // Captions are short: plain products, whose gradients are the same each time on every device.
  const double scale = 1 / std::sqrt(static_cast<double>(w / kHeads));
  const at::Tensor logits = qkv[0].matmul(qkv[1].transpose(2, 3)) * scale;
  // A number that all rows share where nothing is there: no row is without weights.
  const at::Tensor absent = there.logical_not().view({b, 1, 1, t});
  const at::Tensor mixed = logits.masked_fill(absent, -1e4).softmax(3).matmul(qkv[2]);
  const at::Tensor x = before + mix_->forward(mixed.transpose(1, 2).reshape({b, t, w}));
  return x + down_->forward(at::silu(up_->forward(norm2_->forward(x))));
}

CaptionEncoderImpl::CaptionEncoderImpl(int64_t vocabulary, int64_t length, int64_t width,
                                       int64_t out)
    : nothing_(vocabulary - 1) {
  constexpr int64_t kBlocks = 2;
  words_ = register_module("words", nn::Embedding(vocabulary, width));
  // As far apart as words are: "a red ring left of a star" is not "a star left of a red ring".
  places_ = register_parameter("places", at::empty({length, width}));
  nn::init::normal_(places_);
  blocks_ = register_module("blocks", nn::ModuleList());
  for (int64_t i = 0; i < kBlocks; ++i) blocks_->push_back(WordBlock(width));
  norm_ = register_module("norm", nn::LayerNorm(nn::LayerNormOptions({width})));
  out_ = register_module("out", nn::Linear(width, out));
}

EncodedCaption CaptionEncoderImpl::forward(const at::Tensor& ids) {
  const at::Tensor there = ids.ne(nothing_);  // [B, T]
  at::Tensor x = words_->forward(ids) + places_;
  for (const auto& block : *blocks_) x = block->as<WordBlock>()->forward(x, there);
  const at::Tensor kept = there.unsqueeze(2).to(x.dtype());
  x = norm_->forward(x) * kept;
  return {.whole = out_->forward(x.sum(1) / kept.sum(1).clamp_min(1)), .words = x};
}

}  // namespace genai
