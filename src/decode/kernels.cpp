#include "genai/decode/kernels.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>

#define GENAI_INLINE [[gnu::always_inline]] inline

namespace genai::decode {
namespace {

namespace portable {

constexpr const char* kName = "portable";
constexpr int kLanes = 4, kVectors = kPanel / kLanes;  // of a panel
typedef float Lanes __attribute__((vector_size(16)));
typedef float Loose __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef int32_t LooseInts __attribute__((vector_size(16), aligned(2), may_alias));

GENAI_INLINE Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return a * b + c;
}

template <int Rows, int Panels>
GENAI_INLINE void dot_group(const uint8_t* w, int64_t w_stride, const int8_t* x, int64_t x_stride,
                            Ints (&dot)[Rows][Panels][kVectors]) {
  for (int r = 0; r < Rows; ++r) {
    for (int q = 0; q < Panels; ++q) {
      for (int j = 0; j < kPad; ++j) {
        const uint8_t* four = w + q * w_stride + j / 4 * 4 * kPanel + j % 4;
        for (int o = 0; o < kPanel; ++o) {
          dot[r][q][o / kLanes][o % kLanes] += four[o * 4] * x[r * x_stride + j];
        }
      }
    }
  }
}

GENAI_INLINE void narrow(const Ints (&from)[kPad / kLanes], int8_t* to) {
  for (int i = 0; i < kPad; ++i) to[i] = static_cast<int8_t>(from[i / kLanes][i % kLanes] & 0xff);
}

#include "loops-inl.h"

}  // namespace portable

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {

constexpr const char* kName = "AVX2";
constexpr int kLanes = 8, kVectors = kPanel / kLanes;
typedef float Lanes __attribute__((vector_size(32)));
typedef float Loose __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef int32_t LooseInts __attribute__((vector_size(32), aligned(2), may_alias));

/// Not left to the compiler, which might fuse in one tile and not in another.
GENAI_INLINE Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return (Lanes)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

template <int Rows, int Panels>
GENAI_INLINE void dot_group(const uint8_t* w, int64_t w_stride, const int8_t* x, int64_t x_stride,
                            Ints (&dot)[Rows][Panels][kVectors]) {
  const __m256i ones = _mm256_set1_epi16(1);
// Unrolled, sums of integers are regrouped by the compiler, and the terms leave the registers.
#pragma GCC unroll 1
  for (int j = 0; j < kPad / 4; ++j) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      int32_t four;
      std::memcpy(&four, x + r * x_stride + j * 4, sizeof(four));
      const __m256i inputs = _mm256_set1_epi32(four);
#pragma GCC unroll 4
      for (int q = 0; q < Panels; ++q) {
        const auto* at = reinterpret_cast<const __m256i*>(w + q * w_stride + j * 4 * kPanel);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
          const __m256i pairs = _mm256_maddubs_epi16(_mm256_load_si256(at + v), inputs);
          dot[r][q][v] += (Ints)_mm256_madd_epi16(pairs, ones);
        }
      }
    }
  }
}

GENAI_INLINE void narrow(const Ints (&from)[kPad / kLanes], int8_t* to) {
  const auto low = [&](int i) { return _mm256_slli_epi32((__m256i)from[i], 24); };
  const auto whole = [&](int i) { return _mm256_srai_epi32(low(i), 24); };
  const __m256i half[2] = {_mm256_packs_epi32(whole(0), whole(1)),
                           _mm256_packs_epi32(whole(2), whole(3))};
  const __m256i mixed = _mm256_packs_epi16(half[0], half[1]);  // in each half of the register
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(mixed, order));
}

#include "loops-inl.h"

}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

std::atomic<bool> only_portable = false;

}  // namespace

const Kernels& portable_kernels() {
  return portable::kTable;
}

const Kernels* avx2_kernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &avx2::kTable;
#endif
  return nullptr;
}

const Kernels& best_kernels() {
  const Kernels* avx2 = only_portable ? nullptr : avx2_kernels();
  return avx2 ? *avx2 : portable_kernels();
}

void force_portable(bool on) {
  only_portable = on;
}

template <class T>
Buffer<T>::Buffer(int64_t size) {
  constexpr size_t kAlignment = 64, kHugePage = size_t{1} << 21;
  const size_t bytes = static_cast<size_t>(size) * sizeof(T);
  const size_t alignment = bytes >= 2 * kHugePage ? kHugePage : kAlignment;
  memory_.reset(std::calloc(bytes + alignment, 1));
  if (!memory_) throw std::bad_alloc();
  const auto at = reinterpret_cast<uintptr_t>(memory_.get());
  data_ = reinterpret_cast<T*>((at + alignment - 1) / alignment * alignment);
#if defined(__linux__)
  if (alignment == kHugePage) madvise(data_, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

template class Buffer<float>;
template class Buffer<int8_t>;
template class Buffer<uint8_t>;
template class Buffer<int32_t>;

Matrix::Matrix(std::span<const float> weight, int64_t out, int64_t in, WeightFormat format)
    : out(out), in(in), format(format) {
  format == WeightFormat::float32 ? pack_floats(weight.data()) : pack_bytes(weight.data());
}

void Matrix::pack_floats(const float* weight) {
  floats_ = Buffer<float>(padded(out, kPanel) * in);
  for (int64_t o = 0; o < out; ++o) {
    float* to = floats_.data() + o / kPanel * kPanel * in + o % kPanel;
    for (int64_t k = 0; k < in; ++k) to[k * kPanel] = weight[o * in + k];
  }
}

void Matrix::pack_bytes(const float* weight) {
  const int64_t groups = padded(in) / kPad;
  bytes_ = Buffer<uint8_t>(padded(out, kPanel) / kPanel * groups * kGroupBytes);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t g = 0; g < groups; ++g) {
      const float* from = weight + o * in + g * kPad;
      const int64_t count = std::min(kPad, in - g * kPad);
      float largest = 0;
      for (int64_t k = 0; k < count; ++k) largest = std::max(largest, std::fabs(from[k]));
      const uint32_t bits = std::bit_cast<uint32_t>(largest / 127.f) + 0xffff;  // upwards
      const float scale = std::bit_cast<float>(bits & 0xffff0000);
      const float inverse = largest > 0 ? 1.f / scale : 0.f;
      uint8_t* to = bytes_.data() + (o / kPanel * groups + g) * kGroupBytes;
      for (int64_t k = 0; k < count; ++k) {
        to[k / 4 * 4 * kPanel + o % kPanel * 4 + k % 4] =
            static_cast<uint8_t>(kZeroPoint + std::lrint(from[k] * inverse));
      }
      const int64_t i = o % kPanel;
      const auto half = static_cast<uint16_t>(bits >> 16);
      std::memcpy(to + kPanel * kPad + (i % 8 * 2 + i / 8) * 2, &half, sizeof(half));
    }
  }
}

Matmul::Matmul(int64_t widest, WeightFormat format, int threads)
    : kernels_(best_kernels()), format_(format) {
  const int64_t size = kMostRows * padded(widest);
  for (int i = 0; i < threads; ++i) {
    Scratch& scratch = scratch_.emplace_back();
    scratch.floats = Buffer<float>(size);
    if (format == WeightFormat::float32) continue;
    scratch.quantized = Buffer<int8_t>(size);
    scratch.scales = Buffer<float>(size / kPad);
    scratch.offsets = Buffer<int32_t>(size / kPad);
  }
}

void Matmul::multiply(const Worker& worker, const Matrix& matrix, const Operand& x,
                      const float* bias, float* out, int64_t out_stride, bool add) const {
  const auto [first, last] = worker.slice(padded(matrix.out, kPanel) / kPanel);
  if (first == last) return;
  const Product product{
      .matrix = &matrix, .x = x, .bias = bias, .out = out, .out_stride = out_stride, .add = add};
  kernels_.multiply(product, first, last);
}

}  // namespace genai::decode
