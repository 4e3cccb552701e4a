// Everything that is measured of a model, or of a folder of pictures, in one call.
#pragma once
#include <set>

#include "genai/decode/decoder.h"
#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"

namespace genai {

enum class MetricGroup {
  likelihood,            ///< needs a Likelihood or NextToken
  distances,             ///< needs samples
  classes,               ///< needs samples and labels in the data set
  memorization,          ///< needs samples and training images
  classification_score,  ///< needs a class-conditional model or labelled pictures
  classification,        ///< needs a Classifier
  editing,               ///< needs a Denoiser and labels in the data set; only when asked for
  captions,              ///< needs a model that is told the captions of a set of things in places
  told,                  ///< needs a Generator that is told a grid
  forecasts,             ///< needs a model of a series of numbers
};
extern const EnumNames<MetricGroup> kMetricGroupNames;

/// Does the modality name the group (Modality::metrics)? Throws Error{usage} where it does not.
bool applies(MetricGroup group, const Modality& modality);
void check_applies(MetricGroup group, const Modality& modality);

struct EvaluationRequest {
  std::set<MetricGroup>
      parts;            ///< empty: all that apply, the classification score only when `full`
  bool full = false;    ///< all samples, more draws and the classification score, as in papers
  int64_t samples = 0;  ///< 0: kSamples, or fewer when making them takes longer than kPatience
  int64_t first = 0;    ///< number of the first sample
  int64_t draws = 0;    ///< of the likelihood; 0: as the model advises
  int64_t images = 0;   ///< the first N test images for likelihood and accuracy; 0: all
  WeightFormat weights = WeightFormat::float32;  ///< int8: of text and series alone
  Json options = Json::object();                 ///< of the family's sampling table

  /// What ends the names of metrics of weights that are not float32.
  std::string suffix() const { return weights == WeightFormat::int8 ? "/int8" : ""; }

  static constexpr int64_t kSamples = 10000;
  static constexpr double kPatience = 30;  ///< seconds
};

/// What `evaluate` works on.
struct EvaluationData {
  Dataset own;    ///< what the model was trained on: its limit, its classes
  Dataset whole;  ///< the same set without limit or left-out classes: trains the extractor
  std::filesystem::path folder = {};  ///< of the data sets: what judges captions finds digits there
};
/// @param tokenizer  of models of text: the model's
/// @param known      of images: the set that this is to be, see load_dataset
EvaluationData load_evaluation_data(const DataConfig& config,
                                    const std::shared_ptr<const Tokenizer>& tokenizer = nullptr,
                                    const DataInfo* known = nullptr);

/// Short names of the metrics that evaluate_model will measure (samples may turn out too few for
/// some of them); those that end in "_" go on with an estimator. Throws what evaluate_model throws
/// for parts that do not apply.
std::vector<std::string> planned_metrics(const LoadedModel& loaded, const EvaluationData& data,
                                         const EvaluationRequest& request);
/// The same of evaluate_pictures.
std::vector<std::string> planned_picture_metrics(const EvaluationData& data,
                                                 const EvaluationRequest& request);

/// Pictures: "samples", "neighbours", "mistakes", "editing", "captions", "told", "rollout".
/// @param observer   of the trainings that are needed: the extractor, once; classification scores
/// Throws Error{usage} when a part asked for does not apply, naming families to which it does; what
/// the parts throw.
Evaluation evaluate_model(const LoadedModel& loaded, const EvaluationData& data,
                          const EvaluationRequest& request, TrainObserver& observer,
                          const StageProgress& progress = {});

/// The parts that need samples only, on every picture below a folder; sub-folders are classes.
Evaluation evaluate_pictures(const std::filesystem::path& folder, const EvaluationData& data,
                             const EvaluationRequest& request, TrainObserver& observer,
                             const StageProgress& progress = {});

}  // namespace genai
