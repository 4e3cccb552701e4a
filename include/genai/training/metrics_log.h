// RUN/metrics.jsonl (one JSON object a line, each step once) and TensorBoard events beside it.
#pragma once
#include <filesystem>
#include <fstream>

#include "genai/base/json.h"
#include "genai/base/tensorboard.h"

namespace genai {

class MetricsLog {
 public:
  /// Keeps the lines up to `step`, drops later and torn ones (they will be made again) and damaged
  /// ones.
  MetricsLog(const std::filesystem::path& run, int64_t step);

  /// Each number of `values` under "PREFIX/NAME" in TensorBoard.
  /// Throws Error{failure} when the disk is full.
  void write(const std::string& kind, int64_t step, double seconds, const Json& values);

  /// Seconds of training that the kept lines tell of.
  double seconds() const { return seconds_; }

  /// A message for each damaged line that was dropped.
  const std::vector<std::string>& damaged() const { return damaged_; }

 private:
  void replay(const Json& line);

  std::filesystem::path path_;
  std::ofstream file_;
  std::vector<std::string> damaged_;
  EventWriter events_;
  double seconds_ = 0;
  double start_;  // wall clock at second 0
};

/// What RUN/metrics.jsonl holds; no file: nothing.
struct Metrics {
  std::vector<Json> lines;           ///< with a step each
  std::vector<std::string> damaged;  ///< a message for each line that cannot be used
};
Metrics read_metrics(const std::filesystem::path& run);

}  // namespace genai
