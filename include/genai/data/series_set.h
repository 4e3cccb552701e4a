// Series of numbers as a modality: a column of a table, in levels of its changes (data/series.h).
#pragma once
#include "genai/data/sequences.h"
#include "genai/data/series.h"

namespace genai {

struct SeriesSettings {
  TokenizerKind tokenizer = TokenizerKind::differences;
  int64_t vocabulary = 0;
  std::string validation;
  std::string column;
  std::string series;
  int64_t season = 0;
  Missing missing = Missing::fill;
  WindowSettings window;
};

/// What is read of a series, cut in two: the first floor((1 - share) values) are for training; what
/// is for validation begins with the last season + 1 of them, so that each value after these has a
/// change before it.
struct SeriesData {
  std::string source;  ///< the name of the file without ending
  std::vector<double> train, validation;
  std::string column;  ///< as it was asked for or chosen
  std::string fingerprint;
  std::vector<std::string> notes;  ///< what the user should know
};

/// @param known  the tokens that a model reads it in, or null: its column, series and season are
///               meant where the settings name none
/// Throws what read_column throws; Error{data}: too few values.
SeriesData load_series(const DataConfig& config, const Changes* known = nullptr);

/// The levels that the settings ask for.
std::shared_ptr<const Changes> learn_changes(const SeriesData& data,
                                             const SeriesSettings& settings);

/// The values of a series that have a token; with `lead` also those before them.
std::vector<double> values_of(const Split& split, bool lead = false);

/// The tokens of a model of series. Throws Error{usage} naming `what` for a model of anything else.
const Changes& changes_of(const DataInfo& info, const std::string& what);

}  // namespace genai
