#include "genai/evaluation/kernel_distance.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "genai/base/error.h"
#include "genai/core/draw.h"
#include "genai/evaluation/rows.h"

namespace genai {
namespace {

constexpr int64_t kProducts = 1 << 20;  // at once, 8 MB: they stay in the cache

/// (x.y / d + 1)^3 of products x.y, in place.
Tensor kernel(const Tensor& products, int64_t d) {
  return products.div_(static_cast<double>(d)).add_(1).pow_(3);
}

/// Sum of the kernel over all pairs of a row of a and a row of b. One thread a block.
double kernel_sum(const Tensor& a, const Tensor& b) {
  const std::vector<Tensor> blocks = a.split(std::max<int64_t>(1, kProducts / b.size(0)));
  std::vector<double> sums(blocks.size());
  at::parallel_for(0, static_cast<int64_t>(sums.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      sums[i] = kernel(blocks[i].mm(b.t()), a.size(1)).sum().item<double>();
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// Mean of the kernel over the pairs of two different rows.
double mean_within(const Tensor& a) {
  const double n = static_cast<double>(a.size(0));
  const double itself = kernel(a.square().sum(1), a.size(1)).sum().item<double>();
  return (kernel_sum(a, a) - itself) / (n * (n - 1));
}

double distance(const Tensor& a, const Tensor& b) {
  const double pairs = static_cast<double>(a.size(0)) * static_cast<double>(b.size(0));
  return mean_within(a) + mean_within(b) - 2 * kernel_sum(a, b) / pairs;
}

}  // namespace

double kernel_distance(const Tensor& a, const Tensor& b) {
  const Tensor x = double_rows(a, "the first set of features", 2);
  const Tensor y = double_rows(b, "the second set of features", 2);
  check_same_columns(x, "the first set's items", y, "the second's");
  return distance(x, y);
}

Tensor kernel_distances(const Tensor& a, const Tensor& b, KernelSubsets subsets) {
  if (subsets.count < 1 || subsets.size < 2) {
    fail(ErrorKind::data, "kernel distance: expected at least 1 subset of at least 2 items, found ",
         subsets.count, " of ", subsets.size);
  }
  const std::string why = concat("take smaller subsets than ", subsets.size, " or more items");
  const Tensor x = double_rows(a, "the first set of features", subsets.size, why);
  const Tensor y = double_rows(b, "the second set of features", subsets.size, why);
  check_same_columns(x, "the first set's items", y, "the second's");
  const Tensor distances = at::empty(subsets.count, at::kDouble);
  double* out = distances.mutable_data_ptr<double>();
  at::parallel_for(0, subsets.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto choose = [&](const Tensor& set, const char* which) {
        const std::string purpose = concat("kernel-subset/", i, "/", which);
        const auto order = random_permutation(0, purpose, set.size(0));
        return set.index_select(0, at::tensor(order).narrow(0, 0, subsets.size));
      };
      out[i] = distance(choose(x, "a"), choose(y, "b"));
    }
  });
  return distances;
}

}  // namespace genai
