#include "output.h"

#include <unistd.h>

#include <algorithm>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"

namespace genai::tool {

namespace fs = std::filesystem;

std::string options_name(const Json& options, const Json& defaults) {
  std::string name;
  for (const auto& [key, value] : options.items()) {
    if (defaults.at(key) == value) continue;
    name += "-" + key + "-" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return name;
}

std::string request_name(const std::string& words) {
  constexpr size_t kLongest = 80, kHash = 8;  // sanitize_name cuts there
  if (words.size() <= kLongest) return sanitize_name(words);
  const std::string start = sanitize_name(words.substr(0, kLongest - kHash - 1));
  return start + "-" + sha256(words).substr(0, kHash);
}

fs::path run_output(const fs::path& run, const std::string& name) {
  refuse_links(run);
  return run / "out" / name;
}

namespace {

/// What the ending of a name promises: "png", "jpg", "txt"; empty for endings that promise
/// nothing.
std::string kind_of(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending == ".apng") return "png";  // it is one
  if (ending == ".htm") return "html";
  if (ending == ".md") return "txt";
  for (const char* kind :
       {".txt", ".csv", ".json", ".jsonl", ".html", ".png", ".gif", ".jpg", ".jpeg", ".bmp",
        ".webp", ".tif", ".tiff", ".svg", ".pdf", ".mp4", ".webm", ".zip", ".gz"}) {
    if (ending == kind) return ending.substr(1);
  }
  return "";
}

}  // namespace

void check_writable(const fs::path& path, const std::string& ending) {
  std::error_code error;
  for (const fs::path& name : {path, output_target(path)}) {
    const std::string promised = kind_of(name);
    if (promised.empty() || promised == kind_of("x" + ending)) continue;
    fail(ErrorKind::usage, "--out: expected a name that ends in ", ending, ", found ",
         path.string(), name == path ? "" : ", a link to " + name.string());
  }
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) {
    fail(ErrorKind::usage, "--out: ", path.string(), " is a folder; name a file in it");
  }
  // Devices, pipes and what a link names are written to where they are.
  if ((fs::exists(status) && !fs::is_regular_file(status)) || fs::is_symlink(path, error)) return;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  fs::create_directories(parent, error);
  if (error || !fs::is_directory(parent) || ::access(parent.c_str(), W_OK) != 0) {
    fail(ErrorKind::failure, "--out: cannot write into ", parent.string(), "/",
         error ? ": " + error.message() : std::string());
  }
}

}  // namespace genai::tool
