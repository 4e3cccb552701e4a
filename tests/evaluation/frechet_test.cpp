#include "genai/evaluation/frechet.h"

#include <cmath>
#include <limits>

#include "evaluation/metrics_table.h"

namespace genai {
namespace {

Tensor normal(const std::string& name, at::IntArrayRef shape) {
  return Draw(1, "frechet-test", {0}).normal(name, shape)[0].to(at::kDouble);
}

/// [n, d] with mean 0 and covariance I, exactly.
Tensor white(const std::string& name, int64_t n, int64_t d) {
  Tensor x = normal(name, {n, d});
  x = x - x.mean(0);
  const auto [u, s, v] = at::linalg_svd(x, false);
  return u * std::sqrt(static_cast<double>(n - 1));
}

double distance(const Tensor& a, const Tensor& b) {
  return frechet_distance(moments(a), moments(b));
}

Tensor diagonal(const std::vector<double>& values) {
  return at::diag(at::tensor(values, at::kDouble));
}

TEST(Moments, AreMeanAndUnbiasedCovariance) {
  const Tensor x = at::tensor({1.0, 2.0, 3.0, 6.0, 5.0, 1.0}).view({3, 2});
  const Moments found = moments(x.to(at::kFloat));
  EXPECT_EQ(found.count, 3);
  EXPECT_EQ(found.mean.scalar_type(), at::kDouble);
  EXPECT_TRUE(found.mean.allclose(at::tensor({3.0, 3.0}, at::kDouble), 1e-14));
  const Tensor covariance = at::tensor({4.0, -1.0, -1.0, 7.0}, at::kDouble).view({2, 2});
  EXPECT_TRUE(found.covariance.allclose(covariance, 1e-14));
}

TEST(Moments, RefusesWhatHasNone) {
  const auto refuses = [](const char* part, const Tensor& x) {
    expect_error(ErrorKind::data, part, [&] { moments(x); });
  };
  refuses("found 8 items of 8 features", normal("x", {8, 8}));
  refuses("at least 2 items, found 0", at::zeros({0, 4}));
  refuses("a table of real numbers", at::zeros({5}));
  refuses("found nothing", Tensor());
  Tensor x = normal("x", {20, 3});
  x[7][1] = std::numeric_limits<double>::quiet_NaN();
  x[9][0] = std::numeric_limits<double>::infinity();
  refuses("found 2 of 20 items with a NaN or infinity, the first of them item 7", x);
}

TEST(Frechet, OfGaussiansHasClosedForms) {
  const Tensor x = white("a", 60, 5), y = white("b", 90, 5);
  EXPECT_NEAR(distance(x, x), 0, 1e-12);
  EXPECT_NEAR(distance(x, y), 0, 1e-12);
  const Tensor shift = at::tensor({1.0, -2.0, 0.0, 0.5, 0.0}, at::kDouble);
  EXPECT_NEAR(distance(x, y + shift), 5.25, 1e-12);
  // Covariances that commute: sum of (sqrt(a_i) - sqrt(b_i))^2.
  EXPECT_NEAR(distance(x.mm(diagonal({1, 2, 3, 4, 5})), y.mm(diagonal({2, 2, 2, 1, 5}))),
              1 + 0 + 1 + 9 + 0, 1e-11);
  EXPECT_NEAR(distance(3 * x, y + shift), 5 * 4 + 5.25, 1e-11);
}

TEST(Frechet, IsSymmetricAndTheSameInEveryBasis) {
  const TwoSets sets = table_sets()[0];
  const double forward = distance(sets.samples, sets.real);
  EXPECT_NEAR(distance(sets.real, sets.samples), forward, 1e-12);
  const Tensor turn = std::get<0>(at::linalg_qr(normal("turn", {sets.d, sets.d})));
  EXPECT_NEAR(distance(sets.samples.mm(turn) + 7, sets.real.mm(turn) + 7), forward, 1e-12);
}

TEST(Frechet, DirectionsWithoutVarianceAddNothing) {
  const TwoSets sets = table_sets()[0];
  const auto widen = [&](const Tensor& x) {  // to 20 features, of which 12 say nothing new
    return at::cat({x, at::zeros({x.size(0), 6}, at::kDouble), x.narrow(1, 0, 6)}, 1);
  };
  const Tensor samples = widen(sets.samples), real = widen(sets.real);
  EXPECT_NEAR(distance(samples, samples), 0, 1e-13);
  // The doubled columns are as if those had sqrt(2) of their size.
  const Tensor size = diagonal({M_SQRT2, M_SQRT2, M_SQRT2, M_SQRT2, M_SQRT2, M_SQRT2, 1, 1});
  const Tensor narrow_samples = sets.samples.mm(size), narrow_real = sets.real.mm(size);
  EXPECT_NEAR(distance(samples, real), distance(narrow_samples, narrow_real), 1e-13);
  const Tensor wide = frechet_influence(samples, moments(samples), moments(real));
  const Tensor narrow =
      frechet_influence(narrow_samples, moments(narrow_samples), moments(narrow_real));
  EXPECT_TRUE(wide.allclose(narrow, 1e-9, 1e-12)) << (wide - narrow).abs().max();
  const FrechetFloor a = frechet_floor(real, 100, 200), b = frechet_floor(narrow_real, 100, 200);
  EXPECT_NEAR(a.mean, b.mean, 1e-9 * b.mean);
  EXPECT_NEAR(a.standard_deviation, b.standard_deviation, 1e-9 * b.standard_deviation);
  const FrechetFloor none = frechet_floor(at::ones({10, 3}), 5, 5);
  EXPECT_EQ(none.mean, 0);
  EXPECT_EQ(none.standard_deviation, 0);
}

TEST(Frechet, RefusesSetsThatDoNotFit) {
  const Moments a = moments(normal("a", {20, 3})), b = moments(normal("b", {20, 4}));
  expect_error(ErrorKind::data, "of 3 and of 4 features", [&] { frechet_distance(a, b); });
  expect_error(ErrorKind::data, "of 3 and of 4 features", [&] {
    frechet_influence(normal("a", {20, 3}), a, b);
  });
  expect_error(ErrorKind::data, "the influence of 19 items on moments of 20", [&] {
    frechet_influence(normal("a", {19, 3}), a, a);
  });
  expect_error(ErrorKind::data, "sets that are not empty", [&] {
    frechet_floor(normal("a", {20, 3}), 0, 5);
  });
}

TEST(FrechetInfluence, HasMeanZero) {
  for (const TwoSets& sets : table_sets()) {
    const Tensor influence =
        frechet_influence(sets.samples, moments(sets.samples), moments(sets.real));
    EXPECT_EQ(influence.sizes(), at::IntArrayRef{sets.n});
    EXPECT_NEAR(influence.mean().item<double>(), 0, 1e-12);
  }
}

/// Of samples of which item i has e more of the whole weight, the others less in proportion.
Moments weighted(const Tensor& x, int64_t i, double e) {
  const double n = static_cast<double>(x.size(0));
  const Tensor weight = at::full(x.size(0), (1 - e) / n, at::kDouble);
  weight[i] += e;
  const Tensor mean = weight.matmul(x);
  const Tensor centred = x - mean;
  return {.count = x.size(0),
          .mean = mean,
          .covariance = (centred * weight.unsqueeze(1)).t().mm(centred) * (n / (n - 1))};
}

TEST(FrechetInfluence, IsTheDerivativeByASamplesWeight) {
  const TwoSets sets = table_sets()[0];
  const Moments real = moments(sets.real);
  Tensor collapsed = sets.samples.clone();  // a feature that never changes, one that is a copy
  collapsed.select(1, 0).fill_(0.1);
  collapsed.select(1, 3).copy_(collapsed.select(1, 4));
  for (const Tensor& samples : {sets.samples, collapsed}) {
    const Tensor influence = frechet_influence(samples, moments(samples), real);
    EXPECT_NEAR(influence.mean().item<double>(), 0, 1e-9);
    const double e = 1e-4;
    for (const int64_t i : {3, 50, 200}) {
      const double more = frechet_distance(weighted(samples, i, e), real);
      const double less = frechet_distance(weighted(samples, i, -e), real);
      EXPECT_NEAR((more - less) / (2 * e), influence[i].item<double>(), 1e-5) << i;
    }
  }
}

TEST(FrechetInfluence, GivesTheStandardErrorOfTheDistance) {
  const int64_t n = 400, repeats = 200;
  const Moments real = moments(table_features("real8", 3000, 8, 0.1));
  std::vector<double> distances, errors;
  for (int64_t i = 0; i < repeats; ++i) {
    const Tensor x = table_features("se/" + std::to_string(i), n, 8, 0.25).narrow(0, 20, n - 20);
    const Moments samples = moments(x);
    distances.push_back(frechet_distance(samples, real));
    errors.push_back(frechet_influence(x, samples, real).std().item<double>() /
                     std::sqrt(static_cast<double>(n - 20)));
  }
  // A standard deviation from 200 values is known to 5 %.
  const double spread = at::tensor(distances, at::kDouble).std().item<double>();
  EXPECT_NEAR(at::tensor(errors, at::kDouble).mean().item<double>() / spread, 1, 0.15);
}

// (1/n + 1/m) (3/2 tr S + 1/2 sum_{i != j} l_i l_j / (l_i + l_j)), and its standard deviation.
TEST(FrechetFloor, OfAGaussianIsTheClosedForm) {
  const std::vector<double> l{4, 1, 0.25};
  const Tensor x = normal("gauss", {60'000, 3}).mm(diagonal({2, 1, 0.5}));
  double mean = 0, variance = 0;
  for (size_t i = 0; i < 3; ++i) {
    mean += 1.5 * l[i];
    variance += 2.5 * l[i] * l[i];
    for (size_t j = 0; j < 3; ++j) {
      if (i == j) continue;
      const double harmonic = l[i] * l[j] / (l[i] + l[j]);
      mean += 0.5 * harmonic;
      variance += harmonic * harmonic;
    }
  }
  const FrechetFloor floor = frechet_floor(x, 200, 300);
  const double c = 1.0 / 200 + 1.0 / 300;
  EXPECT_NEAR(floor.mean / (c * mean), 1, 0.02);
  EXPECT_NEAR(floor.standard_deviation / (c * std::sqrt(variance)), 1, 0.05);
}

/// Mean and standard deviation of distances between two fresh sets of one distribution against the
/// floor from a large third.
template <class Make>
void check_floor(const char* what, Make make) {
  const int64_t n = 500, m = 400;
  const int repeats = 300;
  std::vector<double> values;
  for (int i = 0; i < repeats; ++i) {
    values.push_back(distance(make(concat("n/", i), n), make(concat("m/", i), m)));
  }
  const Tensor found = at::tensor(values, at::kDouble);
  const double mean = found.mean().item<double>(), deviation = found.std().item<double>();
  const FrechetFloor floor = frechet_floor(make("reference", 20'000), n, m);
  EXPECT_NEAR(floor.mean, mean, 3 * deviation / std::sqrt(repeats)) << what;
  EXPECT_NEAR(floor.standard_deviation / deviation, 1, 0.2) << what;
}

TEST(FrechetFloor, IsWhatTwoSetsOfOneDistributionHave) {
  const Tensor mix = normal("mix", {8, 8});
  check_floor("Gaussian", [&](const std::string& name, int64_t count) {
    return normal(name, {count, 8}).mm(mix);
  });
  // Rarely above 0 and then far: half of this is beyond the Gaussian formula.
  check_floor("ReLU", [&](const std::string& name, int64_t count) {
    return (normal(name, {count, 8}).mm(mix) - 2).relu();
  });
}

TEST(FrechetFloor, ShrinksWithTheSets) {
  const Tensor x = normal("x", {500, 4});
  const FrechetFloor few = frechet_floor(x, 100, 100), many = frechet_floor(x, 1000, 1000);
  EXPECT_NEAR(few.mean, 10 * many.mean, 1e-12);
  EXPECT_NEAR(few.standard_deviation, 10 * many.standard_deviation, 1e-12);
}

TEST(FrechetFloor, DoesNotDependOnTheOrderMuch) {  // pairs of items are drawn when there are many
  const Tensor x = (normal("x", {9000, 6}) + 0.3).relu();
  const Tensor by_first = x.index_select(0, x.select(1, 0).argsort());
  EXPECT_NEAR(frechet_floor(by_first, 50, 50).standard_deviation /
                  frechet_floor(x, 50, 50).standard_deviation,
              1, 0.03);
}

TEST(Frechet, AgreesWithPython) {
  for (const TwoSets& sets : table_sets()) {
    const Moments samples = moments(sets.samples), real = moments(sets.real);
    expect_close(frechet_distance(samples, real), sets.values.at("frechet_distance"));
    const Tensor influence = frechet_influence(sets.samples, samples, real);
    const Json& items = sets.values.at("influence_items");
    for (size_t i = 0; i < items.size(); ++i) {
      expect_close(influence[items[i].get<int64_t>()].item<double>(),
                   sets.values.at("influence")[i]);
    }
    const FrechetFloor floor = frechet_floor(sets.real.narrow(0, 0, 500), sets.n, sets.m);
    expect_close(floor.mean, sets.values.at("floor_mean"));
    expect_close(floor.standard_deviation, sets.values.at("floor_standard_deviation"));
  }
}

}  // namespace
}  // namespace genai
