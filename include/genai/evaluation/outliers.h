// How usual a model finds single images, and whether that tells sets of images apart.
#pragma once
#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"

namespace genai {

/// Images to be scored: test images of a data set, of some of its classes, or the user's pictures.
struct ScoredSet {
  std::string name;  ///< "mnist-test10000", "mnist:9-test1009"
  Split images;
  DataInfo info;  ///< binarization as the model's
};

/// p(y|x), float64 [N, classes]. Throws Error{usage} when the model is no Classifier, Error{data}
/// for images of another shape.
Tensor class_probabilities(const LoadedModel& loaded, const ScoredSet& set,
                           const StageProgress& progress = {});

/// One number an image, higher for usual ones.
struct Score {
  std::string name;  ///< "log_likelihood_iw10", "complexity_corrected_iw10", "confidence"
  std::string unit;
  Tensor values;  ///< [N] float64
};

/// Of a Likelihood: log_likelihood_iwK, the bound of log p(x) in nats; and
/// complexity_corrected_iwK = log2 p(x) + the bits of a lossless compression of x (J. Serra et al.,
/// "Input complexity and out-of-distribution detection with likelihood-based generative models",
/// 2020, equation 1, sign turned): likelihoods alone favour simple images, whatever they show.
/// Of a Classifier: confidence, the probability of the most likely class (D. Hendrycks, K. Gimpel,
/// 2017). Throws Error{usage} when the model is neither, Error{data} for images of another shape.
std::vector<Score> score_images(const LoadedModel& loaded, const ScoredSet& set, int64_t draws,
                                const StageProgress& progress = {});

/// The mean of each score; picture "worst": the 16 images with the lowest score, lowest first (of a
/// Likelihood by complexity_corrected). With `against`, the area under the ROC curve of each score.
/// Where a class-conditional model does not know the classes of one set, both are scored without,
/// which names ("/unlabelled") and notes tell.
void measure_scores(const LoadedModel& loaded, const ScoredSet& set, const ScoredSet* against,
                    int64_t draws, Evaluation& into, const StageProgress& progress = {});

}  // namespace genai
