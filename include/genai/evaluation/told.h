// What models make that are told a grid, against the pictures that the grids belong to.
#pragma once
#include "genai/data/dataset.h"
#include "genai/evaluation/result.h"
#include "genai/run/load_model.h"

namespace genai {

/// Is the model told a grid?
bool is_told_grid(const LoadedModel& loaded);

/// Of the first `images` test pictures (200), told the grid of each:
/// - told_psnr (dB) and told_ssim against the picture itself; with `low` also those of bicubic
///   interpolation;
/// - told_distance: mean distance of three versions of one picture from each other (root mean
///   square of pixels in 0..1).
/// The picture "told": what was told, the picture, three versions.
///
/// Of models of the next frame instead, from the start of each test clip on (the first `images`):
/// as many frames as are left in all clips, each made from those before it (generation/rollout.h):
/// - rollout_ssim, and rollout_mse, the squared error of a frame summed over its pixels in 0..1;
///   means over the frames of a clip. Beside them those of the last frame given, and of the mean of
///   all frames given.
/// The picture "rollout": what was given, what came, what was made.
/// Throws what check_given throws (evaluation/likelihood.h).
void measure_told(const LoadedModel& loaded, const Dataset& data, int64_t images,
                  const Json& options, Evaluation& into, const StageProgress& progress = {});

}  // namespace genai
