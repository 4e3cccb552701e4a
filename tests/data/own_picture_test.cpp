#include "genai/data/own_picture.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/temp_folder.h"
#include "genai/base/error.h"
#include "genai/data/captions.h"
#include "genai/data/digits.h"

namespace genai {
namespace {

DataInfo grey_info(const std::string& source, int64_t side = 28) {
  return {.source = source, .channels = 1, .height = side, .width = side};
}

/// Digit number `index` of the built-in set.
Image digit(int64_t index) {
  Image image{28, 28, 1, std::vector<uint8_t>(784)};
  int64_t label = 0;
  draw_digit(0, index, image.pixels.data(), &label);
  return image;
}

Image inverted(Image image) {
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(255 - value);
  return image;
}

/// The image with its left upper corner at (left, top) of a larger one.
Image on_canvas(const Image& image, int64_t width, int64_t height, int64_t left, int64_t top) {
  Image out{width, height, 1, std::vector<uint8_t>(static_cast<size_t>(width * height))};
  for (int64_t y = 0; y < image.height; ++y)
    std::copy_n(image.pixels.begin() + y * image.width, image.width,
                out.pixels.begin() + (top + y) * width + left);
  return out;
}

OwnPicture fit(const Image& image, const DataInfo& info, Placing placing = Placing::free) {
  return fit_own_picture({.image = image, .alpha = {}}, info, placing, "x.png");
}

int64_t difference(const Image& a, const Image& b) {
  int64_t sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum;
}

TEST(OwnPicture, ItemsOfASetStayAsTheyAre) {
  for (int64_t i = 0; i < 500; ++i) {
    const OwnPicture own = fit(digit(i), grey_info("digits"));
    EXPECT_EQ(own.image, digit(i)) << i;
    EXPECT_EQ(own.said, "") << i;
  }
}

TEST(OwnPicture, ScaledUpSamplesAreScaledDownExactly) {
  for (const int64_t factor : {2, 3, 8}) {
    for (const Placing placing : {Placing::free, Placing::fixed}) {
      const OwnPicture own = fit(scale_up(digit(3), factor), grey_info("pets"), placing);
      EXPECT_EQ(own.image, digit(3));
      EXPECT_NE(own.said.find(concat("scaled down ", factor, " times")), std::string::npos);
    }
  }
  Image smooth = scale_up(digit(3), 2);
  smooth.pixels[0] ^= 1;  // no longer blocks
  const OwnPicture own = fit(smooth, grey_info("pets"), Placing::fixed);
  EXPECT_EQ(own.image, resize_to_fit(smooth, 28, 28));
  EXPECT_EQ(own.said, "scaled down 2 times");
}

TEST(OwnPicture, ASheetIsNoPicture) {
  for (const int64_t factor : {1, 4}) {
    const Image sheet = scale_up(grid({digit(0), digit(1), digit(2)}, 2, 2), factor);
    expect_error(ErrorKind::data, "x.png: is a sheet of 2 x 2 pictures",
                 [&] { fit(sheet, grey_info("digits")); });
  }
}

TEST(OwnPicture, WhatSaysThatItShowsSeveralSamplesIsNone) {
  const auto read = [](const std::string& text) {
    return decode_picture(encode_png(digit(3), {{"genai", text, true}}), "x.png");
  };
  const auto fit_told = [&](const std::string& text) {
    return fit_own_picture(read(text), grey_info("digits"), Placing::free, "x.png").image;
  };
  expect_error(ErrorKind::data, "x.png: is a sheet of 16 samples, expected one picture",
               [&] { fit_told(R"({"request": {"count": 16}})"); });
  EXPECT_EQ(fit_told(R"({"request": {"count": 1}})"), digit(3));
  for (const char* other : {"no JSON", "{}", R"({"request": 5})", R"({"request": {"count": "x"}})"})
    EXPECT_EQ(fit_told(other), digit(3)) << other;
}

TEST(OwnPicture, ABlackDrawingOnWhiteFollowsMnist) {
  const DataInfo info = grey_info("mnist-without-9");
  const Image plain = fit(digit(4), info).image;
  const Image large = resize_to_fit(digit(4), 140, 140);
  for (const auto& [left, top] : {std::pair<int64_t, int64_t>{0, 0}, {120, 30}, {60, 160}}) {
    const Image drawing = inverted(on_canvas(large, 300, 320, left, top));
    const OwnPicture own = fit(drawing, info);
    EXPECT_EQ(own.image.width, 28);
    EXPECT_NE(own.said.find("inverted to a white pen on black"), std::string::npos) << own.said;
    EXPECT_NE(own.said.find("20 of 28 pixels and centred by mass"), std::string::npos) << own.said;
    double sum = 0, across = 0, down = 0;
    int64_t used = 0;
    for (size_t p = 0; p < 28 * 28; ++p) {
      const double value = own.image.pixels[p];
      sum += value;
      across += value * (static_cast<double>(p % 28) + 0.5);
      down += value * (static_cast<double>(p / 28) + 0.5);
      used += value > 128;
    }
    EXPECT_NEAR(across / sum, 14, 0.6);
    EXPECT_NEAR(down / sum, 14, 0.6);
    EXPECT_GT(used, 20);
    EXPECT_EQ(own.image.pixels[0], 0);
  }
  // White on black, but in a corner of the right size.
  const Image corner = on_canvas(resize_to_fit(digit(4), 12, 12), 28, 28, 0, 16);
  EXPECT_NE(fit(corner, info).said.find("centred by mass"), std::string::npos);
  EXPECT_EQ(fit(inverted(digit(4)), info, Placing::fixed).image.width, 28);
  EXPECT_LT(difference(fit(inverted(digit(4)), info, Placing::fixed).image, plain), 784 * 12);
  // Other sets have no such convention, and nothing is drawn on an empty sheet.
  EXPECT_EQ(fit(inverted(digit(4)), grey_info("fashion-mnist")).image, inverted(digit(4)));
  const Image empty{28, 28, 1, std::vector<uint8_t>(784, 255)};
  EXPECT_EQ(fit(empty, info).image, empty);
}

TEST(OwnPicture, WhiteOnTransparencyIsSeen) {
  Picture picture{.image = {28, 28, 1, std::vector<uint8_t>(784, 255)}, .alpha = digit(5)};
  const OwnPicture own = fit_own_picture(picture, grey_info("pets"), Placing::free, "x.png");
  EXPECT_EQ(own.image, digit(5));
  EXPECT_EQ(own.said, "put over black where it is transparent");
}

TEST(OwnPicture, ScenesAreNotCentred) {
  DataInfo info = grey_info("mnist-pairs", 32);
  EXPECT_TRUE(has_pen_convention(info));
  info.captions = std::make_shared<const Captions>(Captions::learn({"a one left of a two"}));
  EXPECT_FALSE(has_pen_convention(info));
}

TEST(OwnDrawing, IsDarkLinesOnWhite) {
  const Image pen = digit(5), drawing = inverted(pen);
  const DataInfo info = grey_info("pets");
  const auto fitted = [&](const Image& image, const Image& alpha = {}) {
    return fit_own_drawing({.image = image, .alpha = alpha}, info, "x.png");
  };
  EXPECT_EQ(fitted(drawing).image, drawing);
  EXPECT_EQ(fitted(drawing).said, "");
  EXPECT_EQ(fitted(pen).image, drawing);  // chalk
  EXPECT_EQ(fitted(pen).said, "inverted to dark lines on white");
  const Image white{28, 28, 1, std::vector<uint8_t>(784, 255)};
  EXPECT_EQ(fitted(white, pen).image, drawing);  // white ink on nothing
  EXPECT_EQ(fitted(on_canvas(pen, 40, 28, 6, 0)).said,
            "inverted to dark lines on white, the middle 28x28 of 40x28");
  EXPECT_THROW(fitted(white), Error);
}

TEST(OwnPicture, MasksAreWhatIsNotBlackOrTransparent) {
  const DataInfo info = grey_info("pets", 2);
  using Pixels = std::vector<uint8_t>;
  EXPECT_EQ(read_mask({.image = {2, 2, 1, {0, 1, 0, 255}}, .alpha = {}}, info).pixels,
            (Pixels{0, 255, 0, 255}));
  EXPECT_EQ(
      read_mask({.image = {2, 2, 3, {255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}}, .alpha = {}}, info)
          .pixels,
      (Pixels{255, 0, 255, 0}));
  EXPECT_EQ(
      read_mask({.image = {2, 2, 1, Pixels(4, 9)}, .alpha = {2, 2, 1, {255, 0, 200, 100}}}, info)
          .pixels,
      (Pixels{0, 255, 0, 255}));
  EXPECT_EQ(
      read_mask({.image = {2, 2, 1, {9, 127, 128, 255}}, .alpha = {}, .lossy = true}, info).pixels,
      (Pixels{0, 0, 255, 255}));
  Image large = scale_up({2, 2, 1, {0, 1, 0, 0}}, 3);
  large.pixels.back() = 1;  // one pixel of a block is enough
  EXPECT_EQ(read_mask({.image = large, .alpha = {}}, info).pixels, (Pixels{0, 255, 0, 255}));
}

}  // namespace
}  // namespace genai
