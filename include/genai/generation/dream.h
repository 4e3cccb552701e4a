// DeepDream: a picture is changed until a classifier sees more in it of a class, or of what excites
// one of its layers (A. Mordvintsev, C. Olah, M. Tyka, "Inceptionism: going deeper into neural
// networks", 2015).
#pragma once
#include "genai/generation/ascent.h"

namespace genai {

struct DreamRequest {
  int64_t label = -1;      ///< class; -1: a layer
  std::string layer = {};  ///< see find_layer
  double keep = 1;         ///< weight of the given picture
  Ascent ascent = {};
};

/// Raises log p(class | x), of a layer log(mean a^2), minus keep * mean |x - given|: a change that
/// does not help is taken back. Classes are judged in the model's size, layers in the picture's.
/// @param picture  uint8 [C, H, W] in the model's channels; returns the like
/// Throws Error{usage} for models that are no Classifier of pixels, and for classes or layers that
/// they do not have; what ascend throws.
Tensor dream(const LoadedModel& loaded, const DreamRequest& request, const Tensor& picture,
             const PictureWatch& watch = {});

}  // namespace genai
