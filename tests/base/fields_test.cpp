#include "genai/base/fields.h"

#include "temp_folder.h"

namespace genai {
namespace {

enum class Colour { red, green, dark_blue };
const EnumNames<Colour> kColourNames = {
    {Colour::red, "red"}, {Colour::green, "green"}, {Colour::dark_blue, "dark-blue"}};

struct Net {
  int64_t width = 8;
  std::vector<int64_t> hidden = {4, 2};
  bool operator==(const Net&) const = default;
};

struct Sample {
  bool on = false;
  int64_t count = 3;
  double rate = 0.5;
  std::string name = "none";
  Colour colour = Colour::green;
  Net encoder, decoder{.width = 16, .hidden = {}};
  bool operator==(const Sample&) const = default;
};

const FieldTable& net_fields() {
  static const FieldTable table =
      describe<Net>()
          .field("width", &Net::width, "channels", between(1, 64))
          .field("hidden", &Net::hidden, "units of each layer", at_least(1))
          .table();
  return table;
}

const FieldTable& sample_fields() {
  static const FieldTable table = describe<Sample>()
                                      .field("on", &Sample::on, "a switch")
                                      .field("count", &Sample::count, "how many")
                                      .resumable()
                                      .field("rate", &Sample::rate, "how fast", from_below(0, 1))
                                      .option("speed")
                                      .field("name", &Sample::name, "what it is called")
                                      .field("colour", &Sample::colour, "of the pen", kColourNames)
                                      .nest("encoder", &Sample::encoder, net_fields())
                                      .nest("decoder", &Sample::decoder, net_fields())
                                      .table();
  return table;
}

const Field& field(std::string_view name) {
  return *find_field(sample_fields(), name);
}

Sample read(const Json& json) {
  return from_json<Sample>(sample_fields(), json, "x.json");
}

/// What an Error{usage} of `action` says; a failure when there is none.
template <class Action>
std::string problems_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

TEST(Fields, DefaultsComeFromTheStruct) {
  EXPECT_EQ(field("count").default_value, 3);
  EXPECT_EQ(field("colour").default_value, "green");
  EXPECT_EQ(field("encoder.width").default_value, 8);
  EXPECT_EQ(field("encoder.hidden").default_value, Json({4, 2}));
  EXPECT_EQ(field("decoder.width").default_value, 16);
  EXPECT_EQ(field("decoder.hidden").default_value, Json::array());
  EXPECT_EQ(read(Json::object()), Sample());
}

TEST(Fields, CarryTheirMarks) {
  EXPECT_TRUE(field("count").resumable);
  EXPECT_FALSE(field("on").resumable);
  EXPECT_EQ(field("rate").option, "speed");
  EXPECT_EQ(field("name").option, "");
  EXPECT_EQ(field("colour").choices, (std::vector<std::string>{"red", "green", "dark-blue"}));
  EXPECT_EQ(find_field(sample_fields(), "width"), nullptr);
  EXPECT_EQ(last_part("encoder.width"), "width");
  EXPECT_EQ(last_part("width"), "width");
}

TEST(Fields, ReadEveryType) {
  const Sample sample = read({{"on", true},
                              {"count", -7},
                              {"rate", 0},  // a whole number is a number
                              {"name", "Ä"},
                              {"colour", "dark-blue"},
                              {"encoder", {{"width", 64}, {"hidden", Json::array()}}},
                              {"decoder", {{"hidden", {1, 2, 3}}}}});
  const Sample expected{.on = true,
                        .count = -7,
                        .rate = 0,
                        .name = "Ä",
                        .colour = Colour::dark_blue,
                        .encoder = {.width = 64, .hidden = {}},
                        .decoder = {.width = 16, .hidden = {1, 2, 3}}};
  EXPECT_EQ(sample, expected);
}

TEST(Fields, RoundTrip) {
  const Sample sample{.on = true,
                      .count = INT64_MIN,
                      .rate = 0.1,
                      .name = "a \"b\"\n",
                      .colour = Colour::red,
                      .encoder = {.width = 2, .hidden = {7}},
                      .decoder = {.width = 1, .hidden = {INT64_MAX}}};
  const Json json = write_fields(sample_fields(), &sample);
  EXPECT_EQ(read(json), sample);
  EXPECT_EQ(read(parse_json(json.dump(), "x", ErrorKind::usage)), sample);
  EXPECT_EQ(json["decoder"]["hidden"], Json({INT64_MAX}));
  EXPECT_EQ(json["colour"], "red");
}

struct Case {
  const char* field;
  Json value;
};

TEST(CheckValue, AcceptsWhatFits) {
  const std::vector<Case> cases = {{"on", false},
                                   {"count", 0},
                                   {"count", INT64_MIN},
                                   {"count", INT64_MAX},
                                   {"rate", 0},
                                   {"rate", 0.999},
                                   {"name", ""},
                                   {"colour", "red"},
                                   {"encoder.width", 1},
                                   {"encoder.width", 64},
                                   {"encoder.hidden", Json::array()},
                                   {"encoder.hidden", {1, INT64_MAX}}};
  for (const auto& [name, value] : cases) {
    EXPECT_EQ(check_value(field(name), value), "") << name << " " << value;
  }
}

TEST(CheckValue, NeverNarrowsOrConverts) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<Case> cases = {{"on", 1},
                                   {"on", "true"},
                                   {"on", nullptr},
                                   {"count", 1.9},
                                   {"count", 1.0},
                                   {"count", 1e30},
                                   {"count", true},
                                   {"count", "3"},
                                   {"count", nullptr},
                                   {"count", {3}},
                                   {"count", UINT64_MAX},
                                   {"count", uint64_t{INT64_MAX} + 1},
                                   {"count", Json::object()},
                                   {"rate", "0.5"},
                                   {"rate", true},
                                   {"rate", nullptr},
                                   {"rate", infinity},
                                   {"rate", std::nan("")},
                                   {"rate", {0.5}},
                                   {"name", 3},
                                   {"name", nullptr},
                                   {"name", {"a"}},
                                   {"colour", 0},
                                   {"colour", "Red"},
                                   {"colour", ""},
                                   {"encoder.hidden", 4},
                                   {"encoder.hidden", "4"},
                                   {"encoder.hidden", {1, 2.0}},
                                   {"encoder.hidden", {1, "2"}},
                                   {"encoder.hidden", {true}},
                                   {"encoder.hidden", {{1}, {2}}}};
  for (const auto& [name, value] : cases) {
    EXPECT_NE(check_value(field(name), value), "") << name << " " << value;
  }
}

TEST(CheckValue, RangesHaveOpenAndClosedEnds) {
  const auto good = [](const Range& range, double x) {
    const Field number{.name = "x", .doc = "", .type = FieldType::number, .range = range};
    return check_value(number, x).empty();
  };
  const double below = std::nextafter(1, 0), over = std::nextafter(1, 2);
  EXPECT_FALSE(good(at_least(1), below));
  EXPECT_TRUE(good(at_least(1), 1));
  EXPECT_TRUE(good(at_least(1), 1e308));
  EXPECT_FALSE(good(above(1), 1));
  EXPECT_TRUE(good(above(1), over));
  EXPECT_TRUE(good(between(0, 1), 0));
  EXPECT_TRUE(good(between(0, 1), 1));
  EXPECT_FALSE(good(between(0, 1), over));
  EXPECT_FALSE(good(between(0, 1), -1e-300));
  EXPECT_TRUE(good(from_below(0, 1), 0));
  EXPECT_TRUE(good(from_below(0, 1), below));
  EXPECT_FALSE(good(from_below(0, 1), 1));
  EXPECT_NE(check_value(field("encoder.width"), 0), "");
  EXPECT_NE(check_value(field("encoder.width"), -1), "");
  EXPECT_NE(check_value(field("encoder.width"), 65), "");
  EXPECT_NE(check_value(field("encoder.hidden"), {4, 0}), "");
}

TEST(CheckValue, SaysWhatWasExpectedAndFound) {
  EXPECT_EQ(check_value(field("encoder.width"), "abc"),
            "expected integer >= 1 and <= 64, found \"abc\"");
  EXPECT_EQ(check_value(field("colour"), "gren"),
            "expected one of: red, green, dark-blue, found \"gren\"; did you mean 'green'?");
  EXPECT_EQ(check_value(field("colour"), "translucent"),
            "expected one of: red, green, dark-blue, found \"translucent\"");
}

struct Undecided {
  std::optional<bool> pairs;
};

TEST(AutomaticField, IsTrueFalseOrAuto) {
  const FieldTable table =
      describe<Undecided>().field("pairs", &Undecided::pairs, "a table of pairs").table();
  const Field& field = table[0];
  EXPECT_EQ(field.default_value, "auto");
  for (const Json& good : {Json(true), Json(false), Json("auto")}) {
    EXPECT_EQ(check_value(field, good), "");
    const auto read = from_json<Undecided>(table, {{"pairs", good}}, "test");
    EXPECT_EQ(write_fields(table, &read)["pairs"], good);  // booleans stay what they were
  }
  EXPECT_EQ(check_value(field, "maybe"), "expected true, false or auto, found \"maybe\"");
  EXPECT_EQ(value_from_text(field, "true"), true);
  EXPECT_EQ(value_from_text(field, "auto"), "auto");
  EXPECT_EQ(json_schema(table)["properties"]["pairs"]["enum"], (Json{true, false, "auto"}));
}

TEST(DescribeType, NamesTypeAndRange) {
  const auto described = [](FieldType type, const Range& range) {
    return describe_type({.name = "x", .doc = "", .type = type, .range = range});
  };
  EXPECT_EQ(described(FieldType::integer, {}), "integer");
  EXPECT_EQ(described(FieldType::integer, at_least(-3)), "integer >= -3");
  EXPECT_EQ(described(FieldType::number, above(0)), "number > 0");
  EXPECT_EQ(described(FieldType::number, {.max = 0.9}), "number <= 0.9");
  EXPECT_EQ(described(FieldType::number, from_below(0, 1)), "number >= 0 and < 1");
  EXPECT_EQ(described(FieldType::number, between(1e-7, 1e20)), "number >= 1e-07 and <= 1e+20");
  EXPECT_EQ(described(FieldType::integers, at_least(1)), "list of integers >= 1");
  EXPECT_EQ(described(FieldType::boolean, {}), "true or false");
  EXPECT_EQ(described(FieldType::text, {}), "text");
}

TEST(ValueFromText, ReadsWhatTheTypeSays) {
  EXPECT_EQ(value_from_text(field("on"), "true"), true);
  EXPECT_EQ(value_from_text(field("on"), "false"), false);
  EXPECT_EQ(value_from_text(field("count"), "-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(value_from_text(field("rate"), "3e-4"), 3e-4);
  EXPECT_EQ(value_from_text(field("rate"), "1"), 1.0);
  EXPECT_EQ(value_from_text(field("name"), "12"), "12");
  EXPECT_EQ(value_from_text(field("name"), ""), "");
  EXPECT_EQ(value_from_text(field("colour"), "red"), "red");
  EXPECT_EQ(value_from_text(field("encoder.hidden"), "512,256"), Json({512, 256}));
  EXPECT_EQ(value_from_text(field("encoder.hidden"), "7"), Json({7}));
  EXPECT_EQ(value_from_text(field("encoder.hidden"), ""), Json::array());
}

TEST(ValueFromText, WhatIsNoValueIsShownAsWritten) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"on", "yes"},      {"on", "1"},       {"on", "True"},    {"on", ""},
      {"count", ""},      {"count", "1.0"},  {"count", "1e3"},  {"count", "0x10"},
      {"count", " 1"},    {"count", "1 "},   {"count", "+1"},   {"count", "9223372036854775808"},
      {"count", "three"}, {"count", "--1"},  {"rate", ""},      {"rate", "nan"},
      {"rate", "inf"},    {"rate", "-inf"},  {"rate", "1e400"}, {"rate", "0,5"},
      {"rate", "0.5x"},   {"rate", "0x1p-2"}};
  for (const auto& [name, text] : cases) {
    const std::string wrong = check_value(field(name), value_from_text(field(name), text));
    EXPECT_TRUE(wrong.ends_with(concat(", found \"", text, "\""))) << name << ": " << wrong;
  }
  for (const char* text : {",", "1,", ",1", "1,,2", "1;2", "1, 2", "1,2.5", "[1]"}) {
    const Field& hidden = field("encoder.hidden");
    EXPECT_NE(check_value(hidden, value_from_text(hidden, text)), "") << text;
  }
}

TEST(ReadFields, TellsAllProblemsAtOnce) {
  const std::string text = problems_of([] {
    read({{"count", 1.9},
          {"rate", 1},
          {"nane", "a"},
          {"colour", "grin"},
          {"name", "fine"},
          {"encoder", {{"width", 0}, {"depth", 3}}},
          {"decoder", {{"hidden", {1, "x"}}}}});
  });
  EXPECT_EQ(text,
            "x.json: count: expected integer, found 1.9\n"
            "x.json: rate: expected number >= 0 and < 1, found 1\n"
            "x.json: nane: unknown setting\n"
            "x.json: colour: expected one of: red, green, dark-blue, found \"grin\"; did you mean "
            "'green'?\n"
            "x.json: encoder.width: expected integer >= 1 and <= 64, found 0\n"
            "x.json: encoder.depth: unknown setting\n"
            "x.json: decoder.hidden: expected list of integers >= 1, found [1,\"x\"]");
}

TEST(ReadFields, RejectsWrongShapes) {
  EXPECT_NE(problems_of([] { read(Json::array()); }).find("expected an object"), std::string::npos);
  EXPECT_NE(problems_of([] { read(3); }).find("expected an object"), std::string::npos);
  EXPECT_NE(problems_of([] { read({{"encoder", 3}}); }).find("encoder: "), std::string::npos);
  EXPECT_NE(problems_of([] {
              read({{"count", {{"x", 1}}}});
            }).find("count.x: unknown"),
            std::string::npos);
}

TEST(ReadFields, AnEmptyObjectIsNoValue) {
  EXPECT_EQ(read({{"encoder", Json::object()}}), Sample());
  EXPECT_NE(problems_of([] {
              read({{"count", Json::object()}});
            }).find("expected integer, found {}"),
            std::string::npos);
  EXPECT_NE(problems_of([] {
              read({{"bogus", Json::object()}});
            }).find("bogus: unknown setting"),
            std::string::npos);
  EXPECT_NE(problems_of([] {
              read({{"enc", Json::object()}});
            }).find("enc: unknown setting"),
            std::string::npos);
}

TEST(JsonSchema, DescribesEachField) {
  const Json schema = json_schema(sample_fields());
  const Json& properties = schema["properties"];
  EXPECT_EQ(schema["type"], "object");
  EXPECT_EQ(properties.size(), 7u);
  EXPECT_EQ(properties["on"],
            Json({{"type", "boolean"}, {"description", "a switch"}, {"default", false}}));
  EXPECT_EQ(properties["count"],
            Json({{"type", "integer"}, {"description", "how many"}, {"default", 3}}));
  EXPECT_EQ(properties["rate"], Json({{"type", "number"},
                                      {"minimum", 0.0},
                                      {"exclusiveMaximum", 1.0},
                                      {"description", "how fast"},
                                      {"default", 0.5}}));
  EXPECT_EQ(properties["name"]["type"], "string");
  EXPECT_EQ(properties["colour"]["enum"], Json({"red", "green", "dark-blue"}));
  EXPECT_EQ(properties["decoder"]["properties"]["width"], Json({{"type", "integer"},
                                                                {"minimum", 1.0},
                                                                {"maximum", 64.0},
                                                                {"description", "channels"},
                                                                {"default", 16}}));
  EXPECT_EQ(properties["encoder"]["properties"]["hidden"],
            Json({{"type", "array"},
                  {"items", {{"type", "integer"}, {"minimum", 1.0}}},
                  {"description", "units of each layer"},
                  {"default", {4, 2}}}));
  const Field open{.name = "x", .doc = "", .type = FieldType::number, .range = above(0)};
  EXPECT_EQ(json_schema({open})["properties"]["x"]["exclusiveMinimum"], 0.0);
  EXPECT_FALSE(json_schema({open})["properties"]["x"].contains("minimum"));
}

TEST(JsonSchema, AllowsNoUnknownKeys) {
  const Json schema = json_schema(sample_fields());
  EXPECT_EQ(schema["additionalProperties"], false);
  for (const char* inner : {"encoder", "decoder"}) {
    EXPECT_EQ(schema["properties"][inner]["additionalProperties"], false);
    EXPECT_EQ(schema["properties"][inner]["type"], "object");
  }
}

TEST(Paths, FindAndSet) {
  Json json = Json::object();
  set_path(json, "a.b.c", 1);
  set_path(json, "a.d", 2);
  set_path(json, "e", 3);
  set_path(json, "a.b.c", 4);
  EXPECT_EQ(json.dump(), R"({"a":{"b":{"c":4},"d":2},"e":3})");
  EXPECT_EQ(*find_path(json, "a.b.c"), 4);
  EXPECT_EQ(*find_path(json, "a.b"), Json({{"c", 4}}));
  EXPECT_EQ(*find_path(json, ""), json);
  for (const char* path : {"b", "a.c", "a.b.c.d", "a..b", ".a", "e.x"}) {
    EXPECT_EQ(find_path(json, path), nullptr) << path;
  }
}

TEST(Nearest, ForgivesTyposAndAForgottenPrefix) {
  const std::vector<std::string> known = {"model.latent", "model.encoder.hidden",
                                          "training.learning_rate", "data.source"};
  EXPECT_EQ(nearest("model.latnt", known), "model.latent");
  EXPECT_EQ(nearest("latent", known), "model.latent");
  EXPECT_EQ(nearest("hiden", known), "model.encoder.hidden");
  EXPECT_EQ(nearest("training.learningrate", known), "training.learning_rate");
  EXPECT_EQ(nearest("quantum", known), "");
  EXPECT_EQ(nearest("anything", {}), "");
}

TEST(EnumName, NeedsAName) {
  EXPECT_EQ(enum_name(kColourNames, Colour::dark_blue), "dark-blue");
  EXPECT_THROW(enum_name(kColourNames, static_cast<Colour>(9)), std::logic_error);
}

struct Pictures {
  Extent size{8};
  std::vector<ClassChoice> without;
};

TEST(Fields, ExtentsAndClasses) {
  const FieldTable table = describe<Pictures>()
                               .field("size", &Pictures::size, "s", between(0, 100))
                               .field("without", &Pictures::without, "w")
                               .table();
  const Field &size = table[0], &without = table[1];
  EXPECT_EQ(size.default_value, Json(8));
  EXPECT_EQ(value_from_text(size, "64"), Json(64));
  EXPECT_EQ(value_from_text(size, "64x48"), Json("64x48"));
  for (const char* good : {"0", "5", "5x9", "100x1"})
    EXPECT_EQ(check_value(size, value_from_text(size, good)), "") << good;
  for (const char* wrong : {"-1", "101", "5x", "x5", "5x101", "0x5", "5x5x5", "a", "5.5", ""})
    EXPECT_NE(check_value(size, value_from_text(size, wrong)), "") << wrong;
  EXPECT_EQ(value_from_text(without, "cat,9"), Json({"cat", "9"}));
  EXPECT_EQ(check_value(without, Json::array({"cat", 3})), "");
  EXPECT_NE(check_value(without, Json::array({-3})), "");
  EXPECT_NE(check_value(without, Json::array({""})), "");
  EXPECT_NE(check_value(without, Json("cat")), "");
  const auto read = from_json<Pictures>(table, {{"size", "6x4"}, {"without", {"cat", 3}}}, "data");
  EXPECT_EQ(read.size, Extent(6, 4));
  EXPECT_EQ(read.without, (std::vector<ClassChoice>{{.name = "cat"}, {.name = "", .label = 3}}));
  EXPECT_EQ(write_fields(table, &read), Json({{"size", "6x4"}, {"without", {"cat", 3}}}));
  const auto square = from_json<Pictures>(table, {{"size", 7}}, "data");  // as runs stored it
  EXPECT_EQ(square.size, Extent(7, 7));
  EXPECT_EQ(write_fields(table, &square)["size"], Json(7));
}

}  // namespace
}  // namespace genai
