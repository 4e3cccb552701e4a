// Pictures from the user's files, and the few operations on them that the tool needs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "genai/base/image.h"
#include "genai/base/png.h"

namespace genai {

/// A picture as it was read, and what reading it had to decide.
struct Picture {
  Image image;           ///< upright
  Image alpha;           ///< 1 channel, 0 for transparent; without pixels when all is opaque
  int64_t highest = -1;  ///< of a PNG of 16 bits: the largest value of a colour, up to 65,535
  bool lossy = false;    ///< JPEG: values near those that were meant
  int64_t samples = 0;   ///< of a PNG of ours, as it says itself: how many it shows
};

/// A PNG (see decode_png), JPEG (see decode_jpeg), WebP (no animation) or BMP (RGB, alpha ignored),
/// told by its first bytes and not by its name; turned upright by its EXIF orientation (PNG, JPEG),
/// alpha blended over the ground. Throws ErrorKind::data for anything else (saying what it is), a
/// damaged or truncated file, or more than `max_pixels` pixels (checked before decoding).
Picture decode_picture(std::string_view bytes, const std::string& name,
                       int64_t max_pixels = 64 << 20, Ground ground = Ground::white);

/// decode_picture of a file.
Picture load_picture(const std::filesystem::path& path, int64_t max_pixels = 64 << 20,
                     Ground ground = Ground::white);
Image read_picture(const std::filesystem::path& path, int64_t max_pixels = 64 << 20,
                   Ground ground = Ground::white);

/// Width and height as the header of a PNG, JPEG, WebP or BMP says, without decoding; nothing when
/// it says none. Not turned upright.
std::optional<std::pair<int64_t, int64_t>> picture_size(std::string_view bytes);

/// "a PNG", "a ZIP", "a GIF", ...: what a file starts like that is a picture, a document or an
/// archive and no text; empty for anything else.
std::string binary_kind(std::string_view bytes);

/// The first bytes of a file, `most` at most; empty when it cannot be read.
std::string read_start(const std::filesystem::path& path, size_t most);

/// Exactly width x height: the largest centred part of that aspect ratio (fractions of a pixel
/// count by their area), averaged over each target pixel's area when shrinking, bilinear when
/// enlarging. An image of that size already is returned as it is. Throws ErrorKind::usage unless
/// both are 1 to 65,536.
Image resize_to_fit(const Image& image, int64_t width, int64_t height);

/// "the middle 200x200 of 300x200", what resize_to_fit keeps; empty where it is all but a pixel's
/// breadth.
std::string kept_by_fit(const Image& image, int64_t width, int64_t height);

/// One channel: 0.299 R + 0.587 G + 0.114 B, rounded (ITU-R BT.601).
Image to_grey(const Image& image);

/// Three channels; grey is repeated.
Image to_rgb(const Image& image);

/// Each pixel becomes factor x factor. Throws ErrorKind::usage when factor < 1 or the result is
/// larger than 2^30 bytes.
Image scale_up(const Image& image, int64_t factor);

/// rows x columns cells, row by row, with `padding` black pixels around and between them; cells
/// without an image are black. Throws ErrorKind::usage unless there are 1 to rows * columns images,
/// all of one size and channel count, or when the result is larger than 2^30 bytes.
Image grid(const std::vector<Image>& images, int64_t rows, int64_t columns, int64_t padding = 2);

}  // namespace genai
