// How likely a model finds test images: bounds of log p(x), such as the importance-weighted one (Y.
// Burda et al., "Importance weighted autoencoders", 2016, equation 8) and that of diffusion
// (sampling/bound.h).
#pragma once
#include <functional>

#include "genai/data/dataset.h"
#include "genai/evaluation/result.h"
#include "genai/run/load_model.h"

namespace genai {

/// Throws Error{usage} where the model sees items through a codec.
void check_sees_items(const LoadedModel& loaded, const std::string& what);

/// Throws Error{usage} where a model is told something that these items have not: their pairs, ...
/// @param name  of the items, for the message
void check_given(const LoadedModel& loaded, const Split& items, const std::string& name);

/// "/given-low": what a model is told of the items that it judges, but for their class; part of the
/// names of metrics.
std::string given_conditions(const LoadedModel& loaded);

/// The items as the model knows them: labels of a set whose classes are not the model's say nothing
/// to it and go. `unlabelled` tells whether a class-conditional model has to do without.
struct KnownItems {
  Split items;
  bool unlabelled = false;
};
KnownItems known_items(const LoadedModel& loaded, const Split& items, const DataInfo& info);

struct LikelihoodRequest {
  int64_t samples = 100;  ///< draws per image (Likelihood::estimator)
  int64_t images = 0;     ///< the first N of the split; 0: all
  /// Told the share done, 0 to 1.
  std::function<void(double)> progress;
};

/// The bound of -log p(x) on the test split ("nll_iw100", "nll_vlb1000x8": the estimate is part of
/// the name), the same in bits/dim, and its parts, each with the standard error over images. The
/// same draws at every call. Of a Denoiser also details["bound_by_level"]: what the steps from each
/// range of noise levels contribute.
/// Throws Error{usage} when the model is no Likelihood, Error{data} when there are no test images
/// or their shape is not the model's.
void measure_likelihood(const LoadedModel& loaded, const Dataset& data,
                        const LikelihoodRequest& request, Evaluation& into);

}  // namespace genai
