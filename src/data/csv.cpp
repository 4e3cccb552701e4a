#include "genai/data/csv.h"

#include <algorithm>
#include <utility>

#include "genai/base/error.h"

namespace genai {
namespace {

/// Lines that tell what parts fields.
constexpr int kLookedAt = 1000;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Reads record after record.
class CsvReader {
 public:
  CsvReader(std::string_view text, char mark) : text_(text), mark_(mark) {}

  /// False at the end, and where `problem` says what is wrong.
  bool next(CsvRecord& record) {
    skip_lines_without_fields();
    if (at_ == text_.size()) return false;
    record = {line_, {}};
    do {
      record.fields.push_back(field());
    } while (problem.empty() && take(mark_));
    take('\r');
    if (take('\n')) ++line_;
    return problem.empty();
  }

  std::string problem;

 private:
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void skip_lines_without_fields() {
    while (at_ < text_.size()) {
      const size_t end = std::min(text_.find('\n', at_), text_.size());
      const std::string_view line = text_.substr(at_, end - at_);
      // Blanks between tabs are empty fields.
      const bool empty = trimmed(line).empty() && line.find(mark_) == line.npos;
      if (!empty && !line.starts_with('#')) return;
      at_ = std::min(end + 1, text_.size());
      ++line_;
    }
  }

  std::string field() {
    while (at_ < text_.size() && is_blank(text_[at_]) && text_[at_] != mark_) ++at_;
    if (take('"')) return quoted();
    const size_t from = at_;
    while (at_ < text_.size() && text_[at_] != mark_ && text_[at_] != '\n') ++at_;
    return std::string(trimmed(text_.substr(from, at_ - from)));
  }

  std::string quoted() {
    const size_t line = line_;
    std::string field;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] == '"' && (++at_ == text_.size() || text_[at_] != '"')) {
        while (at_ < text_.size() && is_blank(text_[at_]) && text_[at_] != mark_) ++at_;
        if (at_ < text_.size() && text_[at_] != mark_ && text_[at_] != '\n') {
          problem =
              concat("line ", line_, ": expected the end of a field behind its closing quote, ",
                     "found '", text_[at_], "'; quotes within quotes are doubled");
        }
        return field;
      }
      field += text_[at_];
    }
    problem = concat("line ", line, ": expected a closing quote, found none up to the end");
    return field;
  }

  std::string_view text_;
  char mark_;
  size_t at_ = 0, line_ = 1;
};

/// The first mark that parts all lines alike; where there is none, the first one that is in the
/// first line.
char mark_of(std::string_view text) {
  char first_line = 0;
  for (const char mark : {';', '\t', '|', ','}) {
    CsvReader reader(text, mark);
    CsvRecord record;
    size_t width = 0;
    bool alike = true;
    for (int lines = 0; lines < kLookedAt && alike && reader.next(record); ++lines) {
      if (width == 0) width = record.fields.size();
      alike = record.fields.size() == width;
    }
    if (alike && reader.problem.empty() && width > 1) return mark;
    if (width > 1 && !first_line) first_line = mark;
  }
  return first_line ? first_line : ',';
}

}  // namespace

Csv parse_csv(std::string_view text) {
  const std::string_view first = text.substr(0, text.find('\n'));
  const bool told =
      first.starts_with("sep=") && trimmed(first.substr(4)).size() <= 1 && first.size() > 4;
  Csv csv{.mark = told ? first[4] : mark_of(text), .records = {}, .problem = {}};
  CsvReader reader(text, csv.mark);
  CsvRecord record;
  bool skip = told;
  while (reader.next(record)) {
    if (std::exchange(skip, false)) continue;
    csv.records.push_back(record);
    const CsvRecord& begin = csv.records.front();
    const size_t width = begin.fields.size(), found = record.fields.size();
    if (found == width || !csv.problem.empty()) continue;
    csv.problem = concat(
        "line ", record.line, ": expected ", width, width == 1 ? " field" : " fields",
        " as in line ", begin.line, ", found ", found,
        csv.mark == ',' && found > width
            ? "; where numbers have decimal commas, put them in quotes or part the fields by ;"
            : "");
  }
  // What the reader stops at comes last in the text, but says more than a width that it made wrong.
  if (!reader.problem.empty()) csv.problem = reader.problem;
  return csv;
}

Csv read_csv(std::string_view text, const std::string& name) {
  Csv csv = parse_csv(text);
  if (!csv.problem.empty()) fail(ErrorKind::data, name, ": ", csv.problem);
  if (csv.records.empty()) fail(ErrorKind::data, name, ": expected lines of numbers, found none");
  return csv;
}

}  // namespace genai
