// Six ways to spoil images, each at four strengths.
#pragma once
#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "genai/core/draw.h"

namespace genai {

struct Distortion {
  std::string name;
  std::vector<double> strengths;
  std::function<Tensor(const Tensor& images, double strength)> apply;  // float [N, C, H, W] in 0..1
};

inline Draw distortion_draw(const Tensor& images) {
  std::vector<int64_t> ids(static_cast<size_t>(images.size(0)));
  std::iota(ids.begin(), ids.end(), 0);
  return Draw(7, "distortion", ids);
}

/// Value of each image at source places (x, y) [N or 1, H, W] in -1..1.
inline Tensor look_up(const Tensor& images, const Tensor& x, const Tensor& y) {
  const Tensor places = at::stack({x, y}, -1).expand({images.size(0), -1, -1, 2});
  return at::grid_sampler(images, places, /*bilinear*/ 0, /*zeros*/ 0, /*align_corners=*/false);
}

inline std::pair<Tensor, Tensor> places_of(const Tensor& images) {
  const int64_t h = images.size(2), w = images.size(3);
  const Tensor y = (at::arange(h, at::kFloat) * 2 + 1) / h - 1,
               x = (at::arange(w, at::kFloat) * 2 + 1) / w - 1;
  return {x.view({1, 1, w}).expand({1, h, w}), y.view({1, h, 1}).expand({1, h, w})};
}

inline Tensor blur(const Tensor& images, double sigma) {
  const int64_t c = images.size(1), reach = 6;
  Tensor kernel = (at::arange(-reach, reach + 1, at::kFloat).square() / (-2 * sigma * sigma)).exp();
  kernel = kernel / kernel.sum();
  const Tensor rows = kernel.view({1, 1, -1, 1}).repeat({c, 1, 1, 1});
  const Tensor columns = kernel.view({1, 1, 1, -1}).repeat({c, 1, 1, 1});
  const Tensor half = at::conv2d(images, rows, {}, 1, at::IntArrayRef{reach, 0}, 1, c);
  return at::conv2d(half, columns, {}, 1, at::IntArrayRef{0, reach}, 1, c);
}

/// A black square of `share` of the side, anywhere.
inline Tensor blackout(const Tensor& images, double share) {
  const int64_t n = images.size(0), h = images.size(2), w = images.size(3);
  const Tensor corner = distortion_draw(images).uniform("corner", {2}) * (1 - share);
  const auto inside = [&](int64_t axis, int64_t length) {
    const Tensor place = (at::arange(length, at::kFloat) + 0.5) / static_cast<double>(length);
    const Tensor from = corner.select(1, axis).unsqueeze(1);
    return place.ge(from).logical_and(place.lt(from + share));  // [N, length]
  };
  const Tensor hole = inside(0, h).view({n, 1, h, 1}).logical_and(inside(1, w).view({n, 1, 1, w}));
  return images * hole.logical_not();
}

/// Turned by `angle` in the middle, less outwards.
inline Tensor swirl(const Tensor& images, double angle) {
  const auto [x, y] = places_of(images);
  const Tensor turn = ((x.square() + y.square()) * -2).exp() * angle;
  return look_up(images, x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos());
}

inline Tensor pixelate(const Tensor& images, double cell) {
  const auto side = static_cast<int64_t>(cell);
  const Tensor small = at::avg_pool2d(images, side, side, 0, /*ceil_mode=*/true, false);
  const Tensor large = small.repeat_interleave(side, 2).repeat_interleave(side, 3);
  return large.narrow(2, 0, images.size(2)).narrow(3, 0, images.size(3));
}

/// The middle, enlarged: `border` of the side is cut off all around.
inline Tensor crop(const Tensor& images, double border) {
  const auto [x, y] = places_of(images);
  return look_up(images, x * (1 - 2 * border), y * (1 - 2 * border));
}

inline std::vector<Distortion> distortions() {
  return {{"noise",
           {0.05, 0.1, 0.2, 0.4},
           [](const Tensor& images, double deviation) {
             return images +
                    distortion_draw(images).normal("noise", images.sizes().slice(1)) * deviation;
           }},
          {"blur", {0.5, 0.8, 1.2, 2}, blur},
          {"blackout", {0.15, 0.25, 0.4, 0.6}, blackout},
          {"swirl", {0.4, 0.8, 1.5, 3}, swirl},
          {"pixelation", {2, 3, 4, 7}, pixelate},
          {"crop", {0.04, 0.08, 0.14, 0.22}, crop}};
}

}  // namespace genai
