#include "genai/evaluation/told.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/data/batcher.h"
#include "genai/evaluation/likelihood.h"
#include "genai/evaluation/samples.h"
#include "genai/evaluation/similarity.h"
#include "genai/generation/rollout.h"
#include "genai/generation/told_pictures.h"

namespace genai {
namespace {

constexpr int64_t kVersions = 3, kTold = 200, kToldShown = 10, kClipsShown = 4;

/// Metrics of one protocol.
struct Measured {
  std::string protocol;
  Evaluation& into;

  void add(const std::string& name, const Tensor& items, const std::string& unit, Better better) {
    into.metrics.push_back(mean_metric(name + protocol, items, unit, better));
  }
  void add_likeness(const std::string& suffix, const Tensor& found, const Tensor& wanted,
                    Better better) {
    add(concat("told_psnr", suffix), psnr(found, wanted), "dB", better);
    add(concat("told_ssim", suffix), structural_similarity(found, wanted), "", better);
  }
};

// ---- Pictures

/// Root mean square distances of versions [V, N, ...] of N pictures from each other: [N].
Tensor distances_of_versions(const Tensor& versions) {
  const Tensor x = versions.to(at::kDouble) / 255;
  Tensor sum;
  int64_t pairs = 0;
  for (int64_t a = 0; a < x.size(0); ++a) {
    for (int64_t b = a + 1; b < x.size(0); ++b, ++pairs) {
      const Tensor distance = (x[a] - x[b]).square().flatten(1).mean(1).sqrt();
      sum = sum.defined() ? sum + distance : distance;
    }
  }
  return sum / pairs;
}

Tensor bicubic_of(const Tensor& pixels, int64_t factor) {
  const Tensor small =
      quantized(at::avg_pool2d(pixels.to(at::kDouble) / 255, factor)).to(at::kDouble) / 255;
  return quantized(at::upsample_bicubic2d(small, {pixels.size(2), pixels.size(3)},
                                          /*align_corners=*/false));
}

std::string told_picture(const LoadedModel& loaded, const Split& items, const Tensor& versions) {
  const int64_t shown = std::min(kToldShown, items.size());
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < shown; ++i) numbers.push_back(i);
  const DataInfo& info = loaded.manifest.data;
  const ConditionSpecs& specs = loaded.model->conditions();
  const auto told =
      told_pictures(specs, test_conditions(specs, items, info, numbers, at::kCPU), info);
  std::vector<Image> rows;
  for (size_t i = 0; i < told.size(); ++i) {
    std::vector<Image> row = told[i];
    const auto add = [&](const Tensor& pixels) { row.push_back(to_images(pixels)[0]); };
    add(items.grids.narrow(0, static_cast<int64_t>(i), 1));
    for (int64_t v = 0; v < versions.size(0); ++v)
      add(versions[v].narrow(0, static_cast<int64_t>(i), 1));
    rows.push_back(side_by_side(row));
  }
  return encode_png(scale_up(grid(rows, (shown + 1) / 2, 2), 2));
}

void measure_pictures(const LoadedModel& loaded, const Dataset& data, int64_t images,
                      const Json& options, Evaluation& into, const StageProgress& progress) {
  const Split items = data.test.first(std::min(images > 0 ? images : kTold, data.test.size()));
  const int64_t count = items.size();
  const ConditionSpecs& specs = loaded.model->conditions();
  // Sample number i + v count is version v of item i.
  const Tensor made =
      generate_samples(loaded, 0, kVersions * count, options, {.items = items}, progress).pixels;
  std::vector<int64_t> shape = made.sizes().vec();
  shape[0] = count;
  shape.insert(shape.begin(), kVersions);
  const Tensor versions = made.view(shape);
  Measured measured{
      .protocol = concat("@", data.info.source, "-test", count, given_conditions(loaded)),
      .into = into};
  measured.add_likeness("", versions[0], items.grids, Better::higher);
  for (const ConditionSpec& spec : specs) {
    if (!spec.rule || spec.rule->name != "low") continue;
    measured.add_likeness("_of_bicubic", bicubic_of(items.grids, spec.parameter), items.grids,
                          Better::neither);
  }
  measured.add("told_distance", distances_of_versions(versions), "", Better::neither);
  into.pictures["told"] = told_picture(loaded, items, versions);
  into.notes.push_back("picture told: what was told, the test picture, three versions");
}

// ---- Clips

/// Items that are the first of their clip, and how many frames follow in each (the fewest).
struct Clips {
  Tensor starts;  // int64 [N], of items
  int64_t frames = 0;
};

Clips find_clips(const Split& items) {
  const Tensor before = items.before.contiguous();
  const auto* at = before.const_data_ptr<int64_t>();
  std::vector<int64_t> starts;
  int64_t fewest = items.size();
  for (int64_t i = 0; i < items.size(); ++i) {
    if (i == 0 || at[i] != at[i - 1] + 1) {
      if (!starts.empty()) fewest = std::min(fewest, i - starts.back());
      starts.push_back(i);
    }
  }
  fewest = std::min(fewest, items.size() - starts.back());
  return {.starts = at::tensor(starts, at::kLong), .frames = fewest + items.ahead - 1};
}

void measure_rollouts(const LoadedModel& loaded, const Dataset& data, int64_t images,
                      const Json& options, Evaluation& into, const StageProgress& progress) {
  Clips clips = find_clips(data.test);
  if (images > 0) clips.starts = clips.starts.slice(0, 0, images);
  const int64_t count = clips.starts.size(0), frames = clips.frames, past = data.test.past;
  if (progress) progress("next frames", 0);
  const Rollout rollout = roll_out(
      loaded,
      {.count = count, .options = options, .condition = {.items = data.test.at(clips.starts)}},
      frames);
  const Tensor first = data.test.before.index_select(0, clips.starts) + past;
  const Tensor index = first.unsqueeze(1) + at::arange(frames);  // [N, F]
  const Tensor truth =
      data.test.frames.index_select(0, index.flatten()).view(rollout.frames.sizes());
  Measured measured{
      .protocol = concat("@", data.info.source, "-test", count, "/", past, "to", frames),
      .into = into};
  const auto add = [&](const std::string& suffix, const Tensor& found, Better lower,
                       Better higher) {
    const Tensor a = found.expand(truth.sizes()).flatten(0, 1), b = truth.flatten(0, 1);
    const auto of_clips = [&](const Tensor& of_frames) {
      return of_frames.view({count, frames}).mean(1);
    };
    const Tensor error = (a.to(at::kDouble) - b.to(at::kDouble)) / 255;
    measured.add(concat("rollout_ssim", suffix), of_clips(structural_similarity(a, b)), "", higher);
    measured.add(concat("rollout_mse", suffix), of_clips(error.square().flatten(1).sum(1)), "",
                 lower);
  };
  const Tensor mean = rollout.past.to(at::kDouble).mean(1, true).round().to(at::kByte);
  add("", rollout.frames, Better::lower, Better::higher);
  add("_of_last_frame", rollout.past.narrow(1, past - 1, 1), Better::neither, Better::neither);
  add("_of_mean_frame", mean, Better::neither, Better::neither);

  const int64_t shown = std::min(kClipsShown, count);
  std::vector<Image> rows;
  for (int64_t i = 0; i < shown; ++i) {
    const auto given = to_images(rollout.past[i]);
    for (const Tensor& next : {truth[i], rollout.frames[i]}) {
      std::vector<Image> row = given;
      for (Image& image : to_images(next)) row.push_back(std::move(image));
      rows.push_back(side_by_side(row));
    }
  }
  into.pictures["rollout"] = encode_png(grid(rows, static_cast<int64_t>(rows.size()), 1));
  into.notes.push_back(concat("picture rollout: ", past,
                              " frames given, then those that came, and "
                              "below them those that were made"));
}

}  // namespace

bool is_told_grid(const LoadedModel& loaded) {
  return grid_channels(loaded.model->conditions()) > 0;
}

void measure_told(const LoadedModel& loaded, const Dataset& data, int64_t images,
                  const Json& options, Evaluation& into, const StageProgress& progress) {
  check_given(loaded, data.test, data.info.source);
  const bool clips = find_condition(loaded.model->conditions(), kPast) != nullptr;
  (clips ? measure_rollouts : measure_pictures)(loaded, data, images, options, into, progress);
}

}  // namespace genai
