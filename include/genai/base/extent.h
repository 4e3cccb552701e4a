// Width and height in pixels.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace genai {

struct Extent {
  int64_t width = 0, height = 0;  ///< both 0: not given

  Extent() = default;
  Extent(int64_t side) : width(side), height(side) {}  // NOLINT: a number is a square
  Extent(int64_t w, int64_t h) : width(w), height(h) {}

  bool given() const { return width != 0 || height != 0; }
  bool operator==(const Extent&) const = default;
};

/// "64", "64x48".
std::string extent_text(const Extent& extent);
/// The reverse; nothing for another text or a negative number.
std::optional<Extent> extent_from_text(const std::string& text);

}  // namespace genai
