#include "genai/data/unicode.h"

#include <utf8proc.h>

#include <array>
#include <cassert>
#include <cstdio>

namespace genai {
namespace {

bool is_white_space(int32_t c, utf8proc_category_t category) {
  return (c >= 9 && c <= 13) || c == 0x85 || category == UTF8PROC_CATEGORY_ZS ||
         category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

CharacterClass look_up(int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
    return CharacterClass::letter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
    return CharacterClass::number;
  return is_white_space(c, category) ? CharacterClass::space : CharacterClass::other;
}

/// Letters, numbers, punctuation and symbols can be seen; marks stick to what stands before them.
bool is_visible(int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
         (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_SO);
}

}  // namespace

Character character_at(std::string_view text, size_t at) {
  assert(at < text.size());
  const auto first = static_cast<uint8_t>(text[at]);
  if (first < 0x80) return {first, 1};
  utf8proc_int32_t code_point = -1;
  const utf8proc_ssize_t bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                       static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
  if (bytes < 1) return {};
  return {code_point, static_cast<size_t>(bytes)};
}

int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for (size_t at = 0; at < text.size(); at += character_at(text, at).bytes) ++count;
  return count;
}

std::string to_utf8(int32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(code_point, bytes);
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(length)};
}

CharacterClass character_class(int32_t code_point) {
  static const auto ascii = [] {
    std::array<CharacterClass, 128> classes{};
    for (int32_t c = 0; c < 128; ++c) classes[static_cast<size_t>(c)] = look_up(c);
    return classes;
  }();
  if (code_point < 0) return CharacterClass::other;
  return code_point < 128 ? ascii[static_cast<size_t>(code_point)] : look_up(code_point);
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.code_point < 0) return false;
    at += c.bytes;
  }
  return true;
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.code_point < 0) {
      valid += "\uFFFD";
    } else {
      valid += text.substr(at, c.bytes);
    }
    at += c.bytes;
  }
  return valid;
}

std::string visible_text(std::string_view text) {
  std::string shown;
  char code[16];
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.code_point == ' ') {
      shown += "\u2423";
    } else if (c.code_point == '\\') {
      shown += "\\\\";
    } else if (c.code_point == '\n') {
      shown += "\\n";
    } else if (c.code_point == '\t') {
      shown += "\\t";
    } else if (c.code_point == '\r') {
      shown += "\\r";
    } else if (c.code_point < 0) {
      std::snprintf(code, sizeof code, "\\x%02X", static_cast<uint8_t>(text[at]));
      shown += code;
    } else if (is_visible(c.code_point)) {
      shown += text.substr(at, c.bytes);
    } else {
      std::snprintf(code, sizeof code, "\\u{%X}", static_cast<unsigned>(c.code_point));
      shown += code;
    }
    at += c.bytes;
  }
  return shown;
}

}  // namespace genai
