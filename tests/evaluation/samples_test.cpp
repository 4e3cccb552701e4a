#include "genai/evaluation/samples.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>

#include "evaluation/distortions.h"
#include "evaluation/quick.h"
#include "genai/base/png.h"
#include "genai/data/images.h"
#include "genai/evaluation/frechet.h"
#include "genai/evaluation/manifold.h"

namespace genai {
namespace {

/// Digits nobody has seen: from the distribution of training and test images.
Samples fresh_digits(int64_t count) {
  const ImageSet set = make_digits(1, count, 1);
  return {.pixels = to_tensor(set.train), .labels = at::tensor(set.train.labels, at::kLong)};
}

const PcaView& quick_pca() {
  static const PcaView view = make_pca_view(quick_digits());
  return view;
}

Reference reference() {
  return {.data = quick_digits(), .extractor = &quick_extractor(), .pca = quick_pca()};
}

TEST(Distances, OfTheSameDistributionAreAtTheFloor) {
  Evaluation result;
  measure_distances(fresh_digits(1500), reference(), result);
  for (const char* name : {"fd", "fd_pca"}) {
    const Metric& metric = find_metric(result, name);
    ASSERT_TRUE(metric.floor && metric.real);
    EXPECT_NEAR(metric.value, *metric.floor, 3 * metric.standard_error) << name;
    EXPECT_GT(*metric.floor, 0);
    EXPECT_EQ(metric.items.numel(), 1500);
  }
  for (const char* name : {"kid", "kid_pca"}) {
    const Metric& metric = find_metric(result, name);
    EXPECT_LT(std::abs(metric.value), 3 * metric.spread) << name;
  }
  EXPECT_NEAR(find_metric(result, "coverage").value, *find_metric(result, "coverage").real, 0.05);
  EXPECT_NEAR(find_metric(result, "density_pca").value, 1, 0.1);
}

TEST(Distances, NameTheirWholeProtocol) {
  Evaluation result;
  measure_distances(fresh_digits(100), reference(), result);
  const std::string& cnn = quick_extractor().name();
  EXPECT_EQ(find_metric(result, "fd").name, "fd@digits-test600/" + cnn + "/n100");
  EXPECT_EQ(find_metric(result, "fd_train").name, "fd_train@digits-train100/" + cnn + "/n100");
  EXPECT_EQ(find_metric(result, "kid_pca").name,
            "kid_pca@digits-test600/" + quick_pca().name + "/n100/100x100");
  EXPECT_EQ(find_metric(result, "coverage").name, "coverage@digits-test600/" + cnn + "/n100/k5");
}

TEST(Distances, AMissingClassRaisesTheDistanceAndLowersCoverage) {
  const Samples all = fresh_digits(1500);
  Samples some = all;
  const Tensor kept = all.labels.ne(3).nonzero().squeeze(1);
  some.pixels = all.pixels.index_select(0, kept);
  some.labels = all.labels.index_select(0, kept);
  Evaluation whole, part;
  measure_distances(all, reference(), whole);
  measure_distances(some, reference(), part);
  EXPECT_GT(find_metric(part, "fd").value, 2 * find_metric(whole, "fd").value);
  EXPECT_GT(find_metric(part, "fd_pca").value, 1.2 * find_metric(whole, "fd_pca").value);
  EXPECT_LT(find_metric(part, "coverage").value, find_metric(whole, "coverage").value - 0.03);
  EXPECT_LT(find_metric(part, "coverage_pca").value,
            find_metric(whole, "coverage_pca").value - 0.03);
}

TEST(Distances, WithoutClassesFallBackToPrincipalComponentsAndSaySo) {
  Reference blind = reference();
  blind.extractor = nullptr;
  Evaluation result;
  measure_distances(fresh_digits(100), blind, result);
  EXPECT_EQ(find_metric(result, "fd_pca").count, 100);
  EXPECT_THROW(find_metric(result, "fd"), std::logic_error);
  ASSERT_EQ(result.notes.size(), 1u);
  EXPECT_NE(result.notes[0].find("principal components alone"), std::string::npos);
}

TEST(Distances, RefuseWhatGivesNoNumber) {
  Evaluation result;
  expect_error(ErrorKind::data, "64", [&] {  // fewer samples than principal components
    measure_distances(fresh_digits(60), reference(), result);
  });
  Samples equal = fresh_digits(100);
  equal.pixels = equal.pixels.narrow(0, 0, 1).repeat({100, 1, 1, 1});
  expect_error(ErrorKind::data, "all 100 samples are equal",
               [&] { measure_distances(equal, reference(), result); });
  Samples wide = fresh_digits(100);
  wide.pixels = at::constant_pad_nd(wide.pixels, {0, 1});
  expect_error(ErrorKind::data, "29x28", [&] { measure_distances(wide, reference(), result); });
  Samples colour = fresh_digits(100);
  colour.pixels = colour.pixels.repeat({1, 3, 1, 1});
  expect_error(ErrorKind::data, "3 channels",
               [&] { measure_distances(colour, reference(), result); });
}

TEST(Distances, CountRepeatedSamples) {
  Samples samples = fresh_digits(200);
  samples.pixels.narrow(0, 100, 100).copy_(samples.pixels.narrow(0, 0, 100));
  Evaluation result;
  measure_distances(samples, reference(), result);
  ASSERT_FALSE(result.notes.empty());
  EXPECT_EQ(result.notes[0], "only 100 of 200 samples are distinct");
}

TEST(Classes, CountWhatTheClassifierSees) {
  Evaluation result;
  measure_classes(fresh_digits(1000), reference(), result);
  EXPECT_NEAR(find_metric(result, "min_class_share").value, 0.09, 0.04);
  // As expected of 9 degrees of freedom: 99.99 % lie below 33.7.
  EXPECT_LT(find_metric(result, "class_chi2").value, 2 * 33.7);
  EXPECT_EQ(*find_metric(result, "class_chi2").floor, 9);
  EXPECT_NEAR(find_metric(result, "conditional_accuracy").value, quick_extractor().test_accuracy(),
              0.04);
  double sum = 0;
  for (const auto& [name, share] : result.details["class_shares"].items()) {
    sum += share.get<double>();
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_TRUE(result.notes.empty());
}

TEST(Classes, NameThoseThatAreMissing) {
  Samples zeros = fresh_digits(1000);
  zeros.pixels = zeros.pixels.index_select(0, zeros.labels.eq(0).nonzero().squeeze(1));
  zeros.labels = Tensor();
  Evaluation result;
  measure_classes(zeros, reference(), result);
  EXPECT_LT(find_metric(result, "min_class_share").value, 0.01);
  EXPECT_GE(result.notes.size(), 7u);
  EXPECT_NE(result.notes[0].find("is missing"), std::string::npos);
  EXPECT_THROW(find_metric(result, "conditional_accuracy"), std::logic_error);
}

TEST(Memorization, IsSeenInCopiesAndNotInFreshDigits) {
  Evaluation fresh, copies;
  measure_memorization(fresh_digits(600), reference(), fresh);
  EXPECT_LT(find_metric(fresh, "memorized_share").value, 0.02);
  EXPECT_NEAR(find_metric(fresh, "authentic_share").value,
              *find_metric(fresh, "authentic_share").real, 0.08);
  EXPECT_LT(std::abs(find_metric(fresh, "c_t").value), 3);
  EXPECT_TRUE(fresh.notes.empty()) << fresh.notes[0];

  Samples copied{.pixels = quick_digits().train.grids.narrow(0, 0, 600), .labels = {}};
  copied.pixels = copied.pixels.clone();
  copied.pixels.bitwise_xor_(1);  // nearly copies
  measure_memorization(copied, reference(), copies);
  EXPECT_GT(find_metric(copies, "memorized_share").value, 0.95);
  EXPECT_LT(find_metric(copies, "authentic_share").value, 0.02);
  EXPECT_LT(find_metric(copies, "c_t").value, -8);
  EXPECT_EQ(copies.notes.size(), 2u);
  const Image strip = decode_png(copies.pictures.at("neighbours"), "strip").image;
  EXPECT_EQ(strip.width, 2 * (12 * 30 + 2));
  EXPECT_EQ(strip.height, 2 * (4 * 30 + 2));
}

TEST(ClassificationScore, IsHighForRealLabelsAndChanceForShuffledOnes) {
  Samples samples = fresh_digits(1500);
  TrainObserver observer;
  Evaluation good, bad;
  measure_classification_score(samples, reference(), good, observer, quick_recipe());
  const Metric& score = good.metrics.at(0);
  EXPECT_EQ(score.name,
            "classification_score@digits-test600/n1500/seeds3/" + recipe_name(quick_recipe()));
  EXPECT_NEAR(score.value, quick_extractor().test_accuracy(), 0.08);
  EXPECT_GT(score.spread, 0);
  EXPECT_EQ(score.items.numel(), 600);
  Json short_recipe = quick_recipe();
  short_recipe["training"]["steps"] = 60;
  samples.labels = samples.labels.roll(1);
  measure_classification_score(samples, reference(), bad, observer, short_recipe);
  EXPECT_LT(bad.metrics.at(0).value, 0.3);
}

// ---- The extractor is sane

/// The data set named by GENAI_TEST_DATA with its full extractor, or small digits with a quick one.
struct Subject {
  Dataset data;
  Extractor extractor;
};
Subject subject() {
  TrainObserver observer;
  const char* name = std::getenv("GENAI_TEST_DATA");
  if (!name) {
    const TempFolder cache;
    return {quick_digits(), load_extractor(quick_digits(), observer, quick_recipe(), cache.path())};
  }
  Dataset data = load_dataset({.source = name});
  Extractor extractor = load_extractor(data, observer);
  return {std::move(data), std::move(extractor)};
}

TEST(SlowDistortions, RaiseTheDistanceWithTheirStrength) {
  const Subject s = subject();
  const PcaView pca = make_pca_view(s.data);
  const int64_t n = std::min<int64_t>(s.data.train.size(), 10000);
  const Tensor images = s.data.train.grids.narrow(0, 0, n).to(at::kFloat) / 255;
  const Moments test = moments(s.extractor.judge(s.data.test.grids).features);
  const Moments test_pca = moments(pca.features(s.data.test.grids));
  const auto distances = [&](const Tensor& x) {
    const Tensor pixels = (x.clamp(0, 1) * 255).round().to(at::kByte);
    return std::pair(frechet_distance(moments(s.extractor.judge(pixels).features), test),
                     frechet_distance(moments(pca.features(pixels)), test_pca));
  };
  const auto [clean, clean_pca] = distances(images);
  std::printf("%s, %s, n %ld: undistorted fd %.4g, fd_pca %.4g\n", s.data.info.source.c_str(),
              s.extractor.name().c_str(), static_cast<long>(n), clean, clean_pca);
  for (const Distortion& distortion : distortions()) {
    double before = clean, before_pca = clean_pca;
    std::printf("%-10s", distortion.name.c_str());
    for (const double strength : distortion.strengths) {
      const auto [fd, fd_pca] = distances(distortion.apply(images, strength));
      std::printf("  %g: %.4g (pca %.4g)", strength, fd, fd_pca);
      EXPECT_GT(fd, before) << distortion.name << " " << strength;
      EXPECT_GT(fd_pca, before_pca) << distortion.name << " " << strength;
      before = fd;
      before_pca = fd_pca;
    }
    std::printf("\n");
  }
}

TEST(SlowDistances, DroppingOneClassRaisesThemAndLowersCoverage) {
  const Subject s = subject();
  const Tensor test = s.extractor.judge(s.data.test.grids).features;
  const auto measured = [&](const Split& split) {
    const int64_t n = std::min<int64_t>(split.size(), 10000);
    const Tensor features = s.extractor.judge(split.grids.narrow(0, 0, n)).features;
    return std::pair(frechet_distance(moments(features), moments(test)),
                     manifold_scores(test, features).coverage.mean().item<double>());
  };
  const auto [fd, coverage] = measured(s.data.train);
  std::printf("all classes: fd %.4g, coverage %.4f\n", fd, coverage);
  for (int64_t c = 0; c < s.data.info.class_count(); ++c) {
    const auto [part_fd, part_coverage] = measured(s.data.train.with_labels({c}, false));
    std::printf("without %ld: fd %.4g, coverage %.4f\n", static_cast<long>(c), part_fd,
                part_coverage);
    EXPECT_GT(part_fd, fd) << c;
    EXPECT_LT(part_coverage, coverage) << c;
  }
}

}  // namespace
}  // namespace genai
