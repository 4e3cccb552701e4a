#include "genai/nn/transformer_network.h"

#include <cmath>

#include "genai/data/batch.h"
#include "genai/kernels/causal_attention.h"
#include "genai/kernels/linear_product.h"
#include "genai/kernels/mlp_activation.h"
#include "genai/kernels/split_heads.h"
#include "genai/nn/modules.h"

namespace genai {
namespace {

constexpr double kDeviation = 0.02;

struct NormLayerImpl : torch::nn::Module {
  NormLayerImpl(NormKind kind, int64_t width, bool with_bias) : kind_(kind) {
    weight_ = register_parameter("weight", at::ones({width}));
    if (kind == NormKind::layer && with_bias)
      bias_ = register_parameter("bias", at::zeros({width}));
  }
  Tensor forward(const Tensor& x) {
    if (kind_ == NormKind::layer)
      return at::layer_norm(x, weight_.sizes(), weight_, bias_, kNormEpsilon);
    return x * (x.square().mean(-1, /*keepdim=*/true) + kNormEpsilon).rsqrt() * weight_;
  }

 private:
  NormKind kind_;
  Tensor weight_, bias_;
};
TORCH_MODULE(NormLayer);

torch::nn::Linear linear(int64_t in, int64_t out, bool bias) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(bias));
}

/// LoRA's alpha; to tune it is about the same as to tune the learning rate (there, section 4.1).
constexpr double kLoraAlpha = 16;

/// A linear layer that may have an adapter.
struct ProjectionImpl : torch::nn::LinearImpl {
  ProjectionImpl(int64_t in, int64_t out, bool with_bias, int64_t rank)
      : LinearImpl(torch::nn::LinearOptions(in, out).bias(with_bias)) {
    if (rank == 0) return;
    a_ = register_parameter("lora_a", at::empty({rank, in}));
    b_ = register_parameter("lora_b", at::empty({out, rank}));
  }
  Tensor forward(const Tensor& x) {
    const Tensor y = linear_product(x, weight, bias);
    if (!a_.defined()) return y;
    const double scale = kLoraAlpha / static_cast<double>(a_.size(0));
    return y + at::linear(at::linear(x, a_), b_) * scale;
  }

 private:
  Tensor a_, b_;
};
TORCH_MODULE(Projection);

struct AttentionImpl : torch::nn::Module {
  AttentionImpl(const TransformerShape& shape, double dropout, int64_t rank)
      : shape_(shape), dropout_(dropout) {
    const int64_t head = shape.head();
    qkv_ = register_module("qkv", Projection(shape.width, (shape.heads + 2 * shape.kv_heads) * head,
                                             shape.bias, rank));
    out_ = register_module("out", Projection(shape.heads * head, shape.width, shape.bias, rank));
  }
  /// x [B, T, width]
  Tensor forward(const Tensor& x, const Tensor& cosine, const Tensor& sine) {
    auto [q, k, v] = split_heads(qkv_->forward(x), {shape_.heads, shape_.kv_heads, shape_.head()},
                                 shape_.qk_norm, cosine, sine);
    if (shape_.kv_heads != shape_.heads) {
      k = k.repeat_interleave(shape_.heads / shape_.kv_heads, 1);
      v = v.repeat_interleave(shape_.heads / shape_.kv_heads, 1);
    }
    const Tensor mixed = causal_attention(q, k, v, is_training() ? dropout_ : 0);
    return out_->forward(mixed.transpose(1, 2).reshape({x.size(0), x.size(1), -1}));
  }

 private:
  TransformerShape shape_;
  double dropout_;
  Projection qkv_{nullptr}, out_{nullptr};
};
TORCH_MODULE(Attention);

struct MlpImpl : torch::nn::Module {
  MlpImpl(const TransformerShape& shape, int64_t rank) : kind_(shape.mlp) {
    const int64_t rows = kind_ == MlpKind::swiglu ? 2 : 1;
    up_ = register_module("up", Projection(shape.width, rows * shape.hidden, shape.bias, rank));
    down_ = register_module("down", Projection(shape.hidden, shape.width, shape.bias, rank));
  }
  Tensor forward(const Tensor& x) { return down_->forward(mlp_activation(kind_, up_->forward(x))); }

 private:
  MlpKind kind_;
  Projection up_{nullptr}, down_{nullptr};
};
TORCH_MODULE(Mlp);

struct BlockImpl : torch::nn::Module {
  BlockImpl(const TransformerShape& shape, double dropout, int64_t rank) : dropout_(dropout) {
    attention_norm_ =
        register_module("attention_norm", NormLayer(shape.norm, shape.width, shape.bias));
    attention_ = register_module("attention", Attention(shape, dropout, rank));
    mlp_norm_ = register_module("mlp_norm", NormLayer(shape.norm, shape.width, shape.bias));
    mlp_ = register_module("mlp", Mlp(shape, rank));
  }
  Tensor forward(const Tensor& x, const Tensor& cosine, const Tensor& sine) {
    const Tensor y = x + drop(attention_->forward(attention_norm_->forward(x), cosine, sine));
    return y + drop(mlp_->forward(mlp_norm_->forward(y)));
  }

 private:
  Tensor drop(const Tensor& x) {
    return dropout_ > 0 ? at::dropout(x, dropout_, is_training()) : x;
  }

  double dropout_;
  NormLayer attention_norm_{nullptr}, mlp_norm_{nullptr};
  Attention attention_{nullptr};
  Mlp mlp_{nullptr};
};
TORCH_MODULE(Block);

}  // namespace

TransformerNetworkImpl::TransformerNetworkImpl(const TransformerShape& shape, double dropout,
                                               int64_t lora_rank)
    : shape_(shape), dropout_(dropout) {
  tokens_ = register_module("tokens", torch::nn::Embedding(shape.vocabulary, shape.width));
  if (shape.bigrams) {
    bigrams_ = register_module(
        // Its name since 0.1: stored weights have it.
        "pairs", torch::nn::Embedding(shape.vocabulary * shape.vocabulary, shape.width));
  }
  if (shape.positions == Positions::learned) {
    positions_ = register_module("positions", torch::nn::Embedding(shape.context, shape.width));
  } else {
    const int64_t half = shape.head() / 2;
    const Tensor rates = at::pow(kRotaryBase, -at::arange(half, at::kDouble) / half);
    const Tensor angles = at::outer(at::arange(shape.context, at::kDouble), rates);
    angles_ = at::stack({angles.cos(), angles.sin()}).to(at::kFloat);  // [2, T, head / 2]
  }
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < shape.layers; ++i) {
    blocks_->push_back(Block(shape, dropout, lora_rank));
  }
  const NormLayer norm(shape.norm, shape.width, shape.bias);
  norm_ = register_module("norm", norm);
  if (!shape.tied) head_ = register_module("head", linear(shape.width, shape.vocabulary, false));
  initialize();
  if (lora_rank == 0) return;
  for (auto& item : named_parameters()) {
    item.value().requires_grad_(item.key().find(".lora_") != std::string::npos);
  }
}

void TransformerNetworkImpl::initialize() {
  const double last = kDeviation / std::sqrt(2.0 * static_cast<double>(shape_.layers));
  for (auto& item : named_parameters()) {
    const std::string& name = item.key();
    if (name.ends_with("bias") || name.ends_with("lora_b")) {
      torch::nn::init::zeros_(item.value());
    } else if (item.value().dim() == 2) {
      const bool ends = name.ends_with("attention.out.weight") || name.ends_with("mlp.down.weight");
      torch::nn::init::normal_(item.value(), 0, ends ? last : kDeviation);
    }
  }
  // What bigrams add is learned from nothing: most of them are rare.
  if (bigrams_) torch::nn::init::zeros_(bigrams_->weight);
}

Tensor TransformerNetworkImpl::embed(const Tensor& tokens) {
  Tensor x = tokens_->forward(tokens);
  if (bigrams_) {
    // The first token of a text has no other before it and stands for it.
    const Tensor before =
        at::cat({tokens.narrow(1, 0, 1), tokens.narrow(1, 0, tokens.size(1) - 1)}, 1);
    x = x + bigrams_->forward(before * shape_.vocabulary + tokens);
  }
  if (positions_) x = x + positions_->weight.narrow(0, 0, tokens.size(1));
  return dropout_ > 0 ? at::dropout(x, dropout_, is_training()) : x;
}

Tensor TransformerNetworkImpl::forward(const Tensor& tokens) {
  Tensor x = embed(tokens), cosine, sine;
  if (angles_.defined()) {
    if (angles_.device() != x.device()) angles_ = angles_.to(x.device());
    cosine = angles_[0].narrow(0, 0, tokens.size(1));
    sine = angles_[1].narrow(0, 0, tokens.size(1));
  }
  for (const auto& block : *blocks_) x = block->as<Block>()->forward(x, cosine, sine);
  x = norm_->as<NormLayerImpl>()->forward(x);
  const Tensor logits = at::linear(x, head_ ? head_->weight : tokens_->weight);
  return shape_.soft_cap > 0 ? (logits / shape_.soft_cap).tanh() * shape_.soft_cap : logits;
}

Tensors merge_adapters(Tensors weights) {
  const at::NoGradGuard no_grad;
  const std::string a = ".lora_a";
  for (auto it = weights.begin(); it != weights.end();) {
    if (!it->first.ends_with(a)) {
      ++it;
      continue;
    }
    const std::string layer = it->first.substr(0, it->first.size() - a.size());
    const auto b = weights.extract(layer + ".lora_b");
    const double scale = kLoraAlpha / static_cast<double>(it->second.size(0));
    Tensor& weight = weights.at(layer + ".weight");
    weight = weight + at::mm(b.mapped(), it->second) * scale;
    it = weights.erase(it);
  }
  return weights;
}

Tensor token_losses(const Tensor& logits, const Tensor& target) {
  const Tensor losses =
      at::cross_entropy_loss(logits.to(at::kFloat).flatten(0, 1), target.flatten(), /*weight=*/{},
                             at::Reduction::None, kNoTarget);
  return losses.view(target.sizes());
}

}  // namespace genai
