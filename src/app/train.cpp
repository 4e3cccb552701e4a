#include <cmath>
#include <cstdio>
#include <map>
#include <mutex>

#include "genai/app/training_samples.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/presets.h"
#include "genai/data/dataset.h"
#include "genai/data/known_sets.h"
#include "genai/data/unicode.h"
#include "genai/interop/gpt2.h"
#include "genai/training/metrics_log.h"
#include "genai/training/trainer.h"
#include "train_plan-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Epochs, steps or a budget replace whatever fixed the length of the training before: the preset,
/// a file, the run that is resumed.
void replace_length(const Settings& given, Settings& all) {
  const bool epochs = given.find("training.epochs"), steps = given.find("training.steps"),
             budget = given.find("training.budget");
  if (!budget && (epochs || steps)) all.set("training.budget", "", "training.epochs or steps");
  if (!steps && (epochs || budget)) all.set("training.steps", 0, "training.epochs or budget");
}

/// Only what a resumed run may change is changed. A setting that was not there yet when the run was
/// made has its default, which means "as before".
void check_resumable(const Json& made, const Json& wanted, const std::vector<Section>& sections) {
  Settings settings;
  settings.merge(made, "the run");
  const Json stored = settings.resolve(sections);
  Json allowed = wanted;
  for (const Section& section : sections) {
    for (const Field& field : section.table) {
      const std::string path = section.name + "." + field.name;
      const bool ended_budget = path == "training.budget" && *find_path(wanted, path) == "";
      if (!field.resumable && !ended_budget) continue;
      if (const Json* value = find_path(stored, path)) set_path(allowed, path, *value);
    }
  }
  const auto lines = settings_diff(stored, allowed);
  if (lines.empty()) return;
  std::string text = "a resumed run keeps its settings; these differ:";
  for (const std::string& line : lines) text += "\n" + line;
  fail(ErrorKind::usage, text,
       "\nfor a new run with them: request.init RUN instead of request.resume");
}

/// request.out must be new or empty, whatever request.dry_run says.
void check_out(const fs::path& folder) {
  if (!is_utf8(folder.string())) {
    fail(ErrorKind::usage, "request.out: expected a name in UTF-8, found '",
         valid_utf8(folder.string()), "'");
  }
  std::error_code error;
  if (!fs::exists(folder, error)) return;
  if (!fs::is_directory(folder, error)) {
    fail(ErrorKind::usage, "request.out ", folder.string(), ": expected a folder, found a file");
  }
  if (!fs::is_empty(folder, error)) {
    fail(ErrorKind::usage, "request.out ", folder.string(),
         ": exists and is not empty; choose another folder, or continue it with request.resume ",
         folder.string());
  }
}

/// A folder that can be written to, before anything is computed.
fs::path make_run_folder(const TrainWish& wish, const fs::path& runs, const std::string& source) {
  const std::string data = fs::path(source).filename().string();
  const std::string model =
      !wish.model.empty() ? wish.model : fs::path(wish.config).stem().string();
  if (!wish.out.empty()) check_out(wish.out);
  return create_run(runs, model + "-" + (data.empty() ? "data" : data), wish.out);
}

/// The data settings of a resumed run. Paths that are given anew start from here; stored are all of
/// them from where the run was started.
DataConfig resumed_data(const fs::path& run, const Manifest& stored, Json& config) {
  DataConfig data = data_config_of(run, stored);
  const Json& before = stored.config.at("data");
  const fs::path start = fs::weakly_canonical(run) / stored.folder;
  const auto renew = [&](const char* name) -> std::optional<std::string> {
    const std::string wanted = config.at("data").value(name, "");
    if (wanted == before.value(name, "")) return {};
    if (!stored.folder.empty() && !wanted.empty() && !find_known_set(wanted))
      config["data"][name] = fs::proximate(wanted, start).string();
    return wanted;
  };
  if (const auto source = renew("source")) data.source = *source;
  if (const auto dir = renew("dir")) data.dir = *dir;
  for (const char* setting : {"validation", "pair"}) {
    if (const auto renewed = renew(setting)) data.own[setting] = *renewed;
  }
  return data;
}

/// Throws Error{usage} where pairs are read for nothing.
void check_pairs_are_told(const Json& model, const DataInfo& info) {
  if (info.pair_channels == 0) return;
  const auto told = find_conditions(model.value("condition", ""), info);
  if (find_condition(told, kPair)) return;
  fail(ErrorKind::usage, "data.pair: the model would be told nothing of it; expected ",
       "model.condition pair, or no data.pair");
}

/// A batch that nobody asked for is no larger than the set.
void fit_batch(const Settings& settings, const Dataset& data, Json& training, JobEvents& events) {
  const std::string origin = settings.origin("training.batch");
  const int64_t batch = training.at("batch"), accumulate = training.at("accumulate");
  const int64_t fitting = data.train.size() / accumulate * accumulate;
  const bool usual = origin == "default" || origin.starts_with("preset ");
  if (!usual || batch <= data.train.size() || fitting == 0) return;
  training["batch"] = fitting;
  events.noted(concat("note: batches of ", fitting, ", all there is, instead of ", batch));
}

/// Keeps what a model makes while it learns in RUN/samples, and passes everything on.
class KeptSamples : public TrainObserver {
 public:
  explicit KeptSamples(JobEvents& events) : events_(events) {}

  void started(const TrainStart& start) override {
    folder_ = start.run / "samples";
    maker_ = start.maker;
    events_.started(start);
  }
  void sampled(int64_t step, const std::vector<Image>& images, const Json& request) override {
    const auto columns =
        static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(images.size()))));
    const auto count = static_cast<int64_t>(images.size());
    const Image sheet = scale_up(grid(images, (count + columns - 1) / columns, columns), 2);
    Json maker = maker_, made = request;
    maker["step"] = step;
    made["training"] = true;
    write(step, ".png", encode_png(sheet, provenance(maker, made, sheet, Origin::model)));
    events_.sampled(step, images, request);
  }
  void wrote(int64_t step, const std::vector<std::string>& texts) override {
    std::string all;
    for (const std::string& text : texts) all += text + "\n";
    const fs::path file = write(step, ".txt", all);
    Json made = maker_;
    made["step"] = step;
    made["request"] = {{"write", "texts"}, {"training", true}};
    write_file(sidecar_path(file), sidecar(all, made));
    events_.wrote(step, texts);
  }
  void progress(const StepReport& report) override { events_.progress(report); }
  void validated(int64_t step, const Json& values, bool best) override {
    events_.validated(step, values, best);
  }
  void saved(const fs::path& run) override { events_.saved(run); }
  void warned(const std::string& text) override { events_.warned(text); }
  int stop_requested() override { return events_.stop_requested(); }
  bool save_requested() override { return events_.save_requested(); }

 private:
  fs::path write(int64_t step, const char* ending, const std::string& bytes) {
    char name[40];
    std::snprintf(name, sizeof name, "step-%07lld%s", static_cast<long long>(step), ending);
    fs::create_directories(folder_);
    write_file(folder_ / name, bytes);
    events_.artifact(folder_ / name);
    return folder_ / name;
  }

  JobEvents& events_;
  fs::path folder_;
  Json maker_;
};

/// The range that the preset states, when the run was trained just as the preset says; else null.
Json expected_range(const Settings& settings, const Manifest& manifest) {
  const Json* range =
      find_path(settings.expected(), manifest.data.source + "." + manifest.objective);
  if (!range || !range->is_array() || range->size() != 2 || manifest.preset.empty()) return nullptr;
  Settings preset;
  preset.merge_document(preset_document(manifest.preset), "preset " + manifest.preset);
  Json usual = preset.resolve(run_sections(family_of(manifest.config), manifest.data.kind()));
  usual["data"]["source"] = manifest.data.source;
  usual["data"]["dir"] = manifest.config.at("data").at("dir");
  decide_settings(family_of(manifest.config), usual["model"], manifest.data);
  return usual == manifest.config ? *range : Json();
}

/// How the run is looked at: the verb and its options.
std::string look_at(const Manifest& manifest) {
  const Family& family = family_of(manifest.config);
  const Json& model = manifest.config.at("model");
  const bool makes = offers(family, model, Generator::kCapability) ||
                     offers(family, model, NextToken::kCapability);
  return makes ? "sample RUN" + work_on(*manifest.data.modality).sample_options(manifest)
               : "score RUN picture.png";
}

/// What a training came to and what may be done next.
Json train_result(const fs::path& run, const TrainResult& result, const Settings& settings) {
  const Manifest manifest = read_manifest(find_checkpoint(run, ""));
  Json json = {{"run", run.string()},           {"step", result.step},
               {"seconds", result.seconds},     {"validation", result.validation},
               {"best_step", result.best_step}, {"weights_sha256", manifest.weights_sha256()},
               {"signal", result.signal}};
  if (result.signal) return json;
  json["best_value"] = result.best_value;
  json["objective"] = manifest.objective;
  json["expected"] = expected_range(settings, manifest);
  json["health"] = result.health;
  json["look"] = look_at(manifest);
  const Json& training = manifest.config.at("training");
  if (training.at("steps") == 0 && training.at("budget") == "") json["epochs"] = training["epochs"];
  const Json& model = manifest.config.at("model");
  if (model.at("family") == "transformer" && manifest.data.modality == &text_modality())
    json["gpt2_obstacles"] = gpt2_obstacles(model);
  return json;
}

/// A training that was asked for, from the request to its run.
class Training {
 public:
  Training(const Settings& given, JobContext& context)
      : context_(context),
        wish_(wish_of(given)),
        plan_(make_plan(wish_, context)),
        settings_(plan_.settings),
        sections_(run_sections(*plan_.family, plan_.items)) {
    for (const std::string& damage : plan_.resumed.passed_over) {
      context.events.warned(damage + "; this run is passed over");
    }
    settings_.merge(given);
    replace_length(given, settings_);
    config_ = settings_.resolve(form_of_plan(plan_).sections);
    config_.erase("request");
    if (wish_.resume.empty() && !wish_.out.empty()) check_out(wish_.out);
  }

  Json run() {
    TrainRequest request{.family = *plan_.family,
                         .config = config_,
                         .data = {},
                         .run = plan_.resumed.folder,
                         .preset = plan_.preset,
                         .resume = std::nullopt,
                         .init = std::nullopt,
                         .show = show_samples};
    load_weights(request);
    if (!plan_.resume)
      request.parts = find_parts(model_fields(*plan_.family), config_["model"], context_.runs);
    DataConfig data_config;
    const Dataset data = load_data(request, data_config);
    request.data = &data;
    decide_settings(*plan_.family, config_.at("model"), data.info);
    if (!plan_.resume) fit_batch(settings_, data, config_.at("training"), context_.events);
    request.config = config_;
    check_request(request);
    if (!plan_.resume) check_pairs_are_told(config_["model"], data.info);
    const auto training =
        from_json<TrainingConfig>(training_fields(), config_.at("training"), "training");
    const int64_t planned = planned_steps(training, data.train.size());
    if (wish_.dry_run) {
      context_.events.noted(concat("all settings are good: ", planned, " steps on ",
                                   data.train.size(), " ", data.info.modality->items(data.info),
                                   " of '", data.info.source, "'"));
      return config_;
    }
    context_.check_wanted();
    if (wish_.resume.empty())
      request.run = make_run_folder(wish_, context_.runs, data_config.source);
    if (!plan_.resume) {
      refuse_links(request.run);
      write_run_config(request.run, config_, plan_.preset);
    } else {
      tell_end(request, planned);
    }
    KeptSamples observer(context_.events);
    return train_result(request.run, train(request, observer), settings_);
  }

 private:
  void load_weights(TrainRequest& request) {
    std::string warning;
    if (plan_.resume) {
      request.resume =
          plan_.resumed.checkpoint.empty()
              ? load_newest_checkpoint(request.run, warning)
              : load_checkpoint(find_checkpoint(request.run, plan_.resumed.checkpoint), true);
      check_resumable(request.resume->manifest.config, config_, sections_);
    }
    if (!wish_.init.empty()) {
      const RunReference from = find_run(wish_.init, context_.runs);
      request.init = load_checkpoint(find_checkpoint(from.folder, from.checkpoint), false);
    }
    if (!warning.empty()) context_.events.noted("warning: " + warning);
  }

  Dataset load_data(const TrainRequest& request, DataConfig& data_config) {
    data_config = plan_.resume ? resumed_data(request.run, request.resume->manifest, config_)
                               : data_config_from_json(config_.at("data"));
    // A text is read with the tokens that the weights know.
    const auto& known = request.resume ? request.resume : request.init;
    const LoadOptions load{.tokenizer = known ? known->manifest.data.tokenizer : nullptr,
                           .known = request.resume ? &request.resume->manifest.data : nullptr};
    const Modality& modality = modality_of(data_config, load.tokenizer.get());
    check_reads(*plan_.family, modality, data_config.source);
    check_items(plan_, modality, data_config.source);
    modality.refuse_idle_settings(data_config);
    context_.check_wanted();
    Dataset data = load_dataset(data_config, load);
    context_.events.noted("data: " + describe(data.info));
    for (const std::string& note : data.notes) context_.events.noted("note: " + note);
    return data;
  }

  /// A resumed run that is at its end stays as it is.
  void tell_end(const TrainRequest& request, int64_t planned) const {
    const Manifest& stored = request.resume->manifest;
    const int64_t steps = planned > 0 ? planned : stored.steps;
    if (steps <= 0 || stored.step < steps) return;
    context_.events.noted(
        concat(request.run.string(), " is at its end: ", stored.step, " of ", steps,
               " steps; nothing to do. A larger training.epochs or training.steps continues it"));
  }

  JobContext& context_;
  TrainWish wish_;
  TrainPlan plan_;
  Settings settings_;
  std::vector<Section> sections_;
  Json config_;
};

}  // namespace

Job train_job() {
  return {.name = "train",
          .about = "trains a model; a new folder runs/NNN-MODEL-DATA holds all that comes of it",
          .page =
              [] {
                RequestForm form{.sections = run_sections(families().front())};
                form.sections.insert(form.sections.begin(), {"request", train_fields()});
                return form;
              },
          .form =
              [](const Settings& given, const JobContext& context) {
                return form_of_plan(make_plan(wish_of(given), context));
              },
          .run = [](const Settings& given,
                    JobContext& context) { return Training(given, context).run(); }};
}

}  // namespace genai
