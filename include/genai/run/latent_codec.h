// A trained run as a codec: its latent space, of a VAE say, as grids that other families learn; or,
// where latents are levels, as sequences of codes (A. van den Oord et al., "Neural discrete
// representation learning" (VQ-VAE), 2017).
#pragma once
#include "genai/data/pixel_sequence.h"
#include "genai/run/load_model.h"
#include "genai/run/parts.h"

namespace genai {

/// The setting, and the part, that is one.
inline constexpr const char* kCodec = "codec";

class LatentCodec : public Codec {
 public:
  /// @param scale  what measure said; null: it is not measured yet
  /// Throws Error{usage} for a run that has no latent space or is told something.
  LatentCodec(LoadedModel part, const Json& scale);

  /// The latents' mean and deviation on the first items of a set: {"mean": [...], "deviation":
  /// [...]}, of each channel.
  Json measure(const Dataset& data) override;

  DataInfo encoded(const DataInfo& info) const override;
  Tensor encode(const Tensor& items) override;
  Tensor decode(const Tensor& grids) override;

 private:
  Tensor raw(const Tensor& items);

  LoadedModel part_;
  LatentSpace& space_;
  std::vector<int64_t> shape_;  // of latents: [c, h, w]
  Tensor mean_, deviation_;     // [c, 1, 1], float64 on the CPU
};

/// The levels of each place of a grid of latents as a token.
class CodeCodec : public Codec {
 public:
  /// Throws Error{usage} for a run whose latents are no levels, are more than 65,536 different ones
  /// at a place, or that is told something.
  explicit CodeCodec(LoadedModel part);

  DataInfo encoded(const DataInfo& info) const override;
  Tensor encode(const Tensor& items) override;
  Tensor decode(const Tensor& tokens) override;

 private:
  LoadedModel part_;
  LatentSpace& space_;
  LevelTokens tokens_;
};

/// Of a run's parts, for a family that reads grids or sequences; null where there is none.
/// @param stored  Manifest::parts
std::shared_ptr<Codec> make_codec(ItemKind reads, const std::filesystem::path& run, Parts parts,
                                  const Json& stored, at::Device device);

}  // namespace genai
