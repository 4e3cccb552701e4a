// Means of named values over many batches.
#pragma once
#include <ATen/ATen.h>

#include "genai/base/json.h"
#include "genai/core/tensors.h"

namespace genai {

/// Sums on the device, which stay where they are; the host waits for them only in take().
class Averages {
 public:
  /// @param values   0-d, or one number for each item
  /// @param weight   0-d
  /// @param counts   what each item counts, their sum is `weight`; undefined: all the same
  void add(const Tensors& values, const Tensor& weight, const Tensor& counts = {}) {
    for (const auto& [name, value] : values) {
      const bool each = value.dim() > 0 && counts.defined();
      const Tensor weighted =
          each ? (value.detach().to(at::kDouble) * counts).sum()
               : (value.dim() == 0 ? value : value.mean()).detach().to(at::kDouble) * weight;
      Mean& mean = means_[name];
      if (!mean.sum.defined()) {
        mean.sum = at::zeros_like(weighted);
        mean.weight = at::zeros_like(weighted);
      }
      mean.sum.add_(weighted);
      mean.weight.add_(weight);
    }
  }
  /// The means so far; starts anew.
  Json take() {
    std::vector<Tensor> both;
    for (const auto& [name, mean] : means_) {
      both.push_back(mean.sum);
      both.push_back(mean.weight);
    }
    Json means = Json::object();
    if (both.empty()) return means;
    const Tensor numbers = at::stack(both).to(at::kCPU);
    const auto* number = numbers.const_data_ptr<double>();
    for (auto& [name, mean] : means_) {
      const double sum = *number++, weight = *number++;
      if (weight > 0) means[name] = sum / weight;
      mean.sum.zero_();
      mean.weight.zero_();
    }
    return means;
  }

 private:
  struct Mean {
    Tensor sum, weight;
  };
  std::map<std::string, Mean> means_;
};

}  // namespace genai
