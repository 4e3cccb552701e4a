#include "genai/generation/edit.h"

#include <unistd.h>

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

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

struct EditOptions {
  RunOption run;
  ComputeOption compute;
  EditRequest request;
  std::string what, mask, out;
  std::vector<std::string> files;
  int64_t count = 0, scale = 0;
  bool json = false, preview = false;
};

Edit parse_edit(const std::string& text) {
  std::string known;
  for (const auto& [edit, name] : kEditNames) {
    if (name == text) return edit;
    known += (known.empty() ? "" : ", ") + name;
  }
  fail(ErrorKind::usage, "edit: no edit '", text, "'; expected one of: ", known);
}

/// White where to fill: a picture of the model's size, or the name of a part of it.
Image load_mask(const std::string& mask, const DataInfo& info) {
  const int64_t h = info.height, w = info.width;
  Image made{.width = w, .height = h, .channels = 1, .pixels = {}};
  made.pixels.resize(static_cast<size_t>(h * w));
  const std::map<std::string, std::array<int64_t, 4>> parts = {   // top, left, height, width
      {"lower", {h / 2, 0, h - h / 2, w}}, {"upper", {0, 0, h / 2, w}},
      {"left", {0, 0, h, w / 2}},          {"right", {0, w / 2, h, w - w / 2}},
      {"middle", {h / 4, w / 4, h / 2, w / 2}}};
  if (const auto part = parts.find(mask); part != parts.end()) {
    const auto [top, left, height, width] = part->second;
    for (int64_t y = top; y < top + height; ++y) {
      for (int64_t x = left; x < left + width; ++x) {
        made.pixels[static_cast<size_t>(y * w + x)] = 255;
      }
    }
    return made;
  }
  return read_picture(mask);
}

void check_files(const EditOptions& options, Edit edit) {
  const size_t wanted = edit == Edit::blend ? 2 : 1;
  if (options.files.size() != wanted) {
    fail(ErrorKind::usage, "edit ", options.what, ": expected ", wanted,
         wanted == 1 ? " picture" : " pictures", ", found ", options.files.size());
  }
  if (edit == Edit::inpaint && options.mask.empty()) {
    fail(ErrorKind::usage,
         "edit inpaint: --mask: expected a picture that is white where to fill, or ",
         "one of lower, upper, left, right, middle");
  }
  if (edit != Edit::inpaint && !options.mask.empty()) {
    fail(ErrorKind::usage, "--mask: only inpaint has one, not ", options.what);
  }
}

/// A picture in the size the model makes; for upscale and inpaint every pixel counts as it is.
Tensor prepare(const std::string& path, Edit edit, const DataInfo& info) {
  const Image picture = read_picture(path);
  const bool exact = edit == Edit::inpaint || edit == Edit::upscale;
  return from_images({exact ? picture : resize_to_fit(picture, info.width, info.height)},
                     info.channels);
}

int edit_verb(const Command& command, const EditOptions& options) {
  EditRequest request = options.request;
  request.edit = parse_edit(options.what);
  check_files(options, request.edit);
  const int64_t usual = request.edit == Edit::blend || request.edit == Edit::vary ? 8 : 4;
  const int64_t count = options.count > 0 ? options.count : usual;
  const RunReference reference = options.run.find();
  const Manifest manifest =
      read_manifest(find_checkpoint(reference.folder, reference.checkpoint));
  const Family& family = find_family(manifest.config.at("model").at("family"));
  Settings settings;
  command.apply_fields(settings);
  settings.resolve({{"sampling", family.sampling}});   // judges them
  for (const Field& field : family.sampling) {
    if (const Json* given = settings.find("sampling." + field.name)) {
      set_path(request.options, field.name, *given);
    }
  }
  const DataInfo& info = manifest.data;
  const Tensor pictures = prepare(options.files[0], request.edit, info);
  const Tensor others =
      request.edit == Edit::blend ? prepare(options.files[1], request.edit, info) : Tensor();
  const Tensor mask = request.edit == Edit::inpaint
                          ? from_images({load_mask(options.mask, info)}, 1)[0][0]
                          : Tensor();
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
          : reference.folder / "out" /
                (request_name(words + options_name(request.options, defaults)) + ".png");
  check_writable(out);
  const LoadedModel loaded =
      load_model(reference, options.compute.resolve(manifest.numerics.threads));
  const auto images = to_images(edit_pixels(loaded, request, count, pictures, others, mask));
  const SheetLayout layout = resolve_layout({.rows = 0, .columns = 0, .scale = options.scale},
                                            count, info.width, info.height);
  const Image sheet = count == 1 ? images[0] : grid(images, layout.rows, layout.columns);
  const Image large = scale_up(sheet, layout.scale);
  const Json made = {{"edit", options.what},          {"first", request.first},
                     {"count", count},                {"class", request.label},
                     {"strength", request.strength},
                     {"options", request.options}};
  write_file(out, encode_png(large, provenance(loaded, made, large, Origin::mixed)));
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
  app.add_option("--mask", options->mask,
                 "inpaint: a picture, white where to fill; or lower, upper, left, right, middle")
      ->type_name("FILE");
  app.add_option("-n", options->count, "versions; blend: steps from one to the other (4 or 8)")
      ->type_name("N")
      ->check(CLI::Range(1, 10000));
  app.add_option("--seed", options->request.first, "number of the first version (0)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--class", options->request.label, "class to keep to (none)")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--strength", options->request.strength,
                 "vary: share of the way from noise that is gone again (0.5)")
      ->type_name("X");
  app.add_option("--scale", options->scale, "whole-pixel enlargement (auto)")
      ->type_name("N")
      ->check(CLI::Range(0, 64));
  app.add_option("--out", options->out, "PNG file (RUN/out/...)")->type_name("FILE");
  app.add_flag("--preview", options->preview, "shows pictures as text even without a terminal");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  command->add_fields({{"sampling", sampling_table(arguments)}});
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
