// A report as text: for a terminal, a README, a spreadsheet, a program.
#pragma once
#include <string>

#include "genai/report/report.h"

namespace genai {

/// For a terminal, with hints what to do next.
std::string report_table(const Report& report);
/// The same for a README or an issue.
std::string report_markdown(const Report& report);
/// One line for each value, all digits (RFC 4180).
std::string report_csv(const Report& report);
Json to_json(const Report& report);

}  // namespace genai
