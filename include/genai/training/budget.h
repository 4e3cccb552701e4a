// A time budget: the rate of the first steps says how many fit; when the machine gets slower,
// fewer.
#pragma once
#include <cstdint>

namespace genai {

class Budget {
 public:
  /// @param seconds  of training, with starting and saving
  explicit Budget(double seconds) : seconds_(seconds) {}

  /// Asked after each step; the steps of the whole run: 0 until they are known, then at most as
  /// many as before, and `done` where one more step and the last validation would not fit. So a
  /// budget is overdrawn by what one step takes longer than the one before it, at most.
  /// @param first       step at which this session began
  /// @param done        steps so far
  /// @param now         seconds of training so far
  /// @param validation  seconds that validation takes, for each step
  /// @param last        seconds that the last validation takes
  int64_t steps(int64_t first, int64_t done, double now, double validation, double last);

 private:
  double seconds_, start_ = 0, looked_ = 0, before_ = -1;
  int64_t steps_ = 0;
};

}  // namespace genai
