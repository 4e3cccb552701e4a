// Random tensors whose numbers depend on (seed, purpose, name, item) and on nothing else: not on
// the batch an item stands in, the device or the number of threads.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

#include "genai/core/tensors.h"

namespace genai {

class Draw {
 public:
  /// @param purpose  what the numbers are for: "generate", "train/critic"
  /// @param items    one id per row of the tensors made: sample numbers, positions in the stream
  Draw(uint64_t seed, std::string purpose, std::vector<int64_t> items,
       at::Device device = at::kCPU);

  /// Standard normal numbers [items, shape...], float32 on the device. `first` skips numbers of
  /// each item's stream: normal("z", {5, 8}) is normal("z", {2, 8}) followed by
  /// normal("z", {3, 8}, 16).
  Tensor normal(std::string_view name, at::IntArrayRef shape, int64_t first = 0) const;

  /// Uniform numbers in [0, 1), likewise.
  Tensor uniform(std::string_view name, at::IntArrayRef shape, int64_t first = 0) const;

  int64_t items() const { return static_cast<int64_t>(items_.size()); }
  at::Device device() const { return device_; }

 private:
  template <class Fill>
  Tensor make(std::string_view name, at::IntArrayRef shape, int64_t first, Fill fill) const;

  uint64_t seed_;
  std::string purpose_;
  std::vector<int64_t> items_;
  at::Device device_;
};

/// A permutation of 0 .. n-1 from (seed, purpose).
std::vector<int64_t> random_permutation(uint64_t seed, std::string_view purpose, int64_t n);

}  // namespace genai
