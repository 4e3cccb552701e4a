#include "genai/training/budget.h"

#include <algorithm>

namespace genai {
namespace {

/// Steps that are not timed (allocator and thread pool warm up) before a budget is measured.
constexpr int64_t kWarmup = 20;
constexpr double kMeasured = 3;   // seconds
/// Share of a budget that the steps may use; the rest is for starting, saving and the last lines.
constexpr double kShare = 0.95;

}  // namespace

int64_t Budget::steps(int64_t first, int64_t done, double now, double validation) {
  const int64_t measured = done - first - kWarmup;
  if (measured == 0) start_ = now;
  const double spent = now - start_;
  if (measured <= 0 || spent < std::min(kMeasured, 0.1 * seconds_)) return 0;
  const double per_step = spent / static_cast<double>(measured) + validation;
  const double left = kShare * seconds_ - now;
  return done + std::max<int64_t>(1, static_cast<int64_t>(left / per_step));
}

}  // namespace genai
