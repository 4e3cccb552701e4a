#include "genai/data/pixel_sequence.h"

#include <ATen/ATen.h>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr int64_t kMostCodes = 65'536, kMostTokens = 65'536;

LevelTokens tokens_of_pixels(const DataInfo& info, int64_t levels, int64_t patch) {
  if (info.levels == 0 || info.kind() != ItemKind::grid) {
    fail(ErrorKind::usage, "model.levels: sequences are made of pixels; '", info.source, "' is ",
         info.modality->name());
  }
  if (info.binarize != Binarize::none && levels != 2) {
    fail(ErrorKind::usage, "model.levels: expected 2 for binarized pixels (data.binarize ",
         enum_name(kBinarizeNames, info.binarize), "), found ", levels);
  }
  if (patch < 1 || info.height % patch != 0 || info.width % patch != 0) {
    fail(ErrorKind::usage, "model.patch: ", patch, " does not divide images of ", info.width, "x",
         info.height);
  }
  return LevelTokens(levels, info.channels * patch * patch, info.height / patch, info.width / patch,
                     "model.patch", "a smaller model.patch or fewer model.levels");
}

}  // namespace

LevelTokens::LevelTokens(int64_t levels, int64_t channels, int64_t height, int64_t width,
                         const std::string& what, const std::string& advice)
    : levels_(levels), channels_(channels), height_(height), width_(width) {
  for (int64_t channel = 0; channel < channels; ++channel) {
    codes_ *= levels;
    if (codes_ <= kMostCodes) continue;
    fail(ErrorKind::usage, what, ": ", channels, " numbers of ", levels, " levels make more than ",
         kMostCodes, " different tokens; expected ", advice);
  }
  if (length() > kMostTokens) {
    fail(ErrorKind::usage, what, ": ", width, "x", height, " tokens are more than ", kMostTokens);
  }
}

Tensor LevelTokens::tokens(const Tensor& levels) const {
  Tensor tokens = at::zeros_like(levels.select(1, 0));  // [B, height, width]
  for (int64_t channel = channels_; channel-- > 0;)
    tokens = tokens * levels_ + levels.select(1, channel);
  return tokens.flatten(1).to(at::kInt);
}

Tensor LevelTokens::grids(const Tensor& tokens) const {
  Tensor rest = tokens.to(at::kLong).view({-1, height_, width_});
  std::vector<Tensor> channels;
  for (int64_t channel = 0; channel < channels_; ++channel) {
    channels.push_back(rest.remainder(levels_));
    rest = rest.floor_divide(levels_);
  }
  return at::stack(channels, 1);
}

DataInfo LevelTokens::spec(DataInfo info) const {
  info.codes = codes_;
  info.starts = 1;
  info.context = length();
  return info;
}

PixelSequence::PixelSequence(const DataInfo& info, int64_t levels, int64_t patch)
    : levels_(levels), patch_(patch), tokens_(tokens_of_pixels(info, levels, patch)) {}

Tensor PixelSequence::encode(const Tensor& items) {
  const auto highest = static_cast<double>(levels_ - 1);
  const Tensor levels = items.clamp(0, 1).mul(highest).round().to(at::kLong);
  return tokens_.tokens(at::pixel_unshuffle(levels, patch_));
}

Tensor PixelSequence::decode(const Tensor& tokens) {
  const Tensor levels = at::pixel_shuffle(tokens_.grids(tokens), patch_);
  return levels.to(at::kFloat) / static_cast<double>(levels_ - 1);
}

std::string PixelSequence::pixel_model() const {
  return concat("levels", levels_);
}

}  // namespace genai
