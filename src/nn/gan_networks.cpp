#include "genai/nn/gan_networks.h"

#include <cmath>

#include "genai/kernels/winograd.h"
#include "genai/nn/image_networks.h"
#include "genai/nn/unet.h"

namespace genai {
namespace nn = torch::nn;

namespace {

constexpr double kSlope = 0.2;
/// Standard deviation of dcgan's first weights (Radford et al., section 4).
constexpr double kDcganStd = 0.02;

const EnumNames<GeneratorKind> kGeneratorNames = {{GeneratorKind::dcgan, "dcgan"},
                                                  {GeneratorKind::residual, "residual"},
                                                  {GeneratorKind::style, "style"},
                                                  {GeneratorKind::unet, "unet"}};
const EnumNames<DiscriminatorKind> kDiscriminatorNames = {
    {DiscriminatorKind::dcgan, "dcgan"}, {DiscriminatorKind::residual, "residual"}};
const EnumNames<Normalization> kNormNames = {{Normalization::none, "none"},
                                             {Normalization::batch, "batch"}};
/// The order that kernels/winograd works in.
at::Tensor channels_last(const at::Tensor& x) {
  return x.is_cpu() ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
}

/// layer's weight, normalized where there is a norm.
at::Tensor normalized(SpectralNorm& norm, const at::Tensor& weight) {
  return norm ? norm->forward(weight) : weight;
}

/// A point spread to maps, transposed convolutions to pixels, ReLU and batch normalization between.
class DcganGenerator : public GeneratorNetwork {
 public:
  DcganGenerator(const GeneratorConfig& config, int64_t in, int64_t channels, int64_t height,
                 int64_t width, int64_t grids)
      : heights_(halvings(height, config.levels)), widths_(halvings(width, config.levels)) {
    const bool bias = config.norm == Normalization::none;
    channels_ = config.width << (config.levels - 1);
    spread_ = register_module(
        "spread",
        nn::Linear(nn::LinearOptions(in, channels_ * heights_.back() * widths_.back()).bias(bias)));
    layers_ = register_module("layers", nn::ModuleList());
    norms_ = register_module("norms", nn::ModuleList());
    const auto add_norm = [&](int64_t c) {
      if (config.norm == Normalization::batch) norms_->push_back(nn::BatchNorm2d(c));
    };
    add_norm(channels_);
    int64_t c = channels_;
    std::vector<int64_t> told;
    for (size_t i = static_cast<size_t>(config.levels); i > 0; --i, c /= 2) {
      const int64_t out = i > 1 ? c / 2 : channels;
      told.push_back(c);
      // n positions become 2 n by a side of 4, 2 n - 1 by a side of 3.
      const auto side = [](int64_t from, int64_t to) { return to == 2 * from ? 4 : 3; };
      layers_->push_back(nn::ConvTranspose2d(
          nn::ConvTranspose2dOptions(
              c, out, {side(heights_[i], heights_[i - 1]), side(widths_[i], widths_[i - 1])})
              .stride(2)
              .padding(1)
              .bias(bias)));
      if (i > 1) add_norm(out);
    }
    if (grids > 0) grids_ = register_module("grids", GridInput(grids, told));
    for (auto& parameter : named_parameters()) {
      if (parameter.value().dim() > 1) nn::init::normal_(parameter.value(), 0, kDcganStd);
    }
  }

  at::Tensor forward(const at::Tensor& points, const std::vector<at::Tensor>&,
                     const at::Tensor& grid) override {
    at::Tensor x =
        spread_->forward(points).view({points.size(0), channels_, heights_.back(), widths_.back()});
    for (size_t i = 0; i < layers_->size(); ++i) {
      if (!norms_->is_empty()) x = norms_[i]->as<nn::BatchNorm2d>()->forward(x);
      if (grids_) x = grids_->forward(x, grid, i);
      x = layers_[i]->as<nn::ConvTranspose2d>()->forward(x.relu());
    }
    return x.tanh();
  }

 private:
  std::vector<int64_t> heights_, widths_;  // pixels first
  int64_t channels_;                       // of the smallest maps
  nn::Linear spread_{nullptr};
  nn::ModuleList layers_{nullptr}, norms_{nullptr};
  GridInput grids_{nullptr};
};

/// A point spread to maps; residual blocks on rising resolutions.
class ResidualGenerator : public GeneratorNetwork {
 public:
  ResidualGenerator(const GeneratorConfig& config, int64_t in, int64_t channels, int64_t height,
                    int64_t width, int64_t grids)
      : config_(config),
        height_(height),
        width_(width),
        heights_(halvings(positions(height, config.patch), config.levels)),
        widths_(halvings(positions(width, config.patch), config.levels)) {
    int64_t c = config.width << config.levels;
    spread_ = register_module("spread", he_linear(in, c * heights_.back() * widths_.back()));
    blocks_ = register_module("blocks", nn::ModuleList());
    narrow_ = register_module("narrow", nn::ModuleList());
    std::vector<int64_t> told;
    for (int64_t level = config.levels; level >= 0; --level) {
      told.push_back(c);
      for (int64_t i = 0; i < config.blocks; ++i) blocks_->push_back(PlainBlock(c, false));
      if (level == 0) break;
      narrow_->push_back(Convolution(c, c / 2, 1));
      c /= 2;
    }
    const int64_t area = config.patch * config.patch;
    if (grids > 0) grids_ = register_module("grids", GridInput(grids * area, told));
    pixels_ = register_module("pixels", Convolution(c, channels * area, 3));
  }

  at::Tensor forward(const at::Tensor& points, const std::vector<at::Tensor>&,
                     const at::Tensor& grid) override {
    const at::Tensor patches = grids_ ? to_patches(grid, config_.patch) : at::Tensor();
    at::Tensor x = channels_last(
        spread_->forward(points).view({points.size(0), -1, heights_.back(), widths_.back()}));
    size_t block = 0;
    for (int64_t level = config_.levels; level >= 0; --level) {
      if (grids_) x = grids_->forward(x, patches, static_cast<size_t>(config_.levels - level));
      for (int64_t i = 0; i < config_.blocks; ++i) {
        x = blocks_[block++]->as<PlainBlock>()->forward(x);
      }
      if (level == 0) break;
      const auto l = static_cast<size_t>(level);
      x = narrow_[narrow_->size() - l]->as<Convolution>()->forward(x);
      x = at::upsample_nearest2d(x, {heights_[l - 1], widths_[l - 1]});
    }
    x = pixels_->forward(leaky(x));
    if (config_.patch > 1) {
      x = at::pixel_shuffle(x, config_.patch).narrow(2, 0, height_).narrow(3, 0, width_);
    }
    return held(x);
  }

 private:
  GeneratorConfig config_;
  int64_t height_, width_;
  std::vector<int64_t> heights_, widths_;
  nn::Linear spread_{nullptr};
  nn::ModuleList blocks_{nullptr}, narrow_{nullptr};
  GridInput grids_{nullptr};
  Convolution pixels_{nullptr};
};

/// A U-Net from the grid to the image; the point stands at every place beside the grid.
class UNetGenerator : public GeneratorNetwork {
 public:
  UNetGenerator(const GeneratorConfig& config, int64_t in, int64_t channels, int64_t grids) {
    UNetConfig network{
        .width = config.width, .multipliers = {1}, .blocks = config.blocks, .patch = config.patch};
    for (int64_t level = 0; level < config.levels; ++level)
      network.multipliers.push_back(2 * network.multipliers.back());
    network_ = register_module("network", UNet(network, in + grids, channels, /*classes=*/0));
  }

  at::Tensor forward(const at::Tensor& points, const std::vector<at::Tensor>&,
                     const at::Tensor& grid) override {
    const at::Tensor everywhere =
        points.unsqueeze(2).unsqueeze(3).expand({-1, -1, grid.size(2), grid.size(3)});
    const at::Tensor no_time = at::zeros({grid.size(0)}, grid.options());
    return held(network_->forward(at::cat({grid, everywhere.to(grid.dtype())}, 1), no_time, {}));
  }

 private:
  UNet network_{nullptr};
};

}  // namespace

const FieldTable& generator_fields() {
  using G = GeneratorConfig;
  static const FieldTable table =
      describe<G>()
          .field("kind", &G::kind,
                 "dcgan: transposed convolutions; residual: residual blocks; style: modulated "
                 "convolutions; unet: from a grid that it is told (pix2pix)",
                 kGeneratorNames)
          .field("width", &G::width, "channels at full resolution; doubled with each halving",
                 between(1, 4096))
          .field("levels", &G::levels, "halvings between pixels and the smallest maps",
                 between(0, 8))
          .field("blocks", &G::blocks, "residual, unet: blocks at each resolution", between(1, 16))
          .field("patch", &G::patch,
                 "residual, style, unet: side of the squares of pixels that are one position",
                 between(1, 16))
          .field("norm", &G::norm, "dcgan: normalization between layers", kNormNames)
          .field("style", &G::style, "style: numbers of a style", between(1, 4096))
          .field("mapping", &G::mapping, "style: dense layers from latent point to style",
                 between(1, 16))
          .field("mixing", &G::mixing, "style: share of images of two styles in training",
                 between(0, 1))
          .table();
  return table;
}

const FieldTable& discriminator_fields() {
  using D = DiscriminatorConfig;
  static const FieldTable table =
      describe<D>()
          .field("kind", &D::kind, "dcgan: strided convolutions; residual: residual blocks",
                 kDiscriminatorNames)
          .field("width", &D::width, "channels at full resolution; doubled with each halving",
                 between(1, 4096))
          .field("levels", &D::levels, "halvings of the resolution", between(0, 8))
          .field("blocks", &D::blocks, "residual: blocks at each resolution", between(1, 16))
          .field("patch", &D::patch,
                 "residual: side of the squares of pixels that are one position", between(1, 16))
          .field("head", &D::head,
                 "residual: features that the score sees; 0: the last maps themselves",
                 between(0, 65536))
          .field("norm", &D::norm, "dcgan: normalization between layers", kNormNames)
          .field("spectral", &D::spectral, "layers are divided by their largest singular value")
          .field("patches", &D::patches,
                 "scores each place of the last maps, which sees a patch of the image, instead of "
                 "the whole (pix2pix)")
          .table();
  return table;
}

nn::Linear he_linear(int64_t in, int64_t out) {
  nn::Linear layer(in, out);
  nn::init::kaiming_normal_(layer->weight, kSlope, torch::kFanIn, torch::kLeakyReLU);
  nn::init::zeros_(layer->bias);
  return layer;
}

at::Tensor leaky(const at::Tensor& x) {
  return at::leaky_relu(x, kSlope);
}

at::Tensor held(const at::Tensor& x) {
  constexpr double kBeyond = 0.01;
  const at::Tensor inside = x.clamp(-1, 1);
  return inside + kBeyond * (x - inside);
}

ConvolutionImpl::ConvolutionImpl(int64_t in, int64_t out, int64_t side, bool spectral) {
  weight = register_parameter("weight", at::empty({out, in, side, side}));
  bias = register_parameter("bias", at::zeros({out}));
  nn::init::kaiming_normal_(weight, kSlope, torch::kFanIn, torch::kLeakyReLU);
  if (spectral) spectral_ = register_module("spectral", SpectralNorm(weight));
}

at::Tensor ConvolutionImpl::forward(const at::Tensor& x) {
  const at::Tensor w = normalized(spectral_, weight);
  const int64_t side = w.size(3);
  return side == 3 ? convolution3x3(x, w, bias) : at::conv2d(x, w, bias, 1, side / 2);
}

PlainBlockImpl::PlainBlockImpl(int64_t channels, bool spectral) {
  convolution1_ = register_module("convolution1", Convolution(channels, channels, 3, spectral));
  convolution2_ = register_module("convolution2", Convolution(channels, channels, 3, spectral));
  if (spectral) return;  // which undoes any scale
  // A fresh block passes on what it is given, and yet all of it learns from the first step.
  constexpr double kShare = 0.1;
  const at::NoGradGuard no_grad;
  convolution2_->weight.mul_(kShare);
}

at::Tensor PlainBlockImpl::forward(const at::Tensor& x) {
  return x + convolution2_->forward(leaky(convolution1_->forward(leaky(x))));
}

std::shared_ptr<GeneratorNetwork> make_plain_generator(const GeneratorConfig& config, int64_t in,
                                                       int64_t channels, int64_t height,
                                                       int64_t width, int64_t grids) {
  if (config.kind == GeneratorKind::dcgan) {
    return std::make_shared<DcganGenerator>(config, in, channels, height, width, grids);
  }
  if (config.kind == GeneratorKind::unet) {
    return std::make_shared<UNetGenerator>(config, in, channels, grids);
  }
  return std::make_shared<ResidualGenerator>(config, in, channels, height, width, grids);
}

DiscriminatorImpl::DiscriminatorImpl(const DiscriminatorConfig& config, int64_t channels,
                                     int64_t height, int64_t width, int64_t classes)
    : config_(config) {
  int64_t features = 0;
  if (config.kind == DiscriminatorKind::dcgan) {
    layers_ = register_module("layers", nn::ModuleList());
    norms_ = register_module("norms", nn::ModuleList());
    spectral_ = register_module("spectral", nn::ModuleList());
    int64_t from = channels, to = config.width, h = height, w = width;
    for (int64_t i = 0; i < config.levels; ++i, from = to, to *= 2, h /= 2, w /= 2) {
      const bool norm = config.norm == Normalization::batch && i > 0;
      const nn::Conv2d layer(nn::Conv2dOptions(from, to, 4)
                                 .stride(2)
                                 .padding(1)
                                 .bias(config.norm == Normalization::none));
      nn::init::normal_(layer->weight, 0, kDcganStd);
      layers_->push_back(layer);
      if (norm) norms_->push_back(nn::BatchNorm2d(to));
      if (config.spectral) spectral_->push_back(SpectralNorm(layer->weight));
    }
    features = from * (config.patches ? 1 : h * w);
  } else {
    int64_t c = config.width;
    in_ = register_module(
        "in", Convolution(channels * config.patch * config.patch, c, 3, config.spectral));
    blocks_ = register_module("blocks", nn::ModuleList());
    widen_ = register_module("widen", nn::ModuleList());
    int64_t h = positions(height, config.patch), w = positions(width, config.patch);
    for (int64_t level = 0;; ++level, c *= 2, h = (h + 1) / 2, w = (w + 1) / 2) {
      for (int64_t i = 0; i < config.blocks; ++i) {
        blocks_->push_back(PlainBlock(c, config.spectral));
      }
      if (level == config.levels) break;
      widen_->push_back(Convolution(c, 2 * c, 1, config.spectral));
    }
    features = c * (config.patches ? 1 : h * w);
    if (config.head > 0) {
      head_ = register_module("head", he_linear(features, config.head));
      features = config.head;
    }
  }
  score_ = register_module("score", nn::Linear(nn::LinearOptions(features, 1).bias(false)));
  if (config.kind == DiscriminatorKind::dcgan) nn::init::normal_(score_->weight, 0, kDcganStd);
  if (classes > 0) {
    classes_ = register_module("classes", nn::Embedding(classes, features));
    nn::init::normal_(classes_->weight, 0, 1 / std::sqrt(static_cast<double>(features)));
  }
  if (config.spectral) {
    if (head_) head_norm_ = register_module("head_norm", SpectralNorm(head_->weight));
    score_norm_ = register_module("score_norm", SpectralNorm(score_->weight));
    if (classes_) classes_norm_ = register_module("classes_norm", SpectralNorm(classes_->weight));
  }
}

at::Tensor DiscriminatorImpl::rows(const at::Tensor& maps) const {
  return config_.patches ? maps.flatten(2).transpose(1, 2) : maps.flatten(1);
}

at::Tensor DiscriminatorImpl::features(const at::Tensor& images) {
  if (config_.kind == DiscriminatorKind::dcgan) {
    at::Tensor x = images;
    for (size_t i = 0; i < layers_->size(); ++i) {
      const auto& layer = *layers_[i]->as<nn::Conv2d>();
      const at::Tensor w =
          config_.spectral ? spectral_[i]->as<SpectralNorm>()->forward(layer.weight) : layer.weight;
      x = at::conv2d(x, w, layer.bias, 2, 1);
      if (i > 0 && !norms_->is_empty()) x = norms_[i - 1]->as<nn::BatchNorm2d>()->forward(x);
      x = leaky(x);
    }
    return rows(x);
  }
  at::Tensor x = in_->forward(channels_last(to_patches(images, config_.patch)));
  size_t block = 0;
  for (int64_t level = 0;; ++level) {
    for (int64_t i = 0; i < config_.blocks; ++i) {
      x = blocks_[block++]->as<PlainBlock>()->forward(x);
    }
    if (level == config_.levels) break;
    x = at::avg_pool2d(x, 2, 2, 0, /*ceil_mode=*/true, /*count_include_pad=*/false);
    x = widen_[static_cast<size_t>(level)]->as<Convolution>()->forward(x);
  }
  x = rows(leaky(x));
  if (!head_) return x;
  return leaky(at::linear(x, normalized(head_norm_, head_->weight), head_->bias));
}

at::Tensor DiscriminatorImpl::forward(const at::Tensor& images, const at::Tensor& labels) {
  const at::Tensor x = features(images);  // [B, F] or [B, P, F]
  // A matrix product would round the score itself to bfloat16 in mixed precision.
  at::Tensor score = (x * normalized(score_norm_, score_->weight)).sum(-1);
  if (classes_) {
    const at::Tensor of_class = at::embedding(normalized(classes_norm_, classes_->weight), labels);
    score = score + ((config_.patches ? of_class.unsqueeze(1) : of_class) * x).sum(-1);
  }
  return score.scalar_type() == at::kBFloat16 ? score.to(at::kFloat) : score;
}

}  // namespace genai
