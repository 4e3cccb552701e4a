// Run folders: runs/008-vae-mnist, found by number, name, path, "last" or preset.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace genai {

/// Where runs live: `given` if not empty, $GENAI_RUNS, or "runs".
std::filesystem::path runs_folder(const std::string& given = "");

/// Makes runs/NNN-NAME with the next free number, claimed under a lock: nothing is overwritten.
std::filesystem::path create_run(const std::filesystem::path& runs, const std::string& name);

/// A run and perhaps one of its checkpoints.
struct RunReference {
  std::filesystem::path folder;
  std::string checkpoint;   ///< "" the newest, "best", or a step: "2000"
};

/// "8", "008-vae-mnist", "path/to/run", "last", each perhaps with "@2000" or "@best".
/// Throws Error{usage} naming the runs there are.
RunReference find_run(const std::string& reference, const std::filesystem::path& runs);

/// The newest run made from the preset.
RunReference newest_run_of(const std::string& preset, const std::filesystem::path& runs);

/// All run folders, oldest first.
std::vector<std::filesystem::path> list_runs(const std::filesystem::path& runs);

/// The preset a run was made from (its config.json), or empty.
std::string run_preset(const std::filesystem::path& run);

}  // namespace genai
