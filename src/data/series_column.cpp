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
#include "genai/data/cells.h"
#include "genai/data/csv.h"
#include "genai/data/series.h"
#include "genai/data/split_names.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

/// Sums and products of changes stay finite below it.
constexpr double kLargest = 1e100;
/// Shares of the lines: of values that may be missing, and of times that may come twice or go back
/// (as when clocks are put back) before the table holds more than one series.
constexpr size_t kMissingPart = 4, kDisorderPart = 20;

bool is_time_name(const std::string& name) {
  static const std::set<std::string> names{"date", "datetime", "timestamp", "time", "ds"};
  return names.contains(lower_case(name));
}

bool is_id_name(const std::string& name) {
  const std::string low = lower_case(name);
  return low == "id" || low.ends_with("_id") || low == "series" || low == "item" || low == "store";
}

/// The lines of a table below its names.
struct Lines {
  std::span<const CsvRecord> rows;
  std::vector<std::string> names;  ///< empty: there are none
  size_t value;                    ///< the column to read
  const std::string& file;

  std::string name(size_t column) const {
    const std::string text = option(column);
    return names.empty() || names[column].empty() ? text : "'" + text + "'";
  }
  /// As --column takes it.
  std::string option(size_t column) const {
    const bool named =
        !names.empty() && !names[column].empty() && valid_utf8(names[column]) == names[column];
    return named ? names[column] : std::to_string(column + 1);
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

/// @param name  what --series would choose one by; empty: nothing tells them apart
[[noreturn]] void fail_several(const Lines& lines, const std::string& why,
                               const std::string& name) {
  fail(ErrorKind::data, lines.file, ": expected one series, found several: ", why,
       name.empty() ? "; leave one of them in the file, or choose by --series COLUMN=VALUE"
                    : concat("; choose one, as --series \"", name, "\""));
}

/// What --series says: the name alone, with its column where it is a number.
std::string chosen_by(const Lines& lines, size_t column, const std::string& name) {
  return number_in(name) ? concat(lines.option(column), "=", name) : name;
}

/// Does the column name series, by its own name or by what stands in it?
bool holds_names(const Lines& lines, size_t column) {
  const bool id = !lines.names.empty() && is_id_name(lines.names[column]);
  return column != lines.value && (id || !lines.all(column, [](const std::string& cell) {
           return is_missing(cell) || is_time(cell) || is_time_word(lower_case(cell)) ||
                  number_in(cell);
         }));
}

/// A column of names each of which stands in lines that follow each other: series one after the
/// other.
void check_no_blocks(const Lines& lines) {
  for (size_t column = 0; column < lines.width(); ++column) {
    if (!holds_names(lines, column)) continue;
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
    const std::string& name = lines.rows[second].fields[column];
    fail_several(lines,
                 concat("column ", lines.name(column), " has ", seen.size(), " names, from line ",
                        lines.rows[second].line, " on '", name, "'"),
                 chosen_by(lines, column, name));
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
    if (column != lines.value && parts.contains(lower_case(lines.names[column]))) {
      all += "\n" + row.fields[column];
    }
  }
  return all;
}

/// The column that tells line `b` from line `a` of the same time; the width where none does.
size_t telling_column(const Lines& lines, size_t a, size_t b) {
  size_t column = 0;
  while (column < lines.width() && (lines.rows[a].fields[column] == lines.rows[b].fields[column] ||
                                    !holds_names(lines, column)))
    ++column;
  return column;
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
  std::string again, name;                       // of the first one that comes twice
  size_t twice = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    const auto [place, fresh] = seen.try_emplace(times[i] + parts_of_time(lines, lines.rows[i]), i);
    if (fresh || twice++ > 0) continue;
    again = concat("line ", lines.rows[i].line, " has the time of line ",
                   lines.rows[place->second].line, " again (", times[i], ")");
    const size_t column = telling_column(lines, place->second, i);
    if (column == lines.width()) continue;
    const std::string &old = lines.rows[place->second].fields[column],
                      &now = lines.rows[i].fields[column];
    again += concat(", of '", now, "' in column ", lines.name(column), " where it was '", old, "'");
    name = chosen_by(lines, column, old);
  }
  if (twice * kDisorderPart > times.size()) fail_several(lines, again, name);
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
      return !cell.empty() && cell.find_first_not_of("0123456789") == cell.npos;
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

// ---- which column, when nobody says ----

/// Do the numbers count the lines, up or down, or never change?
bool says_nothing(const Lines& lines, size_t column) {
  std::optional<double> before;
  bool up = true, down = true, same = true;
  int steps = 0;
  for (const CsvRecord& row : lines.rows) {
    const auto value = number_in(row.fields[column]);
    if (!value || !before) {
      before = value ? value : before;
      continue;
    }
    ++steps;
    up = up && *value == *before + 1;
    down = down && *value == *before - 1;
    same = same && *value == *before;
    before = value;
  }
  return (steps > 0 && same) || (steps > 1 && (up || down));
}

/// Columns that hold numbers, mostly, and are neither times nor names of series nor a count.
std::vector<size_t> value_columns(const Lines& lines) {
  static const std::set<std::string> parts{"year",    "quarter", "month",  "week",  "day",
                                           "weekday", "hour",    "minute", "second"};
  std::vector<size_t> columns;
  for (size_t column = 0; column < lines.width(); ++column) {
    const auto numbers = std::ranges::count_if(lines.rows, [&](const CsvRecord& row) {
      return is_missing(row.fields[column]) || number_in(row.fields[column]).has_value();
    });
    const std::string name = lines.names.empty() ? "" : lower_case(lines.names[column]);
    if (2 * static_cast<size_t>(numbers) >= lines.rows.size() && !is_time_name(name) &&
        !is_id_name(name) && !parts.contains(name) && !says_nothing(lines, column)) {
      columns.push_back(column);
    }
  }
  return columns;
}

/// The only column of values, or the only one called so. Throws where one may mean several.
size_t choose_column(const Lines& lines, const ColumnRequest& request) {
  static const std::set<std::string> obvious{"value", "values", "y", "target", "close"};
  const size_t last = lines.width() - 1;
  if (last == 0) return 0;
  const std::vector<size_t> columns = value_columns(lines);
  const bool last_fits = std::ranges::count(columns, last) > 0;
  if (columns.empty() || (request.settled && last_fits)) return last;
  size_t chosen = columns.front(), called_so = 0;
  std::vector<std::string> names;
  for (const size_t column : columns) {
    names.push_back(lines.option(column));
    if (lines.names.empty() || !obvious.contains(lower_case(lines.names[column]))) continue;
    chosen = column;
    ++called_so;
  }
  if (columns.size() > 1 && called_so != 1) {
    fail(ErrorKind::data, lines.file, ": expected one column of values, found ", columns.size(),
         ": ", list_of(names), "; say which, as --column \"", names.back(), "\"");
  }
  if (columns.size() > 1 && request.notes) {
    names.erase(names.begin() + (std::ranges::find(columns, chosen) - columns.begin()));
    request.notes->push_back(concat(lines.file, ": read column ", lines.name(chosen),
                                    "; other columns of numbers: ", list_of(names), " (--column)"));
  }
  if (request.chosen && (columns.size() > 1 || chosen != last)) {
    *request.chosen = lines.option(chosen);
  }
  return chosen;
}

// ---- one series of several ----

/// A column and what stands in it in the lines of the series.
struct Key {
  size_t column;
  std::string name;
};

/// "a" or "store=1" of --series.
Key find_key(const Lines& lines, const std::string& text) {
  const size_t equals = text.find('=');
  for (size_t column = 0; column < lines.width() && equals != text.npos; ++column) {
    const std::string name = text.substr(0, equals);
    if (name == std::to_string(column + 1) || (!lines.names.empty() && lines.names[column] == name))
      return {column, text.substr(equals + 1)};
  }
  std::vector<size_t> found;
  std::set<std::string> names;
  for (size_t column = 0; column < lines.width(); ++column) {
    if (!holds_names(lines, column)) continue;
    std::set<std::string> here;
    for (const CsvRecord& row : lines.rows) here.insert(row.fields[column]);
    if (here.contains(text)) found.push_back(column);
    names.merge(here);
  }
  if (found.size() == 1) return {found.front(), text};
  if (found.size() > 1) {
    fail(ErrorKind::data, lines.file, ": the name '", text, "' of --series stands in columns ",
         lines.name(found[0]), " and ", lines.name(found[1]), "; say which, as --series \"",
         lines.option(found[0]), "=", text, "\"");
  }
  constexpr size_t kListed = 8;
  std::vector<std::string> listed(names.begin(), names.end());
  const bool more = listed.size() > kListed;
  if (more) listed.resize(kListed);
  fail(ErrorKind::data, lines.file, ": no series '", text, "'; ",
       listed.empty() ? "no column of it holds names (--series COLUMN=VALUE)"
                      : concat("expected one of ", list_of(listed), more ? ", ..." : ""));
}

/// The lines of the series that `request` names.
std::vector<CsvRecord> lines_of_series(const Lines& lines, const ColumnRequest& request) {
  std::vector<CsvRecord> rows(lines.rows.begin(), lines.rows.end());
  bool names = false;
  for (size_t column = 0; column < lines.width(); ++column)
    names = names || holds_names(lines, column);
  if (request.lone && !names) return rows;
  const std::string& all = request.series;
  for (size_t at = 0; at < all.size();) {
    // Names may hold commas: only those before another COLUMN= part them.
    size_t end = all.size();
    if (const size_t equals = all.find('=', all.find(',', at)); equals != all.npos)
      end = all.rfind(',', equals);
    const Key key = find_key(lines, all.substr(at, end - at));
    std::erase_if(rows, [&](const CsvRecord& row) { return row.fields[key.column] != key.name; });
    if (rows.empty()) {
      fail(ErrorKind::data, lines.file, ": no line of the series ", all, ": none has '", key.name,
           "' in column ", lines.name(key.column));
    }
    at = end + 1;
  }
  return rows;
}

}  // namespace

const EnumNames<Missing> kMissingNames = {{Missing::fill, "fill"}, {Missing::refuse, "refuse"}};

std::vector<double> read_column(std::string_view text, const std::string& name,
                                const ColumnRequest& request) {
  const Csv csv = read_csv(text, name);
  bool names = false;
  const size_t place = find_column(csv, request, name, names);
  if (!names) check_no_halves(csv, request, name);
  Lines lines{.rows = std::span(csv.records).subspan(names ? 1 : 0),
              .names = names ? csv.records.front().fields : std::vector<std::string>(),
              .value = place,
              .file = name};
  if (lines.rows.empty())
    fail(ErrorKind::data, name, ": expected lines of numbers, found names alone");
  std::vector<CsvRecord> rows;
  if (!request.series.empty()) {
    if (request.column.empty()) lines.value = lines.width();  // not known yet
    rows = lines_of_series(lines, request);
    lines.rows = rows;
  }
  lines.value = request.column.empty() ? choose_column(lines, request) : place;
  const Writing writing = find_writing(lines, csv.mark, request.notes);
  std::vector<std::optional<double>> found;
  for (const CsvRecord& row : lines.rows) {
    const std::string& cell = row.fields[lines.value];
    found.push_back(is_missing(cell) ? std::nullopt : number_in(cell, writing));
    if (found.back() && !(std::abs(*found.back()) <= kLargest)) {
      fail(ErrorKind::data, name, ": line ", row.line,
           ": expected a number of at most 1e100, found ", cell);
    }
  }
  const bool turned = is_turned_around(lines, request.notes);
  std::vector<double> values = filled(found, lines, request);
  if (values.empty())
    fail(ErrorKind::data, name, ": expected numbers in column ", lines.name(lines.value),
         ", found none");
  if (turned) std::ranges::reverse(values);
  return values;
}

}  // namespace genai
