// Small models of text with random weights.
#pragma once
#include <torch/torch.h>

#include "genai/data/tokenizer.h"
#include "genai/models/registry.h"

namespace genai {

inline DataInfo text_info(int64_t context, bool lines = false,
                          const std::string& letters = "\nabcdefgh") {
  return {.modality = &text_modality(),
          .source = "letters",
          .train_count = 10,
          .test_count = 10,
          .fingerprint = "f",
          .tokenizer = make_tokenizer(TokenizerKind::characters, letters),
          .lines = lines,
          .context = context};
}

/// @param strength  standard deviation of the weights
inline std::unique_ptr<Model> random_text_model(const std::string& family, const DataInfo& info,
                                                const Json& changes = Json::object(),
                                                double strength = 0.3) {
  Json settings = find_family(family).tiny;
  settings.update(changes);
  torch::manual_seed(1);
  auto model = make_model(find_family(family), settings, info);
  const at::NoGradGuard no_grad;
  for (Tensor& parameter : model->module().parameters()) parameter.normal_(0, strength);
  model->module().eval();
  return model;
}

}  // namespace genai
