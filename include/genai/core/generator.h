// LibTorch's own random generator: initial weights, and what layers draw by themselves (dropout).
#pragma once
#include <cstdint>
#include <mutex>

namespace genai {

/// There is one for the process. While a thread holds it, no other thread's draws come between its
/// own; a thread may hold it several times.
class LayerGenerator {
 public:
  /// Goes on where it stands.
  LayerGenerator();
  /// Begins the stream of `seed`, on every device.
  explicit LayerGenerator(uint64_t seed);

 private:
  std::lock_guard<std::recursive_mutex> held_;
};

}  // namespace genai
