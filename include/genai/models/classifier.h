// Says which class an image shows: p(y|x). A small convolutional network in the manner of Y. LeCun
// et al., "Gradient-based learning applied to document recognition", 1998. Discriminative, not
// generative: it is here to judge what the generative families make (evaluation/extractor.h).
#pragma once
#include "genai/model/family.h"

namespace genai {

struct ClassifierConfig {
  int64_t width = 16;
  int64_t features = 64;
  double dropout = 0;
  double label_smoothing = 0;
  int64_t shift = 1;
  bool flip = false;
};

/// Moves each image by whole pixels, edges filled with 0: out(y, x) = in(y + dy, x + dx).
/// @param images   [B, C, H, W]
/// @param offsets  int64 [B, 2]: dy, dx, each within +- limit
Tensor shift_images(const Tensor& images, const Tensor& offsets, int64_t limit);

/// Cross-entropy [B] of logits [B, classes] and labels [B], targets mixed with the uniform
/// distribution by `smoothing` (C. Szegedy et al., "Rethinking the Inception architecture", 2016,
/// section 7).
Tensor smoothed_cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing);

Family classifier_family();

}  // namespace genai
