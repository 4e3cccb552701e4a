// Named tensors: what a checkpoint, a batch of draws or a set of logs holds.
#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace genai {

using at::Tensor;

/// Ordered by name, so that every walk over them is the same.
using Tensors = std::map<std::string, Tensor>;

}  // namespace genai
