// What a loss sees of the data.
#pragma once
#include <cstdint>
#include <vector>

#include "genai/core/tensors.h"

namespace genai {

/// One micro-batch on the device; shapes never change during a run.
struct Batch {
  Tensor input;                     ///< images [B, C, H, W] in [0, 1]
  Tensor target;                    ///< labels int64 [B], or undefined
  std::vector<int64_t> sample_ids;  ///< global: the same whatever micro-batch or rank holds the
                                    ///< sample; keys of its random draws
  double weight = 0;                ///< what the loss averages over: images
};

}  // namespace genai
