#include <cstdio>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/data/unicode.h"
#include "genai/generation/styles.h"
#include "genai/generation/text_samples.h"
#include "items-inl.h"
#include "show-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

// ---- Path

/// What was asked for; pictures are read later, where the model is known.
PathRequest path_request(const ShowWork& work) {
  constexpr int64_t kStripFrames = 12, kMovingFrames = 60;
  const ShowRequest& asked = work.request;
  if (!asked.forward.empty() && asked.test >= 0) {
    fail(ErrorKind::usage, "give request.forward or request.test, not both");
  }
  const bool counted = work.counted("count");
  if (!asked.forward.empty() && counted && asked.count != 1) {
    fail(ErrorKind::usage, "request.count: request.forward shows one picture, found ", asked.count);
  }
  const bool forward = !asked.forward.empty() || asked.test >= 0;
  return {.images = work.images(counted || !forward ? asked.count : 1),
          .test = asked.test,
          .frames = asked.frames > 0 ? asked.frames
                    : work.moves()   ? kMovingFrames
                                     : kStripFrames};
}

/// "-test-5-seed-0-n4"
std::string path_words(const ShowRequest& asked, const ImageRequest& images) {
  std::string words;
  if (asked.test >= 0) words += concat("-test-", asked.test);
  if (!asked.forward.empty()) words += concat("-of-", fs::path(asked.forward).stem().string());
  words += concat("-seed-", images.first, "-n", images.count);
  if (asked.view != PathView::both) words += "-" + enum_name(kPathViewNames, asked.view);
  if (asked.frames > 0) words += concat("-frames-", asked.frames);
  return words;
}

// ---- Styles

/// "0-2" or "1" into first and last layer.
void parse_layers(const std::string& text, DirectionsRequest& request) {
  if (text.empty()) return;
  long long first = 0, last = 0;
  char rest = 0;
  const int found = std::sscanf(text.c_str(), "%lld-%lld%c", &first, &last, &rest);
  const bool digits = text.find_first_not_of("0123456789-") == std::string::npos;
  const bool range = found == 2 && first >= 0 && last >= 0;
  if (!digits || !(range || (found == 1 && text.find('-') == std::string::npos))) {
    fail(ErrorKind::usage, "request.layers: expected FIRST-LAST (0-2) or one layer, found '", text,
         "'");
  }
  request.first_layer = first;
  request.last_layer = found == 2 ? last : first;
}

DirectionsRequest directions_request(const ShowWork& work) {
  constexpr int64_t kStripFrames = 7, kMovingFrames = 31;
  const ShowRequest& asked = work.request;
  DirectionsRequest request{.images = work.images(1),
                            .directions = asked.directions,
                            .strength = asked.strength,
                            .frames = asked.frames > 0 ? asked.frames
                                      : work.moves()   ? kMovingFrames
                                                       : kStripFrames};
  parse_layers(asked.layers, request);
  return request;
}

/// "-seed-0-directions-8-layers-0-1": the usual values go without saying.
std::string directions_words(const ShowRequest& asked) {
  const DirectionsRequest usual;
  std::string words = concat("-seed-", asked.seed);
  if (asked.directions != usual.directions) words += concat("-directions-", asked.directions);
  if (asked.strength != usual.strength) words += concat("-strength-", asked.strength);
  if (asked.frames > 0) words += concat("-frames-", asked.frames);
  if (!asked.layers.empty()) words += "-layers-" + asked.layers;
  return words;
}

Json numbers_of(const Tensor& values) {
  Json list = Json::array();
  for (int64_t i = 0; i < values.size(0); ++i) list.push_back(values[i].item<double>());
  return list;
}

}  // namespace

Json show_path(const ShowWork& work) {
  const ShowRequest& asked = work.request;
  const DataInfo& info = work.run.info();
  PathRequest request = path_request(work);
  if (!asked.forward.empty()) {
    request.pictures.grids =
        from_images({own_picture(asked.forward, info, asked.as_is, work.context)}, info.channels);
  }
  const fs::path out = work.out(path_words(asked, request.images));
  const LoadedModel loaded = work.run.load(work.context);
  if (request.test >= 0) take_test_pictures(loaded, request);
  const std::vector<PathFrame> path = find_path(loaded, request, [&](const PathFrame& frame) {
    work.context.check_wanted();
    work.context.events.frame(frame, asked.view, frame_time(request.frames));
  });
  const PathLayout layout =
      resolve_layout(PathLayout{.view = asked.view, .strip = !work.moves(), .scale = asked.scale},
                     request.images.count, static_cast<int64_t>(path.size()), info);
  Json levels = Json::array();
  for (const PathFrame& frame : path) {
    levels.push_back({{"alpha", frame.level.alpha}, {"sigma", frame.level.sigma}});
  }
  return deliver(
      work, loaded, out,
      {.frames = frames_of_way(draw_path(path, layout, told_on_path(loaded, request))),
       .request = [&](int64_t frame) { return path_json(loaded, request, layout, frame); },
       .found = {{"levels", levels}},
       .origin = request.pictures.grids.defined() ? Origin::mixed : Origin::model});
}

Json show_mix(const ShowWork& work) {
  const ShowRequest& asked = work.request;
  if (work.moves()) {
    fail(ErrorKind::usage, "request.format: mix is one picture; expected strip (a .png), found ",
         enum_name(kShowFormatNames, asked.format));
  }
  const LoadedModel loaded = work.run.load(work.context);
  const MixRequest request = resolve_request(
      loaded, MixRequest{.images = work.images(asked.count), .from = asked.from_layer});
  const int64_t scale = mix_scale(request, asked.scale, work.run.info());
  const fs::path out =
      work.out(concat("-seed-", asked.seed, "-n", asked.count,
                      asked.from_layer >= 0 ? concat("-from-", asked.from_layer) : ""));
  const Image picture = draw_mix(find_mix(loaded, request), request, scale);
  return deliver(work, loaded, out, {.frames = {{.image = picture}}, .request = [&](int64_t) {
                                       return mix_json(loaded, request, scale);
                                     }});
}

Json show_directions(const ShowWork& work) {
  constexpr int64_t kMilliseconds = 50;
  const LoadedModel loaded = work.run.load(work.context);
  const DirectionsRequest request = resolve_request(loaded, directions_request(work));
  const DirectionsLayout layout =
      resolve_layout(DirectionsLayout{.strip = !work.moves(), .scale = work.request.scale}, request,
                     work.run.info());
  const fs::path out = work.out(directions_words(work.request));
  const Directions found = find_directions(loaded, request);
  std::vector<Frame> frames;
  for (Image& picture : draw_directions(found, request, layout)) {
    frames.push_back({.image = std::move(picture), .milliseconds = kMilliseconds});
  }
  return deliver(
      work, loaded, out,
      {.frames = std::move(frames),
       .request = [&](int64_t frame) { return directions_json(loaded, request, layout, frame); },
       .found = {{"shares", numbers_of(found.shares)},
                 {"deviations", numbers_of(found.deviations)}}});
}

Json show_next(const ShowWork& work) {
  refuse_given(work.given, {"format", "out", "scale", "class", "metadata"},
               "next is text, not a picture");
  const LoadedModel loaded = work.run.load_writer(work.context);
  const DataInfo& info = loaded.manifest.data;
  const TextRequest request{.prompt = prompt_text(work.request.prompt),
                            .options = work.run.options};
  // Sharper than the model, as it says itself, flatter.
  std::vector<double> temperatures = {0.5, 1, 1.5};
  if (work.given.find("sampling.temperature"))
    temperatures = {work.run.options.at("temperature").get<double>()};
  Json all = Json::array();
  for (const NextCandidates& next : next_tokens(*loaded.model, request, info, temperatures)) {
    Json candidates = Json::array();
    for (const auto& candidate : next.candidates) {
      candidates.push_back({{"id", candidate.token},
                            {"text", valid_utf8(info.tokenizer->token(candidate.token))},
                            {"visible", visible_text(info.tokenizer->token(candidate.token))},
                            {"probability", candidate.probability}});
    }
    all.push_back({{"temperature", next.temperature}, {"candidates", candidates}});
  }
  // Of a series the last line tells where it stands.
  const std::string& prompt = request.prompt;
  const size_t from = info.tokenizer->changes() ? prompt.rfind('\n') + 1 : 0;
  return {{"prompt", valid_utf8(prompt)},
          {"after", visible_text(prompt.empty() ? "\n" : prompt.substr(from))},
          {"top", work.request.top},
          {"next", all}};
}

}  // namespace genai
