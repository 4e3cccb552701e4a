#include "genai/evaluation/captions.h"

#include <ATen/ATen.h>

#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/data/images.h"
#include "genai/data/known_sets.h"
#include "genai/evaluation/samples.h"

namespace genai {
namespace {

constexpr int64_t kCaptionsShown = 32;

const KnownSet* scenes_of(const DataInfo& info) {
  const KnownSet* known = find_known_set(info.source);
  return known && known->scenes && kSceneSide % info.height == 0 && info.height == info.width
             ? known
             : nullptr;
}

/// Single things, as much smaller as the pictures of `info` are.
Dataset things_of_set(const KnownSet& set, const DataInfo& info,
                      const std::filesystem::path& folder) {
  const ImageSet things =
      make_things(set.scenes(folder, FetchOptions{.download = false, .progress = {}}));
  const int64_t factor = kSceneSide / info.height, side = kWindowSide / factor;
  const auto split = [&](const LabelledImages& images) {
    const Tensor pixels = at::avg_pool2d(to_tensor(images).to(at::kFloat), factor);
    return Split{.grids = pixels.round().to(at::kByte),
                 .labels = at::tensor(images.labels, at::kLong)};
  };
  DataInfo own = info;
  own.source = things.name;
  own.classes = things.classes;
  own.height = own.width = side;
  own.captions = nullptr;
  own.train_count = things.train.count;
  own.test_count = things.test.count;
  own.fingerprint = things.fingerprint;
  return {.info = own, .train = split(things.train), .test = split(things.test), .notes = {}};
}

/// Test items that are captions of two things, and what these are.
struct Asked {
  Tensor items;  // int64 [N]
  std::vector<std::vector<PlacedThing>> things;
};

Asked find_asked(const Dataset& data) {
  std::vector<int64_t> items;
  Asked asked;
  for (int64_t i = 0; i < data.test.size(); ++i) {
    const Tensor ids = data.test.captions[i].contiguous();
    const std::string caption = data.info.captions->decode(
        {ids.const_data_ptr<int64_t>(), static_cast<size_t>(ids.numel())});
    const auto things = things_of(caption, data.info.classes);
    if (things.empty()) continue;
    items.push_back(i);
    asked.things.push_back(things);
  }
  if (items.empty()) {
    fail(ErrorKind::data, "the test items of '", data.info.source,
         "' have no captions of two things");
  }
  asked.items = at::tensor(items, at::kLong);
  return asked;
}

/// Is thing 0, 1 of each picture seen where it should be? bool [N, 2].
Tensor seen(const Tensor& pixels, const Asked& asked, const Extractor& judge) {
  const int64_t factor = kSceneSide / pixels.size(2), side = kWindowSide / factor;
  std::vector<Tensor> windows;
  std::vector<int64_t> kinds;
  for (int64_t i = 0; i < pixels.size(0); ++i) {
    const auto& things = asked.things[static_cast<size_t>(i) % asked.things.size()];
    for (const PlacedThing& thing : things) {
      windows.push_back(pixels[i]
                            .narrow(1, thing.window.y / factor, side)
                            .narrow(2, thing.window.x / factor, side));
      kinds.push_back(thing.kind);
    }
  }
  return judge.judge(at::stack(windows)).classes.eq(at::tensor(kinds, at::kLong)).view({-1, 2});
}

}  // namespace

bool has_caption_judge(const LoadedModel& loaded, const DataInfo& info) {
  return sequence_of(loaded.model->conditions()) && scenes_of(info);
}

void measure_captions(const LoadedModel& loaded, const Dataset& data,
                      const std::filesystem::path& folder, int64_t first, int64_t count,
                      const Json& options, Evaluation& into, TrainObserver& observer,
                      const StageProgress& progress) {
  const Asked asked = find_asked(data);
  const Extractor judge =
      load_extractor(things_of_set(*scenes_of(data.info), data.info, folder), observer);
  const Split items = data.test.at(asked.items);
  const Samples samples =
      generate_samples(loaded, first, count, options, {.items = items}, progress);
  Asked told = asked;  // of the samples: number n is told item n, in turn
  std::rotate(told.things.begin(),
              told.things.begin() + first % static_cast<int64_t>(told.things.size()),
              told.things.end());
  const Tensor found = seen(samples.pixels, told, judge), real = seen(items.grids, asked, judge);
  const std::string protocol =
      concat("@", data.info.source, "-test", items.size(), "/", judge.name(), "/n", count);
  const auto add = [&](const char* name, const Tensor& values, const Tensor& real_values) {
    into.metrics.push_back(mean_metric(name + protocol, values, "", Better::higher));
    into.metrics.back().real = real_values.to(at::kDouble).mean().item<double>();
  };
  add("caption_accuracy", found.all(1), real.all(1));
  add("thing_accuracy", found.to(at::kDouble).mean(1), real.to(at::kDouble).mean(1));
  into.notes.push_back(concat("captions are judged by a classifier that is right for ",
                              100 * judge.test_accuracy(), " % of single things"));
  const int64_t shown = std::min(kCaptionsShown, count);
  into.pictures["captions"] =
      encode_png(grid(to_images(samples.pixels.narrow(0, 0, shown)), (shown + 7) / 8, 8));
}

}  // namespace genai
