#include "genai/data/known_texts.h"

#include "genai/base/download.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/text.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = uint64_t{1} << 30;
constexpr int kSumsBelow = 100;

[[noreturn]] void fail_missing(const KnownText& text, const fs::path& data_dir,
                               const std::string& why) {
  std::string places;
  for (const std::string& path : text.paths)
    places += (places.empty() ? "" : ", ") + (data_dir / path).string();
  fail(ErrorKind::data, text.name, ": none of ", places, " is there", why, ".\nPut the file of ",
       count_text(static_cast<int64_t>(text.bytes)), " bytes there (", text.urls.front(), "), or ",
       text.advice);
}

fs::path fetch_known(const KnownText& text, const fs::path& data_dir, const FetchOptions& fetch) {
  if (!fetch.download) fail_missing(text, data_dir, "");
  const fs::path destination = data_dir / text.paths.front();
  try {
    download({text.urls, text.sha256, text.bytes}, destination, [&](uint64_t done, uint64_t total) {
      if (fetch.progress) fetch.progress(destination.filename().string(), done, total);
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;  // a full disk, an interruption
    const std::string why = error.what();
    fail_missing(text, data_dir, " and it could not be fetched: " + why.substr(0, why.find('\n')));
  }
  return destination;
}

}  // namespace

const KnownText& shakespeare() {
  static const KnownText text = {
      "shakespeare",
      "text: plays, 1,003,854 + 111,540 bytes",
      {"shakespeare/input.txt", "shakespeare.txt", "tinyshakespeare/input.txt",
       "tinyshakespeare.txt"},
      {"https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"},
      1'115'394,
      "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
      "use `sums` (built in) or the path of a text file"};
  return text;
}

std::string load_known_text(const KnownText& text, const fs::path& data_dir,
                            const FetchOptions& fetch) {
  fs::path file;
  for (const std::string& path : text.paths) {
    std::error_code ignored;
    if (file.empty() && fs::is_regular_file(data_dir / path, ignored)) file = data_dir / path;
  }
  if (file.empty()) file = fetch_known(text, data_dir, fetch);
  const std::string bytes = read_file(file, kMaxBytes);
  if (const std::string found = sha256(bytes); found != text.sha256)
    fail(ErrorKind::data, file.string(), " is not the original ", text.name, ": expected ",
         text.bytes, " bytes with SHA-256 ", text.sha256, ", found ", bytes.size(), " bytes with ",
         found, "\nDelete it and run `genai data fetch ", text.name,
         "`; for another text give its path");
  return bytes;
}

std::string sums_text() {
  std::string text;
  for (int a = 0; a < kSumsBelow; ++a) {
    for (int b = 0; b < kSumsBelow; ++b) text += concat(a, "+", b, "=", a + b, "\n");
  }
  return text;
}

}  // namespace genai
