// Where results go: names made from requests, and paths that can be written.
#pragma once
#include <filesystem>
#include <string>

#include "genai/base/json.h"

namespace genai::tool {

/// "-temperature-0.7": the options that are not the usual ones, for the name of a file.
std::string options_name(const Json& options, const Json& defaults);

/// A file name from the words of a request; other words, another name, also where they are too many
/// for it.
std::string request_name(const std::string& words);

/// RUN/out/NAME, where results go that nobody named a place for. Throws Error{failure} when the run
/// holds links.
std::filesystem::path run_output(const std::filesystem::path& run, const std::string& name);

/// Makes the folder of `path`. Throws Error{failure} when nothing can be written into it, and
/// Error{usage} when `path` itself is a folder, or its name ends like that of another kind of file
/// than `ending` (".png").
void check_writable(const std::filesystem::path& path, const std::string& ending);

}  // namespace genai::tool
