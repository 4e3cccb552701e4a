#include <unistd.h>

#include <chrono>
#include <cmath>
#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/base/presets.h"
#include "genai/base/signals.h"
#include "genai/base/terminal.h"
#include "genai/data/dataset.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfig = 1 << 20;

std::vector<Section> sections_of(const Family& family) {
  return {{"model", model_fields(family)},
          {"data", data_fields()},
          {"training", training_fields()}};
}

struct TrainOptions {
  std::string model, config, out, runs, init, resume;
  bool dry_run = false, json = false;
};

/// Progress on a terminal: one line that is written over, and small pictures. Elsewhere: one plain
/// line per ten seconds.
class ProgressPrinter : public TrainObserver {
 public:
  explicit ProgressPrinter(bool quiet)
      : terminal_(!quiet && is_terminal(STDERR_FILENO)),
        colour_(colour_allowed(STDERR_FILENO)),
        quiet_(quiet) {}

  void started(const TrainStart& start) override {
    first_step_ = start.first_step;
    say(concat(start.run.string(), ": ", start.parameters, " parameters, ",
               start.numerics.device, ", ",
               enum_name(kPrecisionNames, start.numerics.precision), ", ",
               start.numerics.threads, " threads",
               start.first_step ? concat("; continues at step ", start.first_step) : "",
               start.steps ? concat("; ", start.steps, " steps of which ",
                                    std::llround(start.steps_per_epoch), " are an epoch")
                           : "; measuring the rate to fit the budget"));
  }

  void progress(const StepReport& report) override {
    last_ = report;
    const auto now = std::chrono::steady_clock::now();
    const double wait = terminal_ ? 0.1 : 10;
    if (quiet_ || std::chrono::duration<double>(now - printed_).count() < wait) return;
    printed_ = now;
    const std::string line = progress_line(report);
    if (terminal_) {
      const size_t columns = static_cast<size_t>(terminal_columns(STDERR_FILENO));
      std::cerr << "\r\x1b[K" << line.substr(0, columns - 1) << std::flush;
      line_open_ = true;
    } else {
      say(line);
    }
  }

  void validated(int64_t step, const Json& values, bool best) override {
    if (quiet_ || (!terminal_ && !best_line_due())) return;
    std::string text = concat("step ", step, " test");
    for (const auto& [name, value] : values.items()) {
      text += concat("  ", name, " ", number_text(value, 5));
    }
    close_line();
    say(text + (best ? "  (best)" : ""));
  }

  void sampled(int64_t step, const std::vector<Image>& images) override {
    save_picture(step, images);
    if (!terminal_ || !colour_ || images.empty()) return;
    const int columns = terminal_columns(STDERR_FILENO);
    const auto fit = static_cast<size_t>(
        std::max<int64_t>(1, std::min<int64_t>(8, (columns - 2) / (images[0].width + 2))));
    if (images[0].width > columns) return;
    close_line();
    const std::vector<Image> first(images.begin(),
                                   images.begin() + static_cast<long>(std::min(fit, images.size())));
    std::cerr << half_blocks(grid(first, 1, static_cast<int64_t>(first.size())), true)
              << std::flush;
  }

  void warned(const std::string& text) override {
    close_line();
    log_warning_line(text);
  }

  int stop_requested() override { return stop_signal(); }
  bool save_requested() override { return take_save_request(); }

  void close_line() {
    if (line_open_) std::cerr << "\r\x1b[K" << std::flush;
    line_open_ = false;
  }

  fs::path run;   // where sample pictures go

 private:
  static void log_warning_line(const std::string& text);

  bool best_line_due() {
    const auto now = std::chrono::steady_clock::now();
    if (std::chrono::duration<double>(now - validated_).count() < 10) return false;
    validated_ = now;
    return true;
  }

  std::string progress_line(const StepReport& r) const {
    std::string text = concat("epoch ", number_text(std::floor(r.epoch * 10) / 10, 4), "  step ",
                              r.step);
    if (r.steps) text += concat("/", r.steps);
    for (const auto& [name, value] : r.values.items()) {
      if (name.rfind("loss", 0) == 0) text += concat("  ", name, " ", number_text(value, 5));
    }
    text += concat("  ", number_text(r.images_per_second, 3), " images/s");
    if (r.steps && terminal_) {
      const double done = static_cast<double>(r.step) / static_cast<double>(r.steps);
      text += "  " + bar(done, 16);
    }
    if (r.steps && r.step > first_step_) {
      const double rate = r.seconds / static_cast<double>(r.step);
      text += concat("  ", duration_text(rate * static_cast<double>(r.steps - r.step)), " left");
    }
    return text;
  }

  void save_picture(int64_t step, const std::vector<Image>& images) {
    char name[40];
    std::snprintf(name, sizeof name, "step-%07lld.png", static_cast<long long>(step));
    const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(images.size())));
    const Image sheet =
        grid(images, (static_cast<int64_t>(images.size()) + columns - 1) / columns, columns);
    fs::create_directories(run / "samples");
    write_file(run / "samples" / name, encode_png(scale_up(sheet, 2)));
  }

  bool terminal_, colour_, quiet_, line_open_ = false;
  int64_t first_step_ = 0;
  StepReport last_;
  std::chrono::steady_clock::time_point printed_ = std::chrono::steady_clock::now(), validated_{};
};

void ProgressPrinter::log_warning_line(const std::string& text) { say("warning: " + text); }

/// The family that the arguments lead to, and the settings of their preset, file or stored run.
struct Plan {
  const Family* family = nullptr;
  Settings settings;
  RunReference resumed;     // set when resuming
  bool resume = false;
};

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
    const Manifest manifest =
        read_manifest(find_checkpoint(plan.resumed.folder, plan.resumed.checkpoint));
    plan.settings.merge(manifest.config, "run " + plan.resumed.folder.filename().string());
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
        parse_json(read_file(options.config, kMaxConfig), options.config, ErrorKind::usage),
        options.config);
  }
  const Json* family = plan.settings.find("model.family");
  if (!family || !family->is_string()) {
    fail(ErrorKind::usage, "model.family: expected the name of a family, found ",
         family ? family->dump() : "nothing");
  }
  plan.family = &find_family(family->get<std::string>());
  return plan;
}

/// Only what a resumed run may change is changed.
void check_resumable(const Json& stored, const Json& wanted, const std::vector<Section>& sections) {
  Json allowed = wanted;
  for (const Section& section : sections) {
    for (const Field& field : section.table) {
      const std::string path = section.name + "." + field.name;
      if (!field.resumable) continue;
      if (const Json* value = find_path(stored, path)) set_path(allowed, path, *value);
    }
  }
  const auto lines = settings_diff(stored, allowed);
  if (lines.empty()) return;
  std::string text = "a resumed run keeps its settings; these differ:";
  for (const std::string& line : lines) text += "\n" + line;
  fail(ErrorKind::usage, text, "\nfor a new run with them: --init RUN instead of --resume");
}

std::string expected_text(const Settings& settings, const Manifest& manifest) {
  const Json* range =
      find_path(settings.expected(), manifest.data.source + "." + manifest.objective);
  if (!range || !range->is_array() || range->size() != 2) return "";
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
  text += concat("\nnext:\n  genai sample ", name, " -n 64\n  genai evaluate ", name,
                 "\n  genai train --resume ", name, " --epochs ",
                 number_text(2 * manifest.config.at("training").at("epochs").get<double>(), 6));
  say(text);
}

void write_config(const fs::path& run, const Json& config, const std::string& preset) {
  Json document = Json::object();
  if (!preset.empty()) document["extends"] = preset;
  document.update(config);
  write_file(run / "config.json", document.dump(2) + "\n");
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
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    fail(ErrorKind::usage, "--out ", folder.string(),
         ": exists and is not empty; choose another folder, or continue it with --resume ",
         folder.string());
  }
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
  const std::vector<Section> sections = sections_of(*plan.family);
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
  const Dataset data = load_dataset(data_config);
  for (const std::string& note : data.notes) say("note: " + note);
  request.data = &data;
  check_request(request);
  if (options.dry_run) {
    say(concat("all settings are good: ", planned_steps(training, data.train.size()), " steps on ",
               data.train.size(), " images of '", data.info.source, "'"));
    std::cout << config.dump(2) << "\n";
    return 0;
  }
  if (!resume) {
    request.run = make_run_folder(options, data_config.source);
    write_config(request.run, config, options.model);
  }

  ProgressPrinter printer(command.app.count("--quiet") > 0);
  printer.run = request.run;
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
  command->add_fields(
      sections_of(named ? *make_plan(known, resume).family : families().front()));
  return command;
}

}  // namespace genai::tool
