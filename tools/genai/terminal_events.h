// What a job looks like while it runs.
#pragma once
#include <chrono>
#include <vector>

#include "command.h"
#include "player.h"

namespace genai::tool {

/// On a terminal: one line that is written over, the last test values, and small pictures that
/// sharpen or move in place. Elsewhere: one plain line per ten seconds.
class TerminalEvents : public JobEvents {
 public:
  /// Prints a part of the result as it comes.
  using PrintPart = void (*)(const Json& part, bool json);

  struct Options {
    bool json = false;               ///< results are JSON
    bool preview = false;            ///< also without a terminal
    PrintPart print_part = nullptr;  ///< null: nothing is printed before the end
  };
  TerminalEvents(const Command& command, Options options);
  ~TerminalEvents() override { close(); }

  void started(const TrainStart& start) override;
  void progress(const StepReport& report) override;
  void validated(int64_t step, const Json& values, bool best) override;
  void wrote(int64_t step, const std::vector<std::string>& texts) override;
  void sampled(int64_t step, const std::vector<Image>& images, const Json& request) override;
  void warned(const std::string& text) override;
  void noted(const std::string& text) override;
  void stage(const std::string& what, double done) override;
  void pictured(const std::vector<Image>& images) override { pictures_ = images; }
  void frame(const PathFrame& frame, PathView view, int64_t milliseconds) override;
  void piece(std::string_view text) override;
  void found(const Json& part) override;
  void output(std::string_view bytes) override;
  std::optional<std::string> next_line() override;
  int stop_requested() override;
  bool save_requested() override;

  /// Ends the line that is written over.
  void close();
  /// The last ones that were told.
  const std::vector<Image>& pictures() const { return pictures_; }

 private:
  using Clock = std::chrono::steady_clock;

  std::string progress_line(const StepReport& report) const;
  void write_over(const std::string& line);
  void rewind_block();
  static bool due(Clock::time_point& last, double seconds);

  const Command& command_;
  Options options_;
  bool terminal_, colour_, quiet_;
  bool line_open_ = false;
  int block_lines_ = 0;  // test values and pictures at the end of the screen, to be written over
  std::string unit_;     // "images"
  Clock::time_point printed_ = Clock::now(), validated_{};
  std::string stage_;
  Clock::time_point stage_start_{}, stage_shown_{};
  Player player_;
  std::vector<Image> pictures_;
  bool writes_ = false;  // text to stdout, where somebody may stop reading
};

/// A model may have learned control characters: raw into files and pipes alone.
std::string shown_text(std::string_view text);

}  // namespace genai::tool
