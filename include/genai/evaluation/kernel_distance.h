// Kernel distance: M. Binkowski et al., "Demystifying MMD GANs", 2018, section 4. Unbiased, so that
// small sets may be compared.
#pragma once
#include "genai/core/tensors.h"

namespace genai {

/// Unbiased squared maximum mean discrepancy of a [n, d] and b [m, d] under the kernel
/// (x.y / d + 1)^3, in float64; may be negative. Throws Error{data} when either has fewer than two
/// rows or a number that is not finite.
double kernel_distance(const Tensor& a, const Tensor& b);

struct KernelSubsets {
  int64_t count = 100, size = 1000;
};

/// kernel_distance of `count` random subsets, [count] float64; subsets are the same at every call
/// with sets of the same sizes. Throws Error{data} when a set has fewer rows than a subset.
Tensor kernel_distances(const Tensor& a, const Tensor& b, KernelSubsets subsets = {});

}  // namespace genai
