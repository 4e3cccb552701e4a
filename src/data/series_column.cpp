// One column of a table as numbers: which one, how its numbers are written, what is missing.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/data/split_names.h"
#include "series_lines-inl.h"

namespace genai {
namespace {

using namespace series_lines;

/// Sums and products of changes stay finite below it.
constexpr double kLargest = 1e100;
/// One value in so many may be missing.
constexpr size_t kMissingPart = 4;

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
           "data.column ", named - first.begin() + 1);
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
       "with a decimal comma; say data.column 2 for the second column, or write ", fields[0], ".",
       fields[1]);
}

/// Of numbers that may have decimals or thousands behind every dot ("1.556") the first one; none
/// where they cannot. Throws where numbers without a dot beside them say that they are thousands,
/// or that three decimals are there by chance.
const CsvRecord* dotted_thousands(const Lines& lines, Writing last_fitting) {
  if (last_fitting != Writing::decimal_commas) return nullptr;
  const CsvRecord* dotted = nullptr;
  bool bare = false;
  for (const CsvRecord& row : lines.rows) {
    const std::string& cell = row.fields[lines.value];
    if (is_missing(cell)) continue;
    const bool dot = cell.find('.') != cell.npos;
    bare = bare || !dot;
    if (dot && !dotted) dotted = &row;
    if (!dot && std::abs(*number_in(cell, Writing::plain)) >= 1000) return nullptr;
  }
  if (!dotted || !bare) return dotted;
  const std::string& cell = dotted->fields[lines.value];
  fail(ErrorKind::data, lines.file, ": line ", dotted->line, ": '", cell, "' in column ",
       lines.name(lines.value), " may have decimals or thousands; write ", replaced(cell, ".", ","),
       " or ", replaced(cell, ".", ""));
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
  if (fitting.front() == Writing::plain) {
    const CsvRecord* dotted = mark == ',' ? nullptr : dotted_thousands(lines, fitting.back());
    if (dotted && notes) {
      const std::string& cell = dotted->fields[lines.value];
      notes->push_back(concat(lines.file, ": column ", lines.name(lines.value), ": '", cell,
                              "' is read as ", number_text(*number_in(cell, Writing::plain), 10),
                              "; if its dots part thousands, write ", replaced(cell, ".", "")));
    }
    return Writing::plain;
  }
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
      fail(ErrorKind::data, where, "; fill it in, leave the line out, or say data.missing fill");
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
        " (data.missing refuse: an error)"));
  }
  return values;
}

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
         ": ", list_of(names), "; say which, as data.column \"", names.back(), "\"");
  }
  if (columns.size() > 1 && request.notes) {
    names.erase(names.begin() + (std::ranges::find(columns, chosen) - columns.begin()));
    request.notes->push_back(concat(lines.file, ": read column ", lines.name(chosen),
                                    "; other columns of numbers: ", list_of(names),
                                    " (data.column)"));
  }
  if (request.chosen && (columns.size() > 1 || chosen != last)) {
    *request.chosen = lines.option(chosen);
  }
  return chosen;
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
              .file = name,
              .series = request.series};
  if (lines.rows.empty())
    fail(ErrorKind::data, name, ": expected lines of numbers, found names alone");
  std::vector<CsvRecord> rows;
  if (!request.series.empty()) {
    if (request.column.empty()) lines.value = lines.width();  // not known yet
    rows = lines_of_series(lines, request);
    lines.rows = rows;
  }
  lines.value = request.column.empty() ? choose_column(lines, request) : place;
  if (!request.settled) check_no_footer(lines);
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
