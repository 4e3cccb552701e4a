#include <cstdio>

#include "genai/base/error.h"
#include "genai/generation/styles.h"
#include "show.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

/// "0-2" or "1" into first and last layer.
void parse_layers(const std::string& text, DirectionsRequest& request) {
  if (text.empty()) return;
  long long first = 0, last = 0;
  char rest = 0;
  const int found = std::sscanf(text.c_str(), "%lld-%lld%c", &first, &last, &rest);
  const bool digits = text.find_first_not_of("0123456789-") == std::string::npos;
  const bool range = found == 2 && first >= 0 && last >= 0;
  if (!digits || !(range || (found == 1 && text.find('-') == std::string::npos))) {
    fail(ErrorKind::usage, "--layers: expected FIRST-LAST (0-2) or one layer, found '", text, "'");
  }
  request.first_layer = first;
  request.last_layer = found == 2 ? last : first;
}

DirectionsRequest directions_request(const Show& show) {
  constexpr int64_t kStripMoments = 7, kMovingMoments = 31;
  const ShowOptions& options = show.options;
  DirectionsRequest request{.images = {.first = options.seed,
                                       .count = 1,
                                       .label = options.label,
                                       .options = show.sampling},
                            .directions = options.directions,
                            .strength = options.strength,
                            .moments = options.moments > 0            ? options.moments
                                       : show.format == Format::strip ? kStripMoments
                                                                      : kMovingMoments};
  parse_layers(options.layers, request);
  return request;
}

/// "-seed-0-directions-8-layers-0-1": the usual values go without saying.
std::string directions_words(const Show& show) {
  const ShowOptions& options = show.options;
  const DirectionsRequest usual;
  std::string words = concat("-seed-", options.seed);
  if (options.directions != usual.directions) words += concat("-directions-", options.directions);
  if (options.strength != usual.strength) words += concat("-strength-", options.strength);
  if (options.moments > 0) words += concat("-moments-", options.moments);
  if (!options.layers.empty()) words += "-layers-" + options.layers;
  return words;
}

Json numbers_of(const Tensor& values) {
  Json list = Json::array();
  for (int64_t i = 0; i < values.size(0); ++i) list.push_back(values[i].item<double>());
  return list;
}

}  // namespace

int show_mix(const Show& show) {
  const ShowOptions& options = show.options;
  if (show.format != Format::strip) {
    fail(ErrorKind::usage, "--format: mix is one picture; expected strip (a .png), found ",
         enum_name(kFormatNames, show.format));
  }
  const LoadedModel loaded = show.load();
  const ImageRequest images{.first = options.seed,
                            .count = options.count,
                            .label = options.label,
                            .options = show.sampling};
  const MixRequest request =
      resolve_request(loaded, MixRequest{.images = images, .from = options.from});
  const int64_t scale = mix_scale(request, options.scale, show.manifest.data);
  const fs::path out = show.out(concat("-seed-", options.seed, "-n", options.count,
                                       options.from >= 0 ? concat("-from-", options.from) : ""));
  show.check_writable(out);
  const Image picture = draw_mix(find_mix(loaded, request), request, scale);
  return deliver(show, loaded, out, {.frames = {{.image = picture}}, .request = [&](int64_t) {
                                       return mix_json(loaded, request, scale);
                                     }});
}

int show_directions(const Show& show) {
  constexpr int64_t kMilliseconds = 50;
  const LoadedModel loaded = show.load();
  const DirectionsRequest request = resolve_request(loaded, directions_request(show));
  const DirectionsLayout layout = resolve_layout(
      DirectionsLayout{.strip = show.format == Format::strip, .scale = show.options.scale}, request,
      show.manifest.data);
  const fs::path out = show.out(directions_words(show));
  show.check_writable(out);
  const Directions found = find_directions(loaded, request);
  std::vector<Frame> frames;
  for (Image& picture : draw_directions(found, request, layout)) {
    frames.push_back({.image = std::move(picture), .milliseconds = kMilliseconds});
  }
  return deliver(
      show, loaded, out,
      {.frames = std::move(frames),
       .request = [&](int64_t frame) { return directions_json(loaded, request, layout, frame); },
       .found = {{"shares", numbers_of(found.shares)},
                 {"deviations", numbers_of(found.deviations)}}});
}

}  // namespace genai::tool
