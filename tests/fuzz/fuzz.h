// What the fuzz targets share. Each reads bytes that libFuzzer makes up, and takes an Error as the
// answer to bad ones; any other exception, a sanitizer's report or a broken promise stops it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "genai/base/error.h"

namespace genai {

/// Did `read` return, and not throw an Error? With FUZZ_SAY in the environment Errors are shown.
template <class Read>
bool reads(Read read) {
  static const bool say = std::getenv("FUZZ_SAY") != nullptr;
  try {
    read();
    return true;
  } catch (const Error& error) {
    if (say) std::fprintf(stderr, "error: %s\n", error.what());
    return false;
  }
}

/// What must hold whatever the bytes are.
inline void promise(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

inline std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Takes the first byte off, to choose by; 0 where there is none.
inline uint8_t take_byte(std::string_view& bytes) {
  if (bytes.empty()) return 0;
  const auto first = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  return first;
}

/// Takes off what is before the first `mark`, and the mark; all where there is none.
inline std::string_view take_until(std::string_view& bytes, char mark) {
  const std::string_view part = bytes.substr(0, bytes.find(mark));
  bytes.remove_prefix(part.size() < bytes.size() ? part.size() + 1 : part.size());
  return part;
}

}  // namespace genai
