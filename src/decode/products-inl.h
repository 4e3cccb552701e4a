// Products of rows by matrices, for one kind of CPU: to be included by loops-inl.h, which
// tells what is defined there. Hence no #pragma once.

/// Of a tile: rows `row`, ... and every `apart`-th panel from `panel` on.
template <int Rows, int Panels>
using Sums = Lanes[Rows][Panels][kVectors];

/// The first output of vector j of a row of them.
GENAI_INLINE int64_t output_of(int64_t panel, int64_t apart, int j) {
  return (panel + j / kVectors * apart) * kPanel + j % kVectors * kLanes;
}

template <int Rows, int Panels>
GENAI_INLINE void begin_sums(const Product& p, int64_t panel, int64_t apart,
                             Sums<Rows, Panels>& sum) {
#pragma GCC unroll 16
  for (int j = 0; j < Panels * kVectors; ++j) {
    const Lanes start = p.bias ? load(p.bias + output_of(panel, apart, j)) : Lanes{};
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) sum[r][j / kVectors][j % kVectors] = start;
  }
}

template <int Rows, int Panels>
GENAI_INLINE void store_sums(const Product& p, int64_t row, int64_t panel, int64_t apart,
                             const Sums<Rows, Panels>& sum) {
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < Panels * kVectors; ++j) {
      float* to = p.out + (row + r) * p.out_stride + output_of(panel, apart, j);
      const Lanes& result = sum[r][j / kVectors][j % kVectors];
      store(p.add ? load(to) + result : result, to);
    }
  }
}

/// A tile of float32. The sum of an output goes through its inputs one by one.
template <int Rows, int Panels>
GENAI_INLINE void multiply_tile(const Product& p, int64_t row, int64_t panel, int64_t apart) {
  const int64_t depth = p.matrix->in, step = depth * kPanel * apart, stride = p.x.x_stride;
  const float* w = p.matrix->floats() + panel * depth * kPanel;
  const float* x = p.x.x + row * stride;
  Sums<Rows, Panels> sum;
  begin_sums<Rows, Panels>(p, panel, apart, sum);
  for (int64_t k = 0; k < depth; ++k, w += kPanel, ++x) {
#pragma GCC unroll 4
    for (int q = 0; q < Panels; ++q) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const Lanes weight = load(w + q * step + v * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          sum[r][q][v] = fma(all(x[r * stride]), weight, sum[r][q][v]);
        }
      }
    }
  }
  store_sums<Rows, Panels>(p, row, panel, apart, sum);
}

/// A tile of int8: integer sums of each 32 inputs, scaled and added one by one.
template <int Rows, int Panels>
GENAI_INLINE void multiply_bytes_tile(const Product& p, int64_t row, int64_t panel, int64_t apart) {
  const int64_t groups = padded(p.matrix->in) / kPad, step = groups * kGroupBytes * apart;
  const uint8_t* w = p.matrix->bytes() + panel * groups * kGroupBytes;
  const int8_t* x = p.x.quantized + row * groups * kPad;
  const float* scales = p.x.scales + row * groups;
  const int32_t* offsets = p.x.offsets + row * groups;
  Sums<Rows, Panels> sum;
  begin_sums<Rows, Panels>(p, panel, apart, sum);
  for (int64_t g = 0; g < groups; ++g, w += kGroupBytes, x += kPad, ++scales, ++offsets) {
    Ints dot[Rows][Panels][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < Panels * kVectors; ++j) {
        dot[r][j / kVectors][j % kVectors] = offsets[r * groups] - Ints{};
      }
    }
    dot_group<Rows, Panels>(w, step, x, groups * kPad, dot);
#pragma GCC unroll 4
    for (int q = 0; q < Panels; ++q) {
      const auto* weight_scales = reinterpret_cast<const uint16_t*>(w + q * step + kPanel * kPad);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const Lanes scale = part(weight_scales, v) * scales[r * groups];
          sum[r][q][v] = fma(__builtin_convertvector(dot[r][q][v], Lanes), scale, sum[r][q][v]);
        }
      }
    }
  }
  store_sums<Rows, Panels>(p, row, panel, apart, sum);
}

/// Panels at once: enough sums to hide the latency of an addition, few enough for the registers.
/// One row is as fast as its weights come: fastest in streams that go on from tile to tile, each
/// through its part of the panels, four of 64 bytes or two of 544.
template <WeightFormat Format, int Rows, int Panels>
void multiply_columns(const Product& p, int64_t row, int64_t first, int64_t last) {
  const int64_t apart = (last - first) / Panels;
  for (int64_t i = first; i < first + apart; ++i) {
    if constexpr (Format == WeightFormat::float32) {
      multiply_tile<Rows, Panels>(p, row, i, apart);
    } else {
      multiply_bytes_tile<Rows, Panels>(p, row, i, apart);
    }
  }
  if constexpr (Panels > 1) {
    multiply_columns<Format, Rows, Panels / 2>(p, row, first + apart * Panels, last);
  }
}

template <int Rows>
void multiply_up_to(int64_t rows, const Product& p, int64_t row, int64_t first, int64_t last) {
  if (rows == Rows) {
    if (p.matrix->format == WeightFormat::float32) {
      constexpr int kPanels = Rows == 1 ? 4 : Rows < 4 ? 2 : 1;
      return multiply_columns<WeightFormat::float32, Rows, kPanels>(p, row, first, last);
    }
    return multiply_columns < WeightFormat::int8, Rows, Rows == 1 ? 2 : 1 > (p, row, first, last);
  }
  if constexpr (Rows > 1) multiply_up_to<Rows - 1>(rows, p, row, first, last);
}

void multiply(const Product& p, int64_t first, int64_t last) {
  constexpr int64_t kRows = 6;
  if (p.x.rows == 1) return multiply_up_to<1>(1, p, 0, first, last);
  // Rows in equal parts; a few panels for all of them before the next, so that they stay in cache.
  const int64_t parts = (p.x.rows + kRows - 1) / kRows;
  for (int64_t panel = first; panel < last; panel += 2) {
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t row = p.x.rows * part / parts;
      multiply_up_to<kRows>(p.x.rows * (part + 1) / parts - row, p, row, panel,
                            std::min(panel + 2, last));
    }
  }
}

void quantize(const float* x, int64_t width, int8_t* quantized, float* scales, int32_t* offsets) {
  for (int64_t k = 0; k < width; k += kPad, x += kPad, quantized += kPad) {
    Lanes most{};
#pragma GCC unroll 8
    for (int64_t i = 0; i < kPad; i += kLanes) {
      const Lanes v = load(x + i), size = v < 0.f ? -v : v;
      most = size > most ? size : most;
    }
    float largest = 0;
#pragma GCC unroll 8
    for (int i = 0; i < kLanes; ++i) largest = std::max(largest, most[i]);
    const float inverse = largest > 0 ? kMostInput / largest : 0.f;
    *scales++ = largest / kMostInput;
    constexpr float kRound = 12582912.f;  // leaves the nearest integer in the low bits
    Ints whole[kPad / kLanes], sums{};
#pragma GCC unroll 8
    for (int64_t i = 0; i < kPad / kLanes; ++i) {
      whole[i] = (Ints)(load(x + i * kLanes) * inverse + kRound) - (Ints)all(kRound);
      sums += whole[i];
    }
    narrow(whole, quantized);
    int32_t sum = 0;
#pragma GCC unroll 8
    for (int i = 0; i < kLanes; ++i) sum += sums[i];
    *offsets++ = -kZeroPoint * sum;
  }
}
