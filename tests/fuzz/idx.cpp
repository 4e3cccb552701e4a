// IDX: the labels of the input begin where its first two bytes say.
#include "genai/data/idx.h"

#include <algorithm>

#include "fuzz.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = view(data, size);
  const size_t high = take_byte(bytes), low = take_byte(bytes);
  const std::string_view images = bytes.substr(0, high << 8 | low);
  const std::string_view labels = bytes.substr(images.size());
  LabelledImages read;
  if (!reads([&] { read = read_idx(images, labels, "images", "labels"); })) return 0;
  promise(write_idx_images(read) == images, "images are the same after reading and writing");
  promise(std::ranges::all_of(read.labels, [](int64_t label) { return label >= 0 && label < 10; }),
          "labels are of the classes");
  return 0;
}
