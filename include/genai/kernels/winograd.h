// 3x3 convolutions by Winograd's minimal filtering F(4x4, 3x3): A. Lavin, S. Gray, "Fast algorithms
// for convolutional neural networks", 2016.
#pragma once
#include <ATen/core/Tensor.h>

namespace genai {

/// at::conv2d(x, weight, bias, 1, 1) but for rounding, at about twice its speed.
/// @param x       [B, C, H, W]
/// @param weight  [O, C, 3, 3]
/// @param bias    [O] or undefined
/// The fast path is for float32 on the CPU without autocast, x in channels-last order, C and O
/// multiples of 16, at least 16 tiles of 4x4 pixels in the batch, and half of their pixels inside
/// of the images; all else is at::conv2d. Differentiable as often as that.
at::Tensor convolution3x3(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace genai
