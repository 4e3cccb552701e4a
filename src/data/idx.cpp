#include "genai/data/idx.h"

#include <algorithm>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr uint32_t kImagesMagic = 2051, kLabelsMagic = 2049;
constexpr uint32_t kMaxSide = 4096;

uint32_t big_endian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

void append_big_endian(std::string& bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
}

void check_header(std::string_view bytes, size_t header, uint32_t magic, const std::string& name) {
  if (bytes.size() < header)
    fail(ErrorKind::data, name, ": expected an IDX header of ", header, " bytes, found ",
         bytes.size(), " bytes in all");
  const uint32_t found = big_endian(bytes, 0);
  if (found != magic)
    fail(ErrorKind::data, name, ": expected IDX magic number ", magic, ", found ", found,
         found == __builtin_bswap32(magic) ? " (bytes in little-endian order)" : "");
}

void check_size(std::string_view bytes, uint64_t expected, const std::string& what,
                const std::string& name) {
  if (bytes.size() != expected)
    fail(ErrorKind::data, name, ": ", what, " need ", expected, " bytes, found ", bytes.size());
}

}  // namespace

LabelledImages read_idx_images(std::string_view images, const std::string& name) {
  check_header(images, 16, kImagesMagic, name);
  const uint64_t count = big_endian(images, 4);
  const uint64_t rows = big_endian(images, 8), columns = big_endian(images, 12);
  if (count == 0) fail(ErrorKind::data, name, ": expected at least 1 image, found 0");
  if (rows < 1 || rows > kMaxSide || columns < 1 || columns > kMaxSide)
    fail(ErrorKind::data, name, ": expected sides from 1 to ", kMaxSide, ", found ", rows, " x ",
         columns);
  // At most 2^32 * 2^12 * 2^12 = 2^56: the product cannot wrap.
  check_size(images, 16 + count * rows * columns,
             concat(count, " images of ", rows, " x ", columns), name);
  LabelledImages split;
  split.count = static_cast<int64_t>(count);
  split.height = static_cast<int64_t>(rows);
  split.width = static_cast<int64_t>(columns);
  split.pixels.assign(images.begin() + 16, images.end());
  return split;
}

LabelledImages read_idx(std::string_view images, std::string_view labels,
                        const std::string& images_name, const std::string& labels_name,
                        int64_t classes) {
  check_header(labels, 8, kLabelsMagic, labels_name);
  LabelledImages split = read_idx_images(images, images_name);
  const auto count = static_cast<uint64_t>(split.count);
  const uint64_t label_count = big_endian(labels, 4);
  if (label_count != count)
    fail(ErrorKind::data, labels_name, ": expected ", count, " labels, one an image of ",
         images_name, ", found ", label_count);
  check_size(labels, 8 + count, concat(count, " labels"), labels_name);
  for (uint64_t i = 0; i < count; ++i) {
    const auto label = static_cast<uint8_t>(labels[8 + i]);
    if (label >= classes)
      fail(ErrorKind::data, labels_name, ": expected labels from 0 to ", classes - 1, ", found ",
           int{label}, " at image ", i);
  }
  split.labels.reserve(count);
  for (const char label : labels.substr(8)) split.labels.push_back(static_cast<uint8_t>(label));
  return split;
}

std::string write_idx_images(const LabelledImages& images) {
  if (images.channels != 1)
    fail(ErrorKind::usage, "an IDX file holds grey images of 1 channel, found ", images.channels,
         " channels");
  std::string bytes;
  bytes.reserve(16 + images.pixels.size());
  for (const int64_t value : {int64_t{kImagesMagic}, images.count, images.height, images.width})
    append_big_endian(bytes, static_cast<uint32_t>(value));
  bytes.append(images.pixels.begin(), images.pixels.end());
  return bytes;
}

}  // namespace genai
