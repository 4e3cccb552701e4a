#include "genai/data/series_set.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/data/known_sets.h"
#include "genai/data/text_data.h"
#include "genai/data/text_file.h"
#include "genai/data/text_set.h"

namespace genai {
namespace {

/// Those of kTokenizerNames that are levels of change.
const EnumNames<TokenizerKind> kChangeNames = {{TokenizerKind::differences, "differences"},
                                               {TokenizerKind::returns, "returns"}};

Split to_split(const std::vector<double>& values, const Changes& changes) {
  return {.tokens = at::tensor(changes.encode(values), at::kInt),
          .values = at::tensor(values, at::kDouble)};
}

class Series : public Modality {
 public:
  std::string name() const override { return "series"; }
  ItemKind kind() const override { return ItemKind::sequence; }

  FieldTable settings() const override {
    return genai::describe<SeriesSettings>()
        .field("tokenizer", &SeriesSettings::tokenizer,
               "levels of change: differences, or returns (prices)", kChangeNames)
        .field("vocabulary", &SeriesSettings::vocabulary, "levels of change; 0: 64",
               between(0, 1'000'000))
        .field("validation", &SeriesSettings::validation,
               "file to validate on; empty: a part of the source")
        .resumable()
        .field("column", &SeriesSettings::column,
               "name of the CSV column, or its number from 1 on; empty: the only one of values")
        .field("series", &SeriesSettings::series,
               "of several in one table the one of this name, or COLUMN=VALUE,...")
        .field("season", &SeriesSettings::season,
               "values of a season (12 months of a year): changes are seen against those of a "
               "season ago; 0: none",
               between(0, Changes::kLongestSeason))
        .field("missing", &SeriesSettings::missing,
               "missing values are put on the line between their neighbours, or refused",
               kMissingNames)
        .nest("", &SeriesSettings::window, window_fields())
        .table();
  }

  bool claims(const DataConfig& config, const Tokenizer* tokenizer) const override {
    if (tokenizer) return tokenizer->changes() != nullptr;
    const Json wanted = config.own.value("tokenizer", Json());
    return wanted.is_string() && is_series_tokenizer(wanted) && !find_known_set(config.source) &&
           is_text_source(config.source);
  }

  Dataset load(const DataConfig& config, const LoadOptions& options) const override {
    const auto settings = own_settings<SeriesSettings>(config, *this);
    std::shared_ptr<const Tokenizer> tokenizer = options.tokenizer;
    const Changes* known = tokenizer ? tokenizer->changes() : nullptr;
    const SeriesData series = load_series(config, known);
    if (!known) tokenizer = learn_changes(series, settings);
    Dataset data;
    data.notes = series.notes;
    data.info.source = series.source;
    data.info.fingerprint = series.fingerprint;
    data.info.tokenizer = tokenizer;
    data.train = to_split(series.train, *tokenizer->changes());
    data.test = to_split(series.validation, *tokenizer->changes());
    set_windows(settings.window, data);
    return data;
  }

  void write(const DataInfo& info, Json& json) const override { write_windows(info, json); }
  void read(const Json& json, DataInfo& info) const override {
    read_windows(json, info);
    changes_of(info, "data.tokenizer");
  }

  std::string items(const DataInfo&) const override { return "windows"; }
  std::string describe(const DataInfo& info) const override {
    const Changes& changes = *info.tokenizer->changes();
    return concat("a series of numbers", changes.column().empty() ? "" : ", column ",
                  changes.column(), ", ", changes.name(),
                  changes.season() > 0 ? concat(", season ", changes.season()) : "", ", context ",
                  info.context);
  }
  std::vector<std::string> metrics() const override { return {"likelihood", "forecasts"}; }
};

}  // namespace

SeriesData load_series(const DataConfig& config, const Changes* known) {
  constexpr size_t kLeast = 8;
  const auto settings = own_settings<SeriesSettings>(config, series_modality());
  SeriesData data;
  data.source = text_name(config.source);
  data.column = settings.column;
  const std::string series = known && settings.series.empty() ? known->series() : settings.series;
  const int64_t season = known ? known->season() : settings.season;
  if (known && data.column.empty()) data.column = known->column();
  ColumnRequest request{.column = data.column,
                        .missing = settings.missing,
                        .series = series,
                        .settled = known != nullptr,
                        .notes = &data.notes,
                        .chosen = &data.column};
  auto [text, validation] = read_text_parts(config.source, config.raw, &data.notes);
  if (!settings.validation.empty())
    validation = read_text(settings.validation, config.raw, &data.notes);
  std::vector<double> values = read_column(text, config.source, request);
  request.column = data.column;
  size_t cut = values.size();
  if (!validation.empty()) {
    const auto more = read_column(
        validation, settings.validation.empty() ? config.source : settings.validation, request);
    values.insert(values.end(), more.begin(), more.end());
  } else {
    cut = std::clamp(text_train_count(cut, config.test_share), size_t{1}, cut);
  }
  const size_t lead = static_cast<size_t>(season) + 1;
  if (cut < kLeast + lead || cut == values.size()) {
    fail(ErrorKind::data, config.source, ": expected at least ", kLeast + lead, " values for ",
         "training and one for validation, found ", cut, " and ", values.size() - cut);
  }
  const auto at = [&](size_t i) { return values.begin() + static_cast<std::ptrdiff_t>(i); };
  data.train.assign(values.begin(), at(cut));
  data.validation.assign(at(cut - lead), values.end());
  data.fingerprint =
      sha256(concat("genai text 1\nseries, season ", season, "\n", sha256(series_text(data.train)),
                    "\n", sha256(series_text(data.validation)), "\n"));
  return data;
}

std::shared_ptr<const Changes> learn_changes(const SeriesData& data,
                                             const SeriesSettings& settings) {
  return std::make_shared<Changes>(Changes::learn(settings.tokenizer, data.train,
                                                  settings.vocabulary, settings.season, data.column,
                                                  settings.series));
}

std::vector<double> values_of(const Split& split, bool lead) {
  const auto* values = split.values.const_data_ptr<double>();
  const int64_t all = split.values.numel();
  return {values + (lead ? 0 : all - split.tokens.numel()), values + all};
}

const Changes& changes_of(const DataInfo& info, const std::string& what) {
  const Changes* changes = info.tokenizer ? info.tokenizer->changes() : nullptr;
  if (!changes) {
    fail(ErrorKind::usage, what, ": is for series of numbers; '", info.source, "' is ",
         info.modality->name());
  }
  return *changes;
}

const Modality& series_modality() {
  static const Series series;
  return series;
}

}  // namespace genai
