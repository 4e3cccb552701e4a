// How well a classifier tells the classes of test images apart.
#pragma once
#include "genai/data/dataset.h"
#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"

namespace genai {

/// Accuracy, cross-entropy and expected calibration error (C. Guo et al., 2017, equation 3, 15
/// bins) on the first `images` test images (0: all); details: accuracy by class, the confusion
/// matrix; picture "mistakes": images taken for another class, the surest mistakes first.
/// Throws Error{usage} when the model is no Classifier, Error{data} without labelled test images of
/// its shape and classes.
void measure_classification(const LoadedModel& loaded, const Dataset& data, int64_t images,
                            Evaluation& into, const StageProgress& progress = {});

}  // namespace genai
