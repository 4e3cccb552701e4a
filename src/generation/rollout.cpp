#include "genai/generation/rollout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "genai/base/error.h"
#include "genai/base/figure.h"
#include "genai/base/picture.h"
#include "genai/data/images.h"

namespace genai {
namespace {

constexpr int64_t kFrameNumbers = int64_t{1} << 40;  // sample numbers from frame to frame
constexpr int64_t kMostMade = 10000;
constexpr int64_t kMilliseconds = 150, kLastMilliseconds = 1000;

void check_rollout(const ConditionSpecs& specs, int64_t frames) {
  if (frames < 1 || frames > kMostMade) {
    fail(ErrorKind::usage, "request.frames: expected 1 to ", kMostMade, ", found ", frames);
  }
  if (!find_condition(specs, kPast)) {
    fail(ErrorKind::usage,
         "request.frames: expected a model that is told the frames before; train ",
         "one of clips with data.past N and model.condition ", kPast);
  }
  for (const ConditionSpec& spec : specs) {
    if (spec.kind != ConditionKind::grid || spec.name == kPast) continue;
    fail(ErrorKind::usage, "request.frames: this model is also told the ", spec.name,
         " of each frame, which frames to come do not have");
  }
}

/// What the samples are told at first: item i is sample request.first + i's.
Split first_items(const ImageRequest& request, const ConditionSpecs& specs, const DataInfo& info) {
  const ConditionSource& source = request.condition;
  const auto given = source.given.find(kPast);
  if (given == source.given.end()) {
    const Tensor all = at::arange(request.first, request.first + request.count);
    const Tensor index =
        source.test >= 0 ? at::full_like(all, source.test) : all.remainder(source.items.size());
    return source.items.at(index);
  }
  const int64_t fold = find_condition(specs, kPast)->fold;
  const Tensor grid = fold == 1 ? given->second : at::pixel_shuffle(given->second, fold);
  const Tensor clip = quantized(grid).view({info.past, info.channels, info.height, info.width});
  const int64_t classes = classes_of(specs);
  return {.grids = clip.narrow(0, info.past - 1, 1).expand({request.count, -1, -1, -1}),
          .labels = classes > 0 ? sample_labels(request.first, request.count, classes) : Tensor(),
          .frames = clip,
          .before = at::zeros({request.count}, at::kLong),
          .past = info.past};
}

/// The items in the order in which samples from `first` on take them, one after the other.
Split for_numbers(const Split& items, int64_t first) {
  return items.at(at::arange(items.size()).sub(first).remainder(items.size()));
}

std::vector<Image> frame_images(const Rollout& rollout, int64_t frame) {
  const int64_t past = rollout.past.size(1);
  return to_images(frame < past ? rollout.past.select(1, frame)
                                : rollout.frames.select(1, frame - past));
}

/// Of the frame that it is: -1 is the last one before, 1 the first one made.
std::string frame_name(int64_t frame, int64_t past) {
  return frame < past ? concat(frame - past) : concat("+", frame - past + 1);
}

}  // namespace

Rollout roll_out(const LoadedModel& loaded, const ImageRequest& asked, int64_t frames) {
  const DataInfo& info = loaded.manifest.data;
  const ConditionSpecs& specs = loaded.model->conditions();
  check_rollout(specs, frames);
  const ImageRequest request = with_conditions(loaded, asked);
  check_request(request, *loaded.model, info);
  Split items = first_items(request, specs, info);
  const int64_t count = request.count;
  const std::vector<int64_t> shape{count, -1, info.channels, info.height, info.width};
  Rollout rollout{.past = items.past_frames().view(shape), .frames = {}};
  Tensor window = rollout.past;  // the frames before the next one
  items.before = at::arange(count) * info.past;
  std::vector<Tensor> made;
  for (int64_t frame = 0; frame < frames; ++frame) {
    items.frames = window.flatten(0, 1);
    ImageRequest next = request;
    next.first = request.first + frame * kFrameNumbers;
    next.condition = {.items = for_numbers(items, next.first), .prompt = request.condition.prompt};
    made.push_back(generate_items(*loaded.model, next, info, loaded.device).unsqueeze(1));
    window = at::cat({window.narrow(1, 1, info.past - 1), made.back()}, 1);
  }
  rollout.frames = at::cat(made, 1);
  return rollout;
}

Tensor past_of_clip(const ConditionSpec& past, const std::vector<Image>& clip,
                    const std::string& name, const DataInfo& info) {
  const auto found = static_cast<int64_t>(clip.size());
  if (found < info.past) {
    fail(ErrorKind::usage, "request.condition: ", name, ": expected a clip of at least ", info.past,
         " frames, which this model is told, found ", found);
  }
  std::vector<Image> last;
  for (int64_t i = found - info.past; i < found; ++i) {
    const Image& frame = clip[static_cast<size_t>(i)];
    if (frame.width != clip[0].width || frame.height != clip[0].height) {
      fail(ErrorKind::data, name, ": expected frames of one size, ", clip[0].width, "x",
           clip[0].height, " as the first, found ", frame.width, "x", frame.height);
    }
    last.push_back(resize_to_fit(frame, info.width, info.height));
  }
  const Tensor grid = from_images(last, info.channels)
                          .view({1, info.past * info.channels, info.height, info.width})
                          .to(at::kFloat)
                          .div(255);
  return past.fold == 1 ? grid : at::pixel_unshuffle(grid, past.fold);
}

Image draw_clip_strip(const Rollout& rollout, int64_t scale) {
  const int64_t past = rollout.past.size(1), all = past + rollout.frames.size(1);
  Figure figure{.rows = rollout.past.size(0), .columns = all, .scale = scale};
  std::vector<std::vector<Image>> columns;
  for (int64_t frame = 0; frame < all; ++frame) {
    figure.column_names.push_back(frame_name(frame, past));
    columns.push_back(frame_images(rollout, frame));
  }
  std::vector<Image> cells;
  for (size_t row = 0; row < columns[0].size(); ++row) {
    for (const auto& column : columns) cells.push_back(column[row]);
  }
  return draw_figure(figure, cells);
}

std::vector<Frame> draw_clips(const Rollout& rollout, int64_t scale) {
  const int64_t past = rollout.past.size(1), all = past + rollout.frames.size(1);
  const SheetLayout layout = resolve_layout({.scale = scale}, rollout.past.size(0), 1, 1);
  std::vector<Frame> frames;
  for (int64_t frame = 0; frame < all; ++frame) {
    const Figure figure{.rows = layout.rows,
                        .columns = layout.columns,
                        .scale = scale,
                        .column_names = std::vector<std::string>(
                            static_cast<size_t>(layout.columns), frame_name(frame, past))};
    frames.push_back({.image = draw_figure(figure, frame_images(rollout, frame)),
                      .milliseconds = frame + 1 < all ? kMilliseconds : kLastMilliseconds});
  }
  return frames;
}

int64_t clip_scale(int64_t scale, bool strip, int64_t count, int64_t frames, const DataInfo& info) {
  constexpr int64_t kStripWidth = 1600;
  if (scale > 0) return scale;
  if (!strip) return resolve_layout({}, count, info.width, info.height).scale;
  return std::clamp<int64_t>(kStripWidth / ((frames + info.past) * info.width), 1, 64);
}

Json rollout_json(const LoadedModel& loaded, const ImageRequest& request, int64_t frames,
                  bool strip, int64_t scale) {
  Json json = {{"rollout", frames},      {"strip", strip},         {"first", request.first},
               {"count", request.count}, {"class", request.label}, {"options", request.options},
               {"scale", scale}};
  add_condition(json, loaded, request);
  return json;
}

std::vector<Image> draw_rollout_again(const LoadedModel& loaded, const Json& json) {
  const Rollout rollout = roll_out(loaded,
                                   {.first = json.at("first"),
                                    .count = json.at("count"),
                                    .label = json.at("class"),
                                    .options = json.at("options"),
                                    .condition = condition_from_json(json)},
                                   json.at("rollout"));
  const int64_t scale = json.at("scale");
  if (json.at("strip")) return {draw_clip_strip(rollout, scale)};
  std::vector<Image> pictures;
  for (Frame& frame : draw_clips(rollout, scale)) pictures.push_back(std::move(frame.image));
  return pictures;
}

}  // namespace genai
