// Attention of each token over those before it and itself, for the short contexts of small models.
#pragma once
#include <ATen/core/Tensor.h>

namespace genai {

/// softmax(q k^T / sqrt(head) + mask) v, A. Vaswani et al. 2017, equation 1; row i sees rows 0 to
/// i.
/// @param q        [B, H, T, head], `k` and `v` alike; a kernel of its own, which leaves out what
/// is
///                 masked, for float32 on the CPU, where T and head are multiples of 16 and T is at
///                 most 512; LibTorch's operator for all else
/// @param dropout  share of the weights that is dropped, less than 1; which ones LibTorch's
///                 generator decides (the kernel takes one number from it, as the key of a stream)
/// Differentiable once. The kernel's bits do not depend on the number of threads.
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            double dropout);

}  // namespace genai
