// What `data show` says of a series of numbers.
#pragma once
#include "genai/data/dataset.h"

namespace genai::tool {

int show_series(const DataConfig& config, bool json);

}  // namespace genai::tool
