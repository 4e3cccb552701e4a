// Pictures of users: JPEG, WebP, BMP (PNG has a target of its own).
#include "genai/base/picture.h"

#include "fuzz.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMostPixels = 1 << 20;
  const std::string_view bytes = view(data, size);
  binary_kind(bytes);
  const auto told = picture_size(bytes);
  Picture picture;
  if (!reads([&] { picture = decode_picture(bytes, "fuzz", kMostPixels); })) return 0;
  const Image& image = picture.image;
  promise(
      image.width > 0 && image.height > 0 && image.width * image.height <= kMostPixels &&
          static_cast<int64_t>(image.pixels.size()) == image.width * image.height * image.channels,
      "a picture has as many pixels as it says");
  promise(picture.alpha.pixels.empty() ||
              static_cast<int64_t>(picture.alpha.pixels.size()) == image.width * image.height,
          "so has its alpha");
  promise(told && told->first * told->second == image.width * image.height,
          "the size that the header tells is that of the picture");
  resize_to_fit(image, 3, 5);
  return 0;
}
