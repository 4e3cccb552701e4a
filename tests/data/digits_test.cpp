#include "genai/data/digits.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

#include "genai/base/error.h"
#include "genai/base/hash.h"

namespace genai {
namespace {

std::string bytes(const std::vector<uint8_t>& pixels) {
  return {pixels.begin(), pixels.end()};
}

// If this fails after a change of digits.cpp: raise kVersion there. If it fails on another machine
// or with other flags: arithmetic is not as written (-ffp-contract=off, no -ffast-math).
TEST(Digits, ArePinned) {
  const ImageSet set = make_digits(1, 100, 1);
  EXPECT_EQ(sha256(bytes(set.train.pixels)),
            "030fe83391537a0a1f06d657622ad2359e9116b703b15a7f2df047e0728a49f2");
}

TEST(Digits, ArePureFunctions) {
  const ImageSet set = make_digits(5, 30, 3);
  std::vector<uint8_t> pixels(kDigitSide * kDigitSide);
  int64_t label = -1;
  draw_digit(5, 17, pixels.data(), &label);
  EXPECT_EQ(bytes(pixels), bytes(set.train.pixels).substr(17 * 784, 784));
  EXPECT_EQ(label, set.train.labels[17]);
  draw_digit(5, kTrainDigits + 2, pixels.data(), &label);
  EXPECT_EQ(bytes(pixels), bytes(set.test.pixels).substr(2 * 784, 784));
  draw_digit(6, 17, pixels.data(), &label);
  EXPECT_NE(bytes(pixels), bytes(set.train.pixels).substr(17 * 784, 784));
}

TEST(Digits, LookLikeMnistInNumbers) {
  const ImageSet set = make_digits(3, 5000, 1000);
  EXPECT_EQ(set.classes.size(), 10u);
  std::array<int, 10> count{};
  for (const int64_t label : set.train.labels) ++count.at(label);
  for (const int n : count) EXPECT_EQ(n, 500);
  double sum = 0;
  std::set<std::string> distinct;
  for (int64_t i = 0; i < set.train.count; ++i) {
    const uint8_t* image = &set.train.pixels[i * 784];
    distinct.emplace(image, image + 784);
    double ink = 0, border = 0;
    for (int64_t p = 0; p < 784; ++p) {
      ink += image[p] / 255.0;
      if (p / 28 == 0 || p / 28 == 27 || p % 28 == 0 || p % 28 == 27) border += image[p];
    }
    EXPECT_EQ(border, 0) << i;
    EXPECT_GT(ink, 15) << i;  // MNIST: 17 to 362
    EXPECT_LT(ink, 330) << i;
    sum += ink;
  }
  EXPECT_NEAR(sum / (784 * 5000), 0.131, 0.01);
  EXPECT_EQ(distinct.size(), 5000u);
}

TEST(Digits, HaveAFingerprint) {
  const ImageSet set = make_digits(3, 10, 10);
  EXPECT_EQ(set.fingerprint, make_digits(3, 10, 10).fingerprint);
  EXPECT_NE(set.fingerprint, make_digits(4, 10, 10).fingerprint);
  EXPECT_NE(set.fingerprint, make_digits(3, 11, 10).fingerprint);
  EXPECT_TRUE(set.notes.empty());
}

TEST(Digits, RejectCountsThatOverlap) {
  EXPECT_THROW(make_digits(1, 0, 10), Error);
  EXPECT_THROW(make_digits(1, 60'001, 10), Error);
  EXPECT_THROW(make_digits(1, 10, -1), Error);
  EXPECT_THROW(make_digits(1, 10, 10'001), Error);
}

}  // namespace
}  // namespace genai
