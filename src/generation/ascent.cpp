#include "genai/generation/ascent.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "genai/base/error.h"
#include "genai/generation/generate.h"

namespace genai {
namespace {

constexpr double kOctave = 1.4;
/// Jitter goes so far to each side, as a share of the shorter one.
constexpr double kJitter = 1.0 / 24;

void check_ascent(const Ascent& ascent) {
  constexpr int64_t kMost = 100'000;
  const auto expect = [](bool holds, const char* field, const std::string& wanted, auto found) {
    if (!holds) fail(ErrorKind::usage, "request.", field, ": expected ", wanted, ", found ", found);
  };
  expect(ascent.octaves >= 1 && ascent.octaves <= 16, "octaves", "1 to 16", ascent.octaves);
  expect(ascent.steps >= 1 && ascent.steps <= kMost, "steps", concat("1 to ", kMost), ascent.steps);
  expect(ascent.rate > 0 && ascent.rate <= 1, "rate", "more than 0 and at most 1", ascent.rate);
  expect(ascent.seed >= 0, "seed", "a number from 0 on", ascent.seed);
}

/// The gradient of the objective at x, with its mean magnitude 1; zeros stay zeros.
Tensor unit_gradient(const Tensor& x, const Tensor& given, at::IntArrayRef shift,
                     const Objective& objective) {
  const at::AutoGradMode with_gradients(true);
  const Tensor at = x.detach().requires_grad_();
  const auto moved = [&](const Tensor& picture) { return picture.roll(shift, {2, 3}); };
  const Tensor value = objective(moved(at), moved(given));
  const Tensor gradient = torch::autograd::grad({value}, {at})[0];
  const Tensor mean = gradient.abs().mean();
  if (!mean.isfinite().item<bool>()) {
    fail(ErrorKind::failure, "the gradient of the picture is not finite (NaN or infinite)");
  }
  return gradient / mean.clamp_min(1e-30);
}

int64_t shrunk(int64_t side, int64_t octave) {
  return std::max<int64_t>(1, std::lround(static_cast<double>(side) / std::pow(kOctave, octave)));
}

}  // namespace

Tensor ascend(const Tensor& picture, const Ascent& ascent, const Objective& objective,
              at::Device device, const PictureWatch& watch) {
  check_ascent(ascent);
  const at::NoGradGuard no_autograd;
  const int64_t height = picture.size(1), width = picture.size(2);
  const Tensor whole = picture.to(device).to(at::kFloat).div(255).unsqueeze(0);
  const Tensor jitter = Draw(kGenerationSeed, "ascend", {ascent.seed})
                            .uniform("jitter", {ascent.octaves, ascent.steps, 2})[0]
                            .mul(2)
                            .sub(1);
  Tensor x, change;
  for (int64_t octave = 0; octave < ascent.octaves; ++octave) {
    const int64_t smaller = ascent.octaves - 1 - octave;
    const int64_t h = shrunk(height, smaller), w = shrunk(width, smaller);
    const Tensor given = resized(whole, h, w);
    x = change.defined() ? (given + resized(change, h, w)).clamp(0, 1) : given;
    const double most = kJitter * static_cast<double>(std::min(h, w));
    for (int64_t step = 0; step < ascent.steps; ++step) {
      const Tensor shift = jitter[octave][step].mul(most).round().to(at::kLong);
      const Tensor gradient =
          unit_gradient(x, given, {shift[0].item<int64_t>(), shift[1].item<int64_t>()}, objective);
      const double left = 1 - static_cast<double>(step) / static_cast<double>(ascent.steps);
      x = (x + ascent.rate * left * gradient).clamp(0, 1);
      if (!watch) continue;
      const int64_t done = octave * ascent.steps + step + 1;
      watch(quantized(resized(x, height, width))[0],
            static_cast<double>(done) / static_cast<double>(ascent.octaves * ascent.steps));
    }
    change = x - given;
  }
  return quantized(x)[0];
}

Tensor resized(const Tensor& images, int64_t height, int64_t width) {
  if (images.size(2) == height && images.size(3) == width) return images;
  return at::_upsample_bilinear2d_aa(images, {height, width}, /*align_corners=*/false);
}

Classifier& pixel_classifier(const LoadedModel& loaded, const std::string& verb) {
  auto& classifier = loaded.as<Classifier>(verb);
  if (loaded.model->inputs().codec) {
    fail(ErrorKind::usage, "'", verb, "' looks at pixels, and this classifier computes on the ",
         "latents of its codec; train one without");
  }
  return classifier;
}

FoundLayer find_layer(const LoadedModel& loaded, const std::string& name) {
  const at::NoGradGuard no_autograd;
  const auto all =
      activations_of(loaded, at::zeros({1, loaded.manifest.data.channels, 1, 1},
                                       at::TensorOptions(at::kFloat).device(loaded.device)));
  if (name.empty()) return {.place = all.size() - 1, .name = all.back().layer};
  std::string names;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].layer == name) return {.place = i, .name = name};
    names += (i > 0 ? ", " : "") + all[i].layer;
  }
  fail(ErrorKind::usage, "request.layer: this classifier has no layer '", name, "'; expected one ",
       "of ", names);
}

std::vector<Classifier::Activation> activations_of(const LoadedModel& loaded,
                                                   const Tensor& images) {
  const DataInfo& info = loaded.manifest.data;
  return loaded.as<Classifier>("edit").activations(
      resized(images, std::max(images.size(2), info.height), std::max(images.size(3), info.width)));
}

}  // namespace genai
