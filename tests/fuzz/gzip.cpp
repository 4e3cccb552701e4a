// gzip.
#include "genai/base/gzip.h"

#include "fuzz.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kMost = 1 << 20;
  const std::string_view bytes = view(data, size);
  std::string content;
  if (!reads([&] { content = gunzip(bytes, kMost, "fuzz"); })) return 0;
  promise(is_gzip(bytes) && content.size() <= kMost, "no more than allowed is unpacked");
  promise(gunzip(bytes, content.size(), "fuzz") == content, "a limit that just fits");
  promise(content.empty() || !reads([&] { gunzip(bytes, content.size() - 1, "fuzz"); }),
          "a limit that does not fit");
  return 0;
}
