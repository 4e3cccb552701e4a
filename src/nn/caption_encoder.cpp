#include "genai/nn/caption_encoder.h"

#include <torch/nn/init.h>

#include <cmath>

namespace genai {
namespace nn = torch::nn;

CaptionEncoderImpl::CaptionEncoderImpl(int64_t vocabulary, int64_t length, int64_t width,
                                       int64_t out)
    : nothing_(vocabulary - 1) {
  words_ = register_module("words", nn::Embedding(vocabulary, width));
  places_ = register_parameter("places", at::empty({length, width}));
  nn::init::normal_(places_, 0, 0.1);
  norm1_ = register_module("norm1", nn::LayerNorm(nn::LayerNormOptions({width})));
  query_key_value_ = register_module("query_key_value", nn::Linear(width, 3 * width));
  mix_ = register_module("mix", nn::Linear(width, width));
  norm2_ = register_module("norm2", nn::LayerNorm(nn::LayerNormOptions({width})));
  up_ = register_module("up", nn::Linear(width, 2 * width));
  down_ = register_module("down", nn::Linear(2 * width, width));
  out_ = register_module("out", nn::Linear(width, out));
}

EncodedCaption CaptionEncoderImpl::forward(const at::Tensor& ids) {
  const at::Tensor there = ids.ne(nothing_);  // [B, T]
  at::Tensor x = words_->forward(ids) + places_;
  const auto qkv = query_key_value_->forward(norm1_->forward(x)).chunk(3, 2);
  // Captions are short: plain products, whose gradients are the same each time on every device.
  const double scale = 1 / std::sqrt(static_cast<double>(x.size(2)));
  const at::Tensor logits = qkv[0].matmul(qkv[1].transpose(1, 2)) * scale;
  // A number that all rows share where nothing is there: no row is without weights.
  const at::Tensor weights = logits.masked_fill(there.logical_not().unsqueeze(1), -1e4).softmax(2);
  x = x + mix_->forward(weights.matmul(qkv[2]));
  x = x + down_->forward(at::silu(up_->forward(norm2_->forward(x))));
  const at::Tensor kept = there.unsqueeze(2).to(x.dtype());
  x = x * kept;
  return {.whole = out_->forward(x.sum(1) / kept.sum(1).clamp_min(1)), .words = x};
}

}  // namespace genai
