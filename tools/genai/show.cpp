#include "show.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "output.h"

namespace genai::tool {

const EnumNames<Format> kFormatNames = {{Format::strip, "strip"},
                                        {Format::apng, "apng"},
                                        {Format::gif, "gif"},
                                        {Format::frames, "frames"}};

namespace {

namespace fs = std::filesystem;

// ---- What there is to see

/// One thing to show, which families have it, and which options are not everyone's.
struct View {
  std::string name;
  Capability needed;
  int (*show)(const Show&);
  std::vector<std::string> options;
};

const std::vector<View>& views() {
  static const std::vector<View> all = {
      {"path",
       Denoiser::kCapability,
       show_path,
       {"--test", "--forward", "--as-is", "-n", "--view", "--moments", "--preview"}},
      {"mix", StyleSpace::kCapability, show_mix, {"-n", "--from"}},
      {"directions",
       StyleSpace::kCapability,
       show_directions,
       {"--moments", "--directions", "--strength", "--layers"}},
      {"next", NextToken::kCapability, show_next, {"--prompt", "--top"}}};
  return all;
}

/// The one of that name, or null.
const View* find_view(const std::string& name) {
  for (const View& view : views()) {
    if (view.name == name) return &view;
  }
  return nullptr;
}

/// Refuses what the family cannot show, naming what it can.
const View& check_view(const std::string& what, const Family& family) {
  const View* wanted = find_view(what);
  if (wanted && offers(family, wanted->needed)) return *wanted;
  std::string names;
  for (const View& view : views()) {
    if (offers(family, view.needed)) names += (names.empty() ? "" : ", ") + view.name;
  }
  fail(ErrorKind::usage, "show: expected RUN and what to show, found ",
       what.empty() ? "nothing to show" : "'" + what + "'", "; the family '", family.name,
       "' of this run can show ", names.empty() ? "nothing yet" : names,
       wanted ? concat(" (families with '", what, "': ", families_with(wanted->needed), ")") : "");
}

/// Refuses options that would change nothing.
void check_options(const Command& command, const View& shown) {
  const auto takes = [](const View& view, const std::string& option) {
    return std::find(view.options.begin(), view.options.end(), option) != view.options.end();
  };
  for (const View& other : views()) {
    for (const std::string& option : other.options) {
      if (command.app.count(option) == 0 || takes(shown, option)) continue;
      std::string names;
      for (const View& view : views()) {
        if (takes(view, option)) names += (names.empty() ? "" : ", ") + view.name;
      }
      fail(ErrorKind::usage, option, ": is for ", names, ", not for ", shown.name);
    }
  }
}

// ---- Where it goes

Format parse_format(const std::string& name) {
  std::string known;
  for (const auto& [format, text] : kFormatNames) {
    if (text == name) return format;
    known += (known.empty() ? "" : ", ") + text;
  }
  fail(ErrorKind::usage, "--format: expected one of ", known, "; found '", name, "'");
}

/// As --format says, or the end of --out.
Format find_format(const ShowOptions& options) {
  const std::string end = fs::path(options.out).extension().string();
  if (options.format.empty()) {
    return end == ".gif" ? Format::gif : end == ".apng" ? Format::apng : Format::strip;
  }
  return parse_format(options.format);
}

/// Frames need a folder; an ending that promises another format misleads every program.
void check_ending(Format format, const std::string& out) {
  if (out == "-" && format == Format::frames) {
    fail(ErrorKind::usage, "--out: frames are files in a folder, not standard output");
  }
  if (out.empty() || out == "-") return;
  const std::string end = fs::path(out).extension().string();
  const bool fits = format == Format::gif     ? end == ".gif"
                    : format == Format::apng  ? end == ".apng" || end == ".png"
                    : format == Format::strip ? end == ".png"
                                              : end != ".gif" && end != ".apng" && end != ".png";
  if (fits) return;
  fail(ErrorKind::usage, "--out: expected ",
       format == Format::gif     ? "a .gif file"
       : format == Format::apng  ? "a .apng or .png file"
       : format == Format::strip ? "a .png file (or --format gif, apng or frames)"
                                 : "a folder",
       " for ", enum_name(kFormatNames, format), ", found ", out);
}

std::string ending(Format format) {
  return format == Format::gif     ? ".gif"
         : format == Format::apng  ? ".apng"
         : format == Format::strip ? ".png"
                                   : "";
}

// ---- The command

int show_verb(const Command& command, const ShowOptions& options) {
  const RunReference reference = options.run.find();
  const Checkpoint checkpoint = open_checkpoint(reference);
  const Manifest& manifest = checkpoint.manifest;
  const Family& family = family_of(manifest.config);
  const View& view = check_view(options.what, family);
  check_options(command, view);
  const Format format = find_format(options);
  check_ending(format, options.out);
  Settings settings;
  command.apply_fields(settings);
  const std::vector<Section> sections{{"sampling", family.sampling}};
  ShowOptions chosen = options;
  chosen.label = options.of_class.find(manifest.data);
  return view.show({.command = command,
                    .options = chosen,
                    .reference = reference,
                    .checkpoint = checkpoint,
                    .manifest = manifest,
                    .family = family,
                    .format = format,
                    .sampling = settings.resolve(sections)["sampling"],
                    .usual = Settings().resolve(sections)["sampling"]});
}

/// The sampling options of the run's family; for help of the first that has something to show.
const FieldTable& shown_fields(const RunOption& run, const Arguments& arguments) {
  if (!arguments.empty()) return sampling_table(run, arguments);
  for (const Family& family : families()) {
    for (const View& view : views()) {
      if (offers(family, view.needed)) return family.sampling;
    }
  }
  return families().front().sampling;
}

}  // namespace

fs::path Show::out(const std::string& words) const {
  if (!options.out.empty()) return is_standard_output(options.out) ? "-" : options.out;
  std::string name = concat("step-", manifest.step, "-", options.what, words);
  if (options.scale > 0) name += concat("-scale-", options.scale);
  if (options.label >= 0) name += concat("-class", options.label);
  return run_output(reference.folder,
                    request_name(name + options_name(sampling, usual)) + ending(format));
}

void Show::check_writable(const fs::path& out) const {
  if (out != "-") {
    tool::check_writable(format == Format::frames ? out / "0.png" : out,
                         format == Format::gif ? ".gif" : ".png");
  }
}

LoadedModel Show::load() const {
  return load_model(reference, checkpoint, options.compute.resolve(manifest.numerics.threads));
}

namespace {

/// A GIF has room for one text: the request.
std::string comment_of(const std::vector<PngText>& texts) {
  for (const PngText& text : texts) {
    if (text.keyword == "genai") return text.text;
  }
  return "";
}

}  // namespace

int deliver(const Show& show, const LoadedModel& loaded, const fs::path& out, const Shown& shown) {
  const ShowOptions& options = show.options;
  const auto texts = [&](int64_t frame) {
    if (options.metadata == "none") return std::vector<PngText>{};
    return provenance(loaded, shown.request(frame), shown.frames[0].image, shown.origin);
  };
  Json files = Json::array();
  if (show.format == Format::frames) {
    for (size_t i = 0; i < shown.frames.size(); ++i) {
      char name[32];
      std::snprintf(name, sizeof name, "%03zu.png", i);
      write_output(out / name, encode_png(shown.frames[i].image, texts(static_cast<int64_t>(i))));
      files.push_back((out / name).string());
    }
  } else {
    const std::string bytes =
        show.format == Format::strip ? encode_png(shown.frames[0].image, texts(-1))
        : show.format == Format::gif ? encode_gif(shown.frames, comment_of(texts(-1)))
                                     : encode_apng(shown.frames, texts(-1));
    if (out == "-") {
      std::cout << bytes;
      return 0;
    }
    write_output(out, bytes);
    files.push_back(out.string());
  }
  if (!options.json) {
    std::cout << out.string() << "\n";
    return 0;
  }
  Json result = shown.request(-1);
  result.update(shown.found);
  result["files"] = files;
  result["run"] = show.reference.folder.string();
  result["step"] = show.manifest.step;
  result["weights_sha256"] = show.manifest.weights_sha256();
  print_json(result);
  return 0;
}

std::unique_ptr<Command> make_show(const Arguments& arguments) {
  auto command = std::make_unique<Command>(
      "show", "pictures, animations and bars of how a model works",
      std::vector<std::string>{"genai show last path", "genai show 8 path --steps 50 --format gif",
                               "genai show 9 directions --format gif"});
  auto options = std::make_shared<ShowOptions>();
  options->run.add(*command);
  CLI::App& app = command->app;
  app.add_option(
      "WHAT", options->what,
      "path: from noise to samples, step by step (diffusion); with --test or --forward "
      "from a picture to noise. mix: one sample's styles in coarse layers, another's in "
      "fine ones; directions: what changes images most (both: gan, kind style). next: what a "
      "text may go on with, at three temperatures");
  app.add_option("--test", options->test,
                 "path: the way of a test image, by its number among those that the run keeps")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--forward", options->forward, "path: the way of your picture")->type_name("FILE");
  app.add_flag("--as-is", options->as_is,
               "--forward: the picture as it is, neither inverted nor moved");
  app.add_option("-n", options->count,
                 "path: samples (4), or test images (1); mix: rows and columns (4)")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  add_seed_option(app, options->seed, "number of the first sample (0)");
  options->of_class.add(*command, "class of all of them, by name or number (one after the other)");
  app.add_option("--view", options->view,
                 "path: the mixtures of image and noise, the images predicted behind them (both)")
      ->type_name("noisy|clean|both")
      ->check(CLI::IsMember({"noisy", "clean", "both"}));
  app.add_option("--from", options->from,
                 "mix: the layer, from 0 on, from which the column's styles rule (half of them)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--directions", options->directions, "how many of them (5)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  app.add_option("--strength", options->strength,
                 "directions: so far to both sides, in standard deviations (3)")
      ->type_name("X");
  app.add_option("--layers", options->layers,
                 "directions: of these layers, the coarsest is 0; and only they change (all)")
      ->type_name("FIRST-LAST");
  app.add_option("--prompt", options->prompt, "next: the text so far; @FILE: what is in a file")
      ->type_name("TEXT|@FILE");
  app.add_option("--top", options->top, "next: tokens shown (10)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  app.add_option("--moments", options->moments,
                 "path: columns or frames, at most (12; animations 60); directions: so many from "
                 "side to side, odd (7; animations 31)")
      ->type_name("N")
      ->check(CLI::Range(2, 1000));
  app.add_option("--format", options->format,
                 "one picture, an animation, or a picture of each moment (as --out ends, or strip)")
      ->type_name("strip|gif|apng|frames");
  app.add_option("--out", options->out,
                 "file, for frames a folder; - is standard output (RUN/out/...)")
      ->type_name("FILE");
  app.add_option("--scale", options->scale, "whole-pixel enlargement (auto)")
      ->type_name("N")
      ->check(CLI::Range(0, 64));
  app.add_option("--metadata", options->metadata, "what a PNG tells of its making")
      ->type_name("full|none")
      ->check(CLI::IsMember({"full", "none"}));
  app.add_flag("--preview", options->preview, "path: plays as text even without a terminal");
  app.add_flag("--exact")->description(
      "one thread and AVX2 code: equal pixels on any x86-64 machine");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  RunOption shown = RunOption::peek_from(arguments, app);
  if (find_view(shown.run)) shown.run.clear();  // "show path" is "show last path"
  options->of_class.name_classes(shown);
  command->add_fields({{"sampling", shown_fields(shown, arguments)}});
  command->run = [c = command.get(), options] {
    if (c->app.count("--exact")) options->compute.threads = 1;
    // "show path", "show --model diffusion path": the first word is already what to show.
    if (options->what.empty() && find_view(options->run.run)) {
      options->what = std::exchange(options->run.run, "");
    }
    return show_verb(*c, *options);
  };
  return command;
}

}  // namespace genai::tool
