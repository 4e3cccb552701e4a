// --condition: what a model is told that is told a grid.
#pragma once
#include "genai/generation/generate.h"

namespace genai::tool {

/// What was asked for, before a model is there.
struct ConditionWords {
  int64_t test = -1;
  std::vector<std::pair<std::string, std::string>>
      files;                     ///< name of the condition or "", and file
  std::vector<std::string> all;  ///< short, for names of files
};

/// "test:3", "drawing.png", "sketch=drawing.png". Throws Error{usage}.
ConditionWords condition_words(const std::vector<std::string>& options);

/// Reads the pictures. Throws Error{usage} for conditions that the model is not told.
ConditionSource read_conditions(const ConditionWords& words, const Model& model,
                                const DataInfo& info);

}  // namespace genai::tool
