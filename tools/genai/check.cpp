#include <algorithm>
#include <iostream>
#include <map>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/generation/generate.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxPicture = 1 << 30;

struct CheckOptions {
  std::string path, runs;
  ComputeOption compute;
  bool json = false;
};

std::vector<fs::path> pictures_of(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return {path};
  if (!fs::is_directory(path, error)) {
    fail(ErrorKind::data, "no such file or folder: ", path.string());
  }
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && entry.path().extension() == ".png") {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  if (found.empty()) fail(ErrorKind::data, path.string(), ": no .png files in it");
  return found;
}

/// Trained weights by their hash: the runs near the picture first, then the runs folder.
class WeightFinder {
 public:
  WeightFinder(fs::path picture_folder, fs::path runs) : runs_(std::move(runs)) {
    add(picture_folder.parent_path());
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

int check_verb(const CheckOptions& options) {
  const auto pictures = pictures_of(options.path);
  const WeightFinder finder(fs::absolute(pictures.front()).parent_path(),
                            runs_folder(options.runs));
  std::map<std::string, LoadedModel> models;
  int64_t bad = 0;
  Json results = Json::array();
  for (const fs::path& path : pictures) {
    const std::string png = read_file(path, kMaxPicture);
    const Json made = read_provenance(png, path.string());
    if (!made.is_object() || !made.contains("weights_sha256")) {
      fail(ErrorKind::data, path.string(), ": does not say how it was made (no 'genai' text)");
    }
    const std::string hash = made.at("weights_sha256");
    if (!models.count(hash)) {
      const RunReference reference = finder.find(hash, path.string());
      models[hash] = load_model(reference, at::kCPU);
    }
    LoadedModel& model = models.at(hash);
    // With the thread count of the picture, where it is not asked for otherwise.
    const at::Device device =
        options.compute.resolve(made.at("numerics").at("threads").get<int64_t>());
    if (model.device != device) model = load_model(finder.find(hash, path.string()), device);
    const Recreation again = recreate(png, path.string(), model);
    bad += !again.same;
    results.push_back({{"file", path.string()},
                       {"same", again.same},
                       {"worst", again.worst},
                       {"differing", again.differing},
                       {"allowed", again.tolerance}});
    if (!options.json) {
      std::cout << (again.same ? "ok      " : "DIFFERS ") << path.string();
      if (again.differing > 0) {
        std::cout << "  (" << again.differing << " values differ, by up to " << again.worst
                  << " of 255; allowed: " << again.tolerance << ")";
      }
      std::cout << "\n";
    }
  }
  if (options.json) print_json({{"checked", pictures.size()}, {"bad", bad}, {"files", results}});
  say(concat(pictures.size() - static_cast<size_t>(bad), " of ", pictures.size(),
             " pictures are what their own request gives"));
  return bad ? static_cast<int>(ErrorKind::bar) : 0;
}

}  // namespace

std::unique_ptr<Command> make_check(const Arguments&) {
  auto command = std::make_unique<Command>(
      "check", "makes each picture again from what it says of itself and compares the pixels",
      std::vector<std::string>{"genai check runs/008-vae-mnist/out", "genai check golden.png",
                               "genai check goldens/ --runs goldens/runs --exact"});
  auto options = std::make_shared<CheckOptions>();
  CLI::App& app = command->app;
  app.add_option("PATH", options->path, "a PNG file, or a folder of them")->required();
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
