// A picture in memory: 8 bits a channel, rows from the top, channels interleaved.
#pragma once
#include <cstdint>
#include <vector>

namespace genai {

struct Image {
  int64_t width = 0, height = 0;
  int64_t channels = 1;         ///< 1 grey, 3 RGB
  std::vector<uint8_t> pixels;  ///< [height, width, channels], row-major

  bool operator==(const Image&) const = default;
};

}  // namespace genai
