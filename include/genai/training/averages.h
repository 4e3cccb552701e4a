// Means of named values over many batches.
#pragma once
#include <ATen/ATen.h>

#include "genai/base/json.h"
#include "genai/core/tensors.h"

namespace genai {

/// Sums on the device; the host waits for it only in take().
class Averages {
 public:
  /// @param values   0-d, or one number for each item
  /// @param counts   what each item counts, their sum is `weight`; undefined: all the same
  void add(const Tensors& values, double weight, const Tensor& counts = {}) {
    for (const auto& [name, value] : values) {
      Tensor& sum = sums_[name];
      const bool each = value.dim() > 0 && counts.defined();
      const Tensor weighted =
          each ? (value.detach().to(at::kDouble) * counts).sum()
               : (value.dim() == 0 ? value : value.mean()).detach().to(at::kDouble) * weight;
      sum = sum.defined() ? sum + weighted : weighted;
      weights_[name] += weight;
    }
  }
  /// The means so far; starts anew.
  Json take() {
    Json means = Json::object();
    for (const auto& [name, sum] : sums_) means[name] = sum.item<double>() / weights_[name];
    sums_.clear();
    weights_.clear();
    return means;
  }

 private:
  Tensors sums_;
  std::map<std::string, double> weights_;
};

}  // namespace genai
