// How well a score tells two sets apart.
#pragma once
#include "genai/core/tensors.h"

namespace genai {

struct Auroc {
  double value = 0;           ///< probability that an inlier scores above an outlier, ties half
  double standard_error = 0;  ///< E. DeLong et al., "Comparing the areas ...", 1988
};

/// Of scores that should be higher on `inliers` [n] than on `outliers` [m]. Throws Error{data} when
/// either is empty or holds a NaN.
Auroc auroc(const Tensor& inliers, const Tensor& outliers);

/// Bits of each image [n, C, H, W] uint8 (C 1 or 3) losslessly compressed (a PNG's pixel data,
/// without its headers): its complexity, [n] float64.
Tensor compressed_bits(const Tensor& images);

}  // namespace genai
