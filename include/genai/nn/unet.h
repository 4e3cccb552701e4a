// The network of diffusion models: residual blocks on falling and rising resolutions, joined by
// skip connections: O. Ronneberger et al., "U-Net", 2015, in the form of P. Dhariwal, A. Nichol,
// "Diffusion models beat GANs on image synthesis", 2021, section 3 and appendix A.
#pragma once

#include "genai/base/fields.h"
#include "genai/nn/caption_encoder.h"

namespace genai {

struct UNetConfig {
  int64_t width = 32;
  std::vector<int64_t> multipliers = {1, 2};
  int64_t blocks = 2;
  std::vector<int64_t> attention = {};
  int64_t head_width = 32;
  int64_t patch = 1;
  double dropout = 0;
};
const FieldTable& unet_fields();

/// Throws Error{usage} when images of this size cannot be halved so often, or an attention level
/// does not exist.
void check_unet(const UNetConfig& config, int64_t height, int64_t width);

/// GroupNorm (Y. Wu, K. He 2018), optionally scaled and shifted as the condition says, then SiLU.
struct NormImpl : torch::nn::Module {
  explicit NormImpl(int64_t channels);
  /// @param x      [B, C, H, W]
  /// @param scale  [B, C] or undefined: silu(norm(x) (1 + scale) + shift)
  at::Tensor forward(const at::Tensor& x, const at::Tensor& scale = {},
                     const at::Tensor& shift = {});
  int64_t groups;
  at::Tensor weight, bias;
};
TORCH_MODULE(Norm);

/// norm, convolution, norm (told the condition), convolution; added to its input.
struct ResidualBlockImpl : torch::nn::Module {
  ResidualBlockImpl(int64_t in, int64_t out, int64_t condition, double dropout);
  /// x [B, in, H, W], condition [B, condition] -> [B, out, H, W]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& condition);

 private:
  double dropout_;
  Norm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Conv2d convolution1_{nullptr}, convolution2_{nullptr}, shortcut_{nullptr};
  torch::nn::Linear condition_{nullptr};
};
TORCH_MODULE(ResidualBlock);

/// Self-attention among all positions of an image, and to the words of its caption, whose keys and
/// values stand beside those of the positions (A. Nichol et al., "GLIDE", 2021, section 3); added
/// to its input. Where there are words, positions also know where they are.
struct ImageAttentionImpl : torch::nn::Module {
  /// @param words  numbers of an encoded word; 0: it is told none
  ImageAttentionImpl(int64_t channels, int64_t heads, int64_t words = 0);
  /// x [B, C, H, W], words [B, T, words] or undefined -> [B, C, H, W]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& words);

 private:
  int64_t heads_;
  torch::nn::GroupNorm norm_{nullptr};
  torch::nn::Linear query_key_value_{nullptr}, words_{nullptr}, out_{nullptr};
};
TORCH_MODULE(ImageAttention);

/// sin and cos of t times `width / 2` frequencies from 1 to 1/10,000: [B] -> [B, width]
/// (A. Vaswani et al., "Attention is all you need", 2017, section 3.5).
at::Tensor sinusoidal_embedding(const at::Tensor& t, int64_t width);

/// Is that a name of weights within the levels or the words' blocks, which Muon updates? Not those
/// next to the image, the words, the class or the noise level.
bool is_hidden_matrix(const std::string& name);

struct UNetImpl : torch::nn::Module {
  /// @param classes  0: unconditional; else labels 0 .. classes, the last of them "no class"
  /// @param words    0: it is told none; else ids, the last of them "no word", `length` at a time
  UNetImpl(const UNetConfig& config, int64_t in, int64_t out, int64_t classes, int64_t words = 0,
           int64_t length = 0);
  /// x [B, in, H, W], time [B] in 0..1000, labels int64 [B], words int64 [B, length]
  /// -> [B, out, H, W]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& time, const at::Tensor& labels,
                     const at::Tensor& words = {});

 private:
  UNetConfig config_;
  torch::nn::Linear time1_{nullptr}, time2_{nullptr};
  torch::nn::Embedding classes_{nullptr};
  CaptionEncoder words_{nullptr};
  torch::nn::Conv2d in_{nullptr}, out_{nullptr};
  torch::nn::ModuleList down_{nullptr}, up_{nullptr};  // [level][block], the last one resizes
  ResidualBlock middle1_{nullptr}, middle2_{nullptr};
  ImageAttention middle_attention_{nullptr};
  Norm norm_{nullptr};
};
TORCH_MODULE(UNet);

}  // namespace genai
