// UTF-8 and what a tokenizer must know of Unicode (by utf8proc).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace genai {

/// One code point as it stands in a text.
struct Character {
  int32_t code_point = -1;  ///< -1: a byte that is no part of valid UTF-8
  size_t bytes = 1;         ///< 1 to 4
};

/// The character at byte `at` < text.size(). Strict: no overlong forms, no surrogates, nothing
/// above U+10FFFF.
Character character_at(std::string_view text, size_t at);

/// Characters of a text; a byte that is no part of valid UTF-8 counts as one.
int64_t count_characters(std::string_view text);

/// The code point as UTF-8.
std::string to_utf8(int32_t code_point);

/// The classes that the patterns of tokenizers tell apart: categories L and N, the property
/// White_Space, everything else (-1 too). Characters that Unicode takes in later than the installed
/// utf8proc knows them are `other`.
enum class CharacterClass { letter, number, space, other };
CharacterClass character_class(int32_t code_point);

bool is_utf8(std::string_view text);

/// The text with U+FFFD for each byte that is no part of valid UTF-8.
std::string valid_utf8(std::string_view text);

/// For people: a space as U+2423, \n, \t and \r, bytes that are no UTF-8 as \xFF, whatever else
/// would not be seen as \u{300}, a backslash doubled.
std::string visible_text(std::string_view text);

}  // namespace genai
