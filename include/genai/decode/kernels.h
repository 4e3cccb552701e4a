// The arithmetic of decode/decoder on plain arrays of floats.
//
// Vectors lie in rows whose stride is a multiple of kPad floats, zero behind the vector. Each
// number is computed in one order, whatever the number of rows and threads: rows of a product only
// share the weights that are read.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "genai/core/language_shapes.h"
#include "genai/decode/decoder.h"
#include "genai/decode/team.h"

namespace genai::decode {

constexpr int64_t kPad = 32;    // floats of a row, and numbers that share a scale in int8
constexpr int64_t kPanel = 16;  // outputs of a product that lie side by side in memory
/// The instruction for products of 8-bit integers takes one factor without a sign, the weights plus
/// this; and adds two products in 16 bits, which 2 x 255 x 63 fit.
constexpr int32_t kZeroPoint = 128, kMostInput = 63;
constexpr int64_t kBlock = 32;     // places whose keys lie side by side
constexpr int64_t kHeadPad = 16;   // numbers of a row of values
constexpr int64_t kMostRows = 32;  // that a decoder computes at once

inline int64_t padded(int64_t n, int64_t to = kPad) {
  return (n + to - 1) / to * to;
}

/// Zeros in memory of its own, aligned to a cache line. Pages that are never written cost nothing.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size);
  T* data() const { return data_; }
  T* at(int64_t i) const { return data_ + i; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> memory_;
  T* data_ = nullptr;
};

/// A matrix [out, in] ready for products. Of float32: [out / 16, in, 16]. Of int8: for each
/// 16 outputs and 32 inputs 8 lines, each of 4 inputs of all 16, plus kZeroPoint; then the 16
/// scales.
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::span<const float> weight, int64_t out, int64_t in, WeightFormat format);

  int64_t out = 0, in = 0;
  WeightFormat format = WeightFormat::float32;
  const float* floats() const { return floats_.data(); }
  const uint8_t* bytes() const { return bytes_.data(); }

 private:
  void pack_floats(const float* weight);
  void pack_bytes(const float* weight);

  Buffer<float> floats_;
  Buffer<uint8_t> bytes_;
};

constexpr int64_t kGroupBytes = kPanel * (kPad + static_cast<int64_t>(sizeof(uint16_t)));

/// Inputs of a product.
struct Operand {
  const float* x;  // of a float32 matrix: [rows, x_stride]
  int64_t x_stride;
  const int8_t* quantized;  // of an int8 matrix: [rows, padded(in)]
  const float* scales;      //                    [rows, padded(in) / 32]
  const int32_t* offsets;   // - kZeroPoint times the sum of each 32 integers
  int64_t rows;
};

/// out = x w^T + bias, or out += that
struct Product {
  const Matrix* matrix;
  Operand x;
  const float* bias;  // padded to kPanel; null: none
  float* out;
  int64_t out_stride;
  bool add;
};

/// Keys and values of one head of a sequence: float32, or beside 8-bit weights bfloat16, whose
/// error is less than theirs, and of which each 16 lie as 8 pairs of numbers i and i + 8.
struct KvCache {
  WeightFormat format;
  void* keys;    // [places / kBlock, head, kBlock]
  void* values;  // [places, padded(head, kHeadPad)]
};

/// A query of one head against the keys and values of places 0 .. count - 1.
struct Attention {
  const float* q;  // [head]
  KvCache cache;
  int64_t head, count;
  float* scores;  // padded(count, kBlock) numbers to work with
  float* out;     // [head]
};

/// The gates of a cell as PyTorch orders them: input [G, width] from x, state [G, width] from h.
struct Gates {
  const float *input, *state;
  int64_t width;
  float *h, *c;  // c: LSTM alone
};

/// All loops, for one kind of CPU. exp is right to 2 units in the last place; tanh, sigmoid and erf
/// are to 2e-7 (erf: Abramowitz and Stegun 7.1.26).
struct Kernels {
  const char* name;
  /// Outputs of panels first .. last - 1.
  void (*multiply)(const Product& product, int64_t first, int64_t last);
  /// x [width] -> integers up to kMostInput, a scale and an offset for each 32 of them.
  void (*quantize)(const float* x, int64_t width, int8_t* quantized, float* scales,
                   int32_t* offsets);
  /// y = (x - mean) / sqrt(variance + epsilon) * weight + bias; bias may be null
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t width,
                     float epsilon, float* y);
  /// y = x / sqrt(mean x^2 + epsilon) * weight; weight may be null
  void (*rms_norm)(const float* x, const float* weight, int64_t width, float epsilon, float* y);
  /// Pairs (j, j + head / 2) turned by their angles.
  void (*rotate)(float* x, const float* cosine, const float* sine, int64_t head);
  /// key and value [head] -> place `place` of the cache
  void (*append)(const KvCache& cache, int64_t head, int64_t place, const float* key,
                 const float* value);
  void (*attend)(const Attention& attention);
  /// y = f(up), of swiglu f(gate) up; width is a multiple of kPanel; 0 becomes 0
  void (*activate)(MlpKind kind, const float* gate, const float* up, int64_t width, float* y);
  void (*cell)(Cell cell, const Gates& gates);
  /// x = cap tanh(x / cap)
  void (*soft_cap)(float* x, int64_t width, float cap);
};

/// For CPUs of any kind.
const Kernels& portable_kernels();
/// For AVX2 and FMA; null where the CPU has none.
const Kernels* avx2_kernels();
/// The fastest that this CPU runs; portable ones after force_portable(true), which is for tests and
/// holds for decoders made after.
const Kernels& best_kernels();
void force_portable(bool on);

/// Products of up to kMostRows rows of at most `widest` inputs, shared by the workers of a team.
class Matmul {
 public:
  Matmul(int64_t widest, WeightFormat format, int threads);
  const Kernels& kernels() const { return kernels_; }

  /// The rows that write(row, to) makes. A barrier must lie between the use of an operand and the
  /// making of the next.
  template <class Write>
  Operand make(Worker& worker, int64_t rows, int64_t width, const Write& write) {
    return prepare(worker, rows, width, [&](int64_t row, float* scratch) {
      write(row, scratch);
      return scratch;
    });
  }
  /// The rows x [rows, stride].
  Operand take(Worker& worker, int64_t rows, int64_t width, const float* x, int64_t stride) {
    if (format_ == WeightFormat::float32) return {.x = x, .x_stride = stride, .rows = rows};
    return prepare(worker, rows, width, [&](int64_t row, float*) { return x + row * stride; });
  }
  /// This worker's slice of the panels of x w^T + bias (null: none), or added to what is there;
  /// out [rows, out_stride].
  void multiply(const Worker& worker, const Matrix& matrix, const Operand& x, const float* bias,
                float* out, int64_t out_stride, bool add = false) const;

 private:
  /// One row is made by each worker for itself, which takes less time than to wait for another.
  template <class Row>
  Operand prepare(Worker& worker, int64_t rows, int64_t width, const Row& row) {
    const bool alone = rows == 1;
    const Scratch& s = scratch_[static_cast<size_t>(alone ? worker.number() : 0)];
    const auto [first, last] = alone ? Worker::Slice{0, 1} : worker.slice(rows);
    const int64_t stride = padded(width);
    for (int64_t r = first; r < last; ++r) {
      const float* x = row(r, s.floats.at(r * stride));
      if (format_ == WeightFormat::int8) {
        kernels_.quantize(x, width, s.quantized.at(r * stride), s.scales.at(r * stride / kPad),
                          s.offsets.at(r * stride / kPad));
      }
    }
    if (!alone) worker.barrier();
    return {.x = s.floats.data(),
            .x_stride = stride,
            .quantized = s.quantized.data(),
            .scales = s.scales.data(),
            .offsets = s.offsets.data(),
            .rows = rows};
  }

  struct Scratch {
    Buffer<float> floats;
    Buffer<int8_t> quantized;
    Buffer<float> scales;
    Buffer<int32_t> offsets;
  };
  const Kernels& kernels_;
  WeightFormat format_;
  std::vector<Scratch> scratch_;  // of each worker
};

}  // namespace genai::decode
