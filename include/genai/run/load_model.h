// From a checkpoint to a model that can be used; no trainer needed.
#pragma once
#include "genai/base/error.h"
#include "genai/models/registry.h"
#include "genai/run/checkpoint.h"
#include "genai/run/folder.h"

namespace genai {

struct LoadedModel {
  const Family* family = nullptr;
  std::unique_ptr<Model> model;  ///< in evaluation mode, on `device`
  std::filesystem::path run;
  Manifest manifest;
  at::Device device = at::kCPU;

  /// The model as one of its capabilities; throws Error{usage} naming `verb` when it lacks it.
  template <class Interface>
  Interface& as(const std::string& verb) const {
    if (auto* found = dynamic_cast<Interface*>(model.get())) return *found;
    fail_lacking(Interface::kCapability, verb);
  }

 private:
  [[noreturn]] void fail_lacking(Capability capability, const std::string& verb) const;
};

/// The checkpoint that is referred to, read once: its manifest and weights belong together,
/// whatever a training that goes on saves and removes meanwhile.
Checkpoint open_checkpoint(const RunReference& reference);

/// @param device  where to compute
LoadedModel load_model(const RunReference& reference, at::Device device);
LoadedModel load_model(const RunReference& reference, Checkpoint checkpoint, at::Device device);

}  // namespace genai
