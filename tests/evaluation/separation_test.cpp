#include "genai/evaluation/separation.h"

#include <cmath>
#include <limits>

#include "evaluation/metrics_table.h"
#include "genai/base/png.h"

namespace genai {
namespace {

TEST(Auroc, OfAFewScoresByHand) {
  const Auroc found = auroc(at::tensor({1.0, 2.0, 3.0}), at::tensor({0.0, 2.0}));
  // Pairs won: 1 > 0; 2 > 0 and half of 2 = 2; 3 > 0, 3 > 2.
  EXPECT_NEAR(found.value, 4.5 / 6, 1e-12);
  // Placements of inliers 1/2, 3/4, 1 (variance 1/16), of outliers 1, 1/2 (variance 1/8).
  EXPECT_NEAR(found.standard_error, std::sqrt(1.0 / 16 / 3 + 1.0 / 8 / 2), 1e-12);
}

TEST(Auroc, OfScoresThatSayAllOrNothing) {
  const Tensor low = at::arange(5, at::kDouble), high = low + 5;
  EXPECT_EQ(auroc(high, low).value, 1);
  EXPECT_EQ(auroc(high, low).standard_error, 0);
  EXPECT_EQ(auroc(low, high).value, 0);
  EXPECT_EQ(auroc(low, low).value, 0.5);
  EXPECT_EQ(auroc(at::zeros(4), at::zeros(9)).value, 0.5);
  EXPECT_EQ(auroc(at::ones(1), at::zeros(1)).value, 1);
  EXPECT_EQ(auroc(at::ones(1), at::zeros(1)).standard_error, 0);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(auroc(at::tensor({0.0, infinity}), at::tensor({-infinity, -1.0})).value, 1);
}

TEST(Auroc, DoesNotDependOnOrderOrScale) {
  const Tensor in = table_uniform("inliers", {300}) + 0.2, out = table_uniform("outliers", {200});
  const Auroc once = auroc(in, out), again = auroc(in.flip(0).exp(), out.flip(0).exp());
  EXPECT_NEAR(once.value, again.value, 1e-12);
  EXPECT_NEAR(once.standard_error, again.standard_error, 1e-12);
  EXPECT_NEAR(auroc(-out, -in).value, once.value, 1e-12);
}

TEST(Auroc, HasTheStandardErrorOfManyRepeats) {
  std::vector<double> values, errors;
  for (int i = 0; i < 300; ++i) {
    const Auroc found =
        auroc(table_uniform(concat("in/", i), {80}) + 0.3, table_uniform(concat("out/", i), {50}));
    values.push_back(found.value);
    errors.push_back(found.standard_error);
  }
  const double spread = at::tensor(values, at::kDouble).std().item<double>();
  EXPECT_NEAR(at::tensor(errors, at::kDouble).mean().item<double>() / spread, 1, 0.12);
}

TEST(Auroc, RefusesWhatHasNoOrder) {
  const Tensor x = at::ones(3);
  Tensor bad = at::ones(3);
  bad[1] = std::numeric_limits<double>::quiet_NaN();
  expect_error(ErrorKind::data, "scores of the inliers: expected at least one",
               [&] { auroc(at::empty(0), x); });
  expect_error(ErrorKind::data, "scores of the outliers: expected at least one",
               [&] { auroc(x, at::empty(0)); });
  expect_error(ErrorKind::data, "scores of the outliers: expected numbers, found 1 NaN of 3",
               [&] { auroc(x, bad); });
}

TEST(Auroc, AgreesWithPython) {
  const Auroc found = auroc((table_uniform("inliers", {300}) * 40).floor() + 9,
                            (table_uniform("outliers", {200}) * 40).floor());
  expect_close(found.value, metrics_table().at("auroc").at("value"));
  expect_close(found.standard_error, metrics_table().at("auroc").at("standard_error"));
}

TEST(CompressedBits, OrdersImagesByComplexity) {
  for (const int64_t channels : {1, 3}) {
    Tensor images = at::zeros({3, channels, 32, 32}, at::kByte);
    images[1].narrow(2, 8, 16).fill_(200);
    images[2] = (table_uniform("noise", {channels, 32, 32}) * 256).to(at::kByte);
    const Tensor bits = compressed_bits(images);
    EXPECT_EQ(bits.scalar_type(), at::kDouble);
    EXPECT_LT(bits[0].item<double>(), bits[1].item<double>());
    EXPECT_LT(bits[1].item<double>(), bits[2].item<double>());
    const double raw = static_cast<double>(channels) * 32 * 32 * 8;
    EXPECT_LT(bits[0].item<double>(), raw / 10);
    EXPECT_NEAR(bits[2].item<double>() / raw, 1, 0.1);  // noise does not shrink
  }
}

TEST(CompressedBits, ArePixelsOfThePng) {
  const Tensor image = (table_uniform("image", {3, 20, 10}) * 4).to(at::kByte);
  const Tensor rows = image.permute({1, 2, 0}).contiguous();
  const uint8_t* data = rows.const_data_ptr<uint8_t>();
  const std::string png =
      encode_png({.width = 10, .height = 20, .channels = 3, .pixels = {data, data + rows.numel()}});
  // Signature 8, header 12 + 13, pixels 12 + their bytes, end 12.
  EXPECT_EQ(compressed_bits(image.unsqueeze(0)).item<double>(),
            8 * static_cast<double>(png.size() - 57));
}

TEST(CompressedBits, RefusesWhatIsNoImage) {
  expect_error(ErrorKind::data, "uint8 images", [] { compressed_bits(at::zeros({2, 1, 4, 4})); });
  expect_error(ErrorKind::data, "uint8 images", [] {
    compressed_bits(at::zeros({2, 2, 4, 4}, at::kByte));
  });
  expect_error(ErrorKind::data, "uint8 images", [] {
    compressed_bits(at::zeros({4, 4}, at::kByte));
  });
  EXPECT_EQ(compressed_bits(at::zeros({0, 1, 4, 4}, at::kByte)).numel(), 0);
}

}  // namespace
}  // namespace genai
