// Run folders: runs/008-vae-mnist, found by number, name, path, "last" or preset.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "genai/base/json.h"

namespace genai {

/// Where runs live: `given` if not empty, $GENAI_RUNS, or "runs".
std::filesystem::path runs_folder(const std::string& given = "");

/// Throws Error{usage} unless the folder is new or empty (but for the number that create_run gave
/// it), Error{failure} when it cannot be made.
void make_new_folder(const std::filesystem::path& folder);

/// Makes the folder of a new run: runs/NNN-NAME with the next free number, or `out` where the user
/// named one (new or empty). In the folder of the runs the number is claimed under a lock, so
/// nothing is overwritten; a folder that is not called by it keeps it in the file RUN/number.
std::filesystem::path create_run(const std::filesystem::path& runs, const std::string& name,
                                 const std::filesystem::path& out = {});

/// A run and perhaps one of its checkpoints.
struct RunReference {
  std::filesystem::path folder;
  std::string checkpoint;                     ///< "" the newest, "best", or a step: "2000"
  std::vector<std::string> passed_over = {};  ///< newer runs that are damaged, and how
};

/// "8", "008-vae-mnist", "path/to/run", "last", each perhaps with "@2000" or "@best".
/// @param begun  also one that was stopped before its first checkpoint, as a resume takes it
/// Throws Error{usage} naming the runs there are.
RunReference find_run(const std::string& reference, const std::filesystem::path& runs,
                      bool begun = false);

/// The newest run made from the preset.
RunReference newest_run_of(const std::string& preset, const std::filesystem::path& runs);

/// All run folders, oldest first: those with a number after those without.
std::vector<std::filesystem::path> list_runs(const std::filesystem::path& runs);

/// RUN/config.json: the resolved settings for people, `--config`, and a run that was stopped before
/// its first checkpoint. What a checkpoint was made with stands in its manifest.
void write_run_config(const std::filesystem::path& run, const Json& config,
                      const std::string& preset);
/// The document, {"extends": PRESET, "model": ...}. Throws Error{data} when it is damaged.
Json read_run_config(const std::filesystem::path& run);

}  // namespace genai
