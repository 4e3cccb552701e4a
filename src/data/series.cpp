#include "genai/data/series.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

#include "genai/base/error.h"
#include "genai/base/text.h"

namespace genai {
namespace {

constexpr int64_t kUsualLevels = 64;

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// Fields of a line; quoted ones may hold the mark that parts fields and doubled quotes.
std::vector<std::string> fields_of(std::string_view line, char mark) {
  std::vector<std::string> fields{""};
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == mark && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  for (std::string& field : fields) field = trimmed(field);
  return fields;
}

char mark_of(std::string_view line) {
  for (const char mark : {';', '\t'}) {
    if (line.find(mark) != line.npos) return mark;
  }
  return ',';
}

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(value)) {
    return {};
  }
  return value;
}

struct Line {
  size_t number;   // from 1
  std::vector<std::string> fields;
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);   // spreadsheets write it
  char mark = 0;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    if (!mark) mark = mark_of(line);
    lines.push_back({number, fields_of(line, mark)});
  }
  return lines;
}

/// Which field it is, and whether the first line holds names.
std::pair<size_t, bool> find_column(const std::vector<std::string>& first,
                                    const std::string& column, const std::string& name) {
  const auto named = std::ranges::find(first, column);
  if (!column.empty() && named != first.end() && !number_in(column)) {
    return {static_cast<size_t>(named - first.begin()), true};
  }
  size_t place = first.size();   // from 1
  if (!column.empty() && first.size() > 1) {
    const auto [end, error] =
        std::from_chars(column.data(), column.data() + column.size(), place);
    if (error != std::errc() || end != column.data() + column.size() || place < 1 ||
        place > first.size()) {
      std::string all;
      for (const std::string& field : first) all += (all.empty() ? "" : ", ") + field;
      fail(ErrorKind::data, name, ": no column '", column, "'; its first line has: ", all);
    }
  }
  return {place - 1, !number_in(first[place - 1])};
}

double scaled(TokenizerKind kind, double value) {
  return kind == TokenizerKind::returns ? std::log(value) : value;
}

/// What is added to the scaled value before `t` where nothing is new: the change of a season ago.
double usual_change(TokenizerKind kind, int64_t season, std::span<const double> values, size_t t) {
  if (season == 0) return 0;
  const size_t ago = t - static_cast<size_t>(season);
  return scaled(kind, values[ago]) - scaled(kind, values[ago - 1]);
}

std::vector<double> changes_of(TokenizerKind kind, int64_t season, std::span<const double> values) {
  for (const double value : values) {
    if (kind == TokenizerKind::returns && !(value > 0)) {
      fail(ErrorKind::data, "returns: expected values above 0, found ", value,
           "; use --tokenizer differences");
    }
  }
  std::vector<double> changes;
  for (size_t t = static_cast<size_t>(season) + 1; t < values.size(); ++t) {
    changes.push_back(scaled(kind, values[t]) - scaled(kind, values[t - 1]) -
                      usual_change(kind, season, values, t));
  }
  return changes;
}

}  // namespace

std::vector<double> read_column(std::string_view text, const std::string& column,
                                const std::string& name) {
  const std::vector<Line> lines = lines_of(text);
  if (lines.empty()) fail(ErrorKind::data, name, ": expected lines of numbers, found none");
  const auto [place, names] = find_column(lines.front().fields, column, name);
  std::vector<double> values;
  for (size_t i = names ? 1 : 0; i < lines.size(); ++i) {
    const auto& fields = lines[i].fields;
    const auto value = place < fields.size() ? number_in(fields[place]) : std::nullopt;
    if (!value) {
      fail(ErrorKind::data, name, ": line ", lines[i].number, ": expected a number in column ",
           names ? "'" + lines.front().fields[place] + "'" : std::to_string(place + 1), ", found ",
           place < fields.size() ? "'" + fields[place] + "'" : "no such column",
           "; fill it in, leave the line out, or name another column");
    }
    values.push_back(*value);
  }
  if (values.empty()) fail(ErrorKind::data, name, ": expected lines of numbers, found names alone");
  return values;
}

std::string series_text(std::span<const double> values) {
  std::string text;
  for (const double value : values) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    text.append(digits, end) += '\n';
  }
  return text;
}

bool is_series_tokenizer(const std::string& name) {
  return name == enum_name(kTokenizerNames, TokenizerKind::differences) ||
         name == enum_name(kTokenizerNames, TokenizerKind::returns);
}

Changes Changes::learn(TokenizerKind kind, std::span<const double> values, int64_t levels,
                       int64_t season, const std::string& column) {
  std::vector<double> sorted = changes_of(kind, season, values);
  std::ranges::sort(sorted);
  if (sorted.empty() || sorted.front() == sorted.back()) {
    fail(ErrorKind::data, "a series: expected at least two different changes between its values, ",
         "found ", values.size(), " values", sorted.empty() ? "" : " that change all alike");
  }
  const auto count = static_cast<int64_t>(sorted.size());
  if (levels == 0) levels = std::min(kUsualLevels, count);
  if (levels < 2 || levels > count) {
    fail(ErrorKind::usage, "vocabulary: expected 2 to ", count, " levels, no more than there are ",
         "changes, found ", levels);
  }
  Levels found{.kind = kind, .season = season, .column = column, .edges = {}, .changes = {}};
  size_t from = 0;
  for (int64_t level = 1; level <= levels; ++level) {
    auto to = static_cast<size_t>(level * count / levels);
    if (to <= from) continue;   // the level before took its place
    // Equal changes are of one level: this one ends before them, or behind them where it holds
    // nothing else.
    if (to < sorted.size() && sorted[to - 1] == sorted[to]) {
      const auto equal = std::ranges::equal_range(sorted, sorted[to]);
      const auto first = static_cast<size_t>(equal.begin() - sorted.begin());
      to = first > from ? first : static_cast<size_t>(equal.end() - sorted.begin());
    }
    const auto begin = sorted.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(to);
    found.changes.push_back(std::accumulate(begin, end, 0.0) / static_cast<double>(to - from));
    if (to < sorted.size()) found.edges.push_back(std::midpoint(sorted[to - 1], sorted[to]));
    from = to;
  }
  return Changes(std::move(found));
}

std::vector<int32_t> Changes::encode(std::string_view text) const {
  return encode(read_column(text, levels_.column, "the series"));
}

std::vector<int32_t> Changes::encode(std::span<const double> values) const {
  if (static_cast<int64_t>(values.size()) <= lead()) {
    fail(ErrorKind::data, "the series: expected at least ", lead() + 1, " values",
         levels_.season > 0 ? ", more than a season" : "", ", found ", values.size());
  }
  std::vector<int32_t> ids;
  for (const double change : changes_of(levels_.kind, levels_.season, values)) {
    const auto above = std::ranges::upper_bound(levels_.edges, change);
    ids.push_back(static_cast<int32_t>(above - levels_.edges.begin()));
  }
  return ids;
}

std::string Changes::token(int32_t id) const {
  check(id);
  const double change = levels_.changes[static_cast<size_t>(id)];
  const bool returns = levels_.kind == TokenizerKind::returns;
  return concat(change < 0 ? "" : "+",
                number_text(returns ? 100 * std::expm1(change) : change, 4), returns ? "%\n" : "\n");
}

std::vector<double> Changes::follow(std::span<const double> past,
                                    std::span<const int32_t> ids) const {
  const auto known = past.last(static_cast<size_t>(lead()));
  std::vector<double> values(known.begin(), known.end());
  for (const int32_t id : ids) {
    check(id);
    const double change = usual_change(levels_.kind, levels_.season, values, values.size()) +
                          levels_.changes[static_cast<size_t>(id)];
    const double last = values.back();
    values.push_back(levels_.kind == TokenizerKind::returns ? last * std::exp(change)
                                                            : last + change);
  }
  return {values.begin() + lead(), values.end()};
}

Json Changes::to_json() const {
  return {{"kind", enum_name(kTokenizerNames, levels_.kind)},
          {"season", levels_.season},
          {"column", levels_.column},
          {"edges", levels_.edges},
          {"changes", levels_.changes}};
}

}  // namespace genai
