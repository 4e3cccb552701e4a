// Runs of untrained models whose weights are all random (those of a fresh U-Net end in zeros).
#pragma once
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <optional>

#include "base/temp_folder.h"
#include "genai/core/numerics.h"
#include "genai/generation/generate.h"
#include "genai/models/registry.h"
#include "genai/run/checkpoint.h"
#include "tensors.h"

namespace genai {

inline DataInfo small_info(int64_t channels) {
  return {.source = "small",
          .channels = channels,
          .height = 8,
          .width = 8,
          .classes = {"a", "b", "c"},
          .train_count = 10,
          .test_count = 10,
          .fingerprint = "f"};
}

/// Three items, one of each class.
inline Split some_items(int64_t channels) {
  return {
      .grids = (at::arange(3 * channels * 64) * 37 % 256).to(at::kByte).view({3, channels, 8, 8}),
      .labels = at::arange(3)};
}

class RandomRuns : public testing::Test {
 protected:
  /// A family's tiny model with some settings changed.
  /// @param strength  standard deviation of the weights
  /// @param kept      the test items of the run, which may be empty; none: some
  LoadedModel load(const std::string& name, const Json& changes, int64_t channels, double strength,
                   const std::optional<Split>& kept = {}) {
    const Family& family = find_family(name);
    Json settings = {{"family", name}};
    settings.update(family.tiny);
    settings.update(changes, /*merge_objects=*/true);
    torch::manual_seed(1);
    const auto model = make_model(family, settings, small_info(channels));
    const at::NoGradGuard no_grad;
    for (Tensor& parameter : model->module().parameters()) parameter.normal_(0, strength);
    Manifest manifest;
    manifest.step = manifest.steps = 3;
    manifest.config = {{"model", settings}, {"data", Json::object()}, {"training", Json::object()}};
    manifest.data = small_info(channels);
    manifest.numerics = resolve_numerics({.device = "cpu", .threads = 1});
    const auto run = folder_ / concat("run-", ++runs_);
    std::filesystem::create_directories(run);
    const Split items = kept ? *kept : some_items(channels);
    if (items.grids.defined()) manifest.kept_sha256 = save_kept(run, items);
    save_checkpoint(run, manifest, module_tensors(model->module()), {});
    return load_model({.folder = run, .checkpoint = ""}, at::kCPU);
  }

  static Tensor samples(const LoadedModel& loaded, const ImageRequest& request) {
    return generate_items(loaded, request);
  }

 private:
  TempFolder folder_;
  int runs_ = 0;
};

}  // namespace genai
