// RUN/metrics.jsonl (one JSON object a line, each step once) and TensorBoard events beside it.
#pragma once
#include <filesystem>
#include <fstream>

#include "genai/base/json.h"
#include "genai/base/tensorboard.h"

namespace genai {

class MetricsLog {
 public:
  /// Keeps the lines up to `step`, drops later and torn ones: they will be made again.
  MetricsLog(const std::filesystem::path& run, int64_t step);

  /// Each number of `values` under "PREFIX/NAME" in TensorBoard.
  /// Throws Error{failure} when the disk is full.
  void write(const std::string& kind, int64_t step, double seconds, const Json& values);

  /// Seconds of training that the kept lines tell of.
  double seconds() const { return seconds_; }

 private:
  void replay(const Json& line);

  std::filesystem::path path_;
  std::ofstream file_;
  EventWriter events_;
  double seconds_ = 0;
  double start_;   // wall clock at second 0
};

/// All whole lines of RUN/metrics.jsonl.
std::vector<Json> read_metrics(const std::filesystem::path& run);

}  // namespace genai
