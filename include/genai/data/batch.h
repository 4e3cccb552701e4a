// What a loss sees of the data.
#pragma once
#include <cstdint>
#include <vector>

#include "genai/core/tensors.h"

namespace genai {

/// One micro-batch on the device; shapes never change during a run.
struct Batch {
  Tensor input;        ///< grids [B, C, H, W], pixels in [0, 1]; or tokens int64 [B, T]
  Tensor target;       ///< labels int64 [B] or undefined; the token after each one of
                       ///< the input, int64 [B, T], kNoTarget where there is none
  Tensor ahead;        ///< of clips with data.ahead: the input and the frames after it,
                       ///< [B, ahead * C, H, W] in [0, 1]; else undefined
  Tensors conditions;  ///< what a model is told (data/condition.h), by name
  Tensor counts;       ///< targets that there are, float32 [B]; images: undefined
  std::vector<int64_t> sample_ids;  ///< global: the same whatever micro-batch or rank holds the
                                    ///< sample; keys of its random draws
  double weight = 0;                ///< what the loss averages over: images, or the targets
};

/// Behind the end of a text or line there is nothing to predict.
inline constexpr int64_t kNoTarget = -1;

}  // namespace genai
