#include "genai/run/folder.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "genai/base/error.h"
#include "genai/base/fields.h"
#include "genai/base/files.h"
#include "genai/run/checkpoint.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfig = 1 << 20;
const std::string kConfigFile = "config.json";
constexpr int kLockTries = 250;  // 5 seconds

/// The number that "008-vae-mnist" begins with, or -1.
int64_t number_in(const std::string& name) {
  constexpr int64_t kMost = 999'999'999;  // what is longer is no number of ours
  int64_t number = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = error == std::errc() && end != name.data() + name.size() && *end == '-';
  return whole && number <= kMost ? number : -1;
}

/// A run that was not named by its number keeps it in this file.
const std::string kNumberFile = "number";

bool looks_like_run(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder / "checkpoints", error) || fs::exists(folder / kConfigFile, error);
}

/// Of a folder in the folder of the runs: 0 for a run without a number, -1 for what is none.
int64_t run_number(const fs::path& folder) {
  const int64_t named = number_in(folder.filename().string());
  if (named >= 0) return named;
  if (!looks_like_run(folder)) return -1;
  std::error_code error;
  if (!fs::is_regular_file(folder / kNumberFile, error)) return 0;
  constexpr uint64_t kLongest = 64;
  try {
    const std::string text = read_file(folder / kNumberFile, kLongest);
    return std::max<int64_t>(0, number_in(text.substr(0, text.find('\n')) + "-"));
  } catch (const Error&) {
    return 0;
  }
}

/// Why nothing of the run can be used, or empty.
std::string damage_of(const fs::path& run) {
  const auto all = list_checkpoints(run);
  if (all.empty()) return run.string() + " has no whole checkpoint";
  std::string problem;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    try {
      read_manifest(*it);
      return "";
    } catch (const Error& error) {
      if (problem.empty()) problem = error.what();
    }
  }
  return problem;
}

/// Another process makes a run within milliseconds; only one that hangs is an error.
FileLock lock_runs(const fs::path& runs) {
  for (int tries = 0;; ++tries) {
    try {
      return FileLock::acquire(runs / ".lock", "the folder " + runs.string());
    } catch (const Error&) {
      if (tries == kLockTries || ::access((runs / ".lock").c_str(), W_OK) != 0) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

[[noreturn]] void no_run(const std::string& reference, const fs::path& runs) {
  std::string known;
  std::vector<std::string> names;
  for (const fs::path& run : list_runs(runs)) names.push_back(run.filename().string());
  for (auto it = names.rbegin(); it != names.rend() && it - names.rbegin() < 5; ++it) {
    known += (known.empty() ? "" : ", ") + *it;
  }
  const std::string near = nearest(reference, names);
  fail(ErrorKind::usage, "no run '", reference, "' in ", runs.string(), "/",
       near.empty() ? "" : "; did you mean '" + near + "'?",
       known.empty() ? "; train one: genai train --model vae" : "; newest: " + known);
}

}  // namespace

fs::path runs_folder(const std::string& given) {
  if (!given.empty()) return given;
  const char* variable = std::getenv("GENAI_RUNS");
  return variable && *variable ? variable : "runs";
}

std::vector<fs::path> list_runs(const fs::path& runs) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(runs, error)) {
    if (!entry.is_directory(error)) continue;
    const int64_t number = run_number(entry.path());
    if (number >= 0) found.emplace_back(number, entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [number, path] : found) paths.push_back(std::move(path));
  return paths;
}

void make_new_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_directory(folder, error)) {
    fail(ErrorKind::usage, folder.string(), ": expected a folder, found a file");
  }
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename() == kNumberFile) continue;
    fail(ErrorKind::usage, folder.string(), ": exists and is not empty; choose another folder");
  }
  fs::create_directories(folder, error);
  if (error) {
    fail(ErrorKind::failure, "cannot make the folder ", folder.string(), ": ", error.message());
  }
}

fs::path create_run(const fs::path& runs, const std::string& name, const fs::path& out) {
  std::error_code error;
  const fs::path parent = out.empty() ? runs : fs::absolute(out).lexically_normal().parent_path();
  fs::create_directories(parent, error);
  if (error) {
    fail(ErrorKind::failure, "cannot make the folder ", (out.empty() ? runs : out).string(), ": ",
         error.message());
  }
  const bool counted = out.empty() || fs::equivalent(parent, runs, error);
  std::optional<FileLock> lock;
  int64_t number = 0;
  if (counted) {
    lock = lock_runs(runs);
    const auto existing = list_runs(runs);
    number = existing.empty() ? 1 : run_number(existing.back()) + 1;
  }
  fs::path folder = out;
  if (out.empty()) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%03lld", static_cast<long long>(number));
    folder = runs / (std::string(digits) + "-" + sanitize_name(name));
  }
  if (out.empty() && fs::exists(folder, error)) {
    fail(ErrorKind::failure, "cannot make the folder ", folder.string(), ": it is there already");
  }
  make_new_folder(folder);
  if (counted && number_in(folder.filename().string()) != number) {
    write_file(folder / kNumberFile, concat(number, "\n"));
  }
  return folder;
}

RunReference find_run(const std::string& reference, const fs::path& runs, bool begun) {
  const size_t slash = reference.rfind('/');
  size_t at = reference.rfind('@');
  if (slash != std::string::npos && at != std::string::npos && at < slash) at = std::string::npos;
  const std::string name = reference.substr(0, at);
  RunReference found{.folder = {},
                     .checkpoint = at == std::string::npos ? "" : reference.substr(at + 1)};
  const bool step = !found.checkpoint.empty() &&
                    found.checkpoint.find_first_not_of("0123456789") == std::string::npos;
  if (at != std::string::npos && found.checkpoint != "best" && !step) {
    fail(ErrorKind::usage, "'", reference, "': expected @best or @STEP after the run, found '@",
         found.checkpoint, "'");
  }
  const auto all = list_runs(runs);
  if (name == "last") {
    for (auto it = all.rbegin(); it != all.rend() && found.folder.empty(); ++it) {
      const bool unborn = !fs::is_directory(*it / "checkpoints");
      if (unborn && !(begun && looks_like_run(*it))) continue;
      const std::string damage = unborn ? "" : damage_of(*it);
      if (damage.empty()) {
        found.folder = *it;
      } else {
        found.passed_over.push_back(damage);
      }
    }
  } else {
    for (const fs::path& run : all) {
      if (run.filename() == name || std::to_string(run_number(run)) == name) found.folder = run;
    }
    std::error_code error;
    if (found.folder.empty() && !name.empty() && fs::is_directory(fs::path(name), error)) {
      found.folder = name;
    }
  }
  if (found.folder.empty()) {
    std::error_code error;
    [[maybe_unused]] const fs::file_status unused = fs::status(name, error);
    if (error == std::errc::permission_denied) {
      fail(ErrorKind::data, "cannot read ", name, ": ", error.message());
    }
    no_run(name, runs);
  }
  if (!looks_like_run(found.folder)) {
    fail(ErrorKind::usage, found.folder.string(), " is not a run: it has no checkpoints/");
  }
  if (!begun && !fs::is_directory(found.folder / "checkpoints")) {
    fail(ErrorKind::usage, found.folder.string(),
         " has no checkpoint yet: it was stopped before its ", "first one; genai train --resume ",
         found.folder.string(), " starts it");
  }
  return found;
}

RunReference newest_run_of(const std::string& preset, const fs::path& runs) {
  const auto all = list_runs(runs);
  RunReference found;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (!fs::is_directory(*it / "checkpoints")) continue;
    try {
      if (read_manifest(find_checkpoint(*it, "")).preset != preset) continue;
      found.folder = *it;
      return found;
    } catch (const Error& error) {
      found.passed_over.push_back(error.what());
    }
  }
  fail(ErrorKind::usage, "no run of the preset '", preset, "' in ", runs.string(),
       "/; train one: genai train --model ", preset);
}

void write_run_config(const fs::path& run, const Json& config, const std::string& preset) {
  Json document = Json::object();
  if (!preset.empty()) document["extends"] = preset;
  document.update(config);
  document[kChecksumKey] = checksum_text(document.dump());
  write_file(run / kConfigFile, document.dump(2) + "\n");
}

Json read_run_config(const fs::path& run) {
  const fs::path path = run / kConfigFile;
  Json document = parse_json(read_file(path, kMaxConfig), path.string(), ErrorKind::data);
  if (document.is_object() && document.contains(kChecksumKey)) {  // 0.1 wrote none
    const Json sum = document[kChecksumKey];
    document.erase(kChecksumKey);
    if (sum != checksum_text(document.dump())) {
      fail(ErrorKind::data, path.string(), ": its checksum does not match; the file is damaged or ",
           "was changed; to train with changed settings, use it with --config for a new run");
    }
  }
  return document;
}

}  // namespace genai
