#include "genai/evaluation/extractor.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <cstdlib>

#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/presets.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kExtractedAtOnce = 250, kScaleImages = 1000;
constexpr int64_t kPcaFeatures = 64;
/// Images of more numbers than this: principal components through the Gram matrix of fewer images.
constexpr int64_t kPcaWide = 2048, kPcaWideImages = 2000;

bool finished(const fs::path& folder) {
  const auto checkpoints = list_checkpoints(folder);
  if (checkpoints.empty()) return false;
  const Manifest manifest = read_manifest(checkpoints.back());
  return manifest.steps > 0 && manifest.step == manifest.steps;
}

Tensor rows(const Tensor& pixels) {
  return pixels.flatten(1).to(at::kDouble) / 255.0;
}

}  // namespace

Extractor train_classifier(const fs::path& folder, const Json& config, const Dataset& data,
                           TrainObserver& observer) {
  const KeepThreads keep;  // a training sets its own
  fs::create_directories(folder);
  TrainRequest request{.family = family_of(config),
                       .config = config,
                       .data = &data,
                       .run = folder,
                       .preset = "classifier",
                       .resume = std::nullopt,
                       .init = std::nullopt};
  if (!list_checkpoints(folder).empty()) {
    std::string warning;
    request.resume = load_newest_checkpoint(folder, warning);
  }
  const TrainResult result = train(request, observer);
  if (result.signal) throw Cancelled();  // the next call goes on from here
  return Extractor(load_model({.folder = folder, .checkpoint = ""}, at::kCPU), data);
}

std::string recipe_name(const Json& recipe) {
  return "recipe-" + sha256(recipe.dump()).substr(0, 8);
}

Extractor::Extractor(LoadedModel loaded, const Dataset& data)
    : loaded_(std::move(loaded)), name_("cnn-" + loaded_.manifest.weights_sha256().substr(0, 8)) {
  // The kernel distance is meant for features of about unit size.
  const int64_t count = std::min(kScaleImages, data.train.size());
  const Tensor features = judge(data.train.grids.narrow(0, 0, count)).features;
  scale_ = 1 / std::sqrt(features.to(at::kDouble).square().mean().item<double>());
}

double Extractor::test_accuracy() const {
  return 1 - loaded_.manifest.validation.at("error").get<double>();
}

Extractor::Judged Extractor::judge(const Tensor& pixels) const {
  const c10::InferenceMode no_autograd;
  auto& classifier = loaded_.as<Classifier>("evaluate");
  std::vector<Tensor> features, classes;
  for (const Tensor& part : pixels.split(kExtractedAtOnce)) {
    const auto judged = classifier.classify(part.to(loaded_.device).to(at::kFloat).div_(255.0));
    features.push_back(judged.features.mul(scale_).cpu());
    classes.push_back(judged.logits.argmax(1).cpu());
  }
  return {.features = at::cat(features), .classes = at::cat(classes)};
}

fs::path cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return fs::path(value ? value : "");
  };
  if (const fs::path own = variable("GENAI_CACHE"); !own.empty()) return own;
  if (const fs::path cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache / "genai";
  const fs::path home = variable("HOME");
  if (home.empty()) {
    fail(ErrorKind::usage, "no place for the feature extractor: set GENAI_CACHE to a folder");
  }
  return home / ".cache" / "genai";
}

Json extractor_recipe() {
  Settings settings;
  settings.merge_document(preset_document("classifier"), "preset classifier");
  settings.merge({{"training", {{"device", "cpu"}, {"precision", "float32"}, {"threads", 2}}}},
                 "extractor");
  Json config = settings.resolve(run_sections(find_family("classifier")));
  // What says nothing of the weights is not in the name.
  for (const char* setting : {"keep", "graph"}) config["training"].erase(setting);
  return {{"model", config.at("model")}, {"training", config.at("training")}};
}

Json extractor_config(const Json& recipe, const Dataset& data) {
  Settings settings;
  settings.merge(recipe, "extractor recipe");
  // A set smaller than a batch is walked through in batches of its own size.
  const int64_t batch = recipe.at("training").at("batch");
  settings.set("training.batch", std::min(batch, data.train.size()), "extractor");
  settings.set("data.source", data.info.source, "extractor");
  return settings.resolve(run_sections(find_family("classifier")));
}

Extractor load_extractor(const Dataset& whole, TrainObserver& observer, const Json& recipe,
                         const fs::path& cache) {
  const Json config = extractor_config(recipe, whole);
  const std::string key = sha256(config.at("model").dump() + config.at("training").dump() +
                                 whole.info.source + whole.info.fingerprint)
                              .substr(0, 16);
  const fs::path folder = cache / "extractors" / concat(sanitize_name(whole.info.source), "-", key);
  std::error_code error;
  fs::create_directories(folder.parent_path(), error);
  if (error) {
    fail(ErrorKind::failure, "cannot make the folder ", folder.parent_path().string(), ": ",
         error.message(), "; GENAI_CACHE names another");
  }
  const FileLock lock = FileLock::acquire(folder.string() + ".lock", "the feature extractor",
                                          /*wait=*/true);
  try {
    if (finished(folder)) {
      return Extractor(load_model({.folder = folder, .checkpoint = ""}, at::kCPU), whole);
    }
  } catch (const Error& damage) {
    if (damage.kind() != ErrorKind::data) throw;
    observer.warned(
        concat("the cached feature extractor is damaged and is trained again: ", damage.what()));
    fs::remove_all(folder);
  }
  return train_classifier(folder, config, whole, observer);
}

Tensor PcaView::features(const Tensor& pixels) const {
  std::vector<Tensor> parts;
  for (const Tensor& part : pixels.split(kExtractedAtOnce)) {
    parts.push_back((rows(part) - mean).matmul(directions).to(at::kFloat));
  }
  return at::cat(parts);
}

PcaView make_pca_view(const Dataset& whole) {
  const int64_t numbers = whole.info.pixels();
  const int64_t wanted = numbers > kPcaWide ? kPcaWideImages : kPcaImages;
  const int64_t count = std::min(wanted, whole.train.size());
  const Tensor x = rows(whole.train.grids.narrow(0, 0, count));  // [count, D]
  PcaView view;
  view.mean = x.mean(0);
  const Tensor centred = x - view.mean;
  const int64_t size = std::min({kPcaFeatures, numbers, count - 1});
  view.name = concat("pca", size, "-", whole.info.fingerprint.substr(0, 8));
  // Eigenvalues come in rising order: the last are the first components.
  if (numbers <= kPcaWide) {
    const Tensor vectors = std::get<1>(at::linalg_eigh(centred.t().matmul(centred)));
    view.directions = vectors.narrow(1, numbers - size, size).flip(1).contiguous();
  } else {
    const Tensor vectors = std::get<1>(at::linalg_eigh(centred.matmul(centred.t())));
    const Tensor spread =
        centred.t().matmul(vectors.narrow(1, count - size, size).flip(1));  // [D, F]
    view.directions = spread / spread.norm(2, 0, true);
  }
  return view;
}

}  // namespace genai
