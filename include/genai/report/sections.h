// The sections of a report's page, and what they are put together from.
#pragma once
#include <string>
#include <vector>

#include "genai/report/report.h"

namespace genai::report_page {

// Pieces of HTML. `style` is a class of the style sheet; "content" is HTML, "text" is escaped.

std::string p(const std::string& style, const std::string& content);
std::string span(const std::string& style, const std::string& text);
std::string heading(const std::string& level, const std::string& text);
/// The style sheet's class of a run's colour.
std::string colour(size_t run);
/// A label with the run's colour beside it, where there are several runs.
std::string named(const Report& report, size_t run, const std::string& label);
/// Wide tables scroll by themselves; the keyboard must reach them for that.
std::string scrolling(const std::string& label, const std::string& table);
std::string row_head(const std::string& content);
std::string column_head(const std::string& content);
std::string number_cell(const std::string& content);
std::string figure(const std::string& title, const std::string& remark, const std::string& content);
std::string grid_of(const std::string& kind, size_t count, const std::string& content);

// Words.

/// A number as printers set it.
std::string typeset(std::string number);
/// "class_shares" -> "Class shares"
std::string title_of(std::string key);
/// A text itself, other values as JSON.
std::string plain(const Json& value);
std::string joined(const std::vector<std::string>& parts, const std::string& between);
/// "nats, lower is better"
std::string metric_hint(const Metric& metric);

// Sections: empty where there is nothing to tell.

/// What the runs are: a card for each.
std::string overview(const Report& report);
std::string settings(const Report& report);
std::string results(const Report& report);
std::string training(const Report& report);
std::string details(const Report& report);
/// @param room  bytes that are left; pictures are left out, the largest first, where they take more
std::string pictures(const Report& report, size_t room);

}  // namespace genai::report_page
