// Clips of two digits that move and bounce within 64x64 pixels, as in Moving MNIST: N. Srivastava
// et al., "Unsupervised learning of video representations using LSTMs", 2015, section 4.1. Each
// digit goes straight on, 3.6 pixels a frame (a tenth of the 36 that it has), and turns back at the
// edges; where digits lie over each other the brighter pixel is seen.
#pragma once
#include "genai/data/image_set.h"

namespace genai {

inline constexpr int64_t kClipFrames = 20, kClipSide = 64;
inline constexpr int64_t kTrainClips = 8000, kTestClips = 200;

/// Draws clip number `index` of the set `seed` into frames [20, 64, 64]: two of `digits`, of 28x28
/// pixels, with places and directions that are a pure function of (seed, index), the same on every
/// machine.
void draw_clip(const LabelledImages& digits, uint64_t seed, int64_t index, uint8_t* frames);

/// Training clips show training digits, test clips test digits; every frame is a picture, without
/// classes. Throws Error{usage} for digits of another size.
ImageSet make_moving_digits(const std::string& name, const ImageSet& digits,
                            int64_t train = kTrainClips, int64_t test = kTestClips);

}  // namespace genai
