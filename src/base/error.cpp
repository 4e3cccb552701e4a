#include "genai/base/error.h"

#include <filesystem>

#include "genai/base/json.h"

namespace genai {

std::string reason_of(const std::exception& error) {
  std::string what = error.what();
  if (const auto* files = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    return concat(files->path1().string(), ": ", files->code().message());
  }
  if (!dynamic_cast<const Json::exception*>(&error)) return what;
  // "[json.exception.parse_error.101] parse error at line 1, column 2: REASON; last read: '{x'", or
  // "[json.exception.out_of_range.406] REASON".
  if (const size_t rest = what.rfind("; last read"); rest != what.npos) what.resize(rest);
  const size_t name = what.find("] ");
  if (name == what.npos) return what;
  const size_t place =
      what.compare(name + 2, 11, "parse error") == 0 ? what.find(": ", name) : name;
  return place == what.npos ? what : what.substr(place + 2);
}

}  // namespace genai
