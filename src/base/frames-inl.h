// What all writers of pictures that move ask of their frames.
#pragma once
#include "genai/base/animation.h"
#include "genai/base/error.h"

namespace genai {

/// What encode_apng and encode_gif throw of their frames.
inline void check_frames(const std::vector<Frame>& frames, const char* where) {
  constexpr int64_t kShortest = 20, kLongest = 65535;  // shorter ones are slowed down by browsers
  if (frames.empty()) fail(ErrorKind::usage, where, ": expected at least one frame");
  const Image& first = frames[0].image;
  for (const auto& [image, milliseconds] : frames) {
    check_image(image, where);
    if (image.width != first.width || image.height != first.height ||
        image.channels != first.channels) {
      fail(ErrorKind::usage, where, ": expected frames of one size, ", first.width, " x ",
           first.height, " x ", first.channels, ", found ", image.width, " x ", image.height, " x ",
           image.channels);
    }
    if (milliseconds < kShortest || milliseconds > kLongest) {
      fail(ErrorKind::usage, where, ": expected ", kShortest, " to ", kLongest,
           " milliseconds a frame, found ", milliseconds);
    }
  }
}

}  // namespace genai
