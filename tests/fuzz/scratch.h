// A folder for readers that want files, in memory where there is such a place.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "fuzz.h"

namespace genai {

/// Removed when the process ends.
inline const std::filesystem::path& scratch() {
  namespace fs = std::filesystem;
  static const struct Folder {
    Folder() {
      std::string name =
          (fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
          "genai-fuzz-XXXXXX";
      promise(mkdtemp(name.data()) != nullptr, "a folder can be made");
      path = name;
    }
    ~Folder() {
      std::error_code error;
      fs::remove_all(path, error);
    }
    fs::path path;
  } made;
  return made.path;
}

inline void put(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace genai
