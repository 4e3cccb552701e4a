#include "genai/sampling/from_noise.h"

#include <ATen/ATen.h>

#include "genai/base/error.h"

namespace genai {

Tensor solve_from_noise(const Draw& draw, at::IntArrayRef shape,
                        const std::vector<NoiseLevel>& levels, const Denoise& denoise,
                        const SolverOptions& options, const Watch& watch) {
  const Tensor x = draw.normal("noise", shape) * levels.front().sigma;
  const auto fresh = [&](int64_t step) { return draw.normal(concat("step ", step), shape); };
  return solve(x, levels, denoise, fresh, options, watch);
}

}  // namespace genai
