// A modality of a program's own: sets of points in the plane. All of it is here.
#pragma once
#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "genai/base/hash.h"
#include "genai/core/draw.h"
#include "genai/data/dataset.h"

namespace genai {

struct PointSettings {
  int64_t spots = 8;
};

/// "ring": spots of equal probability on a circle around 0, numbered by their angle.
class Points : public Modality {
 public:
  static constexpr double kRadius = 0.8, kDeviation = 0.05;

  std::string name() const override { return "points"; }
  ItemKind kind() const override { return ItemKind::grid; }
  FieldTable settings() const override {
    return genai::describe<PointSettings>()
        .field("spots", &PointSettings::spots, "on the circle", between(2, 100))
        .table();
  }
  bool claims(const DataConfig& config, const Tokenizer*) const override {
    return config.source == "ring";
  }
  Dataset load(const DataConfig& config, const LoadOptions&) const override {
    const auto settings = own_settings<PointSettings>(config, *this);
    Dataset data;
    data.info = {.source = "ring",
                 .channels = 2,
                 .height = 1,
                 .width = 1,
                 .levels = 0,
                 .fingerprint = sha256(concat("ring ", settings.spots))};
    for (int64_t spot = 0; spot < settings.spots; ++spot) data.info.classes.push_back(concat(spot));
    data.train = draw_points(settings.spots, 2048, "train");
    data.test = draw_points(settings.spots, 256, "test");
    return data;
  }
  void write(const DataInfo& info, Json& json) const override { json["classes"] = info.classes; }
  void read(const Json& json, DataInfo& info) const override {
    info.channels = 2;
    info.height = info.width = 1;
    info.levels = 0;
    info.classes = json.at("classes").get<std::vector<std::string>>();
  }
  std::string items(const DataInfo&) const override { return "points"; }
  std::string describe(const DataInfo& info) const override {
    return concat("points in the plane around ", info.class_count(), " spots");
  }
  std::vector<std::string> metrics() const override { return {"likelihood"}; }

  /// One picture of them all, from -1.2 to 1.2 each way.
  std::vector<Image> pictures(const Tensor& items) const override {
    constexpr int64_t kSide = 96;
    Image image{.width = kSide, .height = kSide, .channels = 1};
    image.pixels.resize(kSide * kSide);
    const Tensor places = ((items.flatten(1) / 1.2 + 1) / 2 * kSide).floor().clamp(0, kSide - 1);
    for (int64_t i = 0; i < places.size(0); ++i) {
      const auto x = places[i][0].item<int64_t>(), y = places[i][1].item<int64_t>();
      image.pixels[static_cast<size_t>((kSide - 1 - y) * kSide + x)] = 255;
    }
    return {image};
  }

 private:
  static Split draw_points(int64_t spots, int64_t count, const std::string& part) {
    std::vector<int64_t> numbers(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) numbers[static_cast<size_t>(i)] = i;
    const Tensor spot = at::arange(count).remainder(spots);
    const Tensor angle = spot * (2 * std::numbers::pi / static_cast<double>(spots));
    const Tensor noise = Draw(0, "points/" + part, numbers, at::kCPU).normal("at", {2});
    return {.grids = (at::stack({angle.cos(), angle.sin()}, 1) * kRadius + noise * kDeviation)
                         .to(at::kFloat)
                         .view({count, 2, 1, 1}),
            .labels = spot};
  }
};

}  // namespace genai
