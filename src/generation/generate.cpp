#include "genai/generation/generate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/core/numerics.h"

namespace genai {
namespace {

const std::string kKeyword = "genai", kParameters = "parameters", kXmp = "XML:com.adobe.xmp";

/// Small pictures are enlarged to about this width.
constexpr int64_t kVisibleWidth = 512;

/// IPTC digital source type of pictures that a trained model had a part in.
std::string xmp_packet(Origin origin) {
  return concat(
      "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"
      "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">"
      "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
      "<rdf:Description rdf:about=\"\" "
      "xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" "
      "Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/",
      origin == Origin::model ? "trainedAlgorithmicMedia" : "compositeWithTrainedAlgorithmicMedia",
      "\"/></rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>");
}

}  // namespace

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

Tensor sample_labels(int64_t first, int64_t count, int64_t classes) {
  return at::arange(first, first + count, at::kLong).remainder(classes);
}

Tensor quantized(const Tensor& images) {
  return images.clamp(0, 1).mul(255).round().to(at::kByte).to(at::kCPU);
}

Tensor generate_pixels(Model& model, const ImageRequest& request, const DataInfo& info,
                       at::Device device, const MakeChunk& make) {
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
    const Draw draw(kGenerationSeed, "generate", numbers, device);
    const int64_t from = std::max(chunk, request.first) - chunk;
    const int64_t count = std::min(kChunk, last - chunk) - from;
    const Tensor images = make ? make(draw, labels, from, count)
                               : generator->generate(draw, labels, request.options);
    if (!images.isfinite().all().item<bool>()) {
      fail(ErrorKind::failure, "the model makes pixels that are not numbers (NaN or infinite), ",
           "among samples ", chunk, " to ", chunk + kChunk - 1);
    }
    parts.push_back(quantized(images).narrow(0, from, count));
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

Tensor from_images(const std::vector<Image>& images, int64_t channels) {
  std::vector<Tensor> parts;
  for (const Image& image : images) {
    const Image fitted = channels == 1 ? to_grey(image) : to_rgb(image);
    parts.push_back(at::tensor(at::ArrayRef<uint8_t>(fitted.pixels), at::kByte)
                        .view({fitted.height, fitted.width, channels})
                        .permute({2, 0, 1}));
  }
  return at::stack(parts);
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

Image draw_sheet(const LoadedModel& loaded, const ImageRequest& request,
                 const SheetLayout& layout) {
  const auto images =
      to_images(generate_pixels(*loaded.model, request, loaded.manifest.data, loaded.device));
  const Image sheet = images.size() == 1 && layout.rows * layout.columns == 1
                          ? images[0]
                          : grid(images, layout.rows, layout.columns);
  return scale_up(sheet, layout.scale);
}

std::string render_sheet(const LoadedModel& loaded, const ImageRequest& request,
                         const SheetLayout& layout, Metadata metadata) {
  const DataInfo& info = loaded.manifest.data;
  const SheetLayout resolved = resolve_layout(layout, request.count, info.width, info.height);
  const Image sheet = draw_sheet(loaded, request, resolved);
  if (metadata == Metadata::none) return encode_png(sheet);
  const Json wanted = {{"first", request.first},
                       {"count", request.count},
                       {"class", request.label},
                       {"options", request.options},
                       {"rows", resolved.rows},
                       {"columns", resolved.columns},
                       {"scale", resolved.scale}};
  return encode_png(sheet, provenance(loaded, wanted, sheet));
}

Json numerics_provenance(const LoadedModel& loaded) {
  return {{"device", loaded.device.is_cuda() ? "cuda" : "cpu"},
          {"cpu", at::get_cpu_capability()},
          {"precision", "float32"},
          {"threads", at::get_num_threads()},
          {"libtorch", TORCH_VERSION}};
}

std::vector<PngText> provenance(const LoadedModel& loaded, const Json& request,
                                const Image& picture, Origin origin) {
  const Manifest& manifest = loaded.manifest;
  const std::string run = loaded.run.filename().string(), weights = manifest.weights_sha256();
  const Json json = {{"genai", GENAI_VERSION},
                     {"family", loaded.family->name},
                     {"preset", manifest.preset},
                     {"run", run},
                     {"step", manifest.step},
                     {"weights_sha256", weights},
                     {"request", request},
                     {"numerics", numerics_provenance(loaded)}};
  const int64_t first = request.at("first"), count = request.at("count");
  const Json& options = request.at("options");
  const std::string seeds = count == 1 ? concat(first) : concat(first, "-", first + count - 1);
  std::string line = concat("Steps: ", options.value("steps", int64_t{1}),
                            ", Sampler: ", options.value("sampler", loaded.family->name),
                            ", Seed: ", seeds, ", Size: ", picture.width, "x", picture.height,
                            ", Model hash: ", weights.substr(0, 10), ", Model: ", run);
  for (const auto& [name, value] : options.items()) {
    if (name != "steps" && name != "sampler") line += concat(", ", name, ": ", value.dump());
  }
  return {{kParameters, line, false},
          {kKeyword, json.dump(), true},
          {kXmp, xmp_packet(origin), true}};
}

Json read_provenance(const std::string& png, const std::string& name) {
  for (const PngText& text : decode_png(png, name).text) {
    if (text.keyword == kKeyword) return parse_json(text.text, name, ErrorKind::data);
  }
  return nullptr;
}

}  // namespace genai
