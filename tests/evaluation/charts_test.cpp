#include "genai/report/charts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "genai/base/figure.h"

namespace genai {
namespace {

using Ticks = std::vector<double>;
using Points = std::vector<std::pair<double, double>>;

void expect_ticks(const Ticks& found, const Ticks& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-12);
}

TEST(Charts, TicksAreRoundNumbers) {
  expect_ticks(linear_ticks(0, 10, 5), {0, 2, 4, 6, 8, 10});
  expect_ticks(linear_ticks(97.2, 99.1, 4), {97.5, 98, 98.5, 99});
  expect_ticks(linear_ticks(-0.03, 0.04, 4), {-0.02, 0, 0.02, 0.04});
  expect_ticks(linear_ticks(1, 1, 5), {});
  expect_ticks(linear_ticks(0, INFINITY, 5), {});
  expect_ticks(log_ticks(0.8, 30), {1, 2, 5, 10, 20});
  expect_ticks(log_ticks(0.5, 5000), {1, 10, 100, 1000});
}

Curve curve(size_t count, double (*y)(double)) {
  Curve made;
  for (size_t i = 0; i <= count; ++i) {
    made.points.emplace_back(static_cast<double>(i), y(static_cast<double>(i)));
  }
  return made;
}

TEST(Charts, TheRangeShowsWhatCameAfterTheStart) {
  // A start of 500 would press 110 -> 100 flat.
  const ValueRange fall =
      value_range({curve(100, [](double x) { return x < 3 ? 500.0 : 110 - x / 10; })});
  EXPECT_TRUE(fall.cut);
  EXPECT_FALSE(fall.logarithmic);
  EXPECT_LT(fall.hi, 112);
  EXPECT_GT(fall.lo, 98);
  const ValueRange line = value_range({curve(100, [](double x) { return x; })});
  EXPECT_FALSE(line.cut);
  EXPECT_EQ(line.lo, 0);  // not below: nothing is negative
  const ValueRange decay =
      value_range({curve(100, [](double x) { return 1000 * std::exp(-x / 10) + 1; })});
  EXPECT_TRUE(decay.logarithmic);
  // A cosine down to nothing is no reason for a logarithmic scale.
  EXPECT_FALSE(value_range({curve(100, [](double x) {
                 return 1.0001 + std::cos(x * 0.0314);
               })}).logarithmic);
  const ValueRange constant = value_range({curve(5, [](double) { return 3.0; })});
  EXPECT_LT(constant.lo, 3);
  EXPECT_GT(constant.hi, 3);
  const ValueRange none = value_range({curve(5, [](double) { return std::nan(""); }), Curve{}});
  EXPECT_LT(none.lo, none.hi);
}

TEST(Charts, ThinningKeepsEndsAndExtremes) {
  Points points;
  for (int i = 0; i < 10000; ++i) points.emplace_back(i, std::sin(i));
  points[1234].second = 50;
  points[7777].second = -60;
  const Points kept = thinned(points, 100);
  EXPECT_LE(kept.size(), 100u);
  EXPECT_EQ(kept.front(), points.front());
  EXPECT_EQ(kept.back(), points.back());
  EXPECT_EQ(std::count(kept.begin(), kept.end(), points[1234]), 1);
  EXPECT_EQ(std::count(kept.begin(), kept.end(), points[7777]), 1);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  EXPECT_EQ(thinned(kept, 100), kept);
  points[5000].second = NAN;  // a gap stays one
  const Points gap = thinned(points, 100);
  EXPECT_EQ(
      std::count_if(gap.begin(), gap.end(), [](const auto& p) { return std::isnan(p.second); }), 1);
}

TEST(Charts, GapsBreakTheLine) {
  Curve broken{.points = {{0, 1}, {1, 2}, {2, NAN}, {3, 3}, {4, 2}}};
  const std::string svg = curve_chart({broken}, "a & b", 400);
  size_t lines = 0;
  for (size_t at = 0; (at = svg.find("<polyline", at)) != std::string::npos; ++at) ++lines;
  EXPECT_EQ(lines, 2u);
  EXPECT_NE(svg.find("aria-label=\"a &amp; b\""), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
}

TEST(Charts, MarksShowEverythingThatTheyAreGiven) {
  const std::string svg = mark_chart({{.label = "<a>",
                                       .text = "1",
                                       .colour = 0,
                                       .value = 1,
                                       .error = 0.1,
                                       .floor = 0.5,
                                       .real = 0.6},
                                      {.label = "b", .text = "2", .colour = 8, .value = 2}},
                                     "x");
  EXPECT_NE(svg.find("&lt;a&gt;"), std::string::npos);
  EXPECT_NE(svg.find("class=\"floor\""), std::string::npos);
  EXPECT_NE(svg.find("class=\"real\""), std::string::npos);
  EXPECT_NE(svg.find("class=\"error c1\""), std::string::npos);
  EXPECT_NE(svg.find("class=\"dot c2 again\""), std::string::npos);
  EXPECT_EQ(mark_chart({{.label = "a", .text = "nan", .value = NAN}}, "x"), "");
  EXPECT_EQ(mark_chart({{.label = "a", .text = "0", .value = 0}}, "x").find("nan"),
            std::string::npos);
}

}  // namespace
}  // namespace genai
