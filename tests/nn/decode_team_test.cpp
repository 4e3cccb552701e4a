#include <gtest/gtest.h>

#include <vector>

#include "genai/decode/team.h"

namespace genai::decode {
namespace {

constexpr int64_t kPays = 1'000'000'000;  // for any number of threads

TEST(DecodeTeam, slices_are_the_whole_without_gaps) {
  for (const int threads : {1, 2, 3, 7}) {
    for (const int64_t count : {0, 1, 2, 6, 7, 100}) {
      std::vector<int> seen(static_cast<size_t>(count), 0);
      Team(threads).run(kPays, [&](Worker& worker) {
        const auto [first, last] = worker.slice(count);
        for (int64_t i = first; i < last; ++i) ++seen[static_cast<size_t>(i)];
      });
      EXPECT_EQ(seen, std::vector<int>(static_cast<size_t>(count), 1)) << threads;
    }
  }
}

TEST(DecodeTeam, what_was_written_before_a_barrier_is_read_after) {
  constexpr int kThreads = 3, kRounds = 1000;
  Team team(kThreads);
  for (int run = 0; run < 2; ++run) {
    // In each round every number becomes the sum of all.
    std::vector<uint64_t> now(kThreads * 8, 1), next(now.size());
    team.run(kPays, [&](Worker& worker) {
      const auto [first, last] = worker.slice(kThreads);
      for (int round = 0; round < kRounds; ++round) {
        uint64_t sum = 0;
        for (size_t i = 0; i < kThreads; ++i) sum += now[i * 8];
        for (int64_t i = first; i < last; ++i) next[static_cast<size_t>(i) * 8] = sum;
        worker.barrier();
        for (int64_t i = first; i < last; ++i) {
          now[static_cast<size_t>(i) * 8] = next[static_cast<size_t>(i) * 8];
        }
        worker.barrier();
      }
    });
    uint64_t wanted = 1;
    for (int round = 0; round < kRounds; ++round) wanted *= kThreads;  // modulo 2^64
    for (size_t i = 0; i < kThreads; ++i) EXPECT_EQ(now[i * 8], wanted) << i;
  }
}

TEST(DecodeTeam, small_work_is_done_by_one) {
  int runs = 0;
  Team(4).run(/*cost=*/100, [&](Worker& worker) {
    ++runs;
    worker.barrier();
    EXPECT_EQ(worker.number(), 0);
    EXPECT_EQ(worker.slice(10).last, 10);
  });
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace genai::decode
