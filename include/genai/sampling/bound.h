// The variational bound of log p(x) of a diffusion model, as a function of its denoiser:
//   -log p(x0) <= KL(q(x_T|x0) || p(x_T)) + sum of KL(q(x_s|x_t,x0) || p(x_s|x_t)) - log p(x0|x_1)
// (J. Ho et al. 2020, equation 5). All values are nats for each image.
#pragma once
#include <functional>

#include "genai/core/draw.h"
#include "genai/sampling/noise.h"

namespace genai {

/// Of the level with the most noise against N(0, alpha^2 + sigma^2): [B, ...] -> [B].
Tensor prior_divergence(const Tensor& x0, const NoiseLevel& level);

/// Of one step of reverse diffusion with the posterior's variance, given the prediction `clean` at
/// `from`: (1/r_to^2 - 1/r_from^2) / 2 |x0 - clean|^2, r = sigma / alpha (D. Kingma et al.,
/// "Variational diffusion models", 2021, equation 13 and appendix E).
Tensor step_divergence(const Tensor& x0, const Tensor& clean, const NoiseLevel& from,
                       const NoiseLevel& to);

/// log-probability of 8-bit pixels x0 in -1..1 under a normal distribution cut into their 256
/// steps, the outermost open (Ho et al. 2020, equation 13): [B].
Tensor discretized_log_likelihood(const Tensor& x0, const Tensor& mean, double std);

/// Prediction of x0 from x [B, C, H, W] for rows at levels of their own.
using PredictRows = std::function<Tensor(const Tensor& x, const NoiseLevels& level)>;

struct Bound {
  Tensor prior, steps, decoder;  ///< [B]; their sum bounds -log p(x0)
  Tensor total() const;
};

/// Told the divergences [B] of the steps taken, and which they are (int64 [B], 0 the noisiest).
using WatchSteps = std::function<void(const Tensor& step, const Tensor& nats)>;

/// @param levels  falling, the last without noise
/// @param draws   steps drawn for each image, one from each of as many equal parts of the whole;
///                with as many as there are steps each is taken once, else the sum is estimated
///                without bias
Bound variational_bound(const Tensor& x0, const std::vector<NoiseLevel>& levels,
                        const PredictRows& predict, const Draw& draw, int64_t draws,
                        const WatchSteps& watch = {});

}  // namespace genai
