#include "genai/sampling/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/temp_folder.h"
#include "genai/base/json.h"
#include "genai/core/draw.h"
#include "tensors.h"

namespace genai {
namespace {

ProcessConfig config(const Json& settings) {
  return from_json<ProcessConfig>(process_fields(), settings, "process");
}

NoiseProcess process(const Json& settings) {
  return NoiseProcess(config(settings));
}

const Json kEdm = {{"kind", "edm"}, {"center", -1.2}, {"spread", 1.2}};
const Json kFlow = {{"kind", "flow"}};

/// One of each kind that computes on a path of its own.
const std::vector<Json>& all_processes() {
  static const std::vector<Json> all = {{{"schedule", "linear"}},
                                        {{"schedule", "cosine"}},
                                        {{"schedule", "sigmoid"}},
                                        {{"schedule", "linear"}, {"steps", 1000}},
                                        {{"schedule", "cosine"}, {"steps", 1000}},
                                        {{"schedule", "sigmoid"}, {"steps", 100}},
                                        kEdm,
                                        kFlow,
                                        {{"kind", "flow"}, {"spread", 1}}};
  return all;
}

const Json& table() {
  static const Json table = [] {
    const auto file =
        std::filesystem::path(GENAI_SOURCE_DIR) / "tests/sampling/noise_in_python.json";
    return parse_json(slurp(file), file.string(), ErrorKind::data);
  }();
  return table;
}

/// alpha and sigma of q(x_t | x_0) as published, where the signal keeps its variance.
struct Published {
  Json settings;
  std::vector<double> t, alpha, sigma;
};

std::vector<Published> published() {
  std::vector<Published> all;
  for (const Json& entry : table().at("levels")) {
    all.push_back({{{"schedule", entry.at("schedule")}, {"steps", entry.at("steps")}},
                   entry.at("t"),
                   entry.at("alpha"),
                   entry.at("sigma")});
  }
  return all;
}

// Schedules.

TEST(NoiseProcess, AgreesWithPython) {
  for (const Published& expected : published()) {
    const NoiseProcess found = process(expected.settings);
    const NoiseLevels mixture = found.at(numbers(expected.t));
    EXPECT_LT(distance(mixture.alpha, numbers(expected.alpha)), 1e-6) << expected.settings;
    EXPECT_LT(distance(mixture.sigma, numbers(expected.sigma)), 1e-6) << expected.settings;
    for (size_t i = 0; i < expected.t.size(); ++i) {
      if (expected.t[i] == 0) continue;
      // In double: tells levels apart where sigma is 1 or alpha is 1 but for a few digits.
      const double ratio = expected.sigma[i] / expected.alpha[i];
      EXPECT_NEAR(found.level(expected.t[i]).ratio() / ratio, 1, 1e-9)
          << expected.settings << " t " << expected.t[i];
    }
  }
}

TEST(NoiseProcess, OfDdpmHasItsKnownEnds) {  // Ho et al. 2020, sections 3.2 and 4
  const NoiseProcess ddpm = process({{"schedule", "linear"}, {"steps", 1000}});
  const NoiseLevels ends = ddpm.at(numbers({1.0 / 1000, 1}));
  EXPECT_NEAR(ends.alpha[0].item<double>(), std::sqrt(1 - 1e-4), 1e-7);
  EXPECT_NEAR(ends.sigma[0].item<double>(), 0.01, 1e-7);
  const double left = ends.alpha[1].item<double>() * ends.alpha[1].item<double>();
  EXPECT_NEAR(left, 4.0358e-5, 1e-8);
}

TEST(NoiseProcess, EndsInAsMuchNoiseWhateverTheNumberOfLevels) {
  for (const int64_t steps : {100, 200, 1000, 4000}) {
    const NoiseProcess found = process({{"schedule", "linear"}, {"steps", steps}});
    // The integral of beta over time is 10.05, so alpha is e^-5.025; 1 - beta is less than e^-beta.
    EXPECT_NEAR(std::log(found.level(1).ratio()), 5.025, 40.0 / static_cast<double>(steps));
  }
}

TEST(NoiseProcess, KeepsTheVarianceOrTheSignalOrTheirSum) {
  const Tensor t = at::linspace(0, 1, 1001, at::kDouble);
  for (const Json& settings : all_processes()) {
    const NoiseProcess found = process(settings);
    const NoiseLevels mixture = found.at(t);
    EXPECT_EQ(mixture.alpha.scalar_type(), at::kFloat);
    EXPECT_EQ(mixture.sigma.sizes(), t.sizes());
    const Tensor alpha = mixture.alpha.to(at::kDouble), sigma = mixture.sigma.to(at::kDouble);
    const Tensor kept = found.kind() == Process::vp    ? alpha.square() + sigma.square()
                        : found.kind() == Process::edm ? alpha
                                                       : alpha + sigma;
    EXPECT_LT(distance(kept, at::ones_like(t)), 1e-6) << settings;
  }
}

TEST(NoiseProcess, HasMoreNoiseAtEveryLaterTime) {
  for (const Json& settings : all_processes()) {
    const NoiseProcess found = process(settings);
    double before = -1;
    for (int i = 0; i <= 400; ++i) {
      const double t = i / 400.0, ratio = found.level(t).ratio();
      // Discrete: times before the first level are the first level.
      if (t > 0 && found.steps() > 0 && t <= 1.0 / static_cast<double>(found.steps())) continue;
      EXPECT_GT(ratio, before) << settings << " t " << t;
      before = ratio;
    }
    EXPECT_GT(before, 50) << settings;
  }
}

TEST(NoiseProcess, IsNumbersFromEndToEnd) {
  const Tensor t = at::cat({numbers({0, 0x1p-60, 0x1p-24, 1e-4, 1 - 0x1p-24, 1 - 0x1p-53, 1}),
                            at::linspace(0, 1, 997, at::kDouble)});
  for (const Json& settings : all_processes()) {
    const NoiseProcess found = process(settings);
    const NoiseLevels mixture = found.at(t);
    EXPECT_TRUE(mixture.alpha.isfinite().all().item<bool>()) << settings;
    EXPECT_TRUE(mixture.sigma.isfinite().all().item<bool>()) << settings;
    EXPECT_GE(mixture.alpha.min().item<double>(), 0) << settings;
    EXPECT_GE(mixture.sigma.min().item<double>(), 0) << settings;
    for (int64_t i = 0; i < t.numel(); ++i) {
      const NoiseLevel level = found.level(t[i].item<double>());
      EXPECT_TRUE(std::isfinite(level.sigma)) << settings << " " << t[i].item<double>();
    }
  }
}

TEST(NoiseProcess, GivesALevelAsABatchOfThem) {  // up to a factor of x
  for (const Json& settings : all_processes()) {
    const NoiseProcess found = process(settings);
    for (const double t : {0.013, 0.3, 0.5, 0.77, 0.98}) {
      const NoiseLevels mixture = found.at(numbers({t}));
      const NoiseLevel level = found.level(t);
      EXPECT_NEAR(mixture.sigma.item<double>() / mixture.alpha.item<double>() / level.ratio(), 1,
                  1e-6)
          << settings << " " << t;
      EXPECT_NEAR(level.half_log_snr(), -std::log(level.ratio()), 1e-12);
      EXPECT_EQ(level.alpha, found.kind() == Process::flow ? 1 - t : 1);
    }
    EXPECT_EQ(found.level(0).sigma, 0) << settings;
    EXPECT_EQ(found.level(0).alpha, 1) << settings;
  }
}

TEST(NoiseProcess, IsInterpolatedBetweenDiscreteLevels) {
  const NoiseProcess found = process({{"schedule", "cosine"}, {"steps", 50}});
  const auto log_ratio = [&](double place) { return std::log(found.level(place / 50).ratio()); };
  for (const double n : {1.0, 7.0, 30.0, 49.0}) {
    EXPECT_NEAR(log_ratio(n + 0.25), 0.75 * log_ratio(n) + 0.25 * log_ratio(n + 1), 1e-9);
  }
  EXPECT_EQ(log_ratio(0.3), log_ratio(1));  // there is nothing before the first
}

TEST(NoiseProcess, OfManyLevelsIsTheContinuousOne) {
  // The sum of the linear betas differs from their integral by a share 1 / T.
  for (const char* schedule : {"linear", "cosine", "sigmoid"}) {
    const NoiseProcess discrete = process({{"schedule", schedule}, {"steps", 20000}});
    const NoiseProcess continuous = process({{"schedule", schedule}});
    const Tensor t = at::linspace(0.1, 0.9, 9, at::kDouble);
    EXPECT_LT(distance(discrete.at(t).alpha, continuous.at(t).alpha), 3e-4) << schedule;
    EXPECT_LT(distance(discrete.at(t).sigma, continuous.at(t).sigma), 3e-4) << schedule;
  }
}

// The definition of q(x_t | x_0): noise of variance beta_t added in each step.
TEST(NoiseProcess, IsTheChainOfItsStepsAtOnce) {
  constexpr int64_t kSteps = 40, kCount = 40000;
  const NoiseProcess found = process({{"schedule", "linear"}, {"steps", kSteps}});
  const Tensor noise = Draw(1, "chain", ids(kCount)).normal("noise", {kSteps});
  const double x0 = 0.8;
  Tensor x = at::full({kCount}, x0);
  for (int64_t step = 0; step < kSteps; ++step) {
    const double beta = (0.1 + (20 - 0.1) * static_cast<double>(step) / (kSteps - 1)) / kSteps;
    x = std::sqrt(1 - beta) * x + std::sqrt(beta) * noise.select(1, step);
    const NoiseLevels now = found.at(numbers({static_cast<double>(step + 1) / kSteps}));
    const double sigma = now.sigma.item<double>();
    EXPECT_NEAR(x.mean().item<double>(), now.alpha.item<double>() * x0,
                5 * sigma / std::sqrt(kCount))
        << step;
    EXPECT_NEAR(x.std().item<double>(), sigma, 5 * sigma / std::sqrt(2.0 * kCount)) << step;
  }
}

// Training.

TEST(TrainingLevels, OfEdmAreLogNormal) {
  const std::vector<double> uniform = table().at("uniform"), normal = table().at("normal");
  const NoiseLevels found = process(kEdm).training_levels(numbers(uniform));
  for (size_t i = 0; i < uniform.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    EXPECT_NEAR(std::log(found.sigma[row].item<double>()), -1.2 + 1.2 * normal[i], 1e-5);
    EXPECT_EQ(found.alpha[row].item<double>(), 1);
  }
}

TEST(TrainingLevels, OfFlowAreLogitNormalOrUniform) {
  const std::vector<double> uniform = table().at("uniform"), normal = table().at("normal");
  const NoiseProcess logit_normal = process({{"kind", "flow"}, {"center", 0.4}, {"spread", 1.5}});
  const NoiseLevels found = logit_normal.training_levels(numbers(uniform));
  const NoiseLevels flat = process(kFlow).training_levels(numbers(uniform));
  for (size_t i = 0; i < uniform.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    const double t = 1 / (1 + std::exp(-(0.4 + 1.5 * normal[i])));
    EXPECT_NEAR(found.sigma[row].item<double>(), t, 1e-6);
    EXPECT_NEAR(found.alpha[row].item<double>(), 1 - t, 1e-6);
    EXPECT_NEAR(flat.sigma[row].item<double>(), uniform[i], 1e-6);
    EXPECT_NEAR(flat.alpha[row].item<double>(), 1 - uniform[i], 1e-6);
  }
}

TEST(TrainingLevels, OfADiscreteScheduleAreItsLevelsEquallyOften) {
  constexpr int64_t kSteps = 8;
  const NoiseProcess found = process({{"schedule", "sigmoid"}, {"steps", kSteps}});
  const NoiseLevels drawn =
      found.training_levels(at::arange(0, 1, 1.0 / (kSteps * 25), at::kDouble));
  const Tensor levels =
      found.at(at::arange(1, kSteps + 1, at::kDouble) / static_cast<double>(kSteps)).sigma;
  for (int64_t n = 0; n < kSteps; ++n) {
    EXPECT_EQ(drawn.sigma.eq(levels[n]).sum().item<int64_t>(), 25) << n;
  }
}

TEST(TrainingLevels, OfAContinuumAreTheLevelsOfAllTimes) {
  const NoiseProcess found = process({{"schedule", "cosine"}});
  const Tensor u = numbers({0.1, 0.5, 0.9});
  EXPECT_TRUE(at::equal(found.training_levels(u).sigma, found.at(u).sigma));
}

TEST(TrainingLevels, HaveSomeNoiseAndSomeSignal) {  // else nothing can be learned from them
  // All that uniform numbers of 24 bits can be at their ends.
  const Tensor u = numbers({0, 0x1p-24, 0x1p-23, 1 - 0x1p-23, 1 - 0x1p-24}).to(at::kFloat);
  for (const Json& settings : all_processes()) {
    const NoiseLevels found = process(settings).training_levels(u);
    for (const Tensor& part : {found.alpha, found.sigma}) {
      EXPECT_TRUE(part.isfinite().all().item<bool>()) << settings << part;
      EXPECT_GT(part.min().item<double>(), 0) << settings << part;
    }
  }
}

TEST(TrainingLevels, StayNumbersAtTheWidestSettings) {
  const Tensor u = numbers({0, 0.5, 1 - 0x1p-24}).to(at::kFloat);
  for (const char* kind : {"edm", "flow"}) {
    for (const double center : {-10, 10}) {
      const NoiseLevels found =
          process({{"kind", kind}, {"center", center}, {"spread", 4}}).training_levels(u);
      EXPECT_GT(found.sigma.min().item<double>(), 0) << kind;
      EXPECT_GT(found.alpha.min().item<double>(), 0) << kind;
      EXPECT_LT(found.sigma.max().item<double>(), 1e18) << kind;  // its square is a float
    }
  }
}

// Sampling.

const std::vector<Spacing>& all_spacings() {
  static const std::vector<Spacing> all = [] {
    std::vector<Spacing> values;
    for (const auto& [spacing, name] : kSpacingNames) values.push_back(spacing);
    return values;
  }();
  return all;
}

TEST(SamplingLevels, FallStrictlyFromMostNoiseToNone) {
  for (const Json& settings : all_processes()) {
    const NoiseProcess found = process(settings);
    for (const Spacing spacing : all_spacings()) {
      for (const int64_t count : {1, 2, 3, 7, 10, 50, 99, 100, 250, 1000}) {
        if (found.steps() > 0 && count > found.steps()) continue;
        const std::vector<NoiseLevel> levels = found.sampling_levels(spacing, count);
        ASSERT_EQ(levels.size(), static_cast<size_t>(count + 1));
        EXPECT_EQ(levels.back().sigma, 0);
        EXPECT_EQ(levels.back().alpha, 1);
        EXPECT_GT(levels.front().sigma, 0.9) << settings;
        for (size_t i = 1; i < levels.size(); ++i) {
          ASSERT_LT(levels[i].sigma, levels[i - 1].sigma)
              << settings << " " << enum_name(kSpacingNames, spacing) << " " << count << ": " << i;
        }
      }
    }
  }
}

TEST(SamplingLevels, AreOfTheProcess) {  // in the scale of edm where it keeps the variance
  for (const Json& settings : all_processes()) {
    const NoiseProcess found = process(settings);
    for (const Spacing spacing : all_spacings()) {
      for (const NoiseLevel& level : found.sampling_levels(spacing, 20)) {
        EXPECT_NEAR(level.alpha + (found.kind() == Process::flow ? level.sigma : 0), 1, 1e-12)
            << settings << enum_name(kSpacingNames, spacing);
      }
    }
  }
}

TEST(SamplingLevels, UniformHitsEqualTimes) {
  const std::vector<NoiseLevel> flow = process(kFlow).sampling_levels(Spacing::uniform, 4);
  const double times[] = {1, 0.75, 0.5, 0.25, 0};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(flow[i].sigma, times[i]);
    EXPECT_EQ(flow[i].alpha, 1 - times[i]);  // alpha 0 at the first
  }
  // Every tenth, and every, level of DDPM.
  for (const Published& expected : published()) {
    const int64_t steps = expected.settings.at("steps");
    if (steps == 0) continue;
    const NoiseProcess found = process(expected.settings);
    for (const int64_t stride : {1, 2}) {
      const int64_t count = steps / stride;
      const auto levels = found.sampling_levels(Spacing::uniform, count);
      for (size_t i = 0; i < expected.t.size(); ++i) {
        const auto n = static_cast<int64_t>(std::round(expected.t[i] * static_cast<double>(steps)));
        if (n % stride) continue;
        const auto place = static_cast<size_t>(count - n / stride);
        EXPECT_NEAR(levels[place].ratio() * expected.alpha[i] / expected.sigma[i], 1, 1e-9)
            << expected.settings << " level " << n;
      }
    }
  }
}

TEST(SamplingLevels, QuadraticHitsEqualRootsOfTime) {
  const std::vector<NoiseLevel> flow = process(kFlow).sampling_levels(Spacing::quadratic, 4);
  const double times[] = {1, 0.5625, 0.25, 0.0625, 0};
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(flow[i].sigma, times[i], 1e-12);
  // Down to the first level, however many steps there are.
  const NoiseProcess ddpm = process({{"schedule", "linear"}, {"steps", 1000}});
  for (const int64_t count : {40, 100, 1000}) {
    const auto levels = ddpm.sampling_levels(Spacing::quadratic, count);
    EXPECT_NEAR(levels[static_cast<size_t>(count) - 1].ratio(), ddpm.level(1e-3).ratio(), 1e-12);
  }
}

TEST(SamplingLevels, OfKarrasAgreeWithPython) {
  const std::vector<double> expected = table().at("karras 18");
  const auto edm = process(kEdm).sampling_levels(Spacing::karras, 18);
  const auto flow = process(kFlow).sampling_levels(Spacing::karras, 18);
  ASSERT_EQ(edm.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(edm[i].sigma, expected[i], 1e-9);
    EXPECT_NEAR(flow[i].ratio(), expected[i], 1e-9);  // the same ratios on the straight path
  }
}

TEST(SamplingLevels, OfLogSnrAreEquallySpacedInIt) {
  for (const Json& settings : all_processes()) {
    const auto levels = process(settings).sampling_levels(Spacing::log_snr, 9);
    const double first = levels[0].half_log_snr(), last = levels[8].half_log_snr();
    for (size_t i = 0; i < 9; ++i) {
      EXPECT_NEAR(levels[i].half_log_snr(), first + (last - first) * static_cast<double>(i) / 8,
                  1e-9)
          << settings;
    }
  }
}

TEST(SamplingLevels, ByRatioStayWhereTheProcessIsAndWithinTheLimits) {
  for (const Spacing spacing : {Spacing::karras, Spacing::log_snr}) {
    std::vector<Json> all = all_processes();
    all.push_back({{"schedule", "cosine"}, {"steps", 2}});  // ends in less noise than the limit
    for (const Json& settings : all) {
      const NoiseProcess found = process(settings);
      const int64_t count = found.steps() == 2 ? 2 : 10;
      const auto levels = found.sampling_levels(spacing, count);
      const double most = levels[0].ratio(), least = levels[static_cast<size_t>(count) - 1].ratio();
      EXPECT_LE(most, kLargestRatio * (1 + 1e-12)) << settings;
      EXPECT_GE(least, kSmallestRatio * (1 - 1e-12)) << settings;
      EXPECT_LE(most, found.level(1).ratio() * (1 + 1e-12)) << settings;
      if (found.steps() > 0) {
        const double first = found.level(1 / static_cast<double>(found.steps())).ratio();
        EXPECT_GE(least, first * (1 - 1e-12)) << settings;
      }
    }
    // DDPM: between the limits, its own are 157 and 0.01.
    const auto ddpm =
        process({{"schedule", "linear"}, {"steps", 1000}}).sampling_levels(spacing, 10);
    EXPECT_NEAR(ddpm[0].ratio(), 80, 1e-9);
    EXPECT_NEAR(ddpm[9].ratio(), 0.02, 1e-9);
  }
}

// Wrong input.

TEST(NoiseProcess, RefusesSettingsThatDoNotFit) {
  expect_error(ErrorKind::usage, "process.steps: only vp has a number of noise levels, not edm",
               [] {
                 process({{"kind", "edm"}, {"spread", 1}, {"steps", 1000}});
               });
  expect_error(ErrorKind::usage, "not flow", [] { process({{"kind", "flow"}, {"steps", 10}}); });
  expect_error(ErrorKind::usage, "process.spread", [] { process({{"kind", "edm"}}); });
  for (const Json& wrong : {Json{{"steps", -1}}, Json{{"kind", "ve"}}, Json{{"schedule", "square"}},
                            Json{{"spread", -1}}, Json{{"data_std", 0}}, Json{{"beta", 1}}}) {
    expect_error(ErrorKind::usage, wrong.begin().key(), [&] { config(wrong); });
  }
}

TEST(NoiseProcess, RefusesASingleLevel) {
  expect_error(ErrorKind::usage, "process.steps", [] { process({{"steps", 1}}); });
  EXPECT_NO_THROW(process({{"steps", 2}}));
}

TEST(SamplingLevels, RefusesStepsThatThereAreNot) {
  for (const Spacing spacing : all_spacings()) {
    for (const Json& settings : all_processes()) {
      expect_error(ErrorKind::usage, "sampling.steps: expected at least 1, found 0",
                   [&] { process(settings).sampling_levels(spacing, 0); });
    }
    const NoiseProcess ddpm = process({{"schedule", "linear"}, {"steps", 1000}});
    EXPECT_NO_THROW(ddpm.sampling_levels(spacing, 1000));
    expect_error(ErrorKind::usage, "knows 1000 noise levels",
                 [&] { ddpm.sampling_levels(spacing, 1001); });
  }
}

// A continuous schedule is held to limits of its log-SNR, where late times are one level.
TEST(SamplingLevels, RefusesMoreStepsThanCanBeToldApart) {
  const NoiseProcess cosine = process({{"schedule", "cosine"}});
  EXPECT_NO_THROW(cosine.sampling_levels(Spacing::uniform, 2000));
  expect_error(ErrorKind::usage, "sampling.steps: 4000 steps of 'uniform' fall together",
               [&] { cosine.sampling_levels(Spacing::uniform, 4000); });
}

}  // namespace
}  // namespace genai
