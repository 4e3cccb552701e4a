// x W^T + b by a product kernel of our own. In training a matrix is small and changes with each
// step: LibTorch's products spend a fifth of their time on laying numbers out anew
// (docs/results.md).
#pragma once
#include <ATen/core/Tensor.h>

namespace genai {

/// @param x       [..., in]; @param weight [out, in], both float32 on the CPU with sizes that are
///                multiples of 16 for the kernel; LibTorch's operator for all else
/// @param bias    [out], or undefined
/// Returns [..., out]; differentiable once. Its bits do not depend on the number of threads.
at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& bias = {});

}  // namespace genai
