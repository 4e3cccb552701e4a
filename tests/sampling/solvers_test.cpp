#include "genai/sampling/solvers.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <set>

#include "base/temp_folder.h"
#include "genai/base/json.h"
#include "tensors.h"

namespace genai {
namespace {

constexpr Solver kDeterministic[] = {Solver::ddim,     Solver::euler,    Solver::heun,
                                     Solver::dpmpp_2m, Solver::dpmpp_3m, Solver::unipc,
                                     Solver::ipndm};
constexpr Solver kStochastic[] = {Solver::ddpm, Solver::ddpm_large, Solver::dpmpp_2m_sde};

/// For calls that must not ask.
Tensor no_noise(int64_t) {
  throw std::runtime_error("asked for noise");
}
Tensor no_denoise(const Tensor&, const NoiseLevel&) {
  throw std::runtime_error("evaluated");
}

// Levels.

std::vector<NoiseLevel> edm_levels(const std::vector<double>& sigmas) {
  std::vector<NoiseLevel> levels;
  for (const double sigma : sigmas) levels.push_back({1, sigma});
  return levels;
}

std::vector<NoiseLevel> flow_levels(const std::vector<double>& times) {
  std::vector<NoiseLevel> levels;
  for (const double t : times) levels.push_back({1 - t, t});
  return levels;
}

/// The same ratio; x is divided by the root of alpha^2 + sigma^2.
NoiseLevel to_vp(const NoiseLevel& level) {
  const double size = std::hypot(level.alpha, level.sigma);
  return {level.alpha / size, level.sigma / size};
}

std::vector<NoiseLevel> to_vp(std::vector<NoiseLevel> levels) {
  for (NoiseLevel& level : levels) level = to_vp(level);
  return levels;
}

/// `count` steps of equal ratio, to an end that is not sigma 0.
std::vector<NoiseLevel> geometric(double from, double to, int count) {
  std::vector<double> sigmas;
  for (int i = 0; i <= count; ++i) sigmas.push_back(from * std::pow(to / from, i / double(count)));
  return edm_levels(sigmas);
}

std::vector<NoiseLevel> linear(double from, double to, int count) {
  std::vector<double> sigmas;
  for (int i = 0; i <= count; ++i) sigmas.push_back(from + (to - from) * i / count);
  return edm_levels(sigmas);
}

/// Images of one pixel, normal: everything is known in closed form.
struct Gaussian {
  double mean = 0.3, std = 0.5;

  double variance(const NoiseLevel& l) const {
    return l.alpha * l.alpha * std * std + l.sigma * l.sigma;
  }
  Tensor denoise(const Tensor& x, const NoiseLevel& l) const {
    return mean + std * std * l.alpha / variance(l) * (x - l.alpha * mean);
  }
  /// The probability flow keeps a sample's quantile z.
  Tensor path(const Tensor& z, const NoiseLevel& l) const {
    return l.alpha * mean + std::sqrt(variance(l)) * z;
  }
  Denoise denoiser() const {
    return [*this](const Tensor& x, const NoiseLevel& level) { return denoise(x, level); };
  }
};

// One step.

TEST(SolverStep, AgreesWithPython) {
  const auto file =
      std::filesystem::path(GENAI_SOURCE_DIR) / "tests/sampling/solvers_in_python.json";
  const Json table = parse_json(slurp(file), file.string(), ErrorKind::data);
  const auto level_of = [](const Json& json) { return NoiseLevel{json.at(0), json.at(1)}; };
  const Denoise denoise = [](const Tensor& x, const NoiseLevel& level) {
    return 0.4 * x - 0.1 * level.sigma;
  };
  std::set<std::string> seen;
  for (const Json& entry : table.at("cases")) {
    std::vector<Estimate> past;
    for (const Json& estimate : entry.at("past")) {
      past.push_back({level_of(estimate.at("level")), numbers(estimate.at("x")),
                      numbers(estimate.at("clean"))});
    }
    const NoiseLevel to = level_of(entry.at("to"));
    const Tensor noise = numbers(entry.at("noise"));
    const Json& steps = entry.at("steps");
    for (const auto& [solver, name] : kSolverNames) {
      const SolverOptions options{.solver = solver, .eta = table.at("eta")};
      EXPECT_EQ(needs_signal(options) && past[0].level.alpha == 0, !steps.contains(name)) << name;
      if (!steps.contains(name)) continue;
      const Tensor x = solver_step(options, past, to, denoise, noise);
      EXPECT_LT(distance(x, numbers(steps.at(name))), 1e-9)
          << name << " " << entry.at("process") << ", estimates: " << past.size();
      seen.insert(name);
    }
    if (past[0].level.alpha > 0) {
      const Tensor x = unipc_correct(past, to, denoise(past[0].x, to));
      EXPECT_LT(distance(x, numbers(steps.at("unipc corrected"))), 1e-9) << entry.at("process");
    }
  }
  EXPECT_EQ(seen.size(), kSolverNames.size());
}

TEST(SolverStep, KeepsTheTypeOfX) {
  const std::vector<NoiseLevel> levels = geometric(40, 0.01, 6);
  for (const auto& [solver, name] : kSolverNames) {
    const auto run = [&, solver = solver](at::ScalarType type) {
      return solve(numbers({10, -20, 50}).to(type), levels, Gaussian{}.denoiser(),
                   [&](int64_t i) {
                     return numbers({0.5, -1.0, 0.25 * i}).to(type);
                   },
                   {.solver = solver});
    };
    const Tensor x = run(at::kFloat);
    EXPECT_EQ(x.scalar_type(), at::kFloat) << name;
    EXPECT_LT(distance(x, run(at::kDouble)), 1e-5) << name;
  }
}

TEST(SolverStep, ToNoNoiseIsThePrediction) {
  const std::vector<Estimate> past{{{0.5, 0.7}, numbers({1, 2}), numbers({-1, 0.5})},
                                   {{0.4, 0.9}, numbers({2, 3}), numbers({0, 0.25})}};
  for (const auto& [solver, name] : kSolverNames) {
    const Tensor x = solver_step({.solver = solver, .eta = 1}, past, {1, 0}, no_denoise, {});
    EXPECT_TRUE(at::equal(x, past[0].clean)) << name;
  }
}

TEST(SolverStep, OneIsAnother) {
  const std::vector<Estimate> past{{{0.5, 0.7}, numbers({1, 2}), numbers({-1, 0.5})},
                                   {{0.4, 0.9}, numbers({2, 3}), numbers({0, 0.25})},
                                   {{0.2, 0.95}, numbers({2, 1}), numbers({0.5, 0})}};
  const Tensor noise = numbers({0.3, -2});
  const auto step = [&](const SolverOptions& options, size_t estimates) {
    return solver_step(options, {past.begin(), past.begin() + static_cast<int64_t>(estimates)},
                       {0.7, 0.3}, Gaussian{}.denoiser(), noise);
  };
  const Tensor euler = step({.solver = Solver::euler}, 1);
  const Tensor ddpm = step({.solver = Solver::ddpm}, 1);
  EXPECT_LT(distance(step({.solver = Solver::ddim, .eta = 0}, 1), euler), 1e-14);
  EXPECT_LT(distance(step({.solver = Solver::ddim, .eta = 1}, 1), ddpm), 1e-14);
  EXPECT_LT(distance(step({.solver = Solver::dpmpp_2m_sde}, 1), ddpm), 1e-14);
  EXPECT_GT(distance(step({.solver = Solver::ddpm_large}, 1), ddpm), 1e-3);
  for (const Solver solver : {Solver::dpmpp_2m, Solver::dpmpp_3m, Solver::unipc, Solver::ipndm}) {
    EXPECT_LT(distance(step({.solver = solver}, 1), euler), 1e-14);
  }
  EXPECT_LT(distance(step({.solver = Solver::dpmpp_3m}, 2), step({.solver = Solver::dpmpp_2m}, 2)),
            1e-14);
  EXPECT_LT(distance(step({.solver = Solver::dpmpp_3m}, 3), step({.solver = Solver::unipc}, 3)),
            1e-14);
  EXPECT_GT(distance(step({.solver = Solver::dpmpp_3m}, 3), step({.solver = Solver::dpmpp_2m}, 3)),
            1e-3);
}

TEST(SolverStep, DoesNotDependOnTheScaleOfX) {
  const std::vector<NoiseLevel> edm = edm_levels({40, 9, 3, 0.8, 0.1});
  std::vector<Estimate> past, past_vp;  // newest first
  for (size_t i = 4; i-- > 0;) {
    const Tensor x = edm[i].sigma * numbers({1, -0.4}), clean = numbers({0.1 * i, 0.5 - 0.2 * i});
    past.push_back({edm[i], x, clean});
    past_vp.push_back({to_vp(edm[i]), x * to_vp(edm[i]).alpha, clean});
  }
  const NoiseLevel to = edm[4], to_in_vp = to_vp(to);
  const Tensor noise = numbers({0.3, -2});
  for (const SolverOptions& options : {SolverOptions{.solver = Solver::ddpm},
                                       {.solver = Solver::ddpm_large},
                                       {.solver = Solver::ddim},
                                       {.solver = Solver::ddim, .eta = 0.6},
                                       {.solver = Solver::euler},
                                       {.solver = Solver::dpmpp_2m},
                                       {.solver = Solver::dpmpp_3m},
                                       {.solver = Solver::dpmpp_2m_sde},
                                       {.solver = Solver::unipc}}) {
    const Tensor x = solver_step(options, past, to, no_denoise, noise);
    const Tensor in_vp = solver_step(options, past_vp, to_in_vp, no_denoise, noise);
    EXPECT_LT(distance(in_vp / to_in_vp.alpha, x), 1e-12)
        << enum_name(kSolverNames, options.solver) << " " << options.eta;
  }
  const Tensor clean = numbers({0.2, 0.3});
  EXPECT_LT(distance(unipc_correct(past_vp, to_in_vp, clean) / to_in_vp.alpha,
                     unipc_correct(past, to, clean)),
            1e-12);
}

TEST(SolverStep, OnFlowIsTheTextbookInVelocity) {  // dx/dt = noise - x0, time falls
  const Gaussian data;
  const auto velocity = [&](const Tensor& x, double t) {
    const Tensor clean = data.denoise(x, {1 - t, t});
    return (x - (1 - t) * clean) / t - clean;
  };
  const std::vector<NoiseLevel> levels = flow_levels({1, 0.8, 0.7, 0.4, 0.25, 0.2});
  const Tensor start = numbers({0.5, -1.5});
  const auto run = [&](Solver solver) {
    return solve(start, levels, data.denoiser(), no_noise, {.solver = solver});
  };
  Tensor euler = start, heun = start, adams = start;
  std::vector<Tensor> slopes;  // newest first
  for (size_t i = 0; i + 1 < levels.size(); ++i) {
    const double t = levels[i].sigma, h = levels[i + 1].sigma - t;
    euler = euler + h * velocity(euler, t);
    const Tensor k1 = velocity(heun, t), k2 = velocity(heun + h * k1, t + h);
    heun = heun + h / 2 * (k1 + k2);
    slopes.insert(slopes.begin(), velocity(adams, t));
    if (i == 0) adams = adams + h * slopes[0];
    if (i == 1) adams = adams + h * (3 * slopes[0] - slopes[1]) / 2;
    if (i == 2) adams = adams + h * (23 * slopes[0] - 16 * slopes[1] + 5 * slopes[2]) / 12;
    if (i >= 3) {
      adams = adams + h * (55 * slopes[0] - 59 * slopes[1] + 37 * slopes[2] - 9 * slopes[3]) / 24;
    }
  }
  EXPECT_LT(distance(run(Solver::euler), euler), 1e-13);
  EXPECT_LT(distance(run(Solver::ddim), euler), 1e-13);
  EXPECT_LT(distance(run(Solver::heun), heun), 1e-13);
  EXPECT_LT(distance(run(Solver::ipndm), adams), 1e-13);
}

// Orders.

/// The error of the last step after exact ones.
double local_error(Solver solver, const std::vector<NoiseLevel>& levels) {
  const Gaussian data;
  const Tensor z = numbers({1.0, -0.7});
  std::vector<Estimate> past;
  for (size_t i = levels.size() - 1; i-- > 0;) {
    const Tensor x = data.path(z, levels[i]);
    past.push_back({levels[i], x, data.denoise(x, levels[i])});
  }
  const Tensor x = solver_step({.solver = solver}, past, levels.back(), data.denoiser(), {});
  return distance(x, data.path(z, levels.back()));
}

TEST(SolverStep, HasItsOrder) {
  const auto geometric_steps = [](double h) { return geometric(1, std::exp(-4 * h), 4); };
  const auto geometric_in_vp = [&](double h) { return to_vp(geometric_steps(h)); };
  const auto equal_steps = [](double h) { return linear(1, 1 - 4 * h, 4); };
  const auto flow_steps = [](double h) {
    return flow_levels({0.7, 0.7 - h, 0.7 - 2 * h, 0.7 - 3 * h, 0.7 - 4 * h});
  };
  using Levels = std::function<std::vector<NoiseLevel>(double h)>;
  const auto check = [](Solver solver, int order, const std::vector<Levels>& grids) {
    for (size_t i = 0; i < grids.size(); ++i) {
      const double coarse = local_error(solver, grids[i](0.008));
      const double fine = local_error(solver, grids[i](0.004));
      EXPECT_NEAR(std::log2(coarse / fine), order + 1, 0.2)
          << enum_name(kSolverNames, solver) << ", grid " << i << ": " << coarse << " " << fine;
    }
  };
  const std::vector<Levels> all{geometric_steps, geometric_in_vp, equal_steps, flow_steps};
  check(Solver::euler, 1, all);
  check(Solver::ddim, 1, all);
  check(Solver::heun, 2, all);
  check(Solver::dpmpp_2m, 2, all);
  check(Solver::dpmpp_3m, 3, all);
  check(Solver::unipc, 3, all);
  check(Solver::ipndm, 4, {equal_steps, flow_steps});  // its coefficients are those of equal steps
}

TEST(UnipcCorrect, IsOneOrderAbove) {
  const Gaussian data;
  const Tensor z = numbers({1.0, -0.7});
  const auto error = [&](double h) {
    const std::vector<NoiseLevel> levels = geometric(1, std::exp(-3 * h), 3);
    std::vector<Estimate> past;
    for (size_t i = 3; i-- > 0;) {
      const Tensor x = data.path(z, levels[i]);
      past.push_back({levels[i], x, data.denoise(x, levels[i])});
    }
    const Tensor guess = solver_step({.solver = Solver::unipc}, past, levels[3], {}, {});
    return distance(unipc_correct(past, levels[3], data.denoise(guess, levels[3])),
                    data.path(z, levels[3]));
  };
  EXPECT_NEAR(std::log2(error(0.02) / error(0.01)), 5, 0.2);
}

double end_error(Solver solver, const std::vector<NoiseLevel>& levels) {
  const Gaussian data;
  const Tensor z = numbers({1.0, -0.7});
  const Tensor x =
      solve(data.path(z, levels.front()), levels, data.denoiser(), no_noise, {.solver = solver});
  return distance(x, data.path(z, levels.back()));
}

// The first step of a multistep solver is of first order, so once an error of h^2 is made. UniPC
// corrects it to h^3.
TEST(Solve, ConvergesAsItsStartAllows) {
  const auto order = [](Solver solver) {
    const auto error = [&](int steps) {
      return end_error(solver,
                       solver == Solver::ipndm ? linear(1, 0.4, steps) : geometric(1, 0.1, steps));
    };
    return std::log2(error(200) / error(400));
  };
  EXPECT_NEAR(order(Solver::euler), 1, 0.2);
  EXPECT_NEAR(order(Solver::ddim), 1, 0.2);
  EXPECT_NEAR(order(Solver::heun), 2, 0.2);
  EXPECT_NEAR(order(Solver::dpmpp_2m), 2, 0.2);
  EXPECT_NEAR(order(Solver::dpmpp_3m), 2, 0.2);
  EXPECT_NEAR(order(Solver::unipc), 3, 0.2);
  EXPECT_NEAR(order(Solver::ipndm), 2, 0.2);
}

TEST(Solve, NeedsFewerStepsOfHigherOrder) {
  const std::vector<NoiseLevel> levels = geometric(80, 0.02, 20);
  EXPECT_LT(end_error(Solver::dpmpp_2m, levels), end_error(Solver::euler, levels) / 5);
  EXPECT_LT(end_error(Solver::dpmpp_3m, levels), end_error(Solver::dpmpp_2m, levels) / 4);
  EXPECT_LT(end_error(Solver::unipc, levels), end_error(Solver::dpmpp_3m, levels) / 4);
}

TEST(Solve, ReachesAConstantExactly) {  // then the path is alpha clean + sigma noise
  const Tensor clean = numbers({0.25, -1}), noise = numbers({1, -2});
  const Denoise denoise = [&](const Tensor&, const NoiseLevel&) { return clean; };
  const auto check = [&](const std::vector<NoiseLevel>& levels, const SolverOptions& options) {
    const NoiseLevel& front = levels.front();
    const NoiseLevel& back = levels.back();
    const Tensor x =
        solve(front.alpha * clean + front.sigma * noise, levels, denoise, no_noise, options);
    EXPECT_LT(distance(x, back.alpha * clean + back.sigma * noise), 1e-12 * front.sigma)
        << enum_name(kSolverNames, options.solver) << " to " << back.sigma;
  };
  for (const Solver solver : kDeterministic) {
    check(edm_levels({80, 10, 3, 2.5, 0.4, 0.1, 0}), {.solver = solver});
    check(edm_levels({80, 10, 3, 2.5, 0.4, 0.1}), {.solver = solver});
    check(to_vp(edm_levels({80, 10, 3, 2.5, 0.4, 0.1})), {.solver = solver});
    check(flow_levels({0.9, 0.8, 0.5, 0.2, 0.15, 0}), {.solver = solver});
    check(edm_levels({5, 0}), {.solver = solver});
    if (needs_signal({.solver = solver})) continue;
    check(flow_levels({1, 0.8, 0.5, 0.2, 0.15}), {.solver = solver});
    check(flow_levels({1, 0}), {.solver = solver});
  }
}

// Stochastic solvers. For a normal distribution x at the end is affine in x at the start and in the
// noise of every step, so that its distribution follows exactly, without drawing.

struct Moments {
  double mean = 0, variance = 0;
};

Moments end_of(const Gaussian& data, const std::vector<NoiseLevel>& levels,
               const SolverOptions& options) {
  const auto steps = static_cast<int64_t>(levels.size()) - 1;
  // Run 0 has x at its mean and no noise; run 1 one standard deviation more, run 2 + i noise 1 in
  // step i.
  Tensor z = at::zeros(2 + steps, at::kDouble);
  z[1] = 1;
  const Tensor x = solve(
      data.path(z, levels.front()), levels, data.denoiser(),
      [&](int64_t i) {
        const Tensor noise = at::zeros(2 + steps, at::kDouble);
        noise[2 + i] = 1;
        return noise;
      },
      options);
  return {x[0].item<double>(), (x - x[0]).square().sum().item<double>()};
}

TEST(Solve, DrawsFromTheDistributionOfTheData) {
  const Gaussian data;
  const NoiseLevel end{1, 0.05};  // a last step to sigma 0 would leave the noise's variance out
  const auto bias = [&](const SolverOptions& options, int steps) {
    const Moments found = end_of(data, geometric(40, end.sigma, steps), options);
    EXPECT_NEAR(found.mean, data.mean, 0.01) << enum_name(kSolverNames, options.solver);
    return std::abs(found.variance / data.variance(end) - 1);
  };
  const auto check = [&](const SolverOptions& options, double at_200, double order) {
    const double coarse = bias(options, 200), fine = bias(options, 400);
    const std::string name = enum_name(kSolverNames, options.solver);
    EXPECT_LT(coarse, at_200) << name;
    EXPECT_GT(std::log2(coarse / fine), order) << name << " " << coarse << " " << fine;
  };
  check({.solver = Solver::ddpm}, 0.05, 0.9);
  check({.solver = Solver::ddpm_large}, 0.05, 0.9);
  check({.solver = Solver::ddim, .eta = 1}, 0.05, 0.9);
  check({.solver = Solver::ddim, .eta = 0.5}, 0.05, 0.9);
  check({.solver = Solver::dpmpp_2m_sde}, 0.01, 0.9);
  check({.solver = Solver::euler, .churn = 40}, 0.1, 0.8);
  check({.solver = Solver::heun, .churn = 40}, 0.005, 0.9);
}

TEST(Solve, AncestralVariancesAreThoseOfTheirLimits) {  // Ho et al. 2020, section 3.2
  // x0 one point: the posterior's variance is right for any step.
  const std::vector<NoiseLevel> levels = edm_levels({50, 2, 0.5});
  const Moments point = end_of({.mean = 0.3, .std = 0}, levels, {.solver = Solver::ddpm});
  EXPECT_NEAR(point.variance, 0.25, 1e-12);
  EXPECT_NEAR(point.mean, 0.3, 1e-12);
  // x0 standard normal: the forward step's.
  const Gaussian standard{.mean = 0, .std = 1};
  const Moments normal = end_of(standard, levels, {.solver = Solver::ddpm_large});
  EXPECT_NEAR(normal.variance, 1.25, 1e-12);
  EXPECT_LT(end_of(standard, levels, {.solver = Solver::ddpm}).variance, 1.2);
}

TEST(Solve, ChurnAddsTheNoiseThatTheRaisedLevelHas) {
  const std::vector<NoiseLevel> levels = geometric(10, 0.1, 8);
  for (const double churn : {2.0, 100.0}) {
    const double raise = 1 + std::min(churn / 8, std::sqrt(2.0) - 1);
    std::vector<NoiseLevel> evaluated;
    const Denoise record = [&](const Tensor& x, const NoiseLevel& level) {
      evaluated.push_back(level);
      return at::zeros_like(x);
    };
    const Tensor x = solve(numbers({10.0}), levels, record, [](int64_t) { return numbers({1.0}); },
                           {.solver = Solver::euler, .churn = churn});
    double expected = 10;
    for (size_t i = 0; i < 8; ++i) {
      const double sigma = levels[i].sigma, raised = sigma * raise;
      EXPECT_NEAR(evaluated[i].sigma, raised, 1e-12);
      EXPECT_EQ(evaluated[i].alpha, 1);
      expected =
          (expected + std::sqrt(raised * raised - sigma * sigma)) * levels[i + 1].sigma / raised;
    }
    EXPECT_NEAR(x.item<double>(), expected, 1e-12);
  }
}

// The walk.

TEST(Solve, EvaluatesAsOftenAsItSays) {
  for (const auto& [solver, name] : kSolverNames) {
    for (const int steps : {1, 2, 7}) {
      const std::vector<NoiseLevel> levels = linear(10, 0, steps);
      int64_t calls = 0;
      const Denoise count = [&](const Tensor& x, const NoiseLevel& level) {
        ++calls;
        return Gaussian{}.denoise(x, level);
      };
      solve(numbers({3}), levels, count, [](int64_t) { return numbers({1}); }, {.solver = solver});
      EXPECT_EQ(calls, evaluations(solver, steps)) << name;
    }
  }
}

TEST(Solve, ShowsEveryEstimateAndAsksForTheNoiseOfItsSteps) {
  const std::vector<NoiseLevel> levels = edm_levels({10, 4, 1, 0.5, 0});
  const auto runs = [&](const SolverOptions& options, const std::vector<int64_t>& expected) {
    const std::string name = enum_name(kSolverNames, options.solver);
    const bool churned = options.churn > 0 && options.solver != Solver::unipc;
    std::vector<int64_t> asked;
    const StepNoise noise = [&](int64_t i) {
      asked.push_back(i);
      return numbers({0.5 - 0.2 * static_cast<double>(i), 1});
    };
    std::vector<Estimate> seen;
    const Watch watch = [&](int64_t step, const Estimate& estimate) {
      EXPECT_EQ(step, static_cast<int64_t>(seen.size())) << name;
      seen.push_back(estimate);
    };
    const Tensor start = numbers({10, -4});
    const Tensor x = solve(start, levels, Gaussian{}.denoiser(), noise, options, watch);
    EXPECT_EQ(asked, expected) << name;
    EXPECT_TRUE(at::equal(start, numbers({10, -4}))) << name;
    ASSERT_EQ(seen.size(), 4u) << name;
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(seen[i].level.alpha, levels[i].alpha) << name;
      EXPECT_EQ(seen[i].level.sigma > levels[i].sigma, churned) << name;
      // UniPC keeps the prediction from before the correction.
      if (options.solver == Solver::unipc && i > 0) continue;
      EXPECT_TRUE(at::equal(seen[i].clean, Gaussian{}.denoise(seen[i].x, seen[i].level))) << name;
    }
    EXPECT_TRUE(at::equal(x, seen[3].clean)) << name;
    EXPECT_TRUE(at::equal(x, solve(start, levels, Gaussian{}.denoiser(), noise, options))) << name;
  };
  for (const Solver solver : kDeterministic) runs({.solver = solver}, {});
  for (const Solver solver : kStochastic) runs({.solver = solver}, {0, 1, 2});
  runs({.solver = Solver::ddim, .eta = 0.5}, {0, 1, 2});
  runs({.solver = Solver::euler, .churn = 1}, {0, 1, 2, 3});
  runs({.solver = Solver::heun, .churn = 1}, {0, 1, 2, 3});
  runs({.solver = Solver::unipc, .eta = 1, .churn = 1}, {});  // others' options
}

TEST(Solve, IsItsStepsOneAfterTheOther) {
  const std::vector<NoiseLevel> levels = edm_levels({10, 4, 2, 1, 0.6, 0.3, 0});
  const Gaussian data;
  const StepNoise noise = [](int64_t i) { return numbers({0.5 - 0.2 * static_cast<double>(i)}); };
  for (const auto& [solver, name] : kSolverNames) {
    std::vector<Estimate> past;  // all of them: a step takes what it needs
    Tensor x = numbers({-7});
    for (size_t i = 0; i + 1 < levels.size(); ++i) {
      const Tensor clean = data.denoise(x, levels[i]);
      if (solver == Solver::unipc && i > 0) x = unipc_correct(past, levels[i], clean);
      past.insert(past.begin(), {levels[i], x, clean});
      x = solver_step({.solver = solver}, past, levels[i + 1], data.denoiser(),
                      noise(static_cast<int64_t>(i)));
    }
    EXPECT_TRUE(
        at::equal(x, solve(numbers({-7}), levels, data.denoiser(), noise, {.solver = solver})))
        << name;
  }
}

// Wrong input.

TEST(NeedsSignal, IsSaidOfSolversThatCannotStartFromNoiseAlone) {
  for (const Solver solver : {Solver::euler, Solver::heun, Solver::ddim, Solver::ipndm}) {
    EXPECT_FALSE(needs_signal({.solver = solver}));
  }
  for (const Solver solver : {Solver::ddpm, Solver::ddpm_large, Solver::dpmpp_2m, Solver::dpmpp_3m,
                              Solver::dpmpp_2m_sde, Solver::unipc}) {
    EXPECT_TRUE(needs_signal({.solver = solver}));
  }
  EXPECT_TRUE(needs_signal({.solver = Solver::ddim, .eta = 0.1}));
  EXPECT_TRUE(needs_signal({.solver = Solver::euler, .churn = 1}));
  EXPECT_TRUE(needs_signal({.solver = Solver::heun, .churn = 1}));
  EXPECT_FALSE(needs_signal({.solver = Solver::ipndm, .eta = 0.1, .churn = 1}));
}

TEST(Solve, RefusesPathsThatAreNone) {
  const auto refuses = [](const std::vector<NoiseLevel>& levels, const SolverOptions& options) {
    EXPECT_THROW(solve(numbers({1}), levels, no_denoise, no_noise, options), std::logic_error);
  };
  const double nan = std::nan("");
  for (const auto& [solver, name] : kSolverNames) {
    refuses({}, {.solver = solver});
    refuses(edm_levels({1}), {.solver = solver});
    refuses(edm_levels({1, 1}), {.solver = solver});
    refuses(edm_levels({1, 2}), {.solver = solver});
    refuses(edm_levels({3, 2, 1, 0, 0}), {.solver = solver});
    refuses(edm_levels({1, -1}), {.solver = solver});
    refuses(edm_levels({nan, 1}), {.solver = solver});
    refuses(edm_levels({2, nan}), {.solver = solver});
    if (needs_signal({.solver = solver})) refuses(flow_levels({1, 0.5, 0}), {.solver = solver});
  }
  refuses(flow_levels({1, 0.5, 0}), {.solver = Solver::ddim, .eta = 0.5});
  refuses(flow_levels({1, 0.5, 0}), {.solver = Solver::heun, .churn = 0.5});
}

TEST(SolverStep, RefusesWhatIsNoStep) {
  const Estimate at{{1, 2}, numbers({1}), numbers({1})};
  const Estimate noise{{0, 1}, numbers({1}), numbers({1})};
  const auto refuses = [](const std::vector<Estimate>& past, const NoiseLevel& to) {
    EXPECT_THROW(solver_step({.solver = Solver::unipc}, past, to, no_denoise, {}),
                 std::logic_error);
    EXPECT_THROW(unipc_correct(past, to, numbers({1})), std::logic_error);
  };
  refuses({}, {1, 1});
  refuses({at}, {1, 2});
  refuses({noise}, {0.5, 0.5});
  EXPECT_THROW(unipc_correct({at}, {1, 0}, numbers({1})), std::logic_error);
}

}  // namespace
}  // namespace genai
