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

/// Cross-entropy [B] of logits [B, classes] and labels [B], targets mixed with the uniform
/// distribution by `smoothing` (C. Szegedy et al., "Rethinking the Inception architecture", 2016,
/// section 7).
Tensor smoothed_cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing);

Family classifier_family();

}  // namespace genai
