#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "command.h"
#include "condition.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/base/terminal.h"
#include "genai/generation/generate.h"
#include "genai/models/registry.h"
#include "genai/run/checkpoint.h"
#include "output.h"
#include "sample_text.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

struct SampleOptions {
  RunOption run;
  ComputeOption compute;
  TextOptions text;
  ClassOption of_class;
  std::vector<std::string> condition;
  int64_t count = 16, seed = 0, scale = 0;
  std::string grid, out, metadata = "full";
  bool separate = false, json = false, preview = false;
};

SheetLayout parse_grid(const std::string& text, int64_t scale) {
  SheetLayout layout{.rows = 0, .columns = 0, .scale = scale};
  if (text.empty()) return layout;
  char rest = 0;
  long long rows = 0, columns = 0;
  if (std::sscanf(text.c_str(), "%lldx%lld%c", &rows, &columns, &rest) != 2 || rows < 1 ||
      columns < 1 || rows > 10000 || columns > 10000) {
    fail(ErrorKind::usage, "--grid: expected ROWSxCOLUMNS (8x8), found '", text, "'");
  }
  layout.rows = rows;
  layout.columns = columns;
  return layout;
}

/// "step-8438-seed-0-n16-class3-temperature-0.7": the same request, the same name.
std::string sheet_name(int64_t step, const ImageRequest& request, const SheetLayout& layout,
                       const ConditionWords& words, const Json& defaults) {
  std::string name = concat("step-", step, "-seed-", request.first, "-n", request.count);
  if (layout.rows > 0) name += concat("-grid-", layout.rows, "x", layout.columns);
  if (layout.scale > 0) name += concat("-scale-", layout.scale);
  if (request.label >= 0) name += concat("-class", request.label);
  for (const std::string& word : words.all) name += "-" + word;
  return request_name(name + options_name(request.options, defaults));
}

/// Of a series, when nobody says.
constexpr int64_t kForecastPaths = 200, kForecastLength = 50;

/// Options of pictures are refused; lines and paths come in numbers, running text comes alone.
int sample_text_verb(const Command& command, const SampleOptions& options,
                     const RunReference& reference, const Checkpoint& checkpoint,
                     const ImageRequest& request) {
  const Manifest& manifest = checkpoint.manifest;
  for (const char* option :
       {"--class", "--condition", "--grid", "--scale", "--separate", "--preview"}) {
    if (command.app.count(option) > 0) {
      fail(ErrorKind::usage, option, ": is for pictures; this run writes texts");
    }
  }
  const bool counted = command.app.count("-n") > 0,
             series = manifest.data.modality == &series_modality();
  TextOptions text = options.text;
  if (series && command.app.count("--length") == 0) text.length = kForecastLength;
  const int64_t usual = series ? kForecastPaths : manifest.data.lines ? options.count : 1;
  const TextJob job{.reference = reference,
                    .checkpoint = checkpoint,
                    .manifest = manifest,
                    .text = text,
                    .compute = options.compute,
                    .sampling = request.options,
                    .first = options.seed,
                    .count = counted ? options.count : usual,
                    .out = is_standard_output(options.out) ? "-" : options.out,
                    .json = options.json,
                    .metadata = options.metadata != "none"};
  return series ? sample_series(job) : sample_texts(job);
}

int sample_verb(const Command& command, const SampleOptions& options) {
  const RunReference reference = options.run.find();
  Checkpoint checkpoint = open_checkpoint(reference);
  const Manifest manifest = checkpoint.manifest;
  Settings settings = usual_sampling(manifest.data);
  command.apply_fields(settings);
  const Family& family = family_of(manifest.config);
  ImageRequest request{.first = options.seed,
                       .count = options.count,
                       .label = -1,
                       .options = settings.resolve({{"sampling", family.sampling}})["sampling"]};
  if (manifest.data.kind() == ItemKind::sequence)
    return sample_text_verb(command, options, reference, checkpoint, request);
  request.label = options.of_class.find(manifest.data);
  TextOptions::refuse(command);
  const ConditionWords words = condition_words(options.condition);
  if (options.separate && is_standard_output(options.out)) {
    fail(ErrorKind::usage, "--separate: expected a folder as --out, found standard output");
  }
  const SheetLayout layout = parse_grid(options.grid, options.scale);
  if (command.app.count("-n") == 0 && layout.rows > 0) request.count = layout.rows * layout.columns;
  if (!options.separate)
    check_sheet(layout, request.count, manifest.data);  // before all is computed
  const Json defaults = Settings().resolve({{"sampling", family.sampling}})["sampling"];
  const bool to_stdout = is_standard_output(options.out);
  const fs::path out =
      !options.out.empty()
          ? fs::path(options.out)
          : run_output(reference.folder,
                       (sheet_name(manifest.step, request, layout, words, defaults) +
                        (options.separate ? "" : ".png")));
  if (!to_stdout) check_writable(options.separate ? out / "0.png" : out, ".png");
  const at::Device device = options.compute.resolve(manifest.numerics.threads);
  const LoadedModel loaded = load_model(reference, std::move(checkpoint), device);
  loaded.as<Generator>("sample");
  request.condition = read_conditions(words, *loaded.model, manifest.data);
  const Metadata metadata = options.metadata == "none" ? Metadata::none : Metadata::full;

  Json files = Json::array();
  if (options.separate) {
    render_separate(loaded, request, std::max<int64_t>(1, options.scale), metadata,
                    [&](int64_t number, const std::string& png) {
                      const fs::path file = out / concat(number, ".png");
                      write_output(file, png);
                      files.push_back(file.string());
                    });
  } else {
    const std::string png = render_sheet(loaded, request, layout, metadata);
    if (to_stdout) {
      std::cout << png;
      return 0;
    }
    write_output(out, png);
    files.push_back(out.string());
  }
  const bool preview = options.preview || (is_terminal(STDOUT_FILENO) && !options.json);
  if (preview && !options.separate) {
    const DataInfo& info = manifest.data;
    const int64_t columns = std::max<int64_t>(
        1, std::min<int64_t>(8, (terminal_columns(STDOUT_FILENO) - 2) / (info.width + 2)));
    ImageRequest first = request;
    first.count = std::min(request.count, 2 * columns);
    if (first.count < request.count) {
      say(concat("the first ", first.count, " of ", request.count, "; all are in ", out.string()));
    }
    const auto images = info.modality->pictures(generate_items(loaded, first));
    std::cout << half_blocks(grid(images, (first.count + columns - 1) / columns, columns),
                             colour_allowed(STDOUT_FILENO));
  }
  if (options.json) {
    print_json({{"files", files},
                {"run", reference.folder.string()},
                {"step", manifest.step},
                {"weights_sha256", manifest.weights_sha256()},
                {"first", request.first},
                {"count", request.count},
                {"class", request.label},
                {"options", request.options}});
  } else {
    std::cout << (options.separate ? out.string() : files[0].get<std::string>()) << "\n";
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_sample(const Arguments& arguments) {
  auto command = std::make_unique<Command>(
      "sample",
      "makes pictures or texts; a sample has one number, its seed, and is the same in any number",
      std::vector<std::string>{"genai sample last -n 64",
                               "genai sample 8 --seed 17 -n 1 --out 17.png",
                               "genai sample 12 --prompt 'ROMEO:' --temperature 0.7"});
  auto options = std::make_shared<SampleOptions>();
  options->run.add(*command);
  CLI::App& app = command->app;
  app.add_option("-n", options->count,
                 "samples (16, what --grid holds, 1 text, or 200 paths of a series)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000));
  add_seed_option(app, options->seed, "number of the first sample (0)");
  options->of_class.add(*command, "class of all samples, by name or number (one after the other)");
  app.add_option(
         "--condition", options->condition,
         "of models that are told a grid: a picture (or NAME=FILE), or test:N for test item "
         "N that the run keeps (one after the other)")
      ->type_name("FILE|test:N");
  app.add_option("--grid", options->grid, "rows x columns of the sheet")->type_name("RxC");
  app.add_option("--scale", options->scale, "whole-pixel enlargement (auto)")
      ->type_name("N")
      ->check(CLI::Range(0, 64));
  app.add_option("--out", options->out,
                 "PNG or text file; - is standard output (RUN/out/..., texts: standard output)")
      ->type_name("FILE");
  app.add_flag("--separate", options->separate, "one file per sample, in the folder --out");
  app.add_option("--metadata", options->metadata,
                 "what the file tells of its making; of texts and tables FILE.json beside it does")
      ->type_name("full|none")
      ->check(CLI::IsMember({"full", "none"}));
  app.add_flag("--preview", options->preview, "shows samples as text even without a terminal");
  app.add_flag("--exact")->description(
      "one thread and AVX2 code: equal pixels on any x86-64 machine");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->text.add(*command);
  options->compute.add(*command);
  const RunOption run = RunOption::peek_from(arguments, app);
  options->of_class.name_classes(run);
  command->add_fields({{"sampling", sampling_table(run, arguments)}});
  command->run = [c = command.get(), options] {
    if (c->app.count("--exact")) options->compute.threads = 1;
    return sample_verb(*c, *options);
  };
  return command;
}

}  // namespace genai::tool
