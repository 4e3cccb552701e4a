// A set of pictures in memory, as every image data set of the toolkit is handed on.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace genai {

/// The pictures of one split, all of one size.
struct LabelledImages {
  int64_t count = 0, channels = 1, height = 0, width = 0;
  std::vector<uint8_t> pixels;   ///< [count, channels, height, width]: colour in planes, not RGBRGB
  std::vector<int64_t> labels;   ///< [count], or empty when the set has no labels
  int64_t pair_channels = 0;     ///< 1 or 3; 0: pictures have no pairs
  std::vector<uint8_t> pairs{};  ///< [count, pair_channels, height, width]
  std::vector<std::string> captions{};  ///< [count], or empty when the set has none
  std::vector<int64_t> clips{};  ///< first picture of each clip, whose frames follow each other,
                                 ///< and the count; empty: single pictures
};

struct ImageSet {
  std::string name;                  ///< "mnist"
  std::vector<std::string> classes;  ///< names by label; empty = no labels
  LabelledImages train, test;
  std::string fingerprint;         ///< SHA-256 over what defines the set: equal = the same data
  std::vector<std::string> notes;  ///< what the user should know: "only 57 pictures: ..."
};

}  // namespace genai
