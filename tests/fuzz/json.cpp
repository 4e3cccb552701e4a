// JSON: documents, sealed documents, lines with checksums.
#include "genai/base/json.h"

#include "fuzz.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = view(data, size);
  reads([&] { open_sealed_json(text, "fuzz"); });
  reads([&] { read_checked_lines(text, "fuzz"); });
  reads([&] { parse_json(text, "fuzz", ErrorKind::usage, {.depth = 4, .comments = false}); });
  Json json;
  if (!reads([&] { json = parse_json(text, "fuzz", ErrorKind::data); })) return 0;
  // What was read can be written, and reads as the same again.
  promise(parse_json(json.dump(), "fuzz", ErrorKind::data, {.bytes = 1 << 24}) == json,
          "a document is the same after writing and reading");
  // Two levels around it, and indents.
  const JsonLimits limits{.bytes = 1 << 24, .depth = 66};
  promise(open_sealed_json(seal_json(json), "fuzz", limits) == json, "a sealed document opens");
  if (!json.is_object() || json.empty() || json.contains(kChecksumKey)) return 0;
  const CheckedLines lines = read_checked_lines(checked_line(json) + "\n", "fuzz", limits);
  promise(lines.damaged.empty() && !lines.torn && lines.lines.size() == 1 &&
              lines.lines[0].object == json,
          "a line with a checksum reads");
  return 0;
}
