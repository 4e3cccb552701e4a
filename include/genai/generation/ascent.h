// Gradient ascent on the pixels of a picture that a classifier looks at, coarse to fine: what
// dream.h and style.h share.
#pragma once
#include "genai/run/load_model.h"

namespace genai {

struct Ascent {
  int64_t octaves = 3;  ///< sizes that the picture is changed in, each 1.4 times the one before;
                        ///< the last is its own
  int64_t steps = 30;   ///< of each octave
  double rate = 0.015;  ///< mean change of a pixel (0 to 1) in an octave's first step; falls to 0
  int64_t seed = 0;     ///< of the jitter
};

/// What shall rise, 0-d, of a picture x [1, C, h, w] in 0..1; `given` is the user's in its size.
using Objective = std::function<Tensor(const Tensor& x, const Tensor& given)>;

/// Told the picture on its way, uint8 [C, H, W] of the given size, and the share of the way that is
/// done. What it throws ends the ascent.
using PictureWatch = std::function<void(const Tensor& picture, double done)>;

/// The octaves of A. Mordvintsev, C. Olah, M. Tyka, "DeepDream", 2015 (deepdream.ipynb): what was
/// changed in a small size goes on in the next one. Each step moves the picture by a random few
/// pixels ("jitter", the edges wrap), so that no place of the network's grid is preferred, and goes
/// along the gradient divided by its mean magnitude. Equal arguments give equal pixels.
/// @param picture  uint8 [C, H, W]; returns the like
/// Throws Error{usage} for settings that cannot be; Error{failure} where a gradient is not finite.
Tensor ascend(const Tensor& picture, const Ascent& ascent, const Objective& objective,
              at::Device device, const PictureWatch& watch = {});

/// [B, C, h, w] in another size: bilinear, means where it shrinks.
Tensor resized(const Tensor& images, int64_t height, int64_t width);

/// A classifier of pixels. Throws Error{usage} naming `verb` when the model is none, or sees the
/// latents of a codec.
Classifier& pixel_classifier(const LoadedModel& loaded, const std::string& verb);

/// A layer and its place among Classifier::activations.
struct FoundLayer {
  size_t place;
  std::string name;
};
/// The last layer where `name` is empty. Throws Error{usage} naming those there are.
FoundLayer find_layer(const LoadedModel& loaded, const std::string& name);

/// Classifier::activations of pictures that are enlarged to the model's images where a side is
/// shorter.
std::vector<Classifier::Activation> activations_of(const LoadedModel& loaded, const Tensor& images);

}  // namespace genai
