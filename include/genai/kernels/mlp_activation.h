// What an MLP does between its two matrices, and its derivative, each in one pass: LibTorch's
// operators take several, or a slower erf.
#pragma once
#include <ATen/core/Tensor.h>

#include "genai/core/language_shapes.h"

namespace genai {

/// @param x  [..., hidden], for swiglu [..., 2 hidden]: gates, then the others; a kernel of its own
///           for float32 on the CPU, LibTorch's operators for all else
/// Returns [..., hidden]; differentiable once. gelu is right to 2e-7 of |x| (erf: Abramowitz and
/// Stegun 7.1.26).
at::Tensor mlp_activation(MlpKind kind, const at::Tensor& x);

}  // namespace genai
