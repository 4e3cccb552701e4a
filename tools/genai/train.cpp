#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/presets.h"
#include "genai/base/signals.h"
#include "genai/data/dataset.h"
#include "genai/data/text_set.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"
#include "progress.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

struct TrainOptions {
  std::string model, config, out, runs, init, resume;
  bool dry_run = false, json = false;
};

/// The family that the arguments lead to, and the settings of their preset, file or stored run.
struct Plan {
  const Family* family = nullptr;
  Settings settings;
  RunReference resumed;     // set when resuming
  bool resume = false;
};

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

Plan make_plan(const TrainOptions& options, bool resume) {
  Plan plan{.family = nullptr, .settings = {}, .resumed = {}, .resume = resume};
  const fs::path runs = runs_folder(options.runs);
  if (resume) {
    if (!options.out.empty()) {
      plan.resumed = find_run(options.out, runs);
    } else if (!options.resume.empty()) {
      plan.resumed = find_run(options.resume, runs);
    } else if (!options.model.empty()) {
      plan.resumed = newest_run_of(options.model, runs);
    } else {
      plan.resumed = find_run("last", runs);
    }
    plan.settings.merge(stored_manifest(plan.resumed).config,
                        "run " + plan.resumed.folder.filename().string());
  } else {
    if (options.model.empty() && options.config.empty()) {
      fail(ErrorKind::usage, "train: give --model PRESET or --config FILE (`genai config` lists ",
           "the presets)");
    }
    if (!options.model.empty()) {
      plan.settings.merge_document(preset_document(options.model), "preset " + options.model);
    }
  }
  if (!options.config.empty()) {
    plan.settings.merge_document(
        read_config(options.config), options.config);
  }
  const Json* family = plan.settings.find("model.family");
  if (!family || !family->is_string()) {
    fail(ErrorKind::usage, "model.family: expected the name of a family, found ",
         family ? family->dump() : "nothing");
  }
  plan.family = &find_family(family->get<std::string>());
  return plan;
}

/// --epochs, --steps or --budget replace whatever fixed the length of the training before: the
/// preset, a file, the run that is resumed.
void replace_length(const CLI::App& app, Settings& settings) {
  const bool epochs = app.count("--epochs") > 0, steps = app.count("--steps") > 0,
             budget = app.count("--budget") > 0;
  if (!budget && (epochs || steps)) settings.set("training.budget", "", "--epochs or --steps");
  if (!steps && (epochs || budget)) settings.set("training.steps", 0, "--epochs or --budget");
}

/// Only what a resumed run may change is changed.
void check_resumable(const Json& stored, const Json& wanted, const std::vector<Section>& sections) {
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
  fail(ErrorKind::usage, text, "\nfor a new run with them: --init RUN instead of --resume");
}

/// The range that the preset states, when the run was trained just as the preset says.
std::string expected_text(const Settings& settings, const Manifest& manifest) {
  const Json* range =
      find_path(settings.expected(), manifest.data.source + "." + manifest.objective);
  if (!range || !range->is_array() || range->size() != 2 || manifest.preset.empty()) return "";
  Settings preset;
  preset.merge_document(preset_document(manifest.preset), "preset " + manifest.preset);
  Json usual = preset.resolve(run_sections(find_family(manifest.config.at("model").at("family"))));
  usual["data"]["source"] = manifest.data.source;
  usual["data"]["dir"] = manifest.config.at("data").at("dir");
  if (usual != manifest.config) return "";
  return concat(" (this preset usually reaches ", (*range)[0].dump(), " to ", (*range)[1].dump(),
                ")");
}

/// What the run came to and what to do next.
void print_summary(const fs::path& run, const TrainResult& result, const Settings& settings,
                   bool default_runs) {
  const Manifest manifest = read_manifest(find_checkpoint(run, ""));
  const std::string name = default_runs ? "last" : run.string();
  std::string text = concat("\ntrained ", result.step, " steps in ",
                            duration_text(result.seconds), "\n");
  if (result.validation.is_object()) {
    text += "test";
    for (const auto& [key, value] : result.validation.items()) {
      text += concat("  ", key, " ", number_text(value, 5));
    }
    text += expected_text(settings, manifest) + "\n";
    if (result.best_step != result.step) {
      text += concat("best ", manifest.objective, " ", number_text(result.best_value, 5),
                     " at step ", result.best_step, " (", name, "@best)\n");
    }
  }
  if (!result.health.empty()) text += result.health + "\n";
  const Json& training = manifest.config.at("training");
  const bool by_epochs = training.at("steps") == 0 && training.at("budget") == "";
  const std::string sample = manifest.data.is_series()
                                 ? " --prompt @" + manifest.config["data"]["source"].get<std::string>()
                                 : " -n 64";
  text += concat("\nnext:\n  genai sample ", name, sample, "\n  genai evaluate ", name,
                 "\n  genai train --resume ", name,
                 by_epochs
                     ? concat(" --epochs ", number_text(2 * training.at("epochs").get<double>(), 6))
                     : concat(" --steps ", 2 * result.step));
  say(text);
}

void write_config(const fs::path& run, const Json& config, const std::string& preset) {
  Json document = Json::object();
  if (!preset.empty()) document["extends"] = preset;
  document.update(config);
  write_file(run / "config.json", document.dump(2) + "\n");
}

/// --out must be new or empty, whatever --dry-run says.
void check_out(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return;
  if (!fs::is_directory(folder, error)) {
    fail(ErrorKind::usage, "--out ", folder.string(), ": expected a folder, found a file");
  }
  if (!fs::is_empty(folder, error)) {
    fail(ErrorKind::usage, "--out ", folder.string(),
         ": exists and is not empty; choose another folder, or continue it with --resume ",
         folder.string());
  }
}

/// A folder that can be written to, before anything is computed.
fs::path make_run_folder(const TrainOptions& options, const std::string& source) {
  const std::string data = fs::path(source).filename().string();
  const std::string model =
      !options.model.empty() ? options.model : fs::path(options.config).stem().string();
  if (options.out.empty()) {
    return create_run(runs_folder(options.runs), model + "-" + (data.empty() ? "data" : data));
  }
  const fs::path folder = options.out;
  check_out(folder);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    fail(ErrorKind::failure, "cannot make the folder ", folder.string(), ": ", error.message());
  }
  return folder;
}

int train_verb(const Command& command, const TrainOptions& options) {
  const bool resume = command.app.count("--resume") > 0;
  Plan plan = make_plan(options, resume);
  command.apply_fields(plan.settings);
  replace_length(command.app, plan.settings);
  if (!resume && !options.out.empty()) check_out(options.out);
  const std::vector<Section> sections = run_sections(*plan.family);
  const Json config = plan.settings.resolve(sections);
  std::string warning;
  TrainRequest request{.family = *plan.family,
                       .config = config,
                       .data = {},
                       .run = {},
                       .preset = options.model,
                       .resume = std::nullopt,
                       .init = std::nullopt};
  if (resume) {
    request.run = plan.resumed.folder;
    request.resume = plan.resumed.checkpoint.empty()
                         ? load_newest_checkpoint(request.run, warning)
                         : load_checkpoint(find_checkpoint(request.run, plan.resumed.checkpoint),
                                           true);
    request.preset = request.resume->manifest.preset;
    check_resumable(request.resume->manifest.config, config, sections);
  }
  if (!options.init.empty()) {
    const RunReference from = find_run(options.init, runs_folder(options.runs));
    request.init = load_checkpoint(find_checkpoint(from.folder, from.checkpoint), false);
  }
  if (!warning.empty()) say("warning: " + warning);

  const auto data_config = from_json<DataConfig>(data_fields(), config.at("data"), "data");
  const auto training =
      from_json<TrainingConfig>(training_fields(), config.at("training"), "training");
  check_data_kind(*plan.family, is_text_source(data_config.source), data_config.source);
  // A text is read with the tokens that the weights know.
  const auto& known = request.resume ? request.resume : request.init;
  const Dataset data =
      load_dataset(data_config, true, known ? known->manifest.data.tokenizer : nullptr);
  for (const std::string& note : data.notes) say("note: " + note);
  request.data = &data;
  check_request(request);
  if (options.dry_run) {
    say(concat("all settings are good: ", planned_steps(training, data.train.size()), " steps on ",
               data.train.size(),
               !data.info.is_text() ? " images" : data.info.lines ? " lines" : " windows", " of '",
               data.info.source, "'"));
    std::cout << config.dump(2) << "\n";
    return 0;
  }
  if (!resume) {
    request.run = make_run_folder(options, data_config.source);
    write_config(request.run, config, options.model);
  }

  if (resume) {
    const Manifest& stored = request.resume->manifest;
    const int64_t planned = planned_steps(training, data.train.size());
    const int64_t steps = planned > 0 ? planned : stored.steps;
    if (steps > 0 && stored.step >= steps) {
      say(concat(request.run.string(), " is at its end: ", stored.step, " of ", steps,
                 " steps; nothing to do. A larger --epochs or --steps continues it"));
    }
  }
  ProgressPrinter printer(command.app.count("--quiet") > 0);
  const TrainResult result = train(request, printer);
  printer.close_line();
  if (result.signal) {
    say(concat("interrupted at step ", result.step, "; saved. Continue with: genai train --resume ",
               request.run.string()));
    return 128 + result.signal;
  }
  print_summary(request.run, result, plan.settings, options.out.empty() && !resume);
  if (options.json) {
    const Manifest manifest = read_manifest(find_checkpoint(request.run, ""));
    print_json({{"run", request.run.string()},
                {"step", result.step},
                {"seconds", result.seconds},
                {"validation", result.validation},
                {"best_step", result.best_step},
                {"weights_sha256", manifest.weights_sha256()}});
  } else {
    std::cout << request.run.string() << "\n";
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_train(const Arguments& arguments) {
  auto command = std::make_unique<Command>(
      "train", "trains a model; a new folder runs/NNN-MODEL-DATA holds all that comes of it",
      std::vector<std::string>{"genai train --model vae --data mnist",
                               "genai train --model vae --data digits --latent 2 --budget 1m",
                               "genai train --resume last --epochs 80"});
  auto options = std::make_shared<TrainOptions>();
  CLI::App& app = command->app;
  app.add_option("--model", options->model, "a preset (`genai config` lists them)")
      ->type_name("PRESET");
  app.add_option("--config", options->config, "settings from a JSON file, over the preset's")
      ->type_name("FILE");
  app.add_option("--out", options->out, "the run's folder, instead of the next in runs/")
      ->type_name("DIR");
  app.add_option("--resume", options->resume,
                 "continues a run with its own settings (without RUN: the newest)")
      ->type_name("[RUN]")
      ->expected(0, 1);
  app.add_option("--init", options->init, "starts from the weights of a run")->type_name("RUN");
  app.add_option("--runs", options->runs, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
  app.add_flag("--dry-run", options->dry_run, "checks everything, prints the settings, stops");
  app.add_flag("--json", options->json, "one JSON object as the result");
  command->run = [c = command.get(), options] { return train_verb(*c, *options); };

  // Which settings there are depends on the family; without a model, the first one's are shown.
  TrainOptions known;
  known.model = peek(arguments, "--model");
  known.config = peek(arguments, "--config");
  known.out = peek(arguments, "--out");
  known.runs = peek(arguments, "--runs");
  known.resume = peek(arguments, "--resume");
  if (known.resume.rfind('-', 0) == 0) known.resume.clear();
  bool resume = false;
  for (const std::string& argument : arguments) {
    resume |= argument == "--resume" || argument.rfind("--resume=", 0) == 0;
  }
  const bool named = resume || !known.model.empty() || !known.config.empty();
  if (named) {
    const Plan plan = make_plan(known, resume);
    command->add_fields(run_sections(*plan.family), plan.settings);
  } else {
    command->add_fields(run_sections(families().front()));
  }
  return command;
}

}  // namespace genai::tool
