#include "data_series.h"

#include <algorithm>
#include <iostream>

#include "command.h"
#include "genai/base/text.h"
#include "genai/data/series_set.h"
#include "genai/data/unicode.h"

namespace genai::tool {
namespace {

/// One part and its tokens.
struct SeriesPart {
  std::string name;
  std::vector<double> values;
  std::vector<int32_t> ids;

  Json to_json() const {
    const auto [low, high] = std::ranges::minmax(values);
    return {
        {"values", values.size()}, {"low", low},          {"high", high}, {"first", values.front()},
        {"last", values.back()},   {"tokens", ids.size()}};
  }
};

SeriesPart part_of(const std::string& name, std::vector<double> values, const Changes& changes) {
  SeriesPart part{name, std::move(values), {}};
  part.ids = changes.encode(part.values);
  return part;
}

}  // namespace

int show_series(const DataConfig& config, bool json) {
  const auto settings = own_settings<SeriesSettings>(config, series_modality());
  const SeriesData data = load_series(config);
  const auto tokenizer = learn_changes(data, settings);
  const Changes& changes = *tokenizer;
  const SeriesPart train = part_of("train", data.train, changes);
  SeriesPart validation = part_of("validation", data.validation, changes);
  validation.values.erase(validation.values.begin(),
                          validation.values.begin() + changes.lead());  // the last ones of train
  std::vector<int64_t> counts(static_cast<size_t>(changes.size()));
  for (const int32_t id : train.ids) ++counts[static_cast<size_t>(id)];
  const auto shown = [&](size_t id) {
    std::string text = changes.token(static_cast<int32_t>(id));
    text.pop_back();  // the line end
    return text;
  };
  if (json) {
    Json levels = Json::array();
    for (size_t id = 0; id < counts.size(); ++id) {
      levels.push_back({{"id", id}, {"change", shown(id)}, {"count", counts[id]}});
    }
    print_json({{"source", data.source},
                {"column", data.column},
                {"season", settings.season},
                {"tokenizer", tokenizer->name()},
                {"fingerprint", data.fingerprint},
                {"train", train.to_json()},
                {"validation", validation.to_json()},
                {"levels", levels},
                {"notes", data.notes}});
    return 0;
  }
  std::cout << data.source << ": a series of numbers; tokenizer " << tokenizer->name() << "\n";
  for (const std::string& note : data.notes) std::cout << "note: " << note << "\n";
  std::cout << "\n";
  std::vector<std::vector<std::string>> rows{
      {"", "values", "lowest", "highest", "first", "last", "tokens"}};
  for (const SeriesPart* part : std::initializer_list<const SeriesPart*>{&train, &validation}) {
    const auto [low, high] = std::ranges::minmax(part->values);
    rows.push_back({part->name, count_text(static_cast<int64_t>(part->values.size())),
                    number_text(low, 6), number_text(high, 6), number_text(part->values.front(), 6),
                    number_text(part->values.back(), 6),
                    count_text(static_cast<int64_t>(part->ids.size()))});
  }
  std::cout << table(rows) << "\nlevels of change"
            << (settings.season > 0 ? " against a season ago" : "")
            << ", each with its count in train\n";
  rows.clear();
  constexpr size_t kColumns = 6;
  for (size_t id = 0; id < counts.size(); ++id) {
    if (id % kColumns == 0) rows.emplace_back();
    rows.back().push_back(concat(shown(id), " (", counts[id], ")"));
  }
  rows.back().resize(kColumns);
  std::cout << table(rows);
  return 0;
}

}  // namespace genai::tool
