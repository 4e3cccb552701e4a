// One picture's content in another one's style, both as a classifier's layers see them (L. Gatys,
// A. Ecker, M. Bethge, "Image style transfer using convolutional neural networks", 2016).
#pragma once
#include "genai/generation/ascent.h"

namespace genai {

struct StyleRequest {
  std::string layer = {};  ///< that sees the content, see find_layer
  double weight = 100;     ///< of the style against the content: beta / alpha of equation 7
  Ascent ascent = {.octaves = 3, .steps = 60, .rate = 0.03};
};

/// Equation 3 as a mean over the places, [C, C] of an activation [1, C, h, w]: which features occur
/// together, wherever they do.
Tensor gram_matrix(const Tensor& activation);

/// sum (a - b)^2 / sum b^2, 0-d: equations 1 and 4 in the unit of what is wanted, so that layers
/// and classifiers of any scale weigh the same.
Tensor relative_distance(const Tensor& found, const Tensor& wanted);

/// Lowers the distance of the content's activations plus `weight` times the mean over all layers of
/// that of Gram matrices (equations 5 and 7), from the content on.
/// @param content  uint8 [C, H, W] in the model's channels; returns the like
/// @param style    uint8 [C, h, w]; shrinks with the content in coarse octaves
/// Throws Error{usage} for models that are no Classifier of pixels, and layers that they do not
/// have; what ascend throws.
Tensor transfer_style(const LoadedModel& loaded, const StyleRequest& request, const Tensor& content,
                      const Tensor& style, const PictureWatch& watch = {});

}  // namespace genai
