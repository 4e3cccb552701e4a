// Frames of GIFs.
#include "fuzz.h"
#include "genai/base/animation.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMostPixels = 1 << 20;
  std::vector<Image> frames;
  if (!reads([&] { frames = decode_gif(view(data, size), "fuzz", kMostPixels); })) return 0;
  int64_t pixels = 0;
  promise(!frames.empty(), "a GIF has frames");
  for (const Image& frame : frames) {
    pixels += frame.width * frame.height;
    promise(frame.width == frames[0].width && frame.height == frames[0].height &&
                frame.channels == frames[0].channels &&
                static_cast<int64_t>(frame.pixels.size()) ==
                    frame.width * frame.height * frame.channels,
            "all frames are of one size and whole");
  }
  promise(pixels <= kMostPixels, "no more pixels than allowed");
  return 0;
}
