#include <algorithm>

#include "genai/base/fields.h"
#include "genai/base/html.h"
#include "genai/base/text.h"
#include "genai/report/sections.h"

namespace genai::report_page {

namespace {

/// A setting of all runs.
struct Setting {
  std::string path;
  std::vector<std::optional<std::string>> values;  ///< one a run
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
        all.push_back(
            {.path = path, .values = std::vector<std::optional<std::string>>(report.runs.size())});
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
  return scrolling(
      only_differing ? "Settings that differ" : "All settings",
      element("table", {{"class", "settings"}},
              element("thead", {}, element("tr", {}, head)) + element("tbody", {}, rows)));
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
         scrolling("Sampling settings", element("table", {{"class", "settings"}},
                                                element("thead", {}, element("tr", {}, head)) +
                                                    element("tbody", {}, rows)));
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
  entry("Data", describe(m.data));
  entry("Trained", describe_training(run));
  entry("Test loss", describe_test(run));
  entry("Weights", run.weights > 0 ? count_text(run.weights) + " numbers" : "");
  entry("SHA-256", run.weights_sha256.substr(0, 16));
  entry("Computed on",
        concat(m.numerics.device, ", ", enum_name(kPrecisionNames, m.numerics.precision), ", ",
               m.numerics.threads, m.numerics.threads == 1 ? " thread" : " threads", ", ",
               m.numerics.cpu, ", LibTorch ", m.numerics.libtorch));
  // Of a single run the title of the page is the name.
  std::string content = report.runs.size() > 1 ? heading("h3", run.name) : "";
  content += element("dl", {}, list);
  if (!report.measured(i)) {
    content += p("soft", "Not evaluated yet: " +
                             element("code", {}, escape_html("genai evaluate " + run.name)));
  }
  return element("article", {{"class", "card " + colour(i)}}, content) + "\n";
}

}  // namespace

std::string overview(const Report& report) {
  const std::vector<Setting> settings = all_settings(report);
  std::string cards;
  for (size_t i = 0; i < report.runs.size(); ++i) cards += card(report, settings, i);
  return grid_of("cards", report.runs.size(), cards);
}

std::string settings(const Report& report) {
  const std::vector<Setting> settings = all_settings(report);
  std::string text;
  if (report.runs.size() > 1) {
    const std::string differing = settings_table(report, settings, true);
    text += differing.empty() ? p("", "All settings are the same.")
                              : heading("h3", "Those that differ") + differing;
  }
  text += sampling_table(report);
  return text +
         element("details", {},
                 element("summary", {}, "All settings") + settings_table(report, settings, false)) +
         "\n";
}

}  // namespace genai::report_page
