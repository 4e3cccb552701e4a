// PNG with text chunks (by libpng), strict: a damaged file never gives a picture.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "genai/base/image.h"

namespace genai {

struct PngText {
  std::string keyword;         ///< 1 to 79 printable ASCII characters, no space at the ends
  std::string text;            ///< no NUL; Latin-1, or UTF-8 when international
  bool international = false;  ///< iTXt (uncompressed) instead of tEXt

  bool operator==(const PngText&) const = default;
};

/// What shows through where a picture is transparent.
enum class Ground { white, black };

struct Png {
  Image image;
  Image alpha;                ///< 1 channel, 0 for transparent; without pixels when all is opaque
  std::vector<PngText> text;  ///< in the file's order; compressed or malformed ones are left out
  int orientation = 1;        ///< 1 to 8, of eXIf; the image is as stored
  int64_t highest = -1;       ///< of 16 bits: the largest value of a colour, up to 65,535
};

/// Throws ErrorKind::usage unless width and height are 1 to 2^31 - 1, channels 1 or 3 and pixels as
/// many as they say. `where` begins the message.
void check_image(const Image& image, const char* where);

/// Equal arguments give equal bytes (with the same zlib): fixed level and filter, text before the
/// pixels, no time. Throws ErrorKind::usage for an impossible image, keyword or text.
std::string encode_png(const Image& image, const std::vector<PngText>& text = {});

/// 8-bit grey (from grey) or RGB (from RGB and palette). 16 bits are scaled to 8, 1, 2 and 4 bits
/// expanded; alpha is blended over the ground, rounded. Interlaced files are read; of an animation
/// the default image. Colour profiles and gamma are ignored; colours that the
/// palette lacks are black.
/// Throws ErrorKind::data, naming `name`, unless signature, chunk structure, the CRC of every chunk
/// (ancillary too) and the pixel stream with its Adler sum are right and nothing follows IEND; the
/// size is checked against `max_pixels` before anything is allocated.
Png decode_png(std::string_view bytes, const std::string& name, int64_t max_pixels = 64 << 20,
               Ground ground = Ground::white);

}  // namespace genai
