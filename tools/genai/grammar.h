// What the verbs and their options are called: `genai help --json`, kept beside the program when it
// is built, so that pages of help and wrong names need no LibTorch.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "genai/base/json.h"

namespace genai::tool {

/// "--conditional", "--conditional true" and "--conditional=true" as "--condition=class": options
/// that were true or false and have values now (base/settings.h).
std::vector<std::string> with_current_names(const std::vector<std::string>& given);

/// "no verb 'trian'; did you mean 'train'? (see: genai help)"
std::string unknown_verb(const std::string& name, const std::vector<std::string>& verbs);

/// "genai train has no option '--lr'; did you mean '--learning-rate'? (see: genai train --help)"
/// @param known  the verb's: "--out", "-n", and "RUN" for words without a dash
std::string unknown_option(const std::string& verb, const std::string& culprit,
                           const std::vector<std::string>& known);

/// On stderr for people; with --json among the arguments as an object on stdout too, where the
/// result would be. Returns the code.
int report_error(const std::vector<std::string>& arguments, int code, const std::string& message);

/// Prints what the arguments ask for and returns the exit code, if the grammar alone answers it:
/// {"version", "overview", "verbs": {"train": {"page", "options": {"--out": true, ...}}}}, each
/// option with whether a value follows.
std::optional<int> answer_at_once(const std::vector<std::string>& arguments,
                                  const std::filesystem::path& grammar);

}  // namespace genai::tool
