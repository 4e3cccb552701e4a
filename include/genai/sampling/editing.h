// Pictures changed by a denoiser that was trained for nothing of the kind: free functions over it,
// as the solvers are. Images in -1..1.
#pragma once
#include "genai/sampling/solvers.h"

namespace genai {

/// What is known of an image: y = H x0, linear, with a pseudo-inverse.
struct Measurement {
  std::function<Tensor(const Tensor& images)> apply;  ///< H
  std::function<Tensor(const Tensor& known)> invert;  ///< H+: H H+ y = y
  Tensor known;                                       ///< y
};

/// Pixels where keep [.., H, W] is 1 are those of `image`.
Measurement keep_pixels(const Tensor& image, const Tensor& keep);

/// Each pixel of `small` is the mean of factor x factor pixels.
Measurement average_pixels(const Tensor& small, int64_t factor);

/// `clean` with the measurement put in: H+ y + (I - H+ H) clean, the range-null space decomposition
/// of Y. Wang et al., "Zero-shot image restoration using denoising diffusion null-space model",
/// 2023, equation 9.
Tensor with_measurement(const Tensor& clean, const Measurement& measurement);

/// The denoiser's prediction at x for an image with this measurement: what the prediction lacks of
/// it also moves everything else, by the derivative of the denoiser, which is the covariance of the
/// image given x (J. Song et al., "Pseudoinverse-guided diffusion models for inverse problems",
/// 2023, section 3); held to -1..1, then with_measurement.
/// @param denoise  differentiable
Tensor measured_prediction(const Tensor& x, const NoiseLevel& level, const Denoise& denoise,
                           const Measurement& measurement);

/// Images that agree with a measurement exactly: ancestral steps from x at levels.front() with
/// measured_prediction.
Tensor restore(const Tensor& x, const std::vector<NoiseLevel>& levels, const Denoise& denoise,
               const Measurement& measurement, const StepNoise& noise);

/// The levels of the last `strength` (0 to 1] of a path: where a picture enters it to be varied
/// (C. Meng et al., "SDEdit", 2022, section 3).
std::vector<NoiseLevel> last_levels(const std::vector<NoiseLevel>& levels, double strength);

/// The noise at levels.front() that deterministic sampling makes `image` of: the probability-flow
/// equation followed upwards by Heun's method (J. Song et al., "DDIM", 2021, section 5.4).
Tensor noise_of_image(const Tensor& image, const std::vector<NoiseLevel>& levels,
                      const Denoise& denoise);

/// On the great circle from a to b, each image by itself: share 0 is a, 1 is b [B] (K. Shoemake
/// 1985; Song et al. 2021, appendix D.5).
Tensor spherical_mix(const Tensor& a, const Tensor& b, const Tensor& share);

}  // namespace genai
