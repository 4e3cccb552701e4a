// What a training run looks like while it runs.
#pragma once
#include <chrono>
#include <filesystem>
#include <vector>

#include "genai/training/observer.h"

namespace genai::tool {

/// On a terminal: one line that is written over, the last test values, and small pictures that
/// sharpen in place. Elsewhere: one plain line per ten seconds. Sample pictures go to RUN/samples.
class ProgressPrinter : public TrainObserver {
 public:
  explicit ProgressPrinter(bool quiet);

  void started(const TrainStart& start) override;
  void progress(const StepReport& report) override;
  void validated(int64_t step, const Json& values, bool best) override;
  void wrote(int64_t step, const std::vector<std::string>& texts) override;
  void sampled(int64_t step, const std::vector<Image>& images, const Json& request) override;
  void warned(const std::string& text) override;
  int stop_requested() override;
  bool save_requested() override;

  /// Ends the line that is written over.
  void close_line();

 private:
  using Clock = std::chrono::steady_clock;

  std::string progress_line(const StepReport& report) const;
  void save_picture(int64_t step, const std::vector<Image>& images, const Json& request) const;
  void rewind_block();
  static bool due(Clock::time_point& last, double seconds);

  bool terminal_, colour_, quiet_;
  bool line_open_ = false;
  int block_lines_ = 0;  // test values and pictures at the end of the screen, to be written over
  std::filesystem::path run_;
  std::string unit_;  // "images"
  Json maker_;
  Clock::time_point printed_ = Clock::now(), validated_{};
};

}  // namespace genai::tool
