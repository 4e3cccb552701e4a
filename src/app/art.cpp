#include <ATen/ATen.h>

#include <algorithm>

#include "art-inl.h"
#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/evaluation/outliers.h"
#include "genai/generation/dream.h"
#include "genai/generation/style.h"

namespace genai {

const FieldTable& art_fields() {
  static const FieldTable table =
      describe<ArtWish>()
          .field(
              "layer", &ArtWish::layer,
              "dream: of what excites this layer, in the place of a class; style: the layer that "
              "sees the content (the last)")
          .hint("LAYER")
          .field("of", &ArtWish::of, "style: the picture whose style it is")
          .hint("FILE")
          .field("octaves", &ArtWish::octaves,
                 "dream, style: sizes, each 1.4 times the one before, that are changed in turn (3)",
                 between(1, 16))
          .field("steps", &ArtWish::steps, "dream: steps in each octave (30); style (60)",
                 between(1, 100000))
          .field("rate", &ArtWish::rate,
                 "dream: mean change of a pixel, 0 to 1, in a step (0.015); style (0.03)",
                 {.min = 0, .max = 1, .open_min = true})
          .field("keep", &ArtWish::keep, "dream: weight of the given picture (1)", at_least(0))
          .field("weight", &ArtWish::weight, "style: its weight against the content (100)",
                 at_least(0))
          .field("size", &ArtWish::size,
                 "dream of a layer, style: the longer side of the picture (256)", between(16, 1024))
          .table();
  return table;
}

namespace {

constexpr int64_t kUsualSize = 256;
/// Frames of the way, at most.
constexpr int64_t kWayFrames = 30;

/// An edit of a classifier's and the options that are its alone.
struct Art {
  Edit what;
  std::vector<std::string> fields;
};

const std::vector<Art>& arts() {
  static const std::vector<Art> all = {
      {Edit::dream, {"layer", "octaves", "steps", "rate", "keep", "size"}},
      {Edit::style, {"layer", "octaves", "steps", "rate", "of", "weight", "size"}}};
  return all;
}

bool takes(const Art& art, const std::string& field) {
  return std::ranges::find(art.fields, field) != art.fields.end();
}

void check_art(const ArtRequest& request) {
  const std::string name = enum_name(kEditNames, request.what);
  refuse_art_options(request.given, request.what);
  refuse_given(request.given, {"mask", "count", "strength"}, concat("is not for ", name));
  if (request.files.size() != 1) {
    fail(ErrorKind::usage, "edit ", name, ": expected 1 picture, found ", request.files.size());
  }
  if (request.what == Edit::style) {
    refuse_given(request.given, {"class"}, "is for dream, not for style");
    if (request.own.of.empty()) {
      fail(ErrorKind::usage, "edit style: request.of: expected the picture whose style it is");
    }
  } else if (!request.of_class.empty() && !request.own.layer.empty()) {
    fail(ErrorKind::usage, "give request.class or request.layer, not both");
  }
  const bool sized = request.of_class.empty();
  refuse_given(request.given, {sized ? "as_is" : "size"},
               sized ? "layers see pictures as they are"
                     : "is for layers; a class is seen in the model's own size");
}

/// The picture as it is, its longer side so long.
Image sized_picture(const std::string& path, int64_t size, JobContext& context) {
  const Picture picture = load_picture(path);
  if (!picture.alpha.pixels.empty())
    context.events.noted(path + ": put over white where it is transparent");
  const Image& image = picture.image;
  const int64_t longer = std::max(image.width, image.height);
  const auto side = [&](int64_t length) {
    return std::max<int64_t>(1, (length * size + longer / 2) / longer);
  };
  return resize_to_fit(image, side(image.width), side(image.height));
}

/// What an art makes, and what it was asked for with everything filled in.
struct MadeArt {
  std::vector<Tensor> way;  ///< uint8 [C, H, W], the given picture first
  Json options = Json::object();
  Json found = Json::object();
};

/// Keeps some pictures of the way; tells how far it is and ends it where nobody wants it any more.
PictureWatch keep_way(const ArtRequest& request, std::vector<Tensor>& way) {
  return [&request, &way](const Tensor& picture, double done) {
    request.context.progress()(enum_name(kEditNames, request.what), done);
    const auto due = static_cast<size_t>(done * static_cast<double>(kWayFrames - 1) + 1e-9);
    if (done < 1 && due >= way.size()) way.push_back(picture);
  };
}

Ascent ascent_of(const ArtRequest& request, const Ascent& usual) {
  const ArtWish& own = request.own;
  return {.octaves = own.octaves > 0 ? own.octaves : usual.octaves,
          .steps = own.steps > 0 ? own.steps : usual.steps,
          .rate = own.rate > 0 ? own.rate : usual.rate,
          .seed = request.seed};
}

Json options_of(const Ascent& ascent) {
  return {{"octaves", ascent.octaves}, {"steps", ascent.steps}, {"rate", ascent.rate}};
}

/// {"class", "before", "after"}: the probability of the class.
Json class_before_and_after(const ArtRequest& request, const LoadedModel& loaded, int64_t label,
                            const MadeArt& made) {
  DataInfo info = loaded.manifest.data;
  const std::string name = info.classes[static_cast<size_t>(label)];
  info.source = "pictures";
  const Tensor both = at::stack({made.way.front(), made.way.back()});
  const Tensor p = class_probabilities(
      loaded, {.name = "pictures", .images = {.grids = both, .labels = {}}, .info = info});
  const double before = p[0][label].item<double>(), after = p[1][label].item<double>();
  request.context.events.noted(concat("probability of ", name, ": ", number_text(before, 4),
                                      " before, ", number_text(after, 4), " after"));
  return {{"class", name}, {"before", before}, {"after", after}};
}

MadeArt make_dream(const ArtRequest& request, const LoadedModel& loaded, int64_t label) {
  const DataInfo& info = request.run.info();
  DreamRequest asked{.label = label, .layer = request.own.layer, .keep = request.own.keep};
  asked.ascent = ascent_of(request, asked.ascent);
  MadeArt made{.options = options_of(asked.ascent)};
  made.options["keep"] = asked.keep;
  const int64_t size = request.own.size > 0 ? request.own.size : kUsualSize;
  if (label < 0) {
    asked.layer = find_layer(loaded, asked.layer).name;
    made.options.update({{"layer", asked.layer}, {"size", size}});
  }
  const Image picture = label >= 0
                            ? own_picture(request.files[0], info, request.as_is, request.context)
                            : sized_picture(request.files[0], size, request.context);
  const Tensor given = from_images({picture}, info.channels)[0];
  made.way = {given};
  made.way.push_back(dream(loaded, asked, given, keep_way(request, made.way)));
  if (label >= 0) made.found["probability"] = class_before_and_after(request, loaded, label, made);
  return made;
}

MadeArt make_style(const ArtRequest& request, const LoadedModel& loaded) {
  const int64_t channels = request.run.info().channels;
  const int64_t size = request.own.size > 0 ? request.own.size : kUsualSize;
  StyleRequest asked{.layer = find_layer(loaded, request.own.layer).name,
                     .weight = request.own.weight};
  asked.ascent = ascent_of(request, asked.ascent);
  MadeArt made{.options = options_of(asked.ascent)};
  made.options.update({{"weight", asked.weight}, {"layer", asked.layer}, {"size", size}});
  const auto read = [&](const std::string& path) {
    return from_images({sized_picture(path, size, request.context)}, channels)[0];
  };
  const Tensor content = read(request.files[0]);
  made.way = {content};
  made.way.push_back(
      transfer_style(loaded, asked, content, read(request.own.of), keep_way(request, made.way)));
  return made;
}

std::string art_name(const ArtRequest& request, int64_t label) {
  const auto stem = [](const std::string& path) {
    return std::filesystem::path(path).stem().string();
  };
  std::string words = concat("step-", request.run.manifest().step, "-",
                             enum_name(kEditNames, request.what), "-", stem(request.files[0]));
  if (!request.own.of.empty()) words += "-of-" + stem(request.own.of);
  words += concat("-seed-", request.seed);
  if (label >= 0) words += concat("-class", label);
  for (const Field& field : art_fields()) {
    const Json* value = request.given.find("request." + field.name);
    if (value && field.name != "of") {
      words += concat("-", field.name, "-",
                      value->is_string() ? value->get<std::string>() : value->dump());
    }
  }
  return request_name(words) + ".png";
}

/// ".gif" and ".apng" show the way, everything else its end.
std::string ending_of(const std::filesystem::path& out) {
  const std::string end = out.extension().string();
  return end == ".gif" || end == ".apng" ? end : ".png";
}

std::string encode_art(const LoadedModel& loaded, const MadeArt& made, const Json& told,
                       int64_t scale, const std::string& ending) {
  std::vector<Image> pictures;
  for (const Tensor& picture : made.way) pictures.push_back(scale_up(to_images(picture)[0], scale));
  const auto texts = provenance(loaded, told, pictures.back(), Origin::mixed);
  return ending == ".png" ? encode_png(pictures.back(), texts)
                          : encode_moving(frames_of_way(pictures), ending == ".gif", texts);
}

}  // namespace

bool makes_art(Edit what) {
  return std::ranges::find(arts(), what, &Art::what) != arts().end();
}

void refuse_art_options(const Settings& given, Edit what) {
  const auto own = std::ranges::find(arts(), what, &Art::what);
  for (const Field& field : art_fields()) {
    if (own != arts().end() && takes(*own, field.name)) continue;
    std::string names;
    for (const Art& art : arts()) {
      if (takes(art, field.name))
        names += (names.empty() ? "" : ", ") + enum_name(kEditNames, art.what);
    }
    refuse_given(given, {field.name},
                 concat("is for ", names, ", not for ", enum_name(kEditNames, what)));
  }
}

Json make_art(const ArtRequest& request) {
  const RunRequest& run = request.run;
  const std::string name = enum_name(kEditNames, request.what);
  const LoadedModel loaded = run.load(request.context);
  pixel_classifier(loaded, "edit " + name);
  check_art(request);
  const int64_t label = asked_class(request.of_class, run.info());
  const std::filesystem::path out =
      !request.out.empty() ? std::filesystem::path(request.out)
                           : run_output(run.reference.folder, art_name(request, label));
  const std::string ending = ending_of(out);
  if (out != "-") check_writable(out, ending);
  const MadeArt made = request.what == Edit::dream ? make_dream(request, loaded, label)
                                                   : make_style(request, loaded);
  std::vector<std::string> files = request.files;
  if (!request.own.of.empty()) files.push_back(request.own.of);
  const Json told = {{"edit", name},
                     {"first", request.seed},
                     {"count", 1},
                     {"class", label},
                     {"pictures_sha256", file_hashes(files)},
                     {"options", made.options}};
  const Tensor& picture = made.way.back();
  const int64_t scale =
      resolve_layout({.scale = request.scale}, 1, picture.size(2), picture.size(1)).scale;
  const std::string bytes = encode_art(loaded, made, told, scale, ending);
  Json result = told;
  result.update({{"files", Json::array()},
                 {"run", run.reference.folder.string()},
                 {"step", run.manifest().step}});
  result.update(made.found);
  if (out == "-") {
    request.context.events.output(bytes);
    return result;
  }
  deliver_file(out, bytes, request.context);
  request.context.events.pictured(to_images(picture));
  result["files"].push_back(out.string());
  return result;
}

}  // namespace genai
