#include "genai/generation/edit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <map>

#include "art-inl.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/text.h"
#include "genai/evaluation/evaluate.h"
#include "jobs-inl.h"
#include "shared-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

struct EditWish {
  RunChoice from;
  Edit what = Edit::inpaint;
  std::vector<std::string> files;
  std::string mask, of_class, out;
  int64_t count = 0, seed = 0, scale = 0;
  double strength = 0.5;
  bool as_is = false;
  ArtWish art;
};

const FieldTable& edit_fields() {
  static const FieldTable table =
      describe<EditWish>()
          .nest("", &EditWish::from, run_choice_fields())
          .field("what", &EditWish::what,
                 "inpaint, upscale, vary or blend; of models that are told it: colorize, draw, "
                 "repair; of "
                 "classifiers: dream, style",
                 kEditNames)
          .field("files", &EditWish::files, "the picture; blend: two of them")
          .hint("FILE")
          .field("mask", &EditWish::mask,
                 "inpaint, repair: a picture, not black or transparent where to fill; or lower, "
                 "upper, left, right, middle (the picture's own transparent parts)")
          .hint("FILE")
          .field("count", &EditWish::count, "versions; blend: steps from one to the other (4 or 8)",
                 between(1, 10000))
          .option("n")
          .field("seed", &EditWish::seed, "number of the first version (0)", at_least(0))
          .field("class", &EditWish::of_class,
                 "class to keep to, or to dream of, by name or number (none)")
          .hint("CLASS")
          .field("strength", &EditWish::strength,
                 "vary: share of the way from noise that is gone again (0.5); draw: how closely to "
                 "keep to the drawing (0.5: as trained)")
          .field("scale", &EditWish::scale, "whole-pixel enlargement (auto)", between(0, 64))
          .field("out", &EditWish::out,
                 "PNG file; dream, style: the way as x.gif or x.apng; - is standard output "
                 "(RUN/out/...)")
          .hint("FILE")
          .field("as_is", &EditWish::as_is, "your pictures as they are, neither inverted nor moved")
          .nest("", &EditWish::art, art_fields())
          .table();
  return table;
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
Image load_mask(const std::string& mask, const DataInfo& info, JobContext& context) {
  const auto parts = mask_parts(info);
  const auto part = parts.find(mask);
  if (part == parts.end()) {
    const Image made = read_mask(load_picture(mask), info);
    context.events.noted(concat(mask, " fills ", std::ranges::count(made.pixels, 255), " of ",
                                made.pixels.size(), " pixels"));
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

bool fills(Edit what) {
  return what == Edit::inpaint || what == Edit::repair;
}

/// A picture with a hole needs no mask beside it.
bool has_hole(const std::string& path) {
  return !load_picture(path).alpha.pixels.empty();
}

void check_edit_files(const EditWish& wish) {
  const std::string& what = enum_name(kEditNames, wish.what);
  const size_t wanted = wish.what == Edit::blend ? 2 : 1;
  if (wish.files.size() != wanted) {
    fail(ErrorKind::usage, "edit ", what, ": expected ", wanted,
         wanted == 1 ? " picture" : " pictures", ", found ", wish.files.size());
  }
  if (fills(wish.what) && wish.mask.empty()) {
    fail(ErrorKind::usage, "edit ", what,
         ": request.mask: expected a picture that is not black (or transparent) where ",
         "to fill, or one of lower, upper, left, right, middle");
  }
  if (!fills(wish.what) && !wish.mask.empty()) {
    fail(ErrorKind::usage, "request.mask: only inpaint and repair have one, not ", what);
  }
}

/// A picture in the size the model makes; for upscale and beside a mask of the user's every pixel
/// stays where it is.
Image prepare_picture(const std::string& path, const EditWish& wish, const DataInfo& info,
                      JobContext& context) {
  // Drawings are dark lines on white, whatever the set's are.
  if (wish.what == Edit::draw && !wish.as_is) {
    const OwnPicture own = fit_own_drawing(load_picture(path), info, path);
    if (!own.said.empty()) context.events.noted(path + ": " + own.said + " (request.as_is: not)");
    return own.image;
  }
  const bool movable =
      has_pen_convention(info) && !wish.as_is && mask_parts(info).contains(wish.mask);
  const bool fixed = wish.what == Edit::upscale || (fills(wish.what) && !movable);
  return own_picture(path, info, wish.as_is, context, fixed ? Placing::fixed : Placing::free);
}

/// What is edited, in the model's size.
struct EditedPictures {
  Tensor pictures, others, mask;
};

EditedPictures prepare_pictures(const EditWish& wish, const DataInfo& info, JobContext& context) {
  Image picture = prepare_picture(wish.files[0], wish, info, context);
  EditedPictures prepared;
  if (fills(wish.what)) {
    Image mask = load_mask(wish.mask, info, context);
    const bool together = picture.width == mask.width && picture.height == mask.height;
    const bool fits = mask.width == info.width && mask.height == info.height;
    if (together && !fits && !wish.as_is) {
      context.events.noted(concat(wish.files[0], ": scaled to ", info.width, "x", info.height,
                                  " together with its mask"));
      picture = resize_to_fit(picture, info.width, info.height);
      mask = resize_to_fit(mask, info.width, info.height);
      for (uint8_t& value : mask.pixels) value = value > 0 ? 255 : 0;
    }
    prepared.mask = from_images({mask}, 1)[0][0];
  }
  prepared.pictures = from_images({picture}, info.channels);
  if (wish.what == Edit::blend) {
    prepared.others =
        from_images({prepare_picture(wish.files[1], wish, info, context)}, info.channels);
  }
  return prepared;
}

std::string edit_name(const RunRequest& run, const EditWish& wish, const EditRequest& request,
                      int64_t count) {
  std::string words = concat("step-", run.manifest().step, "-", enum_name(kEditNames, wish.what));
  for (const std::string& file : wish.files) words += "-" + fs::path(file).stem().string();
  if (fills(wish.what)) words += "-mask-" + fs::path(wish.mask).stem().string();
  if (request.strength) words += "-strength-" + number_text(*request.strength, 4);
  words += concat("-seed-", wish.seed, "-n", count);
  if (request.label >= 0) words += concat("-class", request.label);
  return request_name(words + options_name(request.options, run.usual));
}

/// The options that were given: others are chosen for the edit.
Json given_options(const Settings& given, const Family& family) {
  Json options = Json::object();
  for (const Field& field : family.sampling) {
    if (const Json* value = given.find("sampling." + field.name)) {
      set_path(options, field.name, *value);
    }
  }
  return options;
}

/// One version alone; of more, what was given stands before them (of blend at both ends), with a
/// grey hole where it was to be filled.
std::vector<Image> sheet_cells(const EditedPictures& edited, const std::vector<Image>& made,
                               const DataInfo& info) {
  if (made.size() == 1) return made;
  const auto hidden = at::tensor(128, at::kByte);
  const Tensor given = edited.mask.defined() ? at::where(edited.mask.gt(0), hidden, edited.pictures)
                                             : edited.pictures;
  std::vector<Image> cells = to_images(given);
  cells[0] = scale_up(cells[0], info.width / cells[0].width);
  cells.insert(cells.end(), made.begin(), made.end());
  if (edited.others.defined()) cells.push_back(to_images(edited.others)[0]);
  return cells;
}

/// Edits, and writes the sheet; returns the files.
Json make_edit_sheet(const RunRequest& run, const EditWish& wish, const EditRequest& request,
                     int64_t count, const EditedPictures& edited, const fs::path& out,
                     JobContext& context) {
  const LoadedModel loaded = run.load(context);
  const auto images =
      to_images(edit_pixels(loaded, request, count, edited.pictures, edited.others, edited.mask));
  const auto cells = sheet_cells(edited, images, run.info());
  const SheetLayout layout =
      resolve_layout({.rows = 0, .columns = 0, .scale = wish.scale},
                     static_cast<int64_t>(cells.size()), run.info().width, run.info().height);
  const Image sheet = cells.size() == 1 ? cells[0] : grid(cells, layout.rows, layout.columns);
  const Image large = scale_up(sheet, layout.scale);
  Json made = {{"edit", enum_name(kEditNames, wish.what)},
               {"first", request.first},
               {"count", count},
               {"class", request.label},
               {"pictures_sha256", file_hashes(wish.files)},
               {"options", request.options}};
  if (request.strength) made["strength"] = *request.strength;
  const std::string png = encode_png(large, provenance(loaded, made, large, Origin::mixed));
  if (out == "-") {
    context.events.output(png);
    return Json::array();
  }
  deliver_file(out, png, context);
  context.events.pictured({sheet});
  return Json::array({out.string()});
}

Json run_edit(const Settings& given, JobContext& context) {
  const RunRequest run = open_request(edit_fields(), given, context);
  auto wish = read_request<EditWish>(edit_fields(), run.request);
  if (!given.find("request.what")) {
    fail(ErrorKind::usage,
         "request.what: expected inpaint, upscale, vary, blend, colorize, draw, repair, dream or ",
         "style");
  }
  if (makes_art(wish.what)) {
    return make_art({.run = run,
                     .what = wish.what,
                     .files = wish.files,
                     .of_class = wish.of_class,
                     .out = wish.out,
                     .seed = wish.seed,
                     .scale = wish.scale,
                     .as_is = wish.as_is,
                     .own = wish.art,
                     .given = given,
                     .context = context});
  }
  refuse_art_options(given, wish.what);
  if (!applies(MetricGroup::editing, *run.info().modality)) {  // it has no pictures
    fail(ErrorKind::usage, "edit ", enum_name(kEditNames, wish.what),
         ": expected a run that makes pictures, found one of ", run.info().modality->name());
  }
  if (fills(wish.what) && wish.mask.empty() && wish.files.size() == 1 && has_hole(wish.files[0])) {
    wish.mask = wish.files[0];
  }
  check_edit_files(wish);
  const int64_t usual = wish.what == Edit::blend || wish.what == Edit::vary ? 8 : 4;
  const int64_t count = wish.count > 0 ? wish.count : usual;
  const EditRequest request{
      .edit = wish.what,
      .first = wish.seed,
      .label = asked_class(wish.of_class, run.info()),
      .strength = given.find("request.strength") ? std::optional(wish.strength) : std::nullopt,
      .options = given_options(given, run.family),
      .check_wanted = [&] { context.check_wanted(); }};
  const EditedPictures edited = prepare_pictures(wish, run.info(), context);
  const fs::path out =
      !wish.out.empty()
          ? fs::path(wish.out)
          : run_output(run.reference.folder, edit_name(run, wish, request, count) + ".png");
  if (out != "-") check_writable(out, ".png");
  const Json files = make_edit_sheet(run, wish, request, count, edited, out, context);
  return {{"files", files},
          {"run", run.reference.folder.string()},
          {"step", run.manifest().step},
          {"edit", enum_name(kEditNames, wish.what)},
          {"first", request.first},
          {"count", count},
          {"class", request.label},
          {"options", request.options}};
}

}  // namespace

Job edit_job() {
  return {.name = "edit",
          .about =
              "applies a model to your own picture: inpaint, upscale, vary, blend, colorize, draw, "
              "repair, dream, style",
          .page = [] { return sampling_page(edit_fields()); },
          .form =
              [](const Settings& given, const JobContext& context) {
                return sampling_form(edit_fields(), given, context);
              },
          .run = run_edit};
}

}  // namespace genai
