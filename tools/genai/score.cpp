#include <unistd.h>

#include <cmath>
#include <iostream>
#include <sstream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/log.h"
#include "genai/base/terminal.h"
#include "genai/base/text.h"
#include "genai/data/text_file.h"
#include "genai/data/unicode.h"
#include "genai/evaluation/language.h"
#include "genai/evaluation/outliers.h"
#include "genai/generation/generate.h"
#include "measured.h"
#include "own_picture.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxText = uint64_t{1} << 26;

struct ScoreOptions {
  RunOption run;
  ComputeOption compute;
  std::vector<std::string> what;
  std::string against, data_dir;
  int64_t draws = 10, images = 0;
  bool json = false, as_is = false;
};

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// "9", "cat" or "0,1,2" after "mnist:"
std::vector<int64_t> parse_labels(const std::string& source, const DataInfo& info,
                                  const std::string& text) {
  std::vector<int64_t> labels;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    labels.push_back(find_label(info, word, source));
  }
  return labels;
}

/// The test images of "mnist", "mnist:9", or a folder; empty: of the run's own data.
ScoredSet load_set(const std::string& source, const ScoreOptions& options,
                   const LoadedModel& loaded) {
  DataConfig config = data_config_of(loaded.run, loaded.manifest);
  if (!options.data_dir.empty()) config.dir = options.data_dir;
  std::string labels;
  if (!source.empty()) {
    config.own.erase("leave_out");
    config.source = source;
    const size_t colon = source.rfind(':');
    std::error_code error;
    if (colon != std::string::npos && !fs::exists(source, error)) {
      config.source = source.substr(0, colon);
      labels = source.substr(colon + 1);
    }
  }
  Dataset data = load_dataset(config, {.known = source.empty() ? &loaded.manifest.data : nullptr});
  Split test = data.test;
  if (!labels.empty()) {
    if (!test.labels.defined()) fail(ErrorKind::data, "'", config.source, "' has no labels");
    test = test.with_labels(parse_labels(source, data.info, labels));
    if (test.size() == 0) {
      fail(ErrorKind::data, source, ": no test image is of ", labels);
    }
  }
  if (options.images > 0 && options.images < test.size()) test = test.first(options.images);
  const std::string name =
      concat(data.info.source, labels.empty() ? "" : ":" + labels, "-test", test.size());
  return {.name = name, .images = test, .info = data.info};
}

/// The user's pictures as the model takes them.
ScoredSet load_pictures(const std::vector<std::string>& files, const DataInfo& info, bool as_is) {
  std::vector<Image> pictures;
  for (const std::string& file : files) pictures.push_back(own_picture(file, info, as_is));
  DataInfo own = info;
  own.source = "pictures";
  return {.name = "pictures",
          .images = {.grids = from_images(pictures, info.channels), .labels = {}},
          .info = own};
}

void show_picture(const ScoredSet& set, int64_t index) {
  if (!is_terminal(STDOUT_FILENO)) return;
  std::cout << half_blocks(to_images(set.images.grids[index])[0], colour_allowed(STDOUT_FILENO));
}

/// p(y|x) of each picture, as bars.
Json print_classes(const LoadedModel& loaded, const ScoredSet& set,
                   const std::vector<std::string>& files, bool json) {
  const auto& classes = loaded.manifest.data.classes;
  const Tensor p = class_probabilities(loaded, set);
  Json results = Json::array();
  for (size_t i = 0; i < files.size(); ++i) {
    Json shares = Json::object();
    for (size_t c = 0; c < classes.size(); ++c) {
      shares[classes[c]] = p[static_cast<int64_t>(i)][static_cast<int64_t>(c)].item<double>();
    }
    results.push_back({{"file", files[i]}, {"probabilities", shares}});
    if (json) continue;
    std::cout << files[i] << "\n";
    show_picture(set, static_cast<int64_t>(i));
    for (const auto& [name, share] : shares.items()) {
      std::cout << "  " << padded(inert(name), 12) << padded(bar(share, 40), 40) << " "
                << number_text(100 * share.get<double>(), 3) << " %\n";
    }
  }
  return results;
}

/// log p(x) of each picture, and how many of the run's kept test images are less likely.
Json print_likelihoods(const LoadedModel& loaded, const ScoredSet& set,
                       const ScoreOptions& options) {
  const auto scores = score_images(loaded, set, options.draws);
  Split kept = load_kept(loaded.run, loaded.manifest);
  kept.labels = Tensor();  // single pictures have none, and p(x|y) says nothing beside p(x)
  const auto usual = score_images(
      loaded, {.name = "kept", .images = kept, .info = loaded.manifest.data}, options.draws);
  Json results = Json::array();
  for (int64_t i = 0; i < set.images.size(); ++i) {
    const std::string& file = options.what[static_cast<size_t>(i)];
    Json one = {{"file", file}};
    if (!options.json) {
      std::cout << file << "\n";
      show_picture(set, i);
    }
    for (size_t s = 0; s < scores.size(); ++s) {
      const double value = scores[s].values[i].item<double>();
      const auto below = usual[s].values.lt(value).sum().item<int64_t>();
      one[scores[s].name] = value;
      if (options.json) continue;
      std::cout << "  " << padded(scores[s].name, 26) << " " << number_text(value, 5) << " "
                << scores[s].unit << "; " << below << " of " << kept.size()
                << " test images have less\n";
    }
    results.push_back(one);
  }
  return results;
}

int score_pictures(const LoadedModel& loaded, const ScoreOptions& options) {
  if (!options.against.empty()) {
    fail(ErrorKind::usage, "--against compares data sets; name one, not single pictures");
  }
  for (const std::string& file : options.what) {
    if (!is_file(file)) {
      fail(ErrorKind::usage, file, ": no such picture (give pictures or one DATA)");
    }
  }
  const ScoredSet set = load_pictures(options.what, loaded.manifest.data, options.as_is);
  const bool classifier = dynamic_cast<Classifier*>(loaded.model.get()) != nullptr;
  const Json results = classifier ? print_classes(loaded, set, options.what, options.json)
                                  : print_likelihoods(loaded, set, options);
  if (options.json) print_json({{"run", loaded.run.string()}, {"pictures", results}});
  return 0;
}

int score_data(const Command& command, const LoadedModel& loaded, const ScoreOptions& options) {
  if (options.as_is) fail(ErrorKind::usage, "--as-is: is for single pictures, not for data sets");
  if (options.what.size() > 1) {
    fail(ErrorKind::usage, "score: expected one DATA or some picture files, found '",
         options.what[0], "' and '", options.what[1], "'");
  }
  const std::string source = options.what.empty() ? "" : options.what[0];
  const ScoredSet set = load_set(source, options, loaded);
  std::optional<ScoredSet> against;
  if (!options.against.empty()) against = load_set(options.against, options, loaded);
  Evaluation result{.step = loaded.manifest.step,
                    .weights_sha256 = loaded.manifest.weights_sha256()};
  StageLine line(command.app.count("--quiet") > 0);
  measure_scores(loaded, set, against ? &*against : nullptr, options.draws, result,
                 line.progress());
  line.clear();
  add_provenance(result.pictures, loaded, {});
  const auto kept = keep_where_possible(loaded.run, result);
  const std::string picture =
      kept ? (loaded.run / kept->pictures.at("worst")).string() : "not kept";
  if (options.json) {
    Json json = {{"run", loaded.run.string()}, {"worst", picture}};
    json.update(to_json(result));
    print_json(json);
    return 0;
  }
  for (const std::string& note : result.notes) std::cout << "note: " << note << "\n";
  std::cout << metrics_table(result.metrics) << "the least usual images: " << picture << "\n";
  return 0;
}

/// The lines of a text file that are not empty: nats and bits a character of each.
int score_text(const LoadedModel& loaded, const ScoreOptions& options) {
  if (options.what.size() == 1 && !fs::exists(options.what[0])) {
    fail(ErrorKind::data, "score: no such file '", options.what[0], "'");
  }
  if (options.what.size() != 1 || !is_file(options.what[0])) {
    fail(ErrorKind::usage, "score: expected a text file whose lines to score");
  }
  if (!options.against.empty()) fail(ErrorKind::usage, "--against: is for images");
  std::vector<std::string> lines;
  std::istringstream text(plain_text(read_file(options.what[0], kMaxText), options.what[0]));
  for (std::string line; std::getline(text, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  const auto scores = score_lines(loaded, lines);
  Json results = Json::array();
  for (size_t i = 0; i < lines.size(); ++i) {
    const double bits = scores[i].nats / std::log(2.0);
    const double each = bits / static_cast<double>(count_characters(lines[i]) + 1);
    results.push_back({{"line", valid_utf8(lines[i])},
                       {"log_probability", -scores[i].nats},
                       {"tokens", scores[i].tokens},
                       {"bits_per_character", each}});
    if (!options.json) {
      std::cout << padded(number_text(-scores[i].nats, 5), 10) << padded(number_text(each, 4), 8)
                << lines[i] << "\n";
    }
  }
  if (options.json) {
    print_json({{"run", loaded.run.string()}, {"lines", results}});
  } else {
    say("log p(line) in nats, bits a character, line");
  }
  return 0;
}

int score_verb(const Command& command, const ScoreOptions& options) {
  const RunReference reference = options.run.find();
  Checkpoint checkpoint = open_checkpoint(reference);
  const Manifest manifest = checkpoint.manifest;
  const LoadedModel loaded = load_model(reference, std::move(checkpoint),
                                        options.compute.resolve(manifest.numerics.threads));
  if (manifest.data.modality == &series_modality()) {
    fail(ErrorKind::usage,
         "score: series have no lines to score; `genai evaluate` measures "
         "forecasts");
  }
  if (manifest.data.kind() == ItemKind::sequence) return score_text(loaded, options);
  return !options.what.empty() && is_file(options.what[0]) ? score_pictures(loaded, options)
                                                           : score_data(command, loaded, options);
}

}  // namespace

std::unique_ptr<Command> make_score(const Arguments&) {
  auto command = std::make_unique<Command>(
      "score", "how usual images or lines of text are: log p(x), or the classes a classifier sees",
      std::vector<std::string>{"genai score last picture.png",
                               "genai score last mnist --against fashion-mnist",
                               "genai score 8 --against mnist:9"});
  auto options = std::make_shared<ScoreOptions>();
  options->run.add(*command);
  CLI::App& app = command->app;
  app.add_option("WHAT", options->what,
                 "picture files; a text file, line by line; or a data set, perhaps with classes "
                 "(mnist:9, pets:cat,dog): its test images (the run's own)");
  app.add_option("--against", options->against,
                 "outliers: how well is this data set told from the first? (AUROC)")
      ->type_name("DATA");
  app.add_option("--draws", options->draws, "draws per image of a likelihood (10)")
      ->type_name("K")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--images", options->images, "the first N test images of each set; 0: all")
      ->type_name("N")
      ->check(CLI::Range(0, 100000000));
  app.add_option("--data-dir", options->data_dir, "folder of the data sets")->type_name("DIR");
  app.add_flag("--as-is", options->as_is, "pictures as they are, neither inverted nor moved");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  command->run = [c = command.get(), options] {
    // With --model the first argument is already what to score.
    if (!options->run.model.empty() && !options->run.run.empty()) {
      options->what.insert(options->what.begin(), std::exchange(options->run.run, ""));
    }
    return score_verb(*c, *options);
  };
  return command;
}

}  // namespace genai::tool
