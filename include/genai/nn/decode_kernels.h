// The arithmetic of nn/decoder on plain arrays of floats.
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

#include "genai/nn/decoder.h"
#include "genai/nn/language_shapes.h"

namespace genai::decode {

constexpr int64_t kPad = 32;      // floats of a row, and numbers that share a scale in int8
constexpr int64_t kPanel = 16;    // outputs of a product that lie side by side in memory
constexpr int64_t kLine = 8;      // outputs of an int8 product that do
constexpr int64_t kBlock = 32;    // places whose keys lie side by side
constexpr int64_t kMostRows = 32; // that a decoder computes at once

inline int64_t padded(int64_t n, int64_t to = kPad) { return (n + to - 1) / to * to; }

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

/// A matrix [out, in] ready for products. Of float32: [out / 16, in, 16]. Of int8: for each 8
/// outputs and 32 inputs 8 lines, each of 4 inputs of all 8, then the 8 scales.
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::span<const float> weight, int64_t out, int64_t in, WeightFormat format);

  int64_t out = 0, in = 0;
  WeightFormat format = WeightFormat::float32;
  const float* floats() const { return floats_.data(); }
  const int8_t* bytes() const { return bytes_.data(); }

 private:
  void pack_floats(const float* weight);
  void pack_bytes(const float* weight);

  Buffer<float> floats_;
  Buffer<int8_t> bytes_;
};

constexpr int64_t kGroupBytes = kLine * kPad + kLine * static_cast<int64_t>(sizeof(float));

/// out = x w^T + bias, or out += that
struct Product {
  const Matrix* matrix;
  const float* x;              // of a float32 matrix: [rows, stride]
  const int8_t* quantized;     // of an int8 matrix: [rows, padded(in)]
  const float* scales;         //                    [rows, padded(in) / 32]
  int64_t x_stride, rows;
  const float* bias;           // padded to kPanel; null: none
  float* out;
  int64_t out_stride;
  bool add;
};

/// A query of one head against the keys and values of places 0 .. count - 1.
struct Attention {
  const float* q;        // [head]
  const float* keys;     // [places / kBlock, head, kBlock]
  const float* values;   // [places, padded(head, 8)]
  int64_t head, count;
  float* scores;         // padded(count, kBlock) numbers to work with
  float* out;            // [head]
};

/// The gates of a cell as PyTorch orders them: input [G, width] from x, state [G, width] from h.
struct Gates {
  const float *input, *state;
  int64_t width;
  float *h, *c;          // c: LSTM alone
};

/// All loops, for one kind of CPU. exp is right to 2 units in the last place; tanh, sigmoid and erf
/// are to 2e-7 (erf: Abramowitz and Stegun 7.1.26).
struct Kernels {
  const char* name;
  /// Outputs of panels first .. last - 1.
  void (*multiply)(const Product& product, int64_t first, int64_t last);
  /// x [width] -> 8-bit integers and a scale for each 32 of them: the largest becomes 127.
  void (*quantize)(const float* x, int64_t width, int8_t* quantized, float* scales);
  /// y = (x - mean) / sqrt(variance + epsilon) * weight + bias; bias may be null
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t width,
                     float epsilon, float* y);
  /// y = x / sqrt(mean x^2 + epsilon) * weight; weight may be null
  void (*rms_norm)(const float* x, const float* weight, int64_t width, float epsilon, float* y);
  /// Pairs (j, j + head / 2) turned by their angles.
  void (*rotate)(float* x, const float* cosine, const float* sine, int64_t head);
  void (*attend)(const Attention& attention);
  /// up [hidden] (swiglu: gates, then the others) -> y [hidden], zeros up to padded(hidden)
  void (*activate)(MlpKind kind, const float* up, int64_t hidden, float* y);
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

/// Calls work(first, last, worker) for parts of 0 .. count - 1, in as many threads as pay for
/// `cost` multiplications; worker < threads.
void parallel_rows(int threads, int64_t count, int64_t cost,
                   void (*work)(const void* self, int64_t first, int64_t last, int worker),
                   const void* self);
template <class Work>
void parallel_rows(int threads, int64_t count, int64_t cost, const Work& work) {
  parallel_rows(
      threads, count, cost,
      [](const void* self, int64_t first, int64_t last, int worker) {
        (*static_cast<const Work*>(self))(first, last, worker);
      },
      &work);
}

/// Products of up to kMostRows rows by matrices whose inputs are at most `widest`.
class Multiplier {
 public:
  Multiplier(int64_t widest, int threads);
  const Kernels& kernels() const { return kernels_; }
  int threads() const { return threads_; }
  /// x [rows, x_stride], out [rows, out_stride]
  void multiply(const Matrix& matrix, const float* x, int64_t x_stride, int64_t rows,
                const float* bias, float* out, int64_t out_stride, bool add = false);

 private:
  const Kernels& kernels_;
  int threads_;
  Buffer<int8_t> quantized_;
  Buffer<float> scales_;
};

}  // namespace genai::decode
