// The lines of a table, and which of them are one series: what series_column asks series_lines.
#pragma once
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "genai/data/cells.h"
#include "genai/data/csv.h"
#include "genai/data/series.h"
#include "genai/data/unicode.h"

namespace genai::series_lines {

/// Do columns of that name hold times, or names of series?
bool is_time_name(const std::string& name);
bool is_id_name(const std::string& name);

/// The lines of a table below its names.
struct Lines {
  std::span<const CsvRecord> rows;
  std::vector<std::string> names;  ///< empty: there are none
  size_t value;                    ///< the column to read
  const std::string& file;
  const std::string& series;  ///< what --series says

  /// By a name that can be typed; else by its number.
  bool is_named(size_t column) const {
    return !names.empty() && !names[column].empty() && is_utf8(names[column]);
  }
  /// As --column takes it.
  std::string option(size_t column) const {
    return is_named(column) ? names[column] : std::to_string(column + 1);
  }
  std::string name(size_t column) const {
    return is_named(column) ? "'" + names[column] + "'" : option(column);
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

/// "a, b"
std::string list_of(const std::vector<std::string>& names);

/// Throws where the last lines have words in a column of numbers or times, as "Total" has.
void check_no_footer(const Lines& lines);

/// Whether the newest line stands first. Throws where times say that there are several series, or
/// lines in no order.
bool is_turned_around(const Lines& lines, std::vector<std::string>* notes);

/// The lines of the series that `request` names. Throws where it is not there or may be several.
std::vector<CsvRecord> lines_of_series(const Lines& lines, const ColumnRequest& request);

}  // namespace genai::series_lines
