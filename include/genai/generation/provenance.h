// What files of ours say of how they were made: a PNG or GIF in its own texts; a text or a table,
// which must stay clean, in FILE.json beside it.
#pragma once
#include <filesystem>
#include <string>

#include "genai/base/json.h"

namespace genai {

inline constexpr const char* kProvenanceKeyword = "genai";

/// The "genai" text of a PNG of ours, or the comment of a GIF; null when it has none.
Json read_provenance(const std::string& picture, const std::string& name);

/// "x.txt.json" of "x.txt".
std::filesystem::path sidecar_path(const std::filesystem::path& file);

/// What stands beside a file; null when nothing of ours does. Throws Error{data} where it is
/// damaged.
Json read_sidecar(const std::filesystem::path& file);

/// Throws Error{usage} where something of others has the name of the sidecar.
void check_sidecar(const std::filesystem::path& file);

/// `made` and the content's hash.
std::string sidecar(const std::string& content, Json made);

/// The same, beside a file that was just written; nothing beside devices and
/// pipes.
void write_sidecar(const std::filesystem::path& file, const std::string& content, Json made);

}  // namespace genai
