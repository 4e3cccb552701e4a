#include <algorithm>

#include "genai/base/html.h"
#include "genai/base/text.h"
#include "genai/report/charts.h"
#include "genai/report/sections.h"

namespace genai::report_page {

namespace {

constexpr size_t kMostRows = 40;     // of a table, of a matrix
constexpr size_t kMostPoints = 400;  // of a curve

bool is_number_or_null(const Json& value) {
  return value.is_number() || value.is_null();
}

bool all_numbers(const Json& values) {
  return (values.is_array() || values.is_object()) && !values.empty() &&
         std::all_of(values.begin(), values.end(), is_number_or_null) &&
         std::any_of(values.begin(), values.end(), [](const Json& v) { return v.is_number(); });
}

bool is_matrix(const Json& values) {
  return values.is_array() && !values.empty() &&
         std::all_of(values.begin(), values.end(), [&](const Json& row) {
           return row.is_array() && all_numbers(row) && row.size() == values[0].size();
         });
}

std::string number_of(const Json& value) {
  if (!value.is_number()) return "\u2013";
  if (value.is_number_integer()) return typeset(count_text(value.get<int64_t>()));
  return typeset(number_text(value.get<double>(), 4));
}

/// Colours show the share of a row, so that rare rows are seen as well.
std::string heat_table(const Json& matrix, const std::vector<std::string>& names,
                       const std::string& label) {
  if (matrix.size() > kMostRows || matrix[0].size() > kMostRows) {
    return p("soft", escape_html(concat(matrix.size(), " \u00d7 ", matrix[0].size(),
                                        " numbers: too many to show")));
  }
  const auto name = [&](size_t i) { return i < names.size() ? names[i] : std::to_string(i); };
  std::string head = element("td", {});
  for (size_t i = 0; i < matrix[0].size(); ++i) head += column_head(escape_html(name(i)));
  std::string rows;
  for (size_t i = 0; i < matrix.size(); ++i) {
    double sum = 0;
    for (const Json& value : matrix[i]) {
      if (value.is_number()) sum += std::abs(value.get<double>());
    }
    std::string row = row_head(escape_html(name(i)));
    for (const Json& value : matrix[i]) {
      const double share = sum > 0 && value.is_number() ? std::abs(value.get<double>()) / sum : 0;
      const int level = share > 0 ? std::max(1, static_cast<int>(std::lround(10 * share))) : 0;
      row += element("td", {{"class", concat("h", level)}}, number_of(value));
    }
    rows += element("tr", {}, row) + "\n";
  }
  return scrolling(
      label, element("table", {{"class", "heat"}},
                     element("thead", {}, element("tr", {}, head)) + element("tbody", {}, rows)));
}

std::string bar_table(const Json& values, int run) {
  double most = 0;
  bool negative = false;
  size_t decimals = 0;  // the same for all, so that the points stand below each other
  for (const Json& value : values) {
    if (!value.is_number()) continue;
    most = std::max(most, std::abs(value.get<double>()));
    negative |= value.get<double>() < 0;
    const std::string text = number_of(value);
    const size_t point = text.find('.');
    if (point != std::string::npos) decimals = std::max(decimals, text.size() - point - 1);
  }
  const auto shown = [&](const Json& value) {
    if (!value.is_number_float() || most >= 1e9 || decimals > 9) return number_of(value);
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", static_cast<int>(decimals), value.get<double>());
    return typeset(text);
  };
  std::string rows;
  size_t i = 0;
  const auto row = [&](const std::string& name, const Json& value) {
    if (++i > kMostRows) return;
    const double share = value.is_number() && most > 0 ? value.get<double>() / most : 0;
    rows +=
        element("tr", {},
                row_head(escape_html(name)) +
                    (negative ? "" : element("td", {{"class", "wide"}}, share_bar(share, run))) +
                    number_cell(shown(value))) +
        "\n";
  };
  if (values.is_object()) {
    for (const auto& [key, value] : values.items()) row(key, value);
  } else {
    for (size_t k = 0; k < values.size(); ++k) row(std::to_string(k), values[k]);
  }
  std::string text = element("table", {{"class", "bars"}}, element("tbody", {}, rows));
  if (i > kMostRows) text += p("soft small", concat("the first ", kMostRows, " of ", i));
  return text;
}

std::string key_table(const Json& value) {
  std::string rows;
  size_t i = 0;
  for (const auto& [path, leaf] : setting_leaves(value)) {
    if (++i > kMostRows) break;
    const std::string text = leaf.is_number() ? number_of(leaf) : escape_html(plain(leaf));
    rows += element("tr", {},
                    (path.empty() ? "" : row_head(escape_html(path))) + element("td", {}, text)) +
            "\n";
  }
  return element("table", {}, element("tbody", {}, rows));
}

std::string detail(const std::string& key, const Json& value, const std::string& label, int run) {
  if (value.is_object() && value.contains("counts") && is_matrix(value["counts"])) {
    std::vector<std::string> names;
    if (value.contains("classes") && value["classes"].is_array()) {
      for (const Json& name : value["classes"]) names.push_back(plain(name));
    }
    return heat_table(value["counts"], names, title_of(key) + ", " + label);
  }
  if (is_matrix(value)) return heat_table(value, {}, title_of(key) + ", " + label);
  if (value.is_array() && value.size() > kMostRows && all_numbers(value)) {
    Curve curve{.colour = run, .strong = true};
    for (size_t i = 0; i < value.size(); ++i) {
      curve.points.emplace_back(static_cast<double>(i),
                                value[i].is_number() ? value[i].get<double>() : NAN);
    }
    return element("div", {{"class", "curvebox"}},
                   curve_chart({curve}, title_of(key) + ", " + label, kMostPoints));
  }
  if (all_numbers(value)) return bar_table(value, run);
  return key_table(value);
}

}  // namespace

std::string details(const Report& report) {
  std::vector<std::string> keys;
  for (const ReportColumn& column : report.columns) {
    for (const auto& [key, value] : column.details.items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::string text;
  for (const std::string& key : keys) {
    std::string figures;
    size_t count = 0;
    for (const ReportColumn& column : report.columns) {
      const auto found = column.details.find(key);
      if (found == column.details.end()) continue;
      ++count;
      figures += element("figure", {},
                         element("figcaption", {}, named(report, column.run, column.label)) +
                             detail(key, *found, column.label, static_cast<int>(column.run))) +
                 "\n";
    }
    text += element("h3", {{"class", "group"}}, escape_html(title_of(key)));
    if (key == "confusion") {
      text += p("soft small",
                "Rows: the class it is. Columns: the class it is taken for. Colours: "
                "shares of the row.");
    }
    text += grid_of("figures", count, figures);
  }
  return text;
}

}  // namespace genai::report_page
