#include "genai/generation/style.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "genai/base/error.h"

namespace genai {
namespace {

/// The style's Gram matrices, layer by layer, as coarse as the content is in each octave.
class StyleGrams {
 public:
  StyleGrams(const LoadedModel& loaded, const Tensor& style)
      : loaded_(loaded), style_(style.to(loaded.device).to(at::kFloat).div(255).unsqueeze(0)) {}

  /// @param share  of the content's whole size
  const std::vector<Tensor>& at_share(double share) {
    std::vector<Tensor>& grams = found_[share];
    if (!grams.empty()) return grams;
    const at::NoGradGuard no_autograd;
    const auto side = [&](int64_t whole) {
      return std::max<int64_t>(1, std::lround(share * static_cast<double>(whole)));
    };
    const Tensor small = resized(style_, side(style_.size(2)), side(style_.size(3)));
    for (const auto& layer : activations_of(loaded_, small))
      grams.push_back(gram_matrix(layer.values));
    return grams;
  }

 private:
  const LoadedModel& loaded_;
  Tensor style_;
  std::map<double, std::vector<Tensor>> found_;
};

}  // namespace

Tensor gram_matrix(const Tensor& activation) {
  const Tensor features = activation[0].flatten(1);  // [C, places]
  return features.matmul(features.t()) / features.size(1);
}

Tensor relative_distance(const Tensor& found, const Tensor& wanted) {
  return (found - wanted).square().sum() / wanted.square().sum().clamp_min(1e-12);
}

Tensor transfer_style(const LoadedModel& loaded, const StyleRequest& request, const Tensor& content,
                      const Tensor& style, const PictureWatch& watch) {
  pixel_classifier(loaded, "edit style");
  if (!(request.weight >= 0)) {
    fail(ErrorKind::usage, "request.weight: expected 0 or more, found ", request.weight);
  }
  const size_t layer = find_layer(loaded, request.layer).place;
  StyleGrams grams(loaded, style);
  const auto objective = [&](const Tensor& x, const Tensor& given) {
    const auto found = activations_of(loaded, x);
    const Tensor unlike = relative_distance(found[layer].values,
                                            activations_of(loaded, given)[layer].values.detach());
    const double share = static_cast<double>(x.size(3)) / static_cast<double>(content.size(2));
    const auto& styles = grams.at_share(share);
    Tensor foreign = at::zeros_like(unlike);
    for (size_t i = 0; i < found.size(); ++i) {
      foreign = foreign + relative_distance(gram_matrix(found[i].values), styles[i]);
    }
    return -unlike - request.weight / static_cast<double>(found.size()) * foreign;
  };
  return ascend(content, request.ascent, objective, loaded.device, watch);
}

}  // namespace genai
