#include "genai/evaluation/classification.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/data/batcher.h"
#include "genai/generation/generate.h"

namespace genai {
namespace {

constexpr int64_t kClassifiedAtOnce = 500, kBins = 15, kMistakes = 64, kColumns = 8;

/// sum over bins of (share of images) * |accuracy - mean confidence|
double calibration_error(const Tensor& confidence, const Tensor& correct) {
  const Tensor bin = (confidence * kBins).floor().clamp(0, kBins - 1).to(at::kLong);
  const auto total = [&](const Tensor& values) {
    return at::zeros({kBins}, at::kDouble).index_add_(0, bin, values.to(at::kDouble));
  };
  return (total(correct) - total(confidence)).abs().sum().item<double>() /
         static_cast<double>(confidence.numel());
}

std::string mistakes_picture(const Tensor& images, const Tensor& confidence,
                             const Tensor& correct) {
  const Tensor wrong = correct.logical_not().nonzero().squeeze(1);
  const int64_t count = std::min(kMistakes, wrong.numel());
  if (count == 0) return "";
  const Tensor order = confidence.index_select(0, wrong).argsort(0, /*descending=*/true);
  const auto chosen =
      to_images(images.index_select(0, wrong.index_select(0, order).narrow(0, 0, count)));
  return encode_png(scale_up(grid(chosen, (count + kColumns - 1) / kColumns, kColumns), 2));
}

}  // namespace

void measure_classification(const LoadedModel& loaded, const Dataset& data, int64_t images,
                            Evaluation& into, const StageProgress& progress) {
  auto& classifier = loaded.as<Classifier>("evaluate");
  const DataInfo& info = loaded.manifest.data;
  check_same_items(info, data.info);
  if (data.test.size() == 0 || !data.test.labels.defined() || data.info.classes != info.classes) {
    fail(ErrorKind::data, "the data set '", data.info.source,
         "' has no labelled test images of the classes of '", info.source, "'");
  }
  const int64_t count = images > 0 ? std::min(images, data.test.size()) : data.test.size();
  const at::NoGradGuard no_grad;
  std::vector<Tensor> parts;
  for (int64_t first = 0; first < count; first += kClassifiedAtOnce) {
    const Batch batch = items_batch(data.test, data.info, first,
                                    std::min(kClassifiedAtOnce, count - first), loaded.device);
    parts.push_back(classifier.classify(batch.input).logits.to(at::kDouble).log_softmax(1).cpu());
    if (progress) {
      progress("classifying",
               static_cast<double>(first + batch.input.size(0)) / static_cast<double>(count));
    }
  }
  const Tensor log_p = at::cat(parts);                         // [N, classes]
  const Tensor labels = data.test.labels.narrow(0, 0, count);  // [N]
  const auto [log_confidence, predicted] = log_p.max(1);
  const Tensor correct = predicted.eq(labels);
  const int64_t classes = info.class_count();
  const Tensor confusion = at::bincount(labels * classes + predicted, {}, classes * classes)
                               .view({classes, classes});  // true, predicted

  const std::string protocol =
      concat("@", data.info.source, "-test", count, "/", binarize_protocol(data.info.binarize));
  into.metrics.push_back(mean_metric("accuracy" + protocol, correct, "", Better::higher));
  into.metrics.push_back(mean_metric("cross_entropy" + protocol,
                                     -log_p.gather(1, labels.unsqueeze(1)).squeeze(1), "nats"));
  into.metrics.push_back({.name = "calibration_error" + protocol + concat("/bins", kBins),
                          .value = calibration_error(log_confidence.exp(), correct),
                          .count = count});
  Json by_class = Json::object(), counts = Json::array();
  for (int64_t c = 0; c < classes; ++c) {
    const Tensor row = confusion[c];
    const double all = row.sum().item<double>();
    by_class[info.classes[static_cast<size_t>(c)]] =
        all > 0 ? Json(row[c].item<double>() / all) : Json();
    counts.push_back(std::vector<int64_t>(row.const_data_ptr<int64_t>(),
                                          row.const_data_ptr<int64_t>() + classes));
  }
  into.details["accuracy_by_class"] = by_class;
  into.details["confusion"] = {{"classes", info.classes}, {"counts", counts}};
  const std::string mistakes =
      mistakes_picture(data.test.grids.narrow(0, 0, count), log_confidence, correct);
  if (!mistakes.empty()) into.pictures["mistakes"] = mistakes;
}

}  // namespace genai
