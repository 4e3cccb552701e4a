// PNG and APNG.
#include "genai/base/png.h"

#include "fuzz.h"
#include "genai/base/animation.h"
#include "png_repair.h"

using namespace genai;

namespace {

constexpr int64_t kMostPixels = 1 << 20;

bool is_whole(const Image& image) {
  return image.width > 0 && image.height > 0 && image.width * image.height <= kMostPixels &&
         (image.channels == 1 || image.channels == 3) &&
         static_cast<int64_t>(image.pixels.size()) == image.width * image.height * image.channels;
}

void read_one(const std::string& bytes) {
  Png png;
  if (!reads([&] { png = decode_png(bytes, "fuzz", kMostPixels); })) {
    promise(!reads([&] { decode_apng(bytes, "fuzz", kMostPixels); }), "no frames of a damaged PNG");
    return;
  }
  promise(is_whole(png.image), "an image has as many pixels as it says");
  promise(png.alpha.pixels.empty() || is_whole(png.alpha), "so has its alpha");
  promise(decode_png(encode_png(png.image), "fuzz").image == png.image,
          "an image is the same after writing and reading");
  decode_png(bytes, "fuzz", kMostPixels, Ground::black);
  reads([&] {
    for (const Image& frame : decode_apng(bytes, "fuzz", kMostPixels))
      promise(frame.width == png.image.width && frame.height == png.image.height && is_whole(frame),
              "all frames have one size");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = view(data, size);
  read_one(std::string(bytes));
  read_one(repaired_png(bytes));
  return 0;
}
