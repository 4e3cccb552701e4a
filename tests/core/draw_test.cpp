#include "genai/core/draw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "genai/core/philox.h"

namespace genai {
namespace {

TEST(Draw, MakesFloatsOfTheShape) {
  const Draw draw(1, "test", {3, 4});
  EXPECT_EQ(draw.items(), 2);
  for (const Tensor& numbers : {draw.normal("z", {5, 8}), draw.uniform("z", {5, 8})}) {
    EXPECT_EQ(numbers.sizes(), (std::vector<int64_t>{2, 5, 8}));
    EXPECT_EQ(numbers.scalar_type(), at::kFloat);
    EXPECT_TRUE(numbers.device().is_cpu());
  }
  EXPECT_EQ(draw.normal("z", {}).sizes(), (std::vector<int64_t>{2}));
  EXPECT_EQ(draw.normal("z", {0, 3}).sizes(), (std::vector<int64_t>{2, 0, 3}));
  EXPECT_EQ(Draw(1, "test", {}).normal("z", {7}).sizes(), (std::vector<int64_t>{0, 7}));
}

TEST(Draw, IsTheItemsPhiloxStream) {
  const int64_t item = (1ll << 40) + 5;
  std::vector<float> expected(12);
  philox_normal(stream_key(9, "train/critic/z"), item, 0, expected.data(), 12);
  EXPECT_TRUE(Draw(9, "train/critic", {0, item})
                  .normal("z", {3, 4})[1]
                  .equal(at::tensor(expected).view({3, 4})));
  philox_uniform(stream_key(9, "train/critic/z"), item, 0, expected.data(), 12);
  EXPECT_TRUE(Draw(9, "train/critic", {0, item})
                  .uniform("z", {3, 4})[1]
                  .equal(at::tensor(expected).view({3, 4})));
}

TEST(Draw, AnItemsNumbersDoNotDependOnItsBatch) {
  std::vector<int64_t> items(1000);
  std::iota(items.begin(), items.end(), 50);
  const Tensor all = Draw(1, "test", items).normal("z", {3, 5});
  EXPECT_TRUE(Draw(1, "test", {77}).normal("z", {3, 5})[0].equal(all[27]));
  const Tensor few = Draw(1, "test", {1049, 50, 77, 77}).normal("z", {3, 5});
  EXPECT_TRUE(few[0].equal(all[999]));
  EXPECT_TRUE(few[1].equal(all[0]));
  EXPECT_TRUE(few[2].equal(all[27]));
  EXPECT_TRUE(few[3].equal(few[2]));
  EXPECT_TRUE(Draw(1, "test", {77}).normal("z", {15})[0].equal(all[27].flatten()));
}

TEST(Draw, FirstSkipsNumbersOfEachItem) {  // the example of draw.h
  const Draw draw(1, "test", {2, 9, 4});
  for (const bool normal : {true, false}) {
    const auto make = [&](at::IntArrayRef shape, int64_t first = 0) {
      return normal ? draw.normal("z", shape, first) : draw.uniform("z", shape, first);
    };
    EXPECT_TRUE(make({5, 8}).equal(at::cat({make({2, 8}), make({3, 8}, 16)}, 1)));
    EXPECT_TRUE(make({40}).narrow(1, 7, 10).equal(make({10}, 7)));
  }
}

TEST(Draw, DiffersBySeedPurposeNameAndItem) {
  const auto same = [](const Tensor& a, const Tensor& b) { return a.eq(b).sum().item<int64_t>(); };
  const Tensor z = Draw(1, "a", {0}).normal("z", {1000});
  EXPECT_EQ(same(z, Draw(1, "a", {0}).normal("z", {1000})), 1000);
  EXPECT_LE(same(z, Draw(2, "a", {0}).normal("z", {1000})), 1);
  EXPECT_LE(same(z, Draw(1, "b", {0}).normal("z", {1000})), 1);
  EXPECT_LE(same(z, Draw(1, "a", {0}).normal("y", {1000})), 1);
  EXPECT_LE(same(z, Draw(1, "a", {1}).normal("z", {1000})), 1);
}

TEST(Draw, DoesNotDependOnTheNumberOfThreads) {
  const int before = at::get_num_threads();
  std::vector<int64_t> items(777);
  std::iota(items.begin(), items.end(), 0);
  const Draw draw(1, "test", items);
  at::set_num_threads(1);
  const Tensor one = draw.normal("z", {101}), flat = draw.uniform("z", {1});
  const auto order = random_permutation(1, "test", 50'000);
  for (const int threads : {2, 3, 8}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(one.equal(draw.normal("z", {101}))) << threads;
    EXPECT_TRUE(flat.equal(draw.uniform("z", {1}))) << threads;
    EXPECT_EQ(order, random_permutation(1, "test", 50'000)) << threads;
  }
  at::set_num_threads(before);
}

TEST(RandomPermutation, HoldsEachNumberOnce) {
  for (const int64_t n : {0, 1, 2, 3, 60'000}) {
    auto order = random_permutation(1, "epoch/0", n);
    std::sort(order.begin(), order.end());
    std::vector<int64_t> expected(static_cast<size_t>(n));
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(order, expected);
  }
}

TEST(RandomPermutation, DiffersBySeedAndPurpose) {
  const auto order = random_permutation(1, "epoch/0", 100);
  EXPECT_EQ(order, random_permutation(1, "epoch/0", 100));
  EXPECT_NE(order, random_permutation(2, "epoch/0", 100));
  EXPECT_NE(order, random_permutation(1, "epoch/1", 100));
}

TEST(RandomPermutation, IsPinned) {  // the order of every run's data depends on it
  EXPECT_EQ(random_permutation(1, "epoch/0", 10),
            (std::vector<int64_t>{3, 1, 9, 0, 2, 5, 4, 8, 7, 6}));
}

// Chi-square of 23 degrees of freedom: above 49.7 with probability 0.001.
TEST(RandomPermutation, AllOrdersAreEquallyLikely) {
  std::map<std::vector<int64_t>, double> count;
  for (uint64_t seed = 0; seed < 24'000; ++seed) ++count[random_permutation(seed, "test", 4)];
  EXPECT_EQ(count.size(), 24u);
  double chi_square = 0;
  for (const auto& [order, n] : count) chi_square += (n - 1000) * (n - 1000) / 1000;
  EXPECT_LT(chi_square, 49.7);
}

}  // namespace
}  // namespace genai
