#include "genai/core/philox.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace genai {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

/// Blocks made together: their plain loops become vector code.
constexpr int kLanes = 64;
constexpr int kNumbers = 4 * kLanes;

// The same source twice, for AVX2 and for the base instruction set; without fused multiply-add
// both give the same bits.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define GENAI_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define GENAI_CLONES
#endif

/// Blocks first .. first + kLanes - 1 of an item: bits[4 * lane + word].
GENAI_CLONES void make_blocks(uint64_t key, uint64_t item, uint64_t first, uint32_t* bits) {
  uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const uint64_t block = first + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(block);
    c1[i] = static_cast<uint32_t>(block >> 32);
    c2[i] = static_cast<uint32_t>(item);
    c3[i] = static_cast<uint32_t>(item >> 32);
  }
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kLanes; ++i) {
      const uint64_t p0 = uint64_t{kMultiplier0} * c0[i];
      const uint64_t p1 = uint64_t{kMultiplier1} * c2[i];
      c0[i] = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
      c2[i] = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
      c1[i] = static_cast<uint32_t>(p1);
      c3[i] = static_cast<uint32_t>(p0);
    }
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  for (int i = 0; i < kLanes; ++i) {
    bits[4 * i] = c0[i];
    bits[4 * i + 1] = c1[i];
    bits[4 * i + 2] = c2[i];
    bits[4 * i + 3] = c3[i];
  }
}

GENAI_CLONES void to_uniform(const uint32_t* bits, float* out) {
  for (int i = 0; i < kNumbers; ++i) out[i] = static_cast<float>(bits[i] >> 8) * 0x1p-24f;
}

/// Natural logarithm of x in (0, 1]; polynomial of S. Moshier's Cephes library (logf).
inline float log_unit(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  // x = m * 2^e with m in [sqrt(1/2), sqrt(2))
  const int32_t shifted = static_cast<int32_t>(u - 0x3f3504f3u);
  const int32_t e = shifted >> 23;
  const float m = std::bit_cast<float>(u - (static_cast<uint32_t>(e) << 23));
  const float f = m - 1.0f, z = f * f;
  float y = 7.0376836292e-2f;
  y = y * f - 1.1514610310e-1f;
  y = y * f + 1.1676998740e-1f;
  y = y * f - 1.2420140846e-1f;
  y = y * f + 1.4249322787e-1f;
  y = y * f - 1.6668057665e-1f;
  y = y * f + 2.0000714765e-1f;
  y = y * f - 2.4999993993e-1f;
  y = y * f + 3.3333331174e-1f;
  y = y * f * z;
  const float ef = static_cast<float>(e);
  y += ef * -2.12194440e-4f;
  y -= 0.5f * z;
  return f + y + ef * 0.693359375f;
}

/// Pairs (u, v) -> sqrt(-2 ln u) * (cos, sin)(2 pi v).
GENAI_CLONES void to_normal(const uint32_t* bits, float* out) {
  for (int i = 0; i < kNumbers; i += 2) {
    const float u = static_cast<float>((bits[i] >> 8) + 1) * 0x1p-24f;  // (0, 1]
    const float radius = __builtin_sqrtf(-2.0f * log_unit(u));
    // The angle in quarter turns: nearest whole quarter, and the rest in [-1/2, 1/2).
    const uint32_t turn = (bits[i + 1] >> 8) + (1u << 21);
    const uint32_t quarter = turn >> 22;
    const float rest = static_cast<float>(static_cast<int32_t>(turn & 0x3fffffu) - (1 << 21)) *
                       (0x1p-22f * 1.57079632679489662f);
    const float z = rest * rest;
    // Cephes sinf and cosf on [-pi/4, pi/4]
    const float sine =
        ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * rest + rest;
    const float cosine =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
        0.5f * z + 1.0f;
    const bool swap = quarter & 1;
    const float c = swap ? sine : cosine, s = swap ? cosine : sine;
    out[i] = radius * (((quarter + 1) & 2) ? -c : c);
    out[i + 1] = radius * ((quarter & 2) ? -s : s);
  }
}

template <class Transform>
void fill(uint64_t key, uint64_t item, uint64_t first, float* out, int64_t n, Transform transform) {
  uint32_t bits[kNumbers];
  float numbers[kNumbers];
  uint64_t skip = first % 4;
  for (uint64_t block = first / 4; n > 0; block += kLanes) {
    make_blocks(key, item, block, bits);
    transform(bits, numbers);
    const int64_t count = std::min<int64_t>(n, kNumbers - static_cast<int64_t>(skip));
    std::memcpy(out, numbers + skip, static_cast<size_t>(count) * sizeof(float));
    out += count;
    n -= count;
    skip = 0;
  }
}

uint64_t mix(uint64_t x) {  // splitmix64's finalizer
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t p0 = uint64_t{kMultiplier0} * c[0], p1 = uint64_t{kMultiplier1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k = {k[0] + kWeyl0, k[1] + kWeyl1};
  }
  return c;
}

uint64_t stream_key(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return mix(mix(seed + 0x9E3779B97F4A7C15u) ^ hash);
}

void philox_uniform(uint64_t key, uint64_t item, uint64_t first, float* out, int64_t n) {
  fill(key, item, first, out, n, to_uniform);
}

void philox_normal(uint64_t key, uint64_t item, uint64_t first, float* out, int64_t n) {
  fill(key, item, first, out, n, to_normal);
}

void philox_bits(uint64_t key, uint64_t item, uint64_t first, uint64_t* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t position = first + static_cast<uint64_t>(i), block = position / 2;
    const auto words = philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                   static_cast<uint32_t>(item), static_cast<uint32_t>(item >> 32)},
                                  {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
    const size_t half = 2 * (position % 2);
    out[i] = uint64_t{words[half]} | uint64_t{words[half + 1]} << 32;
  }
}

double uniform_at(uint64_t key, uint64_t item, uint64_t position) {
  uint64_t bits = 0;
  philox_bits(key, item, position, &bits, 1);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace genai
