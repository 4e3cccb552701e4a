#include "genai/sampling/bound.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "tensors.h"

namespace genai {
namespace {

/// Images of one pixel each.
Tensor pixels(const std::vector<double>& values) {
  return numbers(values).view({-1, 1, 1, 1});
}

/// x = 2 v / 255 - 1 of the 256 values of a pixel.
Tensor all_values() {
  return (at::arange(256, at::kDouble) * (2.0 / 255) - 1).view({-1, 1, 1, 1});
}

/// KL(N(m1, v1) || N(m2, v2))
double normal_divergence(double m1, double v1, double m2, double v2) {
  return 0.5 * (v1 / v2 + (m1 - m2) * (m1 - m2) / v2 - 1 - std::log(v1 / v2));
}

NoiseLevel vp(double alpha) {
  return {alpha, std::sqrt(1 - alpha * alpha)};
}

// Terms.

TEST(PriorDivergence, IsThatOfTwoNormalDistributions) {
  const double x[2][3] = {{0.3, -1, 0}, {1, 1, -0.25}};
  const Tensor x0 = at::stack({numbers({0.3, -1, 0}), numbers({1, 1, -0.25})}).view({2, 3, 1, 1});
  for (const NoiseLevel& level :
       {NoiseLevel{1, 80}, {1, 0.7}, vp(0.00635), vp(0.6), {0.0123, 0.9877}, {0, 1}}) {
    const double signal = level.alpha * level.alpha, noise = level.sigma * level.sigma;
    const Tensor found = prior_divergence(x0, level);
    ASSERT_EQ(found.sizes(), (at::IntArrayRef{2}));
    for (int i = 0; i < 2; ++i) {
      double expected = 0;
      for (const double value : x[i]) {
        expected += normal_divergence(level.alpha * value, noise, 0, signal + noise);
      }
      EXPECT_NEAR(found[i].item<double>(), expected, 1e-12) << level.alpha << " " << level.sigma;
    }
  }
  EXPECT_EQ(prior_divergence(x0, {0, 1}).abs().max().item<double>(), 0);  // nothing is left of x0
}

/// Mean and variance of x_to given x_from and x0, by Bayes' rule on x_to = alpha_to x0 + noise and
/// x_from = a x_to + noise.
std::pair<double, double> posterior(double x, double x0, const NoiseLevel& from,
                                    const NoiseLevel& to) {
  const double a = from.alpha / to.alpha;
  const double added = from.sigma * from.sigma - a * a * to.sigma * to.sigma;
  const double precision = 1 / (to.sigma * to.sigma) + a * a / added;
  const double mean = (to.alpha * x0 / (to.sigma * to.sigma) + a * x / added) / precision;
  return {mean, 1 / precision};
}

TEST(StepDivergence, IsThatOfThePosteriorsWithTheTrueAndThePredictedImage) {
  const std::vector<double> x0{0.4, -0.9, 1}, clean{0.1, -0.85, -1};
  const std::pair<NoiseLevel, NoiseLevel> steps[] = {
      {vp(0.3), vp(0.35)}, {vp(0.01), vp(0.9)},        {{1, 3}, {1, 2.5}},
      {{1, 80}, {1, 0.1}}, {{0.25, 0.75}, {0.5, 0.5}}, {{0.98, 0.02}, {0.995, 0.005}}};
  for (const auto& [from, to] : steps) {
    const Tensor found = step_divergence(pixels(x0), pixels(clean), from, to);
    double sum = 0;
    for (size_t i = 0; i < x0.size(); ++i) {
      const double x = from.alpha * x0[i] + from.sigma * 0.7;
      const auto [mean, variance] = posterior(x, x0[i], from, to);
      const auto [predicted, same] = posterior(x, clean[i], from, to);
      ASSERT_NEAR(variance / same, 1, 1e-12);
      const double expected = normal_divergence(mean, variance, predicted, same);
      EXPECT_NEAR(found[static_cast<int64_t>(i)].item<double>(), expected, 1e-9 * (1 + expected));
      sum += expected;
    }
    const Tensor image =
        step_divergence(pixels(x0).view({1, 3, 1, 1}), pixels(clean).view({1, 3, 1, 1}), from, to);
    EXPECT_NEAR(image.item<double>(), sum, 1e-9 * (1 + sum));
  }
}

TEST(StepDivergence, IsAddedUpByTheLevelsBetween) {  // for one prediction at all of them
  const Tensor x0 = pixels({0.4, -0.9}), clean = pixels({0.3, -1});
  const NoiseLevel levels[] = {vp(0.1), vp(0.2), vp(0.5), vp(0.9)};
  Tensor sum = at::zeros({2}, at::kDouble);
  for (int i = 0; i < 3; ++i) sum += step_divergence(x0, clean, levels[i], levels[i + 1]);
  EXPECT_LT(distance(sum, step_divergence(x0, clean, levels[0], levels[3])), 1e-12);
}

TEST(DiscretizedLogLikelihood, IsOfProbabilitiesThatSumToOne) {
  for (const double std : {0.002, 0.01, 0.2, 1.0, 30.0}) {
    for (const double mean : {-3.0, -1.0, -0.4, 0.0013, 0.5, 0.999, 1.0, 2.0}) {
      const Tensor log_p = discretized_log_likelihood(all_values(), pixels({mean}), std);
      ASSERT_EQ(log_p.sizes(), (at::IntArrayRef{256}));
      EXPECT_NEAR(log_p.exp().sum().item<double>(), 1, 1e-9) << mean << " " << std;
    }
  }
}

TEST(DiscretizedLogLikelihood, IsTheMassOfThePixelsStep) {
  const double std = 0.1, mean = 0.2;
  const auto below = [&](double x) {  // the normal distribution function
    return 0.5 * std::erfc(-(x - mean) / std / std::numbers::sqrt2);
  };
  const Tensor found = discretized_log_likelihood(all_values(), pixels({mean}), std);
  for (const int64_t value : {90, 127, 128, 152, 153, 200}) {
    const double x = 2 * static_cast<double>(value) / 255 - 1;
    EXPECT_NEAR(found[value].item<double>(), std::log(below(x + 1.0 / 255) - below(x - 1.0 / 255)),
                1e-9)
        << value;
  }
  // The outermost steps are open: black is all that is darker, white all that is brighter.
  EXPECT_NEAR(found[0].item<double>(), std::log(below(-1 + 1.0 / 255)), 1e-9);
  const Tensor bright = discretized_log_likelihood(all_values(), pixels({0.9}), 0.2);
  EXPECT_NEAR(bright[255].item<double>(),
              std::log(0.5 * std::erfc((1 - 1.0 / 255 - 0.9) / 0.2 / std::numbers::sqrt2)), 1e-9);
}

TEST(DiscretizedLogLikelihood, IsTheSameSeenFromTheOtherSide) {
  for (const double mean : {0.0, 0.3, 1.4}) {
    const Tensor found = discretized_log_likelihood(all_values(), pixels({mean}), 0.05);
    const Tensor mirrored = discretized_log_likelihood(-all_values(), pixels({-mean}), 0.05);
    EXPECT_LT(distance(found, mirrored), 1e-9 * found.abs().max().item<double>());
  }
}

TEST(DiscretizedLogLikelihood, IsFiniteFarFromTheMean) {
  // Where the density falls steeply all mass lies at the edge next to the mean, z standard
  // deviations away: log(phi(z) / z), short of a share 1 / z^2.
  const double std = 0.002;
  const Tensor found = discretized_log_likelihood(all_values(), pixels({-1}), std);
  EXPECT_TRUE(found.isfinite().all().item<bool>());
  for (const int64_t value : {20, 128, 254, 255}) {
    const double z = (2 * static_cast<double>(value) - 1) / 255 / std;
    const double expected = -0.5 * z * z - std::log(z) - 0.5 * std::log(2 * std::numbers::pi);
    EXPECT_NEAR(found[value].item<double>(), expected, 1 / (z * z) + 1e-9 * z * z) << value;
  }
  EXPECT_TRUE(
      discretized_log_likelihood(all_values(), pixels({1000}), std).isfinite().all().item<bool>());
}

TEST(DiscretizedLogLikelihood, KnowsTheValuesInSinglePrecision) {  // as models give them
  const Tensor grey = (at::arange(256, at::kFloat) / 255) * 2 - 1;
  const Tensor x = grey.view({-1, 1, 1, 1}), mean = x + 0.001;
  const Tensor found = discretized_log_likelihood(x, mean, 0.01);
  EXPECT_LT(distance(found, discretized_log_likelihood(all_values(), all_values() + 0.001, 0.01)),
            1e-4);
  EXPECT_GT(found[0].item<double>(), found[1].item<double>());  // open
  EXPECT_GT(found[255].item<double>(), found[254].item<double>());
}

// The bound.

std::vector<NoiseLevel> falling_geometrically(double from, double to, int count) {
  std::vector<NoiseLevel> levels;
  for (int i = 0; i < count; ++i) {
    levels.push_back({1, from * std::pow(to / from, i / (count - 1.0))});
  }
  levels.push_back({1, 0});
  return levels;
}

/// A prediction that depends on the level alone, so that it is known whatever noise is drawn.
Tensor guess(const NoiseLevel& level, at::IntArrayRef shape) {
  return at::full(shape, std::tanh(0.3 - level.ratio()), at::kDouble);
}

PredictRows guesses() {
  return [](const Tensor& x, const NoiseLevels& level) {
    const Tensor ratio = (level.sigma / level.alpha).to(at::kDouble);
    return (0.3 - ratio).tanh().view({-1, 1, 1, 1}).expand(x.sizes());
  };
}

TEST(VariationalBound, OfAllStepsIsTheSumOfItsTerms) {
  const Tensor x0 = all_values().narrow(0, 30, 200).reshape({50, 1, 2, 2});
  const std::vector<NoiseLevel> edm = falling_geometrically(20, 0.05, 12);
  std::vector<NoiseLevel> scaled;  // the same ratios where the variance is kept
  for (const NoiseLevel& level : edm) {
    const double size = std::hypot(level.alpha, level.sigma);
    scaled.push_back({level.alpha / size, level.sigma / size});
  }
  Tensor steps = at::zeros({50}, at::kDouble);
  for (size_t i = 0; i + 2 < edm.size(); ++i) {
    steps += step_divergence(x0, guess(edm[i], x0.sizes()), edm[i], edm[i + 1]);
  }
  const Tensor decoder = -discretized_log_likelihood(x0, guess(edm[11], x0.sizes()), 0.05);
  for (const auto& levels : {edm, scaled}) {
    for (const int64_t draws : {11, 12, 1000}) {
      const Bound found =
          variational_bound(x0, levels, guesses(), Draw(1, "bound", ids(50)), draws);
      EXPECT_LT(distance(found.prior, prior_divergence(x0, edm[0])), 1e-9);
      EXPECT_LT(distance(found.steps / steps, at::ones({50}, at::kDouble)), 1e-5);
      EXPECT_LT(distance(found.decoder / decoder, at::ones({50}, at::kDouble)), 1e-5);
      EXPECT_LT(distance(found.total(), found.prior + found.steps + found.decoder), 1e-12);
    }
  }
}

TEST(VariationalBound, OfFewerStepsIsUnbiased) {
  constexpr int64_t kImages = 5000;
  const Tensor x0 = at::full({kImages, 1, 1, 1}, 0.25);
  const std::vector<NoiseLevel> levels = falling_geometrically(10, 0.1, 12);  // 11 steps
  const auto bound = [&](int64_t draws) {
    return variational_bound(x0, levels, guesses(), Draw(2, "bound", ids(kImages)), draws).steps;
  };
  const double exact = bound(11)[0].item<double>();
  double spread = 1e9;
  for (const int64_t draws : {1, 2, 3, 4, 7, 10}) {  // divide 11 into parts that cut steps
    const Tensor found = bound(draws);
    const double std = found.std().item<double>();
    EXPECT_NEAR(found.mean().item<double>(), exact, 4 * std / std::sqrt(kImages)) << draws;
    EXPECT_GT(std, 0) << draws;
    EXPECT_LT(std, spread) << draws;  // each part has its own draw
    spread = std;
  }
}

TEST(VariationalBound, TellsWhichStepsWereTaken) {
  constexpr int64_t kImages = 3000, kSteps = 10, kDraws = 4;
  const Tensor x0 = at::full({kImages, 1, 1, 1}, 0.25);
  const std::vector<NoiseLevel> levels = falling_geometrically(10, 0.1, kSteps + 1);
  std::vector<Tensor> taken;
  variational_bound(x0, levels, guesses(), Draw(2, "bound", ids(kImages)), kDraws,
                    [&](const Tensor& step, const Tensor& nats) {
                      ASSERT_EQ(step.scalar_type(), at::kLong);
                      ASSERT_EQ(nats.sizes(), (at::IntArrayRef{kImages}));
                      for (const int64_t row : {0, 1, 77, 2999}) {
                        const auto i = static_cast<size_t>(step[row].item<int64_t>());
                        const double expected =
                            step_divergence(x0[row].unsqueeze(0), guess(levels[i], {1, 1, 1, 1}),
                                            levels[i], levels[i + 1])
                                .item<double>();
                        EXPECT_NEAR(nats[row].item<double>() / expected, 1, 1e-5);
                      }
                      taken.push_back(step);
                    });
  ASSERT_EQ(taken.size(), static_cast<size_t>(kDraws));
  // Parts of 2.5 steps: 0 1 2 | 2 3 4 | 5 6 7 | 7 8 9, the ones on both sides half as often.
  const double shares[kDraws][kSteps] = {{.4, .4, .2},
                                         {0, 0, .2, .4, .4},
                                         {0, 0, 0, 0, 0, .4, .4, .2},
                                         {0, 0, 0, 0, 0, 0, 0, .2, .4, .4}};
  for (size_t i = 0; i < kDraws; ++i) {
    const Tensor counts = at::bincount(taken[i], {}, kSteps);
    for (int64_t step = 0; step < kSteps; ++step) {
      const double share = shares[i][step];
      EXPECT_NEAR(counts[step].item<double>() / kImages, share,
                  4 * std::sqrt(share * (1 - share) / kImages))
          << i << " " << step;
    }
  }
}

TEST(VariationalBound, ShowsTheDenoiserTheImageWithTheNoiseOfItsLevel) {
  constexpr int64_t kImages = 4000;
  const Tensor x0 = at::full({kImages, 1, 1, 1}, -0.5);
  const std::vector<NoiseLevel> levels{{0.3, 0.9}, {0.6, 0.5}, {0.9, 0.2}, {1, 0}};
  std::vector<Tensor> noises;
  const PredictRows predict = [&](const Tensor& x, const NoiseLevels& level) {
    const Tensor noise = (x.flatten() - level.alpha * -0.5) / level.sigma;
    EXPECT_NEAR(noise.mean().item<double>(), 0, 5 / std::sqrt(kImages));
    EXPECT_NEAR(noise.std().item<double>(), 1, 5 / std::sqrt(2.0 * kImages));
    noises.push_back(noise);
    return x;
  };
  variational_bound(x0, levels, predict, Draw(3, "bound", ids(kImages)), 2);
  ASSERT_EQ(noises.size(), 3u);  // two steps and the decoder, each with noise of its own
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NEAR((noises[i] * noises[j]).mean().item<double>(), 0, 5 / std::sqrt(kImages));
    }
  }
}

TEST(VariationalBound, DoesNotDependOnTheBatch) {
  const Tensor x0 = all_values().narrow(0, 100, 8);
  const std::vector<NoiseLevel> levels = falling_geometrically(20, 0.02, 30);
  const PredictRows predict = [](const Tensor& x, const NoiseLevels&) { return x.clamp(-1, 1); };
  const Tensor all = variational_bound(x0, levels, predict, Draw(4, "bound", ids(8)), 5).total();
  const Tensor one =
      variational_bound(x0.narrow(0, 6, 1), levels, predict, Draw(4, "bound", {6}), 5).total();
  EXPECT_NEAR(all[6].item<double>(), one.item<double>(), 1e-9);
}

// Pixels from N(0.1, 0.4^2) and their exact denoiser: what is lost is what too few levels lose,
// some log(0.4 / 0.01) log(80 / 0.01) / levels. It ends at a ratio that hides the steps of 8 bits,
// of which this denoiser knows nothing.
TEST(VariationalBound, OfTheExactDenoiserComesDownToTheLikelihood) {
  constexpr int64_t kImages = 2000;
  constexpr double kMean = 0.1, kStd = 0.4;
  const Tensor drawn = kMean + kStd * Draw(5, "images", ids(kImages)).normal("x", {1, 1, 1});
  const Tensor x0 = ((drawn.to(at::kDouble) + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1;
  const Tensor exact = -discretized_log_likelihood(x0, pixels({kMean}), kStd);
  const PredictRows denoise = [](const Tensor& x, const NoiseLevels& level) {
    const Tensor a = level.alpha.to(at::kDouble).view({-1, 1, 1, 1});
    const Tensor s = level.sigma.to(at::kDouble).view({-1, 1, 1, 1});
    return kMean + kStd * kStd * a / (a * a * kStd * kStd + s * s) * (x - a * kMean);
  };
  double gap = 1e9;
  for (const int count : {5, 20, 100, 500}) {
    const Bound found = variational_bound(x0, falling_geometrically(80, 0.01, count), denoise,
                                          Draw(6, "bound", ids(kImages)), count);
    const Tensor loss = found.total() - exact;
    const double mean = loss.mean().item<double>();
    const double error = loss.std().item<double>() / std::sqrt(kImages);
    EXPECT_GT(mean, -3 * error) << count;
    EXPECT_LT(mean, gap) << count;
    gap = mean;
    if (count == 500) {
      EXPECT_LT(mean, 0.1) << "nats of " << exact.mean().item<double>();
      EXPECT_LT(error, 0.03);
    }
  }
}

// Wrong input.

TEST(VariationalBound, RefusesLevelsWithoutASum) {
  const Tensor x0 = pixels({0.5});
  const auto refuses = [&](const std::vector<NoiseLevel>& levels) {
    EXPECT_THROW(variational_bound(x0, levels, guesses(), Draw(1, "bound", {0}), 1),
                 std::logic_error);
  };
  refuses({});
  refuses({{1, 1}});
  refuses({{1, 1}, {1, 0}});
  refuses({{1, 3}, {1, 2}, {1, 1}});
}

}  // namespace
}  // namespace genai
