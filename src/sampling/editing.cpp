#include "genai/sampling/editing.h"

#include <ATen/ATen.h>

#include <cmath>

namespace genai {
namespace {

/// Back from `to` to the noisier `from` by fresh noise (RePaint, equation 1).
Tensor back(const Tensor& x, const NoiseLevel& to, const NoiseLevel& from, const Tensor& noise) {
  const double added = std::sqrt(from.ratio() * from.ratio() - to.ratio() * to.ratio());
  return from.alpha * (x / to.alpha + added * noise);
}

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

Tensor restore(Tensor x, const std::vector<NoiseLevel>& levels, const Denoise& denoise,
               const Measurement& measurement, int64_t repeats, const StepNoise& noise) {
  const SolverOptions ancestral{.solver = Solver::ddpm};
  int64_t drawn = 0;
  for (size_t i = 0; i + 1 < levels.size(); ++i) {
    const NoiseLevel &from = levels[i], &to = levels[i + 1];
    for (int64_t time = 1;; ++time) {
      const Tensor clean = with_measurement(denoise(x, from), measurement);
      const Tensor fresh = to.sigma > 0 ? noise(drawn++) : Tensor();
      const Tensor next = solver_step(ancestral, {{.level = from, .x = x, .clean = clean}}, to,
                                      denoise, fresh);
      if (time >= repeats || to.sigma == 0) {
        x = next;
        break;
      }
      x = back(next, to, from, noise(drawn++));
    }
  }
  return x;
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
    x = solver_step({.solver = Solver::heun},
                    {{.level = from, .x = x, .clean = denoise(x, from)}}, to, denoise, {});
  }
  return x;
}

Tensor spherical_mix(const Tensor& a, const Tensor& b, const Tensor& share) {
  const auto rows = [&](const Tensor& v) { return v.view({-1, 1, 1, 1}); };
  const Tensor lengths = (a.flatten(1).norm(2, 1) * b.flatten(1).norm(2, 1)).clamp_min(1e-12);
  const Tensor cosine = (a * b).flatten(1).sum(1) / lengths;
  const Tensor angle = cosine.clamp(-1, 1).acos().clamp_min(1e-4);   // parallel: the straight line
  return rows(((1 - share) * angle).sin() / angle.sin()) * a +
         rows((share * angle).sin() / angle.sin()) * b;
}

}  // namespace genai
