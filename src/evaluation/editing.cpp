#include "genai/evaluation/editing.h"

#include <ATen/ATen.h>

#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/generation/edit.h"

namespace genai {
namespace {

constexpr double kStrengths[] = {0.3, 0.5, 0.7};
constexpr int64_t kShown = 10;

Tensor to_unit(const Tensor& pixels) {
  return pixels.to(at::kDouble) / 255;
}

/// Peak signal-to-noise ratio of each image, dB; equal images count as 60.
Tensor psnr(const Tensor& found, const Tensor& wanted) {
  const Tensor error = (to_unit(found) - to_unit(wanted)).square().flatten(1).mean(1);
  return -10 * error.clamp_min(1e-6).log10();
}

}  // namespace

void measure_editing(const LoadedModel& loaded, const Dataset& data, const Extractor& extractor,
                     int64_t images, Evaluation& into, const StageProgress& progress) {
  loaded.as<Denoiser>("evaluate --only editing");
  const DataInfo& info = loaded.manifest.data;
  if (info.height % 2 || info.width % 2) {
    fail(ErrorKind::usage, "evaluate --only editing halves images, which these of ", info.width,
         "x", info.height, " cannot be");
  }
  const int64_t count = std::min(images, data.test.size());
  const Tensor pictures = data.test.images.narrow(0, 0, count);
  const Tensor labels = data.test.labels.narrow(0, 0, count);
  const std::string protocol = concat("@", data.info.source, "-test", count, "/", extractor.name());
  const auto tell = [&](const char* stage, double done) {
    if (progress) progress(stage, done);
  };
  const auto correct = [&](const Tensor& found) {
    return extractor.judge(found).classes.eq(labels);
  };
  const auto add = [&](const std::string& name, const Tensor& items, const std::string& unit,
                       Better better, std::optional<double> real = {}) {
    into.metrics.push_back(mean_metric(name + protocol, items, unit, better));
    into.metrics.back().real = real;
  };
  const double real = correct(pictures).to(at::kDouble).mean().item<double>();

  tell("inpainting", 0);
  const int64_t half = info.height / 2;
  Tensor mask = at::zeros({info.height, info.width}, at::kByte);
  mask.narrow(0, half, half).fill_(255);
  const Tensor halves = pictures.masked_fill(mask.gt(0), 0);
  const Tensor filled = edit_pixels(loaded, {.edit = Edit::inpaint}, 1, halves, {}, mask);
  add("inpaint_accuracy", correct(filled), "", Better::higher, real);
  add("inpaint_accuracy_of_halves", correct(halves), "", Better::neither);
  add("inpaint_kept", filled.eq(pictures).narrow(2, 0, half).flatten(1).to(at::kDouble).mean(1), "",
      Better::higher);

  tell("upscaling", 0.4);
  const Tensor small = quantized(at::avg_pool2d(to_unit(pictures), 2));
  const Tensor large = edit_pixels(loaded, {.edit = Edit::upscale}, 1, small);
  const Tensor bicubic = quantized(
      at::upsample_bicubic2d(to_unit(small), {info.height, info.width}, /*align_corners=*/false));
  add("upscale_psnr", psnr(large, pictures), "dB", Better::higher);
  add("upscale_psnr_of_bicubic", psnr(bicubic, pictures), "dB", Better::neither);
  add("upscale_accuracy", correct(large), "", Better::higher, real);
  add("upscale_accuracy_of_bicubic", correct(bicubic), "", Better::neither);

  tell("varying", 0.7);
  std::vector<Tensor> shown{pictures, halves, filled, bicubic, large};
  for (const double strength : kStrengths) {
    const Tensor varied =
        edit_pixels(loaded, {.edit = Edit::vary, .strength = strength}, 1, pictures);
    const Tensor distance =
        (to_unit(varied) - to_unit(pictures)).square().flatten(1).mean(1).sqrt();
    add(concat("vary", strength, "_accuracy"), correct(varied), "", Better::neither, real);
    add(concat("vary", strength, "_distance"), distance, "", Better::neither);
    shown.push_back(varied);
  }

  tell("blending", 0.9);
  const Tensor others = pictures.roll(1, 0);
  const Tensor blended = edit_pixels(loaded, {.edit = Edit::blend}, 3, pictures, others)
                             .view({count, 3, info.channels, info.height, info.width});
  const Tensor ends =
      (psnr(blended.select(1, 0), pictures) + psnr(blended.select(1, 2), others)) / 2;
  const Tensor middle = extractor.judge(blended.select(1, 1)).classes;
  add("blend_psnr", ends, "dB", Better::higher);
  add("blend_accuracy", middle.eq(labels) | middle.eq(labels.roll(1)), "", Better::higher);
  shown.push_back(others);
  shown.push_back(blended.select(1, 1));

  const int64_t columns = std::min(kShown, count);
  std::vector<Tensor> rows;
  for (const Tensor& row : shown) rows.push_back(row.narrow(0, 0, columns));
  into.pictures["editing"] = encode_png(
      scale_up(grid(to_images(at::cat(rows)), static_cast<int64_t>(rows.size()), columns), 2));
  into.notes.push_back(
      "picture editing: original, halved, inpainted, bicubic, upscaled, varied by 0.3, "
      "0.5 and 0.7, the other, the middle between both");
}

}  // namespace genai
