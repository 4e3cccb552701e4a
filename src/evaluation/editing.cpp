#include "genai/evaluation/editing.h"

#include <ATen/ATen.h>

#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/evaluation/similarity.h"
#include "genai/generation/edit.h"

namespace genai {
namespace {

constexpr double kStrengths[] = {0.3, 0.5, 0.7};
constexpr int64_t kShown = 10;

Tensor to_unit(const Tensor& pixels) {
  return pixels.to(at::kDouble) / 255;
}

/// The pictures that are edited, and what is measured of them.
class EditingMeasurement {
 public:
  EditingMeasurement(const LoadedModel& loaded, const Dataset& data, const Extractor& extractor,
                     int64_t count, Evaluation& into)
      : loaded_(loaded),
        extractor_(extractor),
        info_(loaded.manifest.data),
        pictures_(data.test.grids.narrow(0, 0, count)),
        labels_(data.test.labels.narrow(0, 0, count)),
        protocol_(concat("@", data.info.source, "-test", count, "/", extractor.name())),
        into_(into),
        shown_{pictures_} {
    real_ = correct(pictures_).to(at::kDouble).mean().item<double>();
  }

  /// The lower half is made anew.
  void inpaint() {
    const int64_t half = info_.height / 2;
    Tensor mask = at::zeros({info_.height, info_.width}, at::kByte);
    mask.narrow(0, half, half).fill_(255);
    const Tensor halves = pictures_.masked_fill(mask.gt(0), 0);
    const Tensor filled = edit_pixels(loaded_, {.edit = Edit::inpaint}, 1, halves, {}, mask);
    add("inpaint_accuracy", correct(filled), "", Better::higher, real_);
    add("inpaint_accuracy_of_halves", correct(halves), "", Better::neither);
    add("inpaint_kept", filled.eq(pictures_).narrow(2, 0, half).flatten(1).to(at::kDouble).mean(1),
        "", Better::higher);
    shown_.insert(shown_.end(), {halves, filled});
  }

  /// From half the size.
  void upscale() {
    const Tensor small = quantized(at::avg_pool2d(to_unit(pictures_), 2));
    const Tensor large = edit_pixels(loaded_, {.edit = Edit::upscale}, 1, small);
    const Tensor bicubic = quantized(at::upsample_bicubic2d(
        to_unit(small), {info_.height, info_.width}, /*align_corners=*/false));
    add("upscale_psnr", psnr(large, pictures_), "dB", Better::higher);
    add("upscale_psnr_of_bicubic", psnr(bicubic, pictures_), "dB", Better::neither);
    add("upscale_accuracy", correct(large), "", Better::higher, real_);
    add("upscale_accuracy_of_bicubic", correct(bicubic), "", Better::neither);
    shown_.insert(shown_.end(), {bicubic, large});
  }

  void vary() {
    for (const double strength : kStrengths) {
      const Tensor varied =
          edit_pixels(loaded_, {.edit = Edit::vary, .strength = strength}, 1, pictures_);
      const Tensor distance =
          (to_unit(varied) - to_unit(pictures_)).square().flatten(1).mean(1).sqrt();
      add(concat("vary", strength, "_accuracy"), correct(varied), "", Better::neither, real_);
      add(concat("vary", strength, "_distance"), distance, "", Better::neither);
      shown_.push_back(varied);
    }
  }

  /// Each with the one before it.
  void blend() {
    const Tensor others = pictures_.roll(1, 0);
    const Tensor blended =
        edit_pixels(loaded_, {.edit = Edit::blend}, 3, pictures_, others)
            .view({pictures_.size(0), 3, info_.channels, info_.height, info_.width});
    const Tensor ends =
        (psnr(blended.select(1, 0), pictures_) + psnr(blended.select(1, 2), others)) / 2;
    const Tensor middle = extractor_.judge(blended.select(1, 1)).classes;
    add("blend_psnr", ends, "dB", Better::higher);
    add("blend_accuracy", middle.eq(labels_) | middle.eq(labels_.roll(1)), "", Better::higher);
    shown_.insert(shown_.end(), {others, blended.select(1, 1)});
  }

  void draw() {
    const int64_t columns = std::min(kShown, pictures_.size(0));
    std::vector<Tensor> rows;
    for (const Tensor& row : shown_) rows.push_back(row.narrow(0, 0, columns));
    into_.pictures["editing"] = encode_png(
        scale_up(grid(to_images(at::cat(rows)), static_cast<int64_t>(rows.size()), columns), 2));
    into_.notes.push_back(
        "picture editing: original, halved, inpainted, bicubic, upscaled, varied by 0.3, "
        "0.5 and 0.7, the other, the middle between both");
  }

 private:
  Tensor correct(const Tensor& found) const { return extractor_.judge(found).classes.eq(labels_); }
  void add(const std::string& name, const Tensor& items, const std::string& unit, Better better,
           std::optional<double> real = {}) {
    into_.metrics.push_back(mean_metric(name + protocol_, items, unit, better));
    into_.metrics.back().real = real;
  }

  const LoadedModel& loaded_;
  const Extractor& extractor_;
  const DataInfo& info_;
  Tensor pictures_, labels_;
  std::string protocol_;
  double real_ = 0;  // the accuracy on the pictures themselves
  Evaluation& into_;
  std::vector<Tensor> shown_;
};

}  // namespace

void measure_editing(const LoadedModel& loaded, const Dataset& data, const Extractor& extractor,
                     int64_t images, Evaluation& into, const StageProgress& progress) {
  loaded.as<Denoiser>("evaluate --only editing");
  const DataInfo& info = loaded.manifest.data;
  if (info.height % 2 || info.width % 2) {
    fail(ErrorKind::usage, "evaluate --only editing halves images, which these of ", info.width,
         "x", info.height, " cannot be");
  }
  const auto tell = [&](const char* stage, double done) {
    if (progress) progress(stage, done);
  };
  EditingMeasurement measurement(loaded, data, extractor, std::min(images, data.test.size()), into);
  tell("inpainting", 0);
  measurement.inpaint();
  tell("upscaling", 0.4);
  measurement.upscale();
  tell("varying", 0.7);
  measurement.vary();
  tell("blending", 0.9);
  measurement.blend();
  measurement.draw();
}

}  // namespace genai
