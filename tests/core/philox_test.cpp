#include "genai/core/philox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <vector>

#include "genai/base/hash.h"

namespace genai {
namespace {

using Words = std::array<uint32_t, 4>;

constexpr uint64_t kKey = 0x299f31d0a4093822, kItem = 0x0370734413198a2e;

std::vector<float> uniform(uint64_t key, uint64_t item, uint64_t first, int64_t n) {
  std::vector<float> out(static_cast<size_t>(n));
  philox_uniform(key, item, first, out.data(), n);
  return out;
}

std::vector<float> normal(uint64_t key, uint64_t item, uint64_t first, int64_t n) {
  std::vector<float> out(static_cast<size_t>(n));
  philox_normal(key, item, first, out.data(), n);
  return out;
}

std::vector<uint64_t> bits(uint64_t key, uint64_t item, uint64_t first, int64_t n) {
  std::vector<uint64_t> out(static_cast<size_t>(n));
  philox_bits(key, item, first, out.data(), n);
  return out;
}

uint32_t low(uint64_t x) {
  return static_cast<uint32_t>(x);
}
uint32_t high(uint64_t x) {
  return static_cast<uint32_t>(x >> 32);
}

/// 32-bit word number `position` of an item's stream, from the block function.
uint32_t word(uint64_t key, uint64_t item, uint64_t position) {
  const uint64_t block = position / 4;
  return philox4x32({low(block), high(block), low(item), high(item)},
                    {low(key), high(key)})[position % 4];
}

template <class Number>
std::string hash(const std::vector<Number>& numbers) {
  return sha256({reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)});
}

// Random123 1.14, tests/kat_vectors, "philox4x32 10".
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// The same numbers on every machine, for ever: pictures and runs depend on them.
TEST(Philox, NumbersArePinned) {
  const uint64_t key = stream_key(1, "test/z");
  EXPECT_EQ(key, 0x343f2acedf200653);
  EXPECT_EQ(uniform(key, 7, 0, 3),
            (std::vector<float>{0x1.07d528p-1f, 0x1.c53c08p-3f, 0x1.eb43a8p-2f}));
  EXPECT_EQ(normal(key, 7, 0, 4),
            (std::vector<float>{0x1.a6e278p-3f, 0x1.22036ap+0f, 0x1.3b05eap-1f, -0x1.0b5276p+0f}));
  EXPECT_EQ(bits(key, 7, 0, 2), (std::vector<uint64_t>{0x38a7813a83ea946a, 0xd5b1b66e7ad0ea47}));
  EXPECT_EQ(hash(uniform(key, 7, 3, 100'000)),
            "10146d48a94e3d0ffccc47f255e4235332477970d8b470845e5c36406d79a6d8");
  EXPECT_EQ(hash(normal(key, 7, 3, 100'000)),
            "2afcef7b9f65880cec19135922cc1748a848e64de3f95b94cc219adf0eabc9de");
}

/// Places where a stream's 32-bit parts carry over, and odd ones.
const uint64_t kFirsts[] = {0, 1, 2, 3, 255, 257, (1ull << 34) - 3, (1ull << 34) + 2, 1ull << 62};

TEST(Philox, UniformIsTheHigh24BitsOfTheWords) {
  for (const uint64_t first : kFirsts) {
    const auto numbers = uniform(kKey, kItem, first, 600);
    for (size_t i = 0; i < numbers.size(); ++i) {
      ASSERT_EQ(numbers[i], static_cast<float>(word(kKey, kItem, first + i) >> 8) / 16777216.0f)
          << first << " + " << i;
    }
  }
}

TEST(Philox, NormalIsBoxMullerOfTheWords) {
  for (const uint64_t first : kFirsts) {
    const auto numbers = normal(kKey, kItem, first, 600);
    for (size_t i = 0; i < numbers.size(); ++i) {
      const uint64_t position = first + i, pair = position / 2 * 2;
      const double u = ((word(kKey, kItem, pair) >> 8) + 1.0) / 16777216;
      const double angle = 2 * std::numbers::pi * (word(kKey, kItem, pair + 1) >> 8) / 16777216.0;
      const double expected =
          std::sqrt(-2 * std::log(u)) * (position % 2 ? std::sin(angle) : std::cos(angle));
      ASSERT_NEAR(numbers[i], expected, 1e-6) << first << " + " << i;
    }
  }
}

TEST(Philox, BitsAreTheWords) {
  for (const uint64_t first : kFirsts) {
    const auto numbers = bits(kKey, kItem, first, 9);
    for (size_t i = 0; i < numbers.size(); ++i) {
      const uint64_t position = 2 * (first + i);
      EXPECT_EQ(numbers[i],
                word(kKey, kItem, position) | uint64_t{word(kKey, kItem, position + 1)} << 32);
    }
  }
}

TEST(Philox, AnyPartEqualsTheSliceOfTheWhole) {
  const int64_t n = 2000;
  const auto u = uniform(kKey, 3, 0, n);
  const auto z = normal(kKey, 3, 0, n);
  const auto b = bits(kKey, 3, 0, n);
  for (const int64_t first : {0, 1, 2, 3, 4, 5, 7, 255, 256, 257, 1023, 1999}) {
    for (const int64_t count : {0, 1, 2, 3, 5, 253, 256, 259, 1000}) {
      if (first + count > n) continue;
      const auto slice = [&](const auto& all) {
        return std::remove_cvref_t<decltype(all)>(all.begin() + first, all.begin() + first + count);
      };
      const auto at = static_cast<uint64_t>(first);
      EXPECT_EQ(uniform(kKey, 3, at, count), slice(u)) << first << " " << count;
      EXPECT_EQ(normal(kKey, 3, at, count), slice(z)) << first << " " << count;
      EXPECT_EQ(bits(kKey, 3, at, count), slice(b)) << first << " " << count;
    }
  }
}

TEST(Philox, WritesNoFurtherThanAsked) {
  std::vector<float> out(300, 9);
  philox_normal(kKey, 1, 5, out.data(), 257);
  EXPECT_EQ(std::count(out.begin() + 257, out.end(), 9.0f), 43);
}

// Seeds, names and items that differ in one place give streams without common numbers.
TEST(Philox, StreamsDiffer) {
  std::set<uint64_t> keys;
  for (uint64_t seed : {0ull, 1ull, 2ull, 1ull << 32, ~0ull}) {
    for (const char* name : {"", "a", "b", "ab", "ba", "z", "z/", "/z"}) {
      keys.insert(stream_key(seed, name));
    }
  }
  EXPECT_EQ(keys.size(), 40u);
  std::set<uint64_t> blocks;
  for (const uint64_t key : keys) {
    for (const uint64_t item : {0ull, 1ull, 2ull, 1ull << 32, ~0ull}) {
      for (const uint64_t b : bits(key, item, 0, 4)) blocks.insert(b);
    }
  }
  EXPECT_EQ(blocks.size(), 40u * 5 * 4);
}

struct Moments {
  double mean = 0, variance = 0, skewness = 0, kurtosis = 0;
};

Moments moments(const std::vector<float>& numbers) {
  const auto n = static_cast<double>(numbers.size());
  Moments m;
  for (const float x : numbers) m.mean += x / n;
  for (const float x : numbers) {
    const double d = x - m.mean;
    m.variance += d * d / n;
    m.skewness += d * d * d / n;
    m.kurtosis += d * d * d * d / n;
  }
  m.skewness /= std::pow(m.variance, 1.5);
  m.kurtosis /= m.variance * m.variance;
  return m;
}

constexpr int64_t kMany = 1'000'000;

/// Of a million: four standard errors of each moment.
void expect_standard_normal(const std::vector<float>& numbers) {
  const Moments m = moments(numbers);
  const double error = 4 / std::sqrt(static_cast<double>(numbers.size()));
  EXPECT_NEAR(m.mean, 0, error);
  EXPECT_NEAR(m.variance, 1, std::sqrt(2) * error);
  EXPECT_NEAR(m.skewness, 0, std::sqrt(6) * error);
  EXPECT_NEAR(m.kurtosis, 3, std::sqrt(24) * error);
}

TEST(PhiloxNormal, HasTheMoments) {
  const auto numbers = normal(stream_key(1, "moments"), 0, 0, kMany);
  expect_standard_normal(numbers);
  EXPECT_LT(std::abs(*std::max_element(numbers.begin(), numbers.end())), 5.8f);
  EXPECT_LT(std::abs(*std::min_element(numbers.begin(), numbers.end())), 5.8f);
  for (const size_t lag : {1, 2, 4}) {
    double product = 0;
    for (size_t i = lag; i < numbers.size(); ++i) product += numbers[i] * numbers[i - lag];
    EXPECT_NEAR(product / kMany, 0, 0.004) << "lag " << lag;
  }
}

// Kolmogorov-Smirnov: sqrt(n) D exceeds 1.95 with probability 0.001.
TEST(PhiloxNormal, HasTheDistribution) {
  auto numbers = normal(stream_key(2, "ks"), 0, 0, kMany);
  std::sort(numbers.begin(), numbers.end());
  double worst = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double p = 0.5 * std::erfc(-numbers[i] / std::numbers::sqrt2);
    worst = std::max(
        {worst, p - static_cast<double>(i) / kMany, static_cast<double>(i + 1) / kMany - p});
  }
  EXPECT_LT(std::sqrt(kMany) * worst, 1.95);
}

// Tails, where a bad logarithm would show: P(|x| > 4) = 6.334e-5.
TEST(PhiloxNormal, HasTheTails) {
  const auto numbers = normal(stream_key(3, "tails"), 0, 0, 4 * kMany);
  const double expected = 6.334e-5 * 4 * kMany;
  const auto count =
      std::count_if(numbers.begin(), numbers.end(), [](float x) { return std::abs(x) > 4; });
  EXPECT_NEAR(static_cast<double>(count), expected, 4 * std::sqrt(expected));
}

TEST(PhiloxNormal, FirstNumbersOfManyItemsAreIndependent) {
  std::vector<float> firsts;
  double product = 0;
  for (uint64_t item = 0; item < 100'000; ++item) {
    const auto pair = normal(stream_key(4, "items"), item, 0, 1);
    if (item) product += pair[0] * firsts.back();
    firsts.push_back(pair[0]);
  }
  expect_standard_normal(firsts);
  EXPECT_NEAR(product / 1e5, 0, 4 / std::sqrt(1e5));
}

// Chi-square of 255 degrees of freedom: above 330 with probability 0.001.
TEST(PhiloxUniform, IsUniform) {
  const auto numbers = uniform(stream_key(5, "chi"), 0, 0, kMany);
  std::vector<double> bins(256);
  for (const float x : numbers) {
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    ++bins[static_cast<size_t>(x * 256)];
  }
  double chi_square = 0;
  for (const double n : bins) chi_square += (n - kMany / 256.0) * (n - kMany / 256.0) * 256 / kMany;
  EXPECT_LT(chi_square, 330);
  EXPECT_GT(chi_square, 185);  // below with probability 0.0003: too even to be random
  EXPECT_NEAR(moments(numbers).mean, 0.5, 4 / std::sqrt(12.0 * kMany));
}

}  // namespace
}  // namespace genai
