// Generators and discriminators of any image size and channel count.
//
// dcgan: strided convolutions 4x4, A. Radford et al., "Unsupervised representation learning with
// deep convolutional GANs", 2016, section 3. residual: without normalization, after N. Huang et
// al., "The GAN is dead; long live the GAN! A modern baseline GAN" (R3GAN), 2024, section 4. unet:
// from a grid, P. Isola et al., "Image-to-image translation with conditional adversarial networks"
// (pix2pix), 2017, section 3.2.
#pragma once

#include "genai/base/fields.h"
#include "genai/nn/grid_input.h"
#include "genai/nn/modules.h"
#include "genai/nn/patches.h"
#include "genai/nn/spectral_norm.h"

namespace genai {

enum class GeneratorKind { dcgan, residual, style, unet };
enum class DiscriminatorKind { dcgan, residual };
enum class Normalization { none, batch };

struct GeneratorConfig {
  GeneratorKind kind = GeneratorKind::residual;
  int64_t width = 32;
  int64_t levels = 1;
  int64_t blocks = 1;
  int64_t patch = 2;
  Normalization norm = Normalization::none;
  int64_t style = 64;   // style generator: numbers of a style
  int64_t mapping = 4;  // style generator: layers of the mapping network
  double mixing = 0.9;  // style generator: share of images of two styles in training
};

struct DiscriminatorConfig {
  DiscriminatorKind kind = DiscriminatorKind::residual;
  int64_t width = 32;
  int64_t levels = 1;
  int64_t blocks = 1;
  int64_t patch = 2;
  int64_t head = 256;  // residual: features before the score; 0: the maps themselves
  Normalization norm = Normalization::none;
  bool spectral = false;
  bool patches = false;
};

const FieldTable& generator_fields();
const FieldTable& discriminator_fields();

/// leaky_relu with slope 0.2 below 0
at::Tensor leaky(const at::Tensor& x);

/// A dense layer initialized after K. He et al. 2015 for leaky().
torch::nn::Linear he_linear(int64_t in, int64_t out);

/// A convolution with padding side / 2 that may be spectrally normalized; 3x3 ones of stride 1 take
/// kernels/winograd's way. Initialized after K. He et al. 2015 for leaky().
struct ConvolutionImpl : torch::nn::Module {
  ConvolutionImpl(int64_t in, int64_t out, int64_t side, bool spectral = false);
  at::Tensor forward(const at::Tensor& x);  // [B, in, H, W] -> [B, out, H, W]
  at::Tensor weight, bias;

 private:
  SpectralNorm spectral_{nullptr};
};
TORCH_MODULE(Convolution);

/// x + convolution(leaky(convolution(leaky(x)))), near x at first.
struct PlainBlockImpl : torch::nn::Module {
  PlainBlockImpl(int64_t channels, bool spectral);
  at::Tensor forward(const at::Tensor& x);

 private:
  Convolution convolution1_{nullptr}, convolution2_{nullptr};
};
TORCH_MODULE(PlainBlock);

/// Holds numbers to -1..1 but for a hundredth of what lies beyond: black can be black, and a
/// generator whose pixels are all beyond still learns, which at the ends of tanh it does not.
at::Tensor held(const at::Tensor& x);

/// Makes images from points of a latent space.
class GeneratorNetwork : public torch::nn::Module {
 public:
  /// @param points  [B, in]
  /// @param noise   [B, 1, h, w] for each of noise_sizes()
  /// @param grid    [B, grids, H, W] in -1..1 that the images belong to, of those that are told one
  /// @return        [B, C, H, W]; -1 is black, 1 white, and what goes beyond is to be cut
  virtual at::Tensor forward(const at::Tensor& points, const std::vector<at::Tensor>& noise,
                             const at::Tensor& grid = {}) = 0;
  /// Heights and widths of the noise that layers add.
  virtual std::vector<std::vector<int64_t>> noise_sizes() const { return {}; }
};

/// dcgan, residual or unet.
/// @param in     numbers of a point
/// @param grids  channels of the grid that it is told
std::shared_ptr<GeneratorNetwork> make_plain_generator(const GeneratorConfig& config, int64_t in,
                                                       int64_t channels, int64_t height,
                                                       int64_t width, int64_t grids = 0);

/// Scores images: high for real ones.
struct DiscriminatorImpl : torch::nn::Module {
  /// @param classes  0: unconditional; else the score is of image and class by projection:
  ///                 T. Miyato, M. Koyama, "cGANs with projection discriminator", 2018, equation 4
  DiscriminatorImpl(const DiscriminatorConfig& config, int64_t channels, int64_t height,
                    int64_t width, int64_t classes);
  /// images [B, C, H, W] in -1..1, labels int64 [B] or undefined -> [B], at least float32; of
  /// patches [B, P], one of each place of the last maps (pix2pix, section 3.3)
  at::Tensor forward(const at::Tensor& images, const at::Tensor& labels);

 private:
  at::Tensor features(const at::Tensor& images);  // [B, F]; of patches [B, P, F]
  at::Tensor rows(const at::Tensor& maps) const;  // those of maps [B, F, h, w]

  DiscriminatorConfig config_;
  torch::nn::ModuleList layers_{nullptr}, norms_{nullptr}, spectral_{nullptr};  // dcgan
  Convolution in_{nullptr};                                                     // residual
  torch::nn::ModuleList blocks_{nullptr}, widen_{nullptr};
  torch::nn::Linear head_{nullptr}, score_{nullptr};
  torch::nn::Embedding classes_{nullptr};
  SpectralNorm head_norm_{nullptr}, score_norm_{nullptr}, classes_norm_{nullptr};
};
TORCH_MODULE(Discriminator);

}  // namespace genai
