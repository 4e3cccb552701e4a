// Images moved, hidden and recoloured at random, differentiably.
#pragma once
#include <ATen/core/Tensor.h>

namespace genai {

/// Moves each image by whole pixels, edges filled with 0: out(y, x) = in(y + dy, x + dx).
/// @param images   [B, C, H, W]
/// @param offsets  int64 [B, 2]: dy, dx, each within +- limit
at::Tensor shift_images(const at::Tensor& images, const at::Tensor& offsets, int64_t limit);

/// How strongly images are changed before a discriminator sees them: S. Zhao et al.,
/// "Differentiable augmentation for data-efficient GAN training", 2020, section 3.2. Zero: not.
struct AugmentConfig {
  double translation = 0;  // largest shift, as a share of a side (paper: 0.125)
  double cutout = 0;       // side of a square that is hidden, as a share (paper: 0.5)
  double color = 0;        // of brightness, saturation, contrast (paper: 1)

  bool any() const { return translation > 0 || cutout > 0 || color > 0; }
};

/// Numbers of augment_images for each image.
inline constexpr int64_t kAugmentDraws = 7;

/// @param images   [B, C, H, W] in -1..1, black is -1
/// @param uniform  [B, kAugmentDraws] in [0, 1)
at::Tensor augment_images(const at::Tensor& images, const AugmentConfig& config,
                          const at::Tensor& uniform);

}  // namespace genai
