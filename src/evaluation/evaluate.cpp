#include "genai/evaluation/evaluate.h"

#include <chrono>

#include "genai/base/text.h"
#include "genai/data/image_folder.h"
#include "genai/evaluation/captions.h"
#include "genai/evaluation/classification.h"
#include "genai/evaluation/editing.h"
#include "genai/evaluation/language.h"
#include "genai/evaluation/likelihood.h"
#include "genai/evaluation/samples.h"
#include "genai/evaluation/told.h"
#include "genai/generation/generate.h"
#include "genai/training/metrics_log.h"

namespace genai {

const EnumNames<MetricGroup> kMetricGroupNames = {
    {MetricGroup::likelihood, "likelihood"},
    {MetricGroup::distances, "distances"},
    {MetricGroup::classes, "classes"},
    {MetricGroup::memorization, "memorization"},
    {MetricGroup::classification_score, "classification-score"},
    {MetricGroup::classification, "classification"},
    {MetricGroup::editing, "editing"},
    {MetricGroup::captions, "captions"},
    {MetricGroup::told, "told"},
    {MetricGroup::forecasts, "forecasts"}};

bool applies(MetricGroup group, const Modality& modality) {
  const auto names = modality.metrics();
  return std::ranges::find(names, enum_name(kMetricGroupNames, group)) != names.end();
}

void check_applies(MetricGroup group, const Modality& modality) {
  if (applies(group, modality)) return;
  fail(ErrorKind::usage, "'evaluate --only ", enum_name(kMetricGroupNames, group),
       "' does not apply to models of ", modality.name(),
       "; to these do: ", listed(modality.metrics()));
}

namespace {

/// Features of either view: there must be more images than that.
constexpr int64_t kFeatures = 64;
/// Counts tried, largest first, when making kSamples would take too long.
constexpr int64_t kFewer[] = {5000, 2000, 1000};
constexpr int64_t kSheet = 64;
constexpr int64_t kEdited = 100, kCaptioned = 1000;
/// Seconds that comparing 10,000 samples takes on two cores (docs/results.md).
constexpr double kComparing = 40;

template <class Function>
double seconds_of(const Function& function) {
  const auto start = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The measurement of samples, whatever made them.
class SampleMeasurement {
 public:
  SampleMeasurement(const EvaluationData& data, const std::set<MetricGroup>& parts,
                    TrainObserver& observer, const StageProgress& progress)
      : data_(data), parts_(parts), observer_(observer), progress_(progress) {
    const bool pca = wanted(MetricGroup::distances) || wanted(MetricGroup::memorization);
    if (pca) pca_ = make_pca_view(data.whole);
    const bool judge = wanted(MetricGroup::distances) || wanted(MetricGroup::classes) ||
                       wanted(MetricGroup::classification_score) || wanted(MetricGroup::editing);
    if (judge && data.whole.info.class_count() >= 2) {
      extractor_ = load_extractor(data.whole, observer);
    }
  }

  void measure(const Samples& samples, Evaluation& into) const {
    if (wanted(MetricGroup::distances)) measure_distances(samples, reference(), into, progress_);
    if (wanted(MetricGroup::classes)) measure_classes(samples, reference(), into);
    if (wanted(MetricGroup::memorization))
      measure_memorization(samples, reference(), into, progress_);
  }

  void measure_edits(const LoadedModel& loaded, int64_t images, Evaluation& into) const {
    measure_editing(loaded, data_.own, *extractor_, images > 0 ? images : kEdited, into, progress_);
  }

  void measure_score(const Samples& samples, Evaluation& into) const {
    measure_classification_score(samples, reference(), into, observer_);
  }

 private:
  bool wanted(MetricGroup part) const { return parts_.count(part) > 0; }
  Reference reference() const {
    return {.data = data_.own, .extractor = extractor_ ? &*extractor_ : nullptr, .pca = pca_};
  }

  const EvaluationData& data_;
  const std::set<MetricGroup>& parts_;
  TrainObserver& observer_;
  const StageProgress& progress_;
  std::optional<Extractor> extractor_;
  PcaView pca_;
};

/// What can be known before the extractor is trained and the samples are made.
void check_counts(const std::set<MetricGroup>& parts, const Dataset& data, int64_t samples) {
  if (!parts.count(MetricGroup::distances)) return;
  if (data.test.size() <= kFeatures) {
    fail(ErrorKind::data, "distances need more than ", kFeatures, " test images, '",
         data.info.source, "' has ", data.test.size());
  }
  if (samples > 0 && samples <= kFeatures) {
    fail(ErrorKind::usage, "distances need more than ", kFeatures, " samples, found ", samples,
         "; at few they tell of the number of samples rather than of the model (-n)");
  }
}

bool needs_samples(const std::set<MetricGroup>& parts) {
  return parts.count(MetricGroup::distances) || parts.count(MetricGroup::classes) ||
         parts.count(MetricGroup::memorization);
}

/// The parts that apply to a model, or those asked for if each of them does.
std::set<MetricGroup> choose_parts(const LoadedModel& loaded, const EvaluationData& data,
                                   const EvaluationRequest& request, Evaluation& into) {
  Model* model = loaded.model.get();
  const auto* generator = dynamic_cast<Generator*>(model);
  const bool classes = data.whole.info.class_count() >= 2;
  std::set<MetricGroup> parts;
  const Codec* codec = model->inputs().codec.get();
  const bool pixels = !codec || !codec->pixel_model().empty();  // densities are of items
  if (dynamic_cast<Likelihood*>(model) && pixels) parts.insert(MetricGroup::likelihood);
  if (generator) {
    parts.insert({MetricGroup::distances, MetricGroup::memorization});
    if (classes) parts.insert(MetricGroup::classes);
    if (classes && classes_of(model->conditions()) > 0)
      parts.insert(MetricGroup::classification_score);
  }
  if (generator && has_caption_judge(loaded, data.own.info)) parts.insert(MetricGroup::captions);
  if (generator && is_told_grid(loaded)) parts.insert(MetricGroup::told);
  if (dynamic_cast<Classifier*>(model)) parts.insert(MetricGroup::classification);
  if (dynamic_cast<Denoiser*>(model) && classes && pixels) parts.insert(MetricGroup::editing);
  const Modality& modality = *data.own.info.modality;
  std::erase_if(parts, [&](MetricGroup part) { return !applies(part, modality); });
  if (request.parts.empty()) {
    parts.erase(MetricGroup::editing);  // of interest to few: only when asked for
    if (!request.full) parts.erase(MetricGroup::classification_score);
    if (data.own.test.size() <= kFeatures && parts.erase(MetricGroup::distances)) {
      into.notes.push_back(concat("no distances: they need more than ", kFeatures,
                                  " test images, '", data.own.info.source, "' has ",
                                  data.own.test.size()));
    }
    if (data.own.train.size() < 3 && parts.erase(MetricGroup::memorization)) {
      into.notes.push_back(concat("no memorization: it needs 3 training images at least, '",
                                  data.own.info.source, "' has ", data.own.train.size()));
    }
    return parts;
  }
  for (const MetricGroup part : request.parts) {
    if (parts.count(part)) continue;
    check_applies(part, modality);
    const std::string what = "evaluate --only " + enum_name(kMetricGroupNames, part);
    if (part == MetricGroup::likelihood || part == MetricGroup::editing)
      check_sees_items(loaded, what);
    if (part == MetricGroup::captions) {
      fail(ErrorKind::usage, "'", what,
           "' needs a model that is told the captions (model.condition ",
           "caption) of shapes, digits-pairs or mnist-pairs, of 64x64 or 32x32");
    }
    if (part == MetricGroup::told) {
      fail(ErrorKind::usage, "'", what, "' needs a model that makes images and is told a grid ",
           "(model.condition grey, sketch, low, masked, pair or past)");
    }
    if (part == MetricGroup::likelihood) loaded.as<Likelihood>(what);
    if (part == MetricGroup::classification) loaded.as<Classifier>(what);
    if (part == MetricGroup::editing) loaded.as<Denoiser>(what);
    loaded.as<Generator>(what);
    fail(ErrorKind::usage, "'", what, "' needs ",
         classes ? "a class-conditional model" : "a data set with two or more classes");
  }
  return request.parts;
}

/// Models that are told grids are told those of the test items, one after the other.
ConditionSource condition_of(const LoadedModel& loaded, const Dataset& data) {
  if (!told_of_items(loaded.model->conditions())) return {};
  return {.items = data.test};
}

/// The number of samples to make, and the seconds that one takes.
std::pair<int64_t, double> choose_count(const LoadedModel& loaded, const Dataset& data,
                                        const EvaluationRequest& request) {
  const int64_t chunk = chunk_of(loaded.device), timed = 2 * chunk;
  const auto make = [&](int64_t count) {
    generate_samples(loaded, 0, count, request.options, condition_of(loaded, data));
  };
  make(chunk);  // the first one allocates
  const double each = seconds_of([&] { make(timed); }) / static_cast<double>(timed);
  if (request.samples > 0) return {request.samples, each};
  int64_t count = EvaluationRequest::kSamples;
  if (!request.full) {
    for (const int64_t fewer : kFewer) {
      if (static_cast<double>(count) * each > EvaluationRequest::kPatience) count = fewer;
    }
  }
  return {count, each};
}

/// How many samples are made, and the seconds of each: none where no group of metrics asks.
std::pair<int64_t, double> plan_samples(const LoadedModel& loaded, const Dataset& data,
                                        const EvaluationRequest& request,
                                        const std::set<MetricGroup>& parts, Evaluation& into) {
  const bool measured = needs_samples(parts) || parts.count(MetricGroup::captions);
  if (!measured && !parts.count(MetricGroup::classification_score)) return {0, 0};
  const auto [count, each] = choose_count(loaded, data, request);
  constexpr int64_t kAll = EvaluationRequest::kSamples;
  if (measured && request.samples == 0 && count < kAll) {
    into.notes.push_back(concat(count, " samples instead of ", kAll, ", which would take ",
                                std::llround(each * kAll), " s; -n or --full makes more"));
  }
  into.sampling = {{"first", request.first}, {"count", count}, {"options", request.options}};
  return {count, each};
}

/// Says how long --full will take.
void estimate(const LoadedModel& loaded, const EvaluationData& data,
              const std::set<MetricGroup>& parts, const EvaluationRequest& request, int64_t samples,
              double each, const StageProgress& progress) {
  double seconds = 0;
  if (needs_samples(parts)) seconds += static_cast<double>(samples) * each + kComparing;
  if (parts.count(MetricGroup::likelihood)) {
    constexpr int64_t kImages = 100, kDraws = 50;
    const double one = seconds_of([&] {
      Evaluation unused;
      measure_likelihood(loaded, data.own, {.samples = kDraws, .images = kImages}, unused);
    });
    const double images =
        static_cast<double>(request.images > 0 ? request.images : data.own.test.size());
    const double draws = static_cast<double>(
        request.draws > 0 ? request.draws : loaded.as<Likelihood>("evaluate").usual_draws(true));
    seconds += one * images / kImages * draws / kDraws;
  }
  if (parts.count(MetricGroup::classification_score)) {
    constexpr double kTrainings = 3 * 60;
    seconds += static_cast<double>(data.own.train.size()) * each + kTrainings;
  }
  progress(concat("about ", std::max<int64_t>(1, std::llround(seconds / 60)), " min in all"), 0);
}

/// Of samples: `features` of a classifier need classes, `labels` say what a sample should show.
void add_sample_names(const std::set<MetricGroup>& parts, bool features, bool labels,
                      std::vector<std::string>& into) {
  const auto add = [&](std::initializer_list<const char*> names, const std::string& suffix = "") {
    for (const char* name : names) into.push_back(name + suffix);
  };
  if (parts.count(MetricGroup::distances)) {
    const auto all = {"fd", "kid", "precision", "recall", "density", "coverage"};
    if (features) add(all);
    if (features) add({"fd_train"});
    add(all, "_pca");
  }
  if (parts.count(MetricGroup::classes)) add({"min_class_share", "class_chi2"});
  if (parts.count(MetricGroup::classes) && labels) add({"conditional_accuracy"});
  if (parts.count(MetricGroup::memorization)) add({"memorized_share", "authentic_share", "c_t"});
  if (parts.count(MetricGroup::classification_score)) add({"classification_score"});
}

/// What pictures of a folder can be measured by.
std::set<MetricGroup> picture_parts(const DataInfo& info, const EvaluationRequest& request) {
  if (!request.parts.empty()) return request.parts;
  std::set<MetricGroup> parts{MetricGroup::distances, MetricGroup::memorization};
  if (info.class_count() >= 2)
    parts.insert({MetricGroup::classes, MetricGroup::classification_score});
  return parts;
}

void refuse_weights(const EvaluationRequest& request) {
  if (request.weights == WeightFormat::float32) return;
  fail(ErrorKind::usage, "request.weights is for models of text and series");
}

}  // namespace

EvaluationData load_evaluation_data(const DataConfig& config,
                                    const std::shared_ptr<const Tokenizer>& tokenizer,
                                    const DataInfo* known) {
  const LoadOptions options{.tokenizer = tokenizer, .known = known};
  EvaluationData data{
      .own = load_dataset(config, options), .whole = {}, .folder = data_folder(config.dir)};
  if (is_whole_set(config)) {
    data.whole = data.own;  // shares the images
  } else {
    data.whole = load_dataset(whole_set(config), options);
  }
  data.whole.info.binarize = Binarize::none;
  return data;
}

std::vector<std::string> planned_metrics(const LoadedModel& loaded, const EvaluationData& data,
                                         const EvaluationRequest& request) {
  std::vector<std::string> names;
  const auto add = [&](std::initializer_list<const char*> list) {
    names.insert(names.end(), list.begin(), list.end());
  };
  const auto wanted = [&](MetricGroup part) {
    return applies(part, *loaded.manifest.data.modality) &&
           (request.parts.empty() || request.parts.count(part));
  };
  if (loaded.manifest.data.kind() == ItemKind::sequence) {
    if (wanted(MetricGroup::likelihood)) {
      add({"loss", "loss_sliding", "loss_nanogpt", "perplexity", "bits_per_character",
           "bits_per_byte"});
      if (has_answers(data.own.info)) add({"exact_answers"});
    }
    if (wanted(MetricGroup::forecasts)) add({"mae", "crps", "coverage_", "mae_"});
    if (wanted(MetricGroup::memorization)) add({"longest_copy", "copied_lines"});
    return names;
  }
  Evaluation unused;
  const std::set<MetricGroup> parts = choose_parts(loaded, data, request, unused);
  if (parts.count(MetricGroup::likelihood)) {
    add({"nll_", "bits_per_dim_"});
    if (dynamic_cast<Denoiser*>(loaded.model.get())) add({"prior_", "denoising_", "decoder_"});
    for (const std::string& part : loaded.as<Likelihood>("evaluate").parts()) names.push_back(part);
  }
  add_sample_names(parts, data.whole.info.class_count() >= 2,
                   classes_of(loaded.model->conditions()) > 0, names);
  if (parts.count(MetricGroup::classification))
    add({"accuracy", "cross_entropy", "calibration_error"});
  if (parts.count(MetricGroup::captions)) add({"caption_accuracy", "thing_accuracy"});
  if (parts.count(MetricGroup::told)) add({"told_", "rollout_"});
  if (parts.count(MetricGroup::editing))
    add({"inpaint_", "upscale_", "vary0.3_", "vary0.5_", "vary0.7_", "blend_"});
  return names;
}

std::vector<std::string> planned_picture_metrics(const EvaluationData& data,
                                                 const EvaluationRequest& request) {
  std::vector<std::string> names;
  add_sample_names(picture_parts(data.whole.info, request), data.whole.info.class_count() >= 2,
                   /*labels=*/true, names);
  return names;
}

Evaluation evaluate_model(const LoadedModel& loaded, const EvaluationData& data,
                          const EvaluationRequest& request, TrainObserver& observer,
                          const StageProgress& progress) {
  const DataInfo& info = loaded.manifest.data;
  if (info.kind() == ItemKind::sequence) {
    return evaluate_sequences(loaded, data, request, progress);
  }
  refuse_weights(request);
  check_same_items(info, data.own.info);
  if (data.own.test.size() == 0) {
    fail(ErrorKind::data, "the data set '", data.own.info.source, "' has no test ",
         info.modality->items(info));
  }
  Evaluation result{.step = loaded.manifest.step,
                    .weights_sha256 = loaded.manifest.weights_sha256()};
  const std::set<MetricGroup> parts = choose_parts(loaded, data, request, result);
  check_counts(parts, data.own, request.samples);
  const auto [count, each] = plan_samples(loaded, data.own, request, parts, result);
  if (request.full && progress) {
    estimate(loaded, data, parts, request, count, each, progress);
  }
  if (parts.count(MetricGroup::likelihood)) {
    const auto& judge = loaded.as<Likelihood>("evaluate");
    if (request.draws > 1 && judge.estimator(1) == judge.estimator(2)) {
      fail(ErrorKind::usage, "request.draws: the likelihood of this model needs no draws");
    }
    const int64_t usual = judge.usual_draws(request.full);
    LikelihoodRequest likelihood{.samples = request.draws > 0 ? request.draws : usual,
                                 .images = request.images,
                                 .progress = {}};
    if (progress) {
      likelihood.progress = [&](double done) { progress("likelihood", done); };
    }
    measure_likelihood(loaded, data.own, likelihood, result);
  }
  if (parts.count(MetricGroup::classification)) {
    measure_classification(loaded, data.own, request.images, result, progress);
  }
  if (parts.count(MetricGroup::editing)) {
    SampleMeasurement(data, parts, observer, progress)
        .measure_edits(loaded, request.images, result);
  }
  if (parts.count(MetricGroup::told)) {
    measure_told(loaded, data.own, request.images, request.options, result, progress);
  }
  if (count > 0) {
    const SampleMeasurement measurement(data, parts, observer, progress);
    if (needs_samples(parts)) {
      measurement.measure(generate_samples(loaded, request.first, count, request.options,
                                           condition_of(loaded, data.own), progress),
                          result);
    }
    if (parts.count(MetricGroup::captions)) {
      measure_captions(loaded, data.own, data.folder, request.first, std::min(count, kCaptioned),
                       request.options, result, observer, progress);
    }
    result.pictures["samples"] =
        render_sheet(loaded, {.first = request.first, .count = kSheet, .options = request.options},
                     {}, Metadata::full);
    if (parts.count(MetricGroup::classification_score)) {
      // As many as there are training images: the score then is of the model, not of their number.
      measurement.measure_score(
          generate_samples(loaded, request.first, data.own.train.size(), request.options,
                           condition_of(loaded, data.own), progress),
          result);
    }
  }
  return result;
}

Evaluation evaluate_pictures(const std::filesystem::path& folder, const EvaluationData& data,
                             const EvaluationRequest& request, TrainObserver& observer,
                             const StageProgress& progress) {
  refuse_weights(request);
  const DataInfo& info = data.whole.info;
  const LabelledImages read = read_sample_folder(folder, {.channels = info.channels,
                                                          .height = info.height,
                                                          .width = info.width,
                                                          .classes = info.classes});
  Samples samples{.pixels = to_tensor(read), .labels = {}};
  if (!read.labels.empty()) samples.labels = at::tensor(read.labels, at::kLong);
  std::set<MetricGroup> possible{MetricGroup::distances, MetricGroup::memorization};
  if (info.class_count() >= 2) possible.insert(MetricGroup::classes);
  if (samples.labels.defined()) possible.insert(MetricGroup::classification_score);
  std::set<MetricGroup> parts = request.parts;
  for (const MetricGroup part : parts) {
    if (!possible.count(part)) {
      fail(ErrorKind::usage, "'evaluate --only ", enum_name(kMetricGroupNames, part),
           "' does not apply to ",
           samples.labels.defined() ? "pictures" : "pictures without labels");
    }
  }
  if (parts.empty()) {
    parts = possible;
    if (!request.full) parts.erase(MetricGroup::classification_score);
  }
  check_counts(parts, data.own, samples.pixels.size(0));
  Evaluation result;
  const SampleMeasurement measurement(data, parts, observer, progress);
  measurement.measure(samples, result);
  if (parts.count(MetricGroup::classification_score)) measurement.measure_score(samples, result);
  return result;
}

}  // namespace genai
