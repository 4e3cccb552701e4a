#include "genai/generation/path.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <numeric>
#include <set>

#include "genai/base/error.h"
#include "genai/base/figure.h"
#include "genai/base/text.h"
#include "genai/data/batcher.h"
#include "genai/generation/model_space.h"
#include "genai/sampling/from_noise.h"

namespace genai {

const EnumNames<PathView> kPathViewNames = {
    {PathView::noisy, "noisy"}, {PathView::clean, "clean"}, {PathView::both, "both"}};

namespace {

constexpr int64_t kPerRow = 8;  // images side by side in a picture of one frame
/// Strips and pictures of one frame are enlarged to about these widths.
constexpr int64_t kStripWidth = 1600, kFrameWidth = 640, kMostHeight = 2400;

/// Places 0 .. total - 1, or `most` of them.
std::vector<int64_t> chosen(int64_t total, int64_t most) {
  if (most < 0 || most == 1) {
    fail(ErrorKind::usage, "request.frames: expected 0 (all) or at least 2, found ", most);
  }
  const int64_t count = most == 0 ? total : std::min(total, most);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i) {
    places.push_back((i * (total - 1) + (count - 1) / 2) / std::max<int64_t>(1, count - 1));
  }
  return places;
}

/// The frames of all chunks as if they were one.
std::vector<PathFrame> joined(const std::vector<std::vector<PathFrame>>& chunks) {
  std::vector<PathFrame> all;
  for (size_t i = 0; i < chunks[0].size(); ++i) {
    std::vector<Tensor> noisy, clean;
    for (const auto& frames : chunks) {
      noisy.push_back(frames[i].noisy);
      clean.push_back(frames[i].clean);
    }
    all.push_back({.level = chunks[0][i].level, .noisy = at::cat(noisy), .clean = at::cat(clean)});
  }
  return all;
}

std::vector<PathFrame> path_of_samples(const LoadedModel& loaded, const PathRequest& request,
                                       const FrameWatch& watch) {
  auto& denoiser = loaded.as<Denoiser>("show path");
  const ModelSpace space(*loaded.model, loaded.manifest.data);
  std::vector<std::vector<PathFrame>> chunks;
  const auto make = [&](const Draw& draw, const Tensors& told, int64_t first, int64_t count) {
    const Denoiser::SamplingPlan plan = denoiser.sampling_plan(told, request.images.options);
    const auto places = chosen(static_cast<int64_t>(plan.levels.size()), request.frames);
    const std::set<int64_t> shown(places.begin(), places.end());
    std::vector<PathFrame>& frames = chunks.emplace_back();
    const auto add = [&](const NoiseLevel& level, const Tensor& x, const Tensor& clean) {
      frames.push_back({.level = level,
                        .noisy = space.pictures(x, level).narrow(0, first, count),
                        .clean = space.pictures(clean).narrow(0, first, count)});
      if (watch && chunks.size() == 1) watch(frames.back());
    };
    const Tensor x = solve_from_noise(draw, space.shape(), plan.levels, plan.denoise, plan.solver,
                                      [&](int64_t step, const Estimate& at) {
                                        if (shown.count(step)) add(at.level, at.x, at.clean);
                                      });
    add(plan.levels.back(), x, x);
    return space.items(x);
  };
  generate_items(loaded, request.images, make);
  return joined(chunks);
}

/// What the model is told of the pictures: their classes where they are known, and what is derived
/// from them.
Tensors told_of(const LoadedModel& loaded, const PathRequest& request) {
  const DataInfo& info = loaded.manifest.data;
  ImageRequest images = request.images;
  Split& items = images.condition.items;
  items = request.pictures;
  check_request(images, *loaded.model, info);
  const int64_t label = images.label;
  if (label >= 0) items.labels = at::full({images.count}, label, at::kLong);
  std::vector<int64_t> numbers(static_cast<size_t>(images.count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return test_conditions(loaded.model->conditions(), items, info, numbers, loaded.device);
}

std::vector<PathFrame> path_of_pictures(const LoadedModel& loaded, const PathRequest& request,
                                        const FrameWatch& watch) {
  const c10::InferenceMode no_autograd;
  auto& denoiser = loaded.as<Denoiser>("show path");
  const DataInfo& info = loaded.manifest.data;
  const ModelSpace space(*loaded.model, info);
  const int64_t count = request.pictures.size();
  const std::vector<int64_t> size{info.channels, info.height, info.width};
  if (request.pictures.grids.sizes().slice(1) != size || count != request.images.count) {
    throw std::logic_error("pictures that do not fit the model or the request");
  }
  const Tensors told = told_of(loaded, request);
  std::vector<NoiseLevel> levels = denoiser.sampling_plan(told, request.images.options).levels;
  std::reverse(levels.begin(), levels.end());
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), request.images.first);
  const Tensor noise =
      Draw(/*seed=*/0, "forward", numbers, loaded.device).normal("noise", space.shape());
  const Tensor x0 = space.centred(request.pictures.grids.to(loaded.device));
  std::vector<PathFrame> frames;
  for (const int64_t place : chosen(static_cast<int64_t>(levels.size()), request.frames)) {
    const NoiseLevel& level = levels[static_cast<size_t>(place)];
    const Tensor x = level.alpha * x0 + level.sigma * noise;
    const auto all = [&](double value) { return at::full({count}, value, x.options()); };
    const Tensor clean =
        level.sigma == 0
            ? x0
            : denoiser.predict(x, {.alpha = all(level.alpha), .sigma = all(level.sigma)}, told);
    if (!clean.isfinite().all().item<bool>()) {
      fail(ErrorKind::failure, "the model predicts pixels that are not numbers (NaN or infinite)");
    }
    frames.push_back(
        {.level = level, .noisy = space.pictures(x, level), .clean = space.pictures(clean)});
    if (watch) watch(frames.back());
  }
  return frames;
}

std::string noise_text(const NoiseLevel& level) {
  return number_text(100 * noise_share(level), 2) + "%";
}

/// Rows of images: those views that are drawn, with their names.
struct Rows {
  std::vector<std::string> names;
  std::vector<std::vector<Image>> images;  // one list a name
};

Rows rows_of(const PathFrame& frame, PathView view) {
  Rows rows;
  if (view != PathView::clean) {
    rows.names.push_back("noisy");
    rows.images.push_back(to_images(frame.noisy));
  }
  if (view != PathView::noisy) {
    rows.names.push_back("predicted");
    rows.images.push_back(to_images(frame.clean));
  }
  return rows;
}

/// A figure of cells of which some are grey and some perhaps in colour.
Image draw_cells(const Figure& figure, std::vector<Image> cells) {
  if (std::ranges::any_of(cells, [](const Image& cell) { return cell.channels == 3; })) {
    for (Image& cell : cells) cell = to_rgb(cell);
  }
  return draw_figure(figure, cells);
}

Image blackened(Image image) {
  std::ranges::fill(image.pixels, uint8_t{0});
  return image;
}

/// For each image what it was told and its rows, from the first frame to the last.
Image draw_strip(const std::vector<PathFrame>& path, const PathLayout& layout,
                 const ToldPictures& told) {
  Figure figure{
      .columns = static_cast<int64_t>(path.size()), .scale = layout.scale, .title = "noise"};
  std::vector<Rows> columns;
  for (const PathFrame& frame : path) {
    columns.push_back(rows_of(frame, layout.view));
    figure.column_names.push_back(noise_text(frame.level));
  }
  const Image black = blackened(columns[0].images[0][0]);
  std::vector<Image> cells;
  for (size_t image = 0; image < columns[0].images[0].size(); ++image) {
    if (!told.empty()) {
      figure.row_names.push_back("told");
      for (size_t column = 0; column < columns.size(); ++column)
        cells.push_back(column < told[image].size() ? told[image][column] : black);
    }
    for (size_t row = 0; row < columns[0].names.size(); ++row) {
      figure.row_names.push_back(columns[0].names[row]);
      for (const Rows& column : columns) cells.push_back(column.images[row][image]);
    }
  }
  figure.rows = static_cast<int64_t>(figure.row_names.size());
  return draw_cells(figure, cells);
}

Image draw_frame(const PathFrame& frame, const PathLayout& layout, const ToldPictures& told) {
  Rows rows = rows_of(frame, layout.view);
  for (size_t i = 0; !told.empty() && i < told[0].size(); ++i) {
    std::vector<Image> row;
    for (const auto& pictures : told) row.push_back(pictures[i]);
    rows.names.insert(rows.names.begin() + static_cast<std::ptrdiff_t>(i), "told");
    rows.images.insert(rows.images.begin() + static_cast<std::ptrdiff_t>(i), std::move(row));
  }
  const auto count = static_cast<int64_t>(rows.images[0].size());
  Figure figure{.columns = std::min(count, kPerRow),
                .scale = layout.scale,
                .title = "noise " + noise_text(frame.level)};
  const Image black = blackened(rows.images[0][0]);
  std::vector<Image> cells;
  for (int64_t first = 0; first < count; first += figure.columns) {
    for (size_t row = 0; row < rows.names.size(); ++row) {
      figure.row_names.push_back(rows.names[row]);
      for (int64_t i = first; i < first + figure.columns; ++i) {
        cells.push_back(i < count ? rows.images[row][static_cast<size_t>(i)] : black);
      }
    }
  }
  figure.rows = static_cast<int64_t>(figure.row_names.size());
  return draw_cells(figure, cells);
}

PathView view_of(const std::string& name) {
  for (const auto& [view, known] : kPathViewNames) {
    if (known == name) return view;
  }
  fail(ErrorKind::usage, "no view of a path: '", name, "'");
}

}  // namespace

double noise_share(const NoiseLevel& level) {
  return level.sigma / (level.alpha + level.sigma);
}

void take_test_pictures(const LoadedModel& loaded, PathRequest& request) {
  const Manifest& manifest = loaded.manifest;
  if (manifest.kept_sha256.empty()) {
    fail(ErrorKind::data, loaded.run.string(), ": this run keeps no test images");
  }
  const Split kept = load_kept(loaded.run, manifest);
  const int64_t first = request.test, count = request.images.count;
  if (first < 0 || count < 1 || count > kept.size() || first > kept.size() - count) {
    fail(ErrorKind::usage, "request.test: this run keeps ", kept.size(), " test images, 0 to ",
         kept.size() - 1, "; found ", first, count == 1 ? "" : concat(" to ", first + count - 1));
  }
  request.pictures = kept.at(at::arange(first, first + count));
}

std::vector<PathFrame> find_path(const LoadedModel& loaded, const PathRequest& request,
                                 const FrameWatch& watch) {
  return request.pictures.grids.defined() ? path_of_pictures(loaded, request, watch)
                                          : path_of_samples(loaded, request, watch);
}

PathLayout resolve_layout(PathLayout layout, int64_t count, int64_t frames, const DataInfo& info) {
  if (layout.scale > 0) return layout;
  constexpr int64_t kPadding = 2;
  const int64_t views = layout.view == PathView::both ? 2 : 1;
  const int64_t columns = layout.strip ? frames : std::min(count, kPerRow);
  const int64_t rows = views * (layout.strip ? count : (count + kPerRow - 1) / kPerRow);
  const int64_t width = columns * (info.width + kPadding), height = rows * (info.height + kPadding);
  const int64_t wanted = layout.strip ? kStripWidth : kFrameWidth;
  layout.scale = std::clamp<int64_t>(std::min(wanted / width, kMostHeight / height), 1, kMaxScale);
  return layout;
}

std::vector<Image> draw_path(const std::vector<PathFrame>& path, const PathLayout& layout,
                             const ToldPictures& told) {
  if (layout.strip) return {draw_strip(path, layout, told)};
  std::vector<Image> pictures;
  for (const PathFrame& frame : path) pictures.push_back(draw_frame(frame, layout, told));
  return pictures;
}

ToldPictures told_on_path(const LoadedModel& loaded, const PathRequest& request) {
  if (!request.pictures.grids.defined()) return told_pictures(loaded, request.images);
  return {};
}

Json path_json(const LoadedModel& loaded, const PathRequest& request, const PathLayout& layout,
               int64_t frame) {
  Json json = {{"show", "path"},
               {"direction", request.pictures.grids.defined() ? "forward" : "reverse"},
               {"first", request.images.first},
               {"count", request.images.count},
               {"class", request.images.label},
               {"options", request.images.options},
               {"frames", request.frames},
               {"view", enum_name(kPathViewNames, layout.view)},
               {"strip", layout.strip},
               {"scale", layout.scale}};
  if (request.test >= 0) json["test"] = request.test;
  if (!request.pictures.grids.defined()) add_condition(json, loaded, request.images);
  if (frame >= 0) json["frame"] = frame;
  return json;
}

int64_t frames_of(const Json& request) {
  const auto older = request.find("moments");
  return older != request.end() ? *older : request.at("frames");
}

std::vector<Image> draw_path_again(const LoadedModel& loaded, const Json& json) {
  PathRequest request{.images = {.first = json.at("first"),
                                 .count = json.at("count"),
                                 .label = json.at("class"),
                                 .options = json.at("options"),
                                 .condition = condition_from_json(json)},
                      .test = json.value("test", int64_t{-1}),
                      .frames = frames_of(json)};
  const PathLayout layout{
      .view = view_of(json.at("view")), .strip = json.at("strip"), .scale = json.at("scale")};
  if (json.at("show") != "path" || layout.scale < 1) fail(ErrorKind::usage, "no request of ours");
  if (request.test >= 0) take_test_pictures(loaded, request);
  std::vector<Image> pictures =
      draw_path(find_path(loaded, request), layout, told_on_path(loaded, request));
  if (!json.contains("frame")) return pictures;
  const size_t frame = json.at("frame");
  if (frame >= pictures.size()) fail(ErrorKind::usage, "a path without a frame ", frame);
  return {pictures[frame]};
}

}  // namespace genai
