#include <iostream>

#include "command.h"
#include "genai/base/animation.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/generation/path.h"
#include "genai/models/registry.h"
#include "output.h"
#include "player.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

enum class Format { strip, apng, gif, frames };
const EnumNames<Format> kFormatNames = {{Format::strip, "strip"},
                                        {Format::apng, "apng"},
                                        {Format::gif, "gif"},
                                        {Format::frames, "frames"}};

struct ShowOptions {
  RunOption run;
  ComputeOption compute;
  std::string what;
  std::string forward, view = "both", format, out, metadata = "full";
  int64_t test = -1, count = 4, seed = 0, label = -1, moments = 0, scale = 0;
  bool preview = false, json = false;
};

// ---- What there is to see

/// One thing to show, and which families have it.
struct Sight {
  std::string name;
  bool (*offered)(const Family&);
  std::string (*families)();
};

const std::vector<Sight>& sights() {
  static const std::vector<Sight> all = {
      {"path", offers<Denoiser>, families_with<Denoiser>}};
  return all;
}

/// The one of that name, or null.
const Sight* find_sight(const std::string& name) {
  for (const Sight& sight : sights()) {
    if (sight.name == name) return &sight;
  }
  return nullptr;
}

/// Refuses what the family cannot show, naming what it can.
void check_sight(const std::string& what, const Family& family) {
  const Sight* wanted = find_sight(what);
  if (wanted && wanted->offered(family)) return;
  std::string names;
  for (const Sight& sight : sights()) {
    if (sight.offered(family)) names += (names.empty() ? "" : ", ") + sight.name;
  }
  fail(ErrorKind::usage, "show: expected RUN and what to show, found ",
       what.empty() ? "nothing to show" : "'" + what + "'", "; the family '", family.name,
       "' of this run can show ", names.empty() ? "nothing yet" : names,
       wanted ? concat(" (families with '", what, "': ", wanted->families(), ")") : "");
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

/// An ending that promises another format misleads every program that opens the file.
void check_ending(Format format, const std::string& out) {
  if (out.empty() || out == "-") return;
  const std::string end = fs::path(out).extension().string();
  const bool fits = format == Format::gif    ? end == ".gif"
                    : format == Format::apng ? end == ".apng" || end == ".png"
                    : format == Format::strip
                        ? end == ".png"
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

/// "step-4000-path-seed-0-n4-steps-50": the same request, the same name.
std::string path_name(const ShowOptions& options, int64_t step, const ImageRequest& images,
                      const Json& defaults) {
  std::string name = concat("step-", step, "-path");
  if (options.test >= 0) name += concat("-test-", options.test);
  if (!options.forward.empty()) name += concat("-of-", fs::path(options.forward).stem().string());
  name += concat("-seed-", images.first, "-n", images.count);
  if (options.view != "both") name += "-" + options.view;
  if (options.moments > 0) name += concat("-moments-", options.moments);
  if (options.scale > 0) name += concat("-scale-", options.scale);
  if (images.label >= 0) name += concat("-class", images.label);
  return request_name(name + options_name(images.options, defaults));
}

// ---- The path

/// What was asked for; pictures are read later, where the model is known.
PathRequest path_request(const Command& command, const ShowOptions& options, Format format,
                         const Json& sampling) {
  constexpr int64_t kStripMoments = 12, kMovingMoments = 60;
  if (!options.forward.empty() && options.test >= 0) {
    fail(ErrorKind::usage, "give --forward or --test, not both");
  }
  const bool counted = command.app.count("-n") > 0;
  if (!options.forward.empty() && counted && options.count != 1) {
    fail(ErrorKind::usage, "-n: --forward shows one picture, found ", options.count);
  }
  const bool forward = !options.forward.empty() || options.test >= 0;
  return {.images = {.first = options.seed,
                     .count = counted || !forward ? options.count : 1,
                     .label = options.label,
                     .options = sampling},
          .test = options.test,
          .moments = options.moments > 0         ? options.moments
                     : format == Format::strip ? kStripMoments
                                               : kMovingMoments};
}

/// Moments on the terminal as they are found.
class PathPlayer {
 public:
  PathPlayer(Player& player, PathView view, const DataInfo& info, int64_t milliseconds)
      : player_(player), view_(view), milliseconds_(milliseconds) {
    const int64_t views = view == PathView::both ? 2 : 1;
    most_ = player.room(info.width, info.height) / views;
  }

  bool shows() const { return most_ > 0; }

  void show(const Moment& moment) {
    const int64_t count = std::min(most_, moment.noisy.size(0));
    const auto noisy = to_images(moment.noisy.narrow(0, 0, count));
    const auto clean = to_images(moment.clean.narrow(0, 0, count));
    std::vector<Image> row;
    for (size_t i = 0; i < noisy.size(); ++i) {
      if (view_ != PathView::clean) row.push_back(noisy[i]);
      if (view_ != PathView::noisy) row.push_back(clean[i]);
    }
    const std::string share = number_text(100 * noise_share(moment.level), 2);
    player_.show(row, "noise " + padded(share + " %", 8) + names(), milliseconds_);
  }

 private:
  std::string names() const {
    return view_ == PathView::noisy   ? "noisy"
           : view_ == PathView::clean ? "predicted"
                                      : "noisy, predicted";
  }

  Player& player_;
  PathView view_;
  int64_t milliseconds_, most_ = 0;
};

/// Fewer moments stay longer.
int64_t moment_time(int64_t count) { return count > 25 ? 100 : 200; }

std::string encode_animation(Format format, const std::vector<Image>& pictures,
                             const std::vector<PngText>& text) {
  constexpr int64_t kBegin = 500, kEnd = 2000;   // milliseconds
  std::vector<Frame> frames;
  for (const Image& picture : pictures) {
    frames.push_back({.image = picture,
                      .milliseconds = moment_time(static_cast<int64_t>(pictures.size()))});
  }
  frames.front().milliseconds = kBegin;
  frames.back().milliseconds = kEnd;
  return format == Format::gif ? encode_gif(frames) : encode_apng(frames, text);
}

int show_path(const Command& command, const ShowOptions& options, const RunReference& reference,
              const Manifest& manifest, const Family& family) {
  const Format format = find_format(options);
  check_ending(format, options.out);
  Settings settings;
  command.apply_fields(settings);
  const std::vector<Section> sections{{"sampling", family.sampling}};
  PathRequest request =
      path_request(command, options, format, settings.resolve(sections)["sampling"]);
  const bool to_stdout = options.out == "-";
  if (to_stdout && format == Format::frames) {
    fail(ErrorKind::usage, "--out: frames are files in a folder, not standard output");
  }
  const DataInfo& info = manifest.data;
  if (!options.forward.empty()) {
    request.pictures = from_images(
        {resize_to_fit(read_picture(options.forward), info.width, info.height)}, info.channels);
  }
  const fs::path out =
      !options.out.empty()
          ? fs::path(options.out)
          : reference.folder / "out" /
                (path_name(options, manifest.step, request.images,
                           Settings().resolve(sections)["sampling"]) + ending(format));
  if (!to_stdout) check_writable(format == Format::frames ? out / "x" : out);
  const LoadedModel loaded =
      load_model(reference, options.compute.resolve(manifest.numerics.threads));
  if (request.test >= 0) take_test_pictures(loaded, request);

  PathLayout layout{.strip = format == Format::strip, .scale = options.scale};
  for (const auto& [view, name] : kPathViewNames) {
    if (name == options.view) layout.view = view;
  }
  Player player(command.app.count("--quiet") > 0 || options.json, options.preview);
  PathPlayer live(player, layout.view, info, moment_time(request.moments));
  const std::vector<Moment> path = find_path(
      loaded, request,
      live.shows() ? MomentWatch([&](const Moment& moment) { live.show(moment); }) : MomentWatch());
  layout = resolve_layout(layout, request.images.count, static_cast<int64_t>(path.size()), info);
  const auto pictures = draw_path(path, layout);

  const auto texts = [&](int64_t frame) {
    if (options.metadata == "none") return std::vector<PngText>{};
    return provenance(loaded, path_json(request, layout, frame), pictures[0],
                      request.pictures.defined() ? Origin::mixed : Origin::model);
  };
  Json files = Json::array();
  if (format == Format::frames) {
    for (size_t i = 0; i < pictures.size(); ++i) {
      char name[32];
      std::snprintf(name, sizeof name, "%03zu.png", i);
      write_file(out / name, encode_png(pictures[i], texts(static_cast<int64_t>(i))));
      files.push_back((out / name).string());
    }
  } else {
    const std::string bytes = format == Format::strip
                                  ? encode_png(pictures[0], texts(-1))
                                  : encode_animation(format, pictures, texts(-1));
    if (to_stdout) {
      std::cout << bytes;
      return 0;
    }
    write_file(out, bytes);
    files.push_back(out.string());
  }
  if (!options.json) {
    std::cout << out.string() << "\n";
    return 0;
  }
  Json result = path_json(request, layout);
  result["files"] = files;
  result["run"] = reference.folder.string();
  result["step"] = manifest.step;
  result["weights_sha256"] = manifest.weights_sha256();
  for (const Moment& moment : path) {
    result["levels"].push_back({{"alpha", moment.level.alpha}, {"sigma", moment.level.sigma}});
  }
  print_json(result);
  return 0;
}

int show_verb(const Command& command, const ShowOptions& options) {
  const RunReference reference = options.run.find();
  const Manifest manifest =
      read_manifest(find_checkpoint(reference.folder, reference.checkpoint));
  const Family& family = find_family(manifest.config.at("model").at("family"));
  check_sight(options.what, family);
  return show_path(command, options, reference, manifest, family);
}

// ---- Options

/// "show path" is "show last path".
Arguments with_run(Arguments arguments) {
  if (arguments.empty() || !find_sight(arguments[0])) return arguments;
  if (peek(arguments, "--model").empty()) {
    arguments[0] = "last";
  } else {
    arguments.erase(arguments.begin());
  }
  return arguments;
}

/// The sampling options of the run's family; for help of the first that has something to show.
const FieldTable& shown_fields(const Arguments& arguments) {
  const Arguments all = with_run(arguments);
  if (RunOption::peek_from(all).given()) return sampling_table(all);
  for (const Family& family : families()) {
    for (const Sight& sight : sights()) {
      if (sight.offered(family)) return family.sampling;
    }
  }
  return sampling_table(all);
}

}  // namespace

std::unique_ptr<Command> make_show(const Arguments& arguments) {
  auto command = std::make_unique<Command>(
      "show", "pictures and animations of how a model works",
      std::vector<std::string>{"genai show last path", "genai show 8 path --steps 50 --format gif",
                               "genai show 8 path --forward seven.png"});
  auto options = std::make_shared<ShowOptions>();
  options->run.add(*command);
  CLI::App& app = command->app;
  app.add_option("WHAT", options->what,
                 "path: from noise to samples, step by step (diffusion); with --test or --forward "
                 "from a picture to noise");
  app.add_option("--test", options->test,
                 "the way of a test image, by its number among those that the run keeps")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--forward", options->forward, "the way of your picture")->type_name("FILE");
  app.add_option("-n", options->count, "samples (4), or test images (1)")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  app.add_option("--seed", options->seed, "number of the first sample (0)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--class", options->label, "class of all of them (default: one after the other)")
      ->type_name("N");
  app.add_option("--view", options->view,
                 "the mixtures of image and noise, the images predicted behind them (both)")
      ->type_name("noisy|clean|both")
      ->check(CLI::IsMember({"noisy", "clean", "both"}));
  app.add_option("--moments", options->moments, "columns or frames, at most (12; animations 60)")
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
  app.add_flag("--preview", options->preview, "plays as text even without a terminal");
  app.add_flag("--exact")
      ->description("one thread and AVX2 code: equal pixels on any x86-64 machine");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  command->add_fields({{"sampling", shown_fields(arguments)}});
  command->run = [c = command.get(), options] {
    if (c->app.count("--exact")) options->compute.threads = 1;
    // "show path", "show --model diffusion path": the first word is already what to show.
    if (options->what.empty() && find_sight(options->run.run)) {
      options->what = std::exchange(options->run.run, "");
    }
    return show_verb(*c, *options);
  };
  return command;
}

}  // namespace genai::tool
