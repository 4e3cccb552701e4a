#include "genai/nn/winograd.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

// One code path for every x86-64 CPU of the last decade, so that --exact holds on all of them.
#if defined(__x86_64__)
#define GENAI_VECTORIZED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define GENAI_VECTORIZED
#endif
#define GENAI_INLINE [[gnu::always_inline]] inline

namespace genai {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Channels are computed eight at a time, whatever the registers of the CPU.
constexpr int64_t kLanes = 8;
typedef float Lanes __attribute__((vector_size(32)));
typedef float Unaligned __attribute__((vector_size(32), aligned(4), may_alias));

GENAI_INLINE void load(const float* from, Lanes& to) {
  to = *reinterpret_cast<const Unaligned*>(from);
}
GENAI_INLINE void store(const Lanes& from, float* to) { *reinterpret_cast<Unaligned*>(to) = from; }

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
  static constexpr int from = 6, to = 6;
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
  static constexpr int from = 6, to = 4;
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
  static constexpr int from = 4, to = 6;
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
  static constexpr int from = 3, to = 6;
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
  static constexpr int from = 6, to = 3;
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
  constexpr int from = Matrix::from, to = Matrix::to;
  Lanes half[from][to];
#pragma GCC unroll 6
  for (int i = 0; i < from; ++i) Matrix::apply(in + i * from, half[i]);
#pragma GCC unroll 6
  for (int j = 0; j < to; ++j) {
    Lanes column[from], result[to];
#pragma GCC unroll 6
    for (int i = 0; i < from; ++i) column[i] = half[i][j];
    Matrix::apply(column, result);
#pragma GCC unroll 6
    for (int i = 0; i < to; ++i) out[i * to + j] = result[i];
  }
}

constexpr int64_t kTile = 4, kPoints = 36;
constexpr int64_t kRows = 6, kPanel = 16;   // of a product at once: 12 sums, in 12 of 16 registers
// Tiles at a time: their points stay in cache from the transform to the product and back.
constexpr int64_t kChunk = 4 * kRows;

/// The tiles of a batch of images in channels-last order.
struct Grid {
  explicit Grid(const at::Tensor& x) : images(x.size(0)), height(x.size(2)), width(x.size(3)) {}
  int64_t images, height, width;
  int64_t down = (height + kTile - 1) / kTile, across = (width + kTile - 1) / kTile;
  int64_t tiles = images * down * across;
};

struct Chunk {
  int64_t first, count;
};

/// The upper left pixel of a tile.
struct Corner {
  Corner(const Grid& grid, int64_t tile)
      : image(tile / (grid.across * grid.down)),
        y(tile / grid.across % grid.down * kTile),
        x(tile % grid.across * kTile) {}
  int64_t image, y, x;
};

/// Floats from the numbers of one point to those of the next. Not a power of two: of 36 places so
/// far apart a cache keeps but a few.
int64_t plane_of(int64_t rows, int64_t columns) { return rows * columns + kPanel; }

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
  constexpr int side = Matrix::from, area = side * side;
  const float *pixels[area], *next[area];
  locate<side>(grid, chunk.first, x, channels, zeros, next);
  for (int64_t t = 0; t < chunk.count; ++t) {
    std::copy(next, next + area, pixels);
    const int64_t following = std::min(chunk.first + t + 1, grid.tiles - 1);
    locate<side>(grid, following, x, channels, zeros, next);
    for (int64_t c = 0; c < channels; c += kLanes) {
      Lanes in[area], out[kPoints];
#pragma GCC unroll 36
      for (int i = 0; i < area; ++i) load(pixels[i] + c, in[i]);
      // Too short a run of memory for the CPU to foresee the next.
#pragma GCC unroll 36
      for (int i = 0; i < area; ++i) __builtin_prefetch(next[i] + c);
      transform<Matrix>(in, out);
      float* to = points + (c / panel * chunk.count + t) * panel + c % panel;
#pragma GCC unroll 36
      for (int i = 0; i < kPoints; ++i) store(out[i], to + i * plane);
    }
  }
}

/// x -> v [36, tiles, C]
GENAI_VECTORIZED
void image_to_points(const Grid& grid, const Chunk& chunk, const float* x, int64_t channels,
                     const float* zeros, float* v, int64_t plane) {
  to_points<ToPoints>(grid, chunk, x, channels, zeros, channels, v, plane);
}

/// dy -> d [36, O / 16, tiles, 16]: the gradient of points_to_image
GENAI_VECTORIZED
void gradient_to_points(const Grid& grid, const Chunk& chunk, const float* dy, int64_t channels,
                        const float* zeros, float* d, int64_t plane) {
  to_points<FromPointsGradient>(grid, chunk, dy, channels, zeros, kPanel, d, plane);
}

/// m [36, O / 16, tiles, 16] -> y
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

/// For each of the 36 points: out = a b, of shapes [columns / 16, rows, 16], [rows, depth] and
/// [columns / 16, depth, 16]; a[i][k] lies at i * row + k * step.
struct Product {
  const float* a;
  int64_t row, step, a_plane;
  const float* b;
  int64_t b_plane;
  float* out;
  int64_t out_plane, rows, columns, depth;
  bool add;   // to what is there
};

template <int64_t Rows>
GENAI_INLINE void multiply_rows(const Product& p, const float* a, const float* b, float* out) {
  Lanes sum[Rows][2] = {};
  if (p.add) {
#pragma GCC unroll 6
    for (int64_t r = 0; r < Rows; ++r) {
      load(out + r * kPanel, sum[r][0]);
      load(out + r * kPanel + kLanes, sum[r][1]);
    }
  }
  for (int64_t k = 0; k < p.depth; ++k, a += p.step, b += kPanel) {
    Lanes left, right;
    load(b, left);
    load(b + kLanes, right);
#pragma GCC unroll 6
    for (int64_t r = 0; r < Rows; ++r) {
      sum[r][0] += a[r * p.row] * left;
      sum[r][1] += a[r * p.row] * right;
    }
  }
#pragma GCC unroll 6
  for (int64_t r = 0; r < Rows; ++r) {
    store(sum[r][0], out + r * kPanel);
    store(sum[r][1], out + r * kPanel + kLanes);
  }
}

template <int64_t Rows>
GENAI_INLINE void multiply_up_to(int64_t rows, const Product& p, const float* a, const float* b,
                                 float* out) {
  if (rows >= Rows) return multiply_rows<Rows>(p, a, b, out);
  if constexpr (Rows > 1) multiply_up_to<Rows - 1>(rows, p, a, b, out);
}

GENAI_VECTORIZED
void multiply(const Product& p) {
  for (int64_t point = 0; point < kPoints; ++point) {
    for (int64_t column = 0; column < p.columns; column += kPanel) {
      const float *a = p.a + point * p.a_plane, *b = p.b + point * p.b_plane + column * p.depth;
      float* out = p.out + point * p.out_plane + column * p.rows;
      for (int64_t i = 0; i < p.rows; i += kRows) {
        multiply_up_to<kRows>(p.rows - i, p, a + i * p.row, b, out + i * kPanel);
      }
    }
  }
}

/// The strides of a filter as its convolution sees it: in the data gradient inputs are outputs, and
/// the taps are turned by 180 degrees.
struct Filter {
  Filter(const at::Tensor& w, bool turned)
      : in(w.size(turned ? 0 : 1)),
        out(w.size(turned ? 1 : 0)),
        in_stride(w.stride(turned ? 0 : 1)),
        out_stride(w.stride(turned ? 1 : 0)) {
    for (int64_t i = 0; i < 9; ++i) {
      const int64_t tap = turned ? 8 - i : i;
      taps[i] = tap / 3 * w.stride(2) + tap % 3 * w.stride(3);
    }
  }
  int64_t in, out, in_stride, out_stride, taps[9];
};

/// w -> u [36, O / 16, C, 16], from output `o` on
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

/// The sum of du [parts, 36, O / 16, C, 16] -> dw, from output `o` on
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

/// What both products need: the tiles cut into one part for each thread, room for the points of a
/// chunk in each, and zeros.
struct Work {
  Work(const at::Tensor& x, int64_t in, int64_t out)
      : grid(x),
        parts(std::min<int64_t>(at::get_num_threads(), grid.tiles)),
        in_plane(plane_of(kChunk, in)),
        out_plane(plane_of(kChunk, out)),
        u_plane(plane_of(in, out)),
        room(at::empty({parts, kPoints * (in_plane + out_plane)}, x.options())),
        zeros(at::zeros({std::max(in, out)}, x.options())) {}

  int64_t first_of(int64_t part) const { return grid.tiles * part / parts; }

  /// f(part, chunk, points of the input, points of the output)
  template <class F>
  void for_chunks(F f) const {
    float* const points = room.mutable_data_ptr<float>();
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        float* const own = points + part * kPoints * (in_plane + out_plane);
        const int64_t last = first_of(part + 1);
        for (int64_t i = first_of(part); i < last; i += kChunk) {
          f(part, Chunk{.first = i, .count = std::min(kChunk, last - i)}, own,
            own + kPoints * in_plane);
        }
      }
    });
  }

  Grid grid;
  int64_t parts, in_plane, out_plane, u_plane;
  at::Tensor room, zeros;
};

/// f(o) for every eighth output
template <class F>
void for_outputs(const Filter& filter, F f) {
  at::parallel_for(0, filter.out / kPanel, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin * kPanel; o < end * kPanel; o += kLanes) f(o);
  });
}

/// conv2d(x, weight, bias, 1, 1), or, turned, the gradient of its data.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    bool turned) {
  const Filter filter(weight, turned);
  const int64_t in = filter.in, out = filter.out;
  const Work work(x, in, out);
  const Grid& grid = work.grid;
  const at::Tensor y = at::empty({grid.images, out, grid.height, grid.width}, x.options(),
                                 at::MemoryFormat::ChannelsLast);
  const at::Tensor u = at::empty({kPoints, work.u_plane}, x.options());
  const at::Tensor offsets = bias.defined() ? bias.contiguous() : work.zeros;
  const float *pixels = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>(),
              *b = offsets.const_data_ptr<float>(), *zeros = work.zeros.const_data_ptr<float>();
  float *points = u.mutable_data_ptr<float>(), *to = y.mutable_data_ptr<float>();
  for_outputs(filter, [&](int64_t o) { weight_to_points(filter, w, o, points, work.u_plane); });
  work.for_chunks([&](int64_t, const Chunk& chunk, float* v, float* m) {
    image_to_points(grid, chunk, pixels, in, zeros, v, work.in_plane);
    multiply({.a = v, .row = in, .step = 1, .a_plane = work.in_plane,
              .b = points, .b_plane = work.u_plane,
              .out = m, .out_plane = work.out_plane,
              .rows = chunk.count, .columns = out, .depth = in, .add = false});
    points_to_image(grid, chunk, m, work.out_plane, b, out, to);
  });
  return y;
}

at::Tensor weight_gradient(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& weight) {
  const at::Tensor dw = at::empty_like(weight);
  const Filter filter(dw, false);
  const int64_t in = filter.in, out = filter.out;
  const Work work(x, in, out);
  const Grid& grid = work.grid;
  const at::Tensor du = at::empty({work.parts, kPoints, work.u_plane}, x.options());
  const float *pixels = x.const_data_ptr<float>(), *slopes = dy.const_data_ptr<float>(),
              *zeros = work.zeros.const_data_ptr<float>();
  float *points = du.mutable_data_ptr<float>(), *to = dw.mutable_data_ptr<float>();
  work.for_chunks([&](int64_t part, const Chunk& chunk, float* v, float* d) {
    // The points of x are computed again: kept since the forward pass they would take 2.25 times
    // the memory of x, and reading that costs as much.
    image_to_points(grid, chunk, pixels, in, zeros, v, work.in_plane);
    gradient_to_points(grid, chunk, slopes, out, zeros, d, work.out_plane);
    multiply({.a = v, .row = 1, .step = in, .a_plane = work.in_plane,
              .b = d, .b_plane = work.out_plane,
              .out = points + part * kPoints * work.u_plane, .out_plane = work.u_plane,
              .rows = in, .columns = out, .depth = chunk.count,
              .add = chunk.first > work.first_of(part)});
  });
  for_outputs(filter, [&](int64_t o) {
    points_to_weight(filter, points, work.parts, work.u_plane, o, to);
  });
  return dw;
}

struct Winograd : torch::autograd::Function<Winograd> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return convolve(x, weight, bias, false);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const bool dx = context->needs_input_grad(0), dw = context->needs_input_grad(1),
               db = context->needs_input_grad(2);
    if (at::GradMode::is_enabled()) {   // gradients of these gradients will be asked for
      const auto [a, b, c] =
          at::convolution_backward(gradients[0], x, weight, at::IntArrayRef{weight.size(0)}, {1, 1},
                                   {1, 1}, {1, 1}, false, {0, 0}, 1, {dx, dw, db});
      return {a, b, c};
    }
    const at::Tensor dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    return {dx ? convolve(dy, weight, {}, true) : at::Tensor(),
            dw ? weight_gradient(x, dy, weight) : at::Tensor(),
            db ? dy.sum({0, 2, 3}) : at::Tensor()};
  }
};

/// Where this is faster: where tiles fit (then it takes a quarter of the multiplications) and are
/// enough to make up for the transform of the weight.
bool pays(const at::Tensor& x, const at::Tensor& weight) {
  constexpr int64_t kFewestTiles = 16, kFewestPixels = 8;   // the latter of a tile's 16
  const Grid grid(x);
  return x.size(1) % kPanel == 0 && weight.size(0) % kPanel == 0 && grid.tiles >= kFewestTiles &&
         grid.images * grid.height * grid.width >= kFewestPixels * grid.tiles;
}

}  // namespace

at::Tensor convolution3x3(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto simple = [](const at::Tensor& t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat;
  };
  const bool ours = x.dim() == 4 && simple(x) && simple(weight) &&
                    weight.sizes() == at::IntArrayRef{weight.size(0), x.size(1), 3, 3} &&
                    (!bias.defined() || (simple(bias) && bias.numel() == weight.size(0))) &&
                    x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
                    !at::autocast::is_autocast_enabled(at::kCPU) && pays(x, weight);
  if (!ours) return at::conv2d(x, weight, bias, 1, 1);
  // A custom function takes no undefined tensor.
  const at::Tensor offsets = bias.defined() ? bias : at::zeros({weight.size(0)}, x.options());
  return Winograd::apply(x, weight, offsets);
}

}  // namespace genai
