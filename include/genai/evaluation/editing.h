// How well a Denoiser edits pictures that it never saw: the verb `edit`, measured on test images.
#pragma once
#include "genai/data/dataset.h"
#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"
#include "genai/run/load_model.h"

namespace genai {

/// On the first `images` test images:
/// - inpaint_accuracy: share whose class is still seen after the lower half was removed and filled
///   again; beside it that of pictures left half empty, and inpaint_kept, the share of known pixels
///   unchanged;
/// - upscale_psnr (dB) and upscale_accuracy from pictures of half the size; beside them bicubic
///   interpolation's;
/// - vary_accuracy and vary_distance (root mean square, of 1) at three strengths;
/// - blend_psnr: of the two ends of a blend against the pictures (dB); blend_accuracy: share of
///   middles seen as the class of either end.
/// The picture "editing" shows the first of them. Needs an even size and the extractor.
/// Throws Error{usage} when the model is no Denoiser or the images have odd sides.
void measure_editing(const LoadedModel& loaded, const Dataset& data, const Extractor& extractor,
                     int64_t images, Evaluation& into, const StageProgress& progress = {});

}  // namespace genai
