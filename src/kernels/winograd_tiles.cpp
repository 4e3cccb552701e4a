#include <algorithm>

#include "genai/base/vectorized.h"
#include "product_tile-inl.h"
#include "winograd_tiles-inl.h"

namespace genai::winograd {
namespace {

using product::Lanes, product::load, product::store;

// Polynomials are evaluated at 0, +-a, +-b and infinity. At the usual 1 and 2 rounding costs five
// times as much.
constexpr float kA = 0.70710678f, kB = 1.41421356f, kA2 = 0.5f, kB2 = 2.f;
// prod (p - q) over the other points q, at p = 0, +-a, +-b
constexpr float kN0 = kA2 * kB2, kNa = 2 * kA2 * (kA2 - kB2), kNb = 2 * kB2 * (kB2 - kA2);

// The matrices of Lavin and Gray, on one row or column of a tile.

/// At p and -p, from the even and the odd powers.
GENAI_INLINE void pair(const Lanes& even, const Lanes& odd, Lanes* y) {
  y[0] = even + odd;
  y[1] = even - odd;
}

/// B^T x: pixels -> points
struct ToPoints {
  static constexpr int kFrom = 6, kTo = 6;
  GENAI_INLINE static void apply(const Lanes* x, Lanes* y) {
    const Lanes even_a = x[4] - kB2 * x[2], odd_a = kA * (x[3] - kB2 * x[1]);
    const Lanes even_b = x[4] - kA2 * x[2], odd_b = kB * (x[3] - kA2 * x[1]);
    y[0] = kN0 * x[0] - (kA2 + kB2) * x[2] + x[4];
    pair(even_a, odd_a, y + 1);
    pair(even_b, odd_b, y + 3);
    y[5] = kN0 * x[1] - (kA2 + kB2) * x[3] + x[5];
  }
};

/// A^T x: points -> pixels
struct FromPoints {
  static constexpr int kFrom = 6, kTo = 4;
  GENAI_INLINE static void apply(const Lanes* x, Lanes* y) {
    const Lanes even_a = x[1] + x[2], odd_a = kA * (x[1] - x[2]);
    const Lanes even_b = x[3] + x[4], odd_b = kB * (x[3] - x[4]);
    y[0] = x[0] + even_a + even_b;
    y[1] = odd_a + odd_b;
    y[2] = kA2 * even_a + kB2 * even_b;
    y[3] = kA2 * odd_a + kB2 * odd_b + x[5];
  }
};

/// A x: the gradient of FromPoints
struct FromPointsGradient {
  static constexpr int kFrom = 4, kTo = 6;
  GENAI_INLINE static void apply(const Lanes* x, Lanes* y) {
    const Lanes even_a = x[0] + kA2 * x[2], odd_a = kA * (x[1] + kA2 * x[3]);
    const Lanes even_b = x[0] + kB2 * x[2], odd_b = kB * (x[1] + kB2 * x[3]);
    y[0] = x[0];
    pair(even_a, odd_a, y + 1);
    pair(even_b, odd_b, y + 3);
    y[5] = x[3];
  }
};

/// G x: taps of the filter -> points
struct WeightToPoints {
  static constexpr int kFrom = 3, kTo = 6;
  GENAI_INLINE static void apply(const Lanes* x, Lanes* y) {
    const Lanes even_a = (x[0] + kA2 * x[2]) * (1 / kNa), odd_a = x[1] * (kA / kNa);
    const Lanes even_b = (x[0] + kB2 * x[2]) * (1 / kNb), odd_b = x[1] * (kB / kNb);
    y[0] = x[0] * (1 / kN0);
    pair(even_a, odd_a, y + 1);
    pair(even_b, odd_b, y + 3);
    y[5] = x[2];
  }
};

/// G^T x: the gradient of WeightToPoints
struct WeightToPointsGradient {
  static constexpr int kFrom = 6, kTo = 3;
  GENAI_INLINE static void apply(const Lanes* x, Lanes* y) {
    const Lanes even_a = (x[1] + x[2]) * (1 / kNa), odd_a = (x[1] - x[2]) * (kA / kNa);
    const Lanes even_b = (x[3] + x[4]) * (1 / kNb), odd_b = (x[3] - x[4]) * (kB / kNb);
    y[0] = x[0] * (1 / kN0) + even_a + even_b;
    y[1] = odd_a + odd_b;
    y[2] = kA2 * even_a + kB2 * even_b + x[5];
  }
};

/// A matrix on the rows, then on the columns of a square.
template <class Matrix>
GENAI_INLINE void transform(const Lanes* in, Lanes* out) {
  constexpr int kFrom = Matrix::kFrom, kTo = Matrix::kTo;
  Lanes half[kFrom][kTo];
#pragma GCC unroll 6
  for (int i = 0; i < kFrom; ++i) Matrix::apply(in + i * kFrom, half[i]);
#pragma GCC unroll 6
  for (int j = 0; j < kTo; ++j) {
    Lanes column[kFrom], result[kTo];
#pragma GCC unroll 6
    for (int i = 0; i < kFrom; ++i) column[i] = half[i][j];
    Matrix::apply(column, result);
#pragma GCC unroll 6
    for (int i = 0; i < kTo; ++i) out[i * kTo + j] = result[i];
  }
}

/// The upper left pixel of a tile.
struct Corner {
  Corner(const Grid& grid, int64_t tile)
      : image(tile / (grid.across * grid.down)),
        y(tile / grid.across % grid.down * kTile),
        x(tile % grid.across * kTile) {}
  int64_t image, y, x;
};

/// Where the pixels of a square around a tile lie; outside of the image: at zeros.
template <int Side>
GENAI_INLINE void locate(const Grid& grid, int64_t tile, const float* x, int64_t channels,
                         const float* zeros, const float** pixels) {
  const Corner corner(grid, tile);
  for (int64_t i = 0; i < Side; ++i) {
    for (int64_t j = 0; j < Side; ++j) {
      const int64_t row = corner.y + i - (Side - kTile) / 2;
      const int64_t column = corner.x + j - (Side - kTile) / 2;
      const bool inside = row >= 0 && row < grid.height && column >= 0 && column < grid.width;
      const int64_t pixel = (corner.image * grid.height + row) * grid.width + column;
      pixels[i * Side + j] = inside ? x + pixel * channels : zeros;
    }
  }
}

/// x -> [36, C / panel, tiles, panel]
template <class Matrix>
GENAI_INLINE void to_points(const Grid& grid, const Chunk& chunk, const float* x, int64_t channels,
                            const float* zeros, int64_t panel, float* points, int64_t plane) {
  constexpr int kSide = Matrix::kFrom, kArea = kSide * kSide;
  const float *pixels[kArea], *next[kArea];
  locate<kSide>(grid, chunk.first, x, channels, zeros, next);
  for (int64_t t = 0; t < chunk.count; ++t) {
    std::copy(next, next + kArea, pixels);
    const int64_t following = std::min(chunk.first + t + 1, grid.tiles - 1);
    locate<kSide>(grid, following, x, channels, zeros, next);
    for (int64_t c = 0; c < channels; c += kLanes) {
      Lanes in[kArea], out[kPoints];
#pragma GCC unroll 36
      for (int i = 0; i < kArea; ++i) load(pixels[i] + c, in[i]);
        // Too short a run of memory for the CPU to foresee the next.
#pragma GCC unroll 36
      for (int i = 0; i < kArea; ++i) __builtin_prefetch(next[i] + c);
      transform<Matrix>(in, out);
      float* to = points + (c / panel * chunk.count + t) * panel + c % panel;
#pragma GCC unroll 36
      for (int i = 0; i < kPoints; ++i) store(out[i], to + i * plane);
    }
  }
}

}  // namespace

GENAI_VECTORIZED
void image_to_points(const Grid& grid, const Chunk& chunk, const float* x, int64_t channels,
                     const float* zeros, float* v, int64_t plane) {
  to_points<ToPoints>(grid, chunk, x, channels, zeros, channels, v, plane);
}

GENAI_VECTORIZED
void gradient_to_points(const Grid& grid, const Chunk& chunk, const float* dy, int64_t channels,
                        const float* zeros, float* d, int64_t plane) {
  to_points<FromPointsGradient>(grid, chunk, dy, channels, zeros, kPanel, d, plane);
}

GENAI_VECTORIZED
void points_to_image(const Grid& grid, const Chunk& chunk, const float* m, int64_t plane,
                     const float* bias, int64_t channels, float* y) {
  for (int64_t t = 0; t < chunk.count; ++t) {
    const Corner corner(grid, chunk.first + t);
    const int64_t rows = grid.height - corner.y, columns = grid.width - corner.x;
    const int64_t pixel = (corner.image * grid.height + corner.y) * grid.width + corner.x;
    for (int64_t c = 0; c < channels; c += kLanes) {
      const float* from = m + (c / kPanel * chunk.count + t) * kPanel + c % kPanel;
      float* to = y + pixel * channels + c;
      Lanes in[kPoints], out[kTile * kTile], b;
#pragma GCC unroll 36
      for (int i = 0; i < kPoints; ++i) load(from + i * plane, in[i]);
      transform<FromPoints>(in, out);
      load(bias + c, b);
#pragma GCC unroll 4
      for (int i = 0; i < kTile; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < kTile; ++j) {
          if (i >= rows || j >= columns) continue;
          store(out[i * kTile + j] + b, to + (i * grid.width + j) * channels);
        }
      }
    }
  }
}

GENAI_VECTORIZED
void multiply(const Product& p) {
  for (int64_t point = 0; point < kPoints; ++point) {
    for (int64_t column = 0; column < p.columns; column += kPanel) {
      const float *a = p.a + point * p.a_plane, *b = p.b + point * p.b_plane + column * p.depth;
      float* out = p.out + point * p.out_plane + column * p.rows;
      for (int64_t i = 0; i < p.rows; i += kRows) {
        product::multiply_up_to(p.rows - i, {.a = a + i * p.row,
                                             .row = p.row,
                                             .step = p.step,
                                             .b = b,
                                             .depth = p.depth,
                                             .out = out + i * kPanel,
                                             .out_row = kPanel,
                                             .add = p.add});
      }
    }
  }
}

GENAI_VECTORIZED
void weight_to_points(const Filter& filter, const float* w, int64_t o, float* u, int64_t plane) {
  for (int64_t c = 0; c < filter.in; ++c) {
    const float* from = w + o * filter.out_stride + c * filter.in_stride;
    float* to = u + (o / kPanel * filter.in + c) * kPanel + o % kPanel;
    Lanes in[9], out[kPoints];
#pragma GCC unroll 9
    for (int i = 0; i < 9; ++i) {
      float values[kLanes];
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        values[lane] = from[lane * filter.out_stride + filter.taps[i]];
      }
      load(values, in[i]);
    }
    transform<WeightToPoints>(in, out);
#pragma GCC unroll 36
    for (int i = 0; i < kPoints; ++i) store(out[i], to + i * plane);
  }
}

GENAI_VECTORIZED
void points_to_weight(const Filter& filter, const float* du, int64_t parts, int64_t plane,
                      int64_t o, float* dw) {
  for (int64_t c = 0; c < filter.in; ++c) {
    const float* from = du + (o / kPanel * filter.in + c) * kPanel + o % kPanel;
    float* to = dw + o * filter.out_stride + c * filter.in_stride;
    Lanes in[kPoints], out[9];
#pragma GCC unroll 36
    for (int i = 0; i < kPoints; ++i) load(from + i * plane, in[i]);
    for (int64_t part = 1; part < parts; ++part) {
      for (int i = 0; i < kPoints; ++i) {
        Lanes more;
        load(from + (part * kPoints + i) * plane, more);
        in[i] += more;
      }
    }
    transform<WeightToPointsGradient>(in, out);
#pragma GCC unroll 9
    for (int i = 0; i < 9; ++i) {
      float values[kLanes];
      store(out[i], values);
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        to[lane * filter.out_stride + filter.taps[i]] = values[lane];
      }
    }
  }
}

}  // namespace genai::winograd
