#include "genai/evaluation/outliers.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "evaluation/quick.h"
#include "genai/base/png.h"
#include "genai/base/presets.h"
#include "genai/evaluation/classification.h"
#include "genai/evaluation/evaluate.h"
#include "genai/training/trainer.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// A run of a preset on some digits.
LoadedModel trained(const std::string& preset, const Json& changes, const Dataset& data,
                    const fs::path& folder) {
  Settings settings;
  settings.merge_document(preset_document(preset), "preset");
  settings.merge({{"data", {{"source", "digits"}}},
                  {"training", {{"steps", 300}, {"batch", 64}, {"threads", 1}}}},
                 "test");
  settings.merge(changes, "test");
  const Family& family = find_family(preset == "classifier" ? "classifier" : "vae");
  const TrainRequest request{.family = family,
                             .config = settings.resolve(run_sections(family)),
                             .data = &data,
                             .run = folder,
                             .preset = preset,
                             .resume = std::nullopt,
                             .init = std::nullopt};
  TrainObserver observer;
  train(request, observer);
  return load_model({.folder = folder, .checkpoint = ""}, at::kCPU);
}

ScoredSet test_set(const Dataset& data, const std::string& name) {
  return {.name = name, .images = data.test, .info = data.info};
}

TEST(Scores, OfALikelihoodTellNoiseFromDigits) {
  Dataset data = quick_digits();
  data.info.binarize = Binarize::threshold;
  const TempFolder folder;
  const LoadedModel vae =
      trained("vae", {{"data", {{"binarize", "threshold"}}}}, data, folder.path());
  ScoredSet turned = test_set(data, "upside-down");
  turned.images.grids = turned.images.grids.flip(2);
  const ScoredSet digits = test_set(data, "digits-test600");
  Evaluation result;
  measure_scores(vae, digits, &turned, 2, result);
  ASSERT_EQ(result.metrics.size(), 4u);
  EXPECT_EQ(result.metrics[0].name, "log_likelihood_iw2@digits-test600/threshold");
  EXPECT_EQ(result.metrics[2].name,
            "auroc_log_likelihood_iw2@digits-test600-vs-upside-down/threshold");
  EXPECT_LT(result.metrics[0].value, 0);
  EXPECT_GT(find_metric(result, "auroc_complexity_corrected_iw2").value, 0.6);
  // The same pixels in another order compress alike: the correction changes little.
  EXPECT_NEAR(find_metric(result, "auroc_complexity_corrected_iw2").value,
              find_metric(result, "auroc_log_likelihood_iw2").value, 0.1);
  const Image worst = decode_png(result.pictures.at("worst"), "worst").image;
  EXPECT_EQ(worst.width, 4 * (8 * 30 + 2));
  const auto scores = score_images(vae, digits, 2);
  EXPECT_TRUE(at::equal(scores[0].values, score_images(vae, digits, 2)[0].values));
}

TEST(Scores, CorrectedForComplexityDoNotPreferEmptyImages) {
  Dataset data = quick_digits();
  data.info.binarize = Binarize::threshold;
  const TempFolder folder;
  const LoadedModel vae =
      trained("vae", {{"data", {{"binarize", "threshold"}}}}, data, folder.path());
  ScoredSet empty = test_set(data, "empty");
  empty.images.grids = at::zeros_like(empty.images.grids);
  Evaluation result;
  measure_scores(vae, test_set(data, "digits"), &empty, 2, result);
  // Likelihood alone takes black pictures for the most usual digits of all.
  EXPECT_LT(find_metric(result, "auroc_log_likelihood_iw2").value, 0.3);
  EXPECT_GT(find_metric(result, "auroc_complexity_corrected_iw2").value, 0.7);
}

TEST(Scores, OfAClassifierAreItsConfidence) {
  const TempFolder folder;
  const LoadedModel classifier = trained(
      "classifier", {{"model", {{"width", 4}, {"features", 16}}}}, quick_digits(), folder.path());
  const ScoredSet digits = test_set(quick_digits(), "digits");
  const Tensor p = class_probabilities(classifier, digits);
  EXPECT_EQ(p.sizes(), (at::IntArrayRef{600, 10}));
  EXPECT_LT((p.sum(1) - 1).abs().max().item<double>(), 1e-9);
  const auto scores = score_images(classifier, digits, 1);
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_EQ(scores[0].name, "confidence");
  EXPECT_TRUE(at::equal(scores[0].values, p.amax(1)));

  // The evaluation of a classifier from the same numbers.
  Evaluation result;
  measure_classification(classifier, quick_digits(), 0, result);
  const Tensor right = p.argmax(1).eq(quick_digits().test.labels).to(at::kDouble);
  EXPECT_NEAR(find_metric(result, "accuracy").value, right.mean().item<double>(), 1e-12);
  EXPECT_EQ(find_metric(result, "accuracy").name, "accuracy@digits-test600/grey");
  double total = 0, diagonal = 0;
  const Json& counts = result.details["confusion"]["counts"];
  for (size_t i = 0; i < 10; ++i) {
    for (size_t j = 0; j < 10; ++j) total += counts[i][j].get<double>();
    diagonal += counts[i][i].get<double>();
  }
  EXPECT_EQ(total, 600);
  EXPECT_NEAR(diagonal / total, find_metric(result, "accuracy").value, 1e-12);
  // 15 bins of equal width: the definition, by hand.
  double expected = 0;
  const Tensor confidence = p.amax(1);
  for (int bin = 0; bin < 15; ++bin) {
    const Tensor in =
        confidence.ge(bin / 15.0)
            .logical_and(bin == 14 ? confidence.le(1) : confidence.lt((bin + 1) / 15.0));
    if (in.sum().item<int64_t>() == 0) continue;
    expected +=
        std::abs(
            (right.masked_select(in).mean() - confidence.masked_select(in).mean()).item<double>()) *
        in.sum().item<double>() / 600;
  }
  EXPECT_NEAR(find_metric(result, "calibration_error").value, expected, 1e-9);
  measure_classification(classifier, quick_digits(), 50, result);
  EXPECT_EQ(result.metrics[3].name, "accuracy@digits-test50/grey");

  Dataset other = quick_digits();
  other.info.classes = {"a", "b"};
  expect_error(ErrorKind::data, "no labelled test images",
               [&] { measure_classification(classifier, other, 0, result); });
}

TEST(Scores, RefuseImagesOfAnotherShapeAndModelsThatOnlyGenerate) {
  const TempFolder folder;
  const LoadedModel vae =
      trained("vae", {{"training", {{"steps", 1}}}}, quick_digits(), folder.path());
  ScoredSet wide = test_set(quick_digits(), "wide");
  wide.info.width = 32;
  expect_error(ErrorKind::data, "32x28", [&] { score_images(vae, wide, 1); });
  ScoredSet none = test_set(quick_digits(), "none");
  none.images = Split();
  expect_error(ErrorKind::data, "no test images", [&] { score_images(vae, none, 1); });
  expect_error(ErrorKind::usage, "classifier",
               [&] { class_probabilities(vae, test_set(quick_digits(), "digits")); });
}

TEST(EvaluateModel, RefusesPartsThatDoNotApply) {
  const TempFolder folder;
  const LoadedModel vae =
      trained("vae", {{"training", {{"steps", 1}}}}, quick_digits(), folder.path());
  const EvaluationData data{.own = quick_digits(), .whole = quick_digits()};
  TrainObserver observer;
  expect_error(ErrorKind::usage, "classifier", [&] {
    evaluate_model(vae, data, {.parts = {MetricGroup::classification}}, observer);
  });
  expect_error(ErrorKind::usage, "class-conditional", [&] {
    evaluate_model(vae, data, {.parts = {MetricGroup::classification_score}}, observer);
  });
  EvaluationData untested = data;
  untested.own.test = Split();
  expect_error(ErrorKind::data, "no test images",
               [&] { evaluate_model(vae, untested, {}, observer); });
}

TEST(EvaluateModel, MeasuresTheNumberOfSamplesAskedFor) {
  const TempFolder folder;
  const LoadedModel vae =
      trained("vae", {{"training", {{"steps", 1}}}}, quick_digits(), folder.path());
  Dataset unlabelled = quick_digits();
  unlabelled.info.classes.clear();
  const EvaluationData data{.own = unlabelled, .whole = unlabelled};
  TrainObserver observer;
  const Evaluation result = evaluate_model(
      vae, data, {.parts = {MetricGroup::distances}, .samples = 100, .first = 5}, observer);
  EXPECT_EQ(find_metric(result, "fd_pca").count, 100);
  EXPECT_EQ(result.sampling["first"], 5);
  EXPECT_EQ(result.sampling["count"], 100);
  EXPECT_EQ(result.pictures.count("samples"), 1u);
}

}  // namespace
}  // namespace genai
