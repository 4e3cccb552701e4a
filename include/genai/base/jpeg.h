// JPEG (by libjpeg-turbo), strict: a damaged file never gives a picture.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "genai/base/image.h"

namespace genai {

/// 8-bit grey (from grey) or RGB (from YCbCr, RGB, CMYK and YCCK; of print colours a plain
/// conversion without their profile), as stored: the EXIF orientation, 1 to 8, goes to
/// `orientation` (1 where there is none or it is damaged). What follows the end-of-image marker
/// (a second picture, a film) is left alone.
/// Throws ErrorKind::data, naming `name`: what the library calls corrupt (truncated or impossible
/// data, codes or tables that are not there), more than `max_pixels` pixels (checked before
/// anything is allocated), more than 100 scans, a component without data.
Image decode_jpeg(std::string_view bytes, const std::string& name, int64_t max_pixels,
                  int* orientation);

/// Orientation 1 to 8 of a TIFF block, as EXIF wraps it (CIPA DC-008, 4.6); 1 when not found.
int exif_orientation(std::string_view tiff);

}  // namespace genai
