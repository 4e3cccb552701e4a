#include "genai/run/load_model.h"

#include <torch/nn/module.h>

#include "genai/base/error.h"
#include "genai/models/registry.h"
#include "genai/run/latent_codec.h"

namespace genai {

Checkpoint open_checkpoint(const RunReference& reference) {
  constexpr int kTries = 5;
  for (int tries = 1;; ++tries) {
    const std::filesystem::path found = find_checkpoint(reference.folder, reference.checkpoint);
    try {
      return load_checkpoint(found, false);
    } catch (const Error&) {
      // A newer one may have taken its place between finding and reading.
      if (tries == kTries || std::filesystem::exists(found)) throw;
    }
  }
}

LoadedModel load_model(const RunReference& reference, at::Device device) {
  return load_model(reference, open_checkpoint(reference), device);
}

LoadedModel load_model(const RunReference& reference, Checkpoint checkpoint, at::Device device) {
  LoadedModel loaded{.family = nullptr,
                     .model = nullptr,
                     .run = reference.folder,
                     .manifest = std::move(checkpoint.manifest),
                     .device = device};
  const Json& settings = loaded.manifest.config.at("model");
  loaded.family = &find_family(settings.at("family").get<std::string>());
  const Json& stored = loaded.manifest.parts;
  loaded.model = make_model(*loaded.family, settings, loaded.manifest.data,
                            make_codec(loaded.family->reads, loaded.run,
                                       load_parts(loaded.run, loaded.manifest), stored, device));
  torch::nn::Module& module = loaded.model->module();
  load_weights(module, checkpoint.weights, checkpoint.folder.string());
  module.to(device);
  module.eval();
  return loaded;
}

void LoadedModel::fail_lacking(Capability capability, const std::string& verb) const {
  if (offers(*family, manifest.config.at("model"), capability)) {
    fail(ErrorKind::usage, "'", verb, "' does not apply to this run, which makes ",
         manifest.data.modality->items(manifest.data));
  }
  for (const Offer& offer : family->offers) {
    if (offer.capability != capability || offer.setting.empty()) continue;
    const Json* found = find_path(manifest.config.at("model"), offer.setting);
    if (!found) found = &find_field(family->settings, offer.setting)->default_value;
    fail(ErrorKind::usage, "'", verb, "' does not apply to this run; a ", family->name,
         " does when model.", offer.setting, " is ", offer.value, "; that of this run is ",
         found->get<std::string>());
  }
  fail(ErrorKind::usage, "'", verb, "' does not apply to the family '", family->name,
       "'; to these it does: ", families_with(capability));
}

}  // namespace genai
