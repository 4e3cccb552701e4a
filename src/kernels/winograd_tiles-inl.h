// The arithmetic of kernels/winograd on plain arrays of floats: pixels to points and back,
// products.
//
// A tile is 4x4 pixels of the result. Its input, 6x6 pixels, becomes 36 values, those of a product
// of polynomials at 36 points; there a convolution is a matrix product for each point.
#pragma once
#include "product_tile-inl.h"

namespace genai::winograd {

constexpr int64_t kTile = 4, kPoints = 36;
using product::kLanes, product::kPanel, product::kRows;
// Tiles at a time: their points stay in cache from the transform to the product and back.
constexpr int64_t kChunk = 4 * kRows;

/// The tiles of a batch of images in channels-last order.
struct Grid {
  int64_t images, height, width;
  int64_t down = (height + kTile - 1) / kTile, across = (width + kTile - 1) / kTile;
  int64_t tiles = images * down * across;
};

/// Consecutive tiles.
struct Chunk {
  int64_t first, count;
};

/// Floats from the numbers of one point to those of the next. Not a power of two: of 36 places so
/// far apart a cache keeps but a few.
inline int64_t plane_of(int64_t rows, int64_t columns) {
  return rows * columns + kPanel;
}

/// x [images, height, width, C] -> v [36, tiles, C]; zeros: C of them, for pixels outside
void image_to_points(const Grid& grid, const Chunk& chunk, const float* x, int64_t channels,
                     const float* zeros, float* v, int64_t plane);

/// m [36, O / 16, tiles, 16] -> y [images, height, width, O]; bias [O]
void points_to_image(const Grid& grid, const Chunk& chunk, const float* m, int64_t plane,
                     const float* bias, int64_t channels, float* y);

/// dy -> d [36, O / 16, tiles, 16]: the gradient of points_to_image
void gradient_to_points(const Grid& grid, const Chunk& chunk, const float* dy, int64_t channels,
                        const float* zeros, float* d, int64_t plane);

/// For each of the 36 points: out = a b, of shapes [columns / 16, rows, 16], [rows, depth] and
/// [columns / 16, depth, 16]; a[i][k] lies at i * row + k * step.
struct Product {
  const float* a;
  int64_t row, step, a_plane;
  const float* b;
  int64_t b_plane;
  float* out;
  int64_t out_plane, rows, columns, depth;
  bool add;  // to what is there
};

void multiply(const Product& product);

/// A filter as its convolution sees it, with the places of its weights: in the data gradient inputs
/// are outputs, and the taps are turned by 180 degrees.
struct Filter {
  int64_t in, out, in_stride, out_stride;
  int64_t taps[9] = {};
};

/// w -> u [36, O / 16, C, 16], eight outputs from output `o` on
void weight_to_points(const Filter& filter, const float* w, int64_t o, float* u, int64_t plane);

/// The sum of du [parts, 36, O / 16, C, 16] -> dw, eight outputs from output `o` on
void points_to_weight(const Filter& filter, const float* du, int64_t parts, int64_t plane,
                      int64_t o, float* dw);

}  // namespace genai::winograd
