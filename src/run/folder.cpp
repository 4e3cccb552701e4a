#include "genai/run/folder.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "genai/base/error.h"
#include "genai/base/fields.h"
#include "genai/base/files.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfig = 1 << 20;
constexpr int kLockTries = 250;   // 5 seconds

/// The number of "008-vae-mnist", or -1.
int64_t run_number(const std::string& name) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end != name.data() + name.size() && *end == '-' ? number : -1;
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
    const int64_t number = run_number(entry.path().filename().string());
    if (number >= 0 && entry.is_directory(error)) found.emplace_back(number, entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [number, path] : found) paths.push_back(std::move(path));
  return paths;
}

fs::path create_run(const fs::path& runs, const std::string& name) {
  std::error_code error;
  fs::create_directories(runs, error);
  if (error) {
    fail(ErrorKind::failure, "cannot make the folder ", runs.string(), ": ", error.message());
  }
  const FileLock lock = lock_runs(runs);
  const auto existing = list_runs(runs);
  const int64_t number =
      existing.empty() ? 1 : run_number(existing.back().filename().string()) + 1;
  char digits[24];
  std::snprintf(digits, sizeof digits, "%03lld", static_cast<long long>(number));
  const fs::path folder = runs / (std::string(digits) + "-" + sanitize_name(name));
  if (!fs::create_directory(folder, error)) {
    fail(ErrorKind::failure, "cannot make the folder ", folder.string(), ": ", error.message());
  }
  return folder;
}

RunReference find_run(const std::string& reference, const fs::path& runs) {
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
    // A run that was killed before its first checkpoint is none yet.
    for (const fs::path& run : all) {
      if (fs::is_directory(run / "checkpoints")) found.folder = run;
    }
  } else {
    for (const fs::path& run : all) {
      const std::string run_name = run.filename().string();
      if (run_name == name || std::to_string(run_number(run_name)) == name) found.folder = run;
    }
    std::error_code error;
    if (found.folder.empty() && !name.empty() && fs::is_directory(fs::path(name), error)) {
      found.folder = name;
    }
  }
  if (found.folder.empty()) no_run(name, runs);
  if (!fs::is_directory(found.folder / "checkpoints")) {
    fail(ErrorKind::usage, found.folder.string(), " is not a run: it has no checkpoints/");
  }
  return found;
}

RunReference newest_run_of(const std::string& preset, const fs::path& runs) {
  const auto all = list_runs(runs);
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (run_preset(*it) == preset && fs::is_directory(*it / "checkpoints")) {
      return {.folder = *it, .checkpoint = ""};
    }
  }
  fail(ErrorKind::usage, "no run of the preset '", preset, "' in ", runs.string(),
       "/; train one: genai train --model ", preset);
}

std::string run_preset(const fs::path& run) {
  const fs::path path = run / "config.json";
  if (!fs::exists(path)) return "";
  const Json config =
      parse_json(read_file(path, kMaxConfig), path.string(), ErrorKind::data);
  const Json* preset = find_path(config, "extends");
  return preset && preset->is_string() ? preset->get<std::string>() : "";
}

}  // namespace genai
