#include <algorithm>

#include "genai/base/html.h"
#include "genai/base/text.h"
#include "genai/report/charts.h"
#include "genai/report/sections.h"

namespace genai::report_page {

namespace {

constexpr double kBarErrors = 2;  // standard errors that a bar shows

std::string references_of(const Metric& metric) {
  std::vector<std::string> parts;
  if (metric.floor) parts.push_back("floor " + number_text(*metric.floor, 4));
  if (metric.real) parts.push_back("real " + number_text(*metric.real, 4));
  return joined(parts, ", ");
}

std::string value_cell(const std::optional<Metric>& metric, bool best) {
  if (!metric) return number_cell(span("soft", "\u2013"));
  std::string text = span(best ? "best" : "value", typeset(value_text(*metric, " \u00b1 ")));
  const std::string references = references_of(*metric);
  if (!references.empty()) {
    text += element("div", {{"class", "small soft"}}, escape_html(typeset(references)));
  }
  return number_cell(text);
}

std::string difference_cell(const ReportRow& row) {
  if (!row.difference) {
    return number_cell(span("soft", row.unpaired.empty() ? "\u2013" : row.unpaired));
  }
  const auto [value, error] = measured_text(row.difference->value, row.difference->standard_error);
  return number_cell(escape_html(typeset(value) + (error.empty() ? "" : " \u00b1 " + error)));
}

std::string results_table(const Report& report) {
  const bool two = report.columns.size() == 2;
  std::string head = column_head("metric");
  for (const ReportColumn& column : report.columns) {
    head += column_head(named(report, column.run, column.label));
  }
  if (two) {
    head += column_head("difference" +
                        element("div", {{"class", "small soft"}}, "second \u2212 first, in pairs"));
  }
  const std::string columns = std::to_string(report.columns.size() + (two ? 2 : 1));
  std::string bodies, rows;
  std::optional<std::string> protocol;
  const auto end_group = [&] {
    if (!rows.empty()) bodies += element("tbody", {}, rows) + "\n";
    rows.clear();
  };
  for (const ReportRow& row : report.rows) {
    const Metric& any = row.any();
    if (protocol != any.protocol()) {
      end_group();
      protocol = any.protocol();
      rows += element("tr", {},
                      element("th",
                              {{"class", "protocol"}, {"colspan", columns}, {"scope", "rowgroup"}},
                              element("div", {}, escape_html(*protocol)))) +
              "\n";
    }
    std::string line =
        row_head(span("metric", any.short_name()) +
                 element("div", {{"class", "small soft"}}, escape_html(metric_hint(any))));
    for (size_t i = 0; i < row.values.size(); ++i) {
      line += value_cell(row.values[i], row.best == i);
    }
    if (two) line += difference_cell(row);
    rows += element("tr", {}, line) + "\n";
  }
  end_group();
  return scrolling(
      "Results",
      element("table", {}, element("thead", {}, element("tr", {}, head)) + "\n" + bodies));
}

/// What marks and bars mean, as far as they occur.
std::string mark_legend(const Report& report) {
  bool errors = false, spreads = false, floors = false, reals = false;
  for (const ReportRow& row : report.rows) {
    for (const auto& value : row.values) {
      if (!value) continue;
      errors |= value->standard_error > 0;
      spreads |= value->spread > 0 && !(value->standard_error > 0);
      floors |= value->floor.has_value();
      reals |= value->real.has_value();
    }
  }
  const auto key = [](const std::string& drawing, const std::string& text) {
    return element("span", {},
                   element("svg", {{"class", "key c7"}, {"aria-hidden", "true"}}, drawing) +
                       escape_html(text));
  };
  const Attributes middle{
      {"x1", "0"}, {"x2", "100%"}, {"y1", "50%"}, {"y2", "50%"}, {"class", "error"}};
  std::string text;
  if (errors || spreads) {
    text +=
        key(element("line", middle) +
                element("circle", {{"cx", "50%"}, {"cy", "50%"}, {"r", ".28em"}, {"class", "dot"}}),
            errors ? spreads ? "value, two standard errors either way (where unknown: one "
                               "standard deviation over subsets)"
                             : "value, two standard errors either way"
                   : "value, one standard deviation over subsets either way");
  }
  if (floors) {
    text += key(
        element("line",
                {{"x1", "50%"}, {"x2", "50%"}, {"y1", "0"}, {"y2", "100%"}, {"class", "floor"}}),
        "floor: what a perfect model is expected to get");
  }
  if (reals) {
    text += key(element("circle", {{"cx", "50%"}, {"cy", "50%"}, {"r", ".3em"}, {"class", "real"}}),
                "real: what training images get");
  }
  return text.empty() ? "" : element("div", {{"class", "legend soft"}}, text) + "\n";
}

std::string result_charts(const Report& report) {
  std::string charts;
  size_t count = 0;
  for (const ReportRow& row : report.rows) {
    std::vector<Mark> marks;
    std::vector<std::string> seen;
    bool references = false;
    for (size_t i = 0; i < row.values.size(); ++i) {
      if (!row.values[i]) continue;
      const Metric& m = *row.values[i];
      const ReportColumn& column = report.columns[i];
      marks.push_back({.label = column.label,
                       .text = typeset(value_text(m, " \u00b1 ")),
                       .colour = static_cast<int>(column.run),
                       .value = m.value,
                       .error = m.standard_error > 0 ? kBarErrors * m.standard_error : m.spread,
                       .floor = m.floor,
                       .real = m.real});
      references |= m.floor.has_value() || m.real.has_value();
      seen.push_back(column.label + " " + value_text(m));
    }
    if (marks.size() < 2 && !references) continue;  // the table has said it
    const Metric& any = row.any();
    ++count;
    charts += figure(any.short_name(), metric_hint(any) + " \u00b7 " + any.protocol(),
                     mark_chart(marks, any.short_name() + ": " + joined(seen, "; ")));
  }
  return count ? mark_legend(report) + grid_of("figures", count, charts) : "";
}

std::string notes_list(const Report& report) {
  if (report.notes.empty()) return "";
  std::string items;
  for (const std::string& note : report.notes) items += element("li", {}, escape_html(note)) + "\n";
  return element("div", {{"class", "notes"}}, element("ul", {}, items)) + "\n";
}

}  // namespace

std::string results(const Report& report) {
  if (report.rows.empty()) {
    return p("", "Nothing has been measured yet. " + element("code", {}, "genai evaluate RUN") +
                     " measures a run and keeps what it finds with it.") +
           notes_list(report);
  }
  const bool best = std::any_of(report.rows.begin(), report.rows.end(),
                                [](const ReportRow& row) { return row.best.has_value(); });
  return results_table(report) +
         (best ? p("small soft",
                   "Bold: ahead of every other value of its row by more than two "
                   "standard errors of the difference. Equal items are compared in "
                   "pairs, so bars that overlap may still differ clearly.")
               : "") +
         notes_list(report) + result_charts(report);
}

}  // namespace genai::report_page
