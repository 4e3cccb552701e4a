// JSON read strictly: what a file says twice, too deep, too long or out of range is an error.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "genai/base/error.h"

namespace genai {

/// Keeps the order of the file, so that what we write back reads like what was written.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  uint64_t bytes = 1 << 20;
  int depth = 64;
  bool comments = true;         ///< `//` and `/* */` are allowed
  bool large_integers = false;  ///< those beyond int64 become doubles, as Python's int(1e30)
};

/// Parses one JSON document. Throws Error{kind} with `name` when it is longer than limits.bytes;
/// with `name`, line and column when the text is not JSON, has a duplicate key, is nested deeper
/// than limits.depth, or holds an integer beyond int64 (unless they are allowed) or a number beyond
/// double.
Json parse_json(std::string_view text, const std::string& name, ErrorKind kind,
                JsonLimits limits = {});

/// The last member of a line or small document that says what its bytes were.
inline constexpr const char* kChecksumKey = "crc32c";

/// Of some bytes: "0123abcd".
std::string checksum_text(std::string_view bytes);

/// An object as one line (without its end) whose last member is a checksum of the others.
std::string checked_line(const Json& object);

/// Without its checksum; `checked` is false for a line that has none, as genai 0.1 wrote them.
struct CheckedLine {
  Json object;
  bool checked = false;
};
/// Throws Error{data} with `name` when the line is damaged.
CheckedLine read_checked_line(std::string_view line, const std::string& name,
                              JsonLimits limits = {});

/// The objects of a file of such lines. One without a checksum is taken when no line has one.
struct NumberedLine {
  size_t number;  ///< in the file, from 1 on
  Json object;
};
struct CheckedLines {
  std::vector<NumberedLine> lines;
  std::vector<std::string> damaged;  ///< a message for each line that cannot be used
  bool torn = false;  ///< the last one has no end: the process that wrote it was killed
};
CheckedLines read_checked_lines(std::string_view text, const std::string& name,
                                JsonLimits limits = {});

/// A document that detects any change to its bytes: {"content": ..., "sha256": hash of content}.
std::string seal_json(const Json& content);

/// The content of a sealed document; throws Error{data} unless every byte is as seal_json wrote it.
Json open_sealed_json(std::string_view text, const std::string& name, JsonLimits limits = {});

}  // namespace genai
