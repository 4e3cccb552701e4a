// "digits": handwritten-looking digits, drawn by a small program instead of read from files. They
// need no download and are the offline stand-in for MNIST: 28x28, white pen on black.
#pragma once
#include <cstdint>

#include "genai/data/image_set.h"

namespace genai {

inline constexpr int64_t kDigitSide = 28;
inline constexpr int64_t kTrainDigits = 60'000, kTestDigits = 10'000;

/// Draws digit number `index` >= 0 of the set `seed` into pixels [28, 28] and stores what it shows.
/// Each block of ten indices from a multiple of ten holds every digit once, in random order.
///
/// The strokes of a writing style get jittered control points, a smooth warp, slant, rotation,
/// aspect, size, pen width and place at random; a pixel is as bright as the pen covers it, with
/// noise on the ink. A pure function with the same bytes on every machine: it uses integers and
/// float + - * / sqrt alone. Compile digits.cpp with -ffp-contract=off: a fused multiply-add
/// rounds differently.
void draw_digit(uint64_t seed, int64_t index, uint8_t* pixels, int64_t* label);

/// The set: train = indices 0 .. train-1, test = indices 60,000 .. 60,000+test-1, about one second
/// for all on one core. Throws Error{usage} unless 1 <= train <= 60,000 and 1 <= test <= 10,000.
ImageSet make_digits(uint64_t seed, int64_t train = kTrainDigits, int64_t test = kTestDigits);

}  // namespace genai
