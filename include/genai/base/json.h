// JSON read strictly: what a file says twice, too deep, too long or out of range is an error.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "genai/base/error.h"

namespace genai {

/// Keeps the order of the file, so that what we write back reads like what was written.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  uint64_t bytes = 1 << 20;
  int depth = 64;
  bool comments = true;   ///< `//` and `/* */` are allowed
};

/// Parses one JSON document. Throws Error{kind} with `name` when it is longer than limits.bytes;
/// with `name`, line and column when the text is not JSON, has a duplicate key, is nested deeper
/// than limits.depth, or holds an integer beyond int64 or a number beyond double.
Json parse_json(std::string_view text, const std::string& name, ErrorKind kind,
                JsonLimits limits = {});

/// A document that detects any change to its bytes: {"content": ..., "sha256": hash of content}.
std::string seal_json(const Json& content);

/// The content of a sealed document; throws Error{data} unless every byte is as seal_json wrote it.
Json open_sealed_json(std::string_view text, const std::string& name, JsonLimits limits = {});

}  // namespace genai
