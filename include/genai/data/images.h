// Images as a modality: sets of pictures, 8 bits a value, with or without classes.
#pragma once
#include "genai/base/png.h"
#include "genai/data/dataset.h"
#include "genai/data/image_set.h"

namespace genai {

struct ImageSettings {
  Extent size;
  int64_t channels = 0;
  Ground ground = Ground::white;
  std::vector<ClassChoice> leave_out;
  Binarize binarize = Binarize::none;
  std::string pair;
  int64_t past = 0, ahead = 1;
};

/// uint8 [N, C, H, W] of our images.
Tensor to_tensor(const LabelledImages& images);

/// [C, H, W] or [N, C, H, W] uint8 to pictures.
std::vector<Image> to_images(const Tensor& pixels);

}  // namespace genai
