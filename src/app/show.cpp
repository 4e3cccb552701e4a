#include <algorithm>
#include <cstdio>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "jobs-inl.h"
#include "show-inl.h"

namespace genai {

const EnumNames<ShowFormat> kShowFormatNames = {{ShowFormat::automatic, "auto"},
                                                {ShowFormat::strip, "strip"},
                                                {ShowFormat::apng, "apng"},
                                                {ShowFormat::gif, "gif"},
                                                {ShowFormat::frames, "frames"}};

namespace {

namespace fs = std::filesystem;

const FieldTable& show_fields() {
  static const FieldTable table =
      describe<ShowRequest>()
          .nest("", &ShowRequest::from, run_choice_fields())
          .field("what", &ShowRequest::what,
                 "path: from noise to samples, step by step (diffusion); with request.test or "
                 "request.forward "
                 "from a picture to noise. mix: one sample's styles in coarse layers, another's in "
                 "fine ones; directions: what changes images most (both: gan, kind style). next: "
                 "what a text may go on with, at three temperatures")
          .hint("WHAT")
          .field("test", &ShowRequest::test,
                 "path: the way of a test image, by its number among those that the run keeps",
                 at_least(0))
          .field("forward", &ShowRequest::forward, "path: the way of your picture")
          .hint("FILE")
          .field("as_is", &ShowRequest::as_is,
                 "request.forward: the picture as it is, neither inverted nor moved")
          .field("count", &ShowRequest::count,
                 "path: samples (4), or test images (1); mix: rows and columns (4)", between(1, 64))
          .option("n")
          .field("seed", &ShowRequest::seed, "number of the first sample (0)", at_least(0))
          .field("class", &ShowRequest::of_class,
                 "class of all of them, by name or number (one after the other)")
          .hint("CLASS")
          .field("view", &ShowRequest::view,
                 "path: the mixtures of image and noise, the images predicted behind them (both)",
                 kPathViewNames)
          .field("from", &ShowRequest::from_layer,
                 "mix: the layer, from 0 on, from which the column's styles rule (half of them)",
                 at_least(0))
          .field("directions", &ShowRequest::directions, "how many of them (5)", at_least(1))
          .field("strength", &ShowRequest::strength,
                 "directions: so far to both sides, in standard deviations (3)")
          .field("layers", &ShowRequest::layers,
                 "directions: of these layers, the coarsest is 0; and only they change (all)")
          .hint("FIRST-LAST")
          .field("prompt", &ShowRequest::prompt, "next: the text so far; @FILE: what is in a file")
          .hint("TEXT|@FILE")
          .field("top", &ShowRequest::top, "next: tokens shown (10)", at_least(1))
          .field("frames", &ShowRequest::frames,
                 "path: columns or frames, at most (12; animations 60); directions: so many from "
                 "side to side, odd (7; animations 31)",
                 between(2, 1000))
          .field("format", &ShowRequest::format,
                 "one picture, an animation, or a picture of each frame (as request.out ends, or "
                 "strip)",
                 kShowFormatNames)
          .field("out", &ShowRequest::out,
                 "file, for frames a folder; - is standard output (RUN/out/...)")
          .hint("FILE")
          .field("scale", &ShowRequest::scale, "whole-pixel enlargement (auto)", between(0, 64))
          .field("metadata", &ShowRequest::metadata, "what a PNG tells of its making",
                 kMetadataNames)
          .table();
  return table;
}

/// One thing to show, which families have it, and which fields are not everyone's.
struct View {
  std::string name;
  Capability needed;
  Json (*show)(const ShowWork&);
  std::vector<std::string> fields;
};

const std::vector<View>& views() {
  static const std::vector<View> all = {
      {"path",
       Denoiser::kCapability,
       show_path,
       {"test", "forward", "as_is", "count", "view", "frames"}},
      {"mix", StyleSpace::kCapability, show_mix, {"count", "from"}},
      {"directions",
       StyleSpace::kCapability,
       show_directions,
       {"frames", "directions", "strength", "layers"}},
      {"next", NextToken::kCapability, show_next, {"prompt", "top"}}};
  return all;
}

/// Refuses what the family cannot show, naming what it can.
const View& check_view(const std::string& what, const Family& family, ItemKind items) {
  const auto wanted = std::ranges::find(views(), what, &View::name);
  if (wanted != views().end() && offers(family, items, wanted->needed)) return *wanted;
  std::string names;
  for (const View& view : views()) {
    if (offers(family, items, view.needed)) names += (names.empty() ? "" : ", ") + view.name;
  }
  fail(ErrorKind::usage, "show: expected RUN and what to show, found ",
       what.empty() ? "nothing to show" : "'" + what + "'", "; the family '", family.name,
       "' of this run can show ", names.empty() ? "nothing yet" : names,
       wanted != views().end()
           ? concat(" (families with '", what, "': ", families_with(wanted->needed), ")")
           : "");
}

/// Refuses fields that would change nothing.
void check_view_fields(const Settings& given, const View& shown) {
  const auto takes = [](const View& view, const std::string& field) {
    return std::ranges::find(view.fields, field) != view.fields.end();
  };
  for (const View& other : views()) {
    for (const std::string& field : other.fields) {
      if (!given.find("request." + field) || takes(shown, field)) continue;
      std::string names;
      for (const View& view : views()) {
        if (takes(view, field)) names += (names.empty() ? "" : ", ") + view.name;
      }
      fail(ErrorKind::usage, "request.", field, ": is for ", names, ", not for ", shown.name);
    }
  }
}

/// As the end of request.out says, where nothing else does.
ShowFormat format_of_name(const std::string& out) {
  const std::string end = fs::path(out).extension().string();
  return end == ".gif" ? ShowFormat::gif : end == ".apng" ? ShowFormat::apng : ShowFormat::strip;
}

/// Frames need a folder; an ending that promises another format misleads every program.
void check_ending(ShowFormat format, const std::string& out) {
  if (out == "-" && format == ShowFormat::frames) {
    fail(ErrorKind::usage, "request.out: frames are files in a folder, not standard output");
  }
  if (out.empty() || out == "-") return;
  const std::string end = fs::path(out).extension().string();
  const bool fits = format == ShowFormat::gif    ? end == ".gif"
                    : format == ShowFormat::apng ? end == ".apng" || end == ".png"
                    : format == ShowFormat::strip
                        ? end == ".png"
                        : end != ".gif" && end != ".apng" && end != ".png";
  if (fits) return;
  fail(ErrorKind::usage, "request.out: expected ",
       format == ShowFormat::gif     ? "a .gif file"
       : format == ShowFormat::apng  ? "a .apng or .png file"
       : format == ShowFormat::strip ? "a .png file (or request.format gif, apng or frames)"
                                     : "a folder",
       " for ", enum_name(kShowFormatNames, format), ", found ", out);
}

std::string ending_of(ShowFormat format) {
  return format == ShowFormat::gif     ? ".gif"
         : format == ShowFormat::apng  ? ".apng"
         : format == ShowFormat::strip ? ".png"
                                       : "";
}

Json run_show(const Settings& given, JobContext& context) {
  const RunRequest run = open_request(show_fields(), given, context);
  auto request = read_request<ShowRequest>(show_fields(), run.request);
  const View& view = check_view(request.what, run.family, run.info().kind());
  check_view_fields(given, view);
  if (request.format == ShowFormat::automatic) request.format = format_of_name(request.out);
  check_ending(request.format, request.out);
  return view.show({.run = run,
                    .request = request,
                    .given = given,
                    .context = context,
                    .label = asked_class(request.of_class, run.info())});
}

}  // namespace

ImageRequest ShowWork::images(int64_t count) const {
  return {.first = request.seed,
          .count = count,
          .label = label,
          .options = run.options,
          .check_wanted = [this] { context.check_wanted(); }};
}

fs::path ShowWork::out(const std::string& words) const {
  if (request.out == "-") return "-";
  std::string name = concat("step-", run.manifest().step, "-", request.what, words);
  if (request.scale > 0) name += concat("-scale-", request.scale);
  if (label >= 0) name += concat("-class", label);
  const fs::path out = !request.out.empty()
                           ? fs::path(request.out)
                           : run_output(run.reference.folder,
                                        request_name(name + options_name(run.options, run.usual)) +
                                            ending_of(request.format));
  check_writable(request.format == ShowFormat::frames ? out / "0.png" : out,
                 request.format == ShowFormat::gif ? ".gif" : ".png");
  return out;
}

Json deliver(const ShowWork& work, const LoadedModel& loaded, const fs::path& out,
             const ShownPictures& shown) {
  const auto texts = [&](int64_t frame) {
    if (work.request.metadata == Metadata::none) return std::vector<PngText>{};
    return provenance(loaded, shown.request(frame), shown.frames[0].image, shown.origin);
  };
  const ShowFormat format = work.request.format;
  Json files = Json::array();
  if (format == ShowFormat::frames) {
    for (size_t i = 0; i < shown.frames.size(); ++i) {
      char name[32];
      std::snprintf(name, sizeof name, "%03zu.png", i);
      deliver_file(out / name, encode_png(shown.frames[i].image, texts(static_cast<int64_t>(i))),
                   work.context);
      files.push_back((out / name).string());
    }
  } else {
    const std::string bytes =
        format == ShowFormat::strip
            ? encode_png(shown.frames[0].image, texts(-1))
            : encode_moving(shown.frames, format == ShowFormat::gif, texts(-1));
    if (out == "-") {
      work.context.events.output(bytes);
    } else {
      deliver_file(out, bytes, work.context);
      files.push_back(out.string());
    }
  }
  Json result = shown.request(-1);
  result.update(shown.found);
  result["files"] = files;
  result["run"] = work.run.reference.folder.string();
  result["step"] = work.run.manifest().step;
  result["weights_sha256"] = work.run.manifest().weights_sha256();
  return result;
}

Job show_job() {
  return {.name = "show",
          .about = "pictures, animations and bars of how a model works",
          .page =
              [] {
                std::vector<Capability> shown;
                for (const View& view : views()) shown.push_back(view.needed);
                return sampling_page(show_fields(), shown);
              },
          .form =
              [](const Settings& given, const JobContext& context) {
                return sampling_form(show_fields(), given, context);
              },
          .run = run_show};
}

}  // namespace genai
