#include "genai/nn/augment.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <set>

#include "genai/core/draw.h"

namespace genai {
namespace {

Tensor draws(int64_t count) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(i);
  return Draw(5, "augment", ids).uniform("view", {kAugmentDraws});
}

TEST(ShiftImages, MovesEachImageByItsOwnOffsetAndFillsWithZeros) {
  const Tensor images = at::arange(1, 1 + 2 * 2 * 3 * 4, at::kFloat).view({2, 2, 3, 4});
  const Tensor offsets = at::tensor({1, -2, 0, 0}, at::kLong).view({2, 2});
  const Tensor moved = shift_images(images, offsets, 2);
  ASSERT_EQ(moved.sizes(), images.sizes());
  EXPECT_TRUE(at::equal(moved[1], images[1]));
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t y = 0; y < 3; ++y) {
      for (int64_t x = 0; x < 4; ++x) {
        const int64_t from_y = y + 1, from_x = x - 2;
        const bool inside = from_y < 3 && from_x >= 0;
        const float expected = inside ? images[0][c][from_y][from_x].item<float>() : 0;
        EXPECT_EQ(moved[0][c][y][x].item<float>(), expected) << c << " " << y << " " << x;
      }
    }
  }
}

TEST(Augment, OfNothingIsTheImage) {
  const Tensor images = Draw(1, "images", {0, 1, 2}).uniform("x", {1, 9, 7}) * 2 - 1;
  EXPECT_TRUE(at::equal(augment_images(images, {}, draws(3)), images));
}

TEST(Augment, MovesWithinItsLimitAndFillsWithBlack) {
  Tensor images = at::full({64, 1, 16, 16}, -1.0);
  images.select(2, 8).select(2, 8).fill_(1);  // one white pixel
  const Tensor moved = augment_images(images, {.translation = 0.125}, draws(64));
  std::set<std::pair<int64_t, int64_t>> places;
  for (int64_t i = 0; i < 64; ++i) {
    const Tensor white = moved[i][0].gt(0).nonzero();
    ASSERT_EQ(white.size(0), 1);
    EXPECT_EQ(moved[i].eq(-1).sum().item<int64_t>(), 255);
    const int64_t y = white[0][0].item<int64_t>(), x = white[0][1].item<int64_t>();
    EXPECT_LE(std::abs(y - 8), 2);
    EXPECT_LE(std::abs(x - 8), 2);
    places.insert({y, x});
  }
  EXPECT_GT(places.size(), 15u);  // of 25
}

TEST(Augment, MovesEachSideByItsOwnShare) {
  Tensor images = at::full({64, 1, 32, 8}, -1.0);
  images.select(2, 16).select(2, 4).fill_(1);
  const Tensor moved = augment_images(images, {.translation = 0.125}, draws(64));
  const Tensor places = moved.gt(0).nonzero();  // [64, 4]
  ASSERT_EQ(places.size(0), 64);
  EXPECT_EQ((places.select(1, 2) - 16).abs().max().item<int64_t>(), 4);
  EXPECT_EQ((places.select(1, 3) - 4).abs().max().item<int64_t>(), 1);
}

TEST(Augment, HidesASquareOfItsSize) {
  const Tensor images = at::ones({64, 1, 16, 16});
  const Tensor cut = augment_images(images, {.cutout = 0.5}, draws(64));
  const Tensor hidden = cut.eq(0).sum({1, 2, 3});
  EXPECT_EQ(hidden.max().item<int64_t>(), 64);  // 8 x 8, where all of it is inside
  EXPECT_GE(hidden.min().item<int64_t>(), 16);  // a corner's quarter
  EXPECT_EQ((cut.eq(0) | cut.eq(1)).sum().item<int64_t>(), cut.numel());
}

TEST(Augment, ChangesBrightnessSaturationAndContrastAsThePaperSays) {
  const Tensor image = Draw(2, "images", {0}).uniform("x", {3, 4, 4}) * 2 - 1;
  const auto with = [&](double b, double s, double c) {
    Tensor u = at::full({1, kAugmentDraws}, 0.5);
    u[0][0] = b;
    u[0][1] = s;
    u[0][2] = c;
    return augment_images(image, {.color = 1}, u);
  };
  EXPECT_TRUE(at::allclose(with(0.5, 0.5, 0.5), image, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(with(1, 0.5, 0.5), image + 0.5, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(with(0, 0.5, 0.5), image - 0.5, 1e-5, 1e-6));
  const Tensor grey = image.mean(1, true).expand_as(image);
  EXPECT_TRUE(at::allclose(with(0.5, 0, 0.5), grey, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(with(0.5, 1, 0.5), grey + 2 * (image - grey), 1e-5, 1e-5));
  EXPECT_TRUE(
      at::allclose(with(0.5, 0.5, 0), image.mean() + 0.5 * (image - image.mean()), 1e-5, 1e-6));
}

TEST(Augment, PassesGradientsToTheImage) {
  const Tensor images =
      (Draw(3, "images", {0, 1}).uniform("x", {1, 8, 8}) * 2 - 1).requires_grad_();
  const Tensor seen =
      augment_images(images, {.translation = 0.125, .cutout = 0.3, .color = 0.5}, draws(2));
  seen.square().sum().backward();
  EXPECT_GT(images.grad().abs().gt(0).sum().item<int64_t>(), 40);
}

}  // namespace
}  // namespace genai
