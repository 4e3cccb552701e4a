// How alike two pictures are, image by image.
#pragma once
#include "genai/core/tensors.h"

namespace genai {

/// Peak signal-to-noise ratio of uint8 [N, C, H, W], dB [N], double; equal images count as 60.
Tensor psnr(const Tensor& found, const Tensor& wanted);

/// Structural similarity (Z. Wang et al., "Image quality assessment: from error visibility to
/// structural similarity", 2004, equation 13, K1 0.01, K2 0.03) of uint8 [N, C, H, W], 255 apart at
/// most: the mean over all windows of 7x7 pixels within the image (fewer where it is smaller), with
/// sample variances, and over channels, [N], double. Videos' published figures use this window.
Tensor structural_similarity(const Tensor& found, const Tensor& wanted);

}  // namespace genai
