#include "genai/nn/augment.h"

#include <ATen/ATen.h>

#include <cmath>

namespace genai {

at::Tensor shift_images(const at::Tensor& images, const at::Tensor& offsets, int64_t limit) {
  const int64_t b = images.size(0), c = images.size(1), h = images.size(2), w = images.size(3);
  const at::Tensor padded = at::constant_pad_nd(images, {limit, limit, limit, limit});
  const auto places = [&](int64_t axis, int64_t length) {
    return offsets.select(1, axis).unsqueeze(1) + limit +
           at::arange(length, offsets.options());  // [B, length]
  };
  const at::Tensor rows = places(0, h).view({b, 1, h, 1}).expand({b, c, h, w + 2 * limit});
  const at::Tensor columns = places(1, w).view({b, 1, 1, w}).expand({b, c, h, w});
  return padded.gather(2, rows).gather(3, columns);
}

at::Tensor augment_images(const at::Tensor& images, const AugmentConfig& config,
                          const at::Tensor& uniform) {
  const int64_t b = images.size(0), h = images.size(2), w = images.size(3);
  const auto number = [&](int64_t i) { return uniform.select(1, i).view({b, 1, 1, 1}); };
  at::Tensor x = images;
  if (config.color > 0) {
    x = x + (number(0) - 0.5) * config.color;
    if (x.size(1) > 1) {
      const at::Tensor grey = x.mean(1, true);
      x = grey + (x - grey) * (1 + (2 * number(1) - 1) * config.color);
    }
    const at::Tensor middle = x.mean({1, 2, 3}, true);
    x = middle + (x - middle) * (1 + (number(2) - 0.5) * config.color);
  }
  if (config.translation > 0) {
    const auto limit_of = [&](int64_t side) {
      return static_cast<int64_t>(std::llround(config.translation * static_cast<double>(side)));
    };
    const auto offset = [&](int64_t i, int64_t limit) {
      return (uniform.select(1, i) * (2 * limit + 1)).floor().to(at::kLong) - limit;
    };
    const at::Tensor offsets = at::stack({offset(3, limit_of(h)), offset(4, limit_of(w))}, 1);
    x = shift_images(x + 1, offsets, std::max(limit_of(h), limit_of(w))) - 1;
  }
  if (config.cutout > 0) {
    // A window centred anywhere in the image hides grey.
    const auto inside = [&](int64_t i, int64_t length) {
      const double half = config.cutout * static_cast<double>(length) / 2;
      const at::Tensor centre = uniform.select(1, i).unsqueeze(1) * static_cast<double>(length);
      return (at::arange(length, uniform.options()) + 0.5 - centre).abs().lt(half);  // [B, length]
    };
    const at::Tensor hidden = inside(5, h).view({b, 1, h, 1}) & inside(6, w).view({b, 1, 1, w});
    x = x * hidden.logical_not();
  }
  return x;
}

}  // namespace genai
