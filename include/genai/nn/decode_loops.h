// The loops of nn/decode_kernels.cpp, which includes this file once for each kind of CPU, in a
// namespace of its own: hence no #pragma once. There are defined
//   Lanes, Ints   vectors of kLanes floats and int32, Loose and LooseInts at any address
//   fma(a, b, c)  a * b + c
//   dot_lines     the integer products of one group of inputs
//   narrow        int32 -> int8

GENAI_INLINE Lanes load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
GENAI_INLINE void store(const Lanes& from, float* to) { *reinterpret_cast<Loose*>(to) = from; }
GENAI_INLINE Lanes all(float x) { return x - Lanes{}; }

GENAI_INLINE float sum_of(const Lanes& x) {
  float sum = 0;
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) sum += x[i];
  return sum;
}

// 2^k e^r with r within +-log(2) / 2, by its Taylor polynomial.
GENAI_INLINE Lanes exponential(Lanes x) {
  x = x < -87.f ? all(-87.f) : x;
  x = x > 87.f ? all(87.f) : x;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float kRound = 12582912.f;
  const Lanes shifted = x * 1.44269504f + kRound;
  const Lanes k = shifted - kRound;
  const Lanes r = (x - k * 0.693359375f) + k * 2.12194440e-4f;   // log(2) in two parts
  Lanes p = all(1.f / 5040);
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  return p * (Lanes)(((Ints)shifted << 23) + 0x3f800000);
}

GENAI_INLINE Lanes sigmoid(const Lanes& x) { return 1.f / (1.f + exponential(-x)); }
/// Near 0 a polynomial of Cephes, where the difference below would lose digits.
GENAI_INLINE Lanes hyperbolic_tangent(const Lanes& x) {
  const Lanes square = x * x;
  Lanes p = all(-5.70498872745e-3f);
  p = p * square + 2.06390887954e-2f;
  p = p * square - 5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square - 3.33332819422e-1f;
  return square < 0.390625f ? p * square * x + x : 2.f / (1.f + exponential(-2.f * x)) - 1.f;
}

/// x Phi(x); erf by Abramowitz and Stegun, 7.1.26.
GENAI_INLINE Lanes gelu(const Lanes& x) {
  const Lanes z = x * 0.70710678f, a = z < 0.f ? -z : z;
  const Lanes t = 1.f / (1.f + 0.3275911f * a);
  Lanes p = all(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Lanes tail = 0.5f * p * t * exponential(-z * z);   // Phi(-|x|)
  return x * (x < 0.f ? tail : 1.f - tail);
}

GENAI_INLINE Lanes gelu_tanh(const Lanes& x) {
  // (1 + tanh(y)) / 2 = sigmoid(2 y)
  return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
}

constexpr int kParts = kHeadPad / kLanes;   // vectors of 16 numbers in memory

/// Vector v of them.
GENAI_INLINE Lanes part(const float* from, int v) { return load(from + v * kLanes); }
GENAI_INLINE Lanes part(const uint16_t* from, int v) {
  constexpr int kHalf = kParts / 2;   // a vector of pairs holds two vectors of numbers
  const Ints pairs = *reinterpret_cast<const LooseInts*>(from + v % kHalf * 2 * kLanes);
  return (Lanes)(v < kHalf ? pairs << 16 : pairs & ~0xffff);
}

GENAI_INLINE void put(float x, float* to, int64_t i) { to[i] = x; }
GENAI_INLINE void put(float x, uint16_t* to, int64_t i) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  bits += 0x7fff + (bits >> 16 & 1);   // to the nearest, or of two the even one
  to[i / 16 * 16 + i % 8 * 2 + i / 8 % 2] = static_cast<uint16_t>(bits >> 16);
}

// Products. ---------------------------------------------------------------------------------------

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
    return multiply_columns<WeightFormat::int8, Rows, Rows == 1 ? 2 : 1>(p, row, first, last);
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

void quantize(const float* x, int64_t width, int8_t* quantized, float* scales,
              int32_t* offsets) {
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
    constexpr float kRound = 12582912.f;   // leaves the nearest integer in the low bits
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
    *offsets++ = -kZero * sum;
  }
}

// Rows. -------------------------------------------------------------------------------------------

void layer_norm(const float* x, const float* weight, const float* bias, int64_t width,
                float epsilon, float* y) {
  const int64_t whole = width / kLanes * kLanes;
  Lanes sums{};
  for (int64_t i = 0; i < whole; i += kLanes) sums += load(x + i);
  float sum = sum_of(sums);
  for (int64_t i = whole; i < width; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(width);
  Lanes squares{};
  for (int64_t i = 0; i < whole; i += kLanes) {
    const Lanes d = load(x + i) - mean;
    squares += d * d;
  }
  float square = sum_of(squares);
  for (int64_t i = whole; i < width; ++i) square += (x[i] - mean) * (x[i] - mean);
  const float scale = 1 / std::sqrt(square / static_cast<float>(width) + epsilon);
  for (int64_t i = 0; i < width; i += kLanes) {   // weights behind the end are 0
    const Lanes unit = (load(x + i) - mean) * scale;
    store(unit * load(weight + i) + (bias ? load(bias + i) : Lanes{}), y + i);
  }
}

void rms_norm(const float* x, const float* weight, int64_t width, float epsilon, float* y) {
  const int64_t whole = width / kLanes * kLanes;
  Lanes squares{};
  for (int64_t i = 0; i < whole; i += kLanes) squares += load(x + i) * load(x + i);
  float square = sum_of(squares);
  for (int64_t i = whole; i < width; ++i) square += x[i] * x[i];
  const float scale = 1 / std::sqrt(square / static_cast<float>(width) + epsilon);
  if (weight) {
    for (int64_t i = 0; i < width; i += kLanes) {
      store(load(x + i) * scale * load(weight + i), y + i);
    }
  } else {
    for (int64_t i = 0; i < whole; i += kLanes) store(load(x + i) * scale, y + i);
    for (int64_t i = whole; i < width; ++i) y[i] = x[i] * scale;
  }
}

void rotate(float* x, const float* cosine, const float* sine, int64_t head) {
  const int64_t half = head / 2;
  int64_t j = 0;
  for (; j + kLanes <= half; j += kLanes) {
    const Lanes a = load(x + j), b = load(x + half + j), c = load(cosine + j), s = load(sine + j);
    store(a * c - b * s, x + j);
    store(b * c + a * s, x + half + j);
  }
  for (; j < half; ++j) {
    const float a = x[j], b = x[half + j];
    x[j] = a * cosine[j] - b * sine[j];
    x[half + j] = b * cosine[j] + a * sine[j];
  }
}

// Attention. --------------------------------------------------------------------------------------

template <class T>
GENAI_INLINE void remember_as(const Memory& m, int64_t head, int64_t place, const float* key,
                              const float* value) {
  T* keys = static_cast<T*>(m.keys) + place / kBlock * kBlock * head;
  T* values = static_cast<T*>(m.values) + place * padded(head, kHeadPad);
  for (int64_t d = 0; d < head; ++d) {
    put(key[d], keys + d * kBlock, place % kBlock);
    put(value[d], values, d);
  }
}

void remember(const Memory& m, int64_t head, int64_t place, const float* key,
              const float* value) {
  if (m.format == WeightFormat::float32) return remember_as<float>(m, head, place, key, value);
  remember_as<uint16_t>(m, head, place, key, value);
}

/// The mean of Parts x 16 columns of the values, even and odd places apart.
template <int Parts, class T>
GENAI_INLINE void mix(const Attention& a, const T* values, int64_t stride, float scale,
                      float* out) {
  constexpr int kColumns = Parts * kParts;
  Lanes even[kColumns] = {}, odd[kColumns] = {};
  int64_t t = 0;
  for (; t + 2 <= a.count; t += 2, values += 2 * stride) {
    const Lanes p = all(a.scores[t]), q = all(a.scores[t + 1]);
#pragma GCC unroll 8
    for (int v = 0; v < kColumns; ++v) {
      const T* at = values + v / kParts * kHeadPad;
      even[v] = fma(p, part(at, v % kParts), even[v]);
      odd[v] = fma(q, part(at + stride, v % kParts), odd[v]);
    }
  }
  if (t < a.count) {
    const Lanes p = all(a.scores[t]);
#pragma GCC unroll 8
    for (int v = 0; v < kColumns; ++v) {
      even[v] = fma(p, part(values + v / kParts * kHeadPad, v % kParts), even[v]);
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kColumns; ++v) store((even[v] + odd[v]) * scale, out + v * kLanes);
}

/// Scores of Blocks x kBlock places.
template <int Blocks, class T>
GENAI_INLINE void score(const Attention& a, const T* keys, int64_t t) {
  constexpr int kPlaces = kBlock / kLanes;
  const int64_t step = a.head * kBlock;
  keys += t * a.head;
  Lanes sum[Blocks][kPlaces] = {};
  for (int64_t d = 0; d < a.head; ++d, keys += kBlock) {
    const Lanes q = all(a.q[d]);
#pragma GCC unroll 2
    for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 8
      for (int v = 0; v < kPlaces; ++v) {
        const T* at = keys + b * step + v / kParts * kHeadPad;
        sum[b][v] = fma(q, part(at, v % kParts), sum[b][v]);
      }
    }
  }
#pragma GCC unroll 2
  for (int b = 0; b < Blocks; ++b) {
#pragma GCC unroll 8
    for (int v = 0; v < kPlaces; ++v) store(sum[b][v], a.scores + t + b * kBlock + v * kLanes);
  }
}

/// Scores -> exp(score - the largest), and 1 / their sum.
GENAI_INLINE float weigh(const Attention& a) {
  const int64_t places = padded(a.count, kBlock);
  for (int64_t t = a.count; t < places; ++t) a.scores[t] = -INFINITY;
  Lanes most = load(a.scores);
  for (int64_t t = kLanes; t < places; t += kLanes) {
    const Lanes s = load(a.scores + t);
    most = s > most ? s : most;
  }
  float largest = most[0];
#pragma GCC unroll 8
  for (int i = 1; i < kLanes; ++i) largest = std::max(largest, most[i]);
  Lanes sums{};
  const int64_t needed = padded(a.count, kLanes);
  for (int64_t t = 0; t < needed; t += kLanes) {
    const Lanes s = load(a.scores + t) - largest, e = s < -87.f ? Lanes{} : exponential(s);
    sums += e;
    store(e, a.scores + t);
  }
  return 1 / sum_of(sums);
}

template <class T>
GENAI_INLINE void attend_to(const Attention& a) {
  const T* keys = static_cast<const T*>(a.memory.keys);
  const int64_t places = padded(a.count, kBlock);
  int64_t scored = 0;
  for (; scored + 2 * kBlock <= places; scored += 2 * kBlock) score<2>(a, keys, scored);
  if (scored < places) score<1>(a, keys, scored);
  const float scale = weigh(a);
  const int64_t stride = padded(a.head, kHeadPad);
  alignas(64) float out[2 * kHeadPad];
  for (int64_t d = 0; d < a.head; d += 2 * kHeadPad) {
    const T* values = static_cast<const T*>(a.memory.values) + d;
    if (a.head - d > kHeadPad) {
      mix<2>(a, values, stride, scale, out);
    } else {
      mix<1>(a, values, stride, scale, out);
    }
    std::copy_n(out, std::min(a.head - d, 2 * kHeadPad), a.out + d);
  }
}

void attend(const Attention& a) {
  if (a.memory.format == WeightFormat::float32) return attend_to<float>(a);
  attend_to<uint16_t>(a);
}

// Nonlinear functions. ----------------------------------------------------------------------------

/// Functions, not lambdas, which GCC would not compile for this kind of CPU.
template <Lanes (*function)(const Lanes&)>
GENAI_INLINE void map(const float* x, int64_t width, float* y) {
  for (int64_t i = 0; i < width; i += kLanes) store(function(load(x + i)), y + i);
}

GENAI_INLINE Lanes squared_relu(const Lanes& x) { return x > 0.f ? x * x : Lanes{}; }

void activate(MlpKind kind, const float* gate, const float* up, int64_t width, float* y) {
  switch (kind) {
    case MlpKind::gelu:
      map<gelu>(up, width, y);
      break;
    case MlpKind::gelu_tanh:
      map<gelu_tanh>(up, width, y);
      break;
    case MlpKind::relu2:
      map<squared_relu>(up, width, y);
      break;
    case MlpKind::swiglu:
      for (int64_t i = 0; i < width; i += kLanes) {
        const Lanes g = load(gate + i);
        store(g * sigmoid(g) * load(up + i), y + i);
      }
      break;
  }
}

/// What is computed behind the end of a row would be read as if it were there.
GENAI_INLINE void zero_tail(float* x, int64_t width) {
  for (int64_t i = width; i < padded(width, kLanes); ++i) x[i] = 0;
}

/// What a gate is a function of, from its number on.
GENAI_INLINE Lanes sum(const Gates& g, int64_t number) {
  return load(g.input + number) + load(g.state + number);
}

void cell(Cell kind, const Gates& g) {
  const int64_t n = g.width;
  for (int64_t i = 0; i < n; i += kLanes) {
    switch (kind) {
      case Cell::tanh:
        store(hyperbolic_tangent(sum(g, i)), g.h + i);
        break;
      case Cell::gru: {
        const Lanes reset = sigmoid(sum(g, i)), keep = sigmoid(sum(g, n + i));
        const Lanes fresh = hyperbolic_tangent(load(g.input + 2 * n + i) +
                                               reset * load(g.state + 2 * n + i));
        store((1.f - keep) * fresh + keep * load(g.h + i), g.h + i);
        break;
      }
      case Cell::lstm: {
        const Lanes in = sigmoid(sum(g, i)), keep = sigmoid(sum(g, n + i));
        const Lanes fresh = hyperbolic_tangent(sum(g, 2 * n + i)), out = sigmoid(sum(g, 3 * n + i));
        const Lanes c = keep * load(g.c + i) + in * fresh;
        store(c, g.c + i);
        store(out * hyperbolic_tangent(c), g.h + i);
        break;
      }
    }
  }
  zero_tail(g.h, n);
  if (kind == Cell::lstm) zero_tail(g.c, n);
}

void soft_cap(float* x, int64_t width, float cap) {
  for (int64_t i = 0; i < width; i += kLanes) {
    store(cap * hyperbolic_tangent(load(x + i) / cap), x + i);
  }
}

constexpr Kernels kTable = {kName,  multiply, quantize, layer_norm, rms_norm, rotate,
                            remember, attend, activate, cell,       soft_cap};
