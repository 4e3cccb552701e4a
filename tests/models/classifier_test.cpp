#include "genai/models/classifier.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "base/temp_folder.h"
#include "data/small_digits.h"
#include "genai/models/registry.h"
#include "genai/run/load_model.h"
#include "genai/training/trainer.h"

namespace genai {
namespace {

TEST(SmoothedCrossEntropy, IsTheClosedForm) {
  const Tensor logits = at::tensor({0.0, 0.0, std::log(2.0), 0.0}, at::kFloat).view({2, 2});
  const Tensor labels = at::tensor({0, 1}, at::kLong);
  const Tensor plain = smoothed_cross_entropy(logits, labels, 0);
  EXPECT_NEAR(plain[0].item<double>(), std::log(2.0), 1e-6);
  EXPECT_NEAR(plain[1].item<double>(), std::log(3.0), 1e-6);
  // Target (0.1, 0.9) against p = (2/3, 1/3).
  const Tensor smooth = smoothed_cross_entropy(logits, labels, 0.2);
  EXPECT_NEAR(smooth[1].item<double>(), -0.1 * std::log(2.0 / 3) - 0.9 * std::log(1.0 / 3), 1e-6);
}

DataInfo data_of(int64_t channels, int64_t height, int64_t width, size_t classes = 3) {
  return {.source = "made",
          .channels = channels,
          .height = height,
          .width = width,
          .classes = std::vector<std::string>(classes, "c")};
}

TEST(ClassifierModel, TakesImagesOfAnySize) {
  const Family family = classifier_family();
  for (const auto& [c, h, w] :
       {std::tuple{1, 28, 28}, {3, 32, 32}, {1, 5, 4}, {3, 17, 64}, {1, 1, 40}, {3, 96, 96}}) {
    const auto model = make_model(family, {{"width", 2}, {"shift", 0}}, data_of(c, h, w));
    const auto judged = dynamic_cast<Classifier&>(*model).classify(at::zeros({2, c, h, w}));
    EXPECT_EQ(judged.logits.sizes(), (at::IntArrayRef{2, 3})) << h << "x" << w;
    EXPECT_EQ(judged.features.sizes(), (at::IntArrayRef{2, 64}));
  }
}

TEST(ClassifierModel, RefusesWhatCannotBe) {
  const Family family = classifier_family();
  expect_error(ErrorKind::usage, "two or more classes",
               [&] { make_model(family, Json::object(), data_of(1, 28, 28, 0)); });
  expect_error(ErrorKind::usage, "one class",
               [&] { make_model(family, Json::object(), data_of(1, 28, 28, 1)); });
  expect_error(ErrorKind::usage, "model.shift", [&] {
    make_model(family, {{"shift", 10}}, data_of(1, 8, 8));
  });
  expect_error(ErrorKind::usage, "dropout: expected number", [&] {
    make_model(family, {{"dropout", 1}}, data_of(1, 28, 28));
  });
}

TEST(ClassifierModel, LearnsTheDigits) {
  const Dataset data = small_digits(2000, 500);
  Settings settings;
  settings.merge({{"model", {{"family", "classifier"}, {"width", 8}, {"flip", false}}},
                  {"training",
                   {{"steps", 200},
                    {"batch", 50},
                    {"learning_rate", 3e-3},
                    {"schedule", "cosine"},
                    {"threads", 1}}}},
                 "test");
  const TempFolder folder;
  const TrainRequest request{.family = find_family("classifier"),
                             .config = settings.resolve(run_sections(find_family("classifier"))),
                             .data = &data,
                             .run = folder.path(),
                             .preset = "",
                             .resume = std::nullopt,
                             .init = std::nullopt};
  TrainObserver observer;
  const TrainResult result = train(request, observer);
  EXPECT_LT(result.validation.at("error").get<double>(), 0.1);  // guessing: 0.9
  EXPECT_NE(result.health.find("hardest class"), std::string::npos) << result.health;
}

}  // namespace
}  // namespace genai
