#include "genai/report/tables.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "genai/base/settings.h"
#include "genai/base/text.h"

namespace genai {
namespace {

/// "0.41", or several where the columns differ: "0.41; 0.43".
std::string reference_text(const ReportRow& row, std::optional<double> Metric::*member) {
  std::string text;
  std::set<double> seen;
  for (const auto& value : row.values) {
    if (!value || !((*value).*member) || !seen.insert(*((*value).*member)).second) continue;
    text += (text.empty() ? "" : "; ") + number_text(*((*value).*member), 4);
  }
  return text;
}

struct TextStyle {
  const char* plus_minus;
  const char *begin_best, *end_best;
  bool groups;  ///< a line for each protocol, instead of a column
};
constexpr TextStyle kTerminal{" +- ", "*", "", true}, kMarkdown{" \u00b1 ", "**", "**", false};

/// The columns are those that hold anything.
std::vector<std::vector<std::string>> cells(const Report& report, const TextStyle& style) {
  const bool two = report.columns.size() == 2;
  const auto holds = [&](std::optional<double> Metric::*member) {
    return std::any_of(report.rows.begin(), report.rows.end(),
                       [&](const ReportRow& row) { return !reference_text(row, member).empty(); });
  };
  const bool floors = holds(&Metric::floor), reals = holds(&Metric::real);
  std::vector<std::string> head{"metric"};
  for (const ReportColumn& column : report.columns) head.push_back(column.label);
  if (two) head.push_back("second - first");
  if (floors) head.push_back("floor");
  if (reals) head.push_back("real");
  head.insert(head.end(), {"unit", "better"});
  if (!style.groups) head.push_back("protocol");
  std::vector<std::vector<std::string>> rows{head};
  std::optional<std::string> protocol;
  for (const ReportRow& row : report.rows) {
    const Metric& any = row.any();
    if (style.groups && protocol != any.protocol()) rows.push_back({any.protocol()});
    protocol = any.protocol();
    std::vector<std::string> line{(style.groups ? "  " : "") + any.short_name()};
    for (size_t i = 0; i < row.values.size(); ++i) {
      const std::string text = row.values[i] ? value_text(*row.values[i], style.plus_minus) : "-";
      line.push_back(row.best == i ? style.begin_best + text + style.end_best : text);
    }
    if (two) {
      const auto& d = row.difference;
      const auto [value, error] =
          d ? measured_text(d->value, d->standard_error) : std::pair<std::string, std::string>();
      line.push_back(d ? value + (error.empty() ? "" : style.plus_minus + error)
                     : row.unpaired.empty() ? "-"
                                            : row.unpaired);
    }
    if (floors) line.push_back(reference_text(row, &Metric::floor));
    if (reals) line.push_back(reference_text(row, &Metric::real));
    line.insert(line.end(), {any.unit, enum_name(kBetterNames, any.better)});
    if (!style.groups) line.push_back(any.protocol());
    rows.push_back(std::move(line));
  }
  return rows;
}

bool marks_a_best(const Report& report) {
  return std::any_of(report.rows.begin(), report.rows.end(),
                     [](const ReportRow& row) { return row.best.has_value(); });
}

std::string best_text(const std::string& mark) {
  return mark +
         ": ahead of every other value of its row by more than two standard errors of the "
         "difference";
}

/// Settings, sampling settings included, of exactly two columns (or runs) that differ.
std::vector<std::string> two_way_diff(const Report& report) {
  if (report.columns.size() == 2) {
    Json settings[2];
    for (size_t i = 0; i < 2; ++i) {
      settings[i] = report.runs[report.columns[i].run].config;
      settings[i]["sampling"] = report.columns[i].sampling;
    }
    return settings_diff(settings[0], settings[1]);
  }
  if (report.columns.empty() && report.runs.size() == 2) {
    return settings_diff(report.runs[0].config, report.runs[1].config);
  }
  return {};
}

/// What training saw of the test images, for runs that nobody evaluated.
std::string validation_text(const ReportedRun& run) {
  std::string text;
  if (!run.manifest.validation.is_object()) return "no test images";
  for (const auto& [name, value] : run.manifest.validation.items()) {
    if (!value.is_number()) continue;
    text += (text.empty() ? "" : "  ") + name + " " + number_text(value.get<double>(), 5);
  }
  return text;
}

/// '|' ends a cell, the others would format.
std::string markdown_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      escaped += ' ';
    } else {
      if (std::string_view("\\|`<[&").find(c) != std::string_view::npos) escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

/// In quotes where need be; what a spreadsheet would take for a formula begins with an apostrophe.
std::string csv_field(std::string text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const bool is_number = std::from_chars(text.data(), end, number).ptr == end;
  if (!text.empty() && !is_number && std::string("=+-@\t\r").find(text[0]) != std::string::npos)
    text = "'" + text;
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

/// Shortest text that gives the same number.
std::string exact(double value) {
  return Json(value).dump();
}

}  // namespace

std::string report_table(const Report& report) {
  std::string text;
  if (!report.rows.empty()) {
    text += table(cells(report, kTerminal));
    if (marks_a_best(report)) text += "\n" + best_text("*") + "\n";
  } else {
    std::vector<std::vector<std::string>> rows{{"run", "data", "step", "test, while training"}};
    for (const ReportedRun& run : report.runs) {
      rows.push_back({run.name, run.manifest.data.source, concat(run.step), validation_text(run)});
    }
    text += table(rows);
  }
  for (size_t i = 0; i < report.runs.size(); ++i) {
    if (report.measured(i)) continue;
    text += concat("\n", report.runs[i].name, ": not evaluated yet; genai evaluate ",
                   report.runs[i].reference);
  }
  if (!report.notes.empty()) text += "\nnotes";
  for (const std::string& note : report.notes) text += "\n  " + note;
  const auto diff = two_way_diff(report);
  if (!diff.empty()) text += "\nsettings that differ (first -> second)";
  for (const std::string& line : diff) text += "\n" + line;
  return text.ends_with('\n') ? text : text + "\n";
}

std::string report_markdown(const Report& report) {
  std::string text;
  auto rows = cells(report, kMarkdown);
  if (report.rows.empty()) {
    rows = {{"run", "data", "step", "test, while training"}};
    for (const ReportedRun& run : report.runs) {
      rows.push_back({run.name, run.manifest.data.source, concat(run.step), validation_text(run)});
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const std::string& cell : rows[i]) text += "| " + markdown_text(cell) + " ";
    text += "|\n";
    if (i > 0) continue;
    for (size_t k = 0; k < rows[0].size(); ++k) text += "| --- ";
    text += "|\n";
  }
  if (marks_a_best(report)) text += "\n" + best_text("**Bold**") + ".\n";
  std::vector<std::string> notes = report.notes;
  for (size_t i = 0; i < report.runs.size(); ++i) {
    if (!report.measured(i)) notes.push_back(report.runs[i].name + ": not evaluated yet");
  }
  if (!notes.empty()) text += "\n";
  for (const std::string& note : notes) text += "- " + markdown_text(note) + "\n";
  const auto diff = two_way_diff(report);
  if (diff.empty()) return text;
  std::string lines, fence = "```";
  for (const std::string& line : diff) lines += inert(line.substr(2)) + "\n";
  while (lines.find(fence) != std::string::npos) fence += '`';  // no value ends the block
  return text + "\nSettings that differ (first -> second):\n\n" + fence + "\n" + lines + fence +
         "\n";
}

std::string report_csv(const Report& report) {
  std::string text =
      "run,step,preset,data,sampling,weights_sha256,metric,protocol,value,standard_error,spread,"
      "count,unit,better,floor,real\r\n";
  for (const ReportColumn& column : report.columns) {
    const ReportedRun& run = report.runs[column.run];
    for (const Metric& m : column.metrics) {
      const std::vector<std::string> fields{run.name,
                                            concat(run.step),
                                            run.manifest.preset,
                                            run.manifest.data.source,
                                            column.sampling.is_null() ? "" : column.sampling.dump(),
                                            run.weights_sha256,
                                            m.short_name(),
                                            m.protocol(),
                                            exact(m.value),
                                            m.standard_error > 0 ? exact(m.standard_error) : "",
                                            m.spread > 0 ? exact(m.spread) : "",
                                            concat(m.count),
                                            m.unit,
                                            enum_name(kBetterNames, m.better),
                                            m.floor ? exact(*m.floor) : "",
                                            m.real ? exact(*m.real) : ""};
      for (size_t i = 0; i < fields.size(); ++i) text += (i ? "," : "") + csv_field(fields[i]);
      text += "\r\n";
    }
  }
  return text;
}

Json to_json(const Report& report) {
  Json json = {{"runs", Json::array()}, {"columns", Json::array()}, {"metrics", Json::array()}};
  for (const ReportedRun& run : report.runs) {
    json["runs"].push_back({{"run", run.name},
                            {"step", run.step},
                            {"preset", run.manifest.preset},
                            {"data", to_json(run.manifest.data)},
                            {"weights_sha256", run.weights_sha256},
                            {"seconds", run.seconds},
                            {"validation", run.manifest.validation},
                            {"config", run.config}});
  }
  for (const ReportColumn& column : report.columns) {
    json["columns"].push_back({{"label", column.label},
                               {"run", report.runs[column.run].name},
                               {"step", report.runs[column.run].step},
                               {"sampling", column.sampling},
                               {"details", column.details},
                               {"notes", column.notes}});
  }
  for (const ReportRow& row : report.rows) {
    Json entry = {{"name", row.name}, {"values", Json::array()}};
    for (const auto& value : row.values) {
      entry["values"].push_back(value ? to_json(*value) : Json());
    }
    entry["best"] = row.best ? Json(*row.best) : Json();
    if (row.difference) {
      entry["difference"] = {{"value", row.difference->value},
                             {"standard_error", row.difference->standard_error}};
    } else if (!row.unpaired.empty()) {
      entry["unpaired"] = row.unpaired;
    }
    json["metrics"].push_back(std::move(entry));
  }
  json["notes"] = report.notes;
  return json;
}

}  // namespace genai
