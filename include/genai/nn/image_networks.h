// Plain encoders and decoders of images: dense layers, or strided convolutions around them.
#pragma once

#include "genai/base/fields.h"
#include "genai/nn/grid_input.h"
#include "genai/nn/modules.h"

namespace genai {

enum class Architecture { mlp, conv };
enum class Activation { relu, silu, tanh };

struct NetworkConfig {
  Architecture kind = Architecture::mlp;
  std::vector<int64_t> hidden = {400};
  int64_t width = 32;
  int64_t levels = 2;
  int64_t blocks = 0;
  int64_t patch = 1;
  Activation activation = Activation::relu;
};
const FieldTable& network_fields();

at::Tensor activate(const at::Tensor& x, Activation activation);

/// Dense layers with an activation after each; [B, in] -> [B, hidden.back()].
struct DenseImpl : torch::nn::Module {
  DenseImpl(int64_t in, const std::vector<int64_t>& hidden, Activation activation);
  at::Tensor forward(at::Tensor x);
  int64_t out;

 private:
  torch::nn::ModuleList layers_;
  Activation activation_;
};
TORCH_MODULE(Dense);

/// The size of an image after each of `levels` halvings (rounded up): {28, 14, 7}.
std::vector<int64_t> halvings(int64_t size, int64_t levels);

/// Is that a name of weights between two maps of features, which Muon updates? Not those next to
/// the image.
bool is_hidden_convolution(const std::string& name);

/// Positions along a side of `size` pixels at the lowest resolution of conv.
int64_t lowest_resolution(const NetworkConfig& config, int64_t size);

/// Images [B, C, H, W] and `extra` numbers [B, extra] (a class, say) -> features [B, out].
/// conv: a 3x3 convolution of patches, then one of stride 2 per level, each doubling the channels,
/// residual blocks after each; then the dense layers.
struct ImageEncoderImpl : torch::nn::Module {
  ImageEncoderImpl(const NetworkConfig& config, int64_t channels, int64_t height, int64_t width,
                   int64_t extra);
  at::Tensor forward(const at::Tensor& images, const at::Tensor& extra);
  int64_t out;

 private:
  torch::nn::ModuleList convolutions_, blocks_;  // as many blocks after each convolution
  Dense dense_{nullptr};
  NetworkConfig config_;
};
TORCH_MODULE(ImageEncoder);

/// The mirror image: points [B, in] -> pixel values [B, C, H, W] without a last activation. It may
/// be told grids [B, grids, H, W] as well. With `from_grid` (conv), points are grids [B, in, h, w]
/// of the lowest resolution, and there are no dense layers.
struct ImageDecoderImpl : torch::nn::Module {
  ImageDecoderImpl(const NetworkConfig& config, int64_t in, int64_t channels, int64_t height,
                   int64_t width, int64_t grids = 0, bool from_grid = false);
  at::Tensor forward(const at::Tensor& points, const at::Tensor& grid = {});

 private:
  Dense dense_{nullptr};
  torch::nn::Linear spread_{nullptr};
  torch::nn::Conv2d lift_{nullptr};              // in their place, from grids
  torch::nn::ModuleList convolutions_, blocks_;  // as many blocks before each convolution
  GridInput grids_{nullptr};                     // of conv, at every resolution
  torch::nn::Conv2d pixels_{nullptr};
  NetworkConfig config_;
  int64_t height_, width_;      // of the images
  std::vector<int64_t> shape_;  // of what spread_ makes: [c, h, w]
};
TORCH_MODULE(ImageDecoder);

}  // namespace genai
