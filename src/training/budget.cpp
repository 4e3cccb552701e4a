#include "genai/training/budget.h"

#include <algorithm>

namespace genai {
namespace {

/// Steps that are not timed (allocator and thread pool warm up) before a budget is measured.
constexpr int64_t kWarmup = 20;
constexpr double kMeasured = 3;  // seconds
/// Share of a budget that the steps may use; the rest is for starting, saving and the last lines.
constexpr double kShare = 0.95;

}  // namespace

int64_t Budget::steps(int64_t first, int64_t done, double now, double validation, double last) {
  // Since the last call: a step, perhaps with a validation.
  const double latest = before_ < 0 ? 0 : now - before_;
  before_ = now;
  const int64_t measured = done - first - kWarmup;
  if (measured == 0) looked_ = start_ = now;
  if (steps_ > 0 && done >= steps_) return steps_;
  // Another step like this one, and what comes after all steps, would not fit.
  const double step = latest >= last ? latest - last : latest;
  if (now + step + last > seconds_) return steps_ = done;
  const bool look = measured > 0 && now - looked_ >= std::min(kMeasured, 0.1 * seconds_);
  if (!look) return steps_;
  looked_ = now;
  const double per_step = (now - start_) / static_cast<double>(measured);
  const auto fitting = [&](double left, double each) {
    return done + std::max<int64_t>(1, static_cast<int64_t>(std::max(0.0, left) / each));
  };
  steps_ = steps_ == 0 ? fitting(kShare * seconds_ - now, per_step + validation)
                       : std::min(steps_, fitting(seconds_ - last - now, per_step));
  return steps_;
}

}  // namespace genai
