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
#include "genai/core/device.h"
#include "genai/core/numerics.h"
#include "genai/data/batcher.h"
#include "genai/generation/told_pictures.h"

namespace genai {
namespace {

const std::string kParameters = "parameters", kXmp = "XML:com.adobe.xmp";

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

/// Does something that the model is told come from test items? A prompt alone does for a model that
/// is told captions, and perhaps the class.
bool needs_items(const ConditionSource& source, const ConditionSpecs& specs) {
  return source.given.empty() &&
         (source.prompt.empty() ? told_of_items(specs) : grid_channels(specs) > 0);
}

/// Grids must come from somewhere, and only where the model is told some.
void check_source(const ConditionSource& source, const ConditionSpecs& specs,
                  const DataInfo& info) {
  if (!source.prompt.empty()) {
    if (!sequence_of(specs)) {
      fail(ErrorKind::usage,
           "request.prompt: this model is told no captions; train one with model.condition ",
           kCaption);
    }
    info.captions->check(source.prompt, "request.prompt");
  }
  const bool told = told_of_items(specs);
  if (!told && (source.test >= 0 || !source.given.empty())) {
    fail(ErrorKind::usage, "request.condition: this model is told ",
         specs.empty() ? "nothing" : "the class alone (request.class)");
  }
  if (!told) return;
  for (const ConditionSpec& spec : specs) {
    if (spec.kind == ConditionKind::grid && !source.given.empty() &&
        !source.given.count(spec.name)) {
      fail(ErrorKind::usage, "request.condition: no ", spec.name, " is given");
    }
  }
  if (!source.given.empty() && source.prompt.empty() && sequence_of(specs)) {
    fail(ErrorKind::usage, "request.prompt: this model is told captions too; expected one beside ",
         "request.condition");
  }
  if (!source.given.empty() || !needs_items(source, specs)) return;
  const int64_t items = source.items.size();
  if (items == 0) {
    fail(ErrorKind::data,
         "request.condition: there are no test items to take conditions from; give a ", "picture");
  }
  if (source.test >= items) {
    fail(ErrorKind::usage, "request.condition: expected a test item from 0 to ", items - 1,
         ", found ", source.test);
  }
}

}  // namespace

void check_request(const ImageRequest& request, const Model& model, const DataInfo& info) {
  constexpr int64_t kMost = 1'000'000;
  if (request.count < 1 || request.count > kMost) {
    fail(ErrorKind::usage, "request.count: expected 1 to ", kMost, " samples, found ",
         request.count);
  }
  if (request.first < 0 || request.first > INT64_MAX - 2 * kMost) {
    fail(ErrorKind::usage, "request.seed: expected a number from 0 on, found ", request.first);
  }
  if (request.label < 0 && request.label != -1) {
    fail(ErrorKind::usage, "request.class: expected a class from 0 on, found ", request.label);
  }
  const int64_t classes = classes_of(model.conditions());
  if (request.label >= 0 && classes == 0) {
    fail(ErrorKind::usage, "request.class: this model was not trained with classes",
         info.classes.empty() ? "" : "; train one with model.condition class");
  }
  if (request.label >= info.class_count() && classes > 0) {
    fail(ErrorKind::usage, "request.class: ", request.label, " is not a class of '", info.source,
         "'; expected ", class_list(info), " or 0 to ", info.class_count() - 1);
  }
  check_source(request.condition, model.conditions(), info);
}

Tensors sample_conditions(const Model& model, const ImageRequest& request, const DataInfo& info,
                          const std::vector<int64_t>& numbers, at::Device device) {
  const ConditionSpecs& specs = model.conditions();
  const ConditionSource& source = request.condition;
  const auto rows = static_cast<int64_t>(numbers.size());
  Tensors told;
  for (const auto& [name, grid] : source.given) {
    told[name] = grid.to(device).expand({rows, -1, -1, -1}).contiguous();
  }
  if (needs_items(source, specs)) {
    std::vector<int64_t> items;
    for (const int64_t number : numbers) {
      items.push_back(source.test >= 0 ? source.test : number % source.items.size());
    }
    told = test_conditions(specs, source.items, info, items, device);
  }
  if (!source.prompt.empty()) {
    const auto ids = info.captions->encode(source.prompt);
    told[kCaption] = at::tensor(ids, at::kLong).repeat({rows, 1}).to(device);
  }
  if (classes_of(specs) == 0) return told;
  if (request.label >= 0) {
    told[kClass] = at::full({rows}, request.label, at::kLong).to(device);
  } else if (!told.count(kClass)) {
    told[kClass] = sample_labels(numbers.front(), rows, info.class_count()).to(device);
  }
  return told;
}

Tensor sample_labels(int64_t first, int64_t count, int64_t classes) {
  return at::arange(first, first + count, at::kLong).remainder(classes);
}

Tensor quantized(const Tensor& images) {
  return images.clamp(0, 1).mul(255).round().to(at::kByte).to(at::kCPU);
}

Tensor generate_items(Model& model, const ImageRequest& request, const DataInfo& info,
                      at::Device device, const MakeChunk& make) {
  auto* generator = dynamic_cast<Generator*>(&model);
  if (!generator) fail(ErrorKind::usage, "this family does not make images");
  check_request(request, model, info);
  const c10::InferenceMode no_autograd;
  const OwnStream stream(device);
  std::vector<Tensor> parts;
  const int64_t last = request.first + request.count, rows = chunk_of(device);
  for (int64_t chunk = request.first / rows * rows; chunk < last; chunk += rows) {
    if (request.check_wanted) request.check_wanted();
    std::vector<int64_t> numbers(static_cast<size_t>(rows));
    std::iota(numbers.begin(), numbers.end(), chunk);
    const Tensors told = sample_conditions(model, request, info, numbers, device);
    const Draw draw(kGenerationSeed, "generate", numbers, device);
    const int64_t from = std::max(chunk, request.first) - chunk;
    const int64_t count = std::min(rows, last - chunk) - from;
    const Tensor made =
        make ? make(draw, told, from, count) : generator->generate(draw, told, request.options);
    const Tensor images = model.inputs().decoded(made);
    if (!images.isfinite().all().item<bool>()) {
      fail(ErrorKind::failure, "the model makes ", info.levels > 0 ? "pixels" : "values",
           " that are not numbers (NaN or infinite), among samples ", chunk, " to ",
           chunk + rows - 1);
    }
    const Tensor items = info.levels > 0 ? quantized(images) : images.to(at::kFloat).cpu();
    parts.push_back(items.narrow(0, from, count));
  }
  return at::cat(parts);
}

ImageRequest with_conditions(const LoadedModel& loaded, ImageRequest request) {
  ConditionSource& source = request.condition;
  if (needs_items(source, loaded.model->conditions()) && !source.items.grids.defined() &&
      !loaded.manifest.kept_sha256.empty()) {
    source.items = load_kept(loaded.run, loaded.manifest);
  }
  return request;
}

Tensor generate_items(const LoadedModel& loaded, const ImageRequest& request,
                      const MakeChunk& make) {
  return generate_items(*loaded.model, with_conditions(loaded, request), loaded.manifest.data,
                        loaded.device, make);
}

Json condition_json(const Model& model, const ConditionSource& source) {
  if (!told_of_items(model.conditions())) return nullptr;
  Json json = Json::object();
  if (!source.prompt.empty()) json["prompt"] = source.prompt;
  if (!source.sha256.empty()) json["sha256"] = source.sha256;
  if (needs_items(source, model.conditions())) json["test"] = source.test;
  return json;
}

ConditionSource condition_from_json(const Json& request) {
  ConditionSource source;
  if (!request.contains("condition")) return source;
  const Json& condition = request.at("condition");
  source.test = condition.value("test", int64_t{-1});
  source.prompt = condition.value("prompt", "");
  return source;
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
  if (count < 1) fail(ErrorKind::usage, "request.count: expected at least 1 sample, found ", count);
  if (layout.rows <= 0 && layout.columns <= 0) {
    layout.columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  }
  if (layout.columns <= 0) layout.columns = (count + layout.rows - 1) / layout.rows;
  if (layout.rows <= 0) layout.rows = (count + layout.columns - 1) / layout.columns;
  if (layout.rows * layout.columns < count) {
    fail(ErrorKind::usage, "request.grid: ", layout.rows, "x", layout.columns, " has no room for ",
         count, " samples");
  }
  if (layout.scale <= 0) {
    const int64_t side = std::max(layout.columns * width, layout.rows * height);
    layout.scale = std::clamp<int64_t>(kVisibleWidth / side, 1, kMaxScale);
  }
  return layout;
}

SheetLayout sheet_layout(const SheetLayout& layout, int64_t count, const ConditionSpecs& specs,
                         const DataInfo& info) {
  const int64_t cell = info.width * (1 + told_picture_count(specs, info));
  return resolve_layout(layout, count, cell, info.height);
}

void check_sheet(const SheetLayout& layout, int64_t count, const ConditionSpecs& specs,
                 const DataInfo& info) {
  constexpr double kMost = 1 << 30;
  const SheetLayout r = sheet_layout(layout, count, specs, info);
  const int64_t cell = info.width * (1 + told_picture_count(specs, info));
  const double scale = static_cast<double>(r.scale);
  const double width = scale * static_cast<double>(r.columns * (cell + 2));
  const double height = scale * static_cast<double>(r.rows * (info.height + 2));
  if (width * height * static_cast<double>(info.channels) > kMost) {
    fail(ErrorKind::usage, "a sheet of ", count, " samples would be ", width, " x ", height,
         " pixels, more than a picture holds (1 GiB); use request.separate, fewer samples "
         "(request.count) or a "
         "smaller ",
         "request.scale");
  }
}

Image draw_sheet(const LoadedModel& loaded, const ImageRequest& request, const SheetLayout& layout,
                 const LookAtSamples& look) {
  const DataInfo& info = loaded.manifest.data;
  auto images = info.modality->pictures(generate_items(loaded, request));
  if (look) look(images);
  auto told = told_pictures(loaded, request);
  for (size_t i = 0; i < told.size(); ++i) {
    told[i].push_back(images[i]);
    images[i] = side_by_side(told[i]);
  }
  const bool one = layout.rows * layout.columns == 1 || request.count > 1;  // of all samples
  const Image sheet =
      images.size() == 1 && one ? images[0] : grid(images, layout.rows, layout.columns);
  return scale_up(sheet, layout.scale);
}

void add_condition(Json& json, const LoadedModel& loaded, const ImageRequest& request) {
  const Json told = condition_json(*loaded.model, request.condition);
  if (!told.is_null()) json["condition"] = told;
}

namespace {

std::string encode_sheet(const LoadedModel& loaded, const ImageRequest& request,
                         const SheetLayout& layout, const Image& sheet, Metadata metadata) {
  if (metadata == Metadata::none) return encode_png(sheet);
  Json wanted = {{"first", request.first}, {"count", request.count},
                 {"class", request.label}, {"options", request.options},
                 {"rows", layout.rows},    {"columns", layout.columns},
                 {"scale", layout.scale}};
  add_condition(wanted, loaded, request);
  return encode_png(sheet, provenance(loaded, wanted, sheet));
}

}  // namespace

std::string render_sheet(const LoadedModel& loaded, const ImageRequest& request,
                         const SheetLayout& layout, Metadata metadata, const LookAtSamples& look) {
  const SheetLayout resolved =
      sheet_layout(layout, request.count, loaded.model->conditions(), loaded.manifest.data);
  return encode_sheet(loaded, request, resolved, draw_sheet(loaded, request, resolved, look),
                      metadata);
}

void render_separate(const LoadedModel& loaded, const ImageRequest& request, int64_t scale,
                     Metadata metadata,
                     const std::function<void(int64_t number, const std::string& png)>& use) {
  const SheetLayout layout{.rows = 1, .columns = 1, .scale = scale};
  const int64_t last = request.first + request.count;
  ImageRequest part = request, one = request;
  one.count = 1;
  for (; part.first < last; part.first += part.count) {
    const int64_t rows = chunk_of(loaded.device);
    part.count = std::min(rows - part.first % rows, last - part.first);
    const DataInfo& info = loaded.manifest.data;
    const auto images = info.modality->pictures(generate_items(loaded, part));
    for (one.first = part.first; const Image& image : images) {
      use(one.first, encode_sheet(loaded, one, layout, scale_up(image, scale), metadata));
      ++one.first;
    }
  }
}

Json numerics_provenance(const LoadedModel& loaded) {
  return {{"device", loaded.device.is_cuda() ? "cuda" : "cpu"},
          {"cpu", at::get_cpu_capability()},
          {"precision", "float32"},
          {"threads", at::get_num_threads()},
          {"libtorch", TORCH_VERSION}};
}

std::vector<PngText> provenance(const Json& maker, const Json& request, const Image& picture,
                                Origin origin) {
  Json json = maker;
  json["request"] = request;
  const int64_t first = request.value("first", int64_t{0}),
                count = request.value("count", int64_t{1});
  const Json options = request.value("options", Json::object());
  const std::string seeds = count == 1 ? concat(first) : concat(first, "-", first + count - 1);
  const std::string weights = maker.value("weights_sha256", "");
  std::string line =
      concat("Steps: ", options.value("steps", int64_t{1}),
             ", Sampler: ", options.value("sampler", maker.at("family").get<std::string>()),
             ", Seed: ", seeds, ", Size: ", picture.width, "x", picture.height);
  if (!weights.empty()) line += ", Model hash: " + weights.substr(0, 10);
  line += ", Model: " + maker.at("run").get<std::string>();
  if (maker.contains("class")) line += ", Class: " + maker.at("class").get<std::string>();
  for (const auto& [name, value] : options.items()) {
    if (name != "steps" && name != "sampler") line += concat(", ", name, ": ", value.dump());
  }
  return {{kParameters, line, false},
          {kProvenanceKeyword, json.dump(), true},
          {kXmp, xmp_packet(origin), true}};
}

Json made_by(const LoadedModel& loaded, const Json& request) {
  const Manifest& manifest = loaded.manifest;
  Json maker = {{"genai", GENAI_VERSION},
                {"family", loaded.family->name},
                {"preset", manifest.preset},
                {"run", loaded.run.filename().string()},
                {"step", manifest.step},
                {"weights_sha256", manifest.weights_sha256()},
                {"numerics", numerics_provenance(loaded)}};
  for (const auto& [name, part] : manifest.parts.items())
    maker["parts"][name] = {{"sha256", part.at("sha256")}};
  const int64_t label = request.value("class", int64_t{-1});
  if (label >= 0 && label < manifest.data.class_count()) {
    maker["class"] = manifest.data.classes[static_cast<size_t>(label)];
  }
  maker["request"] = request;
  return maker;
}

std::vector<PngText> provenance(const LoadedModel& loaded, const Json& request,
                                const Image& picture, Origin origin) {
  return provenance(made_by(loaded, request), request, picture, origin);
}

void add_provenance(std::map<std::string, std::string>& pictures, const LoadedModel& loaded,
                    const Json& sampling) {
  for (auto& [name, png] : pictures) {
    if (!read_provenance(png, name).is_null()) continue;
    Json request = sampling.is_object() ? sampling : Json::object();
    request["evaluate"] = name;
    const Image image = decode_png(png, name).image;
    png = encode_png(image, provenance(loaded, request, image, Origin::mixed));
  }
}

}  // namespace genai
