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

TEST(Neighbours, CrowdWhereCoresAreMissing) {
  const CpuTimes from{.all = 100, .own = 50};
  const auto crowded = [&](double all, double own, int64_t threads, int64_t cores, bool before) {
    return is_crowded(from, {.all = 100 + all, .own = 50 + own}, 2.0, threads, cores, before);
  };
  EXPECT_FALSE(crowded(4, 4, 2, 2, false));    // both cores ours
  EXPECT_TRUE(crowded(4, 2, 2, 2, false));     // one core is another's
  EXPECT_FALSE(crowded(4, 2, 1, 2, false));    // one thread has room beside it
  EXPECT_FALSE(crowded(20, 4, 2, 16, false));  // so have two of sixteen
  EXPECT_TRUE(crowded(32, 4, 4, 16, false));   // and four beside fourteen have not
  EXPECT_FALSE(crowded(4.5, 4, 2, 2, false));  // a quarter of a core comes and goes
  EXPECT_TRUE(crowded(4.5, 4, 2, 2, true));    // but stays a reason once there was one
  EXPECT_FALSE(crowded(4.2, 4, 2, 2, true));
  EXPECT_FALSE(
      is_crowded({.all = -1}, {.all = -1}, 2, 9, 1, false));  // a system that does not tell
}

TEST(Neighbours, AreWatchedFromBeginningToEnd) {
  for (int i = 0; i < 3; ++i) const NeighbourWatch watch;
}

}  // namespace
}  // namespace genai
