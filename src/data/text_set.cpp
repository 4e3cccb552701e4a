#include "genai/data/text_set.h"

#include <ATen/ATen.h>

#include <filesystem>

#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/data/known_sets.h"
#include "genai/data/text_file.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

Tensor to_tensor(const std::vector<int32_t>& ids) {
  return at::tensor(ids, at::kInt);
}

/// The whole text, or line after line.
Split to_split(const std::string& text, const TextData& data, const Tokenizer& tokenizer) {
  Split split;
  if (!data.items) {
    split.tokens = to_tensor(tokenizer.encode(text));
    return split;
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> starts{0};
  const std::string_view all = text;
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find('\n', at);
    const auto line = tokenizer.encode(all.substr(at, end - at));
    tokens.insert(tokens.end(), line.begin(), line.end());
    tokens.push_back(start_token(tokenizer));
    starts.push_back(static_cast<int64_t>(tokens.size()));
    at = end + 1;
  }
  split.tokens = to_tensor(tokens);
  split.starts = at::tensor(starts, at::kLong);
  return split;
}

class Texts : public Modality {
 public:
  std::string name() const override { return "text"; }
  ItemKind kind() const override { return ItemKind::sequence; }

  FieldTable settings() const override {
    return genai::describe<TextSettings>()
        .field("tokenizer", &TextSettings::tokenizer,
               "characters, bytes, bpe, words, or a folder with tokenizer.json, or vocab.json "
               "and merges.txt")
        .field("vocabulary", &TextSettings::vocabulary,
               "of bpe and words: tokens at most, 256 or more; 0: 2048 for bpe, all words",
               between(0, 1'000'000))
        .field("lines", &TextSettings::lines, "each line is an item of its own")
        .field("validation", &TextSettings::validation,
               "file to validate on; empty: a part of the source")
        .resumable()
        .nest("", &TextSettings::window, window_fields())
        .table();
  }

  bool claims(const DataConfig& config, const Tokenizer* tokenizer) const override {
    return is_text_source(config.source) && !series_modality().claims(config, tokenizer);
  }

  Dataset load(const DataConfig& config, const LoadOptions& options) const override {
    const auto settings = own_settings<TextSettings>(config, *this);
    const TextData text = load_text(text_options(config, settings), data_folder(config.dir),
                                    {.download = options.download, .progress = {}});
    Dataset data;
    data.notes = text.notes;
    data.info.source = text.source;
    data.info.fingerprint = text.fingerprint;
    data.info.tokenizer = options.tokenizer
                              ? options.tokenizer
                              : make_tokenizer(text, settings.tokenizer, settings.vocabulary);
    data.info.lines = text.items;
    data.train = to_split(text.train, text, *data.info.tokenizer);
    data.test = to_split(text.validation, text, *data.info.tokenizer);
    set_windows(settings.window, data);
    return data;
  }

  void write(const DataInfo& info, Json& json) const override { write_windows(info, json); }
  void read(const Json& json, DataInfo& info) const override { read_windows(json, info); }

  std::string items(const DataInfo& info) const override {
    return info.lines ? "lines" : "windows";
  }
  std::string describe(const DataInfo& info) const override {
    return concat(info.lines ? "lines" : "running text", ", ", info.tokenizer->name(), ", context ",
                  info.context);
  }
  std::vector<std::string> metrics() const override { return {"likelihood", "memorization"}; }
};

}  // namespace

TextOptions text_options(const DataConfig& config, const TextSettings& settings) {
  TextOptions options;
  options.source = config.source;
  options.validation = settings.validation;
  options.lines = settings.lines;
  options.validation_share = config.test_share;
  options.raw = config.raw;
  return options;
}

bool is_text_source(const std::string& source) {
  if (const KnownSet* known = find_known_set(source)) return known->text != nullptr;
  std::error_code error;
  if (fs::is_directory(source, error)) return is_text_folder(source);
  return fs::is_regular_file(source, error) && binary_kind(read_start(source, 16)).empty();
}

const Modality& text_modality() {
  static const Texts texts;
  return texts;
}

}  // namespace genai
