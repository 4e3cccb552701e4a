#include "genai/nn/image_networks.h"

#include "genai/nn/gan_networks.h"
#include "genai/nn/patches.h"

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
          .field("blocks", &NetworkConfig::blocks, "conv: residual blocks at each resolution",
                 between(0, 16))
          .field("patch", &NetworkConfig::patch,
                 "conv: side of the squares of pixels that are one position", between(1, 16))
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

bool is_hidden_convolution(const std::string& name) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  return has(".blocks.") || (has(".convolutions.") && !has("encoder.convolutions.0."));
}

int64_t lowest_resolution(const NetworkConfig& config, int64_t size) {
  return halvings(positions(size, config.patch), config.levels).back();
}

namespace {

/// `count` blocks of these channels more.
void add_blocks(nn::ModuleList& blocks, int64_t count, int64_t channels) {
  for (int64_t i = 0; i < count; ++i) blocks->push_back(PlainBlock(channels, /*spectral=*/false));
}

/// x through the blocks at resolution number `place`.
at::Tensor through_blocks(nn::ModuleList& blocks, int64_t count, int64_t place, at::Tensor x) {
  // The order that kernels/winograd works in.
  if (count > 0 && x.is_cpu()) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (int64_t i = place * count; i < (place + 1) * count; ++i)
    x = blocks[static_cast<size_t>(i)]->as<PlainBlock>()->forward(x);
  return x;
}

}  // namespace

ImageEncoderImpl::ImageEncoderImpl(const NetworkConfig& config, int64_t channels, int64_t height,
                                   int64_t width, int64_t extra)
    : config_(config) {
  int64_t features = channels * height * width;
  convolutions_ = register_module("convolutions", nn::ModuleList());
  blocks_ = register_module("blocks", nn::ModuleList());
  if (config.kind == Architecture::conv) {
    const int64_t area = config.patch * config.patch;
    convolutions_->push_back(
        nn::Conv2d(nn::Conv2dOptions(channels * area, config.width, 3).padding(1)));
    int64_t c = config.width;
    add_blocks(blocks_, config.blocks, c);
    for (int64_t i = 0; i < config.levels; ++i, c *= 2) {
      convolutions_->push_back(nn::Conv2d(nn::Conv2dOptions(c, 2 * c, 3).stride(2).padding(1)));
      add_blocks(blocks_, config.blocks, 2 * c);
    }
    features = c * lowest_resolution(config, height) * lowest_resolution(config, width);
  }
  dense_ = register_module("dense", Dense(features + extra, config.hidden, config.activation));
  out = dense_->out;
}

at::Tensor ImageEncoderImpl::forward(const at::Tensor& images, const at::Tensor& extra) {
  at::Tensor x = convolutions_->is_empty() ? images : to_patches(images, config_.patch);
  int64_t place = 0;
  for (const auto& layer : *convolutions_) {
    x = activate(layer->as<nn::Conv2d>()->forward(x), config_.activation);  // [B, c, h, w]
    x = through_blocks(blocks_, config_.blocks, place++, x);
  }
  x = x.flatten(1);
  return dense_->forward(extra.defined() ? at::cat({x, extra}, 1) : x);
}

ImageDecoderImpl::ImageDecoderImpl(const NetworkConfig& config, int64_t in, int64_t channels,
                                   int64_t height, int64_t width, int64_t grids, bool from_grid)
    : config_(config), height_(height), width_(width) {
  const std::vector<int64_t> mirrored(config.hidden.rbegin(), config.hidden.rend());
  if (config.kind == Architecture::mlp) in += grids * height * width;
  if (!from_grid) dense_ = register_module("dense", Dense(in, mirrored, config.activation));
  shape_ = {channels, height, width};
  if (config.kind == Architecture::conv) {
    const int64_t area = config.patch * config.patch;
    const auto heights = halvings(positions(height, config.patch), config.levels),
               widths = halvings(positions(width, config.patch), config.levels);
    shape_ = {config.width << config.levels, heights.back(), widths.back()};
    convolutions_ = register_module("convolutions", nn::ModuleList());
    blocks_ = register_module("blocks", nn::ModuleList());
    int64_t c = shape_[0];
    add_blocks(blocks_, config.blocks, c);
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
      add_blocks(blocks_, config.blocks, c / 2);
    }
    pixels_ = register_module(
        "pixels", nn::Conv2d(nn::Conv2dOptions(config.width, channels * area, 3).padding(1)));
    if (grids > 0) grids_ = register_module("grids", GridInput(grids * area, told));
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
  x = activate(x, config_.activation);
  const at::Tensor patches = grids_ ? to_patches(grid, config_.patch) : at::Tensor();
  int64_t place = 0;
  const auto finish = [&] {  // a resolution
    if (grids_) x = grids_->forward(x, patches, static_cast<size_t>(place));
    x = through_blocks(blocks_, config_.blocks, place++, x);
  };
  finish();
  for (const auto& layer : *convolutions_) {
    x = activate(layer->as<nn::ConvTranspose2d>()->forward(x), config_.activation);
    finish();
  }
  x = pixels_->forward(x);
  if (config_.patch > 1) x = at::pixel_shuffle(x, config_.patch);
  return x.narrow(2, 0, height_).narrow(3, 0, width_);  // [B, C, H, W]
}

}  // namespace genai
