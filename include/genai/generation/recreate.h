// Makes pictures again from what they say of themselves: golden tests.
#pragma once
#include "genai/generation/generate.h"

namespace genai {

struct Recreation {
  std::string impossible;  ///< why it cannot be made again; else empty
  bool same = false;
  double worst = 0;       ///< largest difference of a pixel, of 255
  int64_t differing = 0;  ///< numbers (pixels times channels) that differ
  std::string tolerance;  ///< "equal bytes", or what was allowed and why
};

/// Why the request of a picture alone cannot make it again; empty when it can.
std::string lacks_for_recreation(const Json& request);

/// Makes a picture of `sample` or `show` again from its own provenance, every frame of an
/// animation, and compares the pixels: exactly where device kind, CPU code, threads, precision and
/// LibTorch are those of the file; else up to kTolerance.
/// Throws Error{data} when the file tells nothing or the weights are not `loaded`'s.
Recreation recreate(const std::string& png, const std::string& name, const LoadedModel& loaded);

/// The same of a text and what stands beside it (generation/provenance.h): `differing` are bytes.
Recreation recreate_text(const std::string& text, const Json& made, const std::string& name,
                         const LoadedModel& loaded);

/// Largest difference of a grey value between machines that we measured (docs/results.md).
inline constexpr double kTolerance = 2;

}  // namespace genai
