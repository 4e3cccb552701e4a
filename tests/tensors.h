// What tests of tensors share.
#pragma once
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "genai/core/draw.h"

namespace genai {

/// count numbers from `first` on.
inline std::vector<int64_t> ids(int64_t count, int64_t first = 0) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

/// float64 [N]
inline Tensor numbers(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble);
}

/// 0-d, float32
inline Tensor flag(float value) {
  return at::full({}, value);
}

/// Normal numbers [B, ...], the same whatever the batch.
inline Tensor random(const char* name, at::IntArrayRef shape) {
  return Draw(1, "test", ids(shape[0])).normal(name, shape.slice(1));
}

inline Tensor channels_last(const Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

inline double largest(const Tensor& x) {
  return x.abs().max().item<double>();
}

/// The largest difference.
inline double distance(const Tensor& a, const Tensor& b) {
  return largest(a.to(at::kDouble) - b.to(at::kDouble));
}

/// The largest difference as a share of the largest number expected.
inline double relative(const Tensor& found, const Tensor& expected) {
  return distance(found, expected) / largest(expected);
}

inline void expect_near(const Tensor& found, const Tensor& expected, double tolerance,
                        const std::string& what = "") {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  EXPECT_LE(distance(found, expected), tolerance) << what;
}

/// The class as the one condition that a model is told; of undefined labels none.
inline Tensors told_class(const Tensor& labels) {
  return labels.defined() ? Tensors{{"class", labels}} : Tensors();
}

}  // namespace genai
