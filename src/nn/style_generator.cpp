#include "genai/nn/style_generator.h"

#include <cmath>
#include <numbers>

#include "genai/kernels/winograd.h"
#include "genai/nn/image_networks.h"

namespace genai {
namespace nn = torch::nn;

namespace {

at::Tensor scaled(const at::Tensor& x, const at::Tensor& channels) {  // channels [B, C]
  return x * channels.unsqueeze(2).unsqueeze(3);
}

/// The scales that a style [B, style] gives to `channels`: about 1, with a standard deviation of
/// about 1, so that styles count from the first step.
nn::Linear affine_map(int64_t style, int64_t channels) {
  nn::Linear affine(style, channels);
  nn::init::normal_(affine->weight, 0, 1 / std::sqrt(static_cast<double>(style)));
  nn::init::ones_(affine->bias);
  return affine;
}

/// What a level adds to the picture: a 1x1 convolution told the style, without normalization.
struct ToImageImpl : nn::Module {
  ToImageImpl(int64_t in, int64_t out, int64_t style) {
    affine = register_module("affine", affine_map(style, in));
    layer = register_module("layer", Convolution(in, out, 1));
  }
  at::Tensor forward(const at::Tensor& x, const at::Tensor& style) {
    return layer->forward(scaled(x, affine->forward(style)));
  }
  nn::Linear affine{nullptr};
  Convolution layer{nullptr};
};
TORCH_MODULE(ToImage);

}  // namespace

StyledConvolutionImpl::StyledConvolutionImpl(int64_t in, int64_t out, int64_t style) {
  affine = register_module("affine", affine_map(style, in));
  weight = register_parameter("weight", at::empty({out, in, 3, 3}));
  bias = register_parameter("bias", at::zeros({out}));
  noise_strength = register_parameter("noise_strength", at::zeros({}));
  nn::init::kaiming_normal_(weight, 0, torch::kFanIn, torch::kLinear);
}

at::Tensor StyledConvolutionImpl::forward(const at::Tensor& x, const at::Tensor& style,
                                          const at::Tensor& noise) {
  const at::Tensor scales = affine->forward(style);  // [B, in]
  // sum over input channels and taps of (scale * weight)^2
  const at::Tensor power = scales.square().matmul(weight.square().sum({2, 3}).t());  // [B, out]
  at::Tensor y = convolution3x3(scaled(x, scales), weight, {});
  y = scaled(y, (power + 1e-8).rsqrt()) + noise * noise_strength + bias.view({1, -1, 1, 1});
  return leaky(y) * std::numbers::sqrt2;
}

StyleGenerator::StyleGenerator(const GeneratorConfig& config, int64_t in, int64_t channels,
                               int64_t height, int64_t width, int64_t grids)
    : config_(config),
      channels_(channels * config.patch * config.patch),
      height_(height),
      width_(width),
      heights_(halvings(positions(height, config.patch), config.levels)),
      widths_(halvings(positions(width, config.patch), config.levels)) {
  mapping_ = register_module("mapping", nn::ModuleList());
  for (int64_t i = 0; i < config.mapping; ++i) {
    mapping_->push_back(he_linear(i == 0 ? in : config.style, config.style));
  }
  int64_t c = config.width << config.levels;
  constant_ = register_parameter("constant", at::empty({1, c, heights_.back(), widths_.back()}));
  nn::init::normal_(constant_);
  layers_ = register_module("layers", nn::ModuleList());
  images_ = register_module("images", nn::ModuleList());
  layers_->push_back(StyledConvolution(c, c, config.style));
  images_->push_back(ToImage(c, channels_, config.style));
  std::vector<int64_t> told{c};
  for (int64_t level = config.levels; level > 0; --level, c /= 2) {
    layers_->push_back(StyledConvolution(c, c / 2, config.style));
    layers_->push_back(StyledConvolution(c / 2, c / 2, config.style));
    images_->push_back(ToImage(c / 2, channels_, config.style));
    told.push_back(c);
  }
  if (grids > 0) {
    grids_ = register_module("grids", GridInput(grids * config.patch * config.patch, told));
  }
}

std::vector<std::vector<int64_t>> StyleGenerator::noise_sizes() const {
  std::vector<std::vector<int64_t>> sizes{{heights_.back(), widths_.back()}};
  for (size_t level = heights_.size() - 1; level > 0; --level) {
    sizes.insert(sizes.end(), 2, {heights_[level - 1], widths_[level - 1]});
  }
  return sizes;
}

at::Tensor enlarge(const at::Tensor& x, int64_t height, int64_t width) {
  if (x.is_cpu()) return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false);
  // As products by matrices of weights: the gradient of LibTorch's operator for GPUs is a sum in no
  // fixed order.
  const auto weights = [&](int64_t to, int64_t from) {  // [to, from]: hats around the old centres
    const at::Tensor old = at::arange(from, x.options());
    const at::Tensor place = ((at::arange(to, x.options().dtype(at::kFloat)) + 0.5) *
                                  (static_cast<double>(from) / static_cast<double>(to)) -
                              0.5)
                                 .clamp(0, static_cast<double>(from - 1));
    return (1 - (place.unsqueeze(1) - old).abs()).clamp_min(0).to(x.scalar_type());
  };
  return weights(height, x.size(2)).matmul(x).matmul(weights(width, x.size(3)).t());
}

at::Tensor StyleGenerator::map(const at::Tensor& points) {
  at::Tensor x = points * (points.square().mean(1, true) + 1e-8).rsqrt();
  for (const auto& layer : *mapping_) x = leaky(layer->as<nn::Linear>()->forward(x));
  return x;
}

at::Tensor StyleGenerator::render(const std::vector<at::Tensor>& styles,
                                  const std::vector<at::Tensor>& noise, const at::Tensor& grid) {
  const at::Tensor& first = styles.at(0);
  at::Tensor x = constant_.expand({first.size(0), -1, -1, -1});
  if (x.is_cpu()) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  size_t layer = 0;
  const auto convolve = [&] {
    x = layers_[layer]->as<StyledConvolution>()->forward(x, styles.at(layer), noise.at(layer));
    ++layer;
  };
  const auto image = [&](size_t level) {  // counted from the smallest maps
    return images_[level]->as<ToImage>()->forward(x, styles.at(layer - 1));
  };
  const at::Tensor patches = grids_ ? to_patches(grid, config_.patch) : at::Tensor();
  const auto tell = [&](size_t level) {
    if (grids_) x = grids_->forward(x, patches, level);
  };
  tell(0);
  convolve();
  at::Tensor pixels = image(0);
  for (size_t level = 1; level < heights_.size(); ++level) {
    const size_t at_level = heights_.size() - 1 - level;
    x = enlarge(x, heights_[at_level], widths_[at_level]);
    tell(level);
    convolve();
    convolve();
    pixels = enlarge(pixels, heights_[at_level], widths_[at_level]) + image(level);
  }
  if (config_.patch > 1) {
    pixels = at::pixel_shuffle(pixels, config_.patch).narrow(2, 0, height_).narrow(3, 0, width_);
  }
  return held(pixels);
}

at::Tensor StyleGenerator::forward(const at::Tensor& points, const std::vector<at::Tensor>& noise,
                                   const at::Tensor& grid) {
  return render(std::vector<at::Tensor>(layers_->size(), map(points)), noise, grid);
}

at::Tensor StyleGenerator::style_matrix(int64_t layer) {
  return layers_[static_cast<size_t>(layer)]->as<StyledConvolution>()->affine->weight;
}

}  // namespace genai
