#include "genai/data/bpe.h"

#include <gtest/gtest.h>

#include "base/temp_folder.h"
#include "genai/base/hash.h"
#include "genai/base/json.h"
#include "genai/core/philox.h"
#include "genai/data/known_texts.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

using Strings = std::vector<std::string>;

/// bpe_in_python.py's numbers.
const Json& reference() {
  static const Json table = [] {
    const fs::path file = fs::path(GENAI_SOURCE_DIR) / "tests/data/bpe_in_python.json";
    return parse_json(slurp(file), file.string(), ErrorKind::data);
  }();
  return table;
}

/// bpe_in_python.py's generated().
const std::string& generated() {
  static const std::string made = [] {
    const Strings pieces = reference().at("generated").at("pieces").get<Strings>();
    std::string text;
    uint64_t x = 1;
    const auto pick = [&] {
      x = x * 6364136223846793005 + 1442695040888963407;
      return (x >> 33) % pieces.size();
    };
    for (int i = 0; i < reference().at("generated").at("count").get<int>(); ++i) {
      const size_t first = pick(), second = pick();
      text += pieces[std::min(first, second)];
    }
    return text;
  }();
  return made;
}

std::string random_bytes(uint64_t item, int64_t count) {
  std::vector<uint64_t> bits(static_cast<size_t>(count));
  philox_bits(stream_key(1, "bytes"), item, 0, bits.data(), count);
  std::string bytes;
  for (const uint64_t b : bits) bytes.push_back(static_cast<char>(b));
  return bytes;
}

std::string decode(const Bpe& bpe, const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += bpe.tokens().at(static_cast<size_t>(id));
  return text;
}

Strings pieces_of(std::string_view text) {
  Strings pieces;
  split_pieces(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

void expect_as_reference(const std::string& text, const Json& expected) {
  const Bpe bpe = Bpe::train(text, expected.at("vocabulary"), expected.at("least"));
  SCOPED_TRACE(expected.at("vocabulary").dump());
  EXPECT_EQ(bpe.tokens().size(), expected.at("size"));
  Strings first = bpe.letter_merges();
  first.resize(std::min<size_t>(first.size(), 12));
  Strings wanted = expected.at("first").get<Strings>();
  std::erase(wanted, "");  // after the last line
  EXPECT_EQ(first, wanted);
  EXPECT_EQ(sha256(bpe.merges_file()), expected.at("merges_sha256"));
  EXPECT_EQ(sha256(bpe.vocabulary_file()), expected.at("vocabulary_sha256"));
  const std::vector<int32_t> ids = bpe.encode(text);
  EXPECT_EQ(ids.size(), expected.at("tokens"));
  EXPECT_EQ(decode(bpe, ids), text);
}

TEST(Bpe, EqualsTheReferenceOnAGeneratedText) {
  ASSERT_EQ(sha256(generated()), reference().at("generated").at("sha256"));
  for (const Json& expected : reference().at("generated").at("trained"))
    expect_as_reference(generated(), expected);
}

TEST(Bpe, EqualsTheReferenceOnTinyshakespeare) {
  const char* variable = std::getenv("GENAI_DATA");
  const fs::path folder =
      variable && *variable ? fs::path(variable) : fs::path(GENAI_SOURCE_DIR) / "data";
  std::string text;
  try {
    text = load_known_text(shakespeare(), folder, {.download = false, .progress = {}});
  } catch (const Error&) {
    GTEST_SKIP() << "tinyshakespeare is not in " << folder;
  }
  for (const Json& expected : reference().at("shakespeare")) expect_as_reference(text, expected);
}

TEST(Bpe, PiecesAndIdsEqualTheReference) {
  const Bpe bpe = Bpe::train(generated(), 1024);
  for (const Json& expected : reference().at("strings")) {
    const std::string text = expected.at("text");
    SCOPED_TRACE(visible_text(text));
    Strings letters;
    for (const std::string& piece : pieces_of(text)) letters.push_back(to_byte_letters(piece));
    EXPECT_EQ(letters, expected.at("pieces").get<Strings>());
    EXPECT_EQ(bpe.encode(text), expected.at("ids").get<std::vector<int32_t>>());
  }
}

TEST(Bpe, PiecesByTheLettersOfThePattern) {
  EXPECT_EQ(pieces_of("it's  15 o'clock!\n"),
            (Strings{"it", "'s", " ", " 15", " o", "'", "clock", "!", "\n"}));
  EXPECT_EQ(pieces_of(" \n\n x "), (Strings{" \n\n", " x", " "}));
  EXPECT_EQ(pieces_of("a \xFF\xFE!b"), (Strings{"a", " \xFF\xFE!", "b"}));  // other signs
  EXPECT_EQ(pieces_of("\xE2\x82"), (Strings{"\xE2\x82"}));                  // cut off
  EXPECT_TRUE(pieces_of("").empty());
}

// Counted by hand: one piece a line, so all pairs lie inside of "ab", "abc", "bc".
TEST(Bpe, LearnsTheMostFrequentPairAndBreaksTiesByIds) {
  const Bpe bpe = Bpe::train("ab\nab\nabc\nabc\nbc\nbc\nbc\n", 1000);
  EXPECT_EQ(bpe.letter_merges(), (Strings{"b c", "a b", "a bc"}));  // 5, then 2 and 2
  EXPECT_EQ(bpe.tokens().back(), "abc");
  EXPECT_EQ(Bpe::train("ab\nab\nabc\nabc\nbc\nbc\nbc\n", 258).letter_merges(),
            (Strings{"b c", "a b"}));
  EXPECT_EQ(Bpe::train("ab\nab\nabc\nabc\nbc\nbc\nbc\n", 1000, 3).letter_merges(),
            (Strings{"b c"}));
  EXPECT_TRUE(Bpe::train("", 300).merges().empty());
  EXPECT_TRUE(Bpe::train("abc", 300).merges().empty());                  // no pair twice
  EXPECT_EQ(Bpe::train("aaaa", 300).letter_merges(), (Strings{"a a"}));  // pairs may overlap
}

TEST(Bpe, AnyBytesMakeTheRoundTrip) {
  const Bpe bpe = Bpe::train(generated(), 600);
  for (uint64_t i = 0; i < 200; ++i) {
    const std::string bytes = random_bytes(i, static_cast<int64_t>(i * i) / 8);
    EXPECT_EQ(decode(bpe, bpe.encode(bytes)), bytes) << i;
  }
  std::string all;
  for (int32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c < 0xD800 || c > 0xDFFF) all += to_utf8(c);
  }
  EXPECT_EQ(decode(bpe, bpe.encode(all)), all);
  std::string joined;
  split_pieces(all, [&](std::string_view piece) { joined += piece; });
  EXPECT_EQ(joined, all);
}

// Without the heap, a piece of n bytes takes n^2 steps: minutes.
TEST(Bpe, LongPiecesTakeNoTimeToSpeakOf) {
  std::string piece;
  for (int i = 0; i < 500'000; ++i) piece += "abcab"[int64_t{i} * i % 5];
  const Bpe bpe = Bpe::train(piece, 300);
  EXPECT_EQ(decode(bpe, bpe.encode(piece)), piece);
}

TEST(Bpe, ByteLettersAreGpt2s) {
  EXPECT_EQ(to_byte_letters(" the\n"), "\u0120the\u010A");
  EXPECT_EQ(to_byte_letters(std::string("\0\x7F\xA0\xAD\xFF", 5)),
            "\u0100\u0121\u0142\u0143\u00FF");
  std::string all;
  for (const std::string& token : byte_tokens()) all += token;
  EXPECT_EQ(all.substr(0, 3), "!\"#");
  EXPECT_EQ(all.substr(188, 3), std::string("\0\x01\x02", 3));
  EXPECT_EQ(from_byte_letters(to_byte_letters(all), "all"), all);
  expect_error(ErrorKind::data, "file: '\u4E2D' stands for no byte",
               [] { from_byte_letters("a\u4E2D", "file"); });
  expect_error(ErrorKind::data, "'\u2423' stands for no byte",
               [] { from_byte_letters("a b", "file"); });
  expect_error(ErrorKind::data, "\\xFF", [] { from_byte_letters("a\xFF", "file"); });
}

TEST(Bpe, RejectsImpossibleSizes) {
  expect_error(ErrorKind::usage, "256", [] { Bpe::train("abc", 255); });
  expect_error(ErrorKind::usage, "found -1", [] { Bpe::train("abc", -1); });
  expect_error(ErrorKind::usage, "1000000", [] { Bpe::train("abc", 1'000'001); });
  expect_error(ErrorKind::usage, "found 0", [] { Bpe::train("abc", 300, 0); });
}

class BpeFiles : public testing::Test {
 protected:
  BpeFiles() : bpe(Bpe::train(generated(), 300)) {
    vocabulary = bpe.vocabulary_file();
    merges = bpe.merges_file();
  }

  Bpe read() const {
    put(folder / "vocab.json", vocabulary);
    put(folder / "merges.txt", merges);
    return Bpe::read(folder / "vocab.json", folder / "merges.txt");
  }

  void replace(std::string& content, const std::string& old, const std::string& now) const {
    const size_t at = content.find(old);
    ASSERT_NE(at, content.npos) << old;
    content.replace(at, old.size(), now);
  }

  void expect_refused(const Strings& parts) const {
    for (const std::string& part : parts) expect_error(ErrorKind::data, part, [&] { read(); });
  }

  TempFolder folder;
  Bpe bpe;
  std::string vocabulary, merges;
};

TEST_F(BpeFiles, AreReadAsTheyWereWritten) {
  const Bpe again = read();
  EXPECT_EQ(again.tokens(), bpe.tokens());
  EXPECT_EQ(again.letter_merges(), bpe.letter_merges());
  EXPECT_EQ(again.encode(generated()), bpe.encode(generated()));
  merges.erase(0, merges.find('\n') + 1);  // the version is optional
  EXPECT_EQ(read().letter_merges(), bpe.letter_merges());
  merges.pop_back();  // so is the last end of line
  EXPECT_EQ(read().letter_merges(), bpe.letter_merges());
}

// As in GPT-2's file: the end of a text, another token that none is encoded to, ids in any order.
TEST_F(BpeFiles, MayHaveTokensThatNoMergeMakes) {
  vocabulary.pop_back();
  vocabulary += ",\"<|endoftext|>\":300,\"<other>\":301}";
  Bpe extended = read();
  EXPECT_EQ(extended.tokens()[300], "<|endoftext|>");
  EXPECT_EQ(extended.end(), 300);
  EXPECT_EQ(extended.encode("<|endoftext|>"), (std::vector<int32_t>{300}));
  EXPECT_EQ(extended.encode("<other>"), bpe.encode("<other>"));
  replace(vocabulary, "\"!\":0,", "\"!\":300,");
  replace(vocabulary, "<|endoftext|>\":300", "<|endoftext|>\":0");
  extended = read();
  EXPECT_EQ(extended.encode("!"), (std::vector<int32_t>{300}));
  EXPECT_EQ(decode(extended, extended.encode(generated())), generated());
}

TEST_F(BpeFiles, HaveToFit) {
  const std::string good = merges;
  const std::string second = bpe.letter_merges()[1];
  replace(merges, "\n" + second + "\n", "\n" + second + "q\n");
  expect_refused({"merges.txt, line 3", "vocab.json", second + "q"});
  merges = good + "! \"\n";
  expect_refused({"merges.txt, line 46: the result '!\"' of '! \"' is not in the vocabulary"});
  merges = good + second + "\n";
  expect_refused({"merges.txt, line 46", "is there twice"});
  for (const char* line : {"ab", "a b c", " a", "a ", "a  b", ""}) {
    merges = good + line + "\n" + second + "\n";
    expect_refused({"merges.txt, line 46: expected two tokens with one space between"});
  }
  merges = good + "a \u4E2D\n";
  expect_refused({"merges.txt, line 46", "stands for no byte"});
  merges = good + "a \r\n";
  expect_refused({"merges.txt, line 46: expected two tokens"});
  fs::remove(folder / "merges.txt");
  expect_error(ErrorKind::data, "merges.txt",
               [&] { Bpe::read(folder / "vocab.json", folder / "merges.txt"); });
}

TEST_F(BpeFiles, HaveIdsWithoutHolesOrDoubles) {
  const std::string good = vocabulary;
  const auto refused = [&](const std::string& old, const std::string& now, const Strings& parts) {
    vocabulary = good;
    replace(vocabulary, old, now);
    expect_refused(parts);
  };
  refused("\"!\":0,", "\"!\":1,", {"vocab.json", "'!'", "both have the id 1"});
  refused("\"!\":0,", "\"!\":300,", {"'!': expected an id from 0 to 299", "found 300"});
  refused("\"!\":0,", "\"!\":-1,", {"found -1"});
  refused("\"!\":0,", "\"!\":0.5,", {"found 0.5"});
  refused("\"!\":0,", "\"!\":99999999999999999999,", {"found 1e+20"});
  refused("\"!\":0,", "\"!\":[0],", {"nested deeper than 1 level", "line 1"});
  refused("\"!\":0,", "\"!\":0,\"!\":1,", {"'!' appears twice"});
  refused("\"!\":0,", "\"\":0,", {"token 0 is empty"});
  refused("\"!\":0,", "\"!!\":0,", {"no token for byte 33 ('!')"});
  refused("\"!\":0,", "\"\u4E2D\":0,", {"token 0", "stands for no byte"});
  for (const std::string& broken :
       {good.substr(0, 100), std::string(), std::string("[]"), std::string("{}"), good + "x",
        good.substr(0, good.size() - 1) + std::string("\0}", 2), std::string("3")}) {
    vocabulary = broken;
    expect_refused({"vocab.json"});
  }
}

}  // namespace
}  // namespace genai
