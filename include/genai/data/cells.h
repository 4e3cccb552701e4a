// What stands in a cell of a table: a number, a time, nothing.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace genai {

/// "", NaN, NA, N/A, null, None, "-" and the like.
bool is_missing(const std::string& cell);

enum class Writing {
  plain,           ///< 1234.5, 1.2345e3
  comma_groups,    ///< 1,234.5
  decimal_commas,  ///< 1234,5 or 1.234,5
};

/// Thousands may be parted by spaces that do not break and by apostrophes in any writing. A number
/// too large for a double is infinite.
std::optional<double> number_in(std::string_view cell, Writing writing);
/// In the first writing that it fits.
std::optional<double> number_in(std::string_view cell);

/// A word in dates: "jan", "Monday"'s "mon", "utc".
bool is_time_word(const std::string& word);
/// "2020-01-31", "31.1.2020 12:00", "Jan 2020", "2020Q1": digits, signs and the words of dates.
bool is_time(const std::string& cell);

/// The time that the cell tells, where its year has four digits, in seconds; of a number, itself;
/// else none.
/// @param day_first  what "1/2/2020" means
std::optional<double> moment_of(const std::string& cell, bool day_first);

std::string replaced(std::string text, std::string_view what, std::string_view by);

}  // namespace genai
