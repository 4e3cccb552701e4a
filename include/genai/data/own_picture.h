// The user's own picture as an item of a data set.
#pragma once
#include <string>

#include "genai/base/picture.h"
#include "genai/data/dataset.h"

namespace genai {

struct OwnPicture {
  Image image;
  std::string said;  ///< what was done and the user should know; empty: nothing
};

/// May a picture be moved and cropped?
enum class Placing {
  free,   ///< made width x height of the set, by itself as resize_to_fit does
  fixed,  ///< each pixel stays where it is, for masks and measurements: the size is the caller's
};

/// - A sample that was scaled up by whole pixels is scaled down exactly; what is a whole number of
///   times larger, but not so made, is averaged. A sheet of several is an Error{data} that says how
///   to get one.
/// - Of sets with MNIST's convention (a white pen on black; the drawing in 20 of 28 pixels, centred
///   by its mass: LeCun et al. 1998) a drawing on a light ground is inverted, and one of another
///   size, on a light ground or far from the middle is cropped to the pen, scaled and centred.
/// - White on transparency stands over black: over white nothing would be seen.
OwnPicture fit_own_picture(const Picture& picture, const DataInfo& info, Placing placing,
                           const std::string& name);

/// A drawing, dark lines on white, in the set's size. One on a dark ground is inverted; light lines
/// on transparency stand over black, and are then. Throws Error{data} for a picture of one tone.
OwnPicture fit_own_drawing(const Picture& picture, const DataInfo& info, const std::string& name);

/// mnist, digits, and sets of their kind by name (EMNIST, QMNIST, "mnist-without-9"): grey squares
/// of a white pen on black. Not scenes of several, which have captions.
bool has_pen_convention(const DataInfo& info);

/// Where to fill, 255, and where not, 0, in the set's size: of a picture with transparent parts
/// these; else every pixel that is not 0 (of a lossy format: at least 128). Of a mask that is a
/// whole number of times larger, a block is filled where any pixel of it is; another size stays.
Image read_mask(const Picture& picture, const DataInfo& info);

}  // namespace genai
