// How good are samples? Distances between the distributions of samples and test images, classes,
// copies of training images. Any model that makes images, or any folder of pictures.
#pragma once
#include <optional>

#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"
#include "genai/generation/generate.h"

namespace genai {

struct Samples {
  Tensor pixels;  ///< uint8 [N, C, H, W]
  Tensor labels;  ///< int64 [N]: the class each was asked to show; or undefined
};

/// Samples number `first` to `first + count - 1` of a model, as `sample` makes them.
/// @param options    of the family's sampling table
/// @param condition  of models that are told grids: where from
/// Throws Error{usage} when the model is no Generator.
Samples generate_samples(const LoadedModel& loaded, int64_t first, int64_t count,
                         const Json& options, const ConditionSource& condition = {},
                         const StageProgress& progress = {});

/// What samples are measured against.
struct Reference {
  const Dataset& data;                   ///< test images; training images for memorization
  const Extractor* extractor = nullptr;  ///< none: classifier-free metrics only
  const PcaView& pca;
};

/// Frechet distance, kernel distance, precision, recall, density and coverage in the features of
/// the classifier ("fd", ...) and of the principal components ("fd_pca", ...); the distance to as
/// many training images ("fd_train"); each with what real training images get, and its floor.
/// Throws Error{data} unless samples and reference have one shape and there are more of each than
/// features, and when all samples are equal.
void measure_distances(const Samples& samples, const Reference& reference, Evaluation& into,
                       const StageProgress& progress = {});

/// The share of the rarest class, chi^2 of the histogram of classes against that of the test
/// images, and, of conditional samples, how often the class asked for is seen. Needs the extractor.
void measure_classes(const Samples& samples, const Reference& reference, Evaluation& into);

/// Copies of training images: nearest-neighbour ratio, authenticity, C_T, and the picture
/// "neighbours": sample | nearest | second nearest, the likeliest copies first.
void measure_memorization(const Samples& samples, const Reference& reference, Evaluation& into,
                          const StageProgress& progress = {});

/// Classification accuracy score (S. Ravuri, O. Vinyals, 2019): the test accuracy of classifiers
/// that were trained, by the extractor's recipe, on samples alone; mean over three seeds.
/// @param samples   labelled, as many as wished
void measure_classification_score(const Samples& samples, const Reference& reference,
                                  Evaluation& into, TrainObserver& observer,
                                  const Json& recipe = extractor_recipe());

}  // namespace genai
