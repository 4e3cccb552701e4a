#include "genai/evaluation/kernel_distance.h"

#include <limits>

#include "evaluation/metrics_table.h"

namespace genai {
namespace {

TEST(KernelDistance, OfAFewNumbersByHand) {
  // One feature: k(x, y) = (x y + 1)^3. a: {0, 1, 2}: pairs 1, 1, 27; b: {1, 3}: one pair, 64.
  const Tensor a = at::tensor({0.0, 1.0, 2.0}).view({3, 1});
  const Tensor b = at::tensor({1.0, 3.0}).view({2, 1});
  const double between = (1 + 1 + 8 + 64 + 27 + 343) / 6.0;
  EXPECT_NEAR(kernel_distance(a, b), (1 + 1 + 27) / 3.0 + 64 - 2 * between, 1e-12);
  EXPECT_NEAR(kernel_distance(b, a), kernel_distance(a, b), 1e-12);
}

TEST(KernelDistance, IsUnbiased) {  // so that it is around 0, and below 0 half of the time
  double sum = 0, square = 0;
  int below = 0;
  const int repeats = 200;
  for (int i = 0; i < repeats; ++i) {
    const double value = kernel_distance(table_uniform(concat("a/", i), {20, 3}),
                                         table_uniform(concat("b/", i), {30, 3}));
    sum += value;
    square += value * value;
    below += value < 0;
  }
  EXPECT_LT(std::abs(sum), 3 * std::sqrt(square));
  EXPECT_GT(below, repeats / 4);
}

TEST(KernelDistance, DoesNotDependOnBlocksOrThreads) {
  const Tensor x = table_uniform("a", {301, 3}), y = table_uniform("b", {257, 3});
  const Tensor order = at::tensor(random_permutation(1, "test", 301));
  const double value = kernel_distance(x, y);
  EXPECT_NEAR(kernel_distance(x.index_select(0, order), y), value, 1e-12);
  EXPECT_NEAR(kernel_distance(x.to(at::kFloat), y.to(at::kFloat)), value, 1e-6);
}

TEST(KernelDistances, AreOfTheSameSubsetsAtEveryCall) {
  const TwoSets sets = table_sets()[0];
  const Tensor once = kernel_distances(sets.real, sets.samples, {.count = 5, .size = 50});
  EXPECT_EQ(once.sizes(), at::IntArrayRef{5});
  EXPECT_EQ(once.scalar_type(), at::kDouble);
  EXPECT_TRUE(once.equal(kernel_distances(sets.real, sets.samples, {.count = 5, .size = 50})));
  EXPECT_TRUE(once.narrow(0, 0, 3).equal(
      kernel_distances(sets.real, sets.samples, {.count = 3, .size = 50})));
  EXPECT_GT(once.std().item<double>(), 0);
  const Tensor all = kernel_distances(sets.real.narrow(0, 0, 60), sets.samples.narrow(0, 0, 60),
                                      {.count = 2, .size = 60});
  const double whole = kernel_distance(sets.real.narrow(0, 0, 60), sets.samples.narrow(0, 0, 60));
  EXPECT_NEAR(all[0].item<double>(), whole, 1e-12);
  EXPECT_NEAR(all[1].item<double>(), whole, 1e-12);
}

TEST(KernelDistance, RefusesWhatItCannotMeasure) {
  const Tensor x = table_uniform("x", {30, 3});
  Tensor bad = x.clone();
  bad[3][2] = std::numeric_limits<double>::quiet_NaN();
  const auto refuses = [&](const char* part, const Tensor& a, const Tensor& b) {
    expect_error(ErrorKind::data, part, [&] { kernel_distance(a, b); });
  };
  refuses("the first set of features: expected at least 2 items, found 1", x.narrow(0, 0, 1), x);
  refuses("the second set of features: expected at least 2 items, found 0", x, x.narrow(0, 0, 0));
  refuses("the second set of features: expected finite numbers", x, bad);
  refuses("have 3 features an item", x, x.narrow(1, 0, 2));
  expect_error(ErrorKind::data, "expected at least 31 items, found 30",
               [&] { kernel_distances(x, x, {.count = 2, .size = 31}); });
  expect_error(ErrorKind::data, "at least 1 subset of at least 2 items",
               [&] { kernel_distances(x, x, {.count = 0, .size = 10}); });
}

TEST(KernelDistance, AgreesWithPython) {
  for (const TwoSets& sets : table_sets()) {
    expect_close(kernel_distance(sets.real, sets.samples), sets.values.at("kernel_distance"));
    const Json& expected = sets.values.at("kernel_distances");
    const Tensor found = kernel_distances(
        sets.real, sets.samples, {.count = static_cast<int64_t>(expected.size()), .size = 120});
    for (size_t i = 0; i < expected.size(); ++i) {
      expect_close(found[static_cast<int64_t>(i)].item<double>(), expected[i]);
    }
  }
}

}  // namespace
}  // namespace genai
