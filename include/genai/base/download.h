// Downloads of known files: several mirrors, a size cap, a SHA-256 that must match (by libcurl).
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace genai {

struct Download {
  std::vector<std::string> urls;  ///< mirrors, tried in order: https, http (file: for tests)
  std::string sha256;             ///< of the right file, lower-case hexadecimal
  uint64_t max_bytes = 0;         ///< larger is refused while receiving
};

/// Writes DESTINATION.part, verifies, syncs and renames it to DESTINATION; makes missing folders.
/// While another process downloads into the same folder it waits, and takes over a right file.
/// `progress(done, total)` in bytes, total 0 when unknown; called often.
/// Throws ErrorKind::data with each mirror's reason when none works, ErrorKind::failure when the
/// file cannot be written or stop_signal() ends it, ErrorKind::usage without mirrors or hash; the
/// .part is then removed.
void download(const Download& what, const std::filesystem::path& destination,
              const std::function<void(uint64_t done, uint64_t total)>& progress = {});

}  // namespace genai
