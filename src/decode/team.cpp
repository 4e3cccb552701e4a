#include "genai/decode/team.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace genai::decode {

void Team::run(int64_t cost, void (*work)(const void* self, Worker& worker), const void* self) {
#ifdef _OPENMP
  constexpr int64_t kWorthwhile = 10'000;  // a barrier takes about the time of so many
  const auto useful = static_cast<int>(std::min<int64_t>(cost / kWorthwhile, threads_));
  if (useful > 1 && !omp_in_parallel()) {
    arrived_ = 0;
    // All threads start, since libgomp ends those that a smaller team leaves over.
#pragma omp parallel num_threads(threads_)
    {
      const int workers = std::min(useful, omp_get_num_threads());
      Worker worker(*this, omp_get_thread_num(), workers);
      if (worker.number() < workers) work(self, worker);
    }
    return;
  }
#else
  (void)cost;
#endif
  Worker alone(*this, 0, 1);
  work(self, alone);
}

void Worker::barrier() {
  if (workers_ == 1) return;
  expected_ += workers_;
  std::atomic<int32_t>& arrived = team_.arrived_;
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 >= expected_) {
    arrived.notify_all();  // no call of the kernel unless somebody sleeps
    return;
  }
  // In a loop; after so many looks (25 us) the other one is not running, and a core that sleeps is
  // where it can.
  constexpr int kLooks = 2000;
  int looks = 0;
  for (int32_t seen; (seen = arrived.load(std::memory_order_acquire)) < expected_; ++looks) {
    if (looks >= kLooks) arrived.wait(seen, std::memory_order_acquire);
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

}  // namespace genai::decode
