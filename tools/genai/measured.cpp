#include "measured.h"

#include <unistd.h>

#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/log.h"
#include "genai/base/terminal.h"
#include "genai/base/text.h"

namespace genai::tool {

StageLine::StageLine(bool quiet) : terminal_(!quiet && is_terminal(STDERR_FILENO)) {}

void StageLine::show(const std::string& stage, double done) {
  if (stage.rfind("about ", 0) == 0) return say(stage);
  const auto now = std::chrono::steady_clock::now();
  if (stage != stage_) {
    stage_ = stage;
    start_ = now;
  } else if (std::chrono::duration<double>(now - shown_).count() < 0.1) {
    return;
  }
  shown_ = now;
  if (!terminal_) return;
  const double spent = std::chrono::duration<double>(now - start_).count();
  std::cerr << "\r\x1b[K" << padded(stage, 20) << " " << bar(done, 30)
            << (done > 0 ? " " + duration_text(spent / done - spent) + " left" : "") << std::flush;
  open_ = true;
}

void StageLine::clear() {
  if (open_) std::cerr << "\r\x1b[K" << std::flush;
  open_ = false;
}

StageProgress StageLine::progress() {
  return [this](const std::string& stage, double done) { show(stage, done); };
}

namespace {

std::string error_text(const Metric& metric) {
  if (metric.standard_error > 0) {
    return "+- " + measured_text(metric.value, metric.standard_error).second;
  }
  return metric.spread > 0 ? "sd " + number_text(metric.spread, 2) : "";
}

}  // namespace

std::string metrics_table(const std::vector<Metric>& metrics) {
  bool samples = false;
  for (const Metric& metric : metrics) samples |= metric.real.has_value();
  std::vector<std::vector<std::string>> rows{{"metric", "value", "", "better", ""}};
  if (samples) rows[0] = {"metric", "value", "", "better", "perfect", "real", ""};
  for (const Metric& metric : metrics) {
    const auto optional = [](const std::optional<double>& value) {
      return value ? number_text(*value, 4) : std::string();
    };
    const std::string value = metric.standard_error > 0
                                  ? measured_text(metric.value, metric.standard_error).first
                                  : number_text(metric.value, 4);
    std::vector<std::string> row{
        metric.short_name(), value,
        error_text(metric) + (metric.unit.empty() ? "" : " " + metric.unit),
        metric.better == Better::neither ? "" : enum_name(kBetterNames, metric.better)};
    if (samples) row.insert(row.end(), {optional(metric.floor), optional(metric.real)});
    row.push_back(metric.protocol());
    rows.push_back(row);
  }
  return table(rows);
}

std::optional<Evaluation> keep_where_possible(const std::filesystem::path& run,
                                              const Evaluation& result) {
  try {
    return keep_evaluation(run, result);
  } catch (const std::exception& error) {
    log_warning("measured, but not kept with the run: " + reason_of(error));
    return std::nullopt;
  }
}

}  // namespace genai::tool
