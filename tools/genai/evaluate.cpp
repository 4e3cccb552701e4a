#include <unistd.h>

#include <chrono>
#include <cmath>
#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/terminal.h"
#include "genai/evaluation/likelihood.h"

namespace genai::tool {
namespace {

struct EvaluateOptions {
  RunOption run;
  ComputeOption compute;
  std::string data, data_dir;
  int64_t samples = 100, images = 0;
  bool full = false, json = false;
  std::vector<std::string> require;
};

constexpr int64_t kFullSamples = 5000;   // the customary number of draws (Burda et al. 2016)

int evaluate_verb(const Command& command, const EvaluateOptions& options) {
  std::vector<Requirement> requirements;
  for (const std::string& text : options.require) requirements.push_back(parse_requirement(text));
  const RunReference reference = options.run.find();
  const Manifest manifest =
      read_manifest(find_checkpoint(reference.folder, reference.checkpoint));
  auto config = from_json<DataConfig>(data_fields(), manifest.config.at("data"), "data");
  if (!options.data.empty()) config.source = options.data;
  if (!options.data_dir.empty()) config.dir = options.data_dir;
  const Dataset data = load_dataset(config);
  const bool own_data = data.info.fingerprint == manifest.data.fingerprint;
  if (options.data.empty() && !own_data) {
    fail(ErrorKind::data, "the data set '", data.info.source,
         "' is not the one this run was trained on; name it with --data to measure on it all the ",
         "same");
  }
  const LoadedModel loaded =
      load_model(reference, options.compute.resolve(manifest.numerics.threads));
  LikelihoodRequest request{.samples = options.full ? kFullSamples : options.samples,
                            .images = options.images,
                            .progress = {}};
  const auto start = std::chrono::steady_clock::now();
  auto shown = start;
  const bool terminal = is_terminal(STDERR_FILENO) && command.app.count("--quiet") == 0;
  bool estimated = false;
  request.progress = [&](double done) {
    const auto now = std::chrono::steady_clock::now();
    const double spent = std::chrono::duration<double>(now - start).count();
    if (options.full && !estimated) {
      estimated = true;
      say("about " + duration_text(spent / done) + " in all");
    }
    if (!terminal || std::chrono::duration<double>(now - shown).count() < 0.2) return;
    shown = now;
    std::cerr << "\r\x1b[K" << bar(done, 30) << " " << duration_text(spent / done - spent)
              << " left" << std::flush;
  };
  const auto metrics = evaluate_likelihood(loaded, data, request);
  if (terminal) std::cerr << "\r\x1b[K" << std::flush;
  keep_metrics(reference.folder, manifest.step, manifest.weights_sha256(), metrics);

  bool met = true;
  Json bars = Json::array();
  std::vector<std::string> lines;
  for (const Requirement& requirement : requirements) {
    const Metric& metric = required_metric(requirement, metrics);
    const bool good = requirement.met_by(metric.value);
    met = met && good;
    bars.push_back({{"require", requirement.text}, {"value", metric.value}, {"met", good}});
    lines.push_back(concat(good ? "met:    " : "missed: ", requirement.text, "  (",
                           number_text(metric.value, 6), ")"));
  }
  if (options.json) {
    Json json = {{"run", reference.folder.string()},
                 {"step", manifest.step},
                 {"weights_sha256", manifest.weights_sha256()},
                 {"metrics", Json::array()}};
    for (const Metric& metric : metrics) json["metrics"].push_back(to_json(metric));
    if (!requirements.empty()) json["requirements"] = bars;
    print_json(json);
  } else {
    std::vector<std::vector<std::string>> rows{{"metric", "value", "", "protocol"}};
    for (const Metric& metric : metrics) {
      rows.push_back({metric.short_name(), number_text(metric.value, 6),
                      (metric.standard_error > 0
                           ? "+- " + number_text(metric.standard_error, 2) + " "
                           : std::string()) + metric.unit,
                      metric.name.substr(metric.name.find('@') + 1)});
    }
    std::cout << table(rows);
    for (const std::string& line : lines) std::cout << line << "\n";
  }
  return met ? 0 : static_cast<int>(ErrorKind::bar);
}

}  // namespace

std::unique_ptr<Command> make_evaluate(const Arguments&) {
  auto command = std::make_unique<Command>(
      "evaluate", "measures a trained model on the test images; results are kept with the run",
      std::vector<std::string>{"genai evaluate last", "genai evaluate 8@best --full",
                               "genai evaluate 8 --require 'nll<=95' --json"});
  auto options = std::make_shared<EvaluateOptions>();
  options->run.add(*command);
  CLI::App& app = command->app;
  app.add_option("--samples", options->samples,
                 "draws per image of the importance-weighted likelihood (100)")
      ->type_name("K")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--images", options->images, "the first N test images; 0: all")
      ->type_name("N")
      ->check(CLI::Range(0, 100000000));
  app.add_flag("--full", options->full, "5000 draws, as papers report");
  app.add_option("--require", options->require, "a bar: METRIC<=NUMBER; exit code 5 if missed")
      ->type_name("BAR");
  app.add_option("--data", options->data, "another data set than the run's")->type_name("DATA");
  app.add_option("--data-dir", options->data_dir, "folder of the data sets")->type_name("DIR");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  command->run = [c = command.get(), options] { return evaluate_verb(*c, *options); };
  return command;
}

}  // namespace genai::tool
