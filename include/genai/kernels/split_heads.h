// From the product of an attention's first matrix to queries, keys and values, normed and turned by
// their places in one pass: LibTorch's operators take twenty.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>

namespace genai {

struct HeadsShape {
  int64_t heads, kv_heads, head;  ///< heads of queries, of keys and values; numbers of a head
};

/// @param qkv     [B, T, (heads + 2 kv_heads) head]: queries, keys, values; a kernel of its own for
///                float32 on the CPU, LibTorch's operators for all else
/// @param unit    queries and keys are divided by their root mean square (epsilon 1e-6)
/// @param cosine  [T, head / 2] with `sine`, or undefined: pairs (j, j + head / 2) of queries and
/// keys
///                are turned by the angles of their place (J. Su et al. 2021, equation 34)
/// Returns queries [B, heads, T, head], keys and values [B, kv_heads, T, head]; differentiable once
/// in qkv.
std::array<at::Tensor, 3> split_heads(const at::Tensor& qkv, const HeadsShape& shape, bool unit,
                                      const at::Tensor& cosine, const at::Tensor& sine);

}  // namespace genai
