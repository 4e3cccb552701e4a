// Dreams and styles: pictures changed by what a classifier sees in them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/small_digits.h"
#include "genai/generation/dream.h"
#include "genai/generation/style.h"
#include "genai/training/trainer.h"
#include "generation/random_runs.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

TEST(GramMatrix, IsTheMeanOfProductsOverThePlaces) {
  const Tensor activation = numbers({1, 2, 3, 4, 0, 1, 0, 1}).view({1, 2, 2, 2});
  EXPECT_TRUE(at::allclose(gram_matrix(activation), numbers({7.5, 1.5, 1.5, 0.5}).view({2, 2})));
  // Equal patterns in other places and numbers are one style.
  const Tensor moved = activation.flip({2, 3}).repeat({1, 1, 3, 2});
  EXPECT_TRUE(at::allclose(gram_matrix(moved), gram_matrix(activation)));
}

TEST(RelativeDistance, IsInTheUnitOfWhatIsWanted) {
  const Tensor wanted = numbers({3, 4});
  EXPECT_DOUBLE_EQ(relative_distance(wanted, wanted).item<double>(), 0);
  EXPECT_DOUBLE_EQ(relative_distance(at::zeros_like(wanted), wanted).item<double>(), 1);
  EXPECT_DOUBLE_EQ(relative_distance(wanted * 30, wanted * 10).item<double>(), 4);
}

TEST(Ascend, ClimbsAnObjectiveInEachSizeAndKeepsToTheRange) {
  const Tensor picture = at::full({1, 10, 6}, 100, at::kByte);
  std::vector<int64_t> widths;
  const auto brighter = [&](const Tensor& x, const Tensor& given) {
    EXPECT_EQ(x.sizes(), given.sizes());
    widths.push_back(x.size(3));
    return x.sum();
  };
  const Ascent ascent{.octaves = 2, .steps = 3, .rate = 0.1};
  std::vector<double> shares;
  const Tensor after =
      ascend(picture, ascent, brighter, at::kCPU, [&](const Tensor& seen, double done) {
        EXPECT_EQ(seen.sizes(), picture.sizes());
        shares.push_back(done);
      });
  EXPECT_EQ(widths, (std::vector<int64_t>{4, 4, 4, 6, 6, 6}));
  EXPECT_DOUBLE_EQ(shares.back(), 1);
  // Each octave adds rate * (1 + 2/3 + 1/3).
  EXPECT_NEAR(after.to(at::kFloat).mean().item<double>(), 100 + 255 * 0.4, 1);
  const auto all_white = ascend(picture, {.octaves = 1, .steps = 9, .rate = 1}, brighter, at::kCPU);
  EXPECT_TRUE(all_white.eq(255).all().item<bool>());
  expect_error(ErrorKind::usage, "request.octaves: expected 1 to 16, found 0",
               [&] { ascend(picture, {.octaves = 0}, brighter, at::kCPU); });
  expect_error(ErrorKind::usage, "request.rate: expected more than 0",
               [&] { ascend(picture, {.rate = 0}, brighter, at::kCPU); });
  expect_error(ErrorKind::failure, "not finite", [&] {
    ascend(
        picture, {}, [](const Tensor& x, const Tensor&) { return (x * NAN).sum(); }, at::kCPU);
  });
}

/// A classifier that has seen some digits.
class Arts : public RandomRuns {
 protected:
  Arts() {
    Settings settings;
    settings.merge({{"model", {{"family", "classifier"}, {"width", 8}}},
                    {"training",
                     {{"steps", 80},
                      {"batch", 50},
                      {"learning_rate", 3e-3},
                      {"device", "cpu"},
                      {"precision", "float32"},
                      {"threads", 1}}}},
                   "test");
    const Family& family = find_family("classifier");
    const fs::path run = digits_ / "run";
    fs::create_directories(run);
    TrainObserver observer;
    train({.family = family,
           .config = settings.resolve(run_sections(family)),
           .data = &data_,
           .run = run},
          observer);
    loaded_ = load_model({.folder = run, .checkpoint = ""}, at::kCPU);
  }

  double probability(const Tensor& picture, int64_t label) const {
    const at::NoGradGuard no_autograd;
    const Tensor x = picture.to(at::kFloat).div(255).unsqueeze(0);
    return loaded_.as<Classifier>("test").classify(x).logits.softmax(1)[0][label].item<double>();
  }

  TempFolder digits_;
  const Dataset data_ = small_digits(1000, 50);
  LoadedModel loaded_;
};

TEST_F(Arts, ADreamRaisesItsClassAndKeepsMostOfThePicture) {
  const Tensor given = data_.test.grids[0];
  const int64_t own = data_.test.labels[0].item<int64_t>(), wanted = (own + 5) % 10;
  const DreamRequest request{.label = wanted};
  const Tensor after = dream(loaded_, request, given);
  EXPECT_LT(probability(given, wanted), 0.5);
  EXPECT_GT(probability(after, wanted), 0.95);
  const auto change = [&](const Tensor& picture) {
    return (picture.to(at::kFloat) - given.to(at::kFloat)).abs().mean().item<double>();
  };
  EXPECT_LT(change(after), 25);
  EXPECT_TRUE(at::equal(dream(loaded_, request, given), after));
  EXPECT_FALSE(at::equal(dream(loaded_, {.label = wanted, .ascent = {.seed = 1}}, given), after));
  // What keeps the picture keeps it.
  EXPECT_LT(change(dream(loaded_, {.label = wanted, .keep = 300}, given)), change(after));
}

TEST_F(Arts, ADreamOfALayerExcitesItInAnySize) {
  const Tensor given =
      resized(data_.test.grids[1].to(at::kFloat).unsqueeze(0), 50, 70)[0].round().to(at::kByte);
  const auto excitement = [&](const Tensor& picture, size_t layer) {
    const Tensor x = picture.to(at::kFloat).div(255).unsqueeze(0);
    return activations_of(loaded_, x)[layer].values.square().mean().item<double>();
  };
  for (size_t layer = 0; layer < 3; ++layer) {
    const Tensor after =
        dream(loaded_, {.layer = concat("stages.", layer), .ascent = {.steps = 5}}, given);
    EXPECT_EQ(after.sizes(), given.sizes());
    EXPECT_GT(excitement(after, layer), 1.1 * excitement(given, layer)) << layer;
  }
}

TEST_F(Arts, AStyleComesNearerWhileTheContentStays) {
  const Tensor content = data_.test.grids[0];
  const Tensor style =
      (at::arange(28 * 28).remainder(4).lt(2).to(at::kByte) * 200).view({1, 28, 28});
  const auto grams = [&](const Tensor& picture) {
    return gram_matrix(
        activations_of(loaded_, picture.to(at::kFloat).div(255).unsqueeze(0))[0].values);
  };
  const auto unlike = [&](const Tensor& picture) {
    return relative_distance(grams(picture), grams(style)).item<double>();
  };
  StyleRequest request;
  request.ascent.steps = 30;
  const Tensor after = transfer_style(loaded_, request, content, style);
  EXPECT_EQ(after.sizes(), content.sizes());
  EXPECT_LT(unlike(after), 0.5 * unlike(content));
  EXPECT_TRUE(at::equal(transfer_style(loaded_, request, content, style), after));
  request.weight = 0;  // the content alone is there from the beginning
  EXPECT_LT(distance(transfer_style(loaded_, request, content, style), content), 2);
}

TEST_F(Arts, WhatTheClassifierDoesNotHaveIsRefused) {
  const Tensor given = data_.test.grids[0];
  const std::string layers = "no layer 'stages.9'; expected one of stages.0, stages.1, stages.2";
  expect_error(ErrorKind::usage, layers, [&] { dream(loaded_, {.layer = "stages.9"}, given); });
  expect_error(ErrorKind::usage, layers,
               [&] { transfer_style(loaded_, {.layer = "stages.9"}, given, given); });
  expect_error(ErrorKind::usage, "request.class: 10 is not a class",
               [&] { dream(loaded_, {.label = 10}, given); });
  expect_error(ErrorKind::usage, "request.keep: expected 0 or more",
               [&] { dream(loaded_, {.label = 1, .keep = -1}, given); });
  expect_error(ErrorKind::usage, "request.weight: expected 0 or more",
               [&] { transfer_style(loaded_, {.weight = -1}, given, given); });
  const LoadedModel vae = load("vae", Json::object(), 1, 0.1);
  expect_error(ErrorKind::usage, "'edit dream' does not apply to the family 'vae'; to these it",
               [&] { dream(vae, {.label = 1}, given); });
}

TEST_F(Arts, EndWhereNobodyWantsThemAnyMore) {
  int seen = 0;
  const auto stop = [&](const Tensor&, double) {
    if (++seen == 3) throw Cancelled();
  };
  EXPECT_THROW(dream(loaded_, {.label = 1}, data_.test.grids[0], stop), Cancelled);
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace genai
