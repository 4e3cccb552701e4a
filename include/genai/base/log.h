// Messages for people, on stderr. (spdlog behind a header of our own: its fmt clashes with the one
// in LibTorch's headers.)
#pragma once
#include <string>

namespace genai {

void log_info(const std::string& message);
void log_warning(const std::string& message);
void log_error(const std::string& message);

/// Only errors are shown from now on.
void log_quiet();

}  // namespace genai
