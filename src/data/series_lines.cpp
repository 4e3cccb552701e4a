// Which lines of a table are one series, and in what order they stand.
#include <optional>
#include <set>
#include <unordered_map>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/data/split_names.h"
#include "series_lines-inl.h"

namespace genai::series_lines {

bool is_time_name(const std::string& name) {
  static const std::set<std::string> names{"date", "datetime", "timestamp", "time", "ds"};
  return names.contains(lower_case(name));
}

bool is_id_name(const std::string& name) {
  const std::string low = lower_case(name);
  return low == "id" || low.ends_with("_id") || low == "series" || low == "item" || low == "store";
}

std::string list_of(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

namespace {

/// One line in so many may have a time that comes twice or goes back, as where clocks are put back,
/// before the table holds more than one series.
constexpr size_t kDisorderPart = 20;

/// @param name  what --series would choose one by; empty: nothing tells them apart
[[noreturn]] void fail_several(const Lines& lines, const std::string& why,
                               const std::string& name) {
  fail(ErrorKind::data, lines.file, ": expected one series, found several: ", why,
       name.empty() ? "; leave one of them in the file, or choose by data.series COLUMN=VALUE"
                    : concat("; choose one, as data.series \"", name, "\""));
}

/// What --series is to say: the name alone, with its column where it is a number or where it comes
/// to others.
std::string chosen_by(const Lines& lines, size_t column, const std::string& name) {
  const std::string whole = concat(lines.option(column), "=", name);
  return !lines.series.empty() ? lines.series + "," + whole : number_in(name) ? whole : name;
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

/// How many times are later than the one before, how many earlier, and how many much further away
/// than most.
struct Order {
  size_t forth = 0, back = 0, jumps = 0;
  size_t first_back = 0, first_jump = 0;  // their lines
  size_t disorder() const { return std::min(forth, back); }
};

/// Days without weekends and months of other lengths do not jump: most steps are as long. Nor does
/// the hour in which clocks are put forward.
void find_jumps(const std::vector<double>& moments, Order& order) {
  constexpr double kMost = 0.95, kFurther = 1.8, kHour = 3600;
  constexpr size_t kFewest = 8;
  std::vector<double> steps, sorted;
  for (size_t i = 1; i < moments.size(); ++i) {
    steps.push_back(std::abs(moments[i] - moments[i - 1]));
    if (steps.back() > 0) sorted.push_back(steps.back());  // a column beside tells the rest
  }
  if (sorted.size() < kFewest) return;
  std::ranges::sort(sorted);
  const double usual = sorted[static_cast<size_t>(kMost * static_cast<double>(sorted.size() - 1))];
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool jump = steps[i] > kFurther * usual && steps[i] != usual + kHour;
    if (jump && order.jumps++ == 0) order.first_jump = i + 1;
  }
}

/// None where they cannot be told. Of "1/2/2020" what gives the better order is meant, and of two
/// that are as good what jumps less.
std::optional<Order> order_of(const std::vector<std::string>& times) {
  std::optional<Order> best;
  for (const bool day_first : {false, true}) {
    Order order;
    std::vector<double> moments;
    for (const std::string& time : times) {
      const auto moment = moment_of(time, day_first);
      if (!moment) break;
      const double before = moments.empty() ? *moment : moments.back();
      if (*moment < before && order.back++ == 0) order.first_back = moments.size();
      order.forth += *moment > before;
      moments.push_back(*moment);
    }
    if (moments.size() < times.size()) continue;
    find_jumps(moments, order);
    const auto worse = [](const Order& o) { return std::pair(o.disorder(), o.jumps); };
    if (!best || worse(order) < worse(*best)) best = order;
  }
  return best;
}

/// "Total": neither a number nor a time nor nothing.
bool is_words(const std::string& cell) {
  return !is_missing(cell) && !number_in(cell) && !is_time(cell) &&
         cell.find_first_of("0123456789") == cell.npos;
}

/// Are the numbers of the column years, or another count that goes one way?
bool rises(std::span<const CsvRecord> rows, size_t column) {
  std::optional<double> before;
  bool up = true, down = true;
  for (const CsvRecord& row : rows) {
    const auto value = number_in(row.fields[column]);
    if (!value) return false;
    up = up && (!before || *value > *before);
    down = down && (!before || *value < *before);
    before = value;
  }
  return up || down;
}

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
    fail(ErrorKind::data, lines.file, ": the name '", text, "' of data.series stands in columns ",
         lines.name(found[0]), " and ", lines.name(found[1]), "; say which, as data.series \"",
         lines.option(found[0]), "=", text, "\"");
  }
  constexpr size_t kListed = 8;
  std::vector<std::string> listed(names.begin(), names.end());
  const bool more = listed.size() > kListed;
  if (more) listed.resize(kListed);
  fail(ErrorKind::data, lines.file, ": no series '", text, "'; ",
       listed.empty() ? "no column of it holds names (data.series COLUMN=VALUE)"
                      : concat("expected one of ", list_of(listed), more ? ", ..." : ""));
}

}  // namespace

void check_no_footer(const Lines& lines) {
  constexpr size_t kFewest = 3;  // lines above it
  for (size_t column = 0; column < lines.width(); ++column) {
    const auto cell = [&](size_t row) { return lines.rows[row].fields[column]; };
    size_t end = lines.rows.size();
    while (end > 0 && is_words(cell(end - 1))) --end;
    if (column == lines.value || end == lines.rows.size() || end < kFewest) continue;
    const auto above = lines.rows.first(end);
    const bool times = std::ranges::all_of(
        above, [&](const CsvRecord& row) { return is_time(row.fields[column]); });
    if (!times && !rises(above, column)) continue;
    fail(ErrorKind::data, lines.file, ": line ", lines.rows[end].line, ": expected a ",
         times ? "time" : "number", " in column ", lines.name(column),
         " as in the lines above, found '", cell(end),
         "'; sums and notes below the series are none of it: leave them out");
  }
}

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
  if (notes && order->jumps > 0) {
    const size_t at = order->first_jump;
    notes->push_back(
        concat(lines.file, ": time jumps from ", times[at - 1], " to ", times[at], " in line ",
               lines.rows[at].line,
               order->jumps > 1 ? concat(", and in ", order->jumps - 1, " more") : std::string(),
               "; values are read as if nothing were between"));
  }
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

}  // namespace genai::series_lines
