// Pictures of one or two things with a caption each: "a small red circle left of a blue square".
// Pairs of kinds of things that test pictures show are in no training picture: a model that draws
// them has understood the words, not learned the pictures.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "genai/core/philox.h"
#include "genai/data/image_set.h"

namespace genai {

inline constexpr int64_t kSceneSide = 64, kWindowSide = 32;
inline constexpr int64_t kTrainScenes = 20'000, kTestScenes = 2'000;

/// Where things may stand: left, right, above, below of the middle, or anywhere.
struct Window {
  int64_t x = 0, y = 0;  ///< upper left corner; it is kWindowSide wide and high
};

/// Pixels of a picture in planes [channels, side, side].
struct Canvas {
  int64_t channels, side;
  uint8_t* pixels;

  uint8_t& at(int64_t channel, int64_t y, int64_t x) {
    return pixels[(channel * side + y) * side + x];
  }
};

/// What scenes are made of. Everything is a pure function of the numbers that it takes.
struct SceneKinds {
  std::string name;  ///< of the set: "shapes"
  int64_t channels = 1;
  std::vector<std::string> kinds;  ///< "red circle": classes, and words of captions
  double alone = 0;                ///< share of pictures of one thing
  std::string fingerprint;         ///< of what things look like
  std::function<void(UniformStream& numbers, Canvas canvas)> ground;
  /// Draws one within the window. Returns what is said before the kind: "small ".
  std::function<std::string(int64_t kind, bool test, UniformStream& numbers, Window window,
                            Canvas canvas)>
      draw;
};

/// Does a pair of kinds stand in test pictures alone? About one in ten does; none of equal kinds.
bool is_held_out(int64_t kind, int64_t other);

/// Draws scene number `index` into canvas.pixels. Returns its caption.
/// @param label  the kind of the only thing, or of the one that is left or above
std::string draw_scene(const SceneKinds& kinds, bool test, int64_t index, Canvas canvas,
                       int64_t* label);

/// Pictures of 64x64 with captions; classes are the kinds.
ImageSet make_scenes(const SceneKinds& kinds, int64_t train = kTrainScenes,
                     int64_t test = kTestScenes);

/// Pictures of 32x32, one thing in the middle of each, for a classifier that judges scenes.
ImageSet make_things(const SceneKinds& kinds, int64_t train = kTrainScenes,
                     int64_t test = kTestScenes);

/// A thing that a caption puts somewhere.
struct PlacedThing {
  int64_t kind;
  Window window;
};
/// Both things of a caption of two, the one that is named first first; else none.
std::vector<PlacedThing> things_of(const std::string& caption,
                                   const std::vector<std::string>& kinds);

/// "shapes": circles, squares, triangles, stars and rings in six colours and three sizes.
SceneKinds shape_kinds();
/// "digits-pairs": two of the digits of a set, 28x28 grey, named by words.
SceneKinds digit_kinds(const std::string& name, ImageSet digits);

}  // namespace genai
