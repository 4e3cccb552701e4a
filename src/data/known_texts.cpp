#include "genai/data/known_texts.h"

#include <algorithm>
#include <charconv>

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

/// A number as people write it: digits, no leading zero, at most 18 of them. -1: it is not.
int64_t plain_number(std::string_view text) {
  int64_t value = -1;
  const bool plain = !text.empty() && text.size() <= 18 && (text.size() == 1 || text[0] != '0') &&
                     std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (plain) std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
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

bool is_right_sum(std::string_view text) {
  const size_t plus = text.find('+'), equals = text.find('=');
  if (plus == text.npos || equals == text.npos || equals < plus) return false;
  const int64_t a = plain_number(text.substr(0, plus));
  const int64_t b = plain_number(text.substr(plus + 1, equals - plus - 1));
  return a >= 0 && b >= 0 && text.substr(equals + 1) == std::to_string(a + b);
}

}  // namespace genai
