// What the verbs that measure print.
#pragma once
#include <chrono>
#include <optional>

#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"

namespace genai::tool {

/// One line on stderr that shows how far a stage is, on a terminal; estimates anywhere.
class StageLine {
 public:
  explicit StageLine(bool quiet);
  ~StageLine() { clear(); }

  void show(const std::string& stage, double done);
  void clear();
  StageProgress progress();

 private:
  bool terminal_, open_ = false;
  std::string stage_;
  std::chrono::steady_clock::time_point start_{}, shown_{};
};

/// Metrics with their errors, what a perfect model and real images get, and protocols.
std::string metrics_table(const std::vector<Metric>& metrics);

/// keep_evaluation, or a warning: what was measured is not lost where it cannot be kept, in a run
/// that one may not write to or beside a log that is damaged.
std::optional<Evaluation> keep_where_possible(const std::filesystem::path& run,
                                              const Evaluation& result);

}  // namespace genai::tool
