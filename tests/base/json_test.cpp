#include "genai/base/json.h"

#include "temp_folder.h"

namespace genai {
namespace {

Json parse(std::string_view text) {
  return parse_json(text, "x.json", ErrorKind::usage);
}

void expect_rejected(std::string_view text, std::string_view part = "x.json: ") {
  SCOPED_TRACE(text.substr(0, 80));
  expect_error(ErrorKind::usage, part, [&] { parse(text); });
}

std::string nested(size_t depth, const std::string& open, const std::string& inside,
                   const std::string& close) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += open;
  text += inside;
  for (size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(ParseJson, KeepsValuesAndTheirOrder) {
  const Json json = parse(R"({"z": [1, -2.5, true, null], "a": {"é": "\u00e9\ud83d\ude00"}})");
  EXPECT_EQ(json.dump(), R"({"z":[1,-2.5,true,null],"a":{"é":"é😀"}})");
}

TEST(ParseJson, AllowsComments) {
  EXPECT_EQ(parse("// why\n{/* a */\"a\": 1 // one\n}"), Json({{"a", 1}}));
  expect_rejected("{\"a\": 1} /* open");
}

TEST(ParseJson, CommentsCanBeForbidden) {
  expect_error(ErrorKind::data, "x.json: not valid JSON at line 1, column 2",
               [] { parse_json("{/* a */}", "x.json", ErrorKind::data, {.comments = false}); });
}

TEST(ParseJson, FindsEqualKeysAtEveryDepth) {
  expect_rejected(R"({"a": 1, "a": 1})", "the key 'a' appears twice");
  expect_rejected(R"({"a": 1, "b": {"c": {}, "a": 2}, "a": 3})", "the key 'a' appears twice");
  expect_rejected(R"([[{"x": {"b": 1, "c": [{"b": 1}], "b": 2}}]])", "the key 'b' appears twice");
  expect_rejected(R"({"a": 1, "\u0061": 2})", "the key 'a' appears twice");
  expect_rejected(R"({"": 1, "": 2})", "the key '' appears twice");
}

TEST(ParseJson, SameKeyInOtherObjectsIsFine) {
  const Json json = parse(R"({"a": {"a": 1}, "b": {"a": 2}, "c": [{"a": 3}, {"a": 4}], "A": 5})");
  EXPECT_EQ(json["c"][1]["a"], 4);
}

TEST(ParseJson, LimitsDepth) {
  EXPECT_EQ(parse(nested(64, "[", "", "]")).dump(), nested(64, "[", "", "]"));
  EXPECT_EQ(parse(nested(64, "[", "1", "]")).dump(), nested(64, "[", "1", "]"));
  expect_rejected(nested(65, "[", "", "]"), "nested deeper than 64 levels");
  EXPECT_NO_THROW(parse(nested(64, "{\"a\":", "1", "}")));
  expect_rejected(nested(65, "{\"a\":", "1", "}"), "nested deeper than 64 levels");
  expect_rejected(std::string(1'000'000, '['), "nested deeper than 64 levels");
  EXPECT_NO_THROW(parse_json("[[1]]", "x", ErrorKind::data, {.depth = 2}));
  expect_error(ErrorKind::data, "x: nested deeper than 2 levels",
               [] { parse_json("[[[1]]]", "x", ErrorKind::data, {.depth = 2}); });
}

TEST(ParseJson, LimitsSize) {
  const std::string most = "\"" + std::string((1 << 20) - 2, 'a') + "\"";
  EXPECT_NO_THROW(parse(most));
  expect_rejected(most + " ", "1048577 bytes of JSON; at most 1048576 are read");
  EXPECT_NO_THROW(parse_json("1234", "x", ErrorKind::data, {.bytes = 4}));
  expect_error(ErrorKind::data, "x: 5 bytes",
               [] { parse_json("12345", "x", ErrorKind::data, {.bytes = 4}); });
}

TEST(ParseJson, NumbersStayWhatTheyAre) {
  EXPECT_EQ(parse("9223372036854775807").get<int64_t>(), INT64_MAX);
  EXPECT_EQ(parse("-9223372036854775808").get<int64_t>(), INT64_MIN);
  EXPECT_TRUE(parse("1.0").is_number_float());
  EXPECT_TRUE(parse("1e3").is_number_float());
  EXPECT_EQ(parse("0.1").get<double>(), 0.1);
  EXPECT_EQ(parse("1.7976931348623157e308").get<double>(), std::numeric_limits<double>::max());
}

TEST(ParseJson, RejectsNumbersThatDoNotFit) {
  expect_rejected("1e400");
  expect_rejected("[-1e400]");
  for (const char* integer : {"9223372036854775808", "18446744073709551615", "18446744073709551616",
                              "-9223372036854775809", "100000000000000000000000000000"}) {
    expect_rejected(integer, concat("the integer ", integer, " is beyond 64 bits"));
    expect_rejected(concat("{\"a\": [0, ", integer, " ]}"),
                    concat("the integer ", integer, " is beyond 64 bits"));
  }
}

TEST(ParseJson, TakesLargeIntegersWhereTheyAreAllowed) {
  const Json json = parse_json("[1000000000000000019884624838656, 9223372036854775808, 7]", "x",
                               ErrorKind::data, {.large_integers = true});
  EXPECT_EQ(json[0], 1e30);
  EXPECT_EQ(json[1], 9223372036854775808.0);
  EXPECT_TRUE(json[2].is_number_integer());
}

TEST(ParseJson, MessagesNameNoLibrary) {
  expect_error(ErrorKind::data, "number overflow parsing '1e400'",
               [] { parse_json("1e400", "x", ErrorKind::data); });
  try {
    parse_json("1e400", "x", ErrorKind::data);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("json.exception"), std::string::npos) << error.what();
  }
}

TEST(ParseJson, RejectsWhatIsNotJson) {
  for (const char* text : {"",
                           " ",
                           "\n",
                           "{",
                           "}",
                           "[1,]",
                           "{\"a\":}",
                           "{\"a\" 1}",
                           "{a: 1}",
                           "{'a': 1}",
                           "{\"a\": 1,}",
                           "nan",
                           "NaN",
                           "Infinity",
                           "[-]",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "0x10",
                           "tru",
                           "\"open",
                           "\"tab\tinside\"",
                           "\"\\x41\"",
                           "\"\\ud800\"",
                           "{} {}",
                           "{}x",
                           "1 2",
                           "{},",
                           "//"}) {
    expect_rejected(text, "x.json: not valid JSON at line ");
  }
}

TEST(ParseJson, NothingHidesBehindAZeroByte) {
  expect_rejected(std::string_view("{}\0", 3));
  expect_rejected(std::string_view("{}\0{", 4));
  expect_rejected(std::string_view("\0", 1));
}

TEST(ParseJson, RejectsInvalidUtf8) {
  for (const char* bytes :
       {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"}) {
    expect_rejected(concat("\"", bytes, "\""), "invalid string");
    expect_rejected(concat("{\"", bytes, "\": 1}"), "invalid string");
  }
}

TEST(ParseJson, SkipsAByteOrderMarkOfUtf8Only) {
  EXPECT_EQ(parse("\xef\xbb\xbf{\"a\": 1}"), Json({{"a", 1}}));
  expect_rejected("\xef\xbb{}");
  expect_rejected(std::string_view("\xff\xfe{\0}\0", 6));
}

TEST(ParseJson, TellsThePosition) {
  expect_rejected("{\n  \"a\": 1,\n  \"b\": oops\n}", "x.json: not valid JSON at line 3, column 8");
  expect_rejected("[1 2]", "at line 1, column 4");
  expect_rejected("{}\n\nx", "at line 3, column 1");
  expect_rejected("[1,\n 2,\n {\"a\": 1,\n  \"a\": 2}]", "line 4, column ");
  expect_rejected("[1,\n 99999999999999999999]", "line 2, column ");
  expect_rejected("[1,\n" + std::string(64, '['), "line 2, column ");
}

TEST(ParseJson, ErrorHasTheKindAskedFor) {
  for (const ErrorKind kind : {ErrorKind::usage, ErrorKind::data}) {
    for (const char* text : {"{", R"({"a":1,"a":1})", "1e999", "[[[]]]"}) {
      expect_error(kind, "the file", [&] { parse_json(text, "the file", kind, {.depth = 2}); });
    }
  }
}

Json sample() {
  return {{"step", 1200},
          {"best", -0.1},
          {"rate", 1e-7},
          {"zero", -0.0},
          {"name", "Größe \"q\" \n"},
          {"list", {1, 2.5, false, nullptr, Json::array(), Json::object()}},
          {"most", INT64_MAX},
          {"least", INT64_MIN}};
}

TEST(SealedJson, RoundTrip) {
  const std::string text = seal_json(sample());
  EXPECT_EQ(open_sealed_json(text, "m.json").dump(), sample().dump());
  EXPECT_EQ(seal_json(open_sealed_json(text, "m.json")), text);
  EXPECT_EQ(open_sealed_json(seal_json(nullptr), "m.json"), Json());
}

TEST(SealedJson, EveryBitFlipIsFound) {
  const std::string text = seal_json(sample());
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string broken = text;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    expect_error(ErrorKind::data, "m.json: ", [&] { open_sealed_json(broken, "m.json"); });
  }
}

TEST(SealedJson, EveryTruncationAndEveryLostOrAddedByteIsFound) {
  const std::string text = seal_json({{"a", {1, 2}}});
  const auto rejected = [](const std::string& broken) {
    expect_error(ErrorKind::data, "m.json: ", [&] { open_sealed_json(broken, "m.json"); });
  };
  for (size_t i = 0; i < text.size(); ++i) {
    rejected(text.substr(0, i));
    rejected(std::string(text).erase(i, 1));
    rejected(std::string(text).insert(i, " "));
  }
  rejected(text + "\n");
  rejected(text + '\0');
}

TEST(SealedJson, RejectsOtherDocuments) {
  for (const char* text :
       {"{}", "[]", "1", R"({"content": 1})", R"({"content": 1, "sha256": 2})"}) {
    expect_error(ErrorKind::data, "m.json: its SHA-256 does not match",
                 [&] { open_sealed_json(text, "m.json"); });
  }
}

TEST(SealedJson, KeepsTheLimits) {
  const std::string text = seal_json(Json::array({Json::array({1})}));  // two levels in one
  EXPECT_NO_THROW(open_sealed_json(text, "m.json", {.depth = 3}));
  expect_error(ErrorKind::data, "nested deeper than 2",
               [&] { open_sealed_json(text, "m.json", {.depth = 2}); });
  expect_error(ErrorKind::data, "bytes of JSON",
               [&] { open_sealed_json(text, "m.json", {.bytes = text.size() - 1}); });
}

TEST(ParseJson, TakesTimeInProportionToTheKeys) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += concat(i ? "," : "", "\"key", i, "\":", i);
  text += "}";
  const Json json = parse_json(text, "many", ErrorKind::data, {.bytes = text.size()});
  EXPECT_EQ(json.size(), 200'000u);
  EXPECT_EQ(json.back(), 199'999);
}

TEST(CheckedLines, EveryFlippedBitIsSeen) {
  const Json object = {{"step", 12}, {"test", {{"nelbo", 101.25}}}};
  const std::string line = checked_line(object);
  const auto lines = read_checked_lines(line + "\n", "log").lines;
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].object, object);
  EXPECT_EQ(lines[0].number, 1u);
  for (size_t i = 0; i < line.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = line;
      flipped[i] = static_cast<char>(flipped[i] ^ 1 << bit);
      const CheckedLines read = read_checked_lines(line + "\n" + flipped + "\n", "log");
      EXPECT_GE(read.damaged.size(), 1u) << flipped;
    }
  }
}

TEST(CheckedLines, TornAndOlderLinesAreTaken) {
  const std::string line = checked_line({{"step", 1}});
  const CheckedLines torn = read_checked_lines(line + "\n" + line.substr(0, 5), "log");
  EXPECT_TRUE(torn.torn);
  EXPECT_EQ(torn.lines.size(), 1u);
  EXPECT_TRUE(torn.damaged.empty());
  const CheckedLines old = read_checked_lines("{\"step\":1}\n{\"step\":2}\n", "log");
  EXPECT_EQ(old.lines.size(), 2u);
  EXPECT_TRUE(old.damaged.empty());
  const CheckedLines mixed = read_checked_lines(line + "\n{\"step\":2}\n", "log");
  ASSERT_EQ(mixed.damaged.size(), 1u);
  EXPECT_NE(mixed.damaged[0].find("log, line 2"), std::string::npos);
}

}  // namespace
}  // namespace genai
