#include "genai/sampling/bound.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "genai/base/error.h"

namespace genai {
namespace {

Tensor sum_of_image(const Tensor& x) {
  return x.to(at::kDouble).flatten(1).sum(1);
}

double signal_to_noise(const NoiseLevel& level) {
  return level.alpha * level.alpha / (level.sigma * level.sigma);
}

/// log Phi((b) / std) - differences of it, stable in the tails: log(Phi(b) - Phi(a)) for a < b.
Tensor log_normal_mass(const Tensor& a, const Tensor& b) {
  // In the upper tail by symmetry, where both distribution functions would round to 1.
  const Tensor upper = a.gt(0);
  const Tensor low = at::where(upper, -b, a), high = at::where(upper, -a, b);
  const Tensor log_high = at::special_log_ndtr(high), log_low = at::special_log_ndtr(low);
  return log_high + (-(log_low - log_high).exp()).log1p();
}

}  // namespace

Tensor Bound::total() const {
  return prior + steps + decoder;
}

Tensor prior_divergence(const Tensor& x0, const NoiseLevel& level) {
  // Both normal, with variances sigma^2 and alpha^2 + sigma^2, means alpha x0 and 0.
  const double alpha2 = level.alpha * level.alpha, sigma2 = level.sigma * level.sigma;
  const double prior = alpha2 + sigma2;
  const auto pixels = static_cast<double>(x0[0].numel());
  return 0.5 * (sum_of_image(x0.square()) * (alpha2 / prior) +
                pixels * (sigma2 / prior - 1 - std::log(sigma2 / prior)));
}

Tensor step_divergence(const Tensor& x0, const Tensor& clean, const NoiseLevel& from,
                       const NoiseLevel& to) {
  return 0.5 * (signal_to_noise(to) - signal_to_noise(from)) * sum_of_image((x0 - clean).square());
}

Tensor discretized_log_likelihood(const Tensor& x0, const Tensor& mean, double std) {
  constexpr double kHalfStep = 1.0 / 255, kInfinite = 1e6;
  const Tensor offset = (x0.to(at::kDouble) - mean.to(at::kDouble));
  Tensor low = (offset - kHalfStep) / std, high = (offset + kHalfStep) / std;
  low = at::where(x0.lt(-1 + kHalfStep), at::full_like(low, -kInfinite), low);
  high = at::where(x0.gt(1 - kHalfStep), at::full_like(high, kInfinite), high);
  return sum_of_image(log_normal_mass(low, high));
}

Bound variational_bound(const Tensor& x0, const std::vector<NoiseLevel>& levels,
                        const PredictRows& predict, const Draw& draw, int64_t draws,
                        const WatchSteps& watch) {
  // Steps from level i to level i + 1; the one to no noise is the decoder.
  const auto steps = static_cast<int64_t>(levels.size()) - 2;
  if (steps < 1 || levels.back().sigma > 0) {
    throw std::logic_error("a bound needs two noisy levels and one without noise");
  }
  draws = std::clamp<int64_t>(draws, 1, steps);
  std::vector<double> alphas, sigmas;
  for (const NoiseLevel& level : levels) {
    alphas.push_back(level.alpha);
    sigmas.push_back(level.sigma);
  }
  const Tensor alpha = at::tensor(alphas, at::kDouble).to(x0.device());
  const Tensor sigma = at::tensor(sigmas, at::kDouble).to(x0.device());
  const Tensor snr = (alpha / sigma).square();
  const auto shape = x0.sizes().slice(1);
  const int64_t pixels = x0[0].numel();
  const auto rows = [&](const Tensor& v) { return v.to(at::kFloat).view({-1, 1, 1, 1}); };
  const auto predict_at = [&](const Tensor& index, int64_t number) {
    const NoiseLevels level{.alpha = alpha.index_select(0, index).to(at::kFloat),
                            .sigma = sigma.index_select(0, index).to(at::kFloat)};
    const Tensor noise = draw.normal("bound", shape, number * pixels);
    return predict(rows(level.alpha) * x0 + rows(level.sigma) * noise, level);
  };

  Bound bound{.prior = prior_divergence(x0, levels.front()), .steps = {}, .decoder = {}};
  const Tensor within = draw.uniform("bound steps", {draws});  // [B, draws]
  for (int64_t i = 0; i < draws; ++i) {
    // Of the part [i, i + 1) / draws of all steps.
    const double width = static_cast<double>(steps) / static_cast<double>(draws);
    const Tensor step = ((within.select(1, i).to(at::kDouble) + i) * width)
                            .floor()
                            .clamp(0, static_cast<double>(steps - 1))
                            .to(at::kLong);
    const Tensor gain = snr.index_select(0, step + 1) - snr.index_select(0, step);
    const Tensor error = sum_of_image((x0 - predict_at(step, i)).square());
    const Tensor nats = 0.5 * gain * error;
    if (watch) watch(step, nats);
    bound.steps = bound.steps.defined() ? bound.steps + width * nats : width * nats;
  }
  const Tensor last =
      at::full({x0.size(0)}, steps, at::TensorOptions(at::kLong).device(x0.device()));
  bound.decoder = -discretized_log_likelihood(x0, predict_at(last, draws),
                                              levels[static_cast<size_t>(steps)].ratio());
  return bound;
}

}  // namespace genai
