// A trained model applied to the user's own pictures: a Denoiser inpaints, upscales, varies and
// blends; any Generator that is told a grid makes what it was told of.
#pragma once
#include <optional>

#include "genai/generation/generate.h"

namespace genai {

enum class Edit {
  inpaint,   ///< fills what a mask covers
  upscale,   ///< finds a picture of the model's size whose reduction the given one is; a model that
             ///< is told `low` of that factor makes it
  vary,      ///< makes pictures like the given one
  blend,     ///< goes from one picture to another
  colorize,  ///< told grey
  draw,      ///< told sketch, or pairs of drawings: dark lines on white
  repair,    ///< told masked: what a mask covers
  dream,     ///< by a classifier: generation/dream.h, not edit_pixels
  style,     ///< by a classifier: generation/style.h, not edit_pixels
};
extern const EnumNames<Edit> kEditNames;

struct EditRequest {
  Edit edit = Edit::vary;
  int64_t first = 0;   ///< number of the first version ("seed")
  int64_t label = -1;  ///< class; -1: none, also with a conditional model
  /// vary: share of the path from noise to image that is gone again (0.5); draw, of models with
  /// guidance: how closely to keep to the drawing, 0.5 as trained, 1 as guidance 1
  std::optional<double> strength{};
  Json options = Json::object();  ///< those of the family's sampling fields that are not to be
                                  ///< chosen for the edit (steps, levels)
  CheckWanted check_wanted{};     ///< asked before each chunk
};

/// `count` versions of each picture, numbered on from request.first: uint8 [N * count, C, H, W],
/// the versions of a picture one after the other; of blend, `count` steps from a picture to its
/// other (1: the middle). Equal requests give equal pixels.
/// @param pictures  uint8 [N, C, H, W] of the model's size; upscale: smaller by a whole factor
/// @param others    blend: the second pictures
/// @param mask      inpaint, repair: uint8 [H, W], 255 where to fill, 0 where the picture stays
///
/// Throws Error{usage} for sizes or options that do not fit, and for models that are no Denoiser or
/// are not told what the edit needs.
Tensor edit_pixels(const LoadedModel& loaded, const EditRequest& request, int64_t count,
                   const Tensor& pictures, const Tensor& others = {}, const Tensor& mask = {});

}  // namespace genai
