#include "genai/sampling/noise.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "genai/base/error.h"

namespace genai {

const EnumNames<Process> kProcessNames = {
    {Process::vp, "vp"}, {Process::edm, "edm"}, {Process::flow, "flow"}};
const EnumNames<Spacing> kSpacingNames = {{Spacing::uniform, "uniform"},
                                          {Spacing::quadratic, "quadratic"},
                                          {Spacing::karras, "karras"},
                                          {Spacing::log_snr, "log-snr"}};

namespace {

const EnumNames<NoiseSchedule> kScheduleNames = {{NoiseSchedule::linear, "linear"},
                                                 {NoiseSchedule::cosine, "cosine"},
                                                 {NoiseSchedule::sigmoid, "sigmoid"}};

/// A continuous schedule keeps some signal and some noise at its ends:
/// |log(alpha^2 / sigma^2)| <= 15 (E. Hoogeboom et al., "simple diffusion", 2023, appendix).
constexpr double kLargestLogSnr = 15;
/// Largest share of noise that one step of a discrete schedule adds (Nichol, Dhariwal 2021).
constexpr double kLargestBeta = 0.999;
constexpr double kRho = 7;  // Karras et al. 2022, table 1

/// alpha^2 of the continuous schedules at t in [0, 1].
Tensor alpha_bar(NoiseSchedule schedule, const Tensor& t) {
  switch (schedule) {
    case NoiseSchedule::linear: {
      constexpr double kFrom = 0.1, kTo = 20;
      return (-(kFrom * t + 0.5 * (kTo - kFrom) * t.square())).exp();
    }
    case NoiseSchedule::cosine: {
      constexpr double kOffset = 0.008;
      const auto f = [](const Tensor& x) {
        return ((x + kOffset) * (std::numbers::pi / 2 / (1 + kOffset))).cos().square();
      };
      return f(t) / f(at::zeros_like(t));
    }
    case NoiseSchedule::sigmoid: {
      constexpr double kStart = -3, kEnd = 3;
      const double from = 1 / (1 + std::exp(-kStart)), to = 1 / (1 + std::exp(-kEnd));
      // At its ends the two ways to compute a sigmoid may differ in the last digit.
      return ((to - (t * (kEnd - kStart) + kStart).sigmoid()) / (to - from)).clamp(0, 1);
    }
  }
  throw std::logic_error("a noise schedule without a formula");
}

/// log(sigma / alpha) of the levels 1 .. T, by the betas of each step.
Tensor discrete_log_ratios(NoiseSchedule schedule, int64_t steps) {
  const auto count = static_cast<double>(steps);
  Tensor beta;
  if (schedule == NoiseSchedule::linear) {
    // 1e-4 to 0.02 for T = 1000, scaled so that any T ends in as much noise.
    beta = at::linspace(0.1 / count, 20 / count, steps, at::kDouble);
  } else {
    const Tensor bar = alpha_bar(schedule, at::linspace(0, 1, steps + 1, at::kDouble));
    beta = 1 - bar.narrow(0, 1, steps) / bar.narrow(0, 0, steps);
  }
  const Tensor bar = (1 - beta.clamp_max(kLargestBeta)).log().cumsum(0);  // log alpha^2
  return 0.5 * ((-bar.expm1()).log() - bar);
}

}  // namespace

const FieldTable& process_fields() {
  static const FieldTable table =
      describe<ProcessConfig>()
          .field("kind", &ProcessConfig::kind,
                 "how images and noise are mixed: vp (DDPM), edm (Karras), flow (rectified flow)",
                 kProcessNames)
          .option("process")
          .field("schedule", &ProcessConfig::schedule, "vp: noise at each time", kScheduleNames)
          .option("noise-schedule")
          .field("steps", &ProcessConfig::steps, "vp: number of noise levels; 0: a continuum",
                 between(0, 100000))
          .option("noise-steps")
          .field("center", &ProcessConfig::center,
                 "edm: mean of log sigma in training; flow: of logit t", between(-10, 10))
          .field("spread", &ProcessConfig::spread,
                 "edm, flow: standard deviation of the same; 0: flow's t is uniform", between(0, 4))
          .field("data_std", &ProcessConfig::data_std, "edm: standard deviation of pixels in -1..1",
                 above(0))
          .table();
  return table;
}

double NoiseLevel::half_log_snr() const {
  return std::log(alpha / sigma);
}

NoiseProcess::NoiseProcess(const ProcessConfig& config) : config_(config) {
  if (config.kind != Process::vp && config.steps > 0) {
    fail(ErrorKind::usage, "process.steps: only vp has a number of noise levels, not ",
         enum_name(kProcessNames, config.kind));
  }
  if (config.kind == Process::edm && config.spread == 0) {
    fail(ErrorKind::usage, "process.spread: edm needs a standard deviation of log sigma > 0");
  }
  if (config.steps == 1) {
    fail(ErrorKind::usage, "process.steps: one noise level is either no noise or no image; ",
         "expected at least 2, or 0 for a continuum");
  }
  if (config.steps > 0) table_ = discrete_log_ratios(config.schedule, config.steps);
}

const Tensor& NoiseProcess::table(at::Device device) const {
  if (device.is_cpu()) return table_;
  if (!device_table_.defined() || device_table_.device() != device) {
    device_table_ = table_.to(device);
  }
  return device_table_;
}

Tensor NoiseProcess::log_ratio(const Tensor& t) const {
  switch (config_.kind) {
    case Process::vp: {
      if (!table_.defined()) {
        const Tensor bar = alpha_bar(config_.schedule, t);
        return (-0.5 * bar.logit()).clamp(-kLargestLogSnr / 2, kLargestLogSnr / 2);
      }
      const auto last = config_.steps - 1;
      const Tensor place = (t * config_.steps - 1).clamp(0, static_cast<double>(last));
      const Tensor below = place.floor();
      const Tensor& table = this->table(t.device());
      const auto entry = [&](const Tensor& index) {
        return table.index_select(0, index.to(at::kLong).clamp_max(last).flatten()).view(t.sizes());
      };
      return at::lerp(entry(below), entry(below + 1), place - below);
    }
    case Process::edm:
      return (t * kLargestRatio).clamp_min(kSmallestRatio).log();
    case Process::flow:
      return t.logit();
  }
  throw std::logic_error("a process without a formula");
}

NoiseLevels NoiseProcess::at(const Tensor& time) const {
  const Tensor t = time.to(at::kDouble);
  Tensor alpha, sigma;
  if (config_.kind == Process::flow) {
    alpha = 1 - t;
    sigma = t;
  } else if (config_.kind == Process::edm) {
    sigma = log_ratio(t).exp();
    alpha = at::ones_like(sigma);
  } else {
    // alpha^2 + sigma^2 = 1 and sigma / alpha = r: sigma^2 = sigmoid(2 log r).
    const Tensor twice = 2 * log_ratio(t);
    alpha = (-twice).sigmoid().sqrt();
    sigma = twice.sigmoid().sqrt();
  }
  return {.alpha = alpha.to(at::kFloat), .sigma = sigma.to(at::kFloat)};
}

NoiseLevel NoiseProcess::level(double t) const {
  if (t <= 0) return {.alpha = 1, .sigma = 0};
  if (config_.kind == Process::flow) return {.alpha = 1 - t, .sigma = t};
  const double log_r = log_ratio(at::full({}, t, at::kDouble)).item<double>();
  return {.alpha = 1, .sigma = std::exp(log_r)};
}

NoiseLevels NoiseProcess::training_levels(const Tensor& uniform) const {
  const Tensor u = uniform.to(at::kDouble);
  if (config_.kind == Process::vp) {
    return at(config_.steps > 0 ? ((u * config_.steps).floor() + 1) / config_.steps : u);
  }
  // u is a multiple of 2^-24, 0 among them; a level without noise would have nothing to predict.
  const Tensor inside = u + 0x1p-25;
  if (config_.kind == Process::flow && config_.spread == 0) return at(inside);
  // The inverse of the normal distribution function.
  const Tensor normal = std::numbers::sqrt2 * (2 * inside - 1).erfinv();
  const Tensor draw = config_.center + config_.spread * normal;
  if (config_.kind == Process::flow) return at(draw.sigmoid());
  return {.alpha = at::ones_like(draw).to(at::kFloat), .sigma = draw.exp().to(at::kFloat)};
}

std::vector<NoiseLevel> NoiseProcess::sampling_levels(Spacing spacing, int64_t count) const {
  if (count < 1) fail(ErrorKind::usage, "sampling.steps: expected at least 1, found ", count);
  if (config_.steps > 0 && count > config_.steps) {
    fail(ErrorKind::usage, "sampling.steps: this model knows ", config_.steps,
         " noise levels; expected at most as many steps, found ", count);
  }
  const auto scaled = [&](double ratio) -> NoiseLevel {
    if (config_.kind != Process::flow) return {.alpha = 1, .sigma = ratio};
    return {.alpha = 1 / (1 + ratio), .sigma = ratio / (1 + ratio)};
  };
  const auto n = static_cast<double>(count);
  // The earliest time that has a level of its own.
  const double earliest =
      config_.steps > 0 ? 1.0 / static_cast<double>(config_.steps) : kSmallestRatio / kLargestRatio;
  double most = kLargestRatio, least = kSmallestRatio;
  if (config_.kind == Process::vp) {
    most = std::min(most, level(1).ratio());
    const double first = config_.steps > 0 ? 1.0 / static_cast<double>(config_.steps) : 1e-9;
    least = std::max(least, level(first).ratio());
  }
  std::vector<NoiseLevel> levels;
  for (int64_t i = 0; i < count; ++i) {
    const auto k = static_cast<double>(i);
    const double share = count > 1 ? k / (n - 1) : 0;  // 0 at the most noise, 1 at the least
    switch (spacing) {
      case Spacing::uniform:
        levels.push_back(level(1 - k / n));
        break;
      case Spacing::quadratic: {
        const double root = 1 - share * (1 - std::max(1 / n, std::sqrt(earliest)));
        levels.push_back(level(root * root));
        break;
      }
      case Spacing::karras: {
        const double a = std::pow(most, 1 / kRho), b = std::pow(least, 1 / kRho);
        levels.push_back(scaled(std::pow(a + share * (b - a), kRho)));
        break;
      }
      case Spacing::log_snr:
        levels.push_back(scaled(most * std::pow(least / most, share)));
        break;
    }
  }
  levels.push_back({.alpha = 1, .sigma = 0});
  for (size_t i = 1; i < levels.size(); ++i) {
    if (levels[i].sigma < levels[i - 1].sigma) continue;
    fail(ErrorKind::usage, "sampling.steps: ", count, " steps of '",
         enum_name(kSpacingNames, spacing), "' fall together in this process; expected fewer");
  }
  return levels;
}

}  // namespace genai
