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

}  // namespace

LatentCodec::LatentCodec(LoadedModel part, const Json& scale)
    : part_(std::move(part)), space_(part_.as<LatentSpace>("model.codec")) {
  shape_ = space_.latent_shape();
  if (const ConditionSpecs& told = part_.model->conditions(); !told.empty()) {
    fail(ErrorKind::usage, "model.codec: expected a run that is told nothing, found one that is ",
         "told ", names_of(told));
  }
  mean_ = at::zeros({shape_[0], 1, 1}, at::kDouble);
  deviation_ = at::full_like(mean_, kDeviation);
  if (scale.is_null()) return;
  mean_ = channels_of(scale.at("mean"), shape_[0]);
  deviation_ = channels_of(scale.at("deviation"), shape_[0]);
}

DataInfo LatentCodec::encoded(const DataInfo& info) const {
  const DataInfo& own = part_.manifest.data;
  try {
    check_same_items(own, info);
  } catch (const Error& error) {
    fail(ErrorKind::usage, "model.codec: ", error.what());
  }
  if (info.binarize != Binarize::none) {
    fail(ErrorKind::usage, "data.binarize: a codec encodes images as they are; expected none");
  }
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

void LatentCodec::measure(const Dataset& data) {
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
         "expected a codec that makes use of them (a smaller --latent)");
  }
}

Json LatentCodec::scale() const {
  return {{"mean", to_list(mean_)}, {"deviation", to_list(deviation_)}};
}

std::shared_ptr<LatentCodec> make_codec(const std::filesystem::path& run, Parts parts,
                                        const Json& stored, at::Device device) {
  const auto found = parts.find(kCodec);
  if (found == parts.end()) return nullptr;
  const RunReference folder{.folder = run / "parts" / kCodec, .checkpoint = ""};
  const Json entry = stored.value(kCodec, Json::object());
  return std::make_shared<LatentCodec>(load_model(folder, std::move(found->second), device),
                                       entry.contains("mean") ? entry : Json());
}

}  // namespace genai
