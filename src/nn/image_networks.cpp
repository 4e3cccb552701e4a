#include "genai/nn/image_networks.h"

namespace genai {
namespace nn = torch::nn;

namespace {

const EnumNames<Architecture> kArchitectureNames = {{Architecture::mlp, "mlp"},
                                                    {Architecture::conv, "conv"}};
const EnumNames<Activation> kActivationNames = {
    {Activation::relu, "relu"}, {Activation::silu, "silu"}, {Activation::tanh, "tanh"}};

}  // namespace

const FieldTable& network_fields() {
  static const FieldTable table =
      describe<NetworkConfig>()
          .field("kind", &NetworkConfig::kind, "dense layers, or convolutions around them",
                 kArchitectureNames)
          .field("hidden", &NetworkConfig::hidden, "units of each dense layer, from the pixels on",
                 between(1, 65536))
          .field("width", &NetworkConfig::width, "conv: channels at full resolution",
                 between(1, 4096))
          .field("levels", &NetworkConfig::levels,
                 "conv: halvings of the resolution, each doubling the channels", between(0, 8))
          .field("activation", &NetworkConfig::activation, "after each hidden layer",
                 kActivationNames)
          .table();
  return table;
}

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return x.relu();
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return x.tanh();
  }
  return x;
}

std::vector<int64_t> halvings(int64_t size, int64_t levels) {
  std::vector<int64_t> sizes{size};
  for (int64_t i = 0; i < levels; ++i) sizes.push_back((sizes.back() + 1) / 2);
  return sizes;
}

DenseImpl::DenseImpl(int64_t in, const std::vector<int64_t>& hidden, Activation activation)
    : out(in), activation_(activation) {
  layers_ = register_module("layers", nn::ModuleList());
  for (const int64_t units : hidden) {
    layers_->push_back(nn::Linear(out, units));
    out = units;
  }
}

at::Tensor DenseImpl::forward(at::Tensor x) {
  for (const auto& layer : *layers_) x = activate(layer->as<nn::Linear>()->forward(x), activation_);
  return x;
}

ImageEncoderImpl::ImageEncoderImpl(const NetworkConfig& config, int64_t channels, int64_t height,
                                   int64_t width, int64_t extra)
    : activation_(config.activation) {
  int64_t features = channels * height * width;
  convolutions_ = register_module("convolutions", nn::ModuleList());
  if (config.kind == Architecture::conv) {
    convolutions_->push_back(nn::Conv2d(nn::Conv2dOptions(channels, config.width, 3).padding(1)));
    int64_t c = config.width;
    for (int64_t i = 0; i < config.levels; ++i, c *= 2) {
      convolutions_->push_back(nn::Conv2d(nn::Conv2dOptions(c, 2 * c, 3).stride(2).padding(1)));
    }
    features = c * halvings(height, config.levels).back() * halvings(width, config.levels).back();
  }
  dense_ = register_module("dense", Dense(features + extra, config.hidden, config.activation));
  out = dense_->out;
}

at::Tensor ImageEncoderImpl::forward(const at::Tensor& images, const at::Tensor& extra) {
  at::Tensor x = images;
  for (const auto& layer : *convolutions_) {
    x = activate(layer->as<nn::Conv2d>()->forward(x), activation_);  // [B, c, h, w]
  }
  x = x.flatten(1);
  return dense_->forward(extra.defined() ? at::cat({x, extra}, 1) : x);
}

ImageDecoderImpl::ImageDecoderImpl(const NetworkConfig& config, int64_t in, int64_t channels,
                                   int64_t height, int64_t width, int64_t grids, bool from_grid)
    : activation_(config.activation) {
  const std::vector<int64_t> mirrored(config.hidden.rbegin(), config.hidden.rend());
  if (config.kind == Architecture::mlp) in += grids * height * width;
  if (!from_grid) dense_ = register_module("dense", Dense(in, mirrored, config.activation));
  shape_ = {channels, height, width};
  if (config.kind == Architecture::conv) {
    const auto heights = halvings(height, config.levels), widths = halvings(width, config.levels);
    shape_ = {config.width << config.levels, heights.back(), widths.back()};
    convolutions_ = register_module("convolutions", nn::ModuleList());
    int64_t c = shape_[0];
    std::vector<int64_t> told{c};  // channels at each resolution
    for (size_t i = heights.size() - 1; i > 0; --i, c /= 2) {
      // (h + 1) / 2 rows back to h: 2 * rows - 1, and one more when h is even.
      const auto more = [](int64_t target, int64_t rows) { return target - (2 * rows - 1); };
      told.push_back(c / 2);
      convolutions_->push_back(nn::ConvTranspose2d(
          nn::ConvTranspose2dOptions(c, c / 2, 3)
              .stride(2)
              .padding(1)
              .output_padding({more(heights[i - 1], heights[i]), more(widths[i - 1], widths[i])})));
    }
    pixels_ = register_module("pixels",
                              nn::Conv2d(nn::Conv2dOptions(config.width, channels, 3).padding(1)));
    if (grids > 0) grids_ = register_module("grids", GridInput(grids, told));
  }
  if (from_grid) {
    lift_ = register_module("lift", nn::Conv2d(nn::Conv2dOptions(in, shape_[0], 3).padding(1)));
  } else {
    spread_ = register_module("spread", nn::Linear(dense_->out, shape_[0] * shape_[1] * shape_[2]));
  }
}

at::Tensor ImageDecoderImpl::forward(const at::Tensor& points, const at::Tensor& grid) {
  const bool flat = grid.defined() && !pixels_;
  at::Tensor x;
  if (lift_) {
    x = lift_->forward(points);
  } else {
    x = spread_->forward(dense_->forward(flat ? at::cat({points, grid.flatten(1)}, 1) : points));
    x = x.view({points.size(0), shape_[0], shape_[1], shape_[2]});
  }
  if (!pixels_) return x;
  x = activate(x, activation_);
  size_t place = 0;
  const auto tell = [&] {
    if (grids_) x = grids_->forward(x, grid, place++);
  };
  tell();
  for (const auto& layer : *convolutions_) {
    x = activate(layer->as<nn::ConvTranspose2d>()->forward(x), activation_);
    tell();
  }
  return pixels_->forward(x);  // [B, C, H, W]
}

}  // namespace genai
