// The threads that compute a token together.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>

namespace genai::decode {

class Worker;

/// A token of a small model takes tens of microseconds and a dozen products: a parallel region of
/// OpenMP for each (0.6 us) would eat the gain. Here a region lasts for the whole token, and its
/// threads, which all run the same code, each on its slices, wait for each other in loops (0.1 us).
class Team {
 public:
  explicit Team(int threads) : threads_(std::max(threads, 1)) {}
  int threads() const { return threads_; }

  /// Calls work(Worker&), which must not throw, in as many threads at once as pay for `cost`
  /// multiplications between two barriers.
  template <class Work>
  void run(int64_t cost, const Work& work) {
    run(
        cost, [](const void* self, Worker& w) { (*static_cast<const Work*>(self))(w); }, &work);
  }

 private:
  friend class Worker;
  void run(int64_t cost, void (*work)(const void* self, Worker& worker), const void* self);

  int threads_;
  alignas(64) std::atomic<int32_t> arrived_ = 0;  // at all barriers of the run
};

/// One of the threads of a run.
class Worker {
 public:
  struct Slice {
    int64_t first, last;
  };
  /// From 0; less than the team's threads.
  int number() const { return number_; }
  /// This worker's part of 0 .. count - 1.
  Slice slice(int64_t count) const {
    return {count * number_ / workers_, count * (number_ + 1) / workers_};
  }
  /// Returns when all workers have called it: what they wrote before can be read then.
  void barrier();

 private:
  friend class Team;
  Worker(Team& team, int number, int workers) : team_(team), number_(number), workers_(workers) {}
  Team& team_;
  int number_, workers_;
  int32_t expected_ = 0;  // arrivals at the barriers so far
};

}  // namespace genai::decode
