#include "genai/evaluation/evaluate.h"

#include <algorithm>
#include <iostream>
#include <optional>
#include <sstream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/log.h"
#include "genai/base/picture.h"
#include "genai/base/terminal.h"
#include "genai/base/text.h"
#include "genai/data/picture_files.h"
#include "genai/data/unicode.h"
#include "genai/generation/generate.h"
#include "genai/models/registry.h"
#include "measured.h"
#include "progress.h"
#include "sample_text.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

struct EvaluateOptions {
  RunOption run;
  ComputeOption compute;
  EvaluationRequest request;
  std::string data, data_dir, only, weights = "float32";
  bool json = false, no_keep = false;
  std::vector<std::string> require;
};

/// A folder of pictures, not a run.
bool is_picture_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) && !fs::exists(fs::path(path) / "checkpoints", error) &&
         !fs::exists(fs::path(path) / "config.json", error);
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
  std::string known, word;
  for (const auto& [part, name] : kMetricGroupNames) known += (known.empty() ? "" : ", ") + name;
  std::istringstream words(text);
  while (std::getline(words, word, ',')) {
    const auto it = std::find_if(kMetricGroupNames.begin(), kMetricGroupNames.end(),
                                 [&](const auto& entry) { return entry.second == word; });
    if (it == kMetricGroupNames.end()) {
      fail(ErrorKind::usage, "--only: no part '", word, "'; expected some of: ", known);
    }
    parts.insert(it->first);
  }
  return parts;
}

std::string details_text(const Json& details) {
  std::string text;
  if (details.contains("class_shares")) {
    text += "\nclasses of the samples, as the classifier sees them\n";
    for (const auto& [name, share] : details["class_shares"].items()) {
      text += concat("  ", padded(inert(name), 12), bar(share, 40), " ",
                     number_text(100 * share.get<double>(), 3), " %\n");
    }
  }
  if (details.contains("longest_copy")) {
    text += concat("\nthe longest passage that is in the training text too:\n  ",
                   visible_text(details["longest_copy"].get<std::string>()), "\n");
  }
  if (details.contains("bound_by_level")) {
    text += "\nthe bound by the noise that is removed (noise / signal), nats per image\n";
    double most = 1e-9;
    for (const Json& range : details["bound_by_level"]) {
      most = std::max(most, range["nats"].get<double>());
    }
    for (const Json& range : details["bound_by_level"]) {
      const double nats = range["nats"];
      text += concat("  ", padded(number_text(range["ratio"].get<double>(), 3), 12),
                     bar(nats / most, 40), " ", number_text(nats, 3), "\n");
    }
  }
  if (details.contains("confusion")) {
    const Json& confusion = details["confusion"];
    std::vector<std::vector<std::string>> rows{{"true \\ taken for"}};
    for (const Json& name : confusion["classes"]) rows[0].push_back(name);
    rows[0].push_back("accuracy");
    for (size_t i = 0; i < confusion["counts"].size(); ++i) {
      const std::string name = confusion["classes"][i];
      rows.push_back({name});
      for (const Json& count : confusion["counts"][i]) rows.back().push_back(count.dump());
      const Json& accuracy = details["accuracy_by_class"][name];
      rows.back().push_back(
          accuracy.is_null() ? "-" : number_text(100 * accuracy.get<double>(), 4) + " %");
    }
    text += "\n" + table(rows);
  }
  return text;
}

/// Bars met and missed; true when all are met.
bool judge(const std::vector<Requirement>& requirements, const std::vector<Metric>& metrics,
           Json& json, std::string& text) {
  bool met = true;
  for (const Requirement& requirement : requirements) {
    const Metric& metric = required_metric(requirement, metrics);
    const bool good = requirement.met_by(metric.value);
    met = met && good;
    json.push_back({{"require", requirement.text}, {"value", metric.value}, {"met", good}});
    text += concat(good ? "met:    " : "missed: ", requirement.text, "  (",
                   number_text(metric.value, 6), ")\n");
  }
  return met;
}

/// The data to measure on: the run's own unless another is named.
EvaluationData load_data(const EvaluateOptions& options, const fs::path& run,
                         const Manifest& manifest) {
  DataConfig config = data_config_of(run, manifest);
  if (!options.data.empty()) config.source = options.data;
  if (!options.data_dir.empty()) config.dir = options.data_dir;
  if (manifest.data.kind() == ItemKind::sequence && !options.data.empty())
    config.own["context"] = manifest.data.context;
  EvaluationData data = load_evaluation_data(config, manifest.data.tokenizer,
                                             options.data.empty() ? &manifest.data : nullptr);
  if (options.data.empty() && data.own.info.fingerprint != manifest.data.fingerprint) {
    fail(ErrorKind::data, "the data set '", data.own.info.source,
         "' is not the one this run was trained on; name it with --data to measure on it all the ",
         "same");
  }
  return data;
}

int evaluate_verb(const Command& command, const EvaluateOptions& options) {
  std::vector<Requirement> requirements;
  for (const std::string& text : options.require) requirements.push_back(parse_requirement(text));
  EvaluationRequest request = options.request;
  request.parts = parse_parts(options.only);
  request.weights = weight_format(options.weights);
  const bool quiet = command.app.count("--quiet") > 0;
  StageLine line(quiet);
  const StageProgress progress = line.progress();
  ProgressPrinter printer(quiet);
  Evaluation result;
  std::string subject;
  std::optional<Evaluation> kept;
  if (is_picture_folder(options.run.run)) {
    if (options.data.empty()) {
      fail(ErrorKind::usage, "--data: name the data set to measure the pictures in ",
           options.run.run, " against");
    }
    subject = options.run.run;
    DataConfig config{.source = options.data, .dir = options.data_dir};
    // Pictures of a model that was trained on a folder in another size than its pictures have.
    const Extent size = size_of_pictures(subject);
    if (fs::is_directory(options.data) && size.given()) config.own["size"] = extent_text(size);
    const EvaluationData data = load_evaluation_data(config);
    options.compute.resolve(0);
    const auto names = planned_picture_metrics(data, request);
    for (const Requirement& requirement : requirements) check_requirement(requirement, names);
    result = evaluate_pictures(subject, data, request, printer, progress);
  } else {
    const RunReference reference = options.run.find();
    Checkpoint checkpoint = open_checkpoint(reference);
    const Manifest manifest = checkpoint.manifest;
    const Family& family = family_of(manifest.config);
    Settings settings = usual_sampling(manifest.data);
    command.apply_fields(settings);
    request.options = settings.resolve({{"sampling", family.sampling}})["sampling"];
    const EvaluationData data = load_data(options, reference.folder, manifest);
    const LoadedModel loaded = load_model(reference, std::move(checkpoint),
                                          options.compute.resolve(manifest.numerics.threads));
    const auto names = planned_metrics(loaded, data, request);
    for (const Requirement& requirement : requirements) check_requirement(requirement, names);
    result = evaluate_model(loaded, data, request, printer, progress);
    add_provenance(result.pictures, loaded, result.sampling);
    subject = reference.folder.string();
    if (!options.no_keep) kept = keep_where_possible(reference.folder, result);
  }
  printer.close_line();
  line.clear();

  Json bars = Json::array();
  std::string bar_lines;
  const bool met = judge(requirements, result.metrics, bars, bar_lines);
  if (options.json) {
    Json json = {{"run", subject}};
    json.update(to_json(result));
    if (!requirements.empty()) json["requirements"] = bars;
    print_json(json);
  } else {
    std::cout << metrics_table(result.metrics) << details_text(result.details);
    for (const std::string& note : result.notes) std::cout << "note: " << note << "\n";
    std::cout << bar_lines;
    if (kept) say("kept; see: genai report " + subject);
  }
  return met ? 0 : static_cast<int>(ErrorKind::bar);
}

/// The sampling options of the run's family; none for a folder of pictures.
FieldTable evaluation_fields(const Arguments& arguments, const CLI::App& app) {
  const RunOption run = RunOption::peek_from(arguments, app);
  if (is_picture_folder(run.run)) return {};
  return sampling_table(run, arguments);
}

}  // namespace

std::unique_ptr<Command> make_evaluate(const Arguments& arguments) {
  auto command = std::make_unique<Command>(
      "evaluate",
      "measures a model, or a folder of pictures, against test images (docs/metrics.md)",
      std::vector<std::string>{"genai evaluate last",
                               "genai evaluate 8@best --full --require 'fd<=5'",
                               "genai evaluate path/to/pictures --data mnist"});
  auto options = std::make_shared<EvaluateOptions>();
  options->run.add(*command);
  CLI::App& app = command->app;
  EvaluationRequest& request = options->request;
  app.add_option("-n", request.samples,
                 "samples to measure (10000, or fewer when they take longer than 30 s)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000));
  add_seed_option(app, request.first, "number of the first sample (0)");
  app.add_option("--draws", request.draws,
                 "draws per image of the likelihood (as the family advises; --full: more)")
      ->type_name("K")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--images", request.images,
                 "likelihood and accuracy on the first N test images; 0: all")
      ->type_name("N")
      ->check(CLI::Range(0, 100000000));
  std::string parts;
  for (const auto& [part, name] : kMetricGroupNames) parts += (parts.empty() ? "" : ", ") + name;
  app.add_option("--only", options->only, "some of: " + parts)->type_name("PART,...");
  add_weights_option(app, options->weights);
  app.add_flag("--full", request.full,
               "as papers report: 10000 samples, more draws, the classification score");
  app.add_option("--require", options->require, "a bar: METRIC<=NUMBER; exit code 5 if missed")
      ->type_name("BAR");
  app.add_option("--data", options->data, "another data set than the run's")->type_name("DATA");
  app.add_option("--data-dir", options->data_dir, "folder of the data sets")->type_name("DIR");
  app.add_flag("--no-keep", options->no_keep, "writes nothing into the run");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  command->add_fields({{"sampling", evaluation_fields(arguments, app)}});
  command->run = [c = command.get(), options] { return evaluate_verb(*c, *options); };
  return command;
}

}  // namespace genai::tool
