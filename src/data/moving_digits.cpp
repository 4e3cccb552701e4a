#include "genai/data/moving_digits.h"

#include <algorithm>
#include <cmath>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/core/philox.h"

namespace genai {
namespace {

constexpr int kVersion = 1;  // raise it with every change of the pixels: it is in the fingerprint
constexpr int64_t kDigit = 28, kRoom = kClipSide - kDigit;
constexpr double kStep = 0.1;  // of the room, a frame

/// One coordinate of a digit, from 0 to 1.
struct Coordinate {
  double at, speed;

  void move() {
    at += speed;
    if (at < 0) at = -at, speed = -speed;
    if (at > 1) at = 2 - at, speed = -speed;
  }
  int64_t pixel() const { return static_cast<int64_t>(at * static_cast<double>(kRoom)); }
};

/// A direction of length 1: a point in the unit disk, drawn until one is. Square roots are the same
/// on every machine, sines are not.
std::pair<double, double> direction(UniformStream& numbers) {
  for (;;) {
    const double x = numbers.between(-1, 1), y = numbers.between(-1, 1);
    const double length = std::sqrt(x * x + y * y);
    if (length > 0.01 && length <= 1) return {x / length, y / length};
  }
}

LabelledImages draw_clips(const LabelledImages& digits, uint64_t seed, int64_t count) {
  constexpr int64_t kPixels = kClipFrames * kClipSide * kClipSide;
  LabelledImages clips{.count = count * kClipFrames,
                       .channels = 1,
                       .height = kClipSide,
                       .width = kClipSide,
                       .pixels = std::vector<uint8_t>(static_cast<size_t>(count * kPixels)),
                       .labels = {}};
  for (int64_t clip = 0; clip < count; ++clip) {
    draw_clip(digits, seed, clip, clips.pixels.data() + clip * kPixels);
    clips.clips.push_back(clip * kClipFrames);
  }
  clips.clips.push_back(clips.count);
  return clips;
}

}  // namespace

void draw_clip(const LabelledImages& digits, uint64_t seed, int64_t index, uint8_t* frames) {
  std::fill_n(frames, kClipFrames * kClipSide * kClipSide, uint8_t{0});
  UniformStream numbers(stream_key(seed, "moving-digits"), index);
  for (int digit = 0; digit < 2; ++digit) {
    const auto chosen = numbers.below(digits.count);
    const uint8_t* pixels = digits.pixels.data() + chosen * kDigit * kDigit;
    const auto [dx, dy] = direction(numbers);
    Coordinate x{numbers.next(), kStep * dx}, y{numbers.next(), kStep * dy};
    for (int64_t frame = 0; frame < kClipFrames; ++frame) {
      uint8_t* corner = frames + (frame * kClipSide + y.pixel()) * kClipSide + x.pixel();
      for (int64_t row = 0; row < kDigit; ++row) {
        for (int64_t column = 0; column < kDigit; ++column) {
          uint8_t& seen = corner[row * kClipSide + column];
          seen = std::max(seen, pixels[row * kDigit + column]);
        }
      }
      x.move();
      y.move();
    }
  }
}

ImageSet make_moving_digits(const std::string& name, const ImageSet& digits, int64_t train,
                            int64_t test) {
  if (digits.train.width != kDigit || digits.train.height != kDigit) {
    fail(ErrorKind::usage, name, ": expected digits of 28x28, found ", digits.train.width, "x",
         digits.train.height);
  }
  return {.name = name,
          .classes = {},
          .train = draw_clips(digits.train, 0, train),
          .test = draw_clips(digits.test, 1, test),
          .fingerprint = sha256(concat("genai moving digits ", kVersion, " ", digits.fingerprint,
                                       " train ", train, " test ", test)),
          .notes = {}};
}

}  // namespace genai
