// A report as one page for a phone, a laptop, a projector and paper.
#pragma once
#include <string>

#include "genai/report/report.h"

namespace genai {

/// The page needs nothing but itself: no scripts, no requests, and its policy allows none. Pictures
/// are left out, the largest first, where it would be longer than kMaxPage. Equal runs give equal
/// bytes: it holds no date and no path.
std::string report_html(const Report& report);
inline constexpr size_t kMaxPage = 2'000'000;

/// The page's style sheet.
extern const char* const kReportStyle;

}  // namespace genai
