#include "genai/generation/generate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <numeric>

#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/core/numerics.h"

namespace genai {
namespace {

const std::string kKeyword = "genai", kParameters = "parameters", kXmp = "XML:com.adobe.xmp";

/// The seed of all generation noise; samples differ by their number.
constexpr uint64_t kGenerationSeed = 0;

/// Small pictures are enlarged to about this width.
constexpr int64_t kVisibleWidth = 512;
constexpr int64_t kMaxScale = 8;

/// IPTC digital source type of pictures made by a trained model.
constexpr const char* kXmpPacket =
    "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"
    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">"
    "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
    "<rdf:Description rdf:about=\"\" "
    "xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" "
    "Iptc4xmpExt:DigitalSourceType="
    "\"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"/>"
    "</rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>";

void check_request(const ImageRequest& request, const Generator& generator, const DataInfo& info) {
  constexpr int64_t kMost = 1'000'000;
  if (request.count < 1 || request.count > kMost) {
    fail(ErrorKind::usage, "-n: expected 1 to ", kMost, " samples, found ", request.count);
  }
  if (request.first < 0 || request.first > INT64_MAX - 2 * kMost) {
    fail(ErrorKind::usage, "--seed: expected a number from 0 on, found ", request.first);
  }
  if (request.label < 0 && request.label != -1) {
    fail(ErrorKind::usage, "--class: expected a class from 0 on, found ", request.label);
  }
  if (request.label >= 0 && !generator.class_conditional()) {
    fail(ErrorKind::usage, "--class: this model was not trained with classes",
         info.classes.empty() ? "" : "; train one with --conditional");
  }
  if (request.label >= info.class_count() && generator.class_conditional()) {
    fail(ErrorKind::usage, "--class: ", request.label, " is not a class of '", info.source,
         "'; expected 0 to ", info.class_count() - 1);
  }
}

std::string seeds_text(const ImageRequest& request) {
  return request.count == 1 ? concat(request.first)
                            : concat(request.first, "-", request.first + request.count - 1);
}

/// Numerics without what tells of the machine: the kind of device, not its number.
Json numerics_provenance(const LoadedModel& loaded) {
  return {{"device", loaded.device.is_cuda() ? "cuda" : "cpu"},
          {"cpu", at::get_cpu_capability()},
          {"precision", "float32"},
          {"threads", at::get_num_threads()},
          {"libtorch", TORCH_VERSION}};
}

std::vector<PngText> provenance(const LoadedModel& loaded, const ImageRequest& request,
                                const SheetLayout& layout, const Image& sheet) {
  const Manifest& manifest = loaded.manifest;
  const Json json = {{"genai", GENAI_VERSION},
                     {"family", loaded.family->name},
                     {"preset", manifest.preset},
                     {"run", loaded.run.filename().string()},
                     {"step", manifest.step},
                     {"weights_sha256", manifest.weights_sha256()},
                     {"request",
                      {{"first", request.first},
                       {"count", request.count},
                       {"class", request.label},
                       {"options", request.options},
                       {"rows", layout.rows},
                       {"columns", layout.columns},
                       {"scale", layout.scale}}},
                     {"numerics", numerics_provenance(loaded)}};
  std::string line = concat("Steps: 1, Sampler: ", loaded.family->name,
                            ", Seed: ", seeds_text(request), ", Size: ", sheet.width, "x",
                            sheet.height,
                            ", Model hash: ", manifest.weights_sha256().substr(0, 10),
                            ", Model: ", loaded.run.filename().string());
  for (const auto& [name, value] : request.options.items()) {
    line += concat(", ", name, ": ", value.dump());
  }
  return {{kParameters, line, false}, {kKeyword, json.dump(), true}, {kXmp, kXmpPacket, true}};
}

Image make_sheet(const LoadedModel& loaded, const ImageRequest& request,
                 const SheetLayout& layout) {
  const Tensor pixels =
      generate_pixels(*loaded.model, request, loaded.manifest.data, loaded.device);
  const auto images = to_images(pixels);
  const Image sheet = images.size() == 1 && layout.rows * layout.columns == 1
                          ? images[0]
                          : grid(images, layout.rows, layout.columns);
  return scale_up(sheet, layout.scale);
}

}  // namespace

Tensor sample_labels(int64_t first, int64_t count, int64_t classes) {
  return at::arange(first, first + count, at::kLong).remainder(classes);
}

Tensor generate_pixels(Model& model, const ImageRequest& request, const DataInfo& info,
                       at::Device device) {
  auto* generator = dynamic_cast<Generator*>(&model);
  if (!generator) fail(ErrorKind::usage, "this family does not make images");
  check_request(request, *generator, info);
  const c10::InferenceMode no_autograd;
  std::vector<Tensor> parts;
  const int64_t last = request.first + request.count;
  for (int64_t chunk = request.first / kChunk * kChunk; chunk < last; chunk += kChunk) {
    std::vector<int64_t> numbers(kChunk);
    std::iota(numbers.begin(), numbers.end(), chunk);
    Tensor labels;
    if (generator->class_conditional()) {
      labels = (request.label >= 0 ? at::full({kChunk}, request.label, at::kLong)
                                   : sample_labels(chunk, kChunk, info.class_count()))
                   .to(device);
    }
    const Tensor images =
        generator->generate(Draw(kGenerationSeed, "generate", numbers, device), labels,
                            request.options);
    if (!images.isfinite().all().item<bool>()) {
      fail(ErrorKind::failure, "the model makes pixels that are not numbers (NaN or infinite), ",
           "among samples ", chunk, " to ", chunk + kChunk - 1);
    }
    const int64_t from = std::max(chunk, request.first), to = std::min(chunk + kChunk, last);
    parts.push_back(images.clamp(0, 1)
                        .mul(255)
                        .round()
                        .to(at::kByte)
                        .to(at::kCPU)
                        .narrow(0, from - chunk, to - from));
  }
  return at::cat(parts);
}

std::vector<Image> to_images(const Tensor& pixels) {
  const Tensor batch = pixels.dim() == 3 ? pixels.unsqueeze(0) : pixels;
  const Tensor interleaved = batch.permute({0, 2, 3, 1}).contiguous();  // [N, H, W, C]
  std::vector<Image> images;
  for (int64_t i = 0; i < interleaved.size(0); ++i) {
    Image image{.width = batch.size(3), .height = batch.size(2), .channels = batch.size(1),
                .pixels = {}};
    image.pixels.resize(static_cast<size_t>(image.width * image.height * image.channels));
    std::memcpy(image.pixels.data(), interleaved[i].const_data_ptr(), image.pixels.size());
    images.push_back(std::move(image));
  }
  return images;
}

SheetLayout resolve_layout(SheetLayout layout, int64_t count, int64_t width, int64_t height) {
  if (count < 1) fail(ErrorKind::usage, "-n: expected at least 1 sample, found ", count);
  if (layout.rows <= 0 && layout.columns <= 0) {
    layout.columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  }
  if (layout.columns <= 0) layout.columns = (count + layout.rows - 1) / layout.rows;
  if (layout.rows <= 0) layout.rows = (count + layout.columns - 1) / layout.columns;
  if (layout.rows * layout.columns < count) {
    fail(ErrorKind::usage, "--grid: ", layout.rows, "x", layout.columns, " has no room for ", count,
         " samples");
  }
  if (layout.scale <= 0) {
    const int64_t side = std::max(layout.columns * width, layout.rows * height);
    layout.scale = std::clamp<int64_t>(kVisibleWidth / side, 1, kMaxScale);
  }
  return layout;
}

std::string render_sheet(const LoadedModel& loaded, const ImageRequest& request,
                         const SheetLayout& layout, Metadata metadata) {
  const DataInfo& info = loaded.manifest.data;
  const SheetLayout resolved = resolve_layout(layout, request.count, info.width, info.height);
  const Image sheet = make_sheet(loaded, request, resolved);
  return encode_png(sheet, metadata == Metadata::none
                               ? std::vector<PngText>{}
                               : provenance(loaded, request, resolved, sheet));
}

Json read_provenance(const std::string& png, const std::string& name) {
  for (const PngText& text : decode_png(png, name).text) {
    if (text.keyword == kKeyword) return parse_json(text.text, name, ErrorKind::data);
  }
  return nullptr;
}

Recreation recreate(const std::string& png, const std::string& name, const LoadedModel& loaded) {
  const Json made = read_provenance(png, name);
  if (!made.is_object() || !made.contains("request")) {
    fail(ErrorKind::data, name, ": does not say how it was made (no 'genai' text)");
  }
  ImageRequest request;
  SheetLayout layout;
  bool exact = false;
  try {
    if (made.at("weights_sha256") != loaded.manifest.weights_sha256()) {
      fail(ErrorKind::data, name, ": was made with other weights than ", loaded.run.string());
    }
    const Json& wanted = made.at("request");
    request = {.first = wanted.at("first"),
               .count = wanted.at("count"),
               .label = wanted.at("class"),
               .options = wanted.at("options")};
    layout = {.rows = wanted.at("rows"),
              .columns = wanted.at("columns"),
              .scale = wanted.at("scale")};
    exact = made.at("numerics") == numerics_provenance(loaded);
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, name, ": its 'genai' text is not one of ours: ", error.what());
  }
  const Image expected = decode_png(png, name).image;
  const Image again = make_sheet(loaded, request, layout);
  Recreation result;
  if (expected.width != again.width || expected.height != again.height ||
      expected.channels != again.channels) {
    result.worst = 255;
    result.differing = static_cast<int64_t>(again.pixels.size());
    result.tolerance = "equal sizes";
    return result;
  }
  for (size_t i = 0; i < again.pixels.size(); ++i) {
    const int difference = std::abs(int{expected.pixels[i]} - int{again.pixels[i]});
    result.differing += difference != 0;
    result.worst = std::max(result.worst, static_cast<double>(difference));
  }
  result.tolerance = exact ? "equal pixels" : concat("differences up to ", kTolerance,
                                                     " of 255 (made on another kind of machine)");
  result.same = result.worst <= (exact ? 0 : kTolerance);
  return result;
}

}  // namespace genai
