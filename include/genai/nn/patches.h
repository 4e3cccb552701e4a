// Squares of pixels as the positions of a network.
#pragma once
#include <string>

#include "genai/core/tensors.h"

namespace genai {

/// Positions along a side of `size` pixels in patches.
int64_t positions(int64_t size, int64_t patch);

/// Throws Error{usage} when images of this size cannot be halved so often.
void check_levels(const std::string& network, int64_t levels, int64_t patch, int64_t height,
                  int64_t width);

/// Images [B, C, H, W] as [B, C patch patch, ...]; sides that patch does not divide are filled up
/// with black.
at::Tensor to_patches(const at::Tensor& images, int64_t patch);

}  // namespace genai
