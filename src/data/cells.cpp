#include "genai/data/cells.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <set>
#include <vector>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/data/split_names.h"

namespace genai {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Signs that part thousands in any writing: spaces that do not break, apostrophes.
constexpr std::string_view kGroupSigns[] = {"\u00A0", "\u202F", "\u2009", "\u2019", "'"};
constexpr std::string_view kMinus = "\u2212";

/// "1,234,567" with ',' is "1234567"; none where its groups are not of three digits, or where the
/// first one begins with a zero.
std::optional<std::string> without_groups(std::string_view whole, char sign) {
  if (whole.find(sign) == whole.npos) return std::string(whole);
  if (whole.starts_with('0')) return {};
  std::string digits;
  for (size_t end = whole.find(sign), at = 0;; end = std::min(whole.find(sign, at), whole.size())) {
    const std::string_view group = whole.substr(at, end - at);
    const bool good = std::ranges::all_of(group, is_digit) &&
                      (digits.empty() ? !group.empty() && group.size() <= 3 : group.size() == 3);
    if (!good) return {};
    digits += group;
    if (end == whole.size()) return digits;
    at = end + 1;
  }
}

/// 1 to 12 for "jan" to "december", else 0.
int month_of(const std::string& word) {
  static const std::string months[] = {"january",   "february", "march",    "april",
                                       "may",       "june",     "july",     "august",
                                       "september", "october",  "november", "december"};
  for (int month = 0; month < 12; ++month) {
    if (word.size() >= 3 && months[month].starts_with(word)) return month + 1;
  }
  return 0;
}

}  // namespace

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

bool is_missing(const std::string& cell) {
  static const std::set<std::string> words{"",     "nan", "na",   "n/a", "#n/a", "<na>",
                                           "null", "nil", "none", "nat", "-",    "."};
  return words.contains(lower_case(cell));
}

std::optional<double> number_in(std::string_view cell, Writing writing) {
  std::string text(cell);
  if (text.starts_with(kMinus)) text.replace(0, kMinus.size(), "-");
  if (text.starts_with('+')) text.erase(0, 1);
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  for (const std::string_view sign : kGroupSigns) text = replaced(text, sign, "_");
  const char decimal = writing == Writing::decimal_commas ? ',' : '.';
  const size_t end = std::min(text.find_first_of(concat(decimal, "eE")), text.size());
  auto whole = without_groups(std::string_view(text).substr(0, end), '_');
  if (whole && writing == Writing::comma_groups) whole = without_groups(*whole, ',');
  if (whole && writing == Writing::decimal_commas) whole = without_groups(*whole, '.');
  if (!whole) return {};
  std::string rest = text.substr(end);
  if (rest.starts_with(decimal)) rest[0] = '.';
  const std::string digits = *whole + rest;
  // from_chars reads "inf" and "nan", and a second sign.
  if (digits.empty() || (!is_digit(digits[0]) && digits[0] != '.')) return {};
  double value = 0;
  const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (last != digits.data() + digits.size()) return {};
  if (error == std::errc::result_out_of_range)
    value = digits.find("e-") == digits.npos ? HUGE_VAL : 0;
  return negative ? -value : value;
}

std::optional<double> number_in(std::string_view cell) {
  for (const Writing writing : {Writing::plain, Writing::comma_groups, Writing::decimal_commas}) {
    if (const auto value = number_in(cell, writing)) return value;
  }
  return {};
}

bool is_time_word(const std::string& word) {
  static const std::set<std::string> words{"t",  "z",   "utc", "gmt", "q",   "m",   "w",   "am",
                                           "pm", "mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  return words.contains(word) || month_of(word) > 0;
}

bool is_time(const std::string& cell) {
  if (number_in(cell, Writing::plain)) return false;
  size_t digits = 0;
  std::string word;
  for (const char c : cell + " ") {
    if (is_letter(c)) {
      word += c;
      continue;
    }
    if (!word.empty() && !is_time_word(lower_case(word))) return false;
    word.clear();
    digits += is_digit(c);
    if (!is_digit(c) && std::string_view(" -/.:,+").find(c) == std::string_view::npos) return false;
  }
  return digits >= 3;
}

std::optional<double> moment_of(const std::string& cell, bool day_first) {
  if (const auto number = number_in(cell, Writing::plain)) {
    // "20200131" and "202001" are dates as well.
    const bool digits = std::ranges::all_of(cell, is_digit);
    if (digits && (cell.size() == 6 || cell.size() == 8)) {
      const std::string month = cell.substr(4, 2), day = cell.size() == 8 ? cell.substr(6) : "01";
      const bool date = cell >= "1800" && cell < "2200" && month >= "01" && month <= "12" &&
                        day >= "01" && day <= "31";
      if (date) return moment_of(concat(cell.substr(0, 4), "-", month, "-", day), false);
    }
    return number;
  }
  struct Number {
    size_t digits;
    double value;
  };
  std::vector<Number> date;
  std::vector<double> clock;
  double month = 0, afternoon = 0;  // hours
  bool morning = false;
  for (size_t at = 0, end = 0; at < cell.size(); at = end) {
    end = at + 1;
    if (is_digit(cell[at])) {
      while (end < cell.size() && is_digit(cell[end])) ++end;
      const double value = number_in(cell.substr(at, end - at), Writing::plain).value_or(0);
      const char before = at > 0 ? cell[at - 1] : ' ', after = end < cell.size() ? cell[end] : ' ';
      if (after == ':' || before == ':') {
        clock.push_back(value);
      } else if (before != '.' || clock.empty()) {  // parts of a second do not matter
        date.push_back({end - at, value});
      }
    } else if (is_letter(cell[at])) {
      while (end < cell.size() && is_letter(cell[end])) ++end;
      const std::string word = lower_case(cell.substr(at, end - at));
      if (month_of(word) > 0) month = month_of(word);
      if (word == "pm") afternoon = 12;
      morning = morning || word == "am";
    } else if (cell[at] == '+' && !clock.empty()) {
      break;  // a time zone
    }
  }
  const auto is_year = [](const Number& part) { return part.digits == 4; };
  if (date.empty() || date.size() > 3) return {};
  double year = 0, day = 0;
  if (month > 0) {
    for (const Number& part : date) (is_year(part) ? year : day) = part.value;
    if (year == 0) return {};
  } else if (is_year(date.front())) {
    year = date[0].value;
    month = date.size() > 1 ? date[1].value : 0;
    day = date.size() > 2 ? date[2].value : 0;
  } else if (is_year(date.back())) {
    const bool three = date.size() == 3;
    year = date.back().value;
    month = date[three && day_first ? 1 : 0].value;
    day = three ? date[day_first ? 0 : 1].value : 0;
  } else {
    return {};
  }
  if (month > 12 || day > 31) return {};
  clock.resize(3);
  if (clock[0] == 12 && (afternoon > 0 || morning)) clock[0] = 0;
  const std::chrono::year_month_day first(std::chrono::year(static_cast<int>(year)),
                                          std::chrono::month(std::max(1u, unsigned(month))),
                                          std::chrono::day(1));
  double moment = std::chrono::sys_days(first).time_since_epoch().count() + std::max(day, 1.0) - 1;
  moment = moment * 24 + clock[0] + afternoon;
  return (moment * 60 + clock[1]) * 60 + clock[2];
}

}  // namespace genai
