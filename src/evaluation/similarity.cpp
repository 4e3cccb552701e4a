#include "genai/evaluation/similarity.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace genai {
namespace {

Tensor in_unit_range(const Tensor& pixels) {
  return pixels.to(at::kDouble) / 255;
}

}  // namespace

Tensor psnr(const Tensor& found, const Tensor& wanted) {
  const Tensor error = (in_unit_range(found) - in_unit_range(wanted)).square().flatten(1).mean(1);
  return -10 * error.clamp_min(1e-6).log10();
}

Tensor structural_similarity(const Tensor& found, const Tensor& wanted) {
  constexpr int64_t kWindow = 7;
  constexpr double kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;  // (K L)^2, L = 1
  const Tensor x = in_unit_range(found), y = in_unit_range(wanted);
  const int64_t h = std::min(kWindow, x.size(2)), w = std::min(kWindow, x.size(3));
  const auto mean = [&](const Tensor& t) { return at::avg_pool2d(t, {h, w}, 1); };
  const double samples = static_cast<double>(h * w), correction = samples / (samples - 1);
  const Tensor mx = mean(x), my = mean(y);
  const Tensor vx = (mean(x * x) - mx * mx) * correction, vy = (mean(y * y) - my * my) * correction;
  const Tensor covariance = (mean(x * y) - mx * my) * correction;
  const Tensor similarity =
      (2 * mx * my + kC1) * (2 * covariance + kC2) / ((mx * mx + my * my + kC1) * (vx + vy + kC2));
  return similarity.flatten(1).mean(1);
}

}  // namespace genai
