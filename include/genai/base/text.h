// Numbers, durations and tables as text for people. Nothing here prints.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace genai {

/// A number with `digits` significant digits, never in exponent form for everyday sizes.
std::string number_text(double value, int digits = 4);

/// "10,000"
std::string count_text(int64_t count);

/// A value and its error, both to the second significant digit of the error: {"97.31", "0.12"}. An
/// error that is 0 or not finite is unknown: {"97.312", ""}.
std::pair<std::string, std::string> measured_text(double value, double error);

/// "1.3 s", "4 min 10 s"
std::string duration_text(double seconds);

/// Without control characters, which move a terminal's cursor or worse: each is shown as \x1B. Line
/// ends and tabs stay where `keep_lines` says so. For what comes from files: names, labels, texts.
std::string inert(std::string_view text, bool keep_lines = false);

/// Filled with spaces up to `width` characters (not bytes).
std::string padded(const std::string& text, size_t width);

/// A table with aligned columns; the first row is the head. A row of one cell is a line across all.
std::string table(std::vector<std::vector<std::string>> rows);

/// "a", "a and b", "a, b and c".
std::string listed(const std::vector<std::string>& words);

}  // namespace genai
