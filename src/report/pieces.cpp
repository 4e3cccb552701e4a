#include <algorithm>

#include "genai/base/fields.h"
#include "genai/base/html.h"
#include "genai/report/charts.h"
#include "genai/report/sections.h"

namespace genai::report_page {

std::string p(const std::string& style, const std::string& content) {
  return element("p", {{"class", style}}, content) + "\n";
}
std::string span(const std::string& style, const std::string& text) {
  return element("span", {{"class", style}}, escape_html(text));
}
std::string heading(const std::string& level, const std::string& text) {
  return element(level, {}, escape_html(text)) + "\n";
}
std::string colour(size_t run) {
  return colour_class(static_cast<int>(run));
}
std::string named(const Report& report, size_t run, const std::string& label) {
  return report.runs.size() < 2
             ? escape_html(label)
             : element("span", {{"class", "swatch " + colour(run)}}) + escape_html(label);
}

std::string scrolling(const std::string& label, const std::string& table) {
  return element(
             "div",
             {{"class", "scroll"}, {"role", "region"}, {"aria-label", label}, {"tabindex", "0"}},
             table) +
         "\n";
}
std::string row_head(const std::string& content) {
  return element("th", {{"scope", "row"}}, content);
}
std::string column_head(const std::string& content) {
  return element("th", {{"scope", "col"}}, content);
}
std::string number_cell(const std::string& content) {
  return element("td", {{"class", "number"}}, content);
}

std::string figure(const std::string& title, const std::string& remark,
                   const std::string& content) {
  return element("figure", {},
                 element("figcaption", {}, heading("h3", title) + escape_html(remark)) + content) +
         "\n";
}
std::string grid_of(const std::string& kind, size_t count, const std::string& content) {
  return element("div", {{"class", kind + (count == 1 ? " one" : "")}}, content) + "\n";
}

std::string typeset(std::string number) {
  for (size_t at = 0; (at = number.find('-', at)) != std::string::npos;) {
    number.replace(at, 1, "\u2212");
  }
  return number;
}

std::string title_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', ' ');
  if (!key.empty()) key[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(key[0])));
  return key;
}

std::string plain(const Json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

std::string metric_hint(const Metric& metric) {
  const std::string better =
      metric.better == Better::neither ? "" : enum_name(kBetterNames, metric.better) + " is better";
  return metric.unit + (metric.unit.empty() || better.empty() ? "" : ", ") + better;
}

}  // namespace genai::report_page
