// The presets of configs/, compiled into the binary so that it runs from anywhere.
#pragma once
#include <string>
#include <vector>

#include "genai/base/json.h"

namespace genai {

/// Names in alphabetical order.
std::vector<std::string> preset_names();

/// The document of one preset; throws Error{usage} naming the nearest one when there is none.
const Json& preset_document(const std::string& name);

}  // namespace genai
