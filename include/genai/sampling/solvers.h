// From noise to an image along falling levels of noise: solvers of the reverse process as free
// functions over a denoiser.
//
// With x0 the denoiser's prediction of the clean image and noise = (x - alpha x0) / sigma, a sample
// follows the probability-flow equation
//   dx = x0(x) d alpha + noise(x) d sigma
// for any alpha, sigma of the process (Y. Song et al. 2021, equation 13; in this form e.g.
// Q. Zhang, Y. Chen, "Fast sampling of diffusion models with exponential integrator", 2023).
// Stochastic solvers remove more noise in a step than that and add fresh noise.
#pragma once
#include <functional>
#include <vector>

#include "genai/sampling/noise.h"

namespace genai {

/// Prediction of x0 from x at a level; shape of x.
using Denoise = std::function<Tensor(const Tensor& x, const NoiseLevel& level)>;

/// Standard normal numbers of x's shape for step `index`; the same whenever asked.
using StepNoise = std::function<Tensor(int64_t index)>;

enum class Solver {
  ddpm,          ///< ancestral, the posterior's variance (Ho et al. 2020, section 3.2: beta tilde)
  ddpm_large,    ///< ancestral, the forward step's variance ("beta")
  ddim,          ///< J. Song et al. 2021, equation 12; eta 0 is euler, eta 1 is ddpm
  euler,         ///< Karras et al. 2022, algorithm 2 without its correction
  heun,          ///< Karras et al. 2022, algorithm 2: two evaluations a step
  dpmpp_2m,      ///< C. Lu et al., "DPM-Solver++", 2022, algorithm 2: second order in log-SNR
  dpmpp_3m,      ///< the same with three predictions: third order; unipc without its corrector
  dpmpp_2m_sde,  ///< Lu et al. 2022, section 5 (SDE-DPM-Solver++(2M))
  unipc,         ///< W. Zhao et al., "UniPC", 2023: order 3, B(h) = e^h - 1, predicts x0
  ipndm,         ///< Q. Zhang, Y. Chen 2023 after L. Liu et al. 2022: Adams-Bashforth, with the
                 ///< coefficients of equal steps; order 4 where steps are equal
};
extern const EnumNames<Solver> kSolverNames;

struct SolverOptions {
  Solver solver = Solver::ipndm;
  double eta = 0;    ///< ddim: share of the ancestral noise, 0 to 1
  double churn = 0;  ///< euler, heun: S_churn of Karras et al. 2022, over all steps
};

/// What is known at a level that was visited.
struct Estimate {
  NoiseLevel level;
  Tensor x;      ///< the sample there
  Tensor clean;  ///< its predicted x0
};

/// One step from past[0] to the level `to`. `past` is newest first and holds at least one estimate;
/// multistep solvers use as many as their order, fewer where there are fewer. A step to sigma 0 is
/// the predicted x0 itself whatever the solver, as log(alpha / sigma) has no end.
/// @param denoise  for the correction of heun
/// @param noise    standard normal; read by stochastic solvers only, and not in a step to sigma 0
/// Throws std::logic_error where sigma does not fall (heun goes up as well, from an image to its
/// noise) or a signal is needed and missing.
Tensor solver_step(const SolverOptions& options, const std::vector<Estimate>& past,
                   const NoiseLevel& to, const Denoise& denoise, const Tensor& noise);

/// UniC, the corrector of unipc: x at `to` again, now that `clean` is predicted from the x that
/// solver_step found there.
Tensor unipc_correct(const std::vector<Estimate>& past, const NoiseLevel& to, const Tensor& clean);

/// Told each estimate before its step; cannot change it.
using Watch = std::function<void(int64_t step, const Estimate& estimate)>;

/// From x at levels.front() down to levels.back(). unipc corrects x with the prediction that the
/// next step needs anyway. Churn raises sigma and keeps alpha: the denoiser is asked at levels that
/// are not of the process, but for their ratio.
/// @param levels  sigma falls strictly; at least two
/// @param noise   asked only for steps that add noise
/// Throws std::logic_error for other levels, or without signal where needs_signal.
Tensor solve(Tensor x, const std::vector<NoiseLevel>& levels, const Denoise& denoise,
             const StepNoise& noise, const SolverOptions& options, const Watch& watch = {});

/// Evaluations of the denoiser for so many steps, the last of them to sigma 0 (NFE).
int64_t evaluations(Solver solver, int64_t steps);

/// Works in log(alpha / sigma) or adds noise: not for a path that begins without any signal
/// (alpha 0), as flow's does.
bool needs_signal(const SolverOptions& options);

}  // namespace genai
