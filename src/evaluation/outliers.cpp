#include "genai/evaluation/outliers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numbers>

#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/data/batcher.h"
#include "genai/evaluation/likelihood.h"
#include "genai/evaluation/separation.h"
#include "genai/generation/generate.h"

namespace genai {
namespace {

constexpr int64_t kScoredAtOnce = 100, kWorst = 16, kWorstColumns = 8, kWorstScale = 4;

void check_set(const LoadedModel& loaded, const ScoredSet& set) {
  check_same_items(loaded.manifest.data, set.info);
  if (set.images.size() == 0) fail(ErrorKind::data, "'", set.name, "' has no test images");
}

/// Calls f with the images of a set, some at once.
void for_batches(const LoadedModel& loaded, const ScoredSet& set, const StageProgress& progress,
                 const std::function<void(const Batch&)>& f) {
  const at::NoGradGuard no_grad;
  const Split items = known_items(loaded, set.images, set.info).items;
  const int64_t all = items.size();
  for (int64_t first = 0; first < all; first += kScoredAtOnce) {
    const int64_t count = std::min(kScoredAtOnce, all - first);
    f(items_batch(items, set.info, first, count, loaded.device, loaded.model->inputs()));
    if (progress) {
      progress("scoring", static_cast<double>(first + count) / static_cast<double>(all));
    }
  }
}

/// What the model sees, as images in [0, 1].
Tensor seen_items(const LoadedModel& loaded, const Batch& batch) {
  const bool sequences = batch.counts.defined();
  return sequences ? loaded.model->inputs().decoded(batch.target) : batch.input;
}

std::vector<Score> likelihood_scores(const LoadedModel& loaded, Likelihood& likelihood,
                                     const ScoredSet& set, int64_t draws,
                                     const StageProgress& progress) {
  std::vector<Tensor> bounds, bits;
  for_batches(loaded, set, progress, [&](const Batch& batch) {
    const Draw draw(kProtocolSeed, "validate", batch.sample_ids, loaded.device);
    bounds.push_back(likelihood.log_likelihood(batch, draw, draws).to(at::kDouble).cpu());
    // As the model sees them: binarized if it is a model of binary pixels.
    bits.push_back(compressed_bits(quantized(seen_items(loaded, batch))));
  });
  const Tensor bound = at::cat(bounds);
  const std::string k = "_" + likelihood.estimator(draws);
  return {{.name = "log_likelihood" + k, .unit = "nats", .values = bound},
          {.name = "complexity_corrected" + k,
           .unit = "bits",
           .values = bound / std::numbers::ln2 + at::cat(bits)}};
}

std::string worst_picture(const Tensor& images, const Tensor& score) {
  const int64_t count = std::min(kWorst, score.numel());
  const auto worst = to_images(images.index_select(0, score.argsort().narrow(0, 0, count)));
  return encode_png(scale_up(
      grid(worst, (count + kWorstColumns - 1) / kWorstColumns, kWorstColumns), kWorstScale));
}

}  // namespace

Tensor class_probabilities(const LoadedModel& loaded, const ScoredSet& set,
                           const StageProgress& progress) {
  check_set(loaded, set);
  auto& classifier = loaded.as<Classifier>("score");
  std::vector<Tensor> parts;
  for_batches(loaded, set, progress, [&](const Batch& batch) {
    parts.push_back(classifier.classify(batch.input).logits.to(at::kDouble).softmax(1).cpu());
  });
  return at::cat(parts);
}

std::vector<Score> score_images(const LoadedModel& loaded, const ScoredSet& set, int64_t draws,
                                const StageProgress& progress) {
  check_set(loaded, set);
  Model* model = loaded.model.get();
  if (auto* likelihood = dynamic_cast<Likelihood*>(model)) {
    check_sees_items(loaded, "score");
    check_given(loaded, set.images, set.name);
    return likelihood_scores(loaded, *likelihood, set, draws, progress);
  }
  if (dynamic_cast<Classifier*>(model)) {
    return {{.name = "confidence",
             .unit = "",
             .values = std::get<0>(class_probabilities(loaded, set, progress).max(1))}};
  }
  fail(ErrorKind::usage, "'score' needs a model that judges images; the family '",
       loaded.family->name,
       "' only makes them. These judge: ", families_with(Capability::likelihood), ", ",
       families_with(Capability::classifier));
}

void measure_scores(const LoadedModel& loaded, const ScoredSet& set, const ScoredSet* against,
                    int64_t draws, Evaluation& into, const StageProgress& progress) {
  // log p(x|y) of one set and log p(x) of the other would not compare.
  const auto unlabelled = [&](const ScoredSet& one) {
    return known_items(loaded, one.images, one.info).unlabelled;
  };
  const bool without = unlabelled(set) || (against && unlabelled(*against));
  const auto scores_of = [&](ScoredSet one) {
    if (without) one.images.labels = Tensor();
    return score_images(loaded, one, draws, progress);
  };
  const std::string protocol = concat("/", binarize_protocol(set.info.binarize),
                                      without ? "/unlabelled" : "", given_conditions(loaded));
  if (without) {
    into.notes.push_back(concat("'", unlabelled(set) ? set.name : against->name,
                                "' has not the classes of the model: log p(x) is measured without "
                                "them"));
  }
  const auto scores = scores_of(set);
  for (const Score& score : scores) {
    into.metrics.push_back(mean_metric(concat(score.name, "@", set.name, protocol), score.values,
                                       score.unit, Better::higher));
  }
  into.pictures["worst"] = worst_picture(set.images.grids, scores.back().values);
  if (!against) return;
  const auto others = scores_of(*against);
  for (size_t i = 0; i < scores.size(); ++i) {
    const Auroc area = auroc(scores[i].values, others[i].values);
    into.metrics.push_back(
        {.name = concat("auroc_", scores[i].name, "@", set.name, "-vs-", against->name, protocol),
         .value = area.value,
         .standard_error = area.standard_error,
         .count = set.images.size() + against->images.size(),
         .better = Better::higher,
         .floor = 1});
  }
}

}  // namespace genai
