// Random numbers that are a pure function of (key, item, position): Philox 4x32-10,
// J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
// Plain IEEE arithmetic without libm: the same numbers on every machine.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace genai {

/// The ten-round Philox 4x32 block function.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A 64-bit key for one purpose: streams with another seed or another name share no numbers.
uint64_t stream_key(uint64_t seed, std::string_view name);

/// out[i] = number first + i of the item's stream, uniform in [0, 1) with 24 bits.
void philox_uniform(uint64_t key, uint64_t item, uint64_t first, float* out, int64_t n);

/// The same positions as standard normal numbers (Box-Muller in float32, |x| < 5.8).
void philox_normal(uint64_t key, uint64_t item, uint64_t first, float* out, int64_t n);

/// out[i] = 64 random bits, number first + i.
void philox_bits(uint64_t key, uint64_t item, uint64_t first, uint64_t* out, int64_t n);

/// Number `position` of the item's stream, uniform in [0, 1) with 53 bits.
double uniform_at(uint64_t key, uint64_t item, uint64_t position);

/// Those of an item, one after the other.
class UniformStream {
 public:
  UniformStream(uint64_t key, int64_t item) : key_(key), item_(static_cast<uint64_t>(item)) {}
  double next() { return uniform_at(key_, item_, position_++); }
  double between(double low, double high) { return low + (high - low) * next(); }
  /// 0 to n - 1.
  int64_t below(int64_t n) { return static_cast<int64_t>(next() * static_cast<double>(n)); }

 private:
  uint64_t key_, item_, position_ = 0;
};

}  // namespace genai
