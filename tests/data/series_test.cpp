#include "genai/data/series.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/base/error.h"
#include "genai/data/text_data.h"
#include "genai/data/text_set.h"

namespace genai {
namespace {

using Values = std::vector<double>;

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ReadColumn, TakesWhatSpreadsheetsWrite) {
  EXPECT_EQ(read_column("1\n2.5\n-3e2\n", "", "x"), (Values{1, 2.5, -300}));
  EXPECT_EQ(read_column("date,value\n2020-01,1.5\n2020-02,+2\n", "", "x"), (Values{1.5, 2}));
  EXPECT_EQ(read_column("# from somewhere\r\na;b\r\n1;2\r\n\r\n3;4", "a", "x"), (Values{1, 3}));
  EXPECT_EQ(read_column("1\t2\n3\t4\n", "1", "x"), (Values{1, 3}));
  EXPECT_EQ(read_column("\xEF\xBB\xBF\"day, month\",\"a \"\"b\"\"\"\n\"Jan 1, 2020\",7\n",
                        "a \"b\"", "x"),
            (Values{7}));
  // One column is the one, whatever name was asked for.
  EXPECT_EQ(read_column("5\n6\n", "value", "x"), (Values{5, 6}));
}

TEST(ReadColumn, SaysWhatIsWrong) {
  const auto error = [](const std::string& text, const std::string& column) {
    return error_of([&] { read_column(text, column, "s.csv"); });
  };
  EXPECT_NE(error("a,b\n1,2\n3,n/a\n", "").find("line 3: expected a number in column 'b', found "
                                                "'n/a'"),
            std::string::npos);
  EXPECT_NE(error("a,b\n1,2\n3\n", "").find("line 3"), std::string::npos);
  EXPECT_NE(error("a,b\n1,nan\n", "").find("line 2"), std::string::npos);
  EXPECT_NE(error("a,b\n1,2\n", "c").find("no column 'c'; its first line has: a, b"),
            std::string::npos);
  EXPECT_NE(error("a,b\n1,2\n", "3").find("no column '3'"), std::string::npos);
  EXPECT_NE(error("a,b\n", "").find("names alone"), std::string::npos);
  EXPECT_NE(error("\n# nothing\n", "").find("found none"), std::string::npos);
}

TEST(SeriesText, KeepsEveryDigit) {
  const Values values{0.1, 1.0 / 3, -1e300, 5, 123456789.123456789};
  EXPECT_EQ(read_column(series_text(values), "", "x"), values);
}

TEST(Changes, LevelsAreEquallyFrequentAndStandForTheirMeans) {
  Values values{0};
  for (int i = 1; i <= 100; ++i) values.push_back(values.back() + (i * 37) % 101);   // 1 to 100
  const Changes changes = Changes::learn(TokenizerKind::differences, values, 4, 0, "");
  ASSERT_EQ(changes.size(), 4);
  std::vector<int> counts(4);
  for (const int32_t id : changes.encode(values)) ++counts[static_cast<size_t>(id)];
  EXPECT_EQ(counts, std::vector<int>(4, 25));
  EXPECT_EQ(changes.token(0), "+13\n");   // the mean of 1 to 25
  // What the tokens stand for adds up to what happened.
  EXPECT_NEAR(changes.follow(Values{0}, changes.encode(values)).back(), values.back(), 1e-9);
}

TEST(Changes, EqualChangesAreOfOneLevel) {
  Values values{0};
  for (int i = 0; i < 50; ++i) values.push_back(values.back() + (i % 10 == 0 ? 5 : i % 10 == 1 ? -1 : 0));
  const Changes changes = Changes::learn(TokenizerKind::differences, values, 10, 0, "");
  EXPECT_EQ(changes.size(), 3);
  // Three different changes, three levels: nothing is rounded.
  const auto ids = changes.encode(values);
  EXPECT_EQ(changes.follow(Values{0}, ids), Values(values.begin() + 1, values.end()));
}

TEST(Changes, ReturnsAreRelative) {
  Values values{100};
  for (int i = 0; i < 40; ++i) values.push_back(values.back() * (i % 2 ? 1.1 : 0.8));
  const Changes changes = Changes::learn(TokenizerKind::returns, values, 2, 0, "");
  EXPECT_EQ(changes.token(0), "-20%\n");
  EXPECT_EQ(changes.token(1), "+10%\n");
  const Values next = changes.follow(Values{50}, std::vector<int32_t>{1, 0});
  EXPECT_NEAR(next[0], 55, 1e-9);
  EXPECT_NEAR(next[1], 44, 1e-9);
}

TEST(Changes, ASeasonAndATrendGoOnByThemselves) {
  // A season of 4, a trend and a step: all changes are 0, but for that and a season later.
  Values values;
  for (int t = 0; t < 60; ++t) values.push_back(t % 4 * (t % 4) + 0.25 * t + (t >= 30));
  const Changes changes = Changes::learn(TokenizerKind::differences, values, 8, 4, "");
  EXPECT_EQ(changes.lead(), 5);
  EXPECT_EQ(changes.size(), 3);
  const auto ids = changes.encode(values);
  ASSERT_EQ(ids.size(), values.size() - 5);
  const Values again = changes.follow(Values(values.begin(), values.begin() + 5), ids);
  for (size_t i = 0; i < again.size(); ++i) EXPECT_NEAR(again[i], values[i + 5], 1e-9) << i;
}

TEST(Changes, SurviveAsJson) {
  const Values values{1, 2.5, 2, 4, 3.25, 7, 6, 9};
  const Changes changes = Changes::learn(TokenizerKind::returns, values, 3, 2, "price");
  const auto again = tokenizer_from_json(Json::parse(changes.to_json().dump()), "x");
  ASSERT_TRUE(again->changes());
  EXPECT_EQ(again->fingerprint(), changes.fingerprint());
  EXPECT_EQ(again->changes()->encode(values), changes.encode(values));
  EXPECT_EQ(again->changes()->column(), "price");
  for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{
           {"season", -1}, {"season", "x"}, {"edges", {3, 1}}, {"changes", {1}}, {"column", 5}}) {
    Json broken = changes.to_json();
    broken[key] = value;
    EXPECT_THROW(tokenizer_from_json(broken, "x"), Error) << key << value;
  }
}

TEST(Changes, SayWhatIsWrong) {
  const auto learn = [](const Values& values, TokenizerKind kind, int64_t levels) {
    return error_of([&] { Changes::learn(kind, values, levels, 0, ""); });
  };
  EXPECT_NE(learn({1, 1, 1}, TokenizerKind::differences, 0).find("change all alike"),
            std::string::npos);
  EXPECT_NE(learn({1}, TokenizerKind::differences, 0).find("two different changes"),
            std::string::npos);
  EXPECT_NE(learn({1, 0, 2}, TokenizerKind::returns, 0).find("above 0"), std::string::npos);
  EXPECT_NE(learn({1, 0, 2}, TokenizerKind::differences, 5).find("2 to 2"), std::string::npos);
  const Changes changes = Changes::learn(TokenizerKind::differences, Values{1, 2, 4}, 2, 0, "");
  EXPECT_NE(error_of([&] { changes.encode("7\n"); }).find("at least 2 values, found 1"),
            std::string::npos);
  EXPECT_NE(error_of([&] { changes.encode("seven\n"); }).find("the series"), std::string::npos);
}

TEST(SeriesData, IsCutInTwoWithALeadForTheSecondPart) {
  TempFolder folder;
  std::string csv = "t,y\n";
  for (int t = 0; t < 100; ++t) csv += concat(t, ",", t * t % 17, "\n");
  put(folder / "s.csv", csv);
  const std::string file = (folder / "s.csv").string();
  const Dataset data = load_text_set(
      {.source = file, .tokenizer = "differences", .vocabulary = 8, .context = 10, .season = 3},
      false);
  EXPECT_TRUE(data.info.is_series());
  EXPECT_EQ(data.train.tokens.numel(), 90 - 4);
  EXPECT_EQ(data.test.tokens.numel(), 10);
  EXPECT_EQ(values_of(data.test).front(), 90 * 90 % 17);
  EXPECT_EQ(values_of(data.test, true).size(), 14u);
  EXPECT_EQ(values_of(data.test, true)[3], 89 * 89 % 17);
  EXPECT_EQ(values_of(data.train, true).size(), 90u);
  EXPECT_EQ(values_of(data.train.first(2)).size(), 21u);
  // Read with the tokens of a model, the season is the model's.
  const Dataset again =
      load_text_set({.source = file, .context = 10}, false, data.info.tokenizer);
  EXPECT_TRUE(again.test.tokens.equal(data.test.tokens));
  EXPECT_EQ(again.info.fingerprint, data.info.fingerprint);

  const auto error = [&](const DataConfig& config) {
    return error_of([&] { load_text_set(config, false); });
  };
  EXPECT_NE(error({.source = file, .column = "y"}).find("column and season"), std::string::npos);
  EXPECT_NE(error({.source = file, .tokenizer = "differences", .lines = true}).find("lines"),
            std::string::npos);
  EXPECT_NE(error({.source = file, .tokenizer = "differences", .season = 95}).find("at least 104"),
            std::string::npos);
}

}  // namespace
}  // namespace genai
