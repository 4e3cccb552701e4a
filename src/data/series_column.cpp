// One column of a table as numbers: which one, how its numbers are written, what is missing.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/data/csv.h"
#include "genai/data/series.h"

namespace genai {
namespace {

/// Sums and products of changes stay finite below it.
constexpr double kLargest = 1e100;
/// Shares of the lines: of values that may be missing, and of times that may come twice or go back
/// (as when clocks are put back) before the table holds more than one series.
constexpr size_t kMissingPart = 4, kDisorderPart = 20;

std::string lower(std::string_view text) {
  std::string low(text);
  for (char& c : low) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return low;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_missing(const std::string& cell) {
  static const std::set<std::string> words{"",     "nan", "na",   "n/a", "#n/a", "<na>",
                                           "null", "nil", "none", "nat", "-",    "."};
  return words.contains(lower(cell));
}

// ---- how numbers are written ----

enum class Writing {
  plain,           ///< 1234.5, 1.2345e3
  comma_groups,    ///< 1,234.5
  decimal_commas,  ///< 1234,5 or 1.234,5
};

/// Signs that part thousands in any writing: spaces that do not break, apostrophes.
constexpr std::string_view kGroupSigns[] = {"\u00A0", "\u202F", "\u2009", "\u2019", "'"};
constexpr std::string_view kMinus = "\u2212";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

/// "1,234,567" with ',' is "1234567"; none where its groups are not of three digits.
std::optional<std::string> without_groups(std::string_view whole, char sign) {
  if (whole.find(sign) == whole.npos) return std::string(whole);
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

// ---- what columns hold ----

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

bool is_time_word(const std::string& word) {
  static const std::set<std::string> words{"t",  "z",   "utc", "gmt", "q",   "m",   "w",   "am",
                                           "pm", "mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  return words.contains(word) || month_of(word) > 0;
}

/// "2020-01-31", "31.1.2020 12:00", "Jan 2020", "2020Q1": digits, signs and the words of dates.
bool is_time(const std::string& cell) {
  if (number_in(cell, Writing::plain)) return false;
  size_t digits = 0;
  std::string word;
  for (const char c : cell + " ") {
    if (is_letter(c)) {
      word += c;
      continue;
    }
    if (!word.empty() && !is_time_word(lower(word))) return false;
    word.clear();
    digits += is_digit(c);
    if (!is_digit(c) && std::string_view(" -/.:,+").find(c) == std::string_view::npos) return false;
  }
  return digits >= 3;
}

/// A number that grows with the time that the cell tells, where its year has four digits; else
/// none.
/// @param day_first  what "1/2/2020" means
std::optional<double> moment_of(const std::string& cell, bool day_first) {
  if (const auto number = number_in(cell, Writing::plain)) return number;
  struct Part {
    size_t digits;
    double value;
  };
  std::vector<Part> date;
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
      const std::string word = lower(cell.substr(at, end - at));
      if (month_of(word) > 0) month = month_of(word);
      if (word == "pm") afternoon = 12;
      morning = morning || word == "am";
    } else if (cell[at] == '+' && !clock.empty()) {
      break;  // a time zone
    }
  }
  const auto is_year = [](const Part& part) { return part.digits == 4; };
  if (date.empty() || date.size() > 3) return {};
  double year = 0, day = 0;
  if (month > 0) {
    for (const Part& part : date) (is_year(part) ? year : day) = part.value;
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
  double moment = year;
  for (const double part : {month, day, clock[0] + afternoon, clock[1], clock[2]}) {
    moment = moment * 100 + part;
  }
  return moment;
}

bool is_time_name(const std::string& name) {
  static const std::set<std::string> names{"date", "datetime", "timestamp", "time", "ds"};
  return names.contains(lower(name));
}

bool is_id_name(const std::string& name) {
  const std::string low = lower(name);
  return low == "id" || low.ends_with("_id") || low == "series" || low == "item" || low == "store";
}

/// The lines of a table below its names.
struct Lines {
  std::span<const CsvRecord> rows;
  std::vector<std::string> names;  ///< empty: there are none
  size_t value;                    ///< the column to read
  const std::string& file;

  std::string name(size_t column) const {
    return names.empty() || names[column].empty() ? std::to_string(column + 1)
                                                  : "'" + names[column] + "'";
  }
  template <class Test>
  bool all(size_t column, Test test) const {
    return std::ranges::all_of(rows, [&](const auto& row) { return test(row.fields[column]); });
  }
  bool holds_times(size_t column) const {
    return column != value &&
           (all(column, is_time) || (!names.empty() && is_time_name(names[column])));
  }
  size_t width() const { return rows.front().fields.size(); }
};

[[noreturn]] void fail_several(const Lines& lines, const std::string& why) {
  fail(ErrorKind::data, lines.file, ": expected one series, found several: ", why,
       "; leave one of them in the file");
}

/// A column of names each of which stands in lines that follow each other: series one after the
/// other.
void check_no_blocks(const Lines& lines) {
  for (size_t column = 0; column < lines.width(); ++column) {
    const bool id = !lines.names.empty() && is_id_name(lines.names[column]);
    const bool text = !lines.all(column, [](const std::string& cell) {
      return is_missing(cell) || is_time(cell) || is_time_word(lower(cell)) || number_in(cell);
    });
    if (column == lines.value || !(id || text)) continue;
    std::set<std::string> seen;
    bool blocks = true;
    size_t second = 0;
    for (size_t i = 0; i < lines.rows.size() && blocks; ++i) {
      const std::string& cell = lines.rows[i].fields[column];
      if (i > 0 && cell == lines.rows[i - 1].fields[column]) continue;
      blocks = seen.insert(cell).second;
      if (seen.size() == 2 && second == 0) second = i;
    }
    if (!blocks || seen.size() < 2 || seen.size() * 3 > lines.rows.size()) continue;
    fail_several(lines,
                 concat("column ", lines.name(column), " has ", seen.size(), " names, from line ",
                        lines.rows[second].line, " on '", lines.rows[second].fields[column], "'"));
  }
}

/// "08:00", of which no day is told.
bool is_clock(const std::string& cell) {
  return cell.find(':') != cell.npos && cell.find_first_of("-/") == cell.npos &&
         !moment_of(cell, false);
}

/// The time of each line, as its cells say it; empty where none tells a day.
std::vector<std::string> times_of(const Lines& lines) {
  std::vector<std::string> times;
  for (size_t column = 0; column < lines.width(); ++column) {
    if (!lines.holds_times(column)) continue;
    const bool first = times.empty();
    times.resize(lines.rows.size());
    for (size_t i = 0; i < times.size(); ++i) {
      times[i] += (first ? "" : " ") + lines.rows[i].fields[column];
    }
  }
  if (!times.empty() && is_clock(times.front())) times.clear();
  return times;
}

/// Parts of times that have a column of their own.
std::string parts_of_time(const Lines& lines, const CsvRecord& row) {
  static const std::set<std::string> parts{"hour", "minute", "second", "period", "month", "day"};
  std::string all;
  for (size_t column = 0; column < lines.names.size(); ++column) {
    if (column != lines.value && parts.contains(lower(lines.names[column]))) {
      all += "\n" + row.fields[column];
    }
  }
  return all;
}

/// What tells line `b` from line `a` of the same time: ", of 'x' in column 'id' where it was 'y'".
std::string other_name(const Lines& lines, size_t a, size_t b) {
  for (size_t column = 0; column < lines.width(); ++column) {
    const std::string &old = lines.rows[a].fields[column], &now = lines.rows[b].fields[column];
    const bool name = !number_in(old) || (!lines.names.empty() && is_id_name(lines.names[column]));
    if (column != lines.value && old != now && name) {
      return concat(", of '", now, "' in column ", lines.name(column), " where it was '", old, "'");
    }
  }
  return "";
}

/// How many times are later than the one before, and how many earlier.
struct Order {
  size_t forth = 0, back = 0;
  size_t first_back = 0;  // its line
  size_t disorder() const { return std::min(forth, back); }
};

/// None where they cannot be told. Of "1/2/2020" what gives the better order is meant.
std::optional<Order> order_of(const std::vector<std::string>& times) {
  std::optional<Order> best;
  for (const bool day_first : {false, true}) {
    Order order;
    double before = 0;
    bool told = true;
    for (size_t i = 0; i < times.size() && told; ++i) {
      const auto moment = moment_of(times[i], day_first);
      told = moment.has_value();
      if (!told) break;
      if (i > 0 && *moment < before && order.back++ == 0) order.first_back = i;
      order.forth += i > 0 && *moment > before;
      before = *moment;
    }
    if (told && (!best || order.disorder() < best->disorder())) best = order;
  }
  return best;
}

/// Whether the newest line stands first. Throws where times say that there are several series, or
/// lines in no order.
bool is_turned_around(const Lines& lines, std::vector<std::string>* notes) {
  const std::vector<std::string> times = times_of(lines);
  if (times.empty()) {
    check_no_blocks(lines);
    return false;
  }
  std::unordered_map<std::string, size_t> seen;  // the first line of a time
  std::string again;                             // of the first one that comes twice
  size_t twice = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    const auto [place, fresh] = seen.try_emplace(times[i] + parts_of_time(lines, lines.rows[i]), i);
    if (fresh || twice++ > 0) continue;
    again = concat("line ", lines.rows[i].line, " has the time of line ",
                   lines.rows[place->second].line, " again (", times[i], ")",
                   other_name(lines, place->second, i));
  }
  if (twice * kDisorderPart > times.size()) fail_several(lines, again);
  const std::optional<Order> order = order_of(times);
  if (!order) return false;
  if (order->back > 0 && order->forth * kDisorderPart <= order->back) {
    if (notes) {
      notes->push_back(lines.file + ": its newest line is the first; read from the last line on");
    }
    return true;
  }
  if (order->back * kDisorderPart > times.size()) {
    const size_t at = order->first_back;
    fail(ErrorKind::data, lines.file, ": line ", lines.rows[at].line, " goes back in time (",
         times[at], " after ", times[at - 1], "); expected lines in the order of time");
  }
  if (notes && twice + order->back > 0) {
    notes->push_back(
        concat(lines.file, ": ", twice, " times come twice and ", order->back,
               " go back, as where clocks are put back; lines are read as they stand"));
  }
  return false;
}

// ---- the column ----

std::string list_of(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

/// Its place from 0 on. The first record holds the names if what stands there in the column is
/// neither a number nor a missing one, or names columns of numbers and times beside it.
size_t find_column(const Csv& csv, const ColumnRequest& request, const std::string& file,
                   bool& names) {
  const std::vector<std::string>& first = csv.records.front().fields;
  const std::string& column = request.column;
  const auto is_name = [](const std::string& cell) {
    return !is_missing(cell) && !number_in(cell) && !is_time(cell);
  };
  bool beside = false;
  for (size_t i = 0; i < first.size() && csv.records.size() > 1; ++i) {
    beside = beside || (is_name(first[i]) && !is_name(csv.records[1].fields[i]));
  }
  names = true;
  const auto named = std::ranges::find(first, column);
  // A year may name a column, too.
  if (!column.empty() && named != first.end() &&
      (is_name(column) || (beside && column.size() > 3))) {
    if (std::ranges::count(first, column) > 1) {
      fail(ErrorKind::data, file, ": column '", column, "' is there twice; give its number, as ",
           "--column ", named - first.begin() + 1);
    }
    return static_cast<size_t>(named - first.begin());
  }
  size_t place = first.size();  // from 1
  const bool lone = request.lone && first.size() == 1 && !is_name(first[0]);
  if (!column.empty() && !lone) {
    const auto [end, error] = std::from_chars(column.data(), column.data() + column.size(), place);
    if (error != std::errc() || end != column.data() + column.size() || place < 1 ||
        place > first.size()) {
      fail(ErrorKind::data, file, ": no column '", column,
           "'; its first line has: ", list_of(first));
    }
  }
  // Without a number in the column itself, other names tell what an empty cell is.
  const std::string& cell = first[place - 1];
  names = beside || (!is_missing(cell) && !number_in(cell)) ||
          (cell.empty() && std::ranges::any_of(first, is_name));
  return place - 1;
}

/// "11,37" alone on a line may be one number or two.
void check_no_halves(const Csv& csv, const ColumnRequest& request, const std::string& file) {
  if (csv.mark != ',' || csv.records.front().fields.size() != 2 || !request.column.empty()) return;
  for (const CsvRecord& record : csv.records) {
    const auto whole = [](std::string_view cell, bool sign) {
      if (sign && (cell.starts_with('-') || cell.starts_with('+'))) cell.remove_prefix(1);
      return !cell.empty() && std::ranges::all_of(cell, is_digit);
    };
    if (!whole(record.fields[0], true) || !whole(record.fields[1], false)) return;
  }
  const auto& fields = csv.records.front().fields;
  fail(ErrorKind::data, file, ": '", fields[0], ",", fields[1],
       "' may be two columns or one number ",
       "with a decimal comma; say --column 2 for the second column, or write ", fields[0], ".",
       fields[1]);
}

/// The one writing in which all cells are numbers, with a note where it is not the plain one.
Writing find_writing(const Lines& lines, char mark, std::vector<std::string>* notes) {
  std::vector<Writing> fitting;
  for (const Writing writing : {Writing::plain, Writing::comma_groups, Writing::decimal_commas}) {
    if (lines.all(lines.value,
                  [&](const auto& cell) { return is_missing(cell) || number_in(cell, writing); })) {
      fitting.push_back(writing);
    }
  }
  if (fitting.empty()) {
    const CsvRecord* odd = nullptr;
    for (const CsvRecord& row : lines.rows) {
      const std::string& cell = row.fields[lines.value];
      if (is_missing(cell) || number_in(cell, Writing::plain)) continue;
      if (!odd || !number_in(cell)) odd = &row;
      if (!number_in(cell)) break;
    }
    const std::string& cell = odd->fields[lines.value];
    fail(ErrorKind::data, lines.file, ": line ", odd->line, ": expected a number in column ",
         lines.name(lines.value), number_in(cell) ? " written as in other lines" : "", ", found '",
         cell, "'; ",
         lines.width() == 1 && cell.find(' ') != cell.npos
             ? "fields are parted by commas, semicolons, tabs or |"
             : "write it anew, leave the line out, or name another column");
  }
  if (fitting.front() == Writing::plain) return Writing::plain;
  Writing writing = fitting.front();
  const CsvRecord& example = *std::ranges::find_if(lines.rows, [&](const CsvRecord& row) {
    const std::string& found = row.fields[lines.value];
    return !is_missing(found) && !number_in(found, Writing::plain);
  });
  const std::string& cell = example.fields[lines.value];
  if (fitting.size() > 1) {
    // "1,234" alone: a comma that parts fields is none of their numbers' decimals.
    if (mark != ',' && mark != ';') {
      fail(ErrorKind::data, lines.file, ": line ", example.line, ": '", cell, "' in column ",
           lines.name(lines.value), " may have a decimal comma or thousands; write ",
           replaced(cell, ",", "."), " or ", replaced(cell, ",", ""));
    }
    writing = mark == ',' ? Writing::comma_groups : Writing::decimal_commas;
  }
  if (notes) {
    notes->push_back(concat(lines.file, ": column ", lines.name(lines.value), ": '", cell,
                            "' is read as ", number_text(*number_in(cell, writing), 10)));
  }
  return writing;
}

/// Missing values between others lie on the line through their neighbours; those at the ends go.
std::vector<double> filled(const std::vector<std::optional<double>>& found, const Lines& lines,
                           const ColumnRequest& request) {
  const auto missing = static_cast<size_t>(std::count(found.begin(), found.end(), std::nullopt));
  std::vector<double> values;
  std::vector<size_t> places;  // of those that are there
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i]) places.push_back(i);
  }
  if (missing > 0) {
    const auto at = std::find(found.begin(), found.end(), std::nullopt) - found.begin();
    const CsvRecord& row = lines.rows[static_cast<size_t>(at)];
    const std::string where =
        concat(lines.file, ": line ", row.line, ": no value in column ", lines.name(lines.value),
               ", found '", row.fields[lines.value], "'");
    if (request.missing == Missing::refuse) {
      fail(ErrorKind::data, where, "; fill it in, leave the line out, or say --missing fill");
    }
    if (missing * kMissingPart > found.size()) {
      fail(ErrorKind::data, where, "; ", missing, " of ", found.size(),
           " values are missing, expected a quarter at most");
    }
  }
  if (places.empty()) return values;
  for (size_t i = 0; i + 1 < places.size(); ++i) {
    const double from = *found[places[i]], to = *found[places[i + 1]];
    const auto steps = static_cast<double>(places[i + 1] - places[i]);
    for (size_t k = places[i]; k < places[i + 1]; ++k) {
      values.push_back(std::lerp(from, to, static_cast<double>(k - places[i]) / steps));
    }
  }
  values.push_back(*found[places.back()]);
  const size_t cut = found.size() - values.size();
  if (request.notes && missing > 0) {
    const size_t filled = missing - cut;
    request.notes->push_back(concat(
        lines.file, ": column ", lines.name(lines.value), ": missing values: ",
        filled > 0 ? concat(filled, " put on the line between their neighbours") : "",
        filled > 0 && cut > 0 ? ", " : "", cut > 0 ? concat(cut, " at the ends left out") : "",
        " (--missing refuse: an error)"));
  }
  return values;
}

/// Other columns that one may have meant.
void note_other_columns(const Lines& lines, const ColumnRequest& request) {
  if (!request.notes || !request.column.empty() || lines.names.empty()) return;
  std::vector<std::string> others;
  for (size_t column = 0; column < lines.width(); ++column) {
    const std::string low = lower(lines.names[column]);
    const bool numbers = lines.all(column, [](const auto& cell) {
      return is_missing(cell) || number_in(cell, Writing::plain);
    });
    if (column != lines.value && numbers && !lines.holds_times(column) && !low.empty()) {
      others.push_back(lines.names[column]);
    }
  }
  if (others.empty()) return;
  request.notes->push_back(concat(lines.file, ": read column ", lines.name(lines.value),
                                  ", the last one; other columns of numbers: ", list_of(others),
                                  " (--column)"));
}

}  // namespace

const EnumNames<Missing> kMissingNames = {{Missing::fill, "fill"}, {Missing::refuse, "refuse"}};

std::vector<double> read_column(std::string_view text, const std::string& name,
                                const ColumnRequest& request) {
  const Csv csv = read_csv(text, name);
  bool names = false;
  const size_t place = find_column(csv, request, name, names);
  if (!names) check_no_halves(csv, request, name);
  const Lines lines{.rows = std::span(csv.records).subspan(names ? 1 : 0),
                    .names = names ? csv.records.front().fields : std::vector<std::string>(),
                    .value = place,
                    .file = name};
  if (lines.rows.empty())
    fail(ErrorKind::data, name, ": expected lines of numbers, found names alone");
  const Writing writing = find_writing(lines, csv.mark, request.notes);
  std::vector<std::optional<double>> found;
  for (const CsvRecord& row : lines.rows) {
    const std::string& cell = row.fields[place];
    found.push_back(is_missing(cell) ? std::nullopt : number_in(cell, writing));
    if (found.back() && !(std::abs(*found.back()) <= kLargest)) {
      fail(ErrorKind::data, name, ": line ", row.line,
           ": expected a number of at most 1e100, found ", cell);
    }
  }
  const bool turned = is_turned_around(lines, request.notes);
  note_other_columns(lines, request);
  std::vector<double> values = filled(found, lines, request);
  if (values.empty())
    fail(ErrorKind::data, name, ": expected numbers in column ", lines.name(place), ", found none");
  if (turned) std::ranges::reverse(values);
  return values;
}

}  // namespace genai
