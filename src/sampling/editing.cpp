#include "genai/sampling/editing.h"

#include <torch/torch.h>

#include <cmath>

namespace genai {
namespace {

/// Standard deviation of images, as far as guidance has to know it (Karras et al. 2022).
constexpr double kImageStd = 0.5;

}  // namespace

Measurement keep_pixels(const Tensor& image, const Tensor& keep) {
  const auto masked = [keep](const Tensor& x) { return x * keep; };
  return {.apply = masked, .invert = masked, .known = image * keep};
}

Measurement average_pixels(const Tensor& small, int64_t factor) {
  return {.apply = [factor](const Tensor& x) { return at::avg_pool2d(x, factor); },
          .invert =
              [factor](const Tensor& y) {
                return y.repeat_interleave(factor, -1).repeat_interleave(factor, -2);
              },
          .known = small};
}

Tensor with_measurement(const Tensor& clean, const Measurement& m) {
  return clean + m.invert(m.known - m.apply(clean));
}

Tensor measured_prediction(const Tensor& x, const NoiseLevel& level, const Denoise& denoise,
                           const Measurement& m) {
  const at::AutoGradMode with_gradients(true);
  const Tensor at = x.detach().requires_grad_();
  const Tensor clean = denoise(at, level);
  const Tensor missing = m.invert(m.known - m.apply(clean.detach()));
  const Tensor pull = torch::autograd::grad({clean}, {at}, {missing})[0];
  // By Tweedie's formula the score's addition moves the prediction by ratio^2 / r^2 times as much,
  // r^2 = ratio^2 s^2 / (ratio^2 + s^2) being the variance of a pixel given x.
  const double gain = 1 + level.ratio() * level.ratio() / (kImageStd * kImageStd);
  const Tensor moved = (clean.detach() + level.alpha * gain * pull).clamp(-1, 1);
  return with_measurement(moved, m).detach();
}

Tensor restore(const Tensor& x, const std::vector<NoiseLevel>& levels, const Denoise& denoise,
               const Measurement& measurement, const StepNoise& noise) {
  const Denoise measured = [&](const Tensor& at, const NoiseLevel& level) {
    return measured_prediction(at, level, denoise, measurement);
  };
  return solve(x, levels, measured, noise, {.solver = Solver::ddpm});
}

std::vector<NoiseLevel> last_levels(const std::vector<NoiseLevel>& levels, double strength) {
  const auto steps = static_cast<double>(levels.size() - 1);
  const auto taken = std::max(1.0, std::round(strength * steps));
  return {levels.end() - 1 - static_cast<std::ptrdiff_t>(taken), levels.end()};
}

Tensor noise_of_image(const Tensor& image, const std::vector<NoiseLevel>& levels,
                      const Denoise& denoise) {
  // An image without noise stands for one at the least noisy level.
  Tensor x = image * levels[levels.size() - 2].alpha;
  for (size_t i = levels.size() - 2; i > 0; --i) {
    const NoiseLevel &from = levels[i], &to = levels[i - 1];
    x = solver_step({.solver = Solver::heun}, {{.level = from, .x = x, .clean = denoise(x, from)}},
                    to, denoise, {});
  }
  return x;
}

Tensor spherical_mix(const Tensor& a, const Tensor& b, const Tensor& share) {
  const auto rows = [&](const Tensor& v) { return v.view({-1, 1, 1, 1}); };
  const Tensor lengths = (a.flatten(1).norm(2, 1) * b.flatten(1).norm(2, 1)).clamp_min(1e-12);
  const Tensor cosine = (a * b).flatten(1).sum(1) / lengths;
  const Tensor angle = cosine.clamp(-1, 1).acos().clamp_min(1e-4);  // parallel: the straight line
  return rows(((1 - share) * angle).sin() / angle.sin()) * a +
         rows((share * angle).sin() / angle.sin()) * b;
}

}  // namespace genai
