// A tile of a matrix product in registers: up to 6 x 16 sums, 12 of 16 registers. Included by files
// whose functions are GENAI_VECTORIZED.
#pragma once
#include <cstdint>

#define GENAI_INLINE [[gnu::always_inline]] inline

namespace genai::product {

constexpr int64_t kRows = 6, kPanel = 16;
constexpr int64_t kLanes = 8;  // computed at once, whatever the registers of the CPU

using Lanes __attribute__((vector_size(32))) = float;
using Unaligned __attribute__((vector_size(32), aligned(4), may_alias)) = float;

GENAI_INLINE void load(const float* from, Lanes& to) {
  to = *reinterpret_cast<const Unaligned*>(from);
}
GENAI_INLINE void store(const Lanes& from, float* to) {
  *reinterpret_cast<Unaligned*>(to) = from;
}

/// out[r][j] (+)= sum over k of a[r][k] b[k][j], j < 16. Each sum goes through k one by one, so a
/// number does not depend on the tile that it is in.
struct Tile {
  const float* a;
  int64_t row, step;  ///< a[r][k] lies at r * row + k * step
  const float* b;     ///< [depth, 16]
  int64_t depth;
  float* out;
  int64_t out_row;  ///< from a row of the result to the next
  bool add;         ///< to what is there
};

template <int64_t Rows>
GENAI_INLINE void multiply_rows(const Tile& t) {
  Lanes sum[Rows][2] = {};
  if (t.add) {
#pragma GCC unroll 6
    for (int64_t r = 0; r < Rows; ++r) {
      load(t.out + r * t.out_row, sum[r][0]);
      load(t.out + r * t.out_row + kLanes, sum[r][1]);
    }
  }
  const float *a = t.a, *b = t.b;
  for (int64_t k = 0; k < t.depth; ++k, a += t.step, b += kPanel) {
    Lanes left, right;
    load(b, left);
    load(b + kLanes, right);
#pragma GCC unroll 6
    for (int64_t r = 0; r < Rows; ++r) {
      sum[r][0] += a[r * t.row] * left;
      sum[r][1] += a[r * t.row] * right;
    }
  }
#pragma GCC unroll 6
  for (int64_t r = 0; r < Rows; ++r) {
    store(sum[r][0], t.out + r * t.out_row);
    store(sum[r][1], t.out + r * t.out_row + kLanes);
  }
}

/// `rows` of them, 6 at most.
template <int64_t Rows = kRows>
GENAI_INLINE void multiply_up_to(int64_t rows, const Tile& t) {
  if (rows >= Rows) return multiply_rows<Rows>(t);
  if constexpr (Rows > 1) multiply_up_to<Rows - 1>(rows, t);
}

}  // namespace genai::product
