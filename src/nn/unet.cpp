#include "genai/nn/unet.h"

#include <cmath>

#include "genai/base/error.h"
#include "genai/kernels/group_norm_silu.h"
#include "genai/kernels/linear_product.h"
#include "genai/kernels/winograd.h"

namespace genai {
namespace nn = torch::nn;

namespace {

/// As many groups as Karras et al. 2022 take: of at least four channels, at most 32.
int64_t norm_groups(int64_t channels) {
  int64_t groups = std::clamp<int64_t>(channels / 4, 1, 32);
  while (channels % groups) --groups;
  return groups;
}

nn::Conv2d convolution(int64_t in, int64_t out, int64_t side, int64_t stride = 1) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, side).padding(side / 2).stride(stride));
}

/// layer(x), for a layer of side 3 and stride 1.
at::Tensor apply3x3(const nn::Conv2d& layer, const at::Tensor& x) {
  return convolution3x3(x, layer->weight, layer->bias);
}

/// The last layer of a branch starts near zero, so that a fresh block passes on what it is given;
/// not at zero, so that all of the branch learns from the first step.
template <class Layer>
Layer nearly_zero(Layer layer) {
  constexpr double kShare = 1e-2;
  const at::NoGradGuard no_grad;
  layer->weight.mul_(kShare);
  layer->bias.zero_();
  return layer;
}

/// The stages of one level: residual blocks, each followed by attention where the level has it.
struct LevelImpl : nn::Module {
  LevelImpl() {
    blocks = register_module("blocks", nn::ModuleList());
    attention = register_module("attention", nn::ModuleList());
  }
  at::Tensor run(size_t block, const at::Tensor& x, const at::Tensor& condition,
                 const at::Tensor& words) {
    const at::Tensor y = blocks[block]->as<ResidualBlock>()->forward(x, condition);
    return attention->is_empty() ? y : attention[block]->as<ImageAttention>()->forward(y, words);
  }
  nn::ModuleList blocks{nullptr}, attention{nullptr};
  nn::Conv2d resize{nullptr};
};
TORCH_MODULE(Level);

/// What tells the places of a grid apart, [h w, c]: sin and cos of y in one half, of x in the
/// other. A caption says where a thing stands; early on there is nothing else to know it by.
at::Tensor places(int64_t h, int64_t w, int64_t c, const at::TensorOptions& options) {
  const auto along = [&](int64_t size) {
    return sinusoidal_embedding(at::arange(size, options), c / 2);
  };
  return at::cat(
             {along(h).unsqueeze(1).expand({h, w, -1}), along(w).unsqueeze(0).expand({h, w, -1})},
             2)
      .reshape({h * w, c});
}

}  // namespace

const FieldTable& unet_fields() {
  static const FieldTable table =
      describe<UNetConfig>()
          .field("width", &UNetConfig::width, "channels at full resolution; a multiple of 4",
                 between(4, 4096))
          .field("multipliers", &UNetConfig::multipliers,
                 "channels of each level as multiples of width; each level halves the resolution",
                 between(1, 64))
          .field("blocks", &UNetConfig::blocks, "residual blocks of a level", between(1, 16))
          .field("attention", &UNetConfig::attention,
                 "levels with self-attention, counted from 0 at full resolution", between(0, 15))
          .field("head_width", &UNetConfig::head_width, "channels of an attention head",
                 between(4, 4096))
          .field("patch", &UNetConfig::patch,
                 "side of the squares of pixels that are one position of the network",
                 between(1, 16))
          .field("dropout", &UNetConfig::dropout, "share of activations dropped in each block",
                 from_below(0, 1))
          .table();
  return table;
}

void check_unet(const UNetConfig& config, int64_t height, int64_t width) {
  const auto levels = static_cast<int64_t>(config.multipliers.size());
  if (levels < 1) fail(ErrorKind::usage, "model.network.multipliers: expected at least one level");
  if (config.width % 4) {
    fail(ErrorKind::usage, "model.network.width: expected a multiple of 4, found ", config.width);
  }
  for (const int64_t level : config.attention) {
    if (level >= levels) {
      fail(ErrorKind::usage, "model.network.attention: level ", level,
           " does not exist; multipliers has ", levels, ", counted from 0");
    }
  }
  const int64_t side = (std::min(height, width) + config.patch - 1) / config.patch;
  if (side >> (levels - 1) < 1) {
    fail(ErrorKind::usage, "model.network.multipliers: ", levels - 1, " halvings leave nothing of ",
         side, " positions (an image ", width, "x", height, " in patches of ", config.patch, ")");
  }
}

NormImpl::NormImpl(int64_t channels) : groups(norm_groups(channels)) {
  weight = register_parameter("weight", at::ones(channels));
  bias = register_parameter("bias", at::zeros(channels));
}

at::Tensor NormImpl::forward(const at::Tensor& x, const at::Tensor& scale,
                             const at::Tensor& shift) {
  if (!scale.defined()) return group_norm_silu(x, groups, weight.unsqueeze(0), bias.unsqueeze(0));
  // (norm w + b) (1 + scale) + shift
  const at::Tensor more = scale.to(at::kFloat) + 1;
  return group_norm_silu(x, groups, weight * more, bias * more + shift.to(at::kFloat));
}

ResidualBlockImpl::ResidualBlockImpl(int64_t in, int64_t out, int64_t condition, double dropout)
    : dropout_(dropout) {
  norm1_ = register_module("norm1", Norm(in));
  convolution1_ = register_module("convolution1", convolution(in, out, 3));
  condition_ = register_module("condition", nn::Linear(condition, 2 * out));
  norm2_ = register_module("norm2", Norm(out));
  convolution2_ = register_module("convolution2", nearly_zero(convolution(out, out, 3)));
  if (in != out) shortcut_ = register_module("shortcut", convolution(in, out, 1));
}

at::Tensor ResidualBlockImpl::forward(const at::Tensor& x, const at::Tensor& condition) {
  at::Tensor y = apply3x3(convolution1_, norm1_->forward(x));
  const auto halves = condition_->forward(condition).chunk(2, 1);  // [B, out] each
  y = norm2_->forward(y, halves[0], halves[1]);
  if (dropout_ > 0) y = at::dropout(y, dropout_, is_training());
  return apply3x3(convolution2_, y) + (shortcut_ ? shortcut_->forward(x) : x);
}

ImageAttentionImpl::ImageAttentionImpl(int64_t channels, int64_t heads, int64_t words)
    : heads_(heads) {
  norm_ = register_module("norm", nn::GroupNorm(norm_groups(channels), channels));
  query_key_value_ = register_module("query_key_value", nn::Linear(channels, 3 * channels));
  if (words > 0) words_ = register_module("words", nn::Linear(words, 2 * channels));
  out_ = register_module("out", nearly_zero(nn::Linear(channels, channels)));
}

at::Tensor ImageAttentionImpl::forward(const at::Tensor& x, const at::Tensor& words) {
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3), n = h * w;
  at::Tensor rows = norm_->forward(x).permute({0, 2, 3, 1}).reshape({b, n, c});
  if (words_) rows = rows + places(h, w, c, x.options());
  // [B, n, parts C] as so many of [B, heads, n, C / heads]
  const auto parts = [&](const at::Tensor& all, int64_t count) {
    return all.view({b, -1, count, heads_, c / heads_}).permute({2, 0, 3, 1, 4}).unbind(0);
  };
  const auto apply = [](const nn::Linear& layer, const at::Tensor& x) {
    return linear_product(x, layer->weight, layer->bias);
  };
  auto qkv = parts(apply(query_key_value_, rows), 3);
  if (words_) {
    const auto told = parts(apply(words_, words), 2);
    qkv[1] = at::cat({qkv[1], told[0]}, 2);
    qkv[2] = at::cat({qkv[2], told[1]}, 2);
  }
  const at::Tensor mixed = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  const at::Tensor y = apply(out_, mixed.transpose(1, 2).reshape({b, n, c}));
  return x + y.view({b, h, w, c}).permute({0, 3, 1, 2});
}

at::Tensor sinusoidal_embedding(const at::Tensor& t, int64_t width) {
  const int64_t half = width / 2;
  const at::Tensor rates =
      (at::arange(half, t.options()) * (-std::log(10000.0) / static_cast<double>(half))).exp();
  const at::Tensor angles = t.unsqueeze(1) * rates;  // [B, half]
  return at::cat({angles.cos(), angles.sin()}, 1);
}

bool is_hidden_matrix(const std::string& name) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  return has("network.down.") || has("network.up.") || has("network.middle") ||
         has("network.words.blocks.");
}

UNetImpl::UNetImpl(const UNetConfig& config, int64_t in, int64_t out, int64_t classes,
                   int64_t words, int64_t length)
    : config_(config) {
  const int64_t width = config.width, condition = 4 * width, area = config.patch * config.patch;
  time1_ = register_module("time1", nn::Linear(width, condition));
  time2_ = register_module("time2", nn::Linear(condition, condition));
  if (classes > 0) classes_ = register_module("classes", nn::Embedding(classes + 1, condition));
  if (words > 0)
    words_ = register_module("words", CaptionEncoder(words, length, condition, condition));
  in_ = register_module("in", convolution(in * area, width, 3));
  down_ = register_module("down", nn::ModuleList());
  up_ = register_module("up", nn::ModuleList());

  const auto levels = static_cast<int64_t>(config.multipliers.size());
  const auto channels_of = [&](int64_t level) {
    return width * config.multipliers[static_cast<size_t>(level)];
  };
  const auto heads = [&](int64_t channels) {
    int64_t n = std::max<int64_t>(1, channels / config.head_width);
    while (channels % n) --n;
    return n;
  };
  const int64_t told = words > 0 ? condition : 0;  // numbers of an encoded word
  const auto add_block = [&](Level& level, int64_t index, int64_t from, int64_t to) {
    level->blocks->push_back(ResidualBlock(from, to, condition, config.dropout));
    if (std::count(config.attention.begin(), config.attention.end(), index)) {
      level->attention->push_back(ImageAttention(to, heads(to), told));
    }
  };
  std::vector<int64_t> skips{width};  // channels of what the way up gets to see
  int64_t channels = width;
  for (int64_t i = 0; i < levels; ++i) {
    Level level;
    for (int64_t block = 0; block < config.blocks; ++block) {
      add_block(level, i, channels, channels_of(i));
      skips.push_back(channels = channels_of(i));
    }
    if (i + 1 < levels) {
      level->resize = level->register_module("resize", convolution(channels, channels, 3, 2));
      skips.push_back(channels);
    }
    down_->push_back(level);
  }
  middle1_ =
      register_module("middle1", ResidualBlock(channels, channels, condition, config.dropout));
  if (!config.attention.empty()) {
    middle_attention_ =
        register_module("middle_attention", ImageAttention(channels, heads(channels), told));
  }
  middle2_ =
      register_module("middle2", ResidualBlock(channels, channels, condition, config.dropout));
  for (int64_t i = levels - 1; i >= 0; --i) {
    Level level;
    for (int64_t block = 0; block <= config.blocks; ++block) {
      add_block(level, i, channels + skips.back(), channels_of(i));
      channels = channels_of(i);
      skips.pop_back();
    }
    if (i > 0) {
      const int64_t next = channels_of(i - 1);
      level->resize = level->register_module("resize", convolution(channels, next, 3));
      channels = next;
    }
    up_->push_back(level);
  }
  norm_ = register_module("norm", Norm(channels));
  out_ = register_module("out", nearly_zero(convolution(channels, out * area, 3)));
}

at::Tensor UNetImpl::forward(const at::Tensor& images, const at::Tensor& time,
                             const at::Tensor& labels, const at::Tensor& words) {
  const int64_t h = images.size(2), w = images.size(3), patch = config_.patch;
  at::Tensor condition = time1_->forward(sinusoidal_embedding(time, config_.width));
  condition = time2_->forward(at::silu(condition));
  if (classes_) condition = condition + classes_->forward(labels);
  EncodedCaption caption;
  if (words_) {
    caption = words_->forward(words);
    condition = condition + caption.whole;
  }
  condition = at::silu(condition);  // [B, 4 width]

  at::Tensor x = images;
  if (h % patch || w % patch) {
    // The last column and row again. (A GPU has no padding whose gradient is the same each time.)
    const auto repeat_last = [&](int64_t dimension, int64_t size) {
      const int64_t more = (patch - size % patch) % patch;
      const at::Tensor last = x.narrow(dimension, size - 1, 1);
      if (more > 0) x = at::cat({x, last.repeat_interleave(more, dimension)}, dimension);
    };
    repeat_last(3, w);
    repeat_last(2, h);
  }
  if (patch > 1) x = at::pixel_unshuffle(x, patch);
  // The order that the kernels of group_norm_silu and winograd work in, whatever the weights' is.
  if (x.is_cpu()) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  x = apply3x3(in_, x);
  std::vector<at::Tensor> skips{x};
  for (const auto& item : *down_) {
    auto& level = *item->as<Level>();
    for (size_t block = 0; block < level.blocks->size(); ++block) {
      skips.push_back(x = level.run(block, x, condition, caption.words));
    }
    if (level.resize) skips.push_back(x = level.resize->forward(x));
  }
  x = middle1_->forward(x, condition);
  if (middle_attention_) x = middle_attention_->forward(x, caption.words);
  x = middle2_->forward(x, condition);
  for (const auto& item : *up_) {
    auto& level = *item->as<Level>();
    for (size_t block = 0; block < level.blocks->size(); ++block) {
      x = level.run(block, at::cat({x, skips.back()}, 1), condition, caption.words);
      skips.pop_back();
    }
    if (level.resize) {
      // To the size of the skip that comes next: odd sides are halved to the larger half.
      x = at::upsample_nearest2d(x, {skips.back().size(2), skips.back().size(3)});
      x = apply3x3(level.resize, x);
    }
  }
  x = apply3x3(out_, norm_->forward(x));
  if (patch > 1) x = at::pixel_shuffle(x, patch);
  return x.narrow(2, 0, h).narrow(3, 0, w);  // [B, out, H, W]
}

}  // namespace genai
