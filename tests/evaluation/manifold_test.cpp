#include "genai/evaluation/manifold.h"

#include <ATen/Parallel.h>

#include <limits>

#include "evaluation/metrics_table.h"

namespace genai {
namespace {

Tensor on_a_line(const std::vector<double>& places) {
  return at::tensor(places, at::kDouble).unsqueeze(1);
}

void expect_values(const Tensor& found, const std::vector<double>& expected) {
  EXPECT_EQ(found.scalar_type(), at::kDouble);
  EXPECT_TRUE(found.equal(at::tensor(expected, at::kDouble))) << found;
}

TEST(Manifold, OfASmallExampleByHand) {
  // k = 1: real 0, 1, 3, 7 have radii 1, 1, 2, 4; samples 0.5, 4, 4.5, 9 have 3.5, 0.5, 0.5, 4.5.
  const ManifoldScores scores =
      manifold_scores(on_a_line({0, 1, 3, 7}), on_a_line({0.5, 4, 4.5, 9}), 1);
  expect_values(scores.precision, {1, 1, 1, 1});
  expect_values(scores.density, {2, 2, 2, 1});  // 0, 1 | 3, 7 | 3, 7 | 7
  expect_values(scores.coverage, {1, 1, 1, 1});
  expect_values(scores.recall, {1, 1, 1, 1});  // 0.5 | 0.5 | 0.5 | 9
}

TEST(Manifold, OnTheSurfaceIsOutside) {
  // Radii of real 0, 1, 3: 1, 1, 2. Of samples 5, 5, -1: 0, 0, 6.
  const ManifoldScores scores = manifold_scores(on_a_line({0, 1, 3}), on_a_line({5, 5, -1}), 1);
  expect_values(scores.precision, {0, 0, 0});
  expect_values(scores.density, {0, 0, 0});
  expect_values(scores.coverage, {0, 0, 0});
  expect_values(scores.recall, {1, 1, 1});
}

// A ball holds its own centre and k - 1 neighbours; the k-th is on the surface. That must hold to
// the last bit, whatever the features.
TEST(Manifold, OfIdenticalSetsIsOne) {
  for (const int64_t d : {1, 7, 64}) {
    for (const int64_t k : {1, 2, 5}) {
      const Tensor x = table_uniform("x", {700, d}) * 3 + 100;
      const Tensor order = at::tensor(random_permutation(1, "test", 700));
      const ManifoldScores scores = manifold_scores(x, x.index_select(0, order), k);
      EXPECT_EQ(scores.precision.mean().item<double>(), 1);
      EXPECT_EQ(scores.recall.mean().item<double>(), 1);
      EXPECT_EQ(scores.coverage.mean().item<double>(), 1);
      EXPECT_NEAR(scores.density.mean().item<double>(), 1, 1e-12) << d << " " << k;
    }
  }
}

TEST(Manifold, TellsMissingModesFromWrongOnes) {
  const Tensor one = table_uniform("one", {200, 4}), two = table_uniform("two", {200, 4}) + 50;
  const Tensor both = at::cat({one, two});
  const Tensor more = table_uniform("more", {300, 4});
  const ManifoldScores dropped = manifold_scores(both, more);
  EXPECT_GT(dropped.precision.mean().item<double>(), 0.7);
  EXPECT_EQ(dropped.recall.narrow(0, 200, 200).sum().item<double>(), 0);
  EXPECT_EQ(dropped.coverage.narrow(0, 200, 200).sum().item<double>(), 0);
  const ManifoldScores invented = manifold_scores(more, both);
  EXPECT_EQ(invented.precision.narrow(0, 200, 200).sum().item<double>(), 0);
  EXPECT_EQ(invented.density.narrow(0, 200, 200).sum().item<double>(), 0);
  EXPECT_GT(invented.recall.mean().item<double>(), 0.7);
}

TEST(Manifold, DoesNotDependOnThreadsOrOrder) {
  const TwoSets sets = table_sets()[0];
  const ManifoldScores once = manifold_scores(sets.real, sets.samples);
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  const ManifoldScores again = manifold_scores(sets.real, sets.samples.flip(0));
  at::set_num_threads(before);
  EXPECT_TRUE(again.precision.flip(0).equal(once.precision));
  EXPECT_TRUE(again.density.flip(0).equal(once.density));
  EXPECT_TRUE(again.recall.equal(once.recall));
  EXPECT_TRUE(again.coverage.equal(once.coverage));
}

TEST(Manifold, OfCollapsedSets) {  // radii of 0 hold nothing, not even a copy
  const Tensor same = at::ones({20, 3}), other = table_uniform("x", {30, 3});
  const ManifoldScores scores = manifold_scores(same, same, 2);
  EXPECT_EQ(scores.precision.sum().item<double>(), 0);
  EXPECT_EQ(scores.coverage.sum().item<double>(), 0);
  EXPECT_EQ(manifold_scores(other, same).recall.sum().item<double>(), 0);
}

TEST(Manifold, RefusesWhatItCannotMeasure) {
  const Tensor x = table_uniform("x", {30, 3});
  Tensor bad = x.clone();
  bad[3][2] = std::numeric_limits<double>::infinity();
  const auto refuses = [](const char* part, const Tensor& real, const Tensor& samples, int64_t k) {
    expect_error(ErrorKind::data, part, [&] { manifold_scores(real, samples, k); });
  };
  refuses("features of real images: expected at least 6 items, found 5", x.narrow(0, 0, 5), x, 5);
  refuses("features of samples: expected at least 3 items, found 0", x, x.narrow(0, 0, 0), 2);
  refuses("features of samples: expected finite numbers", x, bad, 5);
  refuses("real images have 3 features", x, x.narrow(1, 0, 2), 5);
  refuses("k = 0", x, x, 0);
}

void expect_agrees(const ManifoldScores& scores, const Json& expected) {
  expect_close(scores.precision.mean().item<double>(), expected.at("precision"), 1e-12);
  expect_close(scores.density.mean().item<double>(), expected.at("density"), 1e-12);
  expect_close(scores.recall.mean().item<double>(), expected.at("recall"), 1e-12);
  expect_close(scores.coverage.mean().item<double>(), expected.at("coverage"), 1e-12);
}

TEST(Manifold, AgreesWithPython) {
  for (const TwoSets& sets : table_sets()) {
    expect_agrees(manifold_scores(sets.real, sets.samples, 5), sets.values);
  }
  const Tensor training = table_pictures("training", 400);
  expect_agrees(manifold_scores(training, table_pictures("generated", 300), 3),
                metrics_table().at("pictures"));
}

}  // namespace
}  // namespace genai
