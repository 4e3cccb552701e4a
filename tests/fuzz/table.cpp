// Tables of comma-separated values, and a series of one of their columns.
#include <cmath>

#include "fuzz.h"
#include "genai/data/csv.h"
#include "genai/data/series.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = view(data, size);
  const uint8_t choice = take_byte(text);
  const std::string columns[] = {"", "1", "2", "value"};
  std::vector<std::string> notes;
  const ColumnRequest request{.column = columns[choice % 4],
                              .missing = choice & 4 ? Missing::refuse : Missing::fill,
                              .lone = (choice & 8) != 0,
                              .series = choice & 128 ? "a" : "",
                              .settled = (choice & 64) != 0,
                              .notes = &notes};
  Csv csv;
  const bool table = reads([&] { csv = read_csv(text, "fuzz"); });
  for (const CsvRecord& record : csv.records)
    promise(record.fields.size() == csv.records.front().fields.size(), "all records are as wide");
  std::vector<double> values;
  if (!reads([&] { values = read_column(text, "fuzz", request); })) return 0;
  promise(table && !values.empty(), "a column is of a table and has values");
  for (const double value : values)
    promise(std::abs(value) <= 1e100, "values are numbers of no more than 1e100");
  promise(read_column(series_text(values), "fuzz", {.column = "1"}) == values,
          "a series is the same after writing and reading");
  for (const TokenizerKind kind : {TokenizerKind::differences, TokenizerKind::returns}) {
    reads([&] {
      const Changes changes = Changes::learn(kind, values, 0, choice >> 4, "");
      changes.follow(values, changes.encode(values));
    });
  }
  return 0;
}
