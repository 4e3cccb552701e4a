// Samples of a diffusion model from numbered random draws.
#pragma once
#include "genai/core/draw.h"
#include "genai/sampling/solvers.h"

namespace genai {

/// solve() from the noise that `draw` has for each item, at levels.front(), to an image: every
/// sample of a model is made here, so that whoever watches sees what `generate` does.
/// @param shape  of one image, [C, H, W]
Tensor solve_from_noise(const Draw& draw, at::IntArrayRef shape,
                        const std::vector<NoiseLevel>& levels, const Denoise& denoise,
                        const SolverOptions& options, const Watch& watch = {});

}  // namespace genai
