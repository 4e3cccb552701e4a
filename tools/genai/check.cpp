#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <set>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/generation/provenance.h"
#include "genai/generation/recreate.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

struct CheckOptions {
  std::string path, runs;
  ComputeOption compute;
  bool json = false;
};

/// Of a text or table, which tell in a file beside them; the base of "x.txt.json".
bool is_sidecar(const fs::path& path) {
  std::error_code error;
  const fs::path file = path.parent_path() / path.stem();
  return path.extension() == ".json" && file.has_extension() && fs::is_regular_file(file, error) &&
         !read_sidecar(file).is_null();
}

std::vector<fs::path> files_of(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return {path};
  if (!fs::is_directory(path, error)) {
    fail(ErrorKind::data, "no such file or folder: ", path.string());
  }
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const fs::path extension = entry.path().extension();
    if (!entry.is_regular_file(error)) continue;  // a loop of links is no file either
    if (extension == ".png" || extension == ".apng") {
      found.push_back(entry.path());
    } else if (is_sidecar(entry.path())) {
      found.push_back(entry.path().parent_path() / entry.path().stem());
    }
  }
  std::sort(found.begin(), found.end());
  if (found.empty()) fail(ErrorKind::data, path.string(), ": no .png files or texts of ours in it");
  return found;
}

/// Trained weights by their hash: of the runs that the pictures lie in (RUN/out/x.png,
/// RUN/out/x/17.png), and of the runs folder.
class WeightFinder {
 public:
  WeightFinder(const std::vector<fs::path>& pictures, fs::path runs) : runs_(std::move(runs)) {
    constexpr int kLevels = 3;
    std::set<fs::path> folders;
    for (const fs::path& picture : pictures) {
      fs::path folder = fs::absolute(picture).lexically_normal();
      for (int level = 0; level < kLevels; ++level) {
        folder = folder.parent_path();
        folders.insert(folder);
      }
    }
    for (const fs::path& folder : folders) add(folder);
    for (const fs::path& run : list_runs(runs_)) add(run);
  }

  RunReference find(const std::string& hash, const std::string& picture) const {
    const auto it = checkpoints_.find(hash);
    if (it == checkpoints_.end()) {
      fail(ErrorKind::data, picture, ": its weights (", hash.substr(0, 12),
           "...) are in no checkpoint of ", runs_.string(), "/; name their folder with --runs");
    }
    return it->second;
  }

 private:
  void add(const fs::path& run) {
    for (const fs::path& checkpoint : list_checkpoints(run)) {
      try {
        const Manifest manifest = read_manifest(checkpoint);
        checkpoints_[manifest.weights_sha256()] = {.folder = run,
                                                   .checkpoint = std::to_string(manifest.step)};
      } catch (const Error&) {
        // A damaged checkpoint cannot be the one that is looked for.
      }
    }
  }

  fs::path runs_;
  std::map<std::string, RunReference> checkpoints_;
};

struct Claim {
  std::string weights;
  int64_t threads = 1;
};

/// What a file says of the weights and threads that made it; nothing when it makes no claim that
/// could be checked: `why` tells.
std::optional<Claim> read_claim(const Json& made, const std::string& name, std::string& why) {
  if (made.is_null()) {
    why = "does not say how it was made (no 'genai' text in it, no .json of ours beside it)";
    return std::nullopt;
  }
  if (made.is_object() && made.contains("request") && !made.contains("weights_sha256")) {
    why = lacks_for_recreation(made["request"]);
    if (!why.empty()) return std::nullopt;
  }
  try {
    const Claim claim{.weights = made.at("weights_sha256"),
                      .threads = made.at("numerics").at("threads")};
    if (claim.threads >= 1 && claim.threads <= kMostThreads) return claim;
  } catch (const Json::exception&) {
    // Told below.
  }
  fail(ErrorKind::data, name, ": its 'genai' text is not one of ours");
}

/// A request that cannot be met is the file's fault, not the user's.
/// @param made  of a text; null: a PNG has it within
Recreation make_again(const std::string& bytes, const Json& made, const std::string& name,
                      const LoadedModel& model) {
  try {
    return made.is_null() ? recreate(bytes, name, model) : recreate_text(bytes, made, name, model);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    fail(ErrorKind::data, name, ": its own request is impossible: ", error.what());
  }
}

int check_verb(const CheckOptions& options) {
  // A run's number or name stands for its folder, where nothing else is called so.
  std::error_code error;
  const fs::path runs = runs_folder(options.runs);
  fs::path path = options.path;
  if (!fs::exists(path, error)) {
    try {
      path = find_run(options.path, runs).folder;
    } catch (const Error&) {
      fail(ErrorKind::data, "no such file, folder or run: ", options.path);
    }
  }
  const auto files = files_of(path);
  const WeightFinder finder(files, runs);
  std::map<std::string, LoadedModel> models;
  int64_t bad = 0, skipped = 0;
  Json results = Json::array();
  for (const fs::path& path : files) {
    const std::string bytes = read_file(path, kMaxPicture);
    const bool is_text = binary_kind(bytes).empty();
    const Json made = is_text ? read_sidecar(path) : read_provenance(bytes, path.string());
    const auto skip = [&](const std::string& why) {
      if (files.size() == 1) fail(ErrorKind::data, path.string(), ": cannot be made again; ", why);
      ++skipped;
      results.push_back({{"file", path.string()}, {"skipped", why}});
      if (!options.json) std::cout << "skipped " << path.string() << "  (" << why << ")\n";
    };
    std::string why;
    const auto claimed = read_claim(made, path.string(), why);
    if (!claimed) {
      skip(why);
      continue;
    }
    const Claim& claim = *claimed;
    const std::string& hash = claim.weights;
    if (!models.count(hash)) {
      const RunReference reference = finder.find(hash, path.string());
      models[hash] = load_model(reference, at::kCPU);
    }
    LoadedModel& model = models.at(hash);
    // With the thread count of the picture, where it is not asked for otherwise.
    const at::Device device = options.compute.resolve(claim.threads);
    if (model.device != device) model = load_model(finder.find(hash, path.string()), device);
    const Recreation again = make_again(bytes, is_text ? made : Json(), path.string(), model);
    if (!again.impossible.empty()) {
      skip(again.impossible);
      continue;
    }
    bad += !again.same;
    results.push_back({{"file", path.string()},
                       {"same", again.same},
                       {"worst", again.worst},
                       {"differing", again.differing},
                       {"allowed", again.tolerance}});
    if (!options.json) {
      std::cout << (again.same ? "ok      " : "DIFFERS ") << path.string();
      if (again.differing > 0 && is_text) {
        std::cout << "  (its last " << again.differing << " bytes differ)";
      } else if (again.differing > 0) {
        std::cout << "  (" << again.differing << " values differ, by up to " << again.worst
                  << " of 255; allowed: " << again.tolerance << ")";
      }
      std::cout << "\n";
    }
  }
  const int64_t checked = static_cast<int64_t>(files.size()) - skipped;
  if (checked == 0) {
    fail(ErrorKind::data, options.path, ": none of its ", skipped, " files can be made again");
  }
  if (options.json) {
    print_json({{"checked", checked}, {"bad", bad}, {"skipped", skipped}, {"files", results}});
  }
  say(concat(checked - bad, " of ", checked, " files are what their own request gives",
             skipped ? concat("; ", skipped, " skipped") : ""));
  return bad ? static_cast<int>(ErrorKind::bar) : 0;
}

}  // namespace

std::unique_ptr<Command> make_check(const Arguments&) {
  auto command = std::make_unique<Command>(
      "check", "makes each picture or text again from what it says of itself and compares them",
      std::vector<std::string>{"genai check runs/008-vae-mnist/out", "genai check golden.png",
                               "genai check goldens/ --runs goldens/runs --exact"});
  auto options = std::make_shared<CheckOptions>();
  CLI::App& app = command->app;
  app.add_option("PATH", options->path, "a PNG, a text of ours, a folder of them, or a run")
      ->required();
  app.add_option("--runs", options->runs, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
  app.add_flag("--exact")->description("one thread and AVX2 code, as `sample --exact`");
  app.add_flag("--json", options->json, "one JSON object as the result");
  options->compute.add(*command);
  command->run = [c = command.get(), options] {
    if (c->app.count("--exact")) options->compute.threads = 1;
    return check_verb(*options);
  };
  return command;
}

}  // namespace genai::tool
