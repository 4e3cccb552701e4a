#include "genai/evaluation/extractor.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdlib>

#include "evaluation/quick.h"
#include "genai/evaluation/frechet.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Counts the trainings it sees.
struct Watcher : TrainObserver {
  int trainings = 0;
  std::vector<std::string> warnings;
  void started(const TrainStart&) override { ++trainings; }
  void warned(const std::string& text) override { warnings.push_back(text); }
};

Json short_recipe() {
  Json recipe = quick_recipe();
  recipe["training"]["steps"] = 20;
  return recipe;
}

fs::path only_run(const fs::path& cache) {
  for (const auto& entry : fs::directory_iterator(cache / "extractors")) {
    if (entry.is_directory()) return entry.path();
  }
  return {};
}

TEST(Extractor, SeesTheClassesAndHasFeaturesOfUnitSize) {
  const Extractor& extractor = quick_extractor();
  const auto judged = extractor.judge(quick_digits().test.grids);
  EXPECT_EQ(judged.features.sizes(), (at::IntArrayRef{600, 16}));
  const double accuracy =
      judged.classes.eq(quick_digits().test.labels).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(accuracy, extractor.test_accuracy(), 1e-6);
  EXPECT_GT(accuracy, 0.7);
  const auto train = extractor.judge(quick_digits().train.grids.narrow(0, 0, 1000));
  EXPECT_NEAR(train.features.square().mean().item<double>(), 1, 1e-4);
}

TEST(Extractor, IsTrainedOnceAndFoundAgain) {
  const TempFolder cache;
  Watcher watcher;
  const Extractor first = load_extractor(quick_digits(), watcher, short_recipe(), cache.path());
  const Extractor second = load_extractor(quick_digits(), watcher, short_recipe(), cache.path());
  EXPECT_EQ(watcher.trainings, 1);
  EXPECT_EQ(first.name(), second.name());
  EXPECT_EQ(first.name().rfind("cnn-", 0), 0u);
  const Tensor images = quick_digits().test.grids;
  EXPECT_TRUE(at::equal(first.judge(images).features, second.judge(images).features));
  // The same recipe elsewhere: the same weights. Another: another name.
  const TempFolder elsewhere;
  EXPECT_EQ(load_extractor(quick_digits(), watcher, short_recipe(), elsewhere.path()).name(),
            first.name());
  Json other = short_recipe();
  other["training"]["seed"] = 2;
  EXPECT_NE(load_extractor(quick_digits(), watcher, other, cache.path()).name(), first.name());
}

TEST(Extractor, ADamagedOneIsTrainedAgainAndSaysSo) {
  const TempFolder cache;
  Watcher watcher;
  const std::string name =
      load_extractor(quick_digits(), watcher, short_recipe(), cache.path()).name();
  for (const auto& entry : fs::recursive_directory_iterator(only_run(cache.path()))) {
    if (entry.path().filename() != "model.safetensors") continue;
    std::string bytes = slurp(entry.path());
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    put(entry.path(), bytes);
  }
  const Extractor again = load_extractor(quick_digits(), watcher, short_recipe(), cache.path());
  EXPECT_EQ(watcher.trainings, 2);
  ASSERT_EQ(watcher.warnings.size(), 1u);
  EXPECT_NE(watcher.warnings[0].find("damaged"), std::string::npos);
  EXPECT_EQ(again.name(), name);
}

TEST(Extractor, AnInterruptedTrainingGoesOn) {
  struct Stopper : Watcher {
    int64_t steps = 0;
    int stop_requested() override { return ++steps == 7 ? 2 : 0; }
  } stopper;
  const TempFolder cache, whole;
  EXPECT_THROW(load_extractor(quick_digits(), stopper, short_recipe(), cache.path()), Cancelled);
  Watcher watcher;
  EXPECT_EQ(load_extractor(quick_digits(), watcher, short_recipe(), cache.path()).name(),
            load_extractor(quick_digits(), watcher, short_recipe(), whole.path()).name());
}

TEST(Extractor, NeedsTwoClassesAndAPlace) {
  Dataset unlabelled = quick_digits();
  unlabelled.info.classes.clear();
  const TempFolder cache;
  TrainObserver observer;
  expect_error(ErrorKind::usage, "two or more classes",
               [&] { load_extractor(unlabelled, observer, short_recipe(), cache.path()); });
  expect_error(ErrorKind::failure, "GENAI_CACHE",
               [&] { load_extractor(quick_digits(), observer, short_recipe(), "/proc/none"); });
}

TEST(CacheFolder, ComesFromTheEnvironment) {
  struct Variable {
    Variable(const char* name, const char* value) : name(name) {
      if (const char* old = std::getenv(name)) before = old;
      value ? ::setenv(name, value, 1) : ::unsetenv(name);
    }
    ~Variable() { before ? ::setenv(name, before->c_str(), 1) : ::unsetenv(name); }
    const char* name;
    std::optional<std::string> before;
  };
  const Variable home("HOME", "/home/someone"), xdg("XDG_CACHE_HOME", nullptr),
      own("GENAI_CACHE", nullptr);
  EXPECT_EQ(cache_folder(), "/home/someone/.cache/genai");
  const Variable cache("XDG_CACHE_HOME", "/x");
  EXPECT_EQ(cache_folder(), "/x/genai");
  const Variable chosen("GENAI_CACHE", "/g");
  EXPECT_EQ(cache_folder(), "/g");
  const Variable no_home("HOME", nullptr), no_xdg("XDG_CACHE_HOME", nullptr),
      none("GENAI_CACHE", nullptr);
  expect_error(ErrorKind::usage, "GENAI_CACHE", [] { cache_folder(); });
}

// ---- Principal components

/// Images whose principal directions are known: rows of a rotation, with falling variance.
TEST(PcaView, FindsTheDirectionsOfLargestVariance) {
  const int64_t side = 4, numbers = side * side, n = 3000;
  const Tensor rotation = std::get<0>(
      at::linalg_qr(Draw(1, "rotation", {0}).normal("r", {numbers, numbers})[0].to(at::kDouble)));
  std::vector<int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  const Tensor scale = at::arange(numbers, at::kDouble).mul(-0.5).exp() * 25;
  const Tensor points = Draw(2, "points", ids).normal("p", {numbers}).to(at::kDouble) * scale;
  const Tensor pixels = (points.matmul(rotation.t()) + 128).round().clamp(0, 255).to(at::kByte);
  Dataset data;
  data.train.grids = pixels.view({n, 1, side, side});
  data.info = {.source = "made", .height = side, .width = side, .fingerprint = "0123456789"};
  const PcaView view = make_pca_view(data);
  EXPECT_EQ(view.name, "pca16-01234567");
  const Tensor found = view.directions.t().matmul(rotation).abs();  // [F, D]
  for (int64_t i = 0; i < 4; ++i) EXPECT_GT(found[i][i].item<double>(), 0.99) << i;
  const Tensor features = view.features(data.train.grids).to(at::kDouble);
  EXPECT_LT(features.mean(0).abs().max().item<double>(), 1e-5);
  const Moments m = moments(features);
  const Tensor off = m.covariance - m.covariance.diagonal().diag();
  EXPECT_LT(off.abs().max().item<double>(), 1e-5);
  EXPECT_TRUE(m.covariance.diagonal().diff().lt(0).all().item<bool>());
}

TEST(PcaView, OfWideImagesIsThatOfTheirGramMatrix) {
  const int64_t n = 40;
  std::vector<int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  Dataset data;
  data.info = {
      .source = "made", .channels = 3, .height = 32, .width = 32, .fingerprint = "01234567"};
  data.train.grids = (Draw(3, "wide", ids).uniform("x", {3, 32, 32}) * 255).to(at::kByte);
  const PcaView view = make_pca_view(data);
  EXPECT_EQ(view.name, "pca39-01234567");
  const Tensor identity = view.directions.t().matmul(view.directions);
  EXPECT_LT((identity - at::eye(39, at::kDouble)).abs().max().item<double>(), 1e-9);
  // All the variance there is lies in 39 directions.
  const Tensor x = data.train.grids.flatten(1).to(at::kDouble) / 255;
  const double total = (x - x.mean(0)).square().sum().item<double>();
  EXPECT_NEAR(view.features(data.train.grids).to(at::kDouble).square().sum().item<double>(), total,
              1e-5 * total);
}

}  // namespace
}  // namespace genai
