#include <algorithm>
#include <cmath>
#include <set>

#include "genai/base/html.h"
#include "genai/base/text.h"
#include "genai/report/charts.h"
#include "genai/report/sections.h"

namespace genai::report_page {

namespace {

constexpr size_t kPagePoints = 40000;  // of all curves together
constexpr size_t kMostCurvePoints = 400;

struct Quantity {
  std::string name;
  std::vector<Curve> train, test;  ///< one a run, perhaps without points
};

/// All numbers of the logs by name, in the order of their first line.
std::vector<Quantity> quantities(const Report& report) {
  std::vector<Quantity> all;
  std::set<std::filesystem::path> seen;  // a run that is reported at two steps has one log
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
  return figure(
      quantity.name, remark,
      run_legend(report, curves) +
          element(
              "div", {{"class", "curvebox"}},
              curve_chart(curves, quantity.name + " over steps, at the end: " + joined(ends, ", "),
                          limit)));
}

}  // namespace

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
    text +=
        element("details", {},
                element("summary", {}, "More curves") + grid_of("figures", counts[2], texts[2]));
  }
  return text;
}

}  // namespace genai::report_page
