// What a PNG of ours says of how it was made.
#pragma once
#include <string>

#include "genai/base/json.h"

namespace genai {

inline constexpr const char* kProvenanceKeyword = "genai";

/// The "genai" text of a PNG of ours; null when it has none.
Json read_provenance(const std::string& png, const std::string& name);

}  // namespace genai
