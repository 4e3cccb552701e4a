#include "genai/base/text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace genai {
namespace {

using Pair = std::pair<std::string, std::string>;

TEST(Text, NumbersHaveSignificantDigitsAndNoExponent) {
  EXPECT_EQ(number_text(97.3149), "97.31");
  EXPECT_EQ(number_text(123456.7), "123457");
  EXPECT_EQ(number_text(0.00123456, 2), "0.0012");
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(NAN), "nan");
}

TEST(Text, CountsAreGrouped) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(-1234567), "-1,234,567");
  EXPECT_EQ(count_text(-123), "-123");
}

TEST(Text, AValueHasTheDigitsThatItsErrorAllows) {
  EXPECT_EQ(measured_text(97.3149, 0.1234), (Pair{"97.31", "0.12"}));
  EXPECT_EQ(measured_text(97.3149, 12.34), (Pair{"97", "12"}));
  EXPECT_EQ(measured_text(1234.5, 234.5), (Pair{"1234", "234"}));
  EXPECT_EQ(measured_text(-0.00123, 0.0002), (Pair{"-0.00123", "0.00020"}));
  EXPECT_EQ(measured_text(97.3149, 0), (Pair{"97.315", ""}));
  EXPECT_EQ(measured_text(97.3149, NAN), (Pair{"97.315", ""}));
}

TEST(Text, Durations) {
  EXPECT_EQ(duration_text(1.26), "1.3 s");
  EXPECT_EQ(duration_text(250), "4 min 10 s");
  EXPECT_EQ(duration_text(3660), "1 h 01 min");
}

TEST(Text, TablesAreAlignedByCharacters) {
  EXPECT_EQ(table({{"a", "b"}, {"\xC3\xA4\xC3\xB6", "c"}, {"long", ""}}),
            "a     b\n\xC3\xA4\xC3\xB6    c\nlong  \n");
  EXPECT_EQ(table({{"a", "b"}, {"across all"}, {"c", "d"}}), "a  b\nacross all\nc  d\n");
  EXPECT_EQ(padded("\xC3\xA4", 3), "\xC3\xA4  ");
  EXPECT_EQ(table({}), "");
}

TEST(Inert, ShowsControlCharactersAsCodes) {
  EXPECT_EQ(inert("a\x1b[2Jb\x07\x7f"), "a\\x1B[2Jb\\x07\\x7F");
  EXPECT_EQ(inert("a\n\tb"), "a\\x0A\\x09b");
  EXPECT_EQ(inert("a\n\tb", true), "a\n\tb");
  EXPECT_EQ(inert("\xC2\x9B"
                  "31m caf\xC3\xA9"),
            "\xC2\\x9B"
            "31m caf\xC3\xA9");
  EXPECT_EQ(table({{"x\x1b"}}), "x\\x1B\n");
}

}  // namespace
}  // namespace genai
