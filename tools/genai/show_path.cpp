#include "genai/base/error.h"
#include "genai/generation/path.h"
#include "own_picture.h"
#include "player.h"
#include "show.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

/// What was asked for; pictures are read later, where the model is known.
PathRequest path_request(const Show& show) {
  constexpr int64_t kStripMoments = 12, kMovingMoments = 60;
  const ShowOptions& options = show.options;
  if (!options.forward.empty() && options.test >= 0) {
    fail(ErrorKind::usage, "give --forward or --test, not both");
  }
  const bool counted = show.given("-n");
  if (!options.forward.empty() && counted && options.count != 1) {
    fail(ErrorKind::usage, "-n: --forward shows one picture, found ", options.count);
  }
  const bool forward = !options.forward.empty() || options.test >= 0;
  return {.images = {.first = options.seed,
                     .count = counted || !forward ? options.count : 1,
                     .label = options.label,
                     .options = show.sampling},
          .test = options.test,
          .frames = options.moments > 0            ? options.moments
                    : show.format == Format::strip ? kStripMoments
                                                   : kMovingMoments};
}

/// "-test-5-seed-0-n4"
std::string path_words(const ShowOptions& options, const ImageRequest& images) {
  std::string words;
  if (options.test >= 0) words += concat("-test-", options.test);
  if (!options.forward.empty()) words += concat("-of-", fs::path(options.forward).stem().string());
  words += concat("-seed-", images.first, "-n", images.count);
  if (options.view != "both") words += "-" + options.view;
  if (options.moments > 0) words += concat("-moments-", options.moments);
  return words;
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

  void show(const PathFrame& frame) {
    const int64_t count = std::min(most_, frame.noisy.size(0));
    const auto noisy = to_images(frame.noisy.narrow(0, 0, count));
    const auto clean = to_images(frame.clean.narrow(0, 0, count));
    std::vector<Image> row;
    for (size_t i = 0; i < noisy.size(); ++i) {
      if (view_ != PathView::clean) row.push_back(noisy[i]);
      if (view_ != PathView::noisy) row.push_back(clean[i]);
    }
    const std::string share = number_text(100 * noise_share(frame.level), 2);
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

/// Fewer frames stay longer.
int64_t frame_time(int64_t count) {
  return count > 25 ? 100 : 200;
}

std::vector<Frame> frames_of(const std::vector<Image>& pictures) {
  constexpr int64_t kBegin = 500, kEnd = 2000;  // milliseconds
  std::vector<Frame> frames;
  for (const Image& picture : pictures) {
    frames.push_back(
        {.image = picture, .milliseconds = frame_time(static_cast<int64_t>(pictures.size()))});
  }
  frames.front().milliseconds = kBegin;
  frames.back().milliseconds = kEnd;
  return frames;
}

}  // namespace

int show_path(const Show& show) {
  const ShowOptions& options = show.options;
  const DataInfo& info = show.manifest.data;
  PathRequest request = path_request(show);
  if (!options.forward.empty()) {
    request.pictures =
        from_images({own_picture(options.forward, info, options.as_is)}, info.channels);
  }
  const fs::path out = show.out(path_words(options, request.images));
  show.check_writable(out);
  const LoadedModel loaded = show.load();
  if (request.test >= 0) take_test_pictures(loaded, request);

  PathLayout layout{.strip = show.format == Format::strip, .scale = options.scale};
  for (const auto& [view, name] : kPathViewNames) {
    if (name == options.view) layout.view = view;
  }
  Player player(show.given("--quiet") || options.json, options.preview);
  PathPlayer live(player, layout.view, info, frame_time(request.frames));
  const std::vector<PathFrame> path = find_path(
      loaded, request,
      live.shows() ? FrameWatch([&](const PathFrame& frame) { live.show(frame); }) : FrameWatch());
  layout = resolve_layout(layout, request.images.count, static_cast<int64_t>(path.size()), info);
  Json levels = Json::array();
  for (const PathFrame& frame : path) {
    levels.push_back({{"alpha", frame.level.alpha}, {"sigma", frame.level.sigma}});
  }
  return deliver(
      show, loaded, out,
      {.frames = frames_of(draw_path(path, layout)),
       .request = [&](int64_t frame) { return path_json(loaded, request, layout, frame); },
       .found = {{"levels", levels}},
       .origin = request.pictures.defined() ? Origin::mixed : Origin::model});
}

}  // namespace genai::tool
