// Where the numbers of a grid lie: the one place that knows how networks see them.
#pragma once
#include <ATen/ATen.h>

#include "genai/data/dataset.h"

namespace genai {

class ValueRange {
 public:
  explicit ValueRange(const DataInfo& info) : pixels_(info.levels > 0) {}
  /// Items about zero: pixels [0, 1] as [-1, 1]; real numbers, which are so already, as they are.
  Tensor centred(const Tensor& items) const { return pixels_ ? items * 2 - 1 : items; }
  /// The reverse, in float32.
  Tensor items(const Tensor& centred) const {
    const Tensor x = centred.to(at::kFloat);
    return pixels_ ? (x + 1) / 2 : x;
  }
  /// Centred numbers held to the range that items have; real ones have none.
  Tensor held(const Tensor& centred) const { return pixels_ ? centred.clamp(-1, 1) : centred; }

 private:
  bool pixels_;
};

}  // namespace genai
