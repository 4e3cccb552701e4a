// What a model makes while it learns, for the user to look at: TrainRequest::show.
#pragma once
#include "genai/training/trainer.h"

namespace genai {

/// Tells the observer of pictures, texts, or a forecast of the test part of a series; of nothing
/// for models that make nothing. The same numbers each time, so that steps can be compared.
void show_samples(Model& model, const Dataset& data, at::Device device, int64_t step,
                  TrainObserver& observer);

}  // namespace genai
