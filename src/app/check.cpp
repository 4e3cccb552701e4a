#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/generation/provenance.h"
#include "genai/generation/recreate.h"
#include "jobs-inl.h"
#include "shared-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

struct CheckRequest {
  std::string path;
};

const FieldTable& check_fields() {
  static const FieldTable table =
      describe<CheckRequest>()
          .field("path", &CheckRequest::path,
                 "a PNG or GIF, a text of ours, a folder of them, or a run")
          .hint("PATH")
          .table();
  return table;
}

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
    if (extension == ".png" || extension == ".apng" || extension == ".gif") {
      found.push_back(entry.path());
    } else if (is_sidecar(entry.path())) {
      found.push_back(entry.path().parent_path() / entry.path().stem());
    }
  }
  std::sort(found.begin(), found.end());
  if (found.empty())
    fail(ErrorKind::data, path.string(),
         ": no pictures (.png, .apng, .gif) or texts of ours in it");
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
           "...) are in no checkpoint of ", runs_.string(),
           "/; name their folder with request.runs");
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
Recreation make_file_again(const std::string& bytes, const Json& made, const std::string& name,
                           const LoadedModel& model) {
  try {
    return made.is_null() ? recreate(bytes, name, model) : recreate_text(bytes, made, name, model);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    fail(ErrorKind::data, name, ": its own request is impossible: ", error.what());
  }
}

/// Checks files one after the other; models are loaded once.
class Checker {
 public:
  Checker(const std::vector<fs::path>& files, JobContext& context)
      : finder_(files, context.runs), context_(context) {}

  /// {"file", "same", ...}, or {"file", "skipped": why}.
  Json check(const fs::path& path) {
    const std::string name = path.string(), bytes = read_file(path, kMaxPicture);
    const bool is_text = binary_kind(bytes).empty();
    const Json made = is_text ? read_sidecar(path) : read_provenance(bytes, name);
    std::string why;
    const auto claim = read_claim(made, name, why);
    if (!claim) return {{"file", name}, {"skipped", why}};
    const Recreation again =
        make_file_again(bytes, is_text ? made : Json(), name, model_of(*claim, name));
    if (!again.impossible.empty()) return {{"file", name}, {"skipped", again.impossible}};
    return {{"file", name},
            {"same", again.same},
            {"worst", again.worst},
            {"differing", again.differing},
            {"allowed", again.tolerance},
            {"unit", is_text ? "bytes" : "values"}};
  }

 private:
  const LoadedModel& model_of(const Claim& claim, const std::string& name) {
    if (!models_.count(claim.weights)) {
      models_[claim.weights] = load_model(finder_.find(claim.weights, name), at::kCPU);
    }
    LoadedModel& model = models_.at(claim.weights);
    // With the thread count of the picture, where it is not asked for otherwise.
    const at::Device device = context_.device(claim.threads);
    if (model.device != device) model = load_model(finder_.find(claim.weights, name), device);
    return model;
  }

  WeightFinder finder_;
  JobContext& context_;
  std::map<std::string, LoadedModel> models_;
};

/// A run's number or name stands for its folder, where nothing else is called so.
fs::path checked_path(const std::string& path, const JobContext& context) {
  std::error_code error;
  if (fs::exists(path, error)) return path;
  try {
    return find_run(path, context.runs).folder;
  } catch (const Error&) {
    fail(ErrorKind::data, "no such file, folder or run: ", path);
  }
}

Json run_check(const Settings& given, JobContext& context) {
  const auto request = read_request<CheckRequest>(check_fields(), given);
  const auto files = files_of(checked_path(request.path, context));
  Checker checker(files, context);
  int64_t bad = 0, skipped = 0;
  Json results = Json::array();
  for (const fs::path& path : files) {
    context.check_wanted();
    const Json result = checker.check(path);
    if (result.contains("skipped") && files.size() == 1) {
      fail(ErrorKind::data, path.string(), ": cannot be made again; ",
           result["skipped"].get<std::string>());
    }
    skipped += result.contains("skipped");
    bad += !result.value("same", true);
    context.events.found(result);
    results.push_back(result);
  }
  const int64_t checked = static_cast<int64_t>(files.size()) - skipped;
  if (checked == 0) {
    fail(ErrorKind::data, request.path, ": none of its ", skipped, " files can be made again");
  }
  return {{"checked", checked}, {"bad", bad}, {"skipped", skipped}, {"files", results}};
}

}  // namespace

Job check_job() {
  return {.name = "check",
          .about = "makes each picture or text again from what it says of itself and compares them",
          .page = plain_page(check_fields()),
          .form = plain_form(check_fields()),
          .run = run_check};
}

}  // namespace genai
