#include "genai/evaluation/separation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "genai/base/error.h"
#include "genai/base/png.h"

namespace genai {
namespace {

std::vector<double> sorted_scores(const Tensor& scores, const char* what) {
  const Tensor flat = scores.detach().to(at::kCPU, at::kDouble).flatten().contiguous();
  if (flat.numel() == 0) {
    fail(ErrorKind::data, "scores of the ", what, ": expected at least one, found none");
  }
  const int64_t bad = flat.isnan().sum().item<int64_t>();
  if (bad > 0) {
    fail(ErrorKind::data, "scores of the ", what, ": expected numbers, found ", bad, " NaN of ",
         flat.numel(), "; find out which step made them");
  }
  const double* data = flat.const_data_ptr<double>();
  std::vector<double> values(data, data + flat.numel());
  std::sort(values.begin(), values.end());
  return values;
}

/// For each x the share of `others` (sorted) that is smaller, ties half: the placements of DeLong.
Tensor share_below(const std::vector<double>& x, const std::vector<double>& others) {
  std::vector<double> shares;
  for (const double value : x) {
    const auto [low, high] = std::equal_range(others.begin(), others.end(), value);
    shares.push_back(static_cast<double>((low - others.begin()) + (high - others.begin())) /
                     (2 * static_cast<double>(others.size())));
  }
  return at::tensor(shares, at::kDouble);
}

/// Of the mean; a single value tells nothing of its spread.
double squared_standard_error(const Tensor& values) {
  const int64_t n = values.numel();
  return n < 2 ? 0 : values.var().item<double>() / static_cast<double>(n);
}

/// Bytes of the pixel chunks of a PNG of ours, without headers and checksums.
int64_t pixel_bytes(std::string_view png) {
  int64_t sum = 0;
  for (size_t at = 8; at + 12 <= png.size();) {  // after the signature: length, type, data, CRC
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(png[at + i]);
    if (png.substr(at + 4, 4) == "IDAT") sum += static_cast<int64_t>(length);
    at += 12 + length;
  }
  return sum;
}

}  // namespace

Auroc auroc(const Tensor& inliers, const Tensor& outliers) {
  const auto in = sorted_scores(inliers, "inliers"), out = sorted_scores(outliers, "outliers");
  const Tensor above = share_below(in, out);      // [n] of outliers below an inlier
  const Tensor below = 1 - share_below(out, in);  // [m] of inliers above an outlier
  return {
      .value = above.mean().item<double>(),
      .standard_error = std::sqrt(squared_standard_error(above) + squared_standard_error(below))};
}

Tensor compressed_bits(const Tensor& images) {
  if (images.dim() != 4 || images.scalar_type() != at::kByte ||
      (images.size(1) != 1 && images.size(1) != 3)) {
    fail(ErrorKind::data, "expected uint8 images [n, 1 or 3, height, width], found ",
         images.toString(), " ", images.sizes());
  }
  const int64_t n = images.size(0), channels = images.size(1), height = images.size(2),
                width = images.size(3);
  const Tensor rows = images.to(at::kCPU).permute({0, 2, 3, 1}).contiguous();  // [n, H, W, C]
  const uint8_t* pixels = rows.const_data_ptr<uint8_t>();
  const int64_t size = height * width * channels;
  const Tensor bits = at::empty(n, at::kDouble);
  double* out = bits.mutable_data_ptr<double>();
  at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Image image{.width = width,
                        .height = height,
                        .channels = channels,
                        .pixels = {pixels + i * size, pixels + (i + 1) * size}};
      out[i] = 8 * static_cast<double>(pixel_bytes(encode_png(image)));
    }
  });
  return bits;
}

}  // namespace genai
