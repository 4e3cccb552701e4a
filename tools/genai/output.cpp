#include "output.h"

#include <unistd.h>

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
  constexpr size_t kLongest = 80, kHash = 8;   // sanitize_name cuts there
  if (words.size() <= kLongest) return sanitize_name(words);
  const std::string start = sanitize_name(words.substr(0, kLongest - kHash - 1));
  return start + "-" + sha256(words).substr(0, kHash);
}

void check_writable(const fs::path& path) {
  std::error_code error;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  fs::create_directories(parent, error);
  if (error || !fs::is_directory(parent) || ::access(parent.c_str(), W_OK) != 0) {
    fail(ErrorKind::failure, "--out: cannot write into ", parent.string(), "/",
         error ? ": " + error.message() : std::string());
  }
  if (fs::is_directory(path, error)) {
    fail(ErrorKind::usage, "--out: ", path.string(), " is a folder; name a file in it");
  }
}

}  // namespace genai::tool
