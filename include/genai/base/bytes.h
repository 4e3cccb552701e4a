// Numbers in the bytes of a file.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace genai {

/// An unsigned number of `size` bytes, 4 at most, the lowest first where `little`; nothing when it
/// lies outside `bytes`.
inline std::optional<uint32_t> read_number(std::string_view bytes, uint64_t at, int size,
                                           bool little) {
  if (at > bytes.size() || bytes.size() - at < static_cast<size_t>(size)) return std::nullopt;
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) {
    const auto byte =
        static_cast<unsigned char>(bytes[at + static_cast<size_t>(little ? size - 1 - i : i)]);
    value = value << 8 | byte;
  }
  return value;
}

/// Appends the lowest `size` bytes of a number, the lowest first.
inline void append_little_endian(uint64_t value, int size, std::string& bytes) {
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
}

}  // namespace genai
