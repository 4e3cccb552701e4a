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
#include "genai/data/series.h"
#include "genai/data/text_data.h"
#include "genai/data/text_set.h"
#include "genai/data/unicode.h"
#include "genai/generation/generate.h"
#include "output.h"

namespace genai::tool {
namespace {

struct DataOptions {
  std::string action = "list", source, dir;
  Extent size;
  int64_t channels = 0;
  std::string ground = "white";
  bool json = false;
  // of texts
  std::string tokenizer, validation, text, out, column, series, missing = "fill";
  int64_t vocabulary = 0, season = 0;
  bool lines = false;

  bool about_text() const {
    return lines || vocabulary != 0 || !tokenizer.empty() || !validation.empty() || !text.empty() ||
           !out.empty() || !column.empty() || !series.empty() || season != 0 || missing != "fill";
  }
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

int list_data(const DataOptions& options) {
  std::vector<std::vector<std::string>> rows{{"name", "state", "what"}};
  Json json = Json::array();
  for (const KnownSet& set : known_sets()) {
    const std::string state = state_of(set, options.dir);
    rows.push_back({set.name, state, set.about});
    json.push_back({{"name", set.name}, {"state", state}, {"about", set.about}});
  }
  if (options.json) {
    print_json(json);
  } else {
    std::cout << table(rows) << "\nfolder: " << data_folder(options.dir).string()
              << "   (--data-dir, $GENAI_DATA)\nany folder or ZIP of PNG, JPEG, WebP or BMP files "
                 "is a data set "
                 "too: --data PATH\nany text file can be shown: genai data show FILE\n";
  }
  return 0;
}

int fetch_data(const DataOptions& options) {
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
  const auto folder = data_folder(options.dir);
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

int show_text(const DataOptions& options) {
  if (options.size.given() || options.channels != 0)
    fail(ErrorKind::usage, "data show: --size and --channels are for images; ", options.source,
         " is a text");
  TextView view;
  view.data = load_text({.source = options.source,
                         .validation = options.validation,
                         .lines = options.lines,
                         .series = is_series_tokenizer(options.tokenizer),
                         .column = options.column,
                         .which = options.series,
                         .season = options.season,
                         .missing = options.missing == "refuse" ? Missing::refuse : Missing::fill},
                        data_folder(options.dir));
  if (view.data.series) {
    if (!options.text.empty() || !options.out.empty())
      fail(ErrorKind::usage, "data show: --text and --out are for texts; ", options.source,
           " is read as a series of numbers");
    return show_series(view.data, options.tokenizer, options.vocabulary, options.json);
  }
  view.tokenizer = make_tokenizer(
      view.data, options.tokenizer.empty() ? "characters" : options.tokenizer, options.vocabulary);
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

int show_images(const DataOptions& options) {
  if (options.about_text())
    fail(ErrorKind::usage,
         "data show: --tokenizer, --vocabulary, --lines, --validation, --text, "
         "--out, --column, --series, --season and --missing are for texts and series; ",
         options.source, " is none");
  const Dataset data =
      load_dataset({.source = options.source,
                    .dir = options.dir,
                    .size = options.size,
                    .channels = options.channels,
                    .ground = options.ground == "black" ? Ground::black : Ground::white});
  const DataInfo& info = data.info;
  std::vector<int64_t> counts(info.classes.size());
  if (data.train.labels.defined()) {
    const auto* labels = data.train.labels.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < data.train.size(); ++i) ++counts[static_cast<size_t>(labels[i])];
  }
  if (options.json) {
    Json json = to_json(info);
    json["train_per_class"] = counts;
    json["notes"] = data.notes;
    print_json(json);
    return 0;
  }
  std::cout << describe_images(data) << "\n";
  for (size_t i = 0; i < counts.size(); ++i) {
    std::cout << "  " << i << "  " << inert(info.classes[i]) << ": " << counts[i] << "\n";
  }
  const int64_t columns =
      std::max<int64_t>(1, (terminal_columns(STDOUT_FILENO) - 2) / (info.width + 2));
  const int64_t shown = std::min(2 * columns, data.train.size());
  if (info.width + 2 <= terminal_columns(STDOUT_FILENO)) {
    const auto images = to_images(data.train.first(shown).images);
    std::cout << half_blocks(grid(images, (shown + columns - 1) / columns, columns),
                             colour_allowed(STDOUT_FILENO));
  }
  return 0;
}

int show_data(const DataOptions& options) {
  if (options.source.empty()) {
    fail(ErrorKind::usage, "data show: name a data set, a folder of images or a text file");
  }
  if (is_text_source(options.source)) return show_text(options);
  return show_images(options);
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
  app.add_option(
      "DATA", options->source,
      "digits, mnist, fashion-mnist, shakespeare, sums, a folder of pictures or texts, a text "
      "or CSV file");
  app.add_option("--data-dir", options->dir, "folder of the data sets ($GENAI_DATA, or data)")
      ->type_name("DIR");
  app.add_option_function<std::string>(
         "--size",
         [options](const std::string& text) {
           const auto size = extent_from_text(text);
           if (!size || size->width < 1 || size->height < 1)
             fail(ErrorKind::usage, "--size: expected a side or WIDTHxHEIGHT (64, 64x48), found '",
                  text, "'");
           options->size = *size;
         },
         "images: width and height, 64 or 64x48")
      ->type_name("N|WxH");
  app.add_option("--channels", options->channels, "images: 1 grey, 3 colour")->type_name("N");
  app.add_option("--ground", options->ground,
                 "image folders: what shows through where pictures are transparent (white)")
      ->type_name("white|black")
      ->check(CLI::IsMember({"white", "black"}));
  app.add_option(
         "--tokenizer", options->tokenizer,
         "texts: characters, bytes, bpe, words, or a folder with tokenizer.json, or vocab.json and "
         "merges.txt; "
         "series of numbers: differences, returns")
      ->type_name("NAME");
  app.add_option(
         "--vocabulary", options->vocabulary,
         "bpe, words: tokens at most, 256 or more (bpe: 2048, words: all); series: levels (64)")
      ->type_name("N");
  app.add_flag("--lines", options->lines, "texts: each line is an item of its own");
  app.add_option("--validation", options->validation,
                 "texts: a file for validation (else the last tenth, or a tenth of the lines)")
      ->type_name("FILE");
  app.add_option("--series", options->series,
                 "series: of several in one table the one of this name, or COLUMN=VALUE,...")
      ->type_name("NAME");
  app.add_option("--column", options->column,
                 "series: name or number of the CSV column (the only one of values)")
      ->type_name("NAME");
  app.add_option("--season", options->season, "series: values of a season; 0: none")
      ->type_name("N")
      ->check(CLI::Range(0, 100'000));
  app.add_option("--missing", options->missing,
                 "series: fill missing values, or refuse them (fill)")
      ->type_name("fill|refuse")
      ->check(CLI::IsMember({"fill", "refuse"}));
  app.add_option("--text", options->text, "texts: what to encode as the example")
      ->type_name("TEXT");
  app.add_option("--out", options->out, "bpe: write vocab.json and merges.txt into this folder")
      ->type_name("DIR");
  app.add_flag("--json", options->json, "JSON as the result");
  command->run = [options] {
    if (options->action == "fetch") return fetch_data(*options);
    if (options->action == "show") return show_data(*options);
    return list_data(*options);
  };
  return command;
}

}  // namespace genai::tool
