#include "genai/sampling/editing.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "genai/core/draw.h"

namespace genai {
namespace {

const std::vector<int64_t> kShape{1, 4, 4};

std::vector<NoiseLevel> falling(int64_t steps) {
  return NoiseProcess({.kind = Process::edm, .spread = 1}).sampling_levels(Spacing::karras, steps);
}

/// Of independent pixels N(mean, std^2).
Denoise gaussian(double mean, double std) {
  return [=](const Tensor& x, const NoiseLevel& at) {
    const double gain =
        std * std * at.alpha / (at.alpha * at.alpha * std * std + at.sigma * at.sigma);
    return mean + gain * (x - at.alpha * mean);
  };
}

Draw draw(int64_t items) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < items; ++i) numbers.push_back(i);
  return Draw(1, "editing test", numbers);
}

StepNoise noise_of(const Draw& draw) {
  return [draw](int64_t index) { return draw.normal(concat("step ", index), kShape); };
}

TEST(Measurement, OfKeptPixelsIsPutIntoAPredictionExactly) {
  const Tensor image = draw(2).normal("image", kShape), clean = draw(2).normal("clean", kShape);
  Tensor keep = at::zeros({4, 4});
  keep.narrow(0, 0, 2).fill_(1);
  const Tensor found = with_measurement(clean, keep_pixels(image, keep));
  EXPECT_TRUE(at::allclose(found.narrow(2, 0, 2), image.narrow(2, 0, 2), 0, 1e-6));
  EXPECT_TRUE(at::equal(found.narrow(2, 2, 2), clean.narrow(2, 2, 2)));
}

TEST(Measurement, OfAveragesLeavesEverythingElseOfAPrediction) {
  const Tensor small = draw(2).normal("small", {1, 2, 2}), clean = draw(2).normal("clean", kShape);
  const Measurement m = average_pixels(small, 2);
  EXPECT_TRUE(at::allclose(m.apply(m.invert(small)), small));
  const Tensor found = with_measurement(clean, m);
  EXPECT_TRUE(at::allclose(at::avg_pool2d(found, 2), small, 0, 1e-6));
  // Differences within a square stay those of the prediction.
  const auto within = [](const Tensor& x) {
    return x - at::avg_pool2d(x, 2).repeat_interleave(2, -1).repeat_interleave(2, -2);
  };
  EXPECT_TRUE(at::allclose(within(found), within(clean), 0, 1e-5));
}

TEST(Restore, KeepsWhatIsKnownAndDrawsTheRestFromTheModel) {
  constexpr int64_t kItems = 500;
  const Draw numbers = draw(kItems);
  // Ancestral steps leave out a share of the variance that falls with their number.
  const auto levels = falling(200);
  Tensor keep = at::zeros({4, 4});
  keep.narrow(0, 0, 2).fill_(1);
  const Tensor image = at::full({kItems, 1, 4, 4}, 0.9);
  const Tensor found = restore(numbers.normal("noise", kShape) * levels.front().sigma, levels,
                               gaussian(-0.3, 0.2), keep_pixels(image, keep), noise_of(numbers));
  EXPECT_TRUE(at::allclose(found.narrow(2, 0, 2), image.narrow(2, 0, 2), 0, 1e-6));
  // Pixels are independent, so what is known tells nothing of the rest: N(-0.3, 0.2^2).
  const Tensor rest = found.narrow(2, 2, 2);
  const double count = static_cast<double>(rest.numel());
  EXPECT_NEAR(rest.mean().item<double>(), -0.3, 4 * 0.2 / std::sqrt(count) + 0.005);
  EXPECT_NEAR(rest.std().item<double>(), 0.2, 0.02);
}

/// Of images whose pixels share one number of N(0, 0.4^2), beside N(0, 0.3^2) of their own.
Tensor related(const Tensor& x, const NoiseLevel& at) {
  const Tensor covariance = 0.4 * 0.4 * at::ones({16, 16}) + 0.3 * 0.3 * at::eye(16);
  const double noise = at.ratio() * at.ratio();
  const Tensor gain = at::linalg_solve(covariance + noise * at::eye(16), covariance);
  return (x.flatten(1) / at.alpha).matmul(gain).view(x.sizes());
}

TEST(Restore, TellsTheRestWhatIsKnown) {
  constexpr int64_t kItems = 300;
  const Draw numbers = draw(kItems);
  const auto levels = falling(60);
  Tensor keep = at::zeros({4, 4});
  keep.narrow(0, 0, 2).fill_(1);
  const Tensor image = at::full({kItems, 1, 4, 4}, 0.5);
  const Tensor found = restore(numbers.normal("noise", kShape) * levels.front().sigma, levels,
                               related, keep_pixels(image, keep), noise_of(numbers));
  // Given eight pixels of 0.5, the others share 0.5 * 0.16 / (0.16 + 0.09 / 8) = 0.467. Guidance
  // takes pixels for independent given x, so it comes near; the null-space projection alone gives
  // 0.33.
  const Tensor rest = found.narrow(2, 2, 2);
  EXPECT_NEAR(rest.mean().item<double>(), 0.467, 0.08);
  EXPECT_NEAR((rest - rest.mean({2, 3}, true)).std().item<double>(), 0.3 * std::sqrt(7.0 / 8),
              0.04);
}

TEST(Restore, OfAveragesHasTheirDetailFromTheModel) {
  constexpr int64_t kItems = 300;
  const Draw numbers = draw(kItems);
  const auto levels = falling(60);
  const Tensor small = 0.3 * numbers.normal("small", {1, 2, 2});
  const Tensor found = restore(numbers.normal("noise", kShape) * levels.front().sigma, levels,
                               gaussian(0, 0.3), average_pixels(small, 2), noise_of(numbers));
  EXPECT_TRUE(at::allclose(at::avg_pool2d(found, 2), small, 0, 1e-5));
  const Tensor within = found - average_pixels(small, 2).invert(small);
  EXPECT_NEAR(within.square().mean().sqrt().item<double>(), 0.3 * std::sqrt(0.75), 0.03);
}

TEST(MeasuredPrediction, IsExactForIndependentPixelsAndLeavesNoGradient) {
  const Tensor x = draw(2).normal("x", kShape).requires_grad_();
  const Measurement m = keep_pixels(at::full({2, 1, 4, 4}, 0.25), at::ones({4, 4}));
  const Tensor found = measured_prediction(x, {.alpha = 1, .sigma = 2}, gaussian(0, 0.5), m);
  EXPECT_TRUE(at::allclose(found, at::full({2, 1, 4, 4}, 0.25)));
  EXPECT_FALSE(found.requires_grad());
}

TEST(LastLevels, AreTheShareOfThePath) {
  const auto levels = falling(10);
  EXPECT_EQ(last_levels(levels, 1).size(), 11u);
  EXPECT_EQ(last_levels(levels, 0.5).size(), 6u);
  EXPECT_EQ(last_levels(levels, 0.5).front().sigma, levels[5].sigma);
  EXPECT_EQ(last_levels(levels, 0.01).size(), 2u);  // at least one step
  EXPECT_EQ(last_levels(levels, 0.3).back().sigma, 0);
}

TEST(NoiseOfImage, IsWhatSamplingMakesTheImageOf) {
  const auto levels = falling(40);
  const Denoise denoise = gaussian(0.1, 0.5);
  const Tensor image = (0.1 + 0.5 * draw(3).normal("image", kShape)).to(at::kDouble);
  const Tensor noise = noise_of_image(image, levels, denoise);
  // The exact path: x - mean grows as sqrt(std^2 + sigma^2).
  const double least = levels[levels.size() - 2].sigma, most = levels.front().sigma;
  const Tensor exact =
      0.1 + (image - 0.1) * std::sqrt((0.25 + most * most) / (0.25 + least * least));
  EXPECT_TRUE(at::allclose(noise, exact, 0.01, 0.01));
  const Tensor back = solve(noise, levels, denoise, {}, {.solver = Solver::heun});
  EXPECT_TRUE(at::allclose(back, image, 0, 0.01));
}

TEST(SphericalMix, GoesFromOneToTheOtherAndKeepsTheLength) {
  const Tensor a = draw(4).normal("a", {1, 16, 16}), b = draw(4).normal("b", {1, 16, 16});
  const auto share = [](double s) { return at::full({4}, s); };
  EXPECT_TRUE(at::allclose(spherical_mix(a, b, share(0)), a, 0, 1e-5));
  EXPECT_TRUE(at::allclose(spherical_mix(a, b, share(1)), b, 0, 1e-5));
  const Tensor middle = spherical_mix(a, b, share(0.5));
  // The mean of two independent normal images has variance 1/2; on the sphere it stays 1.
  EXPECT_NEAR(middle.square().mean().item<double>(), 1, 0.1);
  EXPECT_TRUE(at::allclose(spherical_mix(a, a, share(0.3)), a, 0, 1e-4));
}

}  // namespace
}  // namespace genai
