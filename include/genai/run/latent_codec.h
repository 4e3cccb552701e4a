// A trained run as a codec: its latent space, of a VAE say, as grids that other families learn.
#pragma once
#include "genai/data/codec.h"
#include "genai/run/load_model.h"
#include "genai/run/parts.h"

namespace genai {

/// The setting, and the part, that is one.
inline constexpr const char* kCodec = "codec";

class LatentCodec : public Codec {
 public:
  /// @param scale  what a codec that was measured says; null: it is not measured yet
  /// Throws Error{usage} for a run that has no latent space or is told something.
  LatentCodec(LoadedModel part, const Json& scale);

  /// Measures the latents' mean and deviation on the first items of a set.
  void measure(const Dataset& data);
  /// {"mean": [...], "deviation": [...]}, of each channel.
  Json scale() const;

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

/// Of a run's parts; null where there is none.
/// @param stored  Manifest::parts
std::shared_ptr<LatentCodec> make_codec(const std::filesystem::path& run, Parts parts,
                                        const Json& stored, at::Device device);

}  // namespace genai
