// What `data show` says of a series of numbers.
#pragma once
#include "genai/data/text_data.h"

namespace genai::tool {

/// @param vocabulary  levels of change; 0: the usual number
int show_series(const TextData& data, const std::string& tokenizer, int64_t vocabulary, bool json);

}  // namespace genai::tool
