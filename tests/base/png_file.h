// PNG files by hand, so that decoding is not only tested against our own encoder.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <string>

namespace genai {

inline std::string png_number(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

inline std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const uLong crc =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return png_number(static_cast<uint32_t>(data.size())) + body +
         png_number(static_cast<uint32_t>(crc));
}

inline std::string deflated(const std::string& raw) {
  uLongf size = compressBound(raw.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
           raw.size());
  out.resize(size);
  return out;
}

inline const std::string kPngSignature("\x89PNG\r\n\x1a\n", 8);

inline std::string png_header(uint32_t width, uint32_t height, int bits, int colour,
                              int interlace = 0) {
  return png_chunk("IHDR", png_number(width) + png_number(height) + static_cast<char>(bits) +
                               static_cast<char>(colour) + std::string(2, '\0') +
                               static_cast<char>(interlace));
}

/// `raw`: rows, each after its filter byte. `extra`: chunks between IHDR and IDAT.
inline std::string png_file(const std::string& head, const std::string& raw,
                            const std::string& extra = "") {
  return kPngSignature + head + extra + png_chunk("IDAT", deflated(raw)) + png_chunk("IEND", "");
}

}  // namespace genai
