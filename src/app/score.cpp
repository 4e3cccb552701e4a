#include <cmath>
#include <sstream>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/data/text_file.h"
#include "genai/data/unicode.h"
#include "genai/evaluation/language.h"
#include "genai/evaluation/outliers.h"
#include "items-inl.h"
#include "jobs-inl.h"
#include "measured-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

struct ScoreRequest {
  RunChoice from;
  std::vector<std::string> what;
  std::string against, data_dir;
  int64_t draws = 10, images = 0;
  bool as_is = false;
};

const FieldTable& score_fields() {
  static const FieldTable table =
      describe<ScoreRequest>()
          .nest("", &ScoreRequest::from, run_choice_fields())
          .field("what", &ScoreRequest::what,
                 "picture files; a text file, line by line; or a data set, perhaps with classes "
                 "(mnist:9, pets:cat,dog): its test images (the run's own)")
          .hint("WHAT")
          .field("against", &ScoreRequest::against,
                 "outliers: how well is this data set told from the first? (AUROC)")
          .hint("DATA")
          .field("draws", &ScoreRequest::draws, "draws per image of a likelihood (10)",
                 between(1, 1000000))
          .field("images", &ScoreRequest::images, "the first N test images of each set; 0: all",
                 between(0, 100000000))
          .field("data_dir", &ScoreRequest::data_dir, "folder of the data sets")
          .hint("DIR")
          .field("as_is", &ScoreRequest::as_is, "pictures as they are, neither inverted nor moved")
          .table();
  return table;
}

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
ScoredSet load_scored_set(const std::string& source, const ScoreRequest& asked,
                          const LoadedModel& loaded) {
  DataConfig config = data_config_of(loaded.run, loaded.manifest);
  if (!asked.data_dir.empty()) config.dir = asked.data_dir;
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
  if (asked.images > 0 && asked.images < test.size()) test = test.first(asked.images);
  const std::string name =
      concat(data.info.source, labels.empty() ? "" : ":" + labels, "-test", test.size());
  return {.name = name, .images = test, .info = data.info};
}

/// The user's pictures as the model takes them.
ScoredSet load_own_pictures(const ScoreRequest& asked, const DataInfo& info, JobContext& context) {
  std::vector<Image> pictures;
  for (const std::string& file : asked.what) {
    pictures.push_back(own_picture(file, info, asked.as_is, context));
  }
  DataInfo own = info;
  own.source = "pictures";
  const Tensor grids = from_images(pictures, info.channels);
  context.events.pictured(to_images(grids));
  return {.name = "pictures", .images = {.grids = grids, .labels = {}}, .info = own};
}

/// p(y|x) of each picture.
Json classes_of_pictures(const LoadedModel& loaded, const ScoredSet& set,
                         const std::vector<std::string>& files) {
  const auto& classes = loaded.manifest.data.classes;
  const Tensor p = class_probabilities(loaded, set);
  Json results = Json::array();
  for (size_t i = 0; i < files.size(); ++i) {
    Json shares = Json::object();
    for (size_t c = 0; c < classes.size(); ++c) {
      shares[classes[c]] = p[static_cast<int64_t>(i)][static_cast<int64_t>(c)].item<double>();
    }
    results.push_back({{"file", files[i]}, {"probabilities", shares}});
  }
  return results;
}

/// log p(x) of each picture, and how many of the run's kept test images are less likely.
Json likelihoods_of_pictures(const LoadedModel& loaded, const ScoredSet& set,
                             const ScoreRequest& asked, JobContext& context, Json& told) {
  const auto scores = score_images(loaded, set, asked.draws, context.progress());
  Split kept = load_kept(loaded.run, loaded.manifest);
  kept.labels = Tensor();  // single pictures have none, and p(x|y) says nothing beside p(x)
  const auto usual =
      score_images(loaded, {.name = "kept", .images = kept, .info = loaded.manifest.data},
                   asked.draws, context.progress());
  Json results = Json::array();
  for (int64_t i = 0; i < set.images.size(); ++i) {
    Json one = {{"file", asked.what[static_cast<size_t>(i)]}}, lines = Json::array();
    for (size_t s = 0; s < scores.size(); ++s) {
      const double value = scores[s].values[i].item<double>();
      one[scores[s].name] = value;
      lines.push_back({{"score", scores[s].name},
                       {"value", value},
                       {"unit", scores[s].unit},
                       {"below", usual[s].values.lt(value).sum().item<int64_t>()}});
    }
    told.push_back(lines);
    results.push_back(one);
  }
  return results;
}

Json score_own_pictures(const LoadedModel& loaded, const ScoreRequest& asked, JobContext& context) {
  if (!asked.against.empty()) {
    fail(ErrorKind::usage, "request.against compares data sets; name one, not single pictures");
  }
  for (const std::string& file : asked.what) {
    if (!is_file(file)) {
      fail(ErrorKind::usage, file, ": no such picture (give pictures or one DATA)");
    }
  }
  const ScoredSet set = load_own_pictures(asked, loaded.manifest.data, context);
  Json result = {{"run", loaded.run.string()}};
  if (dynamic_cast<Classifier*>(loaded.model.get())) {
    result["pictures"] = classes_of_pictures(loaded, set, asked.what);
  } else {
    Json scores = Json::array();
    result["pictures"] = likelihoods_of_pictures(loaded, set, asked, context, scores);
    result["scores"] = scores;
    result["kept"] = load_kept(loaded.run, loaded.manifest).size();
  }
  return result;
}

Json score_data(const LoadedModel& loaded, const ScoreRequest& asked, JobContext& context) {
  if (asked.as_is) {
    fail(ErrorKind::usage, "request.as_is: is for single pictures, not for data sets");
  }
  if (asked.what.size() > 1) {
    fail(ErrorKind::usage, "score: expected one DATA or some picture files, found '", asked.what[0],
         "' and '", asked.what[1], "'");
  }
  const std::string source = asked.what.empty() ? "" : asked.what[0];
  const ScoredSet set = load_scored_set(source, asked, loaded);
  std::optional<ScoredSet> against;
  if (!asked.against.empty()) against = load_scored_set(asked.against, asked, loaded);
  Evaluation result{.step = loaded.manifest.step,
                    .weights_sha256 = loaded.manifest.weights_sha256()};
  measure_scores(loaded, set, against ? &*against : nullptr, asked.draws, result,
                 context.progress());
  add_provenance(result.pictures, loaded, {});
  context.check_wanted();
  const auto kept = keep_where_possible(loaded.run, result, context);
  Json json = {{"run", loaded.run.string()},
               {"worst", kept ? (loaded.run / kept->pictures.at("worst")).string() : "not kept"}};
  json.update(to_json(result));
  return json;
}

Json run_score(const Settings& given, JobContext& context) {
  const RunReference reference = asked_run(given, context);
  Checkpoint checkpoint = open_checkpoint(reference);
  const Json resolved = resolve({.sections = {{"request", score_fields()}}}, given);
  const Family& family = family_of(checkpoint.manifest.config);
  const RunRequest run{.reference = reference,
                       .checkpoint = std::move(checkpoint),
                       .family = family,
                       .request = resolved.at("request"),
                       .options = {},
                       .usual = {}};
  const auto score = work_on(*run.info().modality).score;
  if (!score) {
    fail(ErrorKind::usage, "score: ", run.info().modality->name(),
         " have no lines to score; `genai evaluate` measures forecasts");
  }
  return score(run, given, context);
}

}  // namespace

Json score_pictures(const RunRequest& run, const Settings&, JobContext& context) {
  const auto asked = read_request<ScoreRequest>(score_fields(), run.request);
  const LoadedModel loaded = run.load(context);
  return !asked.what.empty() && is_file(asked.what[0]) ? score_own_pictures(loaded, asked, context)
                                                       : score_data(loaded, asked, context);
}

/// The lines of a text file that are not empty: nats and bits a character of each.
Json score_text(const RunRequest& run, const Settings&, JobContext& context) {
  constexpr uint64_t kMaxText = uint64_t{1} << 26;
  const auto asked = read_request<ScoreRequest>(score_fields(), run.request);
  if (asked.what.size() == 1 && !fs::exists(asked.what[0])) {
    fail(ErrorKind::data, "score: no such file '", asked.what[0], "'");
  }
  if (asked.what.size() != 1 || !is_file(asked.what[0])) {
    fail(ErrorKind::usage, "score: expected a text file whose lines to score");
  }
  if (!asked.against.empty()) fail(ErrorKind::usage, "request.against: is for images");
  const LoadedModel loaded = run.load(context);
  std::vector<std::string> lines;
  std::istringstream text(plain_text(read_file(asked.what[0], kMaxText), asked.what[0]));
  for (std::string line; std::getline(text, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  const auto scores = score_lines(loaded, lines);
  Json results = Json::array();
  for (size_t i = 0; i < lines.size(); ++i) {
    const double bits = scores[i].nats / std::log(2.0);
    results.push_back(
        {{"line", valid_utf8(lines[i])},
         {"log_probability", -scores[i].nats},
         {"tokens", scores[i].tokens},
         {"bits_per_character", bits / static_cast<double>(count_characters(lines[i]) + 1)}});
  }
  return {{"run", loaded.run.string()}, {"lines", results}};
}

Job score_job() {
  return {
      .name = "score",
      .about = "how usual images or lines of text are: log p(x), or the classes a classifier sees",
      .page = plain_page(score_fields()),
      .form = plain_form(score_fields()),
      .run = run_score};
}

}  // namespace genai
