#include "genai/generation/recreate.h"

#include <algorithm>
#include <cstdlib>

#include "genai/base/animation.h"
#include "genai/base/error.h"
#include "genai/generation/path.h"
#include "genai/generation/rollout.h"
#include "genai/generation/styles.h"
#include "genai/generation/text_samples.h"

namespace genai {
namespace {

Image draw_sheet_again(const LoadedModel& loaded, const Json& request) {
  return draw_sheet(
      loaded,
      {.first = request.at("first"),
       .count = request.at("count"),
       .label = request.at("class"),
       .options = request.at("options"),
       .condition = condition_from_json(request)},
      {.rows = request.at("rows"), .columns = request.at("columns"), .scale = request.at("scale")});
}

std::vector<Image> make_again(const LoadedModel& loaded, const Json& request) {
  if (request.contains("rollout")) return draw_rollout_again(loaded, request);
  if (!request.contains("show")) return {draw_sheet_again(loaded, request)};
  const Json& show = request.at("show");
  if (show == "path") return draw_path_again(loaded, request);
  if (show == "mix") return draw_mix_again(loaded, request);
  if (show == "directions") return draw_directions_again(loaded, request);
  fail(ErrorKind::usage, "no request of ours");
}

/// What a GIF, which has fewer colours, keeps of pictures.
std::vector<Image> as_gif_has_them(const std::vector<Image>& images, const std::string& name) {
  std::vector<Frame> frames;
  for (const Image& image : images) frames.push_back({.image = image});
  return decode_gif(encode_gif(frames), name);
}

bool same_shapes(const std::vector<Image>& a, const std::vector<Image>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].width != b[i].width || a[i].height != b[i].height || a[i].channels != b[i].channels) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string lacks_for_recreation(const Json& request) {
  if (request.contains("evaluate")) return "it shows a measurement";
  if (request.contains("training"))
    return "it shows a training under way, whose weights are not kept";
  if (request.value("write", "") == "texts" && !request.contains("prompt"))
    return "its prompt is no UTF-8, which is not kept";
  if (request.contains("forecast")) return "it was made from a series that it does not hold";
  if (request.contains("condition") && request.at("condition").contains("sha256")) {
    return "it was told a picture that it does not hold";
  }
  if (request.contains("edit") ||
      (request.value("direction", "") == "forward" && !request.contains("test"))) {
    return "it was made from a picture that it does not hold";
  }
  return "";
}

Recreation recreate(const std::string& picture, const std::string& name,
                    const LoadedModel& loaded) {
  const Json made = read_provenance(picture, name);
  if (!made.is_object() || !made.contains("request")) {
    fail(ErrorKind::data, name, ": does not say how it was made (no 'genai' text)");
  }
  const std::vector<Image> found = decode_frames(picture, name);
  Recreation result;
  std::vector<Image> again;
  bool exact = false;
  try {
    if (made.at("weights_sha256") != loaded.manifest.weights_sha256()) {
      fail(ErrorKind::data, name, ": was made with other weights than ", loaded.run.string());
    }
    exact = made.at("numerics") == numerics_provenance(loaded);
    const Json& request = made.at("request");
    result.impossible = lacks_for_recreation(request);
    if (!result.impossible.empty()) return result;
    again = make_again(loaded, request);
    if (picture.starts_with("GIF8")) again = as_gif_has_them(again, name);
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, name, ": its 'genai' text is not one of ours: ", reason_of(error));
  }
  if (!same_shapes(found, again)) {
    result.worst = 255;
    for (const Image& image : again) result.differing += static_cast<int64_t>(image.pixels.size());
    result.tolerance = "equal sizes";
    return result;
  }
  for (size_t frame = 0; frame < again.size(); ++frame) {
    for (size_t i = 0; i < again[frame].pixels.size(); ++i) {
      const int difference = std::abs(int{found[frame].pixels[i]} - int{again[frame].pixels[i]});
      result.differing += difference != 0;
      result.worst = std::max(result.worst, static_cast<double>(difference));
    }
  }
  result.tolerance =
      exact ? "equal pixels"
            : concat("differences up to ", kTolerance, " of 255 (made on another kind of machine)");
  result.same = result.worst <= (exact ? 0 : kTolerance);
  return result;
}

Recreation recreate_text(const std::string& text, const Json& made, const std::string& name,
                         const LoadedModel& loaded) {
  Recreation result;
  result.tolerance = "equal bytes";
  std::string again;
  try {
    if (made.at("weights_sha256") != loaded.manifest.weights_sha256()) {
      fail(ErrorKind::data, name, ": was made with other weights than ", loaded.run.string());
    }
    const Json& request = made.at("request");
    result.impossible = lacks_for_recreation(request);
    if (!result.impossible.empty()) return result;
    const TextRequest wanted = text_request_from_json(request);
    const DataInfo& info = loaded.manifest.data;
    loaded.as<NextToken>("check");
    again = text_file(generate_texts(*loaded.model, wanted, info), wanted, info.lines);
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, name, ": what stands beside it is not of ours: ", reason_of(error));
  }
  const auto [differs, other] = std::ranges::mismatch(text, again);
  result.differing = std::max(text.end() - differs, again.end() - other);
  result.same = text == again;
  return result;
}

}  // namespace genai
