#include "genai/evaluation/likelihood.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numbers>
#include <optional>

#include "genai/base/error.h"
#include "genai/data/batcher.h"
#include "genai/data/value_range.h"
#include "genai/sampling/bound.h"

namespace genai {
namespace {

constexpr int64_t kImagesAtOnce = 100;

/// Ranges of levels in the curve of a bound.
constexpr int64_t kRanges = 20;

/// Adds up, over batches, what steps of a bound contribute.
class BoundCurve {
 public:
  explicit BoundCurve(std::vector<NoiseLevel> levels)
      : levels_(std::move(levels)),
        sum_(at::zeros({kRanges}, at::kDouble)),
        count_(at::zeros({kRanges}, at::kDouble)) {}

  /// @param step, nats  [B], as variational_bound tells them
  void add(const Tensor& step, const Tensor& nats) {
    const Tensor range = (step.cpu() * kRanges).div(steps(), "floor");
    sum_.index_add_(0, range, nats.to(at::kDouble).cpu());
    count_.index_add_(0, range, at::ones_like(nats, at::kDouble).cpu());
  }

  /// One entry a range, noisiest first: the noise-to-signal ratio where it begins, nats per image.
  Json to_json() const {
    Json curve = Json::array();
    for (int64_t i = 0; i < kRanges; ++i) {
      const int64_t first = (i * steps() + kRanges - 1) / kRanges,
                    last = ((i + 1) * steps() + kRanges - 1) / kRanges;
      if (last == first || count_[i].item<double>() == 0) continue;
      curve.push_back(
          {{"ratio", levels_[static_cast<size_t>(first)].ratio()},
           {"nats", static_cast<double>(last - first) * (sum_[i] / count_[i]).item<double>()}});
    }
    return curve;
  }

 private:
  int64_t steps() const { return static_cast<int64_t>(levels_.size()) - 2; }

  std::vector<NoiseLevel> levels_;
  Tensor sum_, count_;
};

/// [B] in nats, and the parts of the sum by name.
Tensors bound_of_denoiser(Denoiser& denoiser, const Tensor& x0, const Tensors& told,
                          const Draw& draw, int64_t draws, BoundCurve& curve) {
  const auto predict = [&](const Tensor& x, const NoiseLevels& level) {
    return denoiser.predict(x, level, told);
  };
  const Bound bound =
      variational_bound(x0, denoiser.bound_levels(), predict, draw, draws,
                        [&](const Tensor& step, const Tensor& nats) { curve.add(step, nats); });
  return {{"", bound.total()},
          {"prior", bound.prior},
          {"denoising", bound.steps},
          {"decoder", bound.decoder}};
}

}  // namespace

void check_given(const LoadedModel& loaded, const Split& items, const std::string& name) {
  for (const auto& [told, there] :
       {std::pair(kPair, items.pairs.defined()), std::pair(kCaption, items.captions.defined()),
        std::pair(kPast, items.frames.defined())}) {
    if (there || !find_condition(loaded.model->conditions(), told)) continue;
    fail(ErrorKind::usage, "this model is told the ", told, " of each image, which '", name,
         "' have not; expected a data set that has");
  }
}

std::string given_conditions(const LoadedModel& loaded) {
  std::string names;
  for (const ConditionSpec& spec : loaded.model->conditions()) {
    if (spec.kind != ConditionKind::label) names += "/given-" + spec.name;
  }
  return names;
}

void check_sees_items(const LoadedModel& loaded, const std::string& what) {
  const Codec* codec = loaded.model->inputs().codec.get();
  if (!codec || !codec->pixel_model().empty()) return;
  fail(ErrorKind::usage, "'", what,
       "' does not apply to this run: it computes on the latents of its ",
       "codec, whose densities say nothing of pixels");
}

KnownItems known_items(const LoadedModel& loaded, const Split& items, const DataInfo& info) {
  KnownItems known{.items = items};
  if (info.classes != loaded.manifest.data.classes) known.items.labels = Tensor();
  known.unlabelled = classes_of(loaded.model->conditions()) > 0 && !known.items.labels.defined();
  return known;
}

void measure_likelihood(const LoadedModel& loaded, const Dataset& data,
                        const LikelihoodRequest& request, Evaluation& into) {
  auto& likelihood = loaded.as<Likelihood>("evaluate");
  check_sees_items(loaded, "evaluate --only likelihood");
  const DataInfo& info = loaded.manifest.data;
  const DataInfo& found = data.info;
  if (request.samples < 1) {
    fail(ErrorKind::usage, "request.draws: expected at least 1, found ", request.samples);
  }
  if (data.test.size() == 0) {
    fail(ErrorKind::data, "the data set '", found.source, "' has no test images");
  }
  check_same_items(info, found);
  check_given(loaded, data.test, found.source);
  const int64_t images =
      request.images > 0 ? std::min(request.images, data.test.size()) : data.test.size();
  const auto [test, unlabelled] = known_items(loaded, data.test, found);
  const std::string protocol =
      concat("@", found.source, "-test", images, "/", binarize_protocol(found.binarize), "/",
             likelihood.pixel_model(), unlabelled ? "/unlabelled" : "", given_conditions(loaded));
  if (unlabelled) {
    into.notes.push_back(concat("'", found.source,
                                "' has not the classes of the model: log p(x) is ",
                                "measured without them"));
  }
  const std::string estimator = likelihood.estimator(request.samples);
  auto* denoiser = dynamic_cast<Denoiser*>(loaded.model.get());
  std::optional<BoundCurve> curve;
  if (denoiser) curve.emplace(denoiser->bound_levels());
  const at::NoGradGuard no_grad;
  std::map<std::string, std::vector<Tensor>> terms;  // [B] each; "" is the bound itself
  for (int64_t first = 0; first < images; first += kImagesAtOnce) {
    const int64_t count = std::min(kImagesAtOnce, images - first);
    const Batch batch =
        items_batch(test, found, first, count, loaded.device, loaded.model->inputs());
    Draw draw(kProtocolSeed, "validate", batch.sample_ids, loaded.device);
    Tensors values;
    if (denoiser) {
      values = bound_of_denoiser(*denoiser, ValueRange(info).centred(batch.input), batch.conditions,
                                 draw, request.samples, *curve);
    } else {
      const Tensors validation = loaded.model->validate(batch, draw);
      for (const std::string& name : likelihood.parts()) values[name] = validation.at(name);
      values[""] = -likelihood.log_likelihood(batch, draw, request.samples);
    }
    for (const auto& [name, value] : values) terms[name].push_back(value);
    if (request.progress) {
      request.progress(static_cast<double>(first + count) / static_cast<double>(images));
    }
  }
  const Tensor nll = at::cat(terms.at(""));
  terms.erase("");
  for (const auto& [name, values] : terms) {
    // Of the parts of a bound neither less nor more is better by itself.
    const bool whole = name == loaded.model->objective();
    const std::string full_name = denoiser ? name + "_" + estimator : name;
    into.metrics.push_back(mean_metric(full_name + protocol, at::cat(values), "nats",
                                       whole ? Better::lower : Better::neither));
  }
  into.metrics.push_back(mean_metric("nll_" + estimator + protocol, nll, "nats"));
  if (info.levels > 0) {
    into.metrics.push_back(
        mean_metric("bits_per_dim_" + estimator + protocol,
                    nll / (static_cast<double>(info.pixels()) * std::numbers::ln2), "bits/dim"));
  }
  if (curve) into.details["bound_by_level"] = curve->to_json();
}

}  // namespace genai
