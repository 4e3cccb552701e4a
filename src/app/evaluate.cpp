#include "genai/evaluation/evaluate.h"

#include <algorithm>
#include <sstream>

#include "genai/base/error.h"
#include "genai/data/picture_files.h"
#include "jobs-inl.h"
#include "measured-inl.h"
#include "shared-inl.h"

namespace genai {

std::optional<Evaluation> keep_where_possible(const std::filesystem::path& run,
                                              const Evaluation& result, JobContext& context) {
  try {
    return keep_evaluation(run, result);
  } catch (const std::exception& error) {
    context.events.warned("measured, but not kept with the run: " + reason_of(error));
    return std::nullopt;
  }
}

namespace {

namespace fs = std::filesystem;

struct EvaluateWish {
  RunChoice from;
  int64_t count = 0, seed = 0, draws = 0, images = 0;
  std::string only, data, data_dir;
  WeightFormat weights = WeightFormat::float32;
  bool full = false, no_keep = false;
  std::vector<std::string> require;
};

std::string part_names() {
  std::string parts;
  for (const auto& [part, name] : kMetricGroupNames) parts += (parts.empty() ? "" : ", ") + name;
  return parts;
}

const FieldTable& evaluate_fields() {
  static const FieldTable table =
      describe<EvaluateWish>()
          .nest("", &EvaluateWish::from, run_choice_fields())
          .field("count", &EvaluateWish::count,
                 "samples to measure (10000, or fewer when they take longer than 30 s)",
                 between(1, 1000000))
          .option("n")
          .field("seed", &EvaluateWish::seed, "number of the first sample (0)", at_least(0))
          .field("draws", &EvaluateWish::draws,
                 "draws per image of the likelihood (as the family advises; request.full: more)",
                 between(1, 1000000))
          .field("images", &EvaluateWish::images,
                 "likelihood and accuracy on the first N test images; 0: all",
                 between(0, 100000000))
          .field("only", &EvaluateWish::only, "some of: " + part_names())
          .hint("PART,...")
          .field("weights", &EvaluateWish::weights,
                 "texts, series: number format of the weights (float32)", kWeightFormatNames)
          .field("full", &EvaluateWish::full,
                 "as papers report: 10000 samples, more draws, the classification score")
          .field("require", &EvaluateWish::require, "a bar: METRIC<=NUMBER; exit code 5 if missed")
          .hint("BAR")
          .field("data", &EvaluateWish::data, "another data set than the run's")
          .hint("DATA")
          .field("data_dir", &EvaluateWish::data_dir, "folder of the data sets")
          .hint("DIR")
          .field("no_keep", &EvaluateWish::no_keep, "writes nothing into the run")
          .table();
  return table;
}

/// A folder of pictures, not a run.
bool is_picture_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) && !fs::exists(fs::path(path) / "checkpoints", error) &&
         !fs::exists(fs::path(path) / "config.json", error);
}

bool of_picture_folder(const Settings& given) {
  const Json* run = given.find("request.run");
  return run && run->is_string() && is_picture_folder(run->get<std::string>());
}

Extent size_of_pictures(const fs::path& folder) {
  const auto files = open_picture_files(folder);
  if (files->pictures.empty()) return {};  // told later
  const std::string& first = files->pictures.front();
  const Image image = decode_picture(files->read(first), files->where(first)).image;
  return Extent(image.width, image.height);
}

std::set<MetricGroup> parse_parts(const std::string& text) {
  std::set<MetricGroup> parts;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const auto it = std::find_if(kMetricGroupNames.begin(), kMetricGroupNames.end(),
                                 [&](const auto& entry) { return entry.second == word; });
    if (it == kMetricGroupNames.end()) {
      fail(ErrorKind::usage, "request.only: no part '", word,
           "'; expected some of: ", part_names());
    }
    parts.insert(it->first);
  }
  return parts;
}

/// What is asked for, checked.
struct EvaluationWork {
  EvaluateWish wish;
  EvaluationRequest request;
  std::vector<Requirement> requirements;
  JobContext& context;

  EvaluationWork(const Json& asked, JobContext& job)
      : wish(read_request<EvaluateWish>(evaluate_fields(), asked)), context(job) {
    for (const std::string& text : wish.require) requirements.push_back(parse_requirement(text));
    request.parts = parse_parts(wish.only);
    request.full = wish.full;
    request.samples = wish.count;
    request.first = wish.seed;
    request.draws = wish.draws;
    request.images = wish.images;
    request.weights = wish.weights;
  }
  void check_requirements(const std::vector<std::string>& planned) const {
    for (const Requirement& requirement : requirements) check_requirement(requirement, planned);
  }
};

/// The data to measure on: the run's own unless another is named.
EvaluationData load_run_data(const EvaluateWish& wish, const RunRequest& run) {
  const Manifest& manifest = run.manifest();
  DataConfig config = data_config_of(run.reference.folder, manifest);
  if (!wish.data.empty()) config.source = wish.data;
  if (!wish.data_dir.empty()) config.dir = wish.data_dir;
  if (manifest.data.kind() == ItemKind::sequence && !wish.data.empty())
    config.own["context"] = manifest.data.context;
  EvaluationData data = load_evaluation_data(config, manifest.data.tokenizer,
                                             wish.data.empty() ? &manifest.data : nullptr);
  if (wish.data.empty() && data.own.info.fingerprint != manifest.data.fingerprint) {
    fail(ErrorKind::data, "the data set '", data.own.info.source,
         "' is not the one this run was trained on; name it with request.data to measure on it ",
         "all the same");
  }
  return data;
}

Evaluation measure_folder(EvaluationWork& work) {
  const EvaluateWish& wish = work.wish;
  const std::string& folder = wish.from.run;
  if (wish.data.empty()) {
    fail(ErrorKind::usage, "request.data: name the data set to measure the pictures in ", folder,
         " against");
  }
  DataConfig config{.source = wish.data, .dir = wish.data_dir};
  // Pictures of a model that was trained on a folder in another size than its pictures have.
  const Extent size = size_of_pictures(folder);
  if (fs::is_directory(wish.data) && size.given()) config.own["size"] = extent_text(size);
  const EvaluationData data = load_evaluation_data(config);
  work.context.device(0);
  work.check_requirements(planned_picture_metrics(data, work.request));
  return evaluate_pictures(folder, data, work.request, work.context.events,
                           work.context.progress());
}

Evaluation measure_run(EvaluationWork& work, const RunRequest& run, bool& kept) {
  work.request.options = run.options;
  const EvaluationData data = load_run_data(work.wish, run);
  const LoadedModel loaded = run.load(work.context);
  work.check_requirements(planned_metrics(loaded, data, work.request));
  Evaluation result =
      evaluate_model(loaded, data, work.request, work.context.events, work.context.progress());
  add_provenance(result.pictures, loaded, result.sampling);
  work.context.check_wanted();
  kept = !work.wish.no_keep &&
         keep_where_possible(run.reference.folder, result, work.context).has_value();
  return result;
}

/// Bars met and missed.
Json judge(const std::vector<Requirement>& requirements, const std::vector<Metric>& metrics) {
  Json bars = Json::array();
  for (const Requirement& requirement : requirements) {
    const Metric& metric = required_metric(requirement, metrics);
    bars.push_back({{"require", requirement.text},
                    {"value", metric.value},
                    {"met", requirement.met_by(metric.value)}});
  }
  return bars;
}

RequestForm evaluate_form(const Settings& given, const JobContext& context) {
  if (of_picture_folder(given)) return plain_page(evaluate_fields())();
  return sampling_form(evaluate_fields(), given, context);
}

Json run_evaluate(const Settings& given, JobContext& context) {
  Json json;
  bool kept = false;
  const auto told = [&](const EvaluationWork& work, const std::string& subject,
                        const Evaluation& result) {
    json = {{"run", subject}, {"kept", kept}};
    json.update(to_json(result));
    if (!work.requirements.empty()) json["requirements"] = judge(work.requirements, result.metrics);
  };
  if (of_picture_folder(given)) {
    EvaluationWork work(resolve(evaluate_form(given, context), given).at("request"), context);
    told(work, work.wish.from.run, measure_folder(work));
  } else {
    const RunRequest run = open_request(evaluate_fields(), given, context);
    EvaluationWork work(run.request, context);
    const Evaluation result = measure_run(work, run, kept);
    told(work, run.reference.folder.string(), result);
  }
  return json;
}

}  // namespace

Job evaluate_job() {
  return {.name = "evaluate",
          .about =
              "measures a model, or a folder of pictures, against test images "
              "(docs/metrics.md)",
          .page = [] { return sampling_page(evaluate_fields()); },
          .form = evaluate_form,
          .run = run_evaluate};
}

}  // namespace genai
