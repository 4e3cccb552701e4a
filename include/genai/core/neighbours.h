// Other programs on the machine, and how OpenMP's threads wait beside them.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace genai {

/// Seconds of CPU time up to a moment.
struct CpuTimes {
  double all = 0;  ///< of every program on the machine
  double own = 0;  ///< of this one
};

/// Of /proc/stat, whose first line is "cpu" and hundredths of a second: user, nice, system, idle,
/// waiting for disks, interrupts (two kinds), taken by other machines. Negative when it is not like
/// that.
double busy_seconds(const std::string& proc_stat);

/// Is another program at work while hardly a core is idle? A crowd that is there ends later than
/// one begins: threads that wait shortly leave some of a core idle.
/// @param from, to  times at both ends of `seconds`
bool is_crowded(const CpuTimes& from, const CpuTimes& to, double seconds, int64_t cores,
                bool crowded_before);

/// While it lives, OpenMP's threads look for work for milliseconds between two loops when the
/// machine is theirs alone, which is fastest, and give the core away at once when another program
/// needs it: who then goes on looking keeps both that program and the thread that is waited for
/// from running.
///
/// libgomp looks shorter (1000 times instead of 300,000) while it has more threads than there are
/// cores. So a team of sleeping threads is held while the machine is crowded.
class NeighbourWatch {
 public:
  /// Watches unless the environment says how to wait (OMP_WAIT_POLICY, GOMP_SPINCOUNT).
  NeighbourWatch();
  ~NeighbourWatch();
  NeighbourWatch(const NeighbourWatch&) = delete;

 private:
  void watch();
  void crowd();

  std::mutex lock_;
  std::condition_variable changed_;
  bool crowded_ = false, ends_ = false;
  std::thread watcher_, crowd_;
};

}  // namespace genai
