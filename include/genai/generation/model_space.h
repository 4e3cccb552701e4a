// Between pictures and the centred numbers that a model of theirs computes on.
#pragma once
#include <cmath>

#include "genai/data/value_range.h"
#include "genai/generation/generate.h"

namespace genai {

class ModelSpace {
 public:
  /// @param items  what the model was trained on
  ModelSpace(const Model& model, const DataInfo& items)
      : inputs_(model.inputs()), info_(inputs_.seen(items)), range_(info_) {}

  std::vector<int64_t> shape() const { return {info_.channels, info_.height, info_.width}; }
  /// uint8 [B, C, H, W] on the model's device -> [B, c, h, w]
  Tensor centred(const Tensor& pictures) const {
    return range_.centred(inputs_.encoded(pictures.to(at::kFloat) / 255));
  }
  /// As Generator::generate makes them.
  Tensor items(const Tensor& centred) const { return range_.items(centred); }
  /// uint8 [B, C, H, W] on the CPU.
  Tensor pictures(const Tensor& centred) const {
    return quantized(inputs_.decoded(items(centred)));
  }
  /// Of x at a level of noise, which is scaled to the variance of images whatever the level.
  Tensor pictures(const Tensor& x, const NoiseLevel& level) const {
    return pictures(x / std::hypot(level.alpha, level.sigma));
  }

 private:
  const ModelInputs& inputs_;
  DataInfo info_;
  ValueRange range_;
};

}  // namespace genai
