#include "genai/core/neighbours.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace genai {
namespace {

/// Cores that others must keep busy, since little programs come and go everywhere, and the share of
/// all cores that may be idle: for a crowd to begin, and to stay.
struct Bounds {
  double others, idle;
};
constexpr Bounds kBegins{0.4, 0.1}, kStays{0.15, 0.4};

}  // namespace

double busy_seconds(const std::string& proc_stat) {
  std::istringstream words(proc_stat);
  std::string name;
  words >> name;
  std::vector<double> ticks;
  for (double value; ticks.size() < 8 && words >> value;) ticks.push_back(value);
  if (name != "cpu" || ticks.size() < 8) return -1;
  double busy = 0;
  for (size_t i = 0; i < ticks.size(); ++i) {
    if (i != 3 && i != 4) busy += ticks[i];
  }
  return busy / static_cast<double>(sysconf(_SC_CLK_TCK));
}

bool is_crowded(const CpuTimes& from, const CpuTimes& to, double seconds, int64_t cores,
                bool crowded_before) {
  if (from.all < 0 || to.all < 0 || !(seconds > 0)) return false;
  const Bounds bounds = crowded_before ? kStays : kBegins;
  const double busy = (to.all - from.all) / seconds, own = (to.own - from.own) / seconds;
  return busy - own > bounds.others && busy > (1 - bounds.idle) * static_cast<double>(cores);
}

#ifdef _OPENMP

namespace {

constexpr std::chrono::milliseconds kInterval{200};

CpuTimes times_now() {
  std::ifstream file("/proc/stat");
  std::string line;
  std::getline(file, line);
  rusage own{};
  getrusage(RUSAGE_SELF, &own);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return {.all = busy_seconds(line), .own = seconds(own.ru_utime) + seconds(own.ru_stime)};
}

}  // namespace

NeighbourWatch::NeighbourWatch() {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  watcher_ = std::thread([this] { watch(); });
}

void NeighbourWatch::watch() {
  using Clock = std::chrono::steady_clock;
  CpuTimes before = times_now();
  Clock::time_point then = Clock::now();
  std::unique_lock hold(lock_);
  while (!changed_.wait_for(hold, kInterval, [this] { return ends_; })) {
    const CpuTimes now = times_now();
    const Clock::time_point moment = Clock::now();
    const bool crowded =
        is_crowded(before, now, std::chrono::duration<double>(moment - then).count(),
                   omp_get_num_procs(), crowded_);
    before = now;
    then = moment;
    if (crowded == crowded_) continue;
    crowded_ = crowded;
    changed_.notify_all();
    if (crowded) {
      if (crowd_.joinable()) {  // the last one has been told to go
        hold.unlock();
        crowd_.join();
        hold.lock();
      }
      crowd_ = std::thread([this] { crowd(); });
    }
  }
}

void NeighbourWatch::crowd() {
#pragma omp parallel num_threads(omp_get_num_procs() + 1)
  {
    std::unique_lock hold(lock_);
    changed_.wait(hold, [this] { return ends_ || !crowded_; });
  }
}

NeighbourWatch::~NeighbourWatch() {
  {
    const std::lock_guard hold(lock_);
    ends_ = true;
  }
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  if (crowd_.joinable()) crowd_.join();
}

#else  // our loops run on one thread

NeighbourWatch::NeighbourWatch() = default;
NeighbourWatch::~NeighbourWatch() = default;

#endif

}  // namespace genai
