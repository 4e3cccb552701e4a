#include "genai/model/model.h"

#include <torch/nn.h>

namespace genai {

ParameterSet all_parameters(const torch::nn::Module& module) {
  ParameterSet all{.name = "all", .parameters = {}};
  for (const auto& parameter : module.named_parameters()) all.parameters.push_back(parameter.key());
  return all;
}

}  // namespace genai
