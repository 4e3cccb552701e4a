// A time budget: the rate of the first steps says how many fit.
#pragma once
#include <cstdint>

namespace genai {

class Budget {
 public:
  /// @param seconds  of training, with starting and saving
  explicit Budget(double seconds) : seconds_(seconds) {}

  /// Asked after each step; the steps of the whole run once they are known, 0 before.
  /// @param first       step at which this session began
  /// @param done        steps so far
  /// @param now         seconds of training so far
  /// @param validation  seconds that validation takes, for each step
  int64_t steps(int64_t first, int64_t done, double now, double validation);

 private:
  double seconds_, start_ = 0;
};

}  // namespace genai
