#include "genai/core/ans.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/core/philox.h"

namespace genai {
namespace {

/// Intervals that part the numbers: of sizes 1, 2, 4, ... and the rest.
std::vector<Interval> uneven() {
  std::vector<Interval> all;
  uint32_t start = 0;
  for (uint32_t size = 1; size < kAnsTotal / 2; size *= 2) {
    all.push_back({start, size});
    start += size;
  }
  all.push_back({start, kAnsTotal - start});
  return all;
}

size_t find(const std::vector<Interval>& all, uint32_t number) {
  size_t i = 0;
  while (number >= all[i].start + all[i].size) ++i;
  return i;
}

std::vector<size_t> symbols(size_t count, size_t kinds) {
  std::vector<size_t> all;
  UniformStream numbers(stream_key(1, "symbols"), 0);
  for (size_t i = 0; i < count; ++i)
    all.push_back(static_cast<size_t>(numbers.below(static_cast<int64_t>(kinds))));
  return all;
}

TEST(Ans, WhatIsPushedComesOffTheOtherWayRound) {
  const auto intervals = uneven();
  const auto pushed = symbols(20'000, intervals.size());
  AnsStack stack;
  double bits = 0;
  for (const size_t symbol : pushed) {
    stack.push(intervals[symbol]);
    bits += kAnsBits - std::log2(intervals[symbol].size);
  }
  const std::string bytes = stack.to_bytes();
  // Each costs what its probability says.
  EXPECT_NEAR(8.0 * static_cast<double>(bytes.size()), bits, 1e-4 * bits + 64);
  AnsStack again = AnsStack::from_bytes(bytes);
  EXPECT_EQ(again.to_bytes(), bytes);
  for (size_t i = pushed.size(); i-- > 0;) {
    const size_t symbol = find(intervals, again.peek());
    ASSERT_EQ(symbol, pushed[i]) << i;
    again.drop(intervals[symbol]);
  }
  EXPECT_TRUE(again.only_borrowed());
  EXPECT_EQ(again.to_bytes().size(), 8u);
}

TEST(Ans, ACertainSymbolCostsNothing) {
  AnsStack stack;
  const std::string before = stack.to_bytes();
  for (int i = 0; i < 100; ++i) stack.push({0, kAnsTotal});
  EXPECT_EQ(stack.to_bytes(), before);
  for (int i = 0; i < 100; ++i) stack.drop({0, kAnsTotal});
  EXPECT_EQ(stack.to_bytes(), before);
}

TEST(Ans, WhatWasNeverPushedIsDrawnAndGoesBack) {
  const auto intervals = uneven();
  AnsStack stack;
  stack.borrow();
  std::vector<size_t> drawn;
  std::vector<int> counts(intervals.size());
  for (int i = 0; i < 10'000; ++i) {
    drawn.push_back(find(intervals, stack.peek()));
    ++counts[drawn.back()];
    stack.drop(intervals[drawn.back()]);
  }
  // The last two have a probability of 1/4 and about 1/2.
  EXPECT_NEAR(counts[counts.size() - 2], 2500, 200);
  EXPECT_NEAR(counts.back(), 5000, 200);
  for (size_t i = drawn.size(); i-- > 0;) stack.push(intervals[drawn[i]]);
  EXPECT_TRUE(stack.only_borrowed());
  stack.push({3, 1});
  EXPECT_FALSE(stack.only_borrowed());
}

TEST(Ans, AnEmptyStackThatDoesNotBorrowSaysSo) {
  expect_error(ErrorKind::data, "ends before", [] {
    AnsStack empty;
    for (int i = 0; i < 10; ++i) empty.drop({empty.peek(), 1});
  });
}

TEST(Ans, BytesThatAreNoStackAreRefused) {
  const std::string whole = AnsStack().to_bytes();
  for (const size_t size : {size_t{0}, size_t{4}, size_t{7}}) {
    expect_error(ErrorKind::data, "expected a code",
                 [&] { AnsStack::from_bytes(whole.substr(0, size)); });
  }
  expect_error(ErrorKind::data, "expected a code", [&] { AnsStack::from_bytes(whole + "x"); });
  expect_error(ErrorKind::data, "out of range", [] { AnsStack::from_bytes(std::string(8, '\0')); });
}

}  // namespace
}  // namespace genai
