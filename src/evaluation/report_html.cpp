#include "genai/evaluation/report_html.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/fields.h"
#include "genai/base/html.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/base/text.h"
#include "genai/evaluation/charts.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPagePoints = 40000;        // of all curves together
constexpr size_t kMostCurvePoints = 400;
constexpr size_t kMostRows = 40;             // of a table of details, of a matrix
constexpr int64_t kMostPixels = 1024;        // width of a picture
constexpr uint64_t kMaxPicture = 64 << 20;
constexpr double kBarErrors = 2;             // standard errors that a bar shows

// --- words ---------------------------------------------------------------------------------------

/// A number as printers set it.
std::string typeset(std::string number) {
  for (size_t at = 0; (at = number.find('-', at)) != std::string::npos;) {
    number.replace(at, 1, "\u2212");
  }
  return number;
}

/// "class_shares" -> "Class shares"
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
  const std::string better = metric.better == Better::neither
                                 ? ""
                                 : enum_name(kBetterNames, metric.better) + " is better";
  return metric.unit + (metric.unit.empty() || better.empty() ? "" : ", ") + better;
}

// --- pieces of HTML ------------------------------------------------------------------------------

std::string p(const std::string& style, const std::string& content) {
  return element("p", {{"class", style}}, content) + "\n";
}
std::string span(const std::string& style, const std::string& text) {
  return element("span", {{"class", style}}, escape_html(text));
}
std::string heading(const std::string& level, const std::string& text) {
  return element(level, {}, escape_html(text)) + "\n";
}
std::string section(const std::string& id, const std::string& title, const std::string& content) {
  if (content.empty()) return "";
  return element("section", {{"id", id}}, heading("h2", title) + content) + "\n";
}
std::string colour(size_t run) { return colour_class(static_cast<int>(run)); }
std::string named(const Report& report, size_t run, const std::string& label) {
  return report.runs.size() < 2
             ? escape_html(label)
             : element("span", {{"class", "swatch " + colour(run)}}) + escape_html(label);
}

/// Wide tables scroll by themselves; the keyboard must reach them for that.
std::string scrolling(const std::string& label, const std::string& table) {
  return element("div", {{"class", "scroll"}, {"role", "region"}, {"aria-label", label},
                         {"tabindex", "0"}}, table) + "\n";
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

// --- settings ------------------------------------------------------------------------------------

/// A setting of all runs.
struct Setting {
  std::string path;
  std::vector<std::optional<std::string>> values;   ///< one a run
  bool differs = false;
};

std::vector<Setting> all_settings(const Report& report) {
  std::vector<Setting> all;
  for (size_t run = 0; run < report.runs.size(); ++run) {
    for (const auto& [path, value] : setting_leaves(report.runs[run].config)) {
      auto found = std::find_if(all.begin(), all.end(), [&, &p = path](const Setting& setting) {
        return setting.path == p;
      });
      if (found == all.end()) {
        all.push_back({.path = path, .values = std::vector<std::optional<std::string>>(
                                         report.runs.size())});
        found = all.end() - 1;
      }
      found->values[run] = plain(value);
    }
  }
  for (Setting& setting : all) {
    setting.differs = std::any_of(setting.values.begin(), setting.values.end(),
                                  [&](const auto& value) { return value != setting.values[0]; });
  }
  return all;
}

/// "latent 4, learning_rate 0.0003": by what a run differs from the others.
std::string own_settings(const std::vector<Setting>& settings, size_t run) {
  constexpr size_t kMost = 6;
  std::vector<std::string> parts;
  size_t more = 0;
  for (const Setting& setting : settings) {
    if (!setting.differs || !setting.values[run]) continue;
    if (parts.size() == kMost) {
      ++more;
    } else {
      parts.push_back(last_part(setting.path) + " " + *setting.values[run]);
    }
  }
  return joined(parts, ", ") + (more ? concat(" and ", more, " more") : "");
}

std::string settings_table(const Report& report, const std::vector<Setting>& settings,
                           bool only_differing) {
  std::string head = column_head("setting");
  for (size_t i = 0; i < report.runs.size(); ++i) {
    head += column_head(named(report, i, report.runs[i].name));
  }
  std::string rows;
  for (const Setting& setting : settings) {
    if (only_differing && !setting.differs) continue;
    std::string row = row_head(element("code", {}, escape_html(setting.path)));
    for (const auto& value : setting.values) {
      row += element("td", {}, value ? escape_html(*value) : "\u2013");
    }
    const bool marked = setting.differs && !only_differing;
    rows += element("tr", marked ? Attributes{{"class", "differs"}} : Attributes(), row) + "\n";
  }
  if (rows.empty()) return "";
  return scrolling(only_differing ? "Settings that differ" : "All settings",
                   element("table", {{"class", "settings"}},
                           element("thead", {}, element("tr", {}, head)) +
                               element("tbody", {}, rows)));
}

/// How the samples were made that the columns measure.
std::string sampling_table(const Report& report) {
  std::vector<std::string> paths;
  for (const ReportColumn& column : report.columns) {
    if (column.sampling.is_null()) continue;
    for (const auto& [path, value] : setting_leaves(column.sampling)) {
      if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
    }
  }
  if (paths.empty()) return "";
  std::string head = column_head("setting"), rows;
  for (const ReportColumn& column : report.columns) {
    head += column_head(named(report, column.run, column.label));
  }
  for (const std::string& path : paths) {
    std::string row = row_head(element("code", {}, escape_html(path)));
    for (const ReportColumn& column : report.columns) {
      const Json* value = column.sampling.is_null() ? nullptr : find_path(column.sampling, path);
      row += element("td", {}, value ? escape_html(plain(*value)) : "\u2013");
    }
    rows += element("tr", {}, row) + "\n";
  }
  return heading("h3", "Of the samples that were measured") +
         scrolling("Sampling settings",
                   element("table", {{"class", "settings"}},
                           element("thead", {}, element("tr", {}, head)) +
                               element("tbody", {}, rows)));
}

std::string settings_section(const Report& report, const std::vector<Setting>& settings) {
  std::string text;
  if (report.runs.size() > 1) {
    const std::string differing = settings_table(report, settings, true);
    text += differing.empty() ? p("", "All settings are the same.")
                              : heading("h3", "Those that differ") + differing;
  }
  text += sampling_table(report);
  return text + element("details", {}, element("summary", {}, "All settings") +
                                           settings_table(report, settings, false)) + "\n";
}

// --- what the runs are ---------------------------------------------------------------------------

std::string describe_data(const DataInfo& data) {
  return concat(data.source, ", ", data.width, " \u00d7 ", data.height,
                data.channels == 1 ? " grey" : " colour", ", ", count_text(data.train_count),
                " training and ", count_text(data.test_count), " test images",
                data.binarize == Binarize::none
                    ? ""
                    : ", binarized (" + enum_name(kBinarizeNames, data.binarize) + ")");
}

std::string describe_training(const ReportedRun& run) {
  std::string text = count_text(run.step);
  if (run.manifest.steps > run.step) text += " of " + count_text(run.manifest.steps);
  text += " steps";
  return run.seconds > 0 ? text + ", " + duration_text(run.seconds) : text;
}

/// The last test before the step, as training saw it.
std::string describe_test(const ReportedRun& run) {
  const Manifest& m = run.manifest;
  if (m.step != run.step || !m.validation.is_object()) return "";
  const Json* value = find_path(m.validation, m.objective);
  if (!value || !value->is_number()) return "";
  std::string text = m.objective + " " + typeset(number_text(value->get<double>(), 5));
  if (m.best_step >= 0 && m.best_step != m.step) {
    text += concat("; best ", typeset(number_text(m.best_value, 5)), " at step ",
                   count_text(m.best_step));
  }
  return text;
}

std::string card(const Report& report, const std::vector<Setting>& settings, size_t i) {
  const ReportedRun& run = report.runs[i];
  const Manifest& m = run.manifest;
  std::string list;
  const auto entry = [&](const char* name, const std::string& text) {
    if (text.empty()) return;
    list += element("dt", {}, name) + element("dd", {}, escape_html(text)) + "\n";
  };
  const Json* family = find_path(run.config, "model.family");
  entry("Family", family ? plain(*family) : "");
  entry("Preset", m.preset);
  entry("Differs in", own_settings(settings, i));
  entry("Data", describe_data(m.data));
  entry("Trained", describe_training(run));
  entry("Test loss", describe_test(run));
  entry("Weights", run.weights > 0 ? count_text(run.weights) + " numbers" : "");
  entry("SHA-256", run.weights_sha256.substr(0, 16));
  entry("Computed on", concat(m.numerics.device, ", ",
                              enum_name(kPrecisionNames, m.numerics.precision), ", ",
                              m.numerics.threads, m.numerics.threads == 1 ? " thread" : " threads",
                              ", ", m.numerics.cpu, ", LibTorch ", m.numerics.libtorch));
  // Of a single run the title of the page is the name.
  std::string content = report.runs.size() > 1 ? heading("h3", run.name) : "";
  content += element("dl", {}, list);
  if (!report.measured(i)) {
    content += p("soft", "Not evaluated yet: " +
                             element("code", {}, escape_html("genai evaluate " + run.name)));
  }
  return element("article", {{"class", "card " + colour(i)}}, content) + "\n";
}

std::string overview(const Report& report, const std::vector<Setting>& settings) {
  std::string cards;
  for (size_t i = 0; i < report.runs.size(); ++i) cards += card(report, settings, i);
  return grid_of("cards", report.runs.size(), cards);
}

// --- what was measured ---------------------------------------------------------------------------

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
    head += column_head("difference" + element("div", {{"class", "small soft"}},
                                               "second \u2212 first, in pairs"));
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
      rows += element("tr", {}, element("th", {{"class", "protocol"}, {"colspan", columns},
                                               {"scope", "rowgroup"}},
                                        element("div", {}, escape_html(*protocol)))) + "\n";
    }
    std::string line = row_head(span("metric", any.short_name()) +
                                element("div", {{"class", "small soft"}},
                                        escape_html(metric_hint(any))));
    for (size_t i = 0; i < row.values.size(); ++i) {
      line += value_cell(row.values[i], row.best == i);
    }
    if (two) line += difference_cell(row);
    rows += element("tr", {}, line) + "\n";
  }
  end_group();
  return scrolling("Results", element("table", {}, element("thead", {}, element("tr", {}, head)) +
                                                       "\n" + bodies));
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
    return element("span", {}, element("svg", {{"class", "key c7"}, {"aria-hidden", "true"}},
                                       drawing) + escape_html(text));
  };
  const Attributes middle{{"x1", "0"}, {"x2", "100%"}, {"y1", "50%"}, {"y2", "50%"},
                          {"class", "error"}};
  std::string text;
  if (errors || spreads) {
    text += key(element("line", middle) + element("circle", {{"cx", "50%"}, {"cy", "50%"},
                                                             {"r", ".28em"}, {"class", "dot"}}),
                errors ? spreads ? "value, two standard errors either way (where unknown: one "
                                   "standard deviation over subsets)"
                                 : "value, two standard errors either way"
                       : "value, one standard deviation over subsets either way");
  }
  if (floors) {
    text += key(element("line", {{"x1", "50%"}, {"x2", "50%"}, {"y1", "0"}, {"y2", "100%"},
                                 {"class", "floor"}}),
                "floor: what a perfect model is expected to get");
  }
  if (reals) {
    text += key(element("circle", {{"cx", "50%"}, {"cy", "50%"}, {"r", ".3em"},
                                   {"class", "real"}}),
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
    if (marks.size() < 2 && !references) continue;   // the table has said it
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

std::string results(const Report& report) {
  if (report.rows.empty()) {
    return p("", "Nothing has been measured yet. " +
                     element("code", {}, "genai evaluate RUN") +
                     " measures a run and keeps what it finds with it.") + notes_list(report);
  }
  const bool best = std::any_of(report.rows.begin(), report.rows.end(),
                                [](const ReportRow& row) { return row.best.has_value(); });
  return results_table(report) +
         (best ? p("small soft", "Bold: ahead of every other value of its row by more than two "
                                 "standard errors of the difference. Equal items are compared in "
                                 "pairs, so bars that overlap may still differ clearly.")
               : "") +
         notes_list(report) + result_charts(report);
}

// --- how training went ---------------------------------------------------------------------------

struct Quantity {
  std::string name;
  std::vector<Curve> train, test;   ///< one a run, perhaps without points
};

/// All numbers of the logs by name, in the order of their first line.
std::vector<Quantity> quantities(const Report& report) {
  std::vector<Quantity> all;
  std::set<fs::path> seen;   // a run that is reported at two steps has one log
  for (size_t run = 0; run < report.runs.size(); ++run) {
    if (!seen.insert(report.runs[run].folder).second) continue;
    for (const Json& line : report.runs[run].log) {
      for (const char* kind : {"train", "test"}) {
        const Json* values = find_path(line, kind);
        if (!values || !values->is_object()) continue;
        for (const auto& [name, value] : values->items()) {
          auto found = std::find_if(all.begin(), all.end(),
                                    [&, &n = name](const Quantity& q) { return q.name == n; });
          if (found == all.end()) {
            all.push_back({.name = name});
            found = all.end() - 1;
          }
          auto& curves = std::string(kind) == "test" ? found->test : found->train;
          curves.resize(report.runs.size());
          curves[run].points.emplace_back(line["step"].get<double>(),
                                          value.is_number() ? value.get<double>() : NAN);
        }
      }
    }
  }
  for (Quantity& quantity : all) {
    for (auto* curves : {&quantity.train, &quantity.test}) {
      for (size_t run = 0; run < curves->size(); ++run) {
        (*curves)[run].colour = static_cast<int>(run);
        (*curves)[run].strong = curves == &quantity.test;
      }
    }
  }
  return all;
}

/// Where it belongs: 0 what training minimizes, 1 its parts and losses, 2 what else was logged,
/// 3 what another already shows.
int rank(const Quantity& quantity, const Report& report, const std::vector<Quantity>& all) {
  for (const ReportedRun& run : report.runs) {
    if (quantity.name == run.manifest.objective) return 0;
  }
  if (quantity.name == "loss") {
    // A loss that is the objective itself.
    for (const Quantity& other : all) {
      if (other.name == "loss" || other.train.size() != quantity.train.size()) continue;
      bool same = true;
      for (size_t i = 0; i < other.train.size(); ++i) {
        same = same && other.train[i].points == quantity.train[i].points;
      }
      if (same) return 3;
    }
  }
  return !quantity.test.empty() || quantity.name.starts_with("loss") ? 1 : 2;
}

std::string run_legend(const Report& report, const std::vector<Curve>& curves) {
  if (report.runs.size() < 2) return "";
  std::string text;
  for (size_t i = 0; i < report.runs.size(); ++i) {
    const bool shown = std::any_of(curves.begin(), curves.end(), [&](const Curve& curve) {
      return curve.colour == static_cast<int>(i);
    });
    if (shown) text += element("span", {}, named(report, i, report.runs[i].name));
  }
  return element("div", {{"class", "legend"}}, text);
}

std::string curve_figure(const Report& report, const Quantity& quantity, size_t limit) {
  std::vector<Curve> curves;
  std::vector<std::string> ends;
  for (const auto* kind : {&quantity.train, &quantity.test}) {
    for (const Curve& curve : *kind) {
      if (curve.points.empty()) continue;
      curves.push_back(curve);
      ends.push_back(concat(report.runs[static_cast<size_t>(curve.colour)].name,
                            curve.strong ? " test " : " train ",
                            number_text(curve.points.back().second, 4)));
    }
  }
  const ValueRange range = value_range(curves);
  std::string remark = "over steps";
  if (range.logarithmic) remark += "; logarithmic scale";
  if (range.cut) remark += "; the first twentieth is left out";
  return figure(quantity.name, remark,
                run_legend(report, curves) +
                    element("div", {{"class", "curvebox"}},
                            curve_chart(curves, quantity.name + " over steps, at the end: " +
                                                    joined(ends, ", "), limit)));
}

std::string training(const Report& report) {
  const std::vector<Quantity> all = quantities(report);
  size_t curves = 0;
  for (const Quantity& quantity : all) curves += quantity.train.size() + quantity.test.size();
  if (curves == 0) return "";
  const size_t limit = std::clamp<size_t>(kPagePoints / curves, 40, kMostCurvePoints);
  std::string texts[3];
  size_t counts[3] = {};
  for (const Quantity& quantity : all) {
    const int place = rank(quantity, report, all);
    if (place > 2) continue;
    texts[place] += curve_figure(report, quantity, limit);
    ++counts[place];
  }
  std::string text = p("soft", "Thin lines: batches of training images. Thick lines: test images.");
  text += element("div", {{"class", "main"}}, texts[0]) + "\n";
  if (counts[1]) text += grid_of("figures", counts[1], texts[1]);
  if (counts[2]) {
    text += element("details", {}, element("summary", {}, "More curves") +
                                       grid_of("figures", counts[2], texts[2]));
  }
  return text;
}

// --- pictures ------------------------------------------------------------------------------------

struct Picture {
  std::string group, caption, alt;
  fs::path run;
  std::string file;       ///< inside the run
  std::string png{};      ///< as it goes into the page; empty: not shown
  std::string problem{};  ///< why not
};

std::string latest_samples(const fs::path& run) {
  std::string latest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / "samples", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".png")) latest = std::max(latest, name);
  }
  return latest;
}

std::vector<Picture> find_pictures(const Report& report) {
  std::vector<Picture> pictures;
  std::vector<std::string> names;
  for (const ReportColumn& column : report.columns) {
    for (const auto& [name, file] : column.pictures) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  for (const std::string& name : names) {
    for (const ReportColumn& column : report.columns) {
      const auto found = column.pictures.find(name);
      if (found == column.pictures.end()) continue;
      pictures.push_back({.group = title_of(name),
                          .caption = column.label,
                          .alt = title_of(name) + ", " + column.label,
                          .run = report.runs[column.run].folder,
                          .file = found->second});
    }
  }
  std::set<fs::path> seen;
  for (const ReportedRun& run : report.runs) {
    const std::string latest = latest_samples(run.folder);
    if (latest.empty() || !seen.insert(run.folder).second) continue;
    const std::string step = latest.substr(5, latest.size() - 9);   // "step-0000400.png"
    const size_t digits = std::min(step.find_first_not_of('0'), step.size() - 1);
    pictures.push_back({.group = "Samples while training",
                        .caption = run.name + ", step " + step.substr(digits),
                        .alt = "Generated samples of " + run.name + " at step " +
                               step.substr(digits),
                        .run = run.folder,
                        .file = "samples/" + latest});
  }
  return pictures;
}

/// Reads a picture; one wider than a page is made smaller.
void load(Picture& picture) {
  const fs::path file = fs::path(picture.file).lexically_normal();
  if (file.is_absolute() || file.empty() || *file.begin() == "..") {
    picture.problem = "not a file of the run";
    return;
  }
  try {
    const std::string bytes = read_file(picture.run / file, kMaxPicture);
    const Image image = decode_png(bytes, picture.file).image;
    if (image.width > kMostPixels) {
      const int64_t height = std::max<int64_t>(1, image.height * kMostPixels / image.width);
      picture.png = encode_png(resize_to_fit(image, kMostPixels, height));
    } else {
      picture.png = bytes;
    }
  } catch (const Error&) {
    picture.problem = "missing or damaged";
  }
}

size_t bytes_in_page(const Picture& picture) { return (picture.png.size() + 2) / 3 * 4 + 400; }

std::string picture_section(const Report& report, size_t room) {
  std::vector<Picture> pictures = find_pictures(report);
  for (Picture& picture : pictures) load(picture);
  size_t total = 0;
  for (const Picture& picture : pictures) total += bytes_in_page(picture);
  while (total > room) {
    const auto largest = std::max_element(
        pictures.begin(), pictures.end(),
        [](const Picture& a, const Picture& b) { return a.png.size() < b.png.size(); });
    if (largest == pictures.end() || largest->png.empty()) break;
    total -= bytes_in_page(*largest);
    largest->problem = "left out to keep the page small";
    largest->png.clear();
  }
  std::string text, group, grid;
  size_t count = 0;
  const auto end_group = [&] {
    if (count) {
      text += element("h3", {{"class", "group"}}, escape_html(group)) +
              grid_of("pictures", 0, grid);
    }
    grid.clear();
    count = 0;
  };
  for (const Picture& picture : pictures) {
    if (picture.group != group) end_group();
    group = picture.group;
    ++count;
    const std::string caption = element("figcaption", {}, escape_html(picture.caption));
    grid += element("figure", {}, picture.problem.empty()
                                      ? element("img", {{"alt", picture.alt},
                                                        {"src", "data:image/png;base64," +
                                                                    base64(picture.png)}}) +
                                            caption
                                      : caption + p("soft small", escape_html(picture.file + ": " +
                                                                              picture.problem))) +
            "\n";
  }
  end_group();
  return text;
}

// --- details of evaluations ----------------------------------------------------------------------

bool is_number_or_null(const Json& value) { return value.is_number() || value.is_null(); }

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
      const double share =
          sum > 0 && value.is_number() ? std::abs(value.get<double>()) / sum : 0;
      const int level = share > 0 ? std::max(1, static_cast<int>(std::lround(10 * share))) : 0;
      row += element("td", {{"class", concat("h", level)}}, number_of(value));
    }
    rows += element("tr", {}, row) + "\n";
  }
  return scrolling(label, element("table", {{"class", "heat"}},
                                  element("thead", {}, element("tr", {}, head)) +
                                      element("tbody", {}, rows)));
}

std::string bar_table(const Json& values, int run) {
  double most = 0;
  bool negative = false;
  size_t decimals = 0;   // the same for all, so that the points stand below each other
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
    rows += element("tr", {}, row_head(escape_html(name)) +
                                  (negative ? "" : element("td", {{"class", "wide"}},
                                                           share_bar(share, run))) +
                                  number_cell(shown(value))) + "\n";
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
    rows += element("tr", {}, (path.empty() ? "" : row_head(escape_html(path))) +
                                  element("td", {}, text)) + "\n";
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
                   curve_chart({curve}, title_of(key) + ", " + label, kMostCurvePoints));
  }
  if (all_numbers(value)) return bar_table(value, run);
  return key_table(value);
}

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
      text += p("soft small", "Rows: the class it is. Columns: the class it is taken for. Colours: "
                              "shares of the row.");
    }
    text += grid_of("figures", count, figures);
  }
  return text;
}

std::string commands(const Report& report) {
  std::string text;
  for (const ReportedRun& run : report.runs) {
    if (run.command.empty()) continue;
    if (report.runs.size() > 1) text += heading("h3", run.name);
    text += element("pre", {}, element("code", {}, escape_html(run.command))) + "\n";
  }
  return text;
}

// --- the page ------------------------------------------------------------------------------------

std::string bytes_from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// Nothing but this style sheet and pictures inside the page; scripts and requests of any kind are
/// forbidden to whatever got into it.
std::string policy() {
  return "default-src 'none'; img-src data:; style-src 'sha256-" +
         base64(bytes_from_hex(sha256(kReportStyle))) + "'; base-uri 'none'; form-action 'none'";
}

std::string title(const Report& report) {
  if (report.runs.size() > 3) return concat(report.runs.size(), " runs");
  std::vector<std::string> names;
  for (const ReportedRun& run : report.runs) names.push_back(run.name);
  return joined(names, report.runs.size() > 1 ? " and " : "");
}

}  // namespace

std::string report_html(const Report& report) {
  struct Part {
    const char* id;
    const char* title;
    std::string content;
  };
  const std::vector<Setting> settings = all_settings(report);
  std::vector<Part> parts{{"runs", report.runs.size() > 1 ? "Runs" : "Run",
                           overview(report, settings)},
                          {"results", "Results", results(report)},
                          {"pictures", "Pictures", ""},
                          {"training", "Training", training(report)},
                          {"details", "Details", details(report)},
                          {"settings", "Settings", settings_section(report, settings)},
                          {"repeat", "To train again", commands(report)}};
  const std::string name = title(report);
  const std::string head =
      element("meta", {{"charset", "utf-8"}}) + "\n" +
      element("meta", {{"http-equiv", "Content-Security-Policy"}, {"content", policy()}}) + "\n" +
      element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}) +
      "\n" + element("meta", {{"name", "color-scheme"}, {"content", "light dark"}}) + "\n" +
      element("title", {}, escape_html(name)) + "\n" + element("style", {}, kReportStyle) + "\n";
  const std::string footer = element(
      "footer", {},
      escape_html(concat("Made by genai ", GENAI_VERSION,
                         " from what the runs have kept; nothing was computed anew.")));

  size_t used = head.size() + footer.size() + 4096;   // 4096: the frame around it
  for (const Part& part : parts) used += part.content.size();
  parts[2].content = picture_section(report, used < kMaxPage ? kMaxPage - used : 0);
  std::string links, body;
  for (const Part& part : parts) {
    if (part.content.empty()) continue;
    links += element("a", {{"href", std::string("#") + part.id}}, part.title) + "\n";
    body += section(part.id, part.title, part.content);
  }
  const std::string header =
      element("header", {}, heading("h1", name) +
                                element("nav", {{"aria-label", "Parts of this page"}}, links));
  return "<!doctype html>\n" +
         element("html", {{"lang", "en"}},
                 "\n" + element("head", {}, "\n" + head) + "\n" +
                     element("body", {}, "\n" + header + "\n" + element("main", {}, "\n" + body) +
                                             "\n" + footer + "\n") + "\n") + "\n";
}

}  // namespace genai
