#include "genai/generation/dream.h"

#include <ATen/ATen.h>

#include "genai/base/error.h"

namespace genai {
namespace {

/// What the classifier shall see more of.
Objective seen_of(const LoadedModel& loaded, const DreamRequest& request) {
  const DataInfo& info = loaded.manifest.data;
  if (request.label >= 0) {
    auto& classifier = loaded.as<Classifier>("edit dream");
    return [&, label = request.label](const Tensor& x, const Tensor&) {
      return classifier.classify(resized(x, info.height, info.width))
          .logits.log_softmax(1)[0][label];
    };
  }
  return [&, layer = find_layer(loaded, request.layer).place](const Tensor& x, const Tensor&) {
    return activations_of(loaded, x)[layer].values.square().mean().clamp_min(1e-30).log();
  };
}

}  // namespace

Tensor dream(const LoadedModel& loaded, const DreamRequest& request, const Tensor& picture,
             const PictureWatch& watch) {
  pixel_classifier(loaded, "edit dream");
  const DataInfo& info = loaded.manifest.data;
  if (request.label >= info.class_count()) {
    fail(ErrorKind::usage, "request.class: ", request.label, " is not a class of '", info.source,
         "'; expected ", class_list(info));
  }
  if (!(request.keep >= 0)) {
    fail(ErrorKind::usage, "request.keep: expected 0 or more, found ", request.keep);
  }
  const Objective seen = seen_of(loaded, request);
  const auto objective = [&](const Tensor& x, const Tensor& given) {
    return seen(x, given) - request.keep * (x - given).abs().mean();
  };
  return ascend(picture, request.ascent, objective, loaded.device, watch);
}

}  // namespace genai
