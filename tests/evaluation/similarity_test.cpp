#include "genai/evaluation/similarity.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "genai/core/draw.h"

namespace genai {
namespace {

Tensor noisy(int64_t count, int64_t side) {
  std::vector<int64_t> items(static_cast<size_t>(count));
  std::iota(items.begin(), items.end(), 0);
  const Tensor noise = Draw(1, "similarity", items).normal("pixels", {3, side, side});
  return noise.mul(40).add(128).clamp(0, 255).to(at::kByte);
}

void expect_values(const Tensor& found, const Tensor& expected) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  EXPECT_TRUE(at::allclose(found, expected, 0, 1e-9)) << found << expected;
}

TEST(Psnr, IsTheFormula) {
  const Tensor a = at::full({2, 1, 4, 4}, 100, at::kByte), b = a + 51;  // a fifth apart
  expect_values(psnr(a, b), at::full({2}, 20 * std::log10(5.0), at::kDouble));
  expect_values(psnr(a, a), at::full({2}, 60.0, at::kDouble));
}

TEST(StructuralSimilarity, IsOneOfEqualPicturesAlone) {
  const Tensor a = noisy(3, 16);
  expect_values(structural_similarity(a, a), at::ones({3}, at::kDouble));
  const Tensor similarity = structural_similarity(a, a.roll(1, 3));
  EXPECT_LT(similarity.max().item<double>(), 0.5);
}

TEST(StructuralSimilarity, OfFlatPicturesComparesTheirMeans) {
  const double a = 50 / 255.0, b = 200 / 255.0, c = 1e-4;
  expect_values(structural_similarity(at::full({1, 1, 9, 9}, 50, at::kByte),
                                      at::full({1, 1, 9, 9}, 200, at::kByte)),
                at::full({1}, (2 * a * b + c) / (a * a + b * b + c), at::kDouble));
}

TEST(StructuralSimilarity, IsTheFormulaInOneWindow) {
  const Tensor all = noisy(2, 7);
  const Tensor x = all[0][0].to(at::kDouble) / 255, y = all[1][0].to(at::kDouble) / 255;
  const double mx = x.mean().item<double>(), my = y.mean().item<double>();
  const double vx = x.var().item<double>(), vy = y.var().item<double>();
  const double covariance = ((x - mx) * (y - my)).sum().item<double>() / 48;
  const double expected = (2 * mx * my + 1e-4) * (2 * covariance + 9e-4) /
                          ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4));
  const auto channel = [&](int64_t image) { return all.narrow(0, image, 1).narrow(1, 0, 1); };
  expect_values(structural_similarity(channel(0), channel(1)),
                at::full({1}, expected, at::kDouble));
}

TEST(StructuralSimilarity, IsAMeanOverWindowsAndChannels) {
  const Tensor a = noisy(2, 8), x = a.narrow(0, 0, 1), y = a.narrow(0, 1, 1);
  Tensor sum = at::zeros({1}, at::kDouble);
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t window = 0; window < 4; ++window) {
      const auto part = [&](const Tensor& t) {
        return t.narrow(1, c, 1).narrow(2, window / 2, 7).narrow(3, window % 2, 7);
      };
      sum = sum + structural_similarity(part(x), part(y));
    }
  }
  expect_values(structural_similarity(x, y), sum / 12);
}

}  // namespace
}  // namespace genai
