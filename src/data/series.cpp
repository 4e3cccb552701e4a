#include "genai/data/series.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "genai/base/error.h"
#include "genai/base/text.h"

namespace genai {
namespace {

constexpr int64_t kUsualLevels = 64;

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
           "; use data.tokenizer differences");
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
                       int64_t season, const std::string& column, const std::string& series) {
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
  Levels found{.kind = kind,
               .season = season,
               .column = column,
               .series = series,
               .edges = {},
               .changes = {}};
  size_t from = 0;
  for (int64_t level = 1; level <= levels; ++level) {
    auto to = static_cast<size_t>(level * count / levels);
    if (to <= from) continue;  // the level before took its place
    // Equal changes are of one level: this one ends before them, or behind them where it holds
    // nothing else.
    if (to < sorted.size() && sorted[to - 1] == sorted[to]) {
      const auto [low, high] = std::equal_range(sorted.begin(), sorted.end(), sorted[to]);
      const auto first = static_cast<size_t>(low - sorted.begin());
      to = first > from ? first : static_cast<size_t>(high - sorted.begin());
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
  return encode(read_column(text, "the series", request()));
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
  return concat(change < 0 ? "" : "+", number_text(returns ? 100 * std::expm1(change) : change, 4),
                returns ? "%\n" : "\n");
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
  Json json{{"kind", enum_name(kTokenizerNames, levels_.kind)},
            {"season", levels_.season},
            {"column", levels_.column},
            {"edges", levels_.edges},
            {"changes", levels_.changes}};
  if (!levels_.series.empty()) json["series"] = levels_.series;
  return json;
}

}  // namespace genai
