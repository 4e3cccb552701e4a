#include "genai/run/latent_codec.h"

#include <ATen/ATen.h>

#include "genai/base/error.h"
#include "genai/data/batcher.h"
#include "genai/data/value_range.h"

namespace genai {
namespace {

/// Items that the mean and deviation of latents are measured on.
constexpr int64_t kMeasuredItems = 10000;
/// Of each channel of what a codec makes: that of pixels about -1..1.
constexpr double kDeviation = 0.5;

Tensor channels_of(const Json& json, int64_t channels) {
  const auto values = json.get<std::vector<double>>();
  if (static_cast<int64_t>(values.size()) != channels) {
    fail(ErrorKind::data, "parts.codec: expected ", channels, " channels, found ", values.size());
  }
  return at::tensor(values, at::kDouble).view({-1, 1, 1});
}

Json to_list(const Tensor& channels) {
  Json list = Json::array();
  for (const Tensor& value : channels.flatten().unbind()) list.push_back(value.item<double>());
  return list;
}

/// The names of what a model is told, for messages.
std::string names_of(const ConditionSpecs& conditions) {
  std::string names;
  for (const ConditionSpec& spec : conditions) names += (names.empty() ? "" : ", ") + spec.name;
  return names;
}

/// Its latent space. Throws Error{usage} where it has none or is told something.
LatentSpace& space_of(const LoadedModel& part) {
  auto* space = dynamic_cast<LatentSpace*>(part.model.get());
  if (!space) {
    fail(ErrorKind::usage, "model.codec: expected a run with a latent space (of a family of: ",
         families_with(Capability::latent_space), "), found one of the family ", part.family->name,
         "; train one: genai train --model latent-vae");
  }
  if (const ConditionSpecs& told = part.model->conditions(); !told.empty()) {
    fail(ErrorKind::usage, "model.codec: expected a run that is told nothing, found one that is ",
         "told ", names_of(told));
  }
  return *space;
}

/// Throws Error{usage} where items of `info` are not what the part takes.
void check_takes(const LoadedModel& part, const DataInfo& info) {
  try {
    check_same_items(part.manifest.data, info);
  } catch (const Error& error) {
    fail(ErrorKind::usage, "model.codec: ", error.what());
  }
  if (info.binarize != Binarize::none) {
    fail(ErrorKind::usage, "data.binarize: a codec encodes images as they are; expected none");
  }
}

LevelTokens tokens_of(const LatentSpace& space) {
  if (space.latent_levels() == 0) {
    fail(ErrorKind::usage, "model.codec: a family of sequences learns latents that are levels; ",
         "those of this run are real numbers; expected a vae with model.latent_levels");
  }
  const std::vector<int64_t> shape = space.latent_shape();
  return LevelTokens(space.latent_levels(), shape[0], shape[1], shape[2], "model.codec",
                     "a codec with a smaller model.latent or fewer model.latent_levels");
}

}  // namespace

LatentCodec::LatentCodec(LoadedModel part, const Json& scale)
    : part_(std::move(part)), space_(space_of(part_)) {
  shape_ = space_.latent_shape();
  mean_ = at::zeros({shape_[0], 1, 1}, at::kDouble);
  deviation_ = at::full_like(mean_, kDeviation);
  if (scale.is_null()) return;
  mean_ = channels_of(scale.at("mean"), shape_[0]);
  deviation_ = channels_of(scale.at("deviation"), shape_[0]);
}

DataInfo LatentCodec::encoded(const DataInfo& info) const {
  check_takes(part_, info);
  DataInfo latents = info;
  latents.channels = shape_[0];
  latents.height = shape_[1];
  latents.width = shape_[2];
  latents.levels = 0;
  return latents;
}

Tensor LatentCodec::raw(const Tensor& items) {
  const Tensor points = space_.encode(items, {}).to(at::kFloat);
  return points.view({items.size(0), shape_[0], shape_[1], shape_[2]});
}

Tensor LatentCodec::encode(const Tensor& items) {
  const Tensor latents = raw(items);
  return (latents - mean_.to(latents)) * (kDeviation / deviation_).to(latents);
}

Tensor LatentCodec::decode(const Tensor& grids) {
  const Tensor latents = grids * (deviation_ / kDeviation).to(grids) + mean_.to(grids);
  return space_.decode(latents.flatten(1), {});
}

Json LatentCodec::measure(const Dataset& data) {
  mean_ = at::zeros_like(mean_);
  deviation_ = at::full_like(mean_, kDeviation);  // encode then changes nothing
  const int64_t count = std::min(kMeasuredItems, data.train.size());
  const Tensor latents =
      encode_items(*this, data.train.grids.narrow(0, 0, count), data.info, part_.device)
          .to(at::kCPU, at::kDouble);
  mean_ = latents.mean({0, 2, 3}).view({-1, 1, 1});
  deviation_ = latents.std(at::IntArrayRef{0, 2, 3}, /*correction=*/0).view({-1, 1, 1});
  if (!deviation_.gt(0).all().item<bool>()) {
    fail(ErrorKind::usage,
         "model.codec: some channels of its latents are the same for all images; ",
         "expected a codec that makes use of them: one trained longer, or with a smaller latent");
  }
  return {{"mean", to_list(mean_)}, {"deviation", to_list(deviation_)}};
}

CodeCodec::CodeCodec(LoadedModel part)
    : part_(std::move(part)), space_(space_of(part_)), tokens_(tokens_of(space_)) {}

DataInfo CodeCodec::encoded(const DataInfo& info) const {
  check_takes(part_, info);
  return tokens_.spec(info);
}

// Levels are -1 to 1, evenly spaced.
Tensor CodeCodec::encode(const Tensor& items) {
  const std::vector<int64_t> shape = space_.latent_shape();
  const double half = static_cast<double>(space_.latent_levels() - 1) / 2;
  const Tensor points = space_.encode(items, {}).to(at::kFloat);
  return tokens_.tokens(((points + 1) * half)
                            .round()
                            .to(at::kLong)
                            .view({items.size(0), shape[0], shape[1], shape[2]}));
}

Tensor CodeCodec::decode(const Tensor& tokens) {
  const double half = static_cast<double>(space_.latent_levels() - 1) / 2;
  return space_.decode((tokens_.grids(tokens).to(at::kFloat) / half - 1).flatten(1), {});
}

std::shared_ptr<Codec> make_codec(ItemKind reads, const std::filesystem::path& run, Parts parts,
                                  const Json& stored, at::Device device) {
  const auto found = parts.find(kCodec);
  if (found == parts.end()) return nullptr;
  const RunReference folder{.folder = run / "parts" / kCodec, .checkpoint = ""};
  LoadedModel part = load_model(folder, std::move(found->second), device);
  if (reads == ItemKind::sequence) return std::make_shared<CodeCodec>(std::move(part));
  const Json entry = stored.value(kCodec, Json::object());
  return std::make_shared<LatentCodec>(std::move(part), entry.contains("mean") ? entry : Json());
}

}  // namespace genai
