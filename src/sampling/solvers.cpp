#include "genai/sampling/solvers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "genai/base/error.h"

namespace genai {

const EnumNames<Solver> kSolverNames = {
    {Solver::ddpm, "ddpm"},        {Solver::ddpm_large, "ddpm-large"},
    {Solver::ddim, "ddim"},        {Solver::euler, "euler"},
    {Solver::heun, "heun"},        {Solver::dpmpp_2m, "dpm++2m"},
    {Solver::dpmpp_3m, "dpm++3m"}, {Solver::dpmpp_2m_sde, "dpm++2m-sde"},
    {Solver::unipc, "unipc"},      {Solver::ipndm, "ipndm"}};

namespace {

/// How many estimates a step is made of.
size_t memory(Solver solver) {
  switch (solver) {
    case Solver::dpmpp_2m:
    case Solver::dpmpp_2m_sde:
      return 2;
    case Solver::dpmpp_3m:
    case Solver::unipc:
      return 3;
    case Solver::ipndm:
      return 4;
    default:
      return 1;
  }
}

/// Adds noise after a step.
bool draws(const SolverOptions& options) {
  switch (options.solver) {
    case Solver::ddpm:
    case Solver::ddpm_large:
    case Solver::dpmpp_2m_sde:
      return true;
    case Solver::ddim:
      return options.eta > 0;
    default:
      return false;
  }
}

/// Adds noise before an evaluation.
bool churns(const SolverOptions& options) {
  return options.churn > 0 && (options.solver == Solver::euler || options.solver == Solver::heun);
}

void check_step(const SolverOptions& options, const NoiseLevel& from, const NoiseLevel& to) {
  // The probability-flow equation may be followed upwards too, from an image to its noise.
  const bool upwards = options.solver == Solver::heun && from.sigma > 0;
  if (!(to.sigma >= 0 && (to.sigma < from.sigma || (upwards && to.sigma > from.sigma)))) {
    throw std::logic_error(concat("a step from sigma ", from.sigma, " to ", to.sigma));
  }
  if (needs_signal(options) && !(from.alpha > 0)) {
    throw std::logic_error(
        concat("a step of ", enum_name(kSolverNames, options.solver), " from alpha ", from.alpha));
  }
}

Tensor noise_in(const Estimate& at) {
  return (at.x - at.level.alpha * at.clean) / at.level.sigma;
}

/// A straight step along dx = x0 d alpha + noise d sigma.
Tensor along(const Estimate& from, const NoiseLevel& to, const Tensor& clean, const Tensor& noise) {
  return from.x + (to.alpha - from.level.alpha) * clean + (to.sigma - from.level.sigma) * noise;
}

/// x at `to` if x0 is `clean` and the share `kept` of the noise that is then in x stays:
/// alpha clean + kept sigma noise, without dividing by alpha.
Tensor toward(const Estimate& from, const NoiseLevel& to, const Tensor& clean, double kept = 1) {
  const double part = kept * to.sigma / from.level.sigma;
  return part * from.x + (to.alpha - part * from.level.alpha) * clean;
}

/// The share of the noise at `to` that is the noise at `from`, in the mean of q(x_to | x_from, x0).
double posterior_share(const NoiseLevel& from, const NoiseLevel& to) {
  return to.ratio() / from.ratio();
}

/// J. Song et al. 2021, equations 12 and 16: eta 1 draws from q(x_to | x_from, x0 = clean), which
/// has the variance sigma^2 (1 - share^2).
Tensor renew(const Estimate& from, const NoiseLevel& to, const Tensor& clean, double eta,
             const Tensor& noise) {
  if (eta == 0) return toward(from, to, clean);
  const double share = posterior_share(from.level, to);
  const double fresh = eta * eta * (1 - share * share);
  return toward(from, to, clean, std::sqrt(1 - fresh)) + to.sigma * std::sqrt(fresh) * noise;
}

/// The posterior's mean with the variance of the forward step: beta, 1 - abar_from / abar_to of the
/// variance-preserving process with abar = 1 / (1 + ratio^2), brought to the scale of `to`.
Tensor renew_large(const Estimate& from, const NoiseLevel& to, const Tensor& noise) {
  const double before = from.level.ratio() * from.level.ratio(), after = to.ratio() * to.ratio();
  const double beta = (before - after) / (1 + before);
  const double variance = beta * (1 + after);  // of x / alpha
  return toward(from, to, from.clean, posterior_share(from.level, to)) +
         to.alpha * std::sqrt(variance) * noise;
}

Tensor heun(const Estimate& from, const NoiseLevel& to, const Denoise& denoise) {
  const Tensor x = toward(from, to, from.clean);
  const Estimate end{to, x, denoise(x, to)};
  return along(from, to, (from.clean + end.clean) / 2, (noise_in(from) + noise_in(end)) / 2);
}

Tensor adams_bashforth(const std::vector<Estimate>& past, const NoiseLevel& to) {
  static const std::vector<std::vector<double>> kWeights = {
      {1.},
      {3. / 2, -1. / 2},
      {23. / 12, -16. / 12, 5. / 12},
      {55. / 24, -59. / 24, 37. / 24, -9. / 24}};
  const auto& weights = kWeights[std::min(past.size(), kWeights.size()) - 1];
  Tensor clean = weights[0] * past[0].clean, noise = weights[0] * noise_in(past[0]);
  for (size_t i = 1; i < weights.size(); ++i) {
    clean = clean + weights[i] * past[i].clean;
    noise = noise + weights[i] * noise_in(past[i]);
  }
  return along(past[0], to, clean, noise);
}

/// The mean over u in 0..1, weighted by e^(h u), of the polynomial that is 1 at nodes[i] and 0 at
/// the other nodes.
std::vector<double> interpolation_weights(const std::vector<double>& nodes, double h) {
  std::vector<double> moments{1};  // means of u^k; by parts, each from the one before
  for (size_t k = 1; k < nodes.size(); ++k) {
    moments.push_back(-1 / std::expm1(-h) - static_cast<double>(k) / h * moments.back());
  }
  // With one slope alone both papers take it as if at the middle, which is of the same order.
  if (nodes.size() == 2) moments[1] = 0.5;
  std::vector<double> weights;
  for (const double node : nodes) {
    std::vector<double> polynomial{1};  // coefficients of u^k
    for (const double other : nodes) {
      if (other == node) continue;
      polynomial.push_back(0);  // times (u - other) / (node - other)
      for (size_t k = polynomial.size(); k-- > 0;) {
        const double lower = k > 0 ? polynomial[k - 1] : 0;
        polynomial[k] = (lower - other * polynomial[k]) / (node - other);
      }
    }
    double mean = 0;
    for (size_t k = 0; k < nodes.size(); ++k) mean += polynomial[k] * moments[k];
    weights.push_back(mean);
  }
  return weights;
}

/// The x0 by which toward() reaches the end of the step: since d(x / sigma) = x0 d(alpha / sigma),
/// it is the mean of x0 over alpha / sigma. DPM-Solver++ and UniPC take x0 for a polynomial in
/// log(alpha / sigma) through the last `order` predictions and, in UniPC's corrector, the
/// prediction at the step's end.
Tensor mean_clean(const std::vector<Estimate>& past, size_t order, const NoiseLevel& to,
                  const Tensor& end = {}) {
  const double start = past[0].level.half_log_snr(), h = to.half_log_snr() - start;
  std::vector<double> nodes;  // 0: the start, 1: the end of the step
  std::vector<Tensor> values;
  for (size_t i = 0; i < std::min(order, past.size()); ++i) {
    nodes.push_back((past[i].level.half_log_snr() - start) / h);
    values.push_back(past[i].clean);
  }
  if (end.defined()) {
    nodes.push_back(1);
    values.push_back(end);
  }
  const std::vector<double> weights = interpolation_weights(nodes, h);
  Tensor mean = weights[0] * values[0];
  for (size_t i = 1; i < values.size(); ++i) mean = mean + weights[i] * values[i];
  return mean;
}

}  // namespace

Tensor solver_step(const SolverOptions& options, const std::vector<Estimate>& past,
                   const NoiseLevel& to, const Denoise& denoise, const Tensor& noise) {
  if (past.empty()) throw std::logic_error("a step from nowhere");
  const Estimate& from = past[0];
  check_step(options, from.level, to);
  if (to.sigma == 0) return to.alpha * from.clean;
  const size_t order = memory(options.solver);
  switch (options.solver) {
    case Solver::ddpm:
      return renew(from, to, from.clean, 1, noise);
    case Solver::ddpm_large:
      return renew_large(from, to, noise);
    case Solver::ddim:
      return renew(from, to, from.clean, options.eta, noise);
    case Solver::euler:
      return toward(from, to, from.clean);
    case Solver::heun:
      return heun(from, to, denoise);
    case Solver::dpmpp_2m:
    case Solver::dpmpp_3m:
    case Solver::unipc:
      return toward(from, to, mean_clean(past, order, to));
    case Solver::dpmpp_2m_sde:
      return renew(from, to, mean_clean(past, order, to), 1, noise);
    case Solver::ipndm:
      return adams_bashforth(past, to);
  }
  throw std::logic_error("a solver without a step");
}

Tensor unipc_correct(const std::vector<Estimate>& past, const NoiseLevel& to, const Tensor& clean) {
  if (past.empty() || to.sigma == 0) throw std::logic_error("a correction of no step");
  check_step({.solver = Solver::unipc}, past[0].level, to);
  return toward(past[0], to, mean_clean(past, memory(Solver::unipc), to, clean));
}

Tensor solve(Tensor x, const std::vector<NoiseLevel>& levels, const Denoise& denoise,
             const StepNoise& noise, const SolverOptions& options, const Watch& watch) {
  if (levels.size() < 2) throw std::logic_error("a path of fewer than two levels");
  for (size_t i = 1; i < levels.size(); ++i) {
    if (levels[i].sigma > levels[i - 1].sigma) throw std::logic_error("a path that rises");
    check_step(options, levels[i - 1], levels[i]);
  }
  const size_t steps = levels.size() - 1;
  std::vector<Estimate> past;
  for (size_t i = 0; i < steps; ++i) {
    NoiseLevel level = levels[i];
    const NoiseLevel& to = levels[i + 1];
    const auto index = static_cast<int64_t>(i);
    if (churns(options)) {  // Karras et al. 2022, algorithm 2, with S_noise 1 at all levels
      const double raise =
          1 + std::min(options.churn / static_cast<double>(steps), std::numbers::sqrt2 - 1);
      x = x + level.sigma * std::sqrt(raise * raise - 1) * noise(index);
      level.sigma *= raise;
    }
    const Tensor clean = denoise(x, level);
    if (options.solver == Solver::unipc && i > 0) x = unipc_correct(past, level, clean);
    past.insert(past.begin(), {level, x, clean});
    if (past.size() > memory(options.solver)) past.pop_back();
    if (watch) watch(index, past[0]);
    const bool fresh = draws(options) && to.sigma > 0;
    x = solver_step(options, past, to, denoise, fresh ? noise(index) : Tensor());
  }
  return x;
}

int64_t evaluations(Solver solver, int64_t steps) {
  return solver == Solver::heun ? 2 * steps - 1 : steps;
}

bool needs_signal(const SolverOptions& options) {
  const bool log_snr = memory(options.solver) > 1 && options.solver != Solver::ipndm;
  return log_snr || draws(options) || churns(options);
}

}  // namespace genai
