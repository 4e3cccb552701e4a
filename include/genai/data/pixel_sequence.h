// Images as sequences of tokens, in raster order: A. van den Oord et al., "Pixel recurrent neural
// networks", 2016; M. Chen et al., "Generative pretraining from pixels" (iGPT), 2020.
#pragma once
#include "genai/data/codec.h"

namespace genai {

/// Grids [B, channels, height, width] of whole numbers from 0 to levels - 1 as tokens: the channels
/// of a place together are one, the first channel its lowest digit.
class LevelTokens {
 public:
  /// @param what, advice  for messages: whose levels they are, what makes fewer tokens
  /// Throws Error{usage} for more than 65,536 codes.
  LevelTokens(int64_t levels, int64_t channels, int64_t height, int64_t width,
              const std::string& what, const std::string& advice);

  int64_t codes() const { return codes_; }
  int64_t length() const { return height_ * width_; }
  /// int32 [B, length] of int64 [B, channels, height, width].
  Tensor tokens(const Tensor& levels) const;
  /// The reverse: int64.
  Tensor grids(const Tensor& tokens) const;
  /// The spec of such sequences made of items of `info`.
  DataInfo spec(DataInfo info) const;

 private:
  int64_t levels_, channels_, height_, width_, codes_ = 1;
};

/// Pixels rounded to a few levels; those of a square patch, in all its channels, are one token.
class PixelSequence : public Codec {
 public:
  /// @param levels  values of a pixel, evenly spaced: 2 to 256
  /// @param patch   pixels of a patch's side
  /// Throws Error{usage} for items that are no pixels, a patch that does not divide them, and more
  /// than 65,536 codes or tokens.
  PixelSequence(const DataInfo& info, int64_t levels, int64_t patch);

  DataInfo encoded(const DataInfo& info) const override { return tokens_.spec(info); }
  Tensor encode(const Tensor& items) override;
  Tensor decode(const Tensor& tokens) override;
  std::string pixel_model() const override;

 private:
  int64_t levels_, patch_;
  LevelTokens tokens_;
};

}  // namespace genai
