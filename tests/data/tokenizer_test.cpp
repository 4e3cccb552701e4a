#include "genai/data/tokenizer.h"

#include <gtest/gtest.h>

#include "base/temp_folder.h"
#include "genai/core/philox.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

using Ids = std::vector<int32_t>;

const std::string kText = "To be, or not to be:\nthat is the question. To be?\n";

std::shared_ptr<const Tokenizer> made(TokenizerKind kind) {
  return make_tokenizer(kind, kText);
}

/// Every code point there is.
const std::string& all_unicode() {
  static const std::string text = [] {
    std::string all;
    for (int32_t c = 0; c <= 0x10FFFF; ++c) {
      if (c < 0xD800 || c > 0xDFFF) all += to_utf8(c);
    }
    return all;
  }();
  return text;
}

TEST(Unicode, Utf8IsReadStrictly) {
  EXPECT_EQ(count_characters(all_unicode()), 0x110000 - 0x800);
  int32_t expected = 0;
  for (size_t at = 0; at < all_unicode().size(); ++expected) {
    if (expected == 0xD800) expected = 0xE000;
    const Character c = character_at(all_unicode(), at);
    ASSERT_EQ(c.code_point, expected);
    ASSERT_EQ(c.bytes, expected < 0x80 ? 1 : expected < 0x800 ? 2 : expected < 0x10000 ? 3 : 4);
    at += c.bytes;
  }
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xE2\x82",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3(", "\xF0\x9F\x99"}) {
    const Character c = character_at(bad, 0);
    EXPECT_EQ(c.code_point, -1) << visible_text(bad);
    EXPECT_EQ(c.bytes, 1u);
  }
}

TEST(Unicode, ClassesAreThoseOfThePattern) {
  const auto expect_all = [](std::u32string_view characters, CharacterClass expected) {
    for (const char32_t c : characters)
      EXPECT_EQ(character_class(static_cast<int32_t>(c)), expected) << std::hex << uint32_t{c};
  };
  expect_all(U"aZ\u00E9\u00DF\u0416\u05D0\u4E2D\u00AA\u02B0\U0001D518", CharacterClass::letter);
  expect_all(U"09\u00BD\u00B2\u0661\u2167\U0001D7D8", CharacterClass::number);
  expect_all(U" \t\n\v\f\r\u0085\u00A0\u1680\u2000\u200A\u2028\u2029\u202F\u205F\u3000",
             CharacterClass::space);
  expect_all(U"!_'\u0301\u200B\u200D\uFEFF\U0001F642\u001C\u007F", CharacterClass::other);
  EXPECT_EQ(character_class(-1), CharacterClass::other);
}

TEST(Unicode, VisibleTextShowsEverything) {
  EXPECT_EQ(visible_text("a b\n\t\r\\"), "a\u2423b\\n\\t\\r\\\\");
  EXPECT_EQ(visible_text("\u00E9\u4E2D\xFF\u0301\u200B"), "\u00E9\u4E2D\\xFF\\u{301}\\u{200B}");
  EXPECT_EQ(visible_text(std::string("\0\x1B[", 3)), "\\u{0}\\u{1B}[");
}

TEST(Tokenizer, CharactersHaveTheirIdsInOrder) {
  const auto tokenizer = make_tokenizer(TokenizerKind::characters, "b\u00E9a\nab");
  EXPECT_EQ(tokenizer->size(), 4);
  EXPECT_EQ(tokenizer->encode("\nab\u00E9"), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(tokenizer->decode(Ids{3, 0}), "\u00E9\n");
  EXPECT_EQ(tokenizer->name(), "characters-4");
}

TEST(Tokenizer, BytesAreTheirOwnIds) {
  const auto tokenizer = made(TokenizerKind::bytes);
  EXPECT_EQ(tokenizer->encode("\xFF a"), (Ids{255, 32, 97}));
  EXPECT_EQ(tokenizer->size(), 256);
}

TEST(Tokenizer, WordsAreTheFrequentPieces) {
  const auto tokenizer = made(TokenizerKind::words);
  EXPECT_EQ(tokenizer->token(256), " be");  // three times
  EXPECT_EQ(tokenizer->encode(" be?"),
            (Ids{256, tokenizer->encode("?")[0]}));  // a sign alone is its byte
  EXPECT_EQ(tokenizer->encode(" bee").size(), 4u);   // spelled
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(" bee")), " bee");
  const auto small = make_tokenizer(TokenizerKind::words, kText, 258);
  EXPECT_EQ(small->size(), 258);
  EXPECT_EQ(small->token(257), " To");  // of those that are there once, the first by bytes
}

TEST(Tokenizer, SizesAreAsAsked) {
  EXPECT_EQ(make_tokenizer(TokenizerKind::bpe, kText, 257)->name(), "bpe-257");
  EXPECT_EQ(make_tokenizer(TokenizerKind::bpe, kText, 256)->encode("ab").size(), 2u);
  EXPECT_EQ(make_tokenizer(TokenizerKind::words, kText, 256)->size(), 256);
  EXPECT_LT(make_tokenizer(TokenizerKind::bpe, kText)->size(), 300);  // there is no more to learn
}

class Kinds : public testing::TestWithParam<TokenizerKind> {
 protected:
  bool any_bytes() const { return GetParam() != TokenizerKind::characters; }
};

TEST_P(Kinds, TextsMakeTheRoundTrip) {
  const auto tokenizer = made(GetParam());
  for (const std::string& text : {kText, std::string(), std::string("to the question\n")}) {
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->decode(ids), text);
    for (const int32_t id : ids) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, tokenizer->size());
    }
  }
  const bool is_bpe = GetParam() == TokenizerKind::bpe;
  const auto wide = make_tokenizer(GetParam(), all_unicode(), is_bpe ? 300 : 0);
  EXPECT_TRUE(wide->decode(wide->encode(all_unicode())) == all_unicode());
}

TEST_P(Kinds, AnyBytesMakeTheRoundTrip) {
  if (!any_bytes()) GTEST_SKIP() << "takes UTF-8 alone";
  const auto tokenizer = made(GetParam());
  EXPECT_TRUE(tokenizer->decode(tokenizer->encode(all_unicode())) == all_unicode());
  std::vector<uint64_t> bits(5000);
  philox_bits(stream_key(7, "bytes"), 0, 0, bits.data(), 5000);
  std::string bytes(kText);
  for (const uint64_t b : bits) bytes.push_back(static_cast<char>(b));
  for (size_t from = 0; from < 300; ++from) {
    const std::string part = bytes.substr(from, 20 + 5 * from);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(part)), part);
  }
}

TEST_P(Kinds, ComeBackFromJson) {
  const auto tokenizer = make_tokenizer(GetParam(), kText + "\u00E9\u4E2D\u4E2D\u4E2D\n");
  const Json json = parse_json(tokenizer->to_json().dump(), "stored", ErrorKind::data);
  const auto again = tokenizer_from_json(json, "stored");
  EXPECT_EQ(again->kind(), GetParam());
  EXPECT_EQ(again->name(), tokenizer->name());
  EXPECT_EQ(again->fingerprint(), tokenizer->fingerprint());
  EXPECT_EQ(again->encode(kText), tokenizer->encode(kText));
  for (int32_t id = 0; id < again->size(); ++id) EXPECT_EQ(again->token(id), tokenizer->token(id));
  Json more = json;
  more["extra"] = 1;
  expect_error(ErrorKind::data, "stored: unknown key 'extra'",
               [&] { tokenizer_from_json(more, "stored"); });
}

TEST_P(Kinds, RefuseWhatTheyCannotSay) {
  expect_error(ErrorKind::data, "empty", [&] { make_tokenizer(GetParam(), ""); });
  const auto tokenizer = made(GetParam());
  const std::string last = std::to_string(tokenizer->size() - 1);
  for (const int64_t id : {int64_t{-1}, tokenizer->size()}) {
    expect_error(ErrorKind::data, "0 to " + last,
                 [&] { tokenizer->decode(Ids{static_cast<int32_t>(id)}); });
  }
  const bool sized = GetParam() == TokenizerKind::bpe || GetParam() == TokenizerKind::words;
  expect_error(ErrorKind::usage, "found 255", [&] { make_tokenizer(GetParam(), kText, 255); });
  expect_error(ErrorKind::usage, "found -1", [&] { make_tokenizer(GetParam(), kText, -1); });
  if (!sized) {
    expect_error(ErrorKind::usage, "expected no size",
                 [&] { make_tokenizer(GetParam(), kText, 300); });
  }
}

INSTANTIATE_TEST_SUITE_P(All, Kinds,
                         testing::Values(TokenizerKind::characters, TokenizerKind::bytes,
                                         TokenizerKind::bpe, TokenizerKind::words),
                         [](const auto& info) { return enum_name(kTokenizerNames, info.param); });

TEST(Tokenizer, CharactersNameWhatTheyDoNotKnow) {
  const auto tokenizer = made(TokenizerKind::characters);
  expect_error(ErrorKind::data, "'\u00E9' (U+00E9) at byte 3 is none of the",
               [&] { tokenizer->encode("To \u00E9"); });
  expect_error(ErrorKind::data, "bytes or bpe", [&] { tokenizer->encode("To \U0001F642"); });
  expect_error(ErrorKind::data, "byte 2 (\\xC3) is not UTF-8",
               [&] { tokenizer->encode("To\xC3("); });
  expect_error(ErrorKind::data, "byte 2 (\\x80) is not UTF-8",
               [] { make_tokenizer(TokenizerKind::characters, "ab\x80"); });
  expect_error(ErrorKind::data, "use bytes or bpe",
               [] { make_tokenizer(TokenizerKind::characters, "ab\x80"); });
}

TEST(Tokenizer, SpecialTokensNeedNotBeUtf8) {
  Json json = make_tokenizer(TokenizerKind::bpe, kText, 256)->to_json();
  json["vocabulary"].push_back(to_byte_letters("\xFF\xFE"));
  json["special"] = {256};
  json["end"] = 256;
  const auto tokenizer = tokenizer_from_json(json, "stored");
  EXPECT_EQ(tokenizer->encode("\xFF\xFE"), Ids{256});
  EXPECT_NE(tokenizer->bpe()->vocabulary_file().find("\"\u00FF\u00FE\":256}"), std::string::npos);
}

TEST(Tokenizer, JsonIsReadStrictly) {
  const auto refused = [](const std::string& part, const std::string& text) {
    expect_error(ErrorKind::data, part, [&] {
      tokenizer_from_json(parse_json(text, "stored", ErrorKind::data), "stored");
    });
  };
  for (const char* none : {"3", "{}", "[]", R"({"kind": 3})", R"({"kind": "letters"})"})
    refused("stored: expected a tokenizer", none);
  refused("characters, bytes, bpe, words, differences, returns, found \"letters\"",
          R"({"kind": "letters"})");
  refused("without 'vocabulary'", R"({"kind": "characters"})");
  refused("without 'merges'", R"({"kind": "bpe", "vocabulary": []})");
  refused("unknown key 'vocabulary'", R"({"kind": "bytes", "vocabulary": 256})");
  refused("expected a string", R"({"kind": "characters", "vocabulary": ["a"]})");
  refused("empty", R"({"kind": "characters", "vocabulary": ""})");
  refused("that at byte 1", R"({"kind": "characters", "vocabulary": "ba"})");
  refused("that at byte 1", R"({"kind": "characters", "vocabulary": "aa"})");
  refused("list of strings", R"({"kind": "words", "vocabulary": "ab"})");
  refused("list of strings", R"({"kind": "words", "vocabulary": ["ab", 3]})");
  refused("'ab': expected each word once", R"({"kind": "words", "vocabulary": ["ab", "ab"]})");
  refused("at least two bytes", R"({"kind": "words", "vocabulary": ["a"]})");
  refused("stands for no byte", R"({"kind": "words", "vocabulary": ["a b"]})");
  refused("no token for byte", R"({"kind": "bpe", "vocabulary": ["a"], "merges": []})");
  Json bpe = make_tokenizer(TokenizerKind::bpe, kText, 258)->to_json();
  bpe["merges"].push_back("a zz");
  refused("merge 2 of bpe: the part 'zz' of 'a zz'", bpe.dump());
  bpe["merges"].erase(2);
  bpe["vocabulary"].push_back("a");
  refused("ids 64 and 258 are both the token 'a'", bpe.dump());
}

TEST(Tokenizer, KnownIsWhatEncodeTakes) {
  const auto characters = make_tokenizer(TokenizerKind::characters, "ab\xc3\xa9");
  EXPECT_EQ(characters->known("ab\xc3\xa9\xc3\xa9"), 6u);
  EXPECT_EQ(characters->known("abcab"), 2u);
  EXPECT_EQ(characters->known("a\xc3"), 1u);  // half a character
  EXPECT_EQ(characters->known("\xff"), 0u);
  EXPECT_EQ(characters->known(""), 0u);
  EXPECT_EQ(make_tokenizer(TokenizerKind::bytes, "a")->known("\xff\xfe"), 2u);
}

}  // namespace
}  // namespace genai
