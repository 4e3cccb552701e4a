// Precision and recall (T. Kynkaanniemi et al., 2019), density and coverage (M. Naeem et al.,
// 2020): do samples lie where real images lie, and is everything real reached?
#pragma once
#include "genai/core/tensors.h"

namespace genai {

/// Per item, float64; the metrics are the means.
struct ManifoldScores {
  Tensor precision;  ///< [n] 1 where a sample lies in the ball of some real image, else 0
  Tensor density;    ///< [n] balls of real images that hold the sample, divided by k
  Tensor recall;     ///< [m] 1 where a real image lies in the ball of some sample
  Tensor coverage;   ///< [m] 1 where the ball of a real image holds some sample
};

/// Balls reach from an item to its k-th nearest neighbour in its own set (itself not counted);
/// strictly inside counts. Distances in float64, in blocks: memory does not grow with n * m.
/// @param real, samples   features [m, d], [n, d]
/// Throws Error{data} when either has no more than k rows or a number that is not finite.
ManifoldScores manifold_scores(const Tensor& real, const Tensor& samples, int64_t k = 5);

}  // namespace genai
