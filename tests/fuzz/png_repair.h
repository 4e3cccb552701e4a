// Makes PNGs of bytes that nearly are, since a fuzzer does not guess checksums.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>

#include "base/png_file.h"

namespace genai {

/// Pixels are packed unless they begin like zlib's (RFC 1950, section 2.2).
inline std::string packed_pixels(std::string_view data) {
  const bool packed =
      data.size() >= 2 && (data[0] & 0x0F) == 8 &&
      (static_cast<uint8_t>(data[0]) << 8 | static_cast<uint8_t>(data[1])) % 31 == 0;
  return packed ? std::string(data) : deflated(std::string(data));
}

/// The chunks of a PNG: no longer than the rest of the file, with the right CRC; pixels packed, the
/// chunks of an animation numbered.
inline std::string repaired_png(std::string_view bytes) {
  std::string png = kPngSignature;
  uint32_t sequence = 0;
  for (size_t at = kPngSignature.size(); at + 12 <= bytes.size();) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(bytes[at + i]);
    length = static_cast<uint32_t>(std::min<size_t>(length, bytes.size() - at - 12));
    const std::string type(bytes.substr(at + 4, 4));
    std::string data(bytes.substr(at + 8, length));
    if (type == "IDAT") data = packed_pixels(data);
    if (type == "fcTL" || type == "fdAT") {
      data.resize(std::max<size_t>(data.size(), 4));
      const std::string rest = data.substr(4);
      data = png_number(sequence++) + (type == "fdAT" ? packed_pixels(rest) : rest);
    }
    png += png_chunk(type, data);
    at += size_t{12} + length;
  }
  return png;
}

}  // namespace genai
