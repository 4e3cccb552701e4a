// Texts that are known by a name: found by their hash, or built in.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "genai/data/mnist.h"

namespace genai {

/// A text that is known by its hash.
struct KnownText {
  std::string name;                ///< "shakespeare"
  std::string about;               ///< "text: plays, 1,003,854 + 111,540 bytes"
  std::vector<std::string> paths;  ///< below the data folder; a download goes to the first one
  std::vector<std::string> urls;
  uint64_t bytes = 0;
  std::string sha256;
  std::string advice;  ///< what to do without file and network
};
/// tinyshakespeare (A. Karpathy, char-rnn, 2015): 1,115,394 bytes of Shakespeare's plays, ASCII.
const KnownText& shakespeare();

/// Its bytes, from the first of its paths that is there, else downloaded when allowed. Throws
/// Error{data}: a file of another content, a missing one, a failed download; says what to do.
std::string load_known_text(const KnownText& text, const std::filesystem::path& data_dir,
                            const FetchOptions& fetch = {});

/// The built-in text: the 10,000 sums "a+b=c\n" with a and b from 0 to 99, in their order. Split as
/// items, no sum for validation is one for training.
std::string sums_text();

}  // namespace genai
