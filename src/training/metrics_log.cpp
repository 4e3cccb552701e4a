#include "genai/training/metrics_log.h"

#include <chrono>

#include "genai/base/error.h"
#include "genai/base/files.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxMetrics = uint64_t{1} << 30;

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Metrics read_metrics(const fs::path& run) {
  const fs::path path = run / "metrics.jsonl";
  if (!fs::exists(path)) return {};
  CheckedLines read = read_checked_lines(read_file(path, kMaxMetrics), path.string());
  Metrics metrics{.lines = {}, .damaged = std::move(read.damaged)};
  for (auto& [number, line] : read.lines) {
    const bool ours = line.contains("step") && line["step"].is_number_integer() &&
                      (!line.contains("seconds") || line["seconds"].is_number());
    if (ours) {
      metrics.lines.push_back(std::move(line));
    } else {
      metrics.damaged.push_back(concat(path.string(), ", line ", number, ": has no step"));
    }
  }
  return metrics;
}

MetricsLog::MetricsLog(const fs::path& run, int64_t step)
    : path_(run / "metrics.jsonl"), events_(run), start_(wall_clock()) {
  std::string kept;
  std::vector<Json> lines;
  Metrics read = read_metrics(run);
  damaged_ = std::move(read.damaged);
  for (const Json& line : read.lines) {
    if (line["step"].get<int64_t>() > step) continue;
    kept += checked_line(line) + "\n";
    seconds_ = std::max(seconds_, line.value("seconds", 0.0));
    lines.push_back(line);
  }
  start_ -= seconds_;
  for (const Json& line : lines) replay(line);
  write_file(path_, kept);
  file_.open(path_, std::ios::app | std::ios::binary);
}

void MetricsLog::replay(const Json& line) {
  const int64_t step = line["step"];
  const double time = start_ + line.value("seconds", 0.0);
  for (const auto& [kind, values] : line.items()) {
    if (!values.is_object()) continue;
    for (const auto& [name, value] : values.items()) {
      if (value.is_number()) events_.add_scalar(kind + "/" + name, value, step, time);
    }
  }
}

void MetricsLog::write(const std::string& kind, int64_t step, double seconds, const Json& values) {
  const Json line = {{"step", step}, {"seconds", seconds}, {kind, values}};
  file_ << checked_line(line) << "\n" << std::flush;
  if (!file_) {
    fail(ErrorKind::failure, "cannot write to ", path_.string(),
         " (is the disk full?); checkpoints are intact, continue with --resume");
  }
  replay(line);
  events_.flush();
}

}  // namespace genai
