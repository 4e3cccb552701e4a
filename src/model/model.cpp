#include "genai/model/model.h"

#include "genai/nn/modules.h"

namespace genai {

ParameterSet all_parameters(const torch::nn::Module& module,
                            const std::function<bool(const std::string&)>& matrices) {
  ParameterSet all{.name = "all", .parameters = {}};
  for (const auto& parameter : module.named_parameters()) {
    if (!parameter.value().requires_grad()) continue;  // held
    all.parameters.push_back(parameter.key());
    if (matrices && parameter.value().dim() >= 2 && matrices(parameter.key())) {
      all.matrices.push_back(parameter.key());
    }
  }
  return all;
}

}  // namespace genai
