// Pictures from the user's files, and the few operations on them that the tool needs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "genai/base/image.h"

namespace genai {

/// A PNG (see decode_png), JPEG (grey or RGB, turned upright by its EXIF orientation) or BMP (RGB,
/// alpha ignored), told by its first bytes and not by its name. Throws ErrorKind::data for anything
/// else (saying what it is), a damaged or truncated file, or more than `max_pixels` pixels (checked
/// before decoding).
Image read_picture(const std::filesystem::path& path, int64_t max_pixels = 64 << 20);

/// Exactly width x height: the largest centred part of that aspect ratio (fractions of a pixel
/// count by their area), averaged over each target pixel's area when shrinking, bilinear when
/// enlarging. An image of that size already is returned as it is. Throws ErrorKind::usage unless
/// both are 1 to 65,536.
Image resize_to_fit(const Image& image, int64_t width, int64_t height);

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
