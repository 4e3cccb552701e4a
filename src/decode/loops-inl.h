// The loops of decode/kernels.cpp, which includes this file once for each kind of CPU, in a
// namespace of its own: hence no #pragma once. There are defined
//   Lanes, Ints   vectors of kLanes floats and int32, Loose and LooseInts at any address
//   kVectors      of them make a panel
//   fma(a, b, c)  a * b + c
//   dot_group     the integer products of one group of inputs
//   narrow        int32 -> int8

// The products are made of the vectors: in this order.
#include "vectors-inl.h"
//
#include "products-inl.h"

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
  for (int64_t i = 0; i < width; i += kLanes) {  // weights behind the end are 0
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
GENAI_INLINE void append_as(const KvCache& m, int64_t head, int64_t place, const float* key,
                            const float* value) {
  T* keys = static_cast<T*>(m.keys) + place / kBlock * kBlock * head;
  T* values = static_cast<T*>(m.values) + place * padded(head, kHeadPad);
  for (int64_t d = 0; d < head; ++d) {
    put(key[d], keys + d * kBlock, place % kBlock);
    put(value[d], values, d);
  }
}

void append(const KvCache& m, int64_t head, int64_t place, const float* key, const float* value) {
  if (m.format == WeightFormat::float32) return append_as<float>(m, head, place, key, value);
  append_as<uint16_t>(m, head, place, key, value);
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
  const T* keys = static_cast<const T*>(a.cache.keys);
  const int64_t places = padded(a.count, kBlock);
  int64_t scored = 0;
  for (; scored + 2 * kBlock <= places; scored += 2 * kBlock) score<2>(a, keys, scored);
  if (scored < places) score<1>(a, keys, scored);
  const float scale = weigh(a);
  const int64_t stride = padded(a.head, kHeadPad);
  alignas(64) float out[2 * kHeadPad];
  for (int64_t d = 0; d < a.head; d += 2 * kHeadPad) {
    const T* values = static_cast<const T*>(a.cache.values) + d;
    if (a.head - d > kHeadPad) {
      mix<2>(a, values, stride, scale, out);
    } else {
      mix<1>(a, values, stride, scale, out);
    }
    std::copy_n(out, std::min(a.head - d, 2 * kHeadPad), a.out + d);
  }
}

void attend(const Attention& a) {
  if (a.cache.format == WeightFormat::float32) return attend_to<float>(a);
  attend_to<uint16_t>(a);
}

// Nonlinear functions. ----------------------------------------------------------------------------

/// Functions, not lambdas, which GCC would not compile for this kind of CPU.
template <Lanes (*function)(const Lanes&)>
GENAI_INLINE void map(const float* x, int64_t width, float* y) {
  for (int64_t i = 0; i < width; i += kLanes) store(function(load(x + i)), y + i);
}

GENAI_INLINE Lanes squared_relu(const Lanes& x) {
  return x > 0.f ? x * x : Lanes{};
}

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
        const Lanes fresh =
            hyperbolic_tangent(load(g.input + 2 * n + i) + reset * load(g.state + 2 * n + i));
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
                            append, attend,   activate, cell,       soft_cap};
