#include "genai/nn/decode_kernels.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#define GENAI_INLINE [[gnu::always_inline]] inline

namespace genai::decode {
namespace {

namespace portable {

constexpr const char* kName = "portable";
constexpr int kLanes = 4;
typedef float Lanes __attribute__((vector_size(16)));
typedef float Loose __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(16)));

GENAI_INLINE Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) { return a * b + c; }

template <int Rows, int Lines>
GENAI_INLINE void dot_lines(const int8_t* w, int64_t w_stride, const int8_t* x, int64_t x_stride,
                            Ints (&dot)[Rows][Lines][kLine / kLanes]) {
  for (int r = 0; r < Rows; ++r) {
    for (int q = 0; q < Lines; ++q) {
      for (int j = 0; j < kPad; ++j) {
        const int8_t* four = w + q * w_stride + j / 4 * kPad + j % 4;
        for (int o = 0; o < kLine; ++o) {
          dot[r][q][o / kLanes][o % kLanes] += four[o * 4] * x[r * x_stride + j];
        }
      }
    }
  }
}

GENAI_INLINE void narrow(const Ints (&from)[kPad / kLanes], int8_t* to) {
  for (int i = 0; i < kPad; ++i) to[i] = static_cast<int8_t>(from[i / kLanes][i % kLanes] & 0xff);
}

#include "genai/nn/decode_loops.h"

}  // namespace portable

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {

constexpr const char* kName = "AVX2";
constexpr int kLanes = 8;
typedef float Lanes __attribute__((vector_size(32)));
typedef float Loose __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(32)));

/// Not left to the compiler, which might fuse in one tile and not in another.
GENAI_INLINE Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return (Lanes)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

template <int Rows, int Lines>
GENAI_INLINE void dot_lines(const int8_t* w, int64_t w_stride, const int8_t* x, int64_t x_stride,
                            Ints (&dot)[Rows][Lines][kLine / kLanes]) {
  const __m256i ones = _mm256_set1_epi16(1);
// Unrolled, sums of integers are regrouped by the compiler, and the terms leave the registers.
#pragma GCC unroll 1
  for (int j = 0; j < kPad / 4; ++j) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      int32_t four;
      std::memcpy(&four, x + r * x_stride + j * 4, sizeof(four));
      const __m256i inputs = _mm256_set1_epi32(four), sizes = _mm256_abs_epi8(inputs);
#pragma GCC unroll 4
      for (int q = 0; q < Lines; ++q) {
        const auto* at = reinterpret_cast<const __m256i*>(w + q * w_stride + j * kPad);
        // The instruction wants one factor without a sign: the weights take over the inputs'.
        const __m256i signed_weights = _mm256_sign_epi8(_mm256_load_si256(at), inputs);
        const __m256i pairs = _mm256_maddubs_epi16(sizes, signed_weights);
        dot[r][q][0] += (Ints)_mm256_madd_epi16(pairs, ones);
      }
    }
  }
}

GENAI_INLINE void narrow(const Ints (&from)[kPad / kLanes], int8_t* to) {
  const auto low = [&](int i) { return _mm256_slli_epi32((__m256i)from[i], 24); };
  const auto whole = [&](int i) { return _mm256_srai_epi32(low(i), 24); };
  const __m256i half[2] = {_mm256_packs_epi32(whole(0), whole(1)),
                           _mm256_packs_epi32(whole(2), whole(3))};
  const __m256i mixed = _mm256_packs_epi16(half[0], half[1]);   // in each half of the register
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(mixed, order));
}

#include "genai/nn/decode_loops.h"

}  // namespace avx2
#pragma GCC pop_options
#endif

std::atomic<bool> only_portable = false;

}  // namespace

const Kernels& portable_kernels() { return portable::kTable; }

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

void force_portable(bool on) { only_portable = on; }

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
  bytes_ = Buffer<int8_t>(padded(out, kPanel) / kLine * groups * kGroupBytes);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t g = 0; g < groups; ++g) {
      const float* from = weight + o * in + g * kPad;
      const int64_t count = std::min(kPad, in - g * kPad);
      float largest = 0;
      for (int64_t k = 0; k < count; ++k) largest = std::max(largest, std::fabs(from[k]));
      const float inverse = largest > 0 ? 127.f / largest : 0.f, scale = largest / 127.f;
      int8_t* to = bytes_.data() + (o / kLine * groups + g) * kGroupBytes;
      for (int64_t k = 0; k < count; ++k) {
        to[k / 4 * kPad + o % kLine * 4 + k % 4] =
            static_cast<int8_t>(std::lrint(from[k] * inverse));
      }
      std::memcpy(to + kLine * kPad + o % kLine * static_cast<int64_t>(sizeof(float)), &scale,
                  sizeof(float));
    }
  }
}

void parallel_rows(int threads, int64_t count, int64_t cost,
                   void (*work)(const void* self, int64_t first, int64_t last, int worker),
                   const void* self) {
#ifdef _OPENMP
  // Threads are woken and waited for in about the time of so many multiplications.
  constexpr int64_t kWorthwhile = 100'000;
  // All threads or one: libgomp ends threads that a smaller team leaves over.
  if (threads > 1 && count > 1 && cost >= kWorthwhile && !omp_in_parallel()) {
#pragma omp parallel num_threads(threads)
    {
      const int64_t worker = omp_get_thread_num(), workers = omp_get_num_threads();
      const int64_t first = count * worker / workers, last = count * (worker + 1) / workers;
      if (first < last) work(self, first, last, static_cast<int>(worker));
    }
    return;
  }
#else
  (void)threads, (void)cost;
#endif
  if (count > 0) work(self, 0, count, 0);
}

Multiplier::Multiplier(int64_t widest, int threads)
    : kernels_(best_kernels()),
      threads_(std::max(threads, 1)),
      quantized_(kMostRows * padded(widest)),
      scales_(kMostRows * padded(widest) / kPad) {}

void Multiplier::multiply(const Matrix& matrix, const float* x, int64_t x_stride, int64_t rows,
                          const float* bias, float* out, int64_t out_stride, bool add) {
  if (matrix.format == WeightFormat::int8) {
    const int64_t width = padded(matrix.in);
    for (int64_t r = 0; r < rows; ++r) {
      kernels_.quantize(x + r * x_stride, matrix.in, quantized_.at(r * width),
                        scales_.at(r * width / kPad));
    }
  }
  const Product product{.matrix = &matrix,
                        .x = x,
                        .quantized = quantized_.data(),
                        .scales = scales_.data(),
                        .x_stride = x_stride,
                        .rows = rows,
                        .bias = bias,
                        .out = out,
                        .out_stride = out_stride,
                        .add = add};
  const int64_t panels = padded(matrix.out, kPanel) / kPanel;
  const int64_t products = rows * matrix.out * matrix.in;
  constexpr int64_t kGain = 3;   // of integers over floats
  parallel_rows(threads_, panels,
                matrix.format == WeightFormat::int8 ? products / kGain : products,
                [&](int64_t first, int64_t last, int) { kernels_.multiply(product, first, last); });
}

}  // namespace genai::decode
