#include "genai/models/text_model.h"

#include <cmath>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/nn/modules.h"
#include "genai/nn/transformer_network.h"

namespace genai {

Tensor TextModel::mean_loss(const Tensor& logits, const Batch& batch) {
  return token_losses(logits, batch.target).sum() / batch.counts.sum();
}

Tensors TextModel::validate(const Batch& batch, Draw&) {
  return {{"loss", token_losses(next_logits(batch.input), batch.target).sum(1) / batch.counts}};
}

std::string TextModel::health(const Batch& batch) {
  // A model that has learned nothing but how often each token comes is no language model.
  const Tensor targets = batch.target.masked_select(batch.target.ne(kNoTarget));
  const Tensor shares = targets.bincount().to(at::kDouble) / targets.numel();
  const double entropy = -at::xlogy(shares, shares).sum().item<double>();
  Draw draw(0, "validate", batch.sample_ids, batch.input.device());
  const double loss =
      (validate(batch, draw).at("loss") * batch.counts).sum().item<double>() / batch.weight;
  // To the loss tokens beside the true one are no better than those far from it.
  if (info_.tokenizer->ordered()) {
    return concat(number_text(loss / std::log(2.0), 4), " bits a token, which tell little of ",
                  info_.modality->name(), ": `genai evaluate` measures its forecasts");
  }
  return concat(number_text(loss / std::log(2.0), 4), " bits a token; by the tokens' frequencies ",
                "alone it were ", number_text(entropy / std::log(2.0), 4),
                loss > 0.95 * entropy ? ": it has learned little; train longer" : "");
}

Weights weights_of(const torch::nn::Module& module) {
  Tensors own;
  for (const auto& item : module.named_parameters()) {
    own[item.key()] = item.value().detach().to(at::kCPU, at::kFloat).contiguous();
  }
  const auto tensors = std::make_shared<const Tensors>(merge_adapters(std::move(own)));
  return [tensors](const std::string& name) -> std::span<const float> {
    const auto it = tensors->find(name);
    if (it == tensors->end()) return {};
    return {it->second.const_data_ptr<float>(), static_cast<size_t>(it->second.numel())};
  };
}

}  // namespace genai
