#include "genai/run/load_model.h"

#include <torch/nn/module.h>

#include "genai/base/error.h"
#include "genai/models/registry.h"

namespace genai {

LoadedModel load_model(const RunReference& reference, at::Device device) {
  Checkpoint checkpoint =
      load_checkpoint(find_checkpoint(reference.folder, reference.checkpoint), false);
  LoadedModel loaded{.family = nullptr,
                     .model = nullptr,
                     .run = reference.folder,
                     .manifest = std::move(checkpoint.manifest),
                     .device = device};
  const Json& settings = loaded.manifest.config.at("model");
  loaded.family = &find_family(settings.at("family").get<std::string>());
  loaded.model = make_model(*loaded.family, settings, loaded.manifest.data);
  torch::nn::Module& module = loaded.model->module();
  load_weights(module, checkpoint.weights, checkpoint.folder.string());
  module.to(device);
  module.eval();
  return loaded;
}

}  // namespace genai
