#include "genai/evaluation/likelihood.h"

#include <ATen/ATen.h>

#include <numbers>

#include "genai/base/error.h"
#include "genai/data/batcher.h"

namespace genai {
namespace {

constexpr uint64_t kProtocolSeed = 0;
constexpr int64_t kImagesAtOnce = 100;

}  // namespace

std::vector<Metric> evaluate_likelihood(const LoadedModel& loaded, const Dataset& data,
                                        const LikelihoodRequest& request) {
  auto& likelihood = loaded.as<Likelihood>("evaluate");
  const DataInfo& info = loaded.manifest.data;
  const DataInfo& found = data.info;
  if (request.samples < 1) {
    fail(ErrorKind::usage, "--draws: expected at least 1, found ", request.samples);
  }
  if (data.test.size() == 0) {
    fail(ErrorKind::data, "the data set '", found.source, "' has no test images");
  }
  check_same_shape(info, found);
  const int64_t images =
      request.images > 0 ? std::min(request.images, data.test.size()) : data.test.size();
  const std::string protocol =
      concat("@", found.source, "-test", images, "/", binarize_protocol(found.binarize), "/",
             likelihood.pixel_model());
  const at::NoGradGuard no_grad;
  std::map<std::string, std::vector<Tensor>> terms;   // [B] each
  std::vector<Tensor> bounds;
  for (int64_t first = 0; first < images; first += kImagesAtOnce) {
    const int64_t count = std::min(kImagesAtOnce, images - first);
    const Batch batch = items_batch(data.test, found, first, count, loaded.device);
    Draw draw(kProtocolSeed, "validate", batch.sample_ids, loaded.device);
    for (const auto& [name, values] : loaded.model->validate(batch, draw)) {
      terms[name].push_back(values);
    }
    bounds.push_back(-likelihood.log_likelihood(batch, draw, request.samples));
    if (request.progress) {
      request.progress(static_cast<double>(first + count) / static_cast<double>(images));
    }
  }
  std::vector<Metric> metrics;
  for (const auto& [name, values] : terms) {
    // Of the parts of a bound neither less nor more is better by itself.
    const bool whole = name == loaded.model->objective();
    metrics.push_back(mean_metric(name + protocol, at::cat(values), "nats",
                                  whole ? Better::lower : Better::neither));
  }
  const Tensor nll = at::cat(bounds);
  const std::string k = concat("_iw", request.samples);
  metrics.push_back(mean_metric("nll" + k + protocol, nll, "nats"));
  metrics.push_back(mean_metric("bits_per_dim" + k + protocol,
                                nll / (static_cast<double>(info.pixels()) * std::numbers::ln2),
                                "bits/dim"));
  return metrics;
}

}  // namespace genai
