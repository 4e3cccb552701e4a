// The clock of these tests is a number: machines of any speed, in no time.
#include "genai/training/budget.h"

#include <gtest/gtest.h>

#include <functional>

namespace genai {
namespace {

struct Ended {
  int64_t steps = 0, planned = 0;  ///< made; of the first plan
  double seconds = 0;              ///< with the last validation
};

/// A training of `budget` seconds whose step from second t on takes step_seconds(t).
/// @param every  steps from validation to validation, each of `validation` seconds
Ended train_for(double budget, const std::function<double(double)>& step_seconds, int64_t every = 0,
                double validation = 0, int64_t first = 0) {
  Budget plan(budget);
  Ended ended{.steps = first};
  double now = validation;  // that of the first step
  for (int64_t steps = 0; steps == 0 || ended.steps < steps;) {
    now += step_seconds(now);
    ++ended.steps;
    const int64_t before = steps;
    steps = plan.steps(first, ended.steps, now,
                       every > 0 ? validation / static_cast<double>(every) : 0, validation);
    if (before == 0) ended.planned = steps;
    EXPECT_TRUE(before == 0 || steps <= before) << "more steps than were promised";
    EXPECT_TRUE(steps == 0 || steps >= ended.steps) << "fewer steps than are done";
    if (steps != ended.steps && every > 0 && ended.steps % every == 0) now += validation;
    if (now > 100 * budget) break;
  }
  ended.seconds = now + validation;
  return ended;
}

TEST(Budget, OfASteadyMachineIsUsed) {
  for (const double step : {0.001, 0.01, 0.2}) {
    const Ended ended = train_for(60, [&](double) { return step; });
    EXPECT_EQ(ended.steps, ended.planned) << step;
    EXPECT_LE(ended.seconds, 60) << step;
    EXPECT_GE(ended.seconds, 56) << step;
  }
  // A session that goes on counts its own steps.
  const Ended resumed = train_for(
      60, [](double) { return 0.01; }, 0, 0, 5000);
  EXPECT_NEAR(static_cast<double>(resumed.steps), 5000 + 5700, 60);
}

TEST(Budget, IsABoundWhereTheMachineGetsSlower) {
  for (const double slower : {1.5, 4.0, 20.0}) {
    for (const double from : {10.0, 30.0, 50.0, 56.5, 58.9}) {
      const Ended ended = train_for(
          60, [&](double now) { return now < from ? 0.02 : 0.02 * slower; }, 200, 0.5);
      EXPECT_LE(ended.seconds, 60 + 0.02 * slower) << slower << " from " << from;
      EXPECT_GE(ended.seconds, 50) << slower << " from " << from;
      if (from < 50) {
        EXPECT_LT(ended.steps, ended.planned) << slower << " from " << from;
      }
    }
  }
}

TEST(Budget, IsABoundWhereItGetsSlowerAllTheTime) {
  const Ended ended = train_for(60, [](double now) { return 0.005 * (1 + now); });
  EXPECT_LE(ended.seconds, 60.5);
  EXPECT_GE(ended.seconds, 55);
}

TEST(Budget, LeavesTimeForTheLastValidation) {
  const Ended ended = train_for(
      60, [](double now) { return now < 20 ? 0.02 : 0.1; }, 100, 4);
  EXPECT_LE(ended.seconds, 60.2);
  EXPECT_GE(ended.seconds, 50);
}

TEST(Budget, ShorterThanAnythingEndsSoon) {
  const Ended ended = train_for(2, [](double) { return 0.3; });
  EXPECT_LE(ended.seconds, 2);
  EXPECT_EQ(ended.steps, 6);
  EXPECT_EQ(train_for(0.1, [](double) { return 0.3; }).steps, 1);
}

}  // namespace
}  // namespace genai
