#include "genai/base/error.h"
#include "genai/base/presets.h"
#include "genai/training/metrics_log.h"
#include "train_plan-inl.h"

namespace genai {

const FieldTable& train_fields() {
  static const FieldTable table =
      describe<TrainWish>()
          .field("model", &TrainWish::model, "a preset (`genai config` lists them)")
          .hint("PRESET")
          .field("config", &TrainWish::config, "settings from a JSON file, over the preset's")
          .hint("FILE")
          .field("out", &TrainWish::out, "the run's folder, instead of the next in runs/")
          .hint("DIR")
          .field("resume", &TrainWish::resume,
                 "continues a run with its own settings (without RUN, or newest: the newest)")
          .hint("[RUN]")
          .field("init", &TrainWish::init, "starts from the weights of a run")
          .hint("RUN")
          .field("dry_run", &TrainWish::dry_run, "checks everything, prints the settings, stops")
          .table();
  return table;
}

namespace {

/// The manifest that a resumed run's settings come from: as load_newest_checkpoint, it passes over
/// damaged ones unless a checkpoint is named.
Manifest stored_manifest(const RunReference& run) {
  const auto all = list_checkpoints(run.folder);
  if (run.checkpoint.empty()) {
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      try {
        return read_manifest(*it);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::data || it + 1 == all.rend()) throw;
      }
    }
  }
  return read_manifest(find_checkpoint(run.folder, run.checkpoint));
}

/// Stopped before its first checkpoint: it starts from the settings it was made with.
void plan_from_config(TrainPlan& plan, const std::string& origin) {
  for (const Json& line : read_metrics(plan.resumed.folder).lines) {
    if (line["step"] == 0) continue;
    fail(ErrorKind::data, plan.resumed.folder.string(),
         " has no checkpoint left, though it was trained to step ", line["step"].get<int64_t>(),
         " at least; train a new run with request.config ",
         (plan.resumed.folder / "config.json").string());
  }
  Json document = read_run_config(plan.resumed.folder);
  plan.preset = document.value("extends", "");
  document.erase("extends");
  plan.settings.merge(document, origin);
}

void plan_resume(const TrainWish& wish, const fs::path& runs, TrainPlan& plan) {
  if (!wish.init.empty()) {
    fail(ErrorKind::usage, "request.init: a resumed run goes on with its own weights; for a new ",
         "run with those of another, leave request.resume out");
  }
  const bool newest = wish.resume == "newest";
  const std::string named = !wish.out.empty() ? wish.out : newest ? "last" : wish.resume;
  plan.resumed = newest && wish.out.empty() && !wish.model.empty()
                     ? newest_run_of(wish.model, runs)
                     : find_run(named, runs, /*begun=*/true);
  const std::string origin = "run " + plan.resumed.folder.filename().string();
  plan.resume = !list_checkpoints(plan.resumed.folder).empty();
  if (!plan.resume) return plan_from_config(plan, origin);
  const Manifest stored = stored_manifest(plan.resumed);
  plan.items = stored.data.kind();
  plan.settings.merge(stored.config, origin);
  plan.preset = stored.preset;
  if (!wish.model.empty() && wish.model != stored.preset) {
    fail(ErrorKind::usage, "request.model: a resumed run keeps its settings; ",
         plan.resumed.folder.string(), " was made with ",
         stored.preset.empty() ? "a file of settings" : "'" + stored.preset + "'", ", found '",
         wish.model, "'; for a new run: request.init RUN instead of request.resume");
  }
}

}  // namespace

TrainPlan make_plan(const TrainWish& wish, const JobContext& context) {
  TrainPlan plan{.preset = wish.model};
  if (!wish.resume.empty()) {
    plan_resume(wish, context.runs, plan);
  } else {
    if (wish.model.empty() && wish.config.empty()) {
      fail(ErrorKind::usage,
           "train: give request.model PRESET or request.config FILE (`genai config` lists the "
           "presets)");
    }
    if (!wish.model.empty()) {
      plan.settings.merge_document(preset_document(wish.model), "preset " + wish.model);
    }
  }
  if (!wish.config.empty()) {
    plan.settings.merge_document(read_config(wish.config, context), wish.config);
  }
  const Json* family = plan.settings.find("model.family");
  if (!family || !family->is_string()) {
    fail(ErrorKind::usage, "model.family: expected the name of a family, found ",
         family ? family->dump() : "nothing");
  }
  plan.family = &find_family(family->get<std::string>());
  if (!plan.resume) plan.items = items_of(*plan.family, plan.settings);
  return plan;
}

void check_items(const TrainPlan& plan, const Modality& modality, const std::string& source) {
  if (modality.kind() == plan.items) return;
  std::string presets;
  for (const std::string& name : preset_names()) {
    Settings settings;
    settings.merge_document(preset_document(name), name);
    if (*settings.find("model.family") == plan.family->name &&
        items_of(*plan.family, settings) == modality.kind())
      presets += (presets.empty() ? "" : ", ") + name;
  }
  fail(ErrorKind::usage, "data.source: '", source, "' is ", modality.name(), "; the settings of ",
       plan.preset.empty() ? "the configuration" : "'" + plan.preset + "'", " are for ",
       modality_names(plan.items), "; expected one of these presets as request.model: ", presets);
}

TrainWish wish_of(const Settings& given) {
  TrainWish wish;
  for (const Field& field : train_fields()) {
    const Json* value = given.find("request." + field.name);
    if (value && check_value(field, *value).empty()) field.set(&wish, *value);
  }
  return wish;
}

RequestForm form_of_plan(const TrainPlan& plan) {
  RequestForm form{.sections = run_sections(*plan.family, plan.items), .usual = plan.settings};
  form.sections.insert(form.sections.begin(), {"request", train_fields()});
  return form;
}

}  // namespace genai
