#include "genai/nn/patches.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "genai/base/error.h"

namespace genai {

int64_t positions(int64_t size, int64_t patch) {
  return (size + patch - 1) / patch;
}

void check_levels(const std::string& network, int64_t levels, int64_t patch, int64_t height,
                  int64_t width) {
  const int64_t side = positions(std::min(height, width), patch);
  if ((side >> levels) < 1) {
    fail(ErrorKind::usage, "model.", network, ".levels: ", levels, " halvings leave nothing of ",
         side, " positions (an image ", width, "x", height, " in patches of ", patch, ")");
  }
}

at::Tensor to_patches(const at::Tensor& images, int64_t patch) {
  if (patch == 1) return images;
  const int64_t h = images.size(2), w = images.size(3);
  const int64_t more_h = positions(h, patch) * patch - h, more_w = positions(w, patch) * patch - w;
  const at::Tensor whole =
      more_h || more_w ? at::constant_pad_nd(images, {0, more_w, 0, more_h}, -1) : images;
  return at::pixel_unshuffle(whole, patch);
}

}  // namespace genai
