// Group normalization, an affine map and SiLU in one pass over images in cache: with LibTorch's own
// operators these take longer than the convolutions between them (docs/results.md).
#pragma once
#include <ATen/core/Tensor.h>

namespace genai {

/// silu(normalized(x) * scale + shift), normalized over each image's groups of channels (Y. Wu,
/// K. He, "Group normalization", 2018, equation 7; epsilon 1e-5).
/// @param x      [B, C, H, W], float32 or bfloat16; a kernel of its own for float32 images on the
///               CPU in channels-last order, LibTorch's operators for all else
/// @param scale  [B, C] or [1, C], and `shift` alike
/// Differentiable once.
at::Tensor group_norm_silu(const at::Tensor& x, int64_t groups, const at::Tensor& scale,
                           const at::Tensor& shift);

}  // namespace genai
