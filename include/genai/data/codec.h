// What stands between the items of a data set and what a family computes on, where that is not the
// same: a trained autoencoder whose latents a diffusion model learns (R. Rombach et al.,
// "High-resolution image synthesis with latent diffusion models", 2022), or pixels one after the
// other as the tokens of a transformer (data/pixel_sequence.h).
#pragma once
#include <memory>

#include "genai/data/condition.h"

namespace genai {

class Codec {
 public:
  virtual ~Codec() = default;
  /// The spec of what it makes of items of `info`. Throws Error{usage} where these do not go in.
  virtual DataInfo encoded(const DataInfo& info) const = 0;
  /// Items in their range [B, C, H, W] (pixels in [0, 1]) as grids [B, c, h, w] of real numbers,
  /// each channel of mean 0 and standard deviation 1/2, about as centred pixels have; or as
  /// sequences int32 [B, T] of codes.
  virtual Tensor encode(const Tensor& items) = 0;
  /// The reverse.
  virtual Tensor decode(const Tensor& encoded) = 0;
  /// Measures on a data set, once, what it must know to encode. Returns what is to be stored.
  virtual Json measure(const Dataset&) { return Json::object(); }
  /// How pixels are modelled by a model of what it makes, for the names of metrics: "levels4".
  /// Empty: densities of what it makes say nothing of pixels.
  virtual std::string pixel_model() const { return ""; }
};

/// What a model is given of an item.
struct ModelInputs {
  std::shared_ptr<Codec> codec = nullptr;  ///< through which it sees items; null: as they are
  ConditionSpecs conditions = {};          ///< what it is told beside

  /// The spec of what the model computes on.
  DataInfo seen(const DataInfo& info) const { return codec ? codec->encoded(info) : info; }
  /// Items in their range as the model takes them, and what it makes as items.
  Tensor encoded(const Tensor& items) const { return codec ? codec->encode(items) : items; }
  Tensor decoded(const Tensor& made) const { return codec ? codec->decode(made) : made; }
};

}  // namespace genai
