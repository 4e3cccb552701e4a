#include "genai/core/neighbours.h"

#include <gtest/gtest.h>

namespace genai {
namespace {

TEST(Neighbours, BusyTimeIsAllButIdling) {
  // user 100, nice 10, system 40, idle 9999, disks 500, interrupts 5 and 15, taken 30: 200
  // hundredths
  EXPECT_DOUBLE_EQ(busy_seconds("cpu  100 10 40 9999 500 5 15 30 7 8\ncpu0 1 2 3"), 2.0);
  EXPECT_LT(busy_seconds(""), 0);
  EXPECT_LT(busy_seconds("cpu 1 2 3"), 0);
  EXPECT_LT(busy_seconds("intr 1 2 3 4 5 6 7 8"), 0);
}

TEST(Neighbours, CrowdWhereNoCoreIsIdle) {
  const CpuTimes from{.all = 100, .own = 50};
  const auto crowded = [&](double others, double own, int64_t cores, bool before) {  // busy cores
    return is_crowded(from, {.all = 100 + 2 * (others + own), .own = 50 + 2 * own}, 2.0, cores,
                      before);
  };
  EXPECT_FALSE(crowded(0, 2, 2, false));    // both cores ours
  EXPECT_TRUE(crowded(1, 1, 2, false));     // one core is another's
  EXPECT_FALSE(crowded(1, 0.5, 2, false));  // we need no more than half of the other
  EXPECT_FALSE(crowded(8, 4, 16, false));   // twelve of sixteen are busy
  EXPECT_TRUE(crowded(1, 14, 16, false));
  EXPECT_FALSE(crowded(0.3, 1.7, 2, false));  // a third of a core comes and goes
  EXPECT_TRUE(crowded(0.3, 1.7, 2, true));    // but stays a reason once there was one
  EXPECT_TRUE(crowded(1, 0.4, 2, true));      // waiting shortly, we sleep more
  EXPECT_FALSE(crowded(0.1, 1.9, 2, true));
  EXPECT_FALSE(crowded(1, 0, 2, true));
  EXPECT_FALSE(is_crowded({.all = -1}, {.all = -1}, 2, 1, false));  // a system that does not tell
}

TEST(Neighbours, AreWatchedFromBeginningToEnd) {
  for (int i = 0; i < 3; ++i) const NeighbourWatch watch;
}

}  // namespace
}  // namespace genai
