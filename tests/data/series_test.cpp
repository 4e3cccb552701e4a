#include "genai/data/series.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/base/error.h"
#include "genai/data/series_set.h"
#include "genai/data/text_data.h"

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

Values column_of(const std::string& text, const std::string& column = "",
                 std::vector<std::string>* notes = nullptr) {
  return read_column(text, "s.csv", {.column = column, .notes = notes});
}

void expect_refused(const std::string& text, const std::string& why,
                    const ColumnRequest& request = {}) {
  const std::string error = error_of([&] { read_column(text, "s.csv", request); });
  EXPECT_NE(error.find(why), std::string::npos) << error;
}

/// Lines "T,N" of numbers 0 to count - 1.
std::string numbered(int count, const std::string& before = "") {
  std::string text;
  for (int i = 0; i < count; ++i) text += concat(before, i, "\n");
  return text;
}

TEST(ReadColumn, TakesWhatSpreadsheetsWrite) {
  EXPECT_EQ(column_of("1\n2.5\n-3e2\n"), (Values{1, 2.5, -300}));
  EXPECT_EQ(column_of("date,value\n2020-01,1.5\n2020-02,+2\n"), (Values{1.5, 2}));
  EXPECT_EQ(column_of("# from somewhere\r\na;b\r\n1;2\r\n\r\n3;4", "a"), (Values{1, 3}));
  EXPECT_EQ(column_of("1\t2\n3\t4\n", "1"), (Values{1, 3}));
  EXPECT_EQ(column_of("\"day, month\",\"a \"\"b\"\"\"\n\"Jan 1, 2020\",7\n", "a \"b\""),
            (Values{7}));
  EXPECT_EQ(column_of("sep=|\nt|v\n2020-01|4\n"), (Values{4}));
}

TEST(ReadColumn, QuotedFieldsMayHoldLineEnds) {
  const std::string text = "remark,v\n\"two\nlines, \"\"quoted\"\"\",1\nplain,2\n\"\",3\n";
  EXPECT_EQ(column_of(text), (Values{1, 2, 3}));
  EXPECT_EQ(column_of("remark,v\n5\" pipe,1\nb,2\n"), (Values{1, 2}));
  expect_refused("a,v\n\"x,1\ny,2\n", "line 2: expected a closing quote");
  expect_refused("a,v\n\"x\"y,1\n", "line 2: expected the end of a field");
}

TEST(ReadColumn, LinesOfAnotherWidthAreRefused) {
  expect_refused("date,value\n2024-1,11,37\n", "line 2: expected 2 fields as in line 1, found 3");
  expect_refused("value\n11,37\n", "line 2: expected 1 field as in line 1, found 2");
  expect_refused("a,b\n1,2\n3\n", "line 3");
  expect_refused("a,b\n\"x\ny\",2\n3\n", "line 4");
}

TEST(ReadColumn, DecimalCommasAndThousandsAreReadAsTheyAreMeantOrRefused) {
  std::vector<std::string> notes;
  EXPECT_EQ(column_of("d;v\n2020-01;1,5\n2020-02;-12,25\n", "", &notes), (Values{1.5, -12.25}));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("'1,5' is read as 1.5"), std::string::npos) << notes[0];
  notes.clear();
  EXPECT_EQ(column_of("d;v\n2020-01;7\n2020-02;3.103.120\n", "", &notes), (Values{7, 3103120}));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("'3.103.120' is read as 3103120"), std::string::npos) << notes[0];
  EXPECT_EQ(column_of("v;w\n1.234,5;x1\n12,25;x2\n", "v"), (Values{1234.5, 12.25}));
  EXPECT_EQ(column_of("d,v\n2020-01,\"1,234.5\"\n2020-02,\"2,000,000\"\n"), (Values{1234.5, 2e6}));
  EXPECT_EQ(column_of("d\tv\n2020-01\t1'234.5\n2020-02\t1\u00A0000\n"), (Values{1234.5, 1000}));
  EXPECT_EQ(column_of("d;v\n2020-01;\u22125\n"), (Values{-5}));
  expect_refused("11,37\n12,74\n", "may be two columns or one number with a decimal comma");
  EXPECT_EQ(column_of("11,37\n12,74\n", "2"), (Values{37, 74}));
  expect_refused("d\tv\n2020-01\t1,234\n", "may have a decimal comma or thousands");
  expect_refused("d;v\n2020-01;1,5\n2020-02;1,234.5\n", "written as in other lines");
  // A dot before three digits may part thousands where fields are parted by semicolons.
  notes.clear();
  EXPECT_EQ(column_of("d;v\n2020-01;1.556\n2020-02;2.001\n", "", &notes), (Values{1.556, 2.001}));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("'1.556' is read as 1.556; if its dots part thousands, write 1556"),
            std::string::npos)
      << notes[0];
  expect_refused(
      "d;v\n2020-01;987\n2020-02;1.556\n",
      "line 3: '1.556' in column 'v' may have decimals or thousands; write 1,556 or 1556");
  notes.clear();
  EXPECT_EQ(column_of("d;v\n2020-01;1987\n2020-02;1.556\n", "", &notes), (Values{1987, 1.556}));
  EXPECT_EQ(column_of("d;v\n2020-01;0.556\n2020-02;7\n", "", &notes), (Values{0.556, 7}));
  EXPECT_EQ(column_of("d,v\n2020-01,1.556\n2020-02,987\n", "", &notes), (Values{1.556, 987}));
  EXPECT_TRUE(notes.empty());
  expect_refused("d;v\n2020-01;1,2,3\n", "line 2: expected a number");
  expect_refused("v\n1 234\n", "line 2: expected a number");
}

TEST(ReadColumn, SaysWhatIsWrong) {
  expect_refused("a,b\n1,2\n3,x\n", "line 3: expected a number in column 'b', found 'x'",
                 {.column = "b"});
  expect_refused("a,b\n1,2\n", "no column 'c'; its first line has: a, b", {.column = "c"});
  expect_refused("a,b\n1,2\n", "no column '3'", {.column = "3"});
  expect_refused("v\n1\n", "no column 'nosuch'", {.column = "nosuch"});
  expect_refused("v,v\n1,2\n", "is there twice", {.column = "v"});
  expect_refused("1 2\n3 4\n", "fields are parted by");
  expect_refused("5\n6\n", "no column 'nosuch'", {.column = "nosuch"});
  expect_refused("a,b\n", "names alone");
  expect_refused("\n# nothing\n", "found none");
  expect_refused("v\n1\n1e308\n", "line 3: expected a number of at most 1e100, found 1e308");
  expect_refused("v\n1\n-1e999\n", "line 3");
  // What a model goes on from may be numbers alone.
  EXPECT_EQ(read_column("5\n6\n", "x", {.column = "value", .lone = true}), (Values{5, 6}));
}

TEST(ReadColumn, MissingValuesLieBetweenTheirNeighbours) {
  std::vector<std::string> notes;
  const std::string text = "NaN\n1\n2\n\"\"\nNA\n5\n6\n7\n8\nnull\n10\n11\n12\n13\n14\n15\n";
  EXPECT_EQ(column_of(text, "", &notes),
            (Values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("missing values: 3 put on the line between their neighbours, 1 at the "
                          "ends left out"),
            std::string::npos)
      << notes[0];
  expect_refused(text, "line 1: no value in column 1, found 'NaN'", {.missing = Missing::refuse});
  expect_refused("v\n1\nNA\n3\n", "1 of 3 values are missing, expected a quarter at most");
  EXPECT_EQ(column_of("a,b\n1,\n2,5\n3,6\n4,7\n5,8\n"), (Values{5, 6, 7, 8}));
  // Years that name columns are no values.
  EXPECT_EQ(column_of("month,2019,2020\n2000-01,1,5\n2000-02,3,7\n", "2020"), (Values{5, 7}));
  EXPECT_EQ(column_of("month,2019,2020\n2000-01,1,5\n2000-02,2,6\n", "2019"), (Values{1, 2}));
  EXPECT_EQ(column_of("NaN,NaN\n2,5.5\n3,6\n4,7\n5,8\n"), (Values{5.5, 6, 7, 8}));
}

TEST(ReadColumn, WhatStandsBelowASeriesIsNoneOfIt) {
  const std::string days = "date,y\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n";
  expect_refused(days + "Total,6\n", "line 5: expected a time in column 'date'");
  expect_refused(days + "Total,6\nMean,2\n", "line 5: expected a time in column 'date'");
  expect_refused("year,y\n2001,1\n2002,3\n2003,2\nSum,6\n",
                 "line 5: expected a number in column 'year' as in the lines above, found 'Sum'");
  // A word in a column that tells no time is none.
  EXPECT_EQ(column_of("date,y,rank\n2020-01-01,1,3\n2020-01-02,2,1\n2020-01-03,3,2\n"
                      "2020-01-04,4,pending\n",
                      "y"),
            (Values{1, 2, 3, 4}));
  EXPECT_EQ(column_of("date,y,note\n2020-01-01,1,\n2020-01-02,2,\n2020-01-03,3,holiday\n", "y"),
            (Values{1, 2, 3}));
}

TEST(ReadColumn, JumpsInTimeAreNoted) {
  const auto notes_of = [](const std::string& text) {
    std::vector<std::string> notes;
    column_of(text, "y", &notes);
    return notes;
  };
  std::string days = "date,y\n", weekdays = days, months = days, hours = "date,hour,y\n",
              day_first = days, numbers = days, forward = days;
  for (int i = 0; i < 72; ++i) hours += concat("2020-01-0", i / 24 + 1, ",", i % 24, ",", i, "\n");
  for (int i = 0; i < 14; ++i) {
    const std::string month = concat(i % 12 < 9 ? "0" : "", i % 12 + 1);
    day_first += concat("01.", month, ".", 2020 + i / 12, ",", i, "\n");
    numbers += concat(2020 + i / 12, month, ",", i, "\n");
  }
  for (int i = 0; i < 20; ++i) {
    if (i != 2) forward += concat("2020-03-29 ", i < 10 ? "0" : "", i, ":00,", i, "\n");
  }
  for (const std::string& regular : {hours, day_first, numbers, forward}) {
    EXPECT_TRUE(notes_of(regular).empty()) << notes_of(regular).front();
  }
  for (int day = 1; day <= 28; ++day) {
    days += concat("2020-01-", day < 10 ? "0" : "", day, ",", day, "\n");
    if (day % 7 < 5) weekdays += concat(day, "/01/2020,", day, "\n");
    if (day <= 12) months += concat("2021-", day < 10 ? "0" : "", day, ",", day, "\n");
  }
  EXPECT_TRUE(notes_of(days).empty());
  EXPECT_TRUE(notes_of(weekdays).empty());
  EXPECT_TRUE(notes_of(months + "2022-01,13\n").empty());
  for (const auto& [text, jump] : std::vector<std::pair<std::string, std::string>>{
           {days + "2020-01-31,31\n", "from 2020-01-28 to 2020-01-31 in line 30"},
           {months + "2022-02,14\n", "from 2021-12 to 2022-02 in line 14"},
           {numbers + "202105,15\n", "from 202102 to 202105 in line 16"}}) {
    const auto notes = notes_of(text);
    ASSERT_EQ(notes.size(), 1u) << text;
    EXPECT_NE(notes[0].find("time jumps " + jump), std::string::npos) << notes[0];
  }
}

TEST(ReadColumn, SeveralSeriesAreToldFromOne) {
  const std::string a = "2020-01-01,a,1\n2020-01-02,a,2\n2020-01-03,a,3\n",
                    b = "2020-01-01,b,1\n2020-01-02,b,2\n2020-01-03,b,3\n";
  expect_refused("ds,unique_id,y\n" + a + b,
                 "line 5 has the time of line 2 again (2020-01-01), of 'b' in column 'unique_id'");
  expect_refused("ds,store,y\n2020-01-01,1,5\n2020-01-01,2,7\n2020-01-02,1,5\n2020-01-02,2,6\n",
                 "found several");
  expect_refused("name,y\n" + numbered(5, "left,") + numbered(5, "right,"),
                 "column 'name' has 2 names, from line 7 on 'right'");
  expect_refused("id,y\n" + numbered(5, "1,") + numbered(5, "2,"), "found several");
  // One series with words beside it, with hours beside its days, with clocks put back once.
  EXPECT_EQ(column_of("weather,y\nsun,1\nrain,2\nsun,3\nrain,4\n"), (Values{1, 2, 3, 4}));
  EXPECT_EQ(column_of("date,hour,y\n2020-01-01,1,5\n2020-01-01,2,7\n2020-01-02,1,5\n"),
            (Values{5, 7, 5}));
  EXPECT_EQ(column_of("time,y\n08:00,1\n20:00,2\n08:00,3\n20:00,4\n"), (Values{1, 2, 3, 4}));
  std::string hours = "time,y\n";
  for (int i = 0; i < 60; ++i)
    hours += concat("2020-10-25 ", 10 + (i < 30 ? i / 2 : i / 2 - 1), ":", i % 2 ? "30" : "00", ",",
                    i, "\n");
  EXPECT_EQ(column_of(hours).size(), 60u);
}

TEST(ReadColumn, OneOfSeveralSeriesIsChosenByItsName) {
  const std::string days[] = {"2020-01-01", "2020-01-02", "2020-01-03"};
  std::string text = "ds,unique_id,store,item,y\n";
  int value = 0;
  for (const std::string& day : days)
    for (const char* key : {"a,1,1", "b,1,2", "c,2,1", "\"d, e\",2,2"}) {
      text += concat(day, ",", key, ",", value * (value + 1), "\n");
      ++value;
    }
  const auto series = [&](const std::string& name) {
    return read_column(text, "s.csv", {.series = name});
  };
  EXPECT_EQ(series("a"), (Values{0, 20, 72}));
  EXPECT_EQ(series("unique_id=b"), series("store=1,item=2"));
  EXPECT_EQ(series("d, e"), series("store=2,item=2"));
  EXPECT_EQ(series("unique_id=d, e,store=2"), series("3=2,item=2"));
  expect_refused(text,
                 "of 'b' in column 'unique_id' where it was 'a'; choose one, as data.series \"a\"");
  expect_refused(text, "no series 'x'; expected one of ", {.series = "x"});
  expect_refused(text,
                 "the name '1' of data.series stands in columns 'store' and 'item'; say which",
                 {.series = "1"});
  expect_refused(text, "none has '3' in column 'item'", {.series = "store=1,item=3"});
  // What is advised goes on from what was said, and is taken.
  expect_refused(text, "choose one, as data.series \"store=1,unique_id=a\"", {.series = "store=1"});
  EXPECT_EQ(series("store=1,unique_id=a"), series("a"));
  expect_refused("ds,store,y\n2020-01-01,1,5\n2020-01-01,2,7\n2020-01-02,1,5\n2020-01-02,2,6\n",
                 "as data.series \"store=1\"");
  expect_refused("ds,y\n2020-01-01,1\n2020-01-01,3\n", "leave one of them in the file");
  // What a model goes on from may be of the one series alone.
  EXPECT_EQ(read_column("5\n7\n", "x", {.lone = true, .series = "a"}), (Values{5, 7}));
}

TEST(ReadColumn, TheColumnIsTheOnlyOneOfValuesOrNamed) {
  std::vector<std::string> notes;
  std::string chosen;
  const auto read = [&](const std::string& text) {
    notes.clear();
    chosen.clear();
    return read_column(text, "s.csv", {.notes = &notes, .chosen = &chosen});
  };
  EXPECT_EQ(read("date,open,close,volume\n2020-01-01,1,5,9\n2020-01-02,2,7,8\n"), (Values{5, 7}));
  EXPECT_EQ(chosen, "close");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("read column 'close'; other columns of numbers: open, volume"),
            std::string::npos)
      << notes[0];
  // Neither times, nor a count, nor names, nor what never changes, nor words.
  EXPECT_EQ(read(",date,temp,station_id,flag,sky\n0,2020-01-01,1,7,0,sun\n1,2020-01-02,3,7,0,rain\n"
                 "2,2020-01-03,2,7,0,sun\n"),
            (Values{1, 3, 2}));
  EXPECT_EQ(chosen, "temp");
  EXPECT_EQ(read("y,date\n4,2020-01-01\n2,2020-01-02\n"), (Values{4, 2}));
  EXPECT_EQ(read("0,4.5\n1,2\n2,6\n"), (Values{4.5, 2, 6}));
  EXPECT_TRUE(notes.empty());
  expect_refused("date,temp,wind\n2020-01-01,1,5\n2020-01-02,3,8\n",
                 "expected one column of values, found 2: temp, wind; say which, as data.column "
                 "\"wind\"");
  expect_refused("4\t3\n2\t7\n", "found 2: 1, 2; say which, as data.column \"2\"");
  expect_refused("value,y\n4,3\n2,7\n", "found 2: value, y");
  // A model of version 0.1 was trained on the last one.
  EXPECT_EQ(read_column("temp,wind\n1,5\n3,8\n", "x", {.settled = true}), (Values{5, 8}));
}

TEST(ReadColumn, TimeGoesOn) {
  std::vector<std::string> notes;
  EXPECT_EQ(column_of("date,y\n2020-03-01,3\n2020-02-01,2\n2020-01-01,1\n", "", &notes),
            (Values{1, 2, 3}));
  EXPECT_EQ(notes.size(), 1u);
  for (const char* text :
       {"date,y\n\"Mar 1, 2020\",2\n\"Feb 29, 2020\",1\n", "date,y\n01/03/2020,2\n29/02/2020,1\n",
        "y,date\n2,1.3.2020\n1,29.2.2020\n", "time,y\n3/1/2020 1:00 PM,2\n3/1/2020 12:30 PM,1\n",
        "date,time,y\n2020-03-01,13:00,2\n2020-03-01,12:30,1\n"}) {
    EXPECT_EQ(column_of(text, "y"), (Values{1, 2})) << text;
  }
  expect_refused("date,y\n2020-03-01,3\n2020-05-01,2\n2020-01-01,1\n", "line 4 goes back in time");
}

TEST(SeriesText, KeepsEveryDigit) {
  const Values values{0.1, 1.0 / 3, -1e99, 5, 123456789.123456789};
  EXPECT_EQ(column_of(series_text(values)), values);
}

TEST(Changes, LevelsAreEquallyFrequentAndStandForTheirMeans) {
  Values values{0};
  for (int i = 1; i <= 100; ++i) values.push_back(values.back() + (i * 37) % 101);  // 1 to 100
  const Changes changes = Changes::learn(TokenizerKind::differences, values, 4, 0, "");
  ASSERT_EQ(changes.size(), 4);
  std::vector<int> counts(4);
  for (const int32_t id : changes.encode(values)) ++counts[static_cast<size_t>(id)];
  EXPECT_EQ(counts, std::vector<int>(4, 25));
  EXPECT_EQ(changes.token(0), "+13\n");  // the mean of 1 to 25
  // What the tokens stand for adds up to what happened.
  EXPECT_NEAR(changes.follow(Values{0}, changes.encode(values)).back(), values.back(), 1e-9);
}

TEST(Changes, EqualChangesAreOfOneLevel) {
  Values values{0};
  for (int i = 0; i < 50; ++i)
    values.push_back(values.back() + (i % 10 == 0 ? 5 : i % 10 == 1 ? -1 : 0));
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
  EXPECT_FALSE(changes.to_json().contains("series"));  // as before there were any
  const Changes one = Changes::learn(TokenizerKind::returns, values, 3, 2, "price", "a");
  EXPECT_EQ(tokenizer_from_json(one.to_json(), "x")->changes()->series(), "a");
  for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{{"season", -1},
                                                                            {"season", "x"},
                                                                            {"season", INT64_MAX},
                                                                            {"edges", {3, 1}},
                                                                            {"changes", {1}},
                                                                            {"series", 5},
                                                                            {"column", 5}}) {
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
  const Dataset data = load_dataset(
      {.source = file,
       .own = {{"tokenizer", "differences"}, {"vocabulary", 8}, {"context", 10}, {"season", 3}}});
  EXPECT_EQ(data.info.modality, &series_modality());
  EXPECT_EQ(data.train.tokens.numel(), 90 - 4);
  EXPECT_EQ(data.test.tokens.numel(), 10);
  EXPECT_EQ(values_of(data.test).front(), 90 * 90 % 17);
  EXPECT_EQ(values_of(data.test, true).size(), 14u);
  EXPECT_EQ(values_of(data.test, true)[3], 89 * 89 % 17);
  EXPECT_EQ(values_of(data.train, true).size(), 90u);
  EXPECT_EQ(values_of(data.train.first(2)).size(), 21u);
  // Read with the tokens of a model, the season is the model's.
  const Dataset again =
      load_dataset({.source = file, .own = {{"context", 10}}}, {.tokenizer = data.info.tokenizer});
  EXPECT_TRUE(again.test.tokens.equal(data.test.tokens));
  EXPECT_EQ(again.info.fingerprint, data.info.fingerprint);

  // Of several columns and series the ones that were chosen are the model's.
  std::string table = "day,name,open,close\n";
  for (int t = 0; t < 100; ++t)
    table += concat(t % 28 + 1, ".", t / 28 + 1, ".2020,", "ab"[t % 2], ",", t % 5, ",", t * t % 17,
                    "\n");
  put(folder / "table.csv", table);
  const DataConfig chosen{.source = (folder / "table.csv").string(),
                          .own = {{"tokenizer", "differences"}, {"context", 10}, {"series", "b"}}};
  const Dataset one = load_dataset(chosen);
  EXPECT_EQ(one.info.tokenizer->changes()->column(), "close");
  EXPECT_EQ(values_of(one.test).back(), 99 * 99 % 17);
  EXPECT_EQ(values_of(one.test).size() + values_of(one.train, true).size(), 50u);
  const Dataset more = load_dataset({.source = chosen.source, .own = {{"context", 10}}},
                                    {.tokenizer = one.info.tokenizer});
  EXPECT_EQ(more.info.fingerprint, one.info.fingerprint);

  const auto error = [&](const DataConfig& config) {
    return error_of([&] { load_dataset(config); });
  };
  EXPECT_NE(error({.source = file, .own = {{"column", "y"}}}).find("data.column: is for series"),
            std::string::npos);
  EXPECT_NE(error({.source = file, .own = {{"tokenizer", "differences"}, {"lines", true}}})
                .find("data.lines: is for text"),
            std::string::npos);
  EXPECT_NE(error({.source = file, .own = {{"tokenizer", "differences"}, {"season", 95}}})
                .find("at least 104"),
            std::string::npos);
}

}  // namespace
}  // namespace genai
