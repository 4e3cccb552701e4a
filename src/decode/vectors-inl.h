// What the loops of decode/kernels.cpp do to a vector, for one kind of CPU: to be included by
// loops-inl.h, which tells what is defined there. Hence no #pragma once.

GENAI_INLINE Lanes load(const float* from) {
  return *reinterpret_cast<const Loose*>(from);
}
GENAI_INLINE void store(const Lanes& from, float* to) {
  *reinterpret_cast<Loose*>(to) = from;
}
GENAI_INLINE Lanes all(float x) {
  return x - Lanes{};
}

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
  const Lanes r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // log(2) in two parts
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

GENAI_INLINE Lanes sigmoid(const Lanes& x) {
  return 1.f / (1.f + exponential(-x));
}
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
  const Lanes tail = 0.5f * p * t * exponential(-z * z);  // Phi(-|x|)
  return x * (x < 0.f ? tail : 1.f - tail);
}

GENAI_INLINE Lanes gelu_tanh(const Lanes& x) {
  // (1 + tanh(y)) / 2 = sigmoid(2 y)
  return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
}

constexpr int kParts = kHeadPad / kLanes;  // vectors of 16 numbers in memory

/// Vector v of them.
GENAI_INLINE Lanes part(const float* from, int v) {
  return load(from + v * kLanes);
}
GENAI_INLINE Lanes part(const uint16_t* from, int v) {
  constexpr int kHalf = kParts / 2;  // a vector of pairs holds two vectors of numbers
  const Ints pairs = *reinterpret_cast<const LooseInts*>(from + v % kHalf * 2 * kLanes);
  return (Lanes)(v < kHalf ? pairs << 16 : pairs & ~0xffff);
}

GENAI_INLINE void put(float x, float* to, int64_t i) {
  to[i] = x;
}
GENAI_INLINE void put(float x, uint16_t* to, int64_t i) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  bits += 0x7fff + (bits >> 16 & 1);  // to the nearest, or of two the even one
  to[i / 16 * 16 + i % 8 * 2 + i / 8 % 2] = static_cast<uint16_t>(bits >> 16);
}
