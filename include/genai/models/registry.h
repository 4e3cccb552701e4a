// The table of all families.
#pragma once
#include "genai/model/family.h"

namespace genai {

const std::vector<Family>& families();

/// Throws Error{usage} naming the families there are.
const Family& find_family(const std::string& name);

/// The fields of "model" in a configuration: the family's settings and "family" itself.
FieldTable model_fields(const Family& family);

/// @param settings  the "model" object of a resolved configuration
std::unique_ptr<Model> make_model(const Family& family, Json settings, const DataInfo& info);

}  // namespace genai
