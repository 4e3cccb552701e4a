#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <numeric>

#include "command.h"
#include "data_series.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"
#include "genai/base/terminal.h"
#include "genai/data/dataset.h"
#include "genai/data/known_sets.h"
#include "genai/data/series_set.h"
#include "genai/data/text_data.h"
#include "genai/data/text_set.h"
#include "genai/data/unicode.h"
#include "genai/generation/generate.h"
#include "output.h"

namespace genai::tool {
namespace {

struct DataOptions {
  std::string action = "list", source, text, out;
  bool json = false;
};

std::string state_of(const KnownSet& set, const std::string& dir) {
  if (set.built_in) return "built in";
  try {
    load_known_set(set, data_folder(dir), {.download = false});
    return "here";
  } catch (const Error&) {
    return "not here (genai data fetch " + set.name + ")";
  }
}

int list_data(const DataOptions& options, const DataConfig& config) {
  std::vector<std::vector<std::string>> rows{{"name", "state", "what"}};
  Json json = Json::array();
  for (const KnownSet& set : known_sets()) {
    const std::string state = state_of(set, config.dir);
    rows.push_back({set.name, state, set.about});
    json.push_back({{"name", set.name}, {"state", state}, {"about", set.about}});
  }
  if (options.json) {
    print_json(json);
  } else {
    std::cout << table(rows) << "\nfolder: " << data_folder(config.dir).string()
              << "   (--data-dir, $GENAI_DATA)\nany folder or ZIP of PNG, JPEG, WebP or BMP files "
                 "is a data set "
                 "too: --data PATH\nany text file can be shown: genai data show FILE\n";
  }
  return 0;
}

int fetch_data(const DataOptions& options, const DataConfig& config) {
  const KnownSet* set = find_known_set(options.source);
  if (!set || set->built_in) {
    fail(ErrorKind::usage, "data fetch: expected one of ", known_set_names(true), ", found ",
         options.source.empty() ? "none" : "'" + options.source + "'");
  }
  FetchOptions fetch;
  const bool terminal = is_terminal(STDERR_FILENO);
  fetch.progress = [&](const std::string& file, uint64_t done, uint64_t total) {
    if (!terminal || total == 0) return;
    std::cerr << "\r\x1b[K" << file << " "
              << bar(static_cast<double>(done) / static_cast<double>(total), 30) << std::flush;
  };
  const auto folder = data_folder(config.dir);
  load_known_set(*set, folder, fetch);
  if (terminal) std::cerr << "\r\x1b[K" << std::flush;
  if (options.json) {
    print_json({{"name", options.source}, {"folder", (folder / options.source).string()}});
  } else {
    std::cout << (folder / options.source).string() << "\n";
  }
  return 0;
}

// ---- texts ----

/// One part of a text and its tokens.
struct TextPart {
  std::string name;
  int64_t bytes, characters, lines, tokens;
  std::vector<int32_t> ids;

  TextPart(std::string part, const std::string& text, const Tokenizer& tokenizer)
      : name(std::move(part)),
        bytes(static_cast<int64_t>(text.size())),
        characters(count_characters(text)),
        lines(std::ranges::count(text, '\n') + !text.ends_with('\n')),
        ids(tokenizer.encode(text)) {
    tokens = static_cast<int64_t>(ids.size());
  }
  double bytes_per_token() const {
    return static_cast<double>(bytes) / static_cast<double>(tokens);
  }
};

/// Tokens by their count in `ids`, most frequent first; those that are not there are left out.
std::vector<std::pair<int32_t, int64_t>> frequencies(const std::vector<int32_t>& ids,
                                                     int64_t vocabulary) {
  std::vector<std::pair<int32_t, int64_t>> counts;
  for (int32_t id = 0; id < vocabulary; ++id) counts.emplace_back(id, 0);
  for (const int32_t id : ids) ++counts[static_cast<size_t>(id)].second;
  std::erase_if(counts, [](const auto& token) { return token.second == 0; });
  std::ranges::stable_sort(counts, std::greater<>(), [](const auto& c) { return c.second; });
  return counts;
}

/// The first lines of a text, some 40 to 120 characters.
std::string beginning(const std::string& text) {
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

/// Words with a space between, in lines as wide as the terminal, each indented by two.
std::string wrapped(const std::vector<std::string>& words) {
  const int64_t columns = std::max(20, terminal_columns(STDOUT_FILENO));
  std::string text;
  int64_t used = columns;
  for (const std::string& word : words) {
    const int64_t width = count_characters(word) + 1;
    if (used + width > columns) {
      text += text.empty() ? " " : "\n ";
      used = 1;
    }
    text += " " + word;
    used += width;
  }
  return text + "\n";
}

/// What a reader may want to see of the vocabulary, and how it is called: the characters, or the
/// first tokens that were learned.
std::pair<std::string, std::vector<int32_t>> telling_tokens(const Tokenizer& tokenizer) {
  const bool characters = tokenizer.kind() == TokenizerKind::characters;
  const int64_t first = characters ? 0 : Bpe::kBytes, most = characters ? 200 : 40;
  const int64_t count = std::max<int64_t>(0, tokenizer.size() - first);
  std::vector<int32_t> ids(static_cast<size_t>(std::min(count, most)));
  std::iota(ids.begin(), ids.end(), static_cast<int32_t>(first));
  const std::string shown = count > most ? concat("the first ", most, " of ") : "";
  const std::string listed = shown + count_text(count);
  if (characters) return {"vocabulary: " + listed + " characters", ids};
  return {"vocabulary: the 256 bytes" + (count == 0 ? "" : " and " + listed + " more"), ids};
}

void write_tokenizer(const Tokenizer& tokenizer, const std::string& folder) {
  if (!tokenizer.bpe())
    fail(ErrorKind::usage, "data show: --out writes vocab.json and merges.txt of --tokenizer bpe; ",
         tokenizer.name(), " has no merges");
  const auto path = std::filesystem::path(folder);
  check_writable(path / "vocab.json", ".json");
  write_output(path / "vocab.json", tokenizer.bpe()->vocabulary_file());
  write_output(path / "merges.txt", tokenizer.bpe()->merges_file());
  say("wrote " + (path / "vocab.json").string() + " and merges.txt");
}

/// All that `data show` says of a text.
struct TextView {
  TextData data;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<TextPart> parts;                        // train, validation
  std::vector<std::pair<int32_t, int64_t>> frequent;  // tokens of train and their counts
  std::string example;
  std::vector<int32_t> example_ids;

  size_t listed() const { return std::min<size_t>(frequent.size(), 10); }
  std::string shown(int32_t id) const { return visible_text(tokenizer->token(id)); }
};

Json to_json(const TextView& view) {
  const Tokenizer& tokenizer = *view.tokenizer;
  Json json{{"source", view.data.source},
            {"items", view.data.items},
            {"fingerprint", view.data.fingerprint}};
  json["tokenizer"] = {{"kind", enum_name(kTokenizerNames, tokenizer.kind())},
                       {"size", tokenizer.size()},
                       {"used", view.frequent.size()},
                       {"fingerprint", tokenizer.fingerprint()}};
  for (const TextPart& part : view.parts) {
    json[part.name] = {{"bytes", part.bytes},
                       {"characters", part.characters},
                       {"lines", part.lines},
                       {"tokens", part.tokens},
                       {"bytes_per_token", part.bytes_per_token()}};
  }
  json["frequent"] = Json::array();
  for (size_t i = 0; i < view.listed(); ++i) {
    const auto& [id, count] = view.frequent[i];
    json["frequent"].push_back({{"id", id}, {"token", view.shown(id)}, {"count", count}});
  }
  std::vector<int32_t> all(static_cast<size_t>(tokenizer.size()));
  std::iota(all.begin(), all.end(), 0);
  json["vocabulary"] = visible_tokens(tokenizer, all);
  json["example"] = {{"text", visible_text(view.example)},
                     {"ids", view.example_ids},
                     {"tokens", visible_tokens(tokenizer, view.example_ids)}};
  json["notes"] = view.data.notes;
  return json;
}

void print(const TextView& view) {
  const Tokenizer& tokenizer = *view.tokenizer;
  std::cout << view.data.source << ": " << (view.data.items ? "an item a line" : "running text")
            << "; tokenizer " << tokenizer.name() << "\n";
  for (const std::string& note : view.data.notes) std::cout << "note: " << note << "\n";

  std::vector<std::vector<std::string>> rows{{"", "bytes", "characters",
                                              view.data.items ? "items" : "lines", "tokens",
                                              "bytes per token"}};
  for (const TextPart& part : view.parts) {
    rows.push_back({part.name, count_text(part.bytes), count_text(part.characters),
                    count_text(part.lines), count_text(part.tokens),
                    number_text(part.bytes_per_token())});
  }
  std::cout << "\n" << table(rows);

  const auto [title, telling] = telling_tokens(tokenizer);
  std::cout << "\n"
            << title << " (" << count_text(static_cast<int64_t>(view.frequent.size())) << " of "
            << count_text(tokenizer.size()) << " are in train)\n";
  if (!telling.empty()) std::cout << wrapped(visible_tokens(tokenizer, telling));

  rows = {{"most frequent", "id", "count", "of all"}};
  for (size_t i = 0; i < view.listed(); ++i) {
    const auto& [id, count] = view.frequent[i];
    const double share = static_cast<double>(count) / static_cast<double>(view.parts[0].tokens);
    rows.push_back(
        {view.shown(id), std::to_string(id), count_text(count), number_text(100 * share, 3) + "%"});
  }
  std::cout << "\n" << table(rows);

  std::vector<std::string> numbers;
  for (const int32_t id : view.example_ids) numbers.push_back(std::to_string(id));
  std::cout << "\nexample: " << count_text(count_characters(view.example)) << " characters, "
            << count_text(static_cast<int64_t>(numbers.size())) << " tokens\n"
            << wrapped(visible_tokens(tokenizer, view.example_ids)) << wrapped(numbers);
}

int show_text(const DataOptions& options, const DataConfig& config) {
  const auto settings = own_settings<TextSettings>(config, text_modality());
  TextView view;
  view.data = load_text(text_options(config, settings), data_folder(config.dir));
  view.tokenizer = make_tokenizer(view.data, settings.tokenizer, settings.vocabulary);
  view.parts = {{"train", view.data.train, *view.tokenizer},
                {"validation", view.data.validation, *view.tokenizer}};
  view.frequent = frequencies(view.parts[0].ids, view.tokenizer->size());
  view.example = options.text.empty() ? beginning(view.data.train) : options.text;
  view.example_ids = view.tokenizer->encode(view.example);
  if (!options.out.empty()) write_tokenizer(*view.tokenizer, options.out);
  if (options.json) {
    print_json(to_json(view));
  } else {
    print(view);
  }
  return 0;
}

// ---- pictures ----

/// Training items of each class.
std::vector<int64_t> count_classes(const Dataset& data) {
  std::vector<int64_t> counts(data.info.classes.size());
  if (!data.train.labels.defined()) return counts;
  const auto* labels = data.train.labels.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < data.train.size(); ++i) ++counts[static_cast<size_t>(labels[i])];
  return counts;
}

int show_grids(const DataOptions& options, const DataConfig& config) {
  const Dataset data = load_dataset(config);
  const DataInfo& info = data.info;
  const std::vector<int64_t> counts = count_classes(data);
  if (options.json) {
    Json json = to_json(info);
    json["train_per_class"] = counts;
    json["notes"] = data.notes;
    print_json(json);
    return 0;
  }
  std::cout << describe(info) << "\n";
  for (const std::string& note : data.notes) std::cout << "note: " << note << "\n";
  for (size_t i = 0; i < counts.size(); ++i) {
    std::cout << "  " << i << "  " << inert(info.classes[i]) << ": " << counts[i] << "\n";
  }
  const int64_t columns =
      std::max<int64_t>(1, (terminal_columns(STDOUT_FILENO) - 2) / (info.width + 2));
  const int64_t shown = std::min(2 * columns, data.train.size());
  if (info.width + 2 <= terminal_columns(STDOUT_FILENO)) {
    const auto images = info.modality->pictures(data.train.first(shown).grids);
    const auto count = static_cast<int64_t>(images.size());
    std::cout << half_blocks(grid(images, (count + columns - 1) / columns, columns),
                             colour_allowed(STDOUT_FILENO));
  }
  return 0;
}

int show_data(const DataOptions& options, const DataConfig& config) {
  if (options.source.empty()) {
    fail(ErrorKind::usage, "data show: name a data set, a folder of images or a text file");
  }
  const Modality& modality = modality_of(config);
  if (modality.name() != "text" && (!options.text.empty() || !options.out.empty())) {
    fail(ErrorKind::usage, "data show: --text and --out are for texts; ", options.source,
         " is read as ", modality.name());
  }
  if (modality.kind() == ItemKind::grid) return show_grids(options, config);
  return &modality == &series_modality() ? show_series(config, options.json)
                                         : show_text(options, config);
}

/// What `data` takes of a configuration.
std::vector<Section> data_sections() {
  FieldTable fields = data_fields();
  std::erase_if(fields, [](const Field& field) { return field.name == "source"; });
  return {{"data", fields}};
}

}  // namespace

std::unique_ptr<Command> make_data(const Arguments&) {
  auto command = std::make_unique<Command>(
      "data", "lists, fetches and shows data sets",
      std::vector<std::string>{"genai data", "genai data show path/to/pictures",
                               "genai data show shakespeare --tokenizer bpe --vocabulary 512"});
  auto options = std::make_shared<DataOptions>();
  CLI::App& app = command->app;
  app.add_option("ACTION", options->action, "list, fetch or show")
      ->check(CLI::IsMember({"list", "fetch", "show"}));
  app.add_option("DATA", options->source,
                 known_set_names() + ", a folder of pictures or texts, a text or CSV file");
  app.add_option("--text", options->text, "texts: what to encode as the example")
      ->type_name("TEXT");
  app.add_option("--out", options->out, "bpe: write vocab.json and merges.txt into this folder")
      ->type_name("DIR");
  app.add_flag("--json", options->json, "JSON as the result");
  command->add_fields(data_sections());
  command->run = [c = command.get(), options] {
    Settings settings;
    c->apply_fields(settings);
    DataConfig config = data_config_from_json(settings.resolve(data_sections())["data"]);
    config.source = options->source;
    if (options->action == "fetch") return fetch_data(*options, config);
    if (options->action == "show") return show_data(*options, config);
    return list_data(*options, config);
  };
  return command;
}

}  // namespace genai::tool
