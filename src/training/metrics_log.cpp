#include "genai/training/metrics_log.h"

#include <chrono>
#include <sstream>

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

std::vector<Json> read_metrics(const fs::path& run) {
  std::vector<Json> lines;
  const fs::path path = run / "metrics.jsonl";
  if (!fs::exists(path)) return lines;
  std::istringstream text(read_file(path, kMaxMetrics));
  for (std::string line; std::getline(text, line);) {
    // The last line of a killed process may be torn.
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_object() && json.contains("step") && json["step"].is_number_integer()) {
      lines.push_back(json);
    }
  }
  return lines;
}

MetricsLog::MetricsLog(const fs::path& run, int64_t step)
    : path_(run / "metrics.jsonl"), events_(run), start_(wall_clock()) {
  std::string kept;
  std::vector<Json> lines;
  for (const Json& line : read_metrics(run)) {
    if (line["step"].get<int64_t>() > step) continue;
    kept += line.dump() + "\n";
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
  file_ << line.dump() << "\n" << std::flush;
  if (!file_) {
    fail(ErrorKind::failure, "cannot write to ", path_.string(),
         " (is the disk full?); checkpoints are intact, continue with --resume");
  }
  replay(line);
  events_.flush();
}

}  // namespace genai
