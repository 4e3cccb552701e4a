// Functions of one number as plain arithmetic that compilers vectorize.
#pragma once
#include <bit>
#include <cstdint>

namespace genai {

/// e^x, |x| held to 87, to 2 units in the last place: 2^k e^r with r within +-log(2)/2 by its
/// Taylor polynomial.
inline float exponential(float x) {
  x = x < -87.f ? -87.f : (x > 87.f ? 87.f : x);
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float kRound = 12582912.f;
  const float shifted = x * 1.44269504f + kRound;
  const float k = shifted - kRound;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // log(2) in two parts
  float p = 1.f / 5040;
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  constexpr uint32_t kOne = 0x3f800000;  // of the exponent of 1
  return p * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + kOne);
}

inline float sigmoid(float x) {
  return 1.f / (1.f + exponential(-x));
}

}  // namespace genai
