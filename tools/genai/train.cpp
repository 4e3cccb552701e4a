#include <iostream>

#include "command.h"
#include "genai/app/training_samples.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/log.h"
#include "genai/base/presets.h"
#include "genai/base/signals.h"
#include "genai/data/dataset.h"
#include "genai/data/known_sets.h"
#include "genai/data/unicode.h"
#include "genai/interop/gpt2.h"
#include "genai/models/registry.h"
#include "genai/training/metrics_log.h"
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
  RunReference resumed;  // set when resuming
  bool resume = false;   // from a checkpoint
  std::string preset;    // of the run that is resumed or made
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
  Plan plan{
      .family = nullptr, .settings = {}, .resumed = {}, .resume = resume, .preset = options.model};
  const fs::path runs = runs_folder(options.runs);
  if (resume) {
    if (!options.init.empty()) {
      fail(ErrorKind::usage, "--init: a resumed run goes on with its own weights; for a new run ",
           "with those of another, leave --resume out");
    }
    if (options.out.empty() && options.resume.empty() && !options.model.empty()) {
      plan.resumed = newest_run_of(options.model, runs);
    } else {
      const std::string& named = !options.out.empty() ? options.out : options.resume;
      plan.resumed = find_run(named.empty() ? "last" : named, runs, /*begun=*/true);
    }
    const std::string origin = "run " + plan.resumed.folder.filename().string();
    plan.resume = !list_checkpoints(plan.resumed.folder).empty();
    if (plan.resume) {
      const Manifest stored = stored_manifest(plan.resumed);
      plan.settings.merge(stored.config, origin);
      plan.preset = stored.preset;
      if (!options.model.empty() && options.model != stored.preset) {
        fail(ErrorKind::usage, "--model: a resumed run keeps its settings; ",
             plan.resumed.folder.string(), " was made with ",
             stored.preset.empty() ? "a file of settings" : "'" + stored.preset + "'", ", found '",
             options.model, "'; for a new run: --init RUN instead of --resume");
      }
    } else {
      // Stopped before its first checkpoint: it starts from the settings it was made with.
      for (const Json& line : read_metrics(plan.resumed.folder).lines) {
        if (line["step"] == 0) continue;
        fail(ErrorKind::data, plan.resumed.folder.string(),
             " has no checkpoint left, though it was ", "trained to step ",
             line["step"].get<int64_t>(), " at least; train a new run with --config ",
             (plan.resumed.folder / "config.json").string());
      }
      Json document = read_run_config(plan.resumed.folder);
      plan.preset = document.value("extends", "");
      document.erase("extends");
      plan.settings.merge(document, origin);
    }
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
    plan.settings.merge_document(read_config(options.config), options.config);
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
  fail(ErrorKind::usage, text, "\nfor a new run with them: --init RUN instead of --resume");
}

/// The range that the preset states, when the run was trained just as the preset says.
std::string expected_text(const Settings& settings, const Manifest& manifest) {
  const Json* range =
      find_path(settings.expected(), manifest.data.source + "." + manifest.objective);
  if (!range || !range->is_array() || range->size() != 2 || manifest.preset.empty()) return "";
  Settings preset;
  preset.merge_document(preset_document(manifest.preset), "preset " + manifest.preset);
  Json usual = preset.resolve(run_sections(family_of(manifest.config)));
  usual["data"]["source"] = manifest.data.source;
  usual["data"]["dir"] = manifest.config.at("data").at("dir");
  decide_settings(family_of(manifest.config), usual["model"], manifest.data);
  if (usual != manifest.config) return "";
  return concat(" (this preset usually reaches ", (*range)[0].dump(), " to ", (*range)[1].dump(),
                ")");
}

/// Whether other programs can have the model.
std::string export_line(const Manifest& manifest, const std::string& run) {
  const Json& model = manifest.config.at("model");
  if (model.at("family") != "transformer" || manifest.data.modality != &text_modality()) return "";
  const auto obstacles = gpt2_obstacles(model);
  if (obstacles.empty())
    return concat("for transformers (Python): genai export ", run, " --out DIR\n");
  std::string settings;
  for (const std::string& obstacle : obstacles) {
    settings += (settings.empty() ? "" : ", ") + obstacle.substr(0, obstacle.find(':'));
  }
  return concat("cannot be exported to GPT-2's form, which lacks its ", settings, "\n");
}

/// What the run came to and what to do next.
void print_summary(const fs::path& run, const TrainResult& result, const Settings& settings,
                   bool default_runs) {
  const Manifest manifest = read_manifest(find_checkpoint(run, ""));
  const std::string name = default_runs ? "last" : run.string();
  std::string text =
      concat("\ntrained ", result.step, " steps in ", duration_text(result.seconds), "\n");
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
  text += export_line(manifest, name);
  const Json& training = manifest.config.at("training");
  const bool by_epochs = training.at("steps") == 0 && training.at("budget") == "";
  const DataInfo& data = manifest.data;
  const Family& family = family_of(manifest.config);
  const auto offered = [&](Capability capability) {
    return offers(family, manifest.config.at("model"), capability);
  };
  const std::string look = data.modality == &series_modality()
                               ? concat("sample ", name, " --prompt @",
                                        manifest.config["data"]["source"].get<std::string>())
                           : offered(Capability::next_token)
                               ? concat("sample ", name, data.lines ? " -n 20" : " --length 500")
                           : offered(Capability::generator)
                               ? concat("sample ", name, " -n 64")
                               : concat("score ", name, " picture.png");
  text += concat(
      "\nnext:\n  genai ", look, "\n  genai evaluate ", name, "\n  genai train --resume ", name,
      by_epochs ? concat(" --epochs ", number_text(2 * training.at("epochs").get<double>(), 6))
                : concat(" --steps ", 2 * result.step));
  say(text);
}

/// --out must be new or empty, whatever --dry-run says.
void check_out(const fs::path& folder) {
  if (!is_utf8(folder.string())) {
    fail(ErrorKind::usage, "--out: expected a name in UTF-8, found '", valid_utf8(folder.string()),
         "'");
  }
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
  if (!options.out.empty()) check_out(options.out);
  return create_run(runs_folder(options.runs), model + "-" + (data.empty() ? "data" : data),
                    options.out);
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
  for (const char* setting : {"validation", "pairs"}) {
    if (const auto renewed = renew(setting)) data.own[setting] = *renewed;
  }
  return data;
}

/// A batch that nobody asked for is no larger than the set.
void fit_batch(const Settings& settings, const Dataset& data, Json& training) {
  const std::string origin = settings.origin("training.batch");
  const int64_t batch = training.at("batch"), accumulate = training.at("accumulate");
  const int64_t fitting = data.train.size() / accumulate * accumulate;
  const bool usual = origin == "default" || origin.starts_with("preset ");
  if (!usual || batch <= data.train.size() || fitting == 0) return;
  training["batch"] = fitting;
  say(concat("note: batches of ", fitting, ", all there is, instead of ", batch));
}

int train_verb(const Command& command, const TrainOptions& options) {
  const bool resumed = command.app.count("--resume") > 0;
  Plan plan = make_plan(options, resumed);
  const bool resume = plan.resume;
  for (const std::string& damage : plan.resumed.passed_over) {
    log_warning(damage + "; this run is passed over");
  }
  command.apply_fields(plan.settings);
  replace_length(command.app, plan.settings);
  if (!resumed && !options.out.empty()) check_out(options.out);
  const std::vector<Section> sections = run_sections(*plan.family);
  Json config = plan.settings.resolve(sections);
  std::string warning;
  TrainRequest request{.family = *plan.family,
                       .config = config,
                       .data = {},
                       .run = plan.resumed.folder,
                       .preset = plan.preset,
                       .resume = std::nullopt,
                       .init = std::nullopt,
                       .show = show_samples};
  if (resume) {
    request.resume =
        plan.resumed.checkpoint.empty()
            ? load_newest_checkpoint(request.run, warning)
            : load_checkpoint(find_checkpoint(request.run, plan.resumed.checkpoint), true);
    check_resumable(request.resume->manifest.config, config, sections);
  }
  if (!options.init.empty()) {
    const RunReference from = find_run(options.init, runs_folder(options.runs));
    request.init = load_checkpoint(find_checkpoint(from.folder, from.checkpoint), false);
  }
  if (!warning.empty()) say("warning: " + warning);

  const DataConfig data_config = resume
                                     ? resumed_data(request.run, request.resume->manifest, config)
                                     : data_config_from_json(config.at("data"));
  // A text is read with the tokens that the weights know.
  const auto& known = request.resume ? request.resume : request.init;
  const LoadOptions load{.tokenizer = known ? known->manifest.data.tokenizer : nullptr,
                         .known = request.resume ? &request.resume->manifest.data : nullptr};
  const Modality& modality = modality_of(data_config, load.tokenizer.get());
  check_reads(*plan.family, modality, data_config.source);
  modality.refuse_idle_settings(data_config);
  const Dataset data = load_dataset(data_config, load);
  say("data: " + describe(data.info));
  for (const std::string& note : data.notes) say("note: " + note);
  request.data = &data;
  if (!resume)
    request.parts =
        find_parts(model_fields(*plan.family), config["model"], runs_folder(options.runs));
  decide_settings(*plan.family, config.at("model"), data.info);
  if (!resume) fit_batch(plan.settings, data, config.at("training"));
  const auto training =
      from_json<TrainingConfig>(training_fields(), config.at("training"), "training");
  request.config = config;
  check_request(request);
  if (options.dry_run) {
    say(concat("all settings are good: ", planned_steps(training, data.train.size()), " steps on ",
               data.train.size(), " ", modality.items(data.info), " of '", data.info.source, "'"));
    std::cout << config.dump(2) << "\n";
    return 0;
  }
  if (!resumed) request.run = make_run_folder(options, data_config.source);
  if (!resume) {
    refuse_links(request.run);
    write_run_config(request.run, config, plan.preset);
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
  print_summary(request.run, result, plan.settings, options.out.empty() && !resumed);
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
    command->app.allow_extras();  // options of any family: --model is missing, which is told
  }
  return command;
}

}  // namespace genai::tool
