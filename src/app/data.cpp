#include <algorithm>
#include <numeric>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/data/known_sets.h"
#include "genai/data/series_set.h"
#include "genai/data/text_data.h"
#include "genai/data/text_set.h"
#include "genai/data/unicode.h"
#include "items-inl.h"
#include "jobs-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

enum class DataAction { list, fetch, show };
const EnumNames<DataAction> kDataActionNames = {
    {DataAction::list, "list"}, {DataAction::fetch, "fetch"}, {DataAction::show, "show"}};

struct DataRequest {
  DataAction action = DataAction::list;
  std::string source, text, out;
};

const FieldTable& data_request_fields() {
  static const FieldTable table =
      describe<DataRequest>()
          .field("action", &DataRequest::action, "list, fetch or show", kDataActionNames)
          .field("source", &DataRequest::source,
                 known_set_names() + ", a folder of pictures or texts, a text or CSV file")
          .hint("DATA")
          .field("text", &DataRequest::text, "texts: what to encode as the example")
          .hint("TEXT")
          .field("out", &DataRequest::out, "bpe: write vocab.json and merges.txt into this folder")
          .hint("DIR")
          .table();
  return table;
}

RequestForm data_form() {
  FieldTable fields = data_fields();
  std::erase_if(fields, [](const Field& field) { return field.name == "source"; });
  return {.sections = {{"request", data_request_fields()}, {"data", fields}}};
}

std::string state_of_set(const KnownSet& set, const fs::path& folder) {
  if (set.built_in) return "built in";
  try {
    load_known_set(set, folder, {.download = false});
    return "here";
  } catch (const Error&) {
    return "not here (genai data fetch " + set.name + ")";
  }
}

Json list_sets(const fs::path& folder) {
  Json sets = Json::array();
  for (const KnownSet& set : known_sets()) {
    sets.push_back(
        {{"name", set.name}, {"state", state_of_set(set, folder)}, {"about", set.about}});
  }
  return {{"sets", sets}, {"folder", folder.string()}};
}

Json fetch_set(const std::string& source, const fs::path& folder, JobContext& context) {
  const KnownSet* set = find_known_set(source);
  if (!set || set->built_in) {
    fail(ErrorKind::usage, "data fetch: expected one of ", known_set_names(true), ", found ",
         source.empty() ? "none" : "'" + source + "'");
  }
  FetchOptions fetch;
  fetch.progress = [&](const std::string& file, uint64_t done, uint64_t total) {
    context.check_wanted();
    if (total > 0)
      context.events.stage(file, static_cast<double>(done) / static_cast<double>(total));
  };
  load_known_set(*set, folder, fetch);
  return {{"name", source}, {"folder", (folder / source).string()}};
}

Json run_data(const Settings& given, JobContext& context) {
  const Json resolved = resolve(data_form(), given);
  const auto request = read_request<DataRequest>(data_request_fields(), resolved.at("request"));
  DataConfig config = data_config_from_json(resolved.at("data"));
  config.source = request.source;
  if (request.action == DataAction::list) return list_sets(data_folder(config.dir));
  if (request.action == DataAction::fetch)
    return fetch_set(request.source, data_folder(config.dir), context);
  if (request.source.empty()) {
    fail(ErrorKind::usage, "data show: name a data set, a folder of images or a text file");
  }
  const Modality& modality = modality_of(config);
  return work_on(modality).describe(config, resolved.at("request"), context);
}

void refuse_text_fields(const Json& request, const Modality& modality) {
  if (request.at("text") == "" && request.at("out") == "") return;
  fail(ErrorKind::usage, "data show: request.text and request.out are for texts; ",
       request.at("source").get<std::string>(), " is read as ", modality.name());
}

// ---- Texts

Json part_json(const std::string& text, const std::vector<int32_t>& ids) {
  const auto bytes = static_cast<double>(text.size());
  return {{"bytes", text.size()},
          {"characters", count_characters(text)},
          {"lines", std::ranges::count(text, '\n') + !text.ends_with('\n')},
          {"tokens", ids.size()},
          {"bytes_per_token", bytes / static_cast<double>(ids.size())}};
}

/// Tokens by their count in `ids`, most frequent first; those that are not there are left out.
std::vector<std::pair<int32_t, int64_t>> token_frequencies(const std::vector<int32_t>& ids,
                                                           int64_t vocabulary) {
  std::vector<std::pair<int32_t, int64_t>> counts;
  for (int32_t id = 0; id < vocabulary; ++id) counts.emplace_back(id, 0);
  for (const int32_t id : ids) ++counts[static_cast<size_t>(id)].second;
  std::erase_if(counts, [](const auto& token) { return token.second == 0; });
  std::ranges::stable_sort(counts, std::greater<>(), [](const auto& c) { return c.second; });
  return counts;
}

/// The first lines of a text, some 40 to 120 characters.
std::string beginning_of(const std::string& text) {
  const size_t line = std::min(text.find('\n', 40), text.size() - 1) + 1;
  size_t end = 0;
  for (int count = 0; count < 120 && end < line; ++count) end += character_at(text, end).bytes;
  return text.substr(0, end);
}

std::vector<std::string> visible_tokens(const Tokenizer& tokenizer,
                                        const std::vector<int32_t>& ids) {
  std::vector<std::string> shown;
  for (const int32_t id : ids) shown.push_back(visible_text(tokenizer.token(id)));
  return shown;
}

void write_tokenizer(const Tokenizer& tokenizer, const fs::path& folder, JobContext& context) {
  if (!tokenizer.bpe())
    fail(ErrorKind::usage, "data show: request.out writes vocab.json and merges.txt of ",
         "data.tokenizer bpe; ", tokenizer.name(), " has no merges");
  check_writable(folder / "vocab.json", ".json");
  deliver_file(folder / "vocab.json", tokenizer.bpe()->vocabulary_file(), context);
  deliver_file(folder / "merges.txt", tokenizer.bpe()->merges_file(), context);
  context.events.noted("wrote " + (folder / "vocab.json").string() + " and merges.txt");
}

// ---- Series

/// One part and its tokens.
Json series_part_json(const std::vector<double>& values, const std::vector<int32_t>& ids) {
  const auto [low, high] = std::ranges::minmax(values);
  return {
      {"values", values.size()}, {"low", low},          {"high", high}, {"first", values.front()},
      {"last", values.back()},   {"tokens", ids.size()}};
}

}  // namespace

Json describe_text(const DataConfig& config, const Json& request, JobContext& context) {
  constexpr size_t kFrequent = 10;
  const auto settings = own_settings<TextSettings>(config, text_modality());
  const TextData data = load_text(text_options(config, settings), data_folder(config.dir));
  const auto tokenizer = make_tokenizer(data, settings.tokenizer, settings.vocabulary);
  const std::vector<int32_t> train = tokenizer->encode(data.train);
  const auto frequent = token_frequencies(train, tokenizer->size());
  const std::string asked = request.at("text"), out = request.at("out");
  const std::string example = asked.empty() ? beginning_of(data.train) : asked;
  const std::vector<int32_t> example_ids = tokenizer->encode(example);
  if (!out.empty()) write_tokenizer(*tokenizer, out, context);
  Json json{{"source", data.source}, {"items", data.items}, {"fingerprint", data.fingerprint}};
  json["tokenizer"] = {{"kind", enum_name(kTokenizerNames, tokenizer->kind())},
                       {"name", tokenizer->name()},
                       {"size", tokenizer->size()},
                       {"used", frequent.size()},
                       {"fingerprint", tokenizer->fingerprint()}};
  json["train"] = part_json(data.train, train);
  json["validation"] = part_json(data.validation, tokenizer->encode(data.validation));
  json["frequent"] = Json::array();
  for (size_t i = 0; i < std::min(frequent.size(), kFrequent); ++i) {
    const auto& [id, count] = frequent[i];
    json["frequent"].push_back(
        {{"id", id}, {"token", visible_text(tokenizer->token(id))}, {"count", count}});
  }
  std::vector<int32_t> all(static_cast<size_t>(tokenizer->size()));
  std::iota(all.begin(), all.end(), 0);
  json["vocabulary"] = visible_tokens(*tokenizer, all);
  json["example"] = {{"text", visible_text(example)},
                     {"characters", count_characters(example)},
                     {"ids", example_ids},
                     {"tokens", visible_tokens(*tokenizer, example_ids)}};
  json["notes"] = data.notes;
  return json;
}

Json describe_series(const DataConfig& config, const Json& request, JobContext&) {
  refuse_text_fields(request, series_modality());
  const auto settings = own_settings<SeriesSettings>(config, series_modality());
  const SeriesData data = load_series(config);
  const auto tokenizer = learn_changes(data, settings);
  const Changes& changes = *tokenizer;
  const std::vector<int32_t> train = changes.encode(data.train);
  std::vector<double> validation = data.validation;
  const std::vector<int32_t> tested = changes.encode(validation);
  validation.erase(validation.begin(), validation.begin() + changes.lead());  // of train
  std::vector<int64_t> counts(static_cast<size_t>(changes.size()));
  for (const int32_t id : train) ++counts[static_cast<size_t>(id)];
  Json levels = Json::array();
  for (size_t id = 0; id < counts.size(); ++id) {
    std::string change = changes.token(static_cast<int32_t>(id));
    change.pop_back();  // the line end
    levels.push_back({{"id", id}, {"change", change}, {"count", counts[id]}});
  }
  return {{"source", data.source},
          {"column", data.column},
          {"season", settings.season},
          {"tokenizer", tokenizer->name()},
          {"fingerprint", data.fingerprint},
          {"train", series_part_json(data.train, train)},
          {"validation", series_part_json(validation, tested)},
          {"levels", levels},
          {"notes", data.notes}};
}

Json describe_pictures(const DataConfig& config, const Json& request, JobContext& context) {
  constexpr int64_t kShown = 200;
  refuse_text_fields(request, modality_of(config));
  const Dataset data = load_dataset(config);
  std::vector<int64_t> counts(data.info.classes.size());
  if (data.train.labels.defined()) {
    const auto* labels = data.train.labels.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < data.train.size(); ++i) ++counts[static_cast<size_t>(labels[i])];
  }
  const int64_t shown = std::min(kShown, data.train.size());
  context.events.pictured(data.info.modality->pictures(data.train.first(shown).grids));
  Json json = to_json(data.info);
  json["describes"] = describe(data.info);
  json["train_per_class"] = counts;
  json["notes"] = data.notes;
  return json;
}

Job data_job() {
  return {.name = "data",
          .about = "lists, fetches and shows data sets",
          .page = data_form,
          .form = [](const Settings&, const JobContext&) { return data_form(); },
          .run = run_data};
}

}  // namespace genai
