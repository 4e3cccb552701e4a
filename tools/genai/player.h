// Pictures that move in the terminal.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "genai/base/image.h"

namespace genai::tool {

/// On a terminal with colours (stderr) each picture is drawn over the one before. Elsewhere, if
/// asked for, they follow one another as plain text, without escape codes.
class Player {
 public:
  /// @param anywhere  also without a terminal
  Player(bool quiet, bool anywhere);

  /// Pictures of this size that fit side by side; 0 also when nothing is shown.
  int64_t room(int64_t width, int64_t height) const;

  /// A row of pictures and a line below it, for at least `milliseconds` before the next.
  void show(const std::vector<Image>& row, const std::string& caption, int64_t milliseconds);

 private:
  using Clock = std::chrono::steady_clock;

  bool moves_, shows_;
  int64_t lines_ = 0;  // of the picture that is written over
  Clock::time_point until_{};
};

}  // namespace genai::tool
