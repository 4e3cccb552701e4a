// A series of numbers (weather, prices) as tokens: what changed from each value to the next.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "genai/data/tokenizer.h"

namespace genai {

/// What becomes of values that are missing: "", NaN, NA, N/A, null, None, "-".
enum class Missing {
  fill,  ///< put on the line between their neighbours; those at the ends are left out
  refuse,
};
extern const EnumNames<Missing> kMissingNames;

struct ColumnRequest {
  std::string column{};  ///< a name of the first line, or a number from 1 on; empty: see below
  Missing missing = Missing::fill;
  bool lone = false;     ///< a file of numbers alone is the column, whatever it is called
  std::string series{};  ///< of several in one table the one of this name; empty: there is one
  bool settled = false;  ///< in doubt the last column, as a model was trained in version 0.1
  std::vector<std::string>* notes = nullptr;  ///< what was done and chosen, a line each
  std::string* chosen = nullptr;  ///< set to the column where `column` is empty and another could
                                  ///< be meant
};

/// The numbers of one column of a table (data/csv.h). The first line holds the names unless a
/// number or a missing value stands there in that column. Where no column is named it is the only
/// one of numbers that are neither times nor names nor a count of the lines, or the only one of
/// these called value, y, target or close. Numbers may have thousands and decimals parted as
/// 1,234.5 or 1.234,5, all in the same way. Where the newest line comes first, they are turned
/// around.
///
/// `series` is what stands in a column of names ("a"), or COLUMN=VALUE, or several of these with
/// commas between.
/// @param name  of the text, for errors
/// Throws Error{data}, naming the line: what read_csv throws, no such column, several of which none
/// is named, a cell that is no number or one beyond 1e100, numbers that can be read in two ways,
/// more than a quarter missing, no values, several series in one table (times that come again,
/// names of series), no such series, times in no order, words below a column of times.
std::vector<double> read_column(std::string_view text, const std::string& name,
                                const ColumnRequest& request = {});

/// One number a line, each with all its digits: what read_column reads as the same numbers.
std::string series_text(std::span<const double> values);

/// "differences" or "returns"?
bool is_series_tokenizer(const std::string& name);

/// Tokens are levels of change that are about equally frequent in the training values. A level
/// stands for the mean of its changes there, so that the sum of many tokens is not off; encode is
/// thus exact but for that rounding, and not undone by decode.
///
/// Of a series with a season s the change is taken against that of a season ago, d[t] - d[t-s], as
/// G. Box, G. Jenkins, "Time series analysis", 1970, chapter 9, do it: tokens that say nothing new
/// then go on with season and trend.
class Changes : public Tokenizer {
 public:
  static constexpr int64_t kLongestSeason = 100'000;

  struct Levels {
    TokenizerKind kind;           ///< differences: y[t] - y[t-1]; returns: log(y[t] / y[t-1])
    int64_t season;               ///< s; 0: none
    std::string column;           ///< as in read_column, of texts to come
    std::string series;           ///< likewise
    std::vector<double> edges;    ///< ascending: token i has changes in [edges[i-1], edges[i])
    std::vector<double> changes;  ///< ascending, one more: what the tokens stand for
  };
  explicit Changes(Levels levels) : levels_(std::move(levels)) {}

  /// @param levels  tokens at most; fewer where many changes are equal; 0: 64
  /// Throws Error{data} unless there are at least two different changes, for returns a value that
  /// is not positive; Error{usage} for fewer than 2 levels or more than changes.
  static Changes learn(TokenizerKind kind, std::span<const double> values, int64_t levels,
                       int64_t season, const std::string& column, const std::string& series = "");

  TokenizerKind kind() const override { return levels_.kind; }
  int64_t size() const override { return static_cast<int64_t>(levels_.changes.size()); }
  /// A token for each number of `text` (as in read_column) but the first lead(). Throws as it does,
  /// and Error{data} where none is left.
  std::vector<int32_t> encode(std::string_view text) const override;
  /// "+0.35\n"; returns in percent.
  std::string token(int32_t id) const override;
  Json to_json() const override;
  bool ordered() const override { return true; }
  const Changes* changes() const override { return this; }

  std::vector<int32_t> encode(std::span<const double> values) const;
  /// The values that come after those of `past`, lead() or more, by the changes `ids`. Throws
  /// Error{data} for an id out of range.
  std::vector<double> follow(std::span<const double> past, std::span<const int32_t> ids) const;
  const std::string& column() const { return levels_.column; }
  const std::string& series() const { return levels_.series; }
  /// How to read what a model goes on from.
  ColumnRequest request() const {
    return {.column = column(), .lone = true, .series = series(), .settled = true};
  }
  int64_t season() const { return levels_.season; }
  /// Values that must be known before the first change.
  int64_t lead() const { return levels_.season + 1; }

 private:
  Levels levels_;
};

}  // namespace genai
