// Checkpoints: folders that appear whole or not at all, with a hash of every file.
//
//   RUN/checkpoints/step-0002000/model.safetensors      the weights that sample
//                                training.safetensors   what else a bit-exact resume needs
//                                tokenizer.json         of texts (version 0.1: in the manifest)
//                                manifest.json          written last; hashes of all
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "genai/core/numerics.h"
#include "genai/core/tensors.h"
#include "genai/data/dataset.h"

namespace torch::nn {
class Module;
}

namespace genai {

struct Manifest {
  int64_t step = 0;
  int64_t steps = 0;   ///< of the whole run; 0 while a time budget is still being measured
  std::string preset;  ///< empty when trained from a file alone
  Json config;         ///< resolved: {"model": {...}, "data": {...}, "training": {...}}
  DataInfo data;
  Numerics numerics;
  std::string objective;   ///< "nelbo"
  Json validation;         ///< last validation: {"nelbo": 101.3, ...}, or null
  int64_t best_step = -1;  ///< of the best validation so far; -1: none
  double best_value = 0;
  std::string kept_sha256;  ///< of RUN/kept.safetensors
  std::string folder;  ///< where paths in config.data start, as a path from RUN; empty: not told
  Json parts = Json::object();  ///< runs that are part of it (run/parts.h), by name
  Json files;                   ///< {"model.safetensors": {"sha256": ..., "bytes": ...}, ...}

  std::string weights_sha256() const { return files.at("model.safetensors").at("sha256"); }
};

struct Checkpoint {
  std::filesystem::path folder;
  Manifest manifest;
  Tensors weights;
  Tensors training;  ///< empty when not asked for
};

/// Writes the folder `target` anew: its files, in a folder beside it that is then renamed. Sets
/// manifest.files. On an error nothing of it remains.
/// @param training  null: without what a resume needs
void write_checkpoint(const std::filesystem::path& target, Manifest& manifest,
                      const Tensors& weights, const Tensors* training);

/// Writes RUN/checkpoints/step-N: files, manifest and folder are synced, then renamed into place.
/// On an error (disk full) nothing of it remains and older checkpoints are untouched.
/// Sets manifest.files. Afterwards only the newest `keep` and the best checkpoint are kept, and
/// none of a later step (a run that was resumed from an older checkpoint leaves them).
void save_checkpoint(const std::filesystem::path& run, Manifest& manifest, const Tensors& weights,
                     const Tensors& training, size_t keep = 2);

/// Folders of whole checkpoints, oldest first. (A checkpoint appears by one rename, so the newest
/// is the one with the highest step; no pointer to it is stored that could disagree.)
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& run);

/// The one that `which` names: "" the newest, "best", or a step. Throws Error{usage} otherwise.
std::filesystem::path find_checkpoint(const std::filesystem::path& run, const std::string& which);

/// Throws Error{data} when it is missing, damaged or of another format version.
Manifest read_manifest(const std::filesystem::path& checkpoint);

/// Verifies every hash, then reads. Throws Error{data} naming the file that is damaged.
Checkpoint load_checkpoint(const std::filesystem::path& checkpoint, bool with_training);

/// The newest checkpoint that verifies; `warning` tells of those passed over.
Checkpoint load_newest_checkpoint(const std::filesystem::path& run, std::string& warning);

/// The data settings of a run, their paths from where the training was started: found from any
/// folder, and when run and data are moved together. What is not there is left as it was written.
DataConfig data_config_of(const std::filesystem::path& run, const Manifest& manifest);

/// Removes what an interrupted save left behind. Call with the run's lock held.
void remove_stale_saves(const std::filesystem::path& run);

/// Parameters and buffers by their names, on the CPU.
Tensors module_tensors(const torch::nn::Module& module);

/// Copies weights into the module's parameters and buffers.
/// Throws Error{data} that lists every missing and unexpected name, other shapes and types.
void load_weights(torch::nn::Module& module, const Tensors& weights, const std::string& name);

/// For training on top of `weights`, where they may lack what is trained in a module that holds the
/// rest (adapters): that stays as it is. Throws as load_weights.
void load_initial_weights(torch::nn::Module& module, Tensors weights, const std::string& name);
/// Does a part of the module never change in training?
bool has_frozen_parameters(const torch::nn::Module& module);

/// The test items that a run keeps, so that pictures and reports need no data set.
std::string save_kept(const std::filesystem::path& run, const Split& items);  ///< returns the hash
Split load_kept(const std::filesystem::path& run, const Manifest& manifest);

}  // namespace genai
