#include "genai/generation/edit.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <map>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/base/terminal.h"
#include "genai/models/registry.h"
#include "output.h"
#include "own_picture.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

struct EditOptions {
  RunOption run;
  ComputeOption compute;
  ClassOption of_class;
  EditRequest request;
  std::string what, mask, out;
  std::vector<std::string> files;
  int64_t count = 0, scale = 0;
  bool json = false, preview = false, as_is = false;
};

Edit parse_edit(const std::string& text) {
  std::string known;
  for (const auto& [edit, name] : kEditNames) {
    if (name == text) return edit;
    known += (known.empty() ? "" : ", ") + name;
  }
  fail(ErrorKind::usage, "edit: no edit '", text, "'; expected one of: ", known);
}

/// Top, left, height and width of the parts that have names.
std::map<std::string, std::array<int64_t, 4>> mask_parts(const DataInfo& info) {
  const int64_t h = info.height, w = info.width;
  return {{"lower", {h / 2, 0, h - h / 2, w}},
          {"upper", {0, 0, h / 2, w}},
          {"left", {0, 0, h, w / 2}},
          {"right", {0, w / 2, h, w - w / 2}},
          {"middle", {h / 4, w / 4, h / 2, w / 2}}};
}

/// White where to fill: a picture of the model's size (see read_mask), or the name of a part of it.
Image load_mask(const std::string& mask, const DataInfo& info) {
  const auto parts = mask_parts(info);
  const auto part = parts.find(mask);
  if (part == parts.end()) {
    const Image made = read_mask(load_picture(mask), info);
    say(concat(mask, " fills ", std::ranges::count(made.pixels, 255), " of ", made.pixels.size(),
               " pixels"));
    return made;
  }
  Image made{.width = info.width, .height = info.height, .channels = 1, .pixels = {}};
  made.pixels.resize(static_cast<size_t>(info.height * info.width));
  const auto [top, left, height, width] = part->second;
  for (int64_t y = top; y < top + height; ++y) {
    for (int64_t x = left; x < left + width; ++x) {
      made.pixels[static_cast<size_t>(y * info.width + x)] = 255;
    }
  }
  return made;
}

/// A picture with a hole needs no mask beside it.
bool has_hole(const std::string& path) {
  return !load_picture(path).alpha.pixels.empty();
}

void check_files(const EditOptions& options, Edit edit) {
  const size_t wanted = edit == Edit::blend ? 2 : 1;
  if (options.files.size() != wanted) {
    fail(ErrorKind::usage, "edit ", options.what, ": expected ", wanted,
         wanted == 1 ? " picture" : " pictures", ", found ", options.files.size());
  }
  if (edit == Edit::inpaint && options.mask.empty()) {
    fail(ErrorKind::usage,
         "edit inpaint: --mask: expected a picture that is not black (or transparent) where to ",
         "fill, or one of lower, upper, left, right, middle");
  }
  if (edit != Edit::inpaint && !options.mask.empty()) {
    fail(ErrorKind::usage, "--mask: only inpaint has one, not ", options.what);
  }
}

/// A picture in the size the model makes; for upscale and beside a mask of the user's every pixel
/// stays where it is.
Image prepare(const std::string& path, const EditOptions& options, Edit edit,
              const DataInfo& info) {
  const bool movable =
      has_pen_convention(info) && !options.as_is && mask_parts(info).contains(options.mask);
  const bool fixed = edit == Edit::upscale || (edit == Edit::inpaint && !movable);
  return own_picture(path, info, options.as_is, fixed ? Placing::fixed : Placing::free);
}

/// A picture and a mask of its size, both in the model's.
void fit_together(const DataInfo& info, Image& picture, Image& mask) {
  picture = resize_to_fit(picture, info.width, info.height);
  mask = resize_to_fit(mask, info.width, info.height);
  for (uint8_t& value : mask.pixels) value = value > 0 ? 255 : 0;
}

int edit_verb(const Command& command, EditOptions options) {
  EditRequest request = options.request;
  request.edit = parse_edit(options.what);
  if (request.edit == Edit::inpaint && options.mask.empty() && options.files.size() == 1 &&
      has_hole(options.files[0])) {
    options.mask = options.files[0];
  }
  check_files(options, request.edit);
  const int64_t usual = request.edit == Edit::blend || request.edit == Edit::vary ? 8 : 4;
  const int64_t count = options.count > 0 ? options.count : usual;
  const RunReference reference = options.run.find();
  Checkpoint checkpoint = open_checkpoint(reference);
  const Manifest manifest = checkpoint.manifest;
  const Family& family = family_of(manifest.config);
  Settings settings;
  command.apply_fields(settings);
  settings.resolve({{"sampling", family.sampling}});  // judges them
  for (const Field& field : family.sampling) {
    if (const Json* given = settings.find("sampling." + field.name)) {
      set_path(request.options, field.name, *given);
    }
  }
  const DataInfo& info = manifest.data;
  request.label = options.of_class.find(info);
  Image picture = prepare(options.files[0], options, request.edit, info), filled;
  if (request.edit == Edit::inpaint) {
    filled = load_mask(options.mask, info);
    const bool together = picture.width == filled.width && picture.height == filled.height;
    const bool fits = filled.width == info.width && filled.height == info.height;
    if (together && !fits && !options.as_is) {
      say(concat(options.files[0], ": scaled to ", info.width, "x", info.height,
                 " together with its mask"));
      fit_together(info, picture, filled);
    }
  }
  const Tensor pictures = from_images({picture}, info.channels);
  const Tensor others =
      request.edit == Edit::blend
          ? from_images({prepare(options.files[1], options, request.edit, info)}, info.channels)
          : Tensor();
  const Tensor mask = request.edit == Edit::inpaint ? from_images({filled}, 1)[0][0] : Tensor();
  std::string words = concat("step-", manifest.step, "-", options.what);
  for (const std::string& file : options.files) words += "-" + fs::path(file).stem().string();
  if (request.edit == Edit::inpaint) words += "-mask-" + fs::path(options.mask).stem().string();
  if (request.edit == Edit::vary) words += "-strength-" + number_text(request.strength, 4);
  words += concat("-seed-", request.first, "-n", count);
  if (request.label >= 0) words += concat("-class", request.label);
  const Json defaults = Settings().resolve({{"sampling", family.sampling}})["sampling"];
  const fs::path out =
      !options.out.empty()
          ? fs::path(options.out)
          : run_output(reference.folder,
                       request_name(words + options_name(request.options, defaults)) + ".png");
  const bool to_stdout = is_standard_output(out);
  if (!to_stdout) check_writable(out, ".png");
  const LoadedModel loaded = load_model(reference, std::move(checkpoint),
                                        options.compute.resolve(manifest.numerics.threads));
  const auto images = to_images(edit_pixels(loaded, request, count, pictures, others, mask));
  const SheetLayout layout = resolve_layout({.rows = 0, .columns = 0, .scale = options.scale},
                                            count, info.width, info.height);
  const Image sheet = count == 1 ? images[0] : grid(images, layout.rows, layout.columns);
  const Image large = scale_up(sheet, layout.scale);
  const Json made = {
      {"edit", options.what},   {"first", request.first},       {"count", count},
      {"class", request.label}, {"strength", request.strength}, {"options", request.options}};
  const std::string png = encode_png(large, provenance(loaded, made, large, Origin::mixed));
  if (to_stdout) {
    std::cout << png;
    return 0;
  }
  write_output(out, png);
  if (options.preview || (is_terminal(STDOUT_FILENO) && !options.json)) {
    std::cout << half_blocks(sheet, colour_allowed(STDOUT_FILENO));
  }
  if (options.json) {
    print_json({{"files", {out.string()}},
                {"run", reference.folder.string()},
                {"step", manifest.step},
                {"edit", options.what},
                {"first", request.first},
                {"count", count},
                {"class", request.label},
                {"options", request.options}});
  } else {
    std::cout << out.string() << "\n";
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_edit(const Arguments& arguments) {
  auto command = std::make_unique<Command>(
      "edit", "applies a model to your own picture: inpaint, upscale, vary, blend",
      std::vector<std::string>{"genai edit last inpaint seven.png --mask lower",
                               "genai edit 8 vary seven.png --strength 0.4 -n 16",
                               "genai edit 8 blend three.png eight.png --out blend.png"});
  auto options = std::make_shared<EditOptions>();
  options->run.add(*command);
  CLI::App& app = command->app;
  app.add_option("what", options->what, "inpaint, upscale, vary or blend")->required();
  app.add_option("files", options->files, "the picture; blend: two of them");
  app.add_option(
         "--mask", options->mask,
         "inpaint: a picture, not black or transparent where to fill; or lower, upper, left, "
         "right, middle (the picture's own transparent parts)")
      ->type_name("FILE");
  app.add_option("-n", options->count, "versions; blend: steps from one to the other (4 or 8)")
      ->type_name("N")
      ->check(CLI::Range(1, 10000));
  add_seed_option(app, options->request.first, "number of the first version (0)");
  options->of_class.add(*command, "class to keep to, by name or number (none)");
  app.add_option("--strength", options->request.strength,
                 "vary: share of the way from noise that is gone again (0.5)")
      ->type_name("X");
  app.add_option("--scale", options->scale, "whole-pixel enlargement (auto)")
      ->type_name("N")
      ->check(CLI::Range(0, 64));
  app.add_option("--out", options->out, "PNG file; - is standard output (RUN/out/...)")
      ->type_name("FILE");
  app.add_flag("--as-is", options->as_is, "your pictures as they are, neither inverted nor moved");
  app.add_flag("--preview", options->preview, "shows pictures as text even without a terminal");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  const RunOption run = RunOption::peek_from(arguments, app);
  options->of_class.name_classes(run);
  command->add_fields({{"sampling", sampling_table(run, arguments)}});
  command->run = [c = command.get(), options] {
    // With --model the first word is already the edit.
    if (!options->run.model.empty() && !options->run.run.empty()) {
      options->files.insert(options->files.begin(), options->what);
      options->what = std::exchange(options->run.run, "");
    }
    return edit_verb(*c, *options);
  };
  return command;
}

}  // namespace genai::tool
