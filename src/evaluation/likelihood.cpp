#include "genai/evaluation/likelihood.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "genai/base/error.h"
#include "genai/data/batcher.h"

namespace genai {
namespace {

constexpr uint64_t kProtocolSeed = 0;
constexpr int64_t kImagesAtOnce = 100;

/// Mean and standard error of [N] values.
Metric summarize(const std::string& name, const Tensor& values, const std::string& unit) {
  const Tensor numbers = values.to(at::kCPU).to(at::kDouble);
  const int64_t n = numbers.numel();
  return {.name = name,
          .value = numbers.mean().item<double>(),
          .standard_error =
              n > 1 ? numbers.std().item<double>() / std::sqrt(static_cast<double>(n)) : 0,
          .count = n,
          .unit = unit};
}

}  // namespace

std::vector<Metric> evaluate_likelihood(const LoadedModel& loaded, const Dataset& data,
                                        const LikelihoodRequest& request) {
  auto& likelihood = loaded.as<Likelihood>("evaluate");
  const DataInfo& info = loaded.manifest.data;
  const DataInfo& found = data.info;
  if (request.samples < 1) {
    fail(ErrorKind::usage, "--samples: expected at least 1 draw, found ", request.samples);
  }
  if (data.test.size() == 0) {
    fail(ErrorKind::data, "the data set '", found.source, "' has no test images");
  }
  if (found.channels != info.channels || found.height != info.height || found.width != info.width) {
    fail(ErrorKind::data, "the model takes images of ", info.channels, "x", info.height, "x",
         info.width, ", '", found.source, "' has ", found.channels, "x", found.height, "x",
         found.width);
  }
  const int64_t images =
      request.images > 0 ? std::min(request.images, data.test.size()) : data.test.size();
  const std::string protocol =
      concat("@", found.source, "-test", images, "/", binarize_protocol(found.binarize), "/",
             likelihood.pixel_model());
  const at::NoGradGuard no_grad;
  std::map<std::string, double> terms;   // sums of validate()'s means
  std::vector<Tensor> bounds;
  for (int64_t first = 0; first < images; first += kImagesAtOnce) {
    const int64_t count = std::min(kImagesAtOnce, images - first);
    const Batch batch = items_batch(data.test, found, first, count, loaded.device);
    Draw draw(kProtocolSeed, "validate", batch.sample_ids, loaded.device);
    for (const auto& [name, value] : loaded.model->validate(batch, draw)) {
      terms[name] += value.item<double>() * static_cast<double>(count);
    }
    bounds.push_back(-likelihood.log_likelihood(batch, draw, request.samples));
    if (request.progress) {
      request.progress(static_cast<double>(first + count) / static_cast<double>(images));
    }
  }
  std::vector<Metric> metrics;
  for (const auto& [name, sum] : terms) {
    metrics.push_back({.name = name + protocol,
                       .value = sum / static_cast<double>(images),
                       .count = images,
                       .unit = "nats"});
  }
  const Tensor nll = at::cat(bounds);
  const std::string name = concat("nll_iw", request.samples);
  metrics.push_back(summarize(name + protocol, nll, "nats"));
  metrics.push_back(summarize(concat("bits_per_dim_iw", request.samples, protocol),
                              nll / (static_cast<double>(info.pixels()) * std::numbers::ln2),
                              "bits/dim"));
  return metrics;
}

}  // namespace genai
