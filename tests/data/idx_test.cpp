#include "genai/data/idx.h"

#include <gtest/gtest.h>

#include "genai/base/error.h"

namespace genai {
namespace {

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string image_header(uint32_t count, uint32_t rows, uint32_t columns) {
  return big_endian(2051) + big_endian(count) + big_endian(rows) + big_endian(columns);
}

std::string label_file(const std::string& labels) {
  return big_endian(2049) + big_endian(static_cast<uint32_t>(labels.size())) + labels;
}

const std::string kImages = image_header(2, 2, 3) + "abcdefghijkl";
const std::string kLabels = label_file(std::string("\x09\x00", 2));

LabelledImages read(const std::string& images, const std::string& labels) {
  return read_idx(images, labels, "I", "L");
}

void expect_error(const std::string& images, const std::string& labels, const std::string& text) {
  try {
    read(images, labels);
    ADD_FAILURE() << "accepted; expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

TEST(Idx, ReadsShapePixelsAndLabels) {
  const LabelledImages split = read(kImages, kLabels);
  EXPECT_EQ(split.count, 2);
  EXPECT_EQ(split.channels, 1);
  EXPECT_EQ(split.height, 2);
  EXPECT_EQ(split.width, 3);
  EXPECT_EQ(std::string(split.pixels.begin(), split.pixels.end()), "abcdefghijkl");
  EXPECT_EQ(split.labels, (std::vector<int64_t>{9, 0}));
}

TEST(Idx, WritesWhatItReads) {
  EXPECT_EQ(write_idx_images(read(kImages, kLabels)), kImages);
  LabelledImages colour;
  colour.channels = 3;
  EXPECT_THROW(write_idx_images(colour), Error);
}

TEST(Idx, RejectsShortHeaders) {
  expect_error("", kLabels, "I: expected an IDX header of 16 bytes, found 0");
  expect_error(kImages, "", "L: expected an IDX header of 8 bytes, found 0");
  for (size_t n = 0; n < kImages.size(); ++n)
    EXPECT_THROW(read(kImages.substr(0, n), kLabels), Error);
  for (size_t n = 0; n < kLabels.size(); ++n)
    EXPECT_THROW(read(kImages, kLabels.substr(0, n)), Error);
}

TEST(Idx, RejectsWrongMagic) {
  expect_error(kLabels + std::string(20, 'x'), kLabels,
               "I: expected IDX magic number 2051, found 2049");
  expect_error(kImages, kImages, "L: expected IDX magic number 2049, found 2051");
  expect_error(std::string("\x03\x08\0\0", 4) + kImages.substr(4), kLabels, "little-endian");
}

TEST(Idx, RejectsLyingSizes) {
  expect_error(image_header(0, 2, 3), label_file(""), "at least 1 image, found 0");
  expect_error(image_header(2, 0, 3), kLabels, "sides from 1 to 4096, found 0 x 3");
  expect_error(image_header(2, 2, 0), kLabels, "found 2 x 0");
  expect_error(image_header(2, 4097, 1), kLabels, "found 4097 x 1");
  expect_error(image_header(2, 0xFFFFFFFF, 0xFFFFFFFF), kLabels, "found 4294967295 x 4294967295");
  expect_error(image_header(0xFFFFFFFF, 4096, 4096), kLabels,
               "I: 4294967295 images of 4096 x 4096 need 72057594021150736 bytes, found 16");
  // 2^31 * 2^31 * 4 = 2^64 would wrap to a file of 16 bytes.
  expect_error(image_header(4, 0x80000000, 0x80000000), kLabels, "found 2147483648 x 2147483648");
  expect_error(image_header(3, 2, 3) + "abcdefghijkl", kLabels, "need 34 bytes, found 28");
  expect_error(kImages + "m", kLabels, "2 images of 2 x 3 need 28 bytes, found 29");
}

TEST(Idx, RejectsBadLabels) {
  expect_error(kImages, label_file("\1\2\3"), "L: expected 2 labels, one an image of I, found 3");
  expect_error(kImages, kLabels + "x", "L: 2 labels need 10 bytes, found 11");
  expect_error(kImages, label_file("\1\xA"), "expected labels from 0 to 9, found 10 at image 1");
  expect_error(kImages, label_file("\xFF\1"), "found 255 at image 0");
  EXPECT_THROW(read_idx(kImages, kLabels, "I", "L", 9), Error);
}

}  // namespace
}  // namespace genai
