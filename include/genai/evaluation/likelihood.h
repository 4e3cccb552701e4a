// How likely a model finds test images: the evidence lower bound and the importance-weighted
// log-likelihood (Y. Burda et al., "Importance weighted autoencoders", 2016, equation 8).
#pragma once
#include <functional>

#include "genai/data/dataset.h"
#include "genai/evaluation/result.h"
#include "genai/run/load_model.h"

namespace genai {

struct LikelihoodRequest {
  int64_t samples = 100;   ///< draws of z per image ("k"); the bound rises with it
  int64_t images = 0;      ///< the first N of the split; 0: all
  /// Told the share done, 0 to 1.
  std::function<void(double)> progress;
};

/// nelbo, its parts, nll_iwK and bits/dim on the test split, each with the standard error over
/// images. The same draws at every call.
/// Throws Error{usage} when the model is no Likelihood, Error{data} when there are no test images
/// or their shape is not the model's.
std::vector<Metric> evaluate_likelihood(const LoadedModel& loaded, const Dataset& data,
                                        const LikelihoodRequest& request);

}  // namespace genai
