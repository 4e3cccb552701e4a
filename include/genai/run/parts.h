// Runs that are part of another one: settings of type run (base/fields.h) name them when training
// begins, their weights are copied into the run's folder, and from then on they are read there:
//
//   RUN/parts/codec/model.safetensors, manifest.json, ...    as in a checkpoint
//
// The manifests of RUN's checkpoints hold the hash of each part.
#pragma once
#include <map>

#include "genai/base/fields.h"
#include "genai/run/checkpoint.h"

namespace genai {

/// By the name of the setting: "codec".
using Parts = std::map<std::string, Checkpoint>;

/// The runs that settings name. The settings then say which checkpoint it was: "runs/003-vae@1200".
/// @param fields  of "model"
/// Throws Error{usage} naming the setting for a run that is not there or has parts itself,
/// Error{data} for a damaged one.
Parts find_parts(const FieldTable& fields, Json& model, const std::filesystem::path& runs);

/// Copies them into a new run's folder; each appears whole.
void save_parts(const std::filesystem::path& run, const Parts& parts);

/// Those that the manifest of a run names. Throws Error{data} for one that is missing, damaged or
/// another than the run was trained with.
Parts load_parts(const std::filesystem::path& run, const Manifest& manifest);

/// {"codec": {"sha256": ...}}: Manifest::parts, which may hold more of each.
Json to_json(const Parts& parts);

}  // namespace genai
