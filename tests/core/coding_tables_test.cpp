#include "genai/core/coding_tables.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/core/philox.h"

namespace genai {
namespace {

/// Whole, in order, each one number wide at least; each symbol is found at both ends of its own.
template <class At, class Find>
void expect_partition(int64_t symbols, const At& interval, const Find& symbol) {
  uint32_t end = 0;
  for (int64_t i = 0; i < symbols; ++i) {
    const Interval one = interval(i);
    ASSERT_EQ(one.start, end) << i;
    ASSERT_GE(one.size, 1u) << i;
    end = one.start + one.size;
    ASSERT_EQ(symbol(one.start), i);
    ASSERT_EQ(symbol(end - 1), i);
  }
  EXPECT_EQ(end, kAnsTotal);
}

TEST(CodingTables, ExpAndTheNormalDistributionAreRight) {
  for (double x = -690; x < 690; x += 0.37) {
    EXPECT_NEAR(portable_exp(x) / std::exp(x), 1, 1e-15) << x;
  }
  EXPECT_EQ(portable_exp(0), 1);
  EXPECT_EQ(portable_exp(-1e300), 0);
  for (double x = -9; x < 9; x += 0.01) {
    EXPECT_NEAR(normal_cdf(x), 0.5 * std::erfc(-x / std::sqrt(2)), 1e-14) << x;
  }
}

TEST(CodingTables, TheSameBitsOnEveryMachine) {
  // Written down once; another compiler or CPU must find the same.
  EXPECT_EQ(portable_exp(1.5), 0x1.1ed3fe64fc541p+2);
  EXPECT_EQ(portable_exp(-20.125), 0x1.f3fe0cb68b20cp-30);
  EXPECT_EQ(normal_cdf(-1.25), 0x1.b0bdd12ba9c28p-4);
  const auto edges = equal_mass_edges(1 << 14);
  uint64_t sum = 0;
  for (const double edge : edges) {
    const NormalCode code(edges, edge, 0.25);
    const Interval one = code.interval(9000);
    sum = sum * 31 + one.start + one.size;
  }
  for (double logit = -17; logit < 17; logit += 0.01)
    sum = sum * 31 + BernoulliCode(logit).interval(false).size;
  EXPECT_EQ(sum, 12023452941634521859u);
}

TEST(CodingTables, CellsOfEqualProbability) {
  for (const int64_t n : {2, 4, 16, 1 << 12}) {
    const auto edges = equal_mass_edges(n);
    ASSERT_EQ(static_cast<int64_t>(edges.size()), n - 1);
    for (int64_t i = 1; i < n; ++i) {
      EXPECT_NEAR(normal_cdf(edges[static_cast<size_t>(i - 1)]),
                  static_cast<double>(i) / static_cast<double>(n), 1e-14);
    }
  }
}

TEST(CodingTables, UniformSymbols) {
  for (const int64_t n : {1, 2, 3, 5, 256, 1000, 1 << 14}) {
    expect_partition(
        n, [&](int64_t i) { return uniform_interval(i, n); },
        [&](uint32_t number) { return uniform_symbol(number, n); });
  }
}

TEST(CodingTables, BitsHaveTheirProbability) {
  for (const double logit : {-1e9, -16.0, -3.2, 0.0, 0.01, 5.5, 40.0}) {
    const BernoulliCode code(logit);
    expect_partition(
        2, [&](int64_t i) { return code.interval(i == 1); },
        [&](uint32_t number) { return int64_t{code.bit(number)}; });
    const double p = 1 / (1 + std::exp(-logit));
    EXPECT_NEAR(code.interval(true).size / double{kAnsTotal}, p, 0.002);
  }
  expect_error(ErrorKind::data, "not finite", [] { BernoulliCode(std::nan("")); });
}

TEST(CodingTables, CellsUnderANormal) {
  const auto edges = equal_mass_edges(1 << 10);
  for (const auto& [mean, deviation] : {std::pair(0.0, 1.0),
                                        {0.3, 0.05},
                                        {-4.5, 0.01},
                                        {0.0, 50.0},
                                        {1e6, 1e-6},
                                        {-1e300, 1e-7},
                                        {0.0, 1e7}}) {
    const NormalCode code(edges, mean, deviation);
    expect_partition(
        1 << 10, [&](int64_t i) { return code.interval(i); },
        [&](uint32_t number) { return code.cell(number); });
  }
  const NormalCode code(edges, 0.3, 0.05);
  for (const int64_t cell : {600, 620, 640, 660}) {
    const auto at = [&](int64_t i) {
      return normal_cdf((edges[static_cast<size_t>(i)] - 0.3) / 0.05);
    };
    EXPECT_NEAR(code.interval(cell).size / double{kAnsTotal}, at(cell) - at(cell - 1), 1e-4);
  }
  expect_error(ErrorKind::data, "not finite", [&] { NormalCode(edges, 0, 0); });
}

TEST(CodingTables, SymbolsOfASoftmaxAndItsEscape) {
  std::vector<float> logits;
  UniformStream numbers(stream_key(2, "logits"), 0);
  for (int i = 0; i < 65; ++i) logits.push_back(static_cast<float>(numbers.between(-9, 9)));
  logits[7] = -3e38f;
  SoftmaxCode code;
  code.set(logits);
  ASSERT_EQ(code.escape(), 65);
  expect_partition(
      66, [&](int64_t i) { return code.interval(static_cast<int32_t>(i)); },
      [&](uint32_t number) { return int64_t{code.symbol(number)}; });
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  for (int32_t i = 0; i < 65; ++i) {
    const double p = std::exp(static_cast<double>(logits[static_cast<size_t>(i)])) / sum;
    EXPECT_NEAR(code.interval(i).size / double{kAnsTotal}, p, 0.0003 * p + 1e-7);
    if (i != 7) {
      EXPECT_NEAR(code.bits(i), -std::log2(p), 1e-9);
    }
  }
  EXPECT_NEAR(code.interval(65).size / double{kAnsTotal}, 1.0 / 4096, 1e-5);
  logits[3] = INFINITY;
  expect_error(ErrorKind::data, "not finite", [&] { code.set(logits); });
  expect_error(ErrorKind::usage, "logits", [&] { code.set({}); });
}

}  // namespace
}  // namespace genai
