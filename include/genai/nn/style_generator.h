// A generator whose layers are told a style instead of a point: T. Karras et al., "Analyzing and
// improving the image quality of StyleGAN" (StyleGAN2), 2020, section 2 and figure 7 (skip images).
#pragma once
#include "genai/nn/gan_networks.h"

namespace genai {

/// A 3x3 convolution whose input channels are scaled by what a style says, and whose outputs are
/// brought back to unit variance (equations 1 and 3); then noise, bias, leaky. One kernel for all
/// images: scaling the weights for each image equals scaling its input and output channels.
struct StyledConvolutionImpl : torch::nn::Module {
  StyledConvolutionImpl(int64_t in, int64_t out, int64_t style);
  /// x [B, in, h, w], style [B, style], noise [B, 1, h, w] -> [B, out, h, w]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& style, const at::Tensor& noise);
  torch::nn::Linear affine{nullptr};  // style -> scales of the input channels
  at::Tensor weight, bias, noise_strength;
};
TORCH_MODULE(StyledConvolution);

/// Bilinear interpolation of images [B, C, H, W] between the centres of pixels, which gives the
/// same bits each time on every device.
at::Tensor enlarge(const at::Tensor& x, int64_t height, int64_t width);

class StyleGenerator : public GeneratorNetwork {
 public:
  StyleGenerator(const GeneratorConfig& config, int64_t in, int64_t channels, int64_t height,
                 int64_t width, int64_t grids = 0);
  /// One style for all layers.
  at::Tensor forward(const at::Tensor& points, const std::vector<at::Tensor>& noise,
                     const at::Tensor& grid = {}) override;
  /// One noise for each layer.
  std::vector<std::vector<int64_t>> noise_sizes() const override;

  int64_t layers() const { return static_cast<int64_t>(layers_->size()); }
  /// The mapping network: [B, in] -> styles [B, style].
  at::Tensor map(const at::Tensor& points);
  /// Images of a style [B, style] for each layer.
  at::Tensor render(const std::vector<at::Tensor>& styles, const std::vector<at::Tensor>& noise,
                    const at::Tensor& grid = {});
  /// [in channels, style] of a layer's affine map.
  at::Tensor style_matrix(int64_t layer);

 private:
  GeneratorConfig config_;
  int64_t channels_, height_, width_;
  std::vector<int64_t> heights_, widths_;  // positions, most first
  at::Tensor constant_;                    // [1, c, h, w]: where every image starts
  torch::nn::ModuleList mapping_{nullptr}, layers_{nullptr}, images_{nullptr};
  GridInput grids_{nullptr};
};

}  // namespace genai
