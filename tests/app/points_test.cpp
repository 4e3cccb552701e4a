// A modality that the program does not know, through everything that it does with one.
#include "points.h"

#include <gtest/gtest.h>

#include "base/temp_folder.h"
#include "genai/app/training_samples.h"
#include "genai/evaluation/evaluate.h"
#include "genai/generation/recreate.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"

namespace genai {
namespace {

const Points& points() {
  static const Points all;
  static const bool added = (add_modality(all), true);
  (void)added;
  return all;
}

/// Keeps what training shows.
struct Shown : TrainObserver {
  std::vector<Image> pictures;
  std::string unit;
  void started(const TrainStart& start) override { unit = start.unit; }
  void sampled(int64_t, const std::vector<Image>& images, const Json&) override {
    pictures = images;
  }
};

class PointModels : public testing::Test {
 protected:
  PointModels() : data_((points(), load_dataset({.source = "ring"}))) {}

  TrainResult train_model(const std::string& family, const Json& model, int64_t steps,
                          bool resume = false) {
    Settings settings;
    settings.set("model.family", family, "test");
    settings.merge({{"model", model},
                    {"data", {{"source", "ring"}}},
                    {"training",
                     {{"steps", steps},
                      {"batch", 128},
                      {"learning_rate", 3e-3},
                      {"device", "cpu"},
                      {"precision", "float32"},
                      {"threads", 1}}}},
                   "test");
    TrainRequest request{.family = find_family(family),
                         .config = settings.resolve(run_sections(find_family(family))),
                         .data = &data_,
                         .run = folder_ / "run",
                         .show = show_samples};
    std::filesystem::create_directories(request.run);
    if (resume) request.resume = load_checkpoint(find_checkpoint(request.run, ""), true);
    return train(request, shown_);
  }
  LoadedModel load() const {
    return load_model({.folder = folder_ / "run", .checkpoint = ""}, at::kCPU);
  }
  static Tensor spots() {
    const Tensor angle = at::arange(8) * (std::numbers::pi / 4);
    return (at::stack({angle.cos(), angle.sin()}, 1) * Points::kRadius).to(at::kFloat);
  }

  TempFolder folder_;
  Dataset data_;
  Shown shown_;
};

TEST_F(PointModels, AreLoadedStoredAndTold) {
  EXPECT_EQ(data_.info.modality, &points());
  const DataInfo info = data_info_from_json(to_json(data_.info));
  EXPECT_EQ(info.modality, &points());
  EXPECT_EQ(info.levels, 0);
  EXPECT_EQ(describe(info),
            "ring: points in the plane around 8 spots; 2,048 points for training, "
            "256 for testing");
  EXPECT_TRUE(find_field(data_fields(ItemKind::grid), "spots"));
  EXPECT_FALSE(find_field(data_fields(ItemKind::sequence), "spots"));
  expect_error(ErrorKind::usage, "spots: expected", [] {
    load_dataset({.source = "ring", .own = {{"spots", 1}}});
  });
  expect_error(ErrorKind::usage, "data.binarize: is for images; 'ring' is read as points", [] {
    load_dataset({.source = "ring", .own = {{"binarize", "fixed"}}});
  });
  expect_error(ErrorKind::usage, "sequences are made of pixels; 'ring' is points",
               [&] { make_model(find_family("rnn"), find_family("rnn").tiny, data_.info); });
  expect_error(ErrorKind::data, "expected images as in 'mnist'; 'ring' is points",
               [&] { check_same_items({.source = "mnist"}, data_.info); });
}

TEST_F(PointModels, OfAVaeLearnResumeAndAreMeasured) {
  const Json model = {{"latent", 2},
                      {"pixels", "gaussian"},
                      {"pixel_std", 0.1},
                      {"encoder", {{"kind", "mlp"}, {"hidden", {64}}}},
                      {"decoder", {{"kind", "mlp"}, {"hidden", {64}}}}};
  const double before = train_model("vae", model, 0 + 1).validation.at("nelbo");
  const TrainResult result = train_model("vae", model, 600, /*resume=*/true);
  EXPECT_EQ(result.step, 600);
  EXPECT_LT(result.validation.at("nelbo"), before - 10);
  EXPECT_EQ(shown_.unit, "points");
  ASSERT_EQ(shown_.pictures.size(), 1u);
  const LoadedModel loaded = load();
  const Tensor made =
      generate_items(*loaded.model, {.count = 512}, loaded.manifest.data, at::kCPU).flatten(1);
  const auto [distance, spot] = at::cdist(made, spots()).min(1);
  EXPECT_LT(distance.mean().item<double>(), 0.25);
  for (int64_t i = 0; i < 8; ++i) EXPECT_GT(spot.eq(i).sum().item<int64_t>(), 10) << i;

  const std::string png = render_sheet(loaded, {.count = 500}, {}, Metadata::full);
  EXPECT_TRUE(recreate(png, "ring.png", loaded).same);
  TrainObserver observer;
  const Evaluation measured = evaluate_model(loaded, {.own = data_, .whole = data_}, {}, observer);
  ASSERT_FALSE(measured.metrics.empty());
  for (const Metric& metric : measured.metrics) {
    EXPECT_NE(metric.name.find("@ring-test256"), std::string::npos) << metric.name;
    EXPECT_EQ(metric.name.find("bits_per_dim"), std::string::npos) << metric.name;
  }
  expect_error(ErrorKind::usage, "does not apply to models of points; to these do: likelihood",
               [&] {
                 evaluate_model(loaded, {.own = data_, .whole = data_},
                                {.parts = {MetricGroup::distances}}, observer);
               });
}

TEST_F(PointModels, OfAGanLearnAndKnowTheirClass) {
  const Json model = {
      {"latent", 2},
      {"condition", "class"},
      {"penalty_weight", 0.1},
      {"generator", {{"kind", "residual"}, {"width", 32}, {"levels", 0}, {"blocks", 1}}},
      {"discriminator",
       {{"kind", "residual"}, {"width", 32}, {"levels", 0}, {"blocks", 1}, {"head", 32}}}};
  const double before = train_model("gan", model, 1).validation.at("energy_distance");
  const double after =
      train_model("gan", model, 400, /*resume=*/true).validation.at("energy_distance");
  EXPECT_LT(after, before / 3);
  // Sample i shows class i of eight.
  const LoadedModel loaded = load();
  const Tensor made =
      generate_items(*loaded.model, {.count = 512}, loaded.manifest.data, at::kCPU).flatten(1);
  const Tensor spot = at::cdist(made, spots()).argmin(1);
  EXPECT_GT(spot.eq(at::arange(512).remainder(8)).sum().item<int64_t>(), 256);  // by chance 64
}

TEST_F(PointModels, RefuseWhatIsForPixels) {
  expect_error(ErrorKind::usage, "model.pixels: bernoulli", [&] {
    train_model("vae", {{"pixels", "bernoulli"}}, 1);
  });
}

}  // namespace
}  // namespace genai
