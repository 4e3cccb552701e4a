#include "genai/base/html.h"

#include <gtest/gtest.h>

namespace genai {
namespace {

TEST(Html, TextIsEscaped) {
  EXPECT_EQ(escape_html("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;");
  EXPECT_EQ(escape_html("\xC3\xA4\n"), "\xC3\xA4\n");
  EXPECT_EQ(escape_html("x\xFFy"), "x\xEF\xBF\xBDy");  // no UTF-8
  EXPECT_EQ(escape_html(std::string("a\0b\x1b[31m\x7f", 9)), "a b [31m ");
}

TEST(Html, ElementsCloseWhatTheyOpen) {
  EXPECT_EQ(element("p", {{"class", "a\"b"}}, "x<br>"), "<p class=\"a&quot;b\">x<br></p>");
  EXPECT_EQ(element("img", {{"alt", ""}}), "<img alt=\"\">");
  EXPECT_EQ(element("td", {}), "<td></td>");
}

TEST(Html, Base64OfTheStandardsExamples) {  // RFC 4648, section 10
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xFF\xFE\xFD"), "//79");
}

}  // namespace
}  // namespace genai
