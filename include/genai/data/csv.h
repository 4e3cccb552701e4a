// Tables of comma-separated values as RFC 4180 has them.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace genai {

struct CsvRecord {
  size_t line;                      ///< of its beginning, from 1
  std::vector<std::string> fields;  ///< without quotes, and without white space around them
};

struct Csv {
  char mark = ',';                 ///< between fields
  std::vector<CsvRecord> records;  ///< each with as many fields as the first, but for `problem`
  std::string problem;             ///< the first one: "line 3: expected ..."; empty: none
};

/// Fields in quotes may hold the mark, line ends and doubled quotes; a quote inside of a field that
/// does not begin with one is a letter. Lines that are empty or begin with '#' are passed over. The
/// mark is what a first line "sep=X" says, else that of ; tab | and , that parts all lines into
/// equally many fields.
/// Problems are a quote that is not closed, letters behind one that is, a record with more or fewer
/// fields than the first.
Csv parse_csv(std::string_view text);

/// The same. Throws Error{data} naming the problem, or where there is no record.
Csv read_csv(std::string_view text, const std::string& name);

}  // namespace genai
