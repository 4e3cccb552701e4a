#include "genai/data/text_data.h"

#include <algorithm>
#include <numeric>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/base/text.h"
#include "genai/core/philox.h"
#include "genai/data/known_sets.h"
#include "genai/data/series.h"
#include "genai/data/text_file.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Of the order of a known set's items.
constexpr uint64_t kKnownSeed = 0;
constexpr size_t kSmallText = 10'000;

/// The last place at or before `cut` that parts no UTF-8 sequence.
size_t between_characters(std::string_view text, size_t cut) {
  for (size_t back = 1; back <= std::min<size_t>(cut, 3); ++back) {
    if (character_at(text, cut - back).bytes > back) return cut - back;
  }
  return cut;
}

/// The lines that are not empty, without their ends.
std::vector<std::string_view> lines_of(std::string_view text, size_t& empty) {
  std::vector<std::string_view> lines;
  empty = 0;
  for (size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
      ++empty;
    } else {
      lines.push_back(line);
    }
  }
  return lines;
}

std::string joined(const std::vector<std::string_view>& lines) {
  std::string text;
  for (const std::string_view line : lines) text.append(line) += '\n';
  return text;
}

/// In an order from the seed: by a random number for each place.
void shuffle(std::vector<std::string_view>& lines, uint64_t seed) {
  std::vector<uint64_t> keys(lines.size());
  philox_bits(stream_key(seed, "text items"), 0, 0, keys.data(), static_cast<int64_t>(keys.size()));
  std::vector<size_t> order(lines.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return keys[i]; });
  std::vector<std::string_view> shuffled;
  for (const size_t i : order) shuffled.push_back(lines[i]);
  lines = std::move(shuffled);
}

[[noreturn]] void fail_too_small(const std::string& name, const std::string& unit, size_t found) {
  fail(ErrorKind::data, name, ": expected at least 2 ", unit,
       ", for training and validation, found ", found, "; add some, or name a validation file");
}

void cut_running_text(const std::string& name, std::string text, double share, TextData& data) {
  const size_t wanted = std::clamp(text_train_count(text.size(), share), size_t{1}, text.size());
  const size_t cut = between_characters(text, wanted);
  if (cut == 0 || cut == text.size())
    fail_too_small(name, "characters", static_cast<size_t>(count_characters(text)));
  data.validation = text.substr(cut);
  text.resize(cut);
  data.train = std::move(text);
}

/// The items of a text, with a note of what was passed over.
std::vector<std::string_view> items_of(std::string_view text, const std::string& name,
                                       TextData& data) {
  size_t empty = 0;
  std::vector<std::string_view> lines = lines_of(text, empty);
  if (lines.empty()) fail(ErrorKind::data, name, ": expected an item a line, found empty lines");
  if (empty > 0)
    data.notes.push_back(concat(name, ": left out ", count_text(static_cast<int64_t>(empty)),
                                " empty line", empty == 1 ? "" : "s"));
  return lines;
}

void cut_items(const std::string& name, std::string_view text, const TextOptions& options,
               uint64_t seed, TextData& data) {
  std::vector<std::string_view> lines = items_of(text, name, data);
  if (lines.size() < 2) fail_too_small(name, "lines", lines.size());
  shuffle(lines, seed);
  const size_t cut = std::clamp(text_train_count(lines.size(), options.validation_share), size_t{1},
                                lines.size() - 1);
  data.train = joined({lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(cut)});
  data.validation = joined({lines.begin() + static_cast<std::ptrdiff_t>(cut), lines.end()});
}

}  // namespace

std::string text_name(const std::string& path) {
  const fs::path whole =
      fs::path(path).has_filename() ? fs::path(path) : fs::path(path).parent_path();
  return (whole.extension() == ".gz" ? whole.stem() : whole).stem().string();
}

size_t text_train_count(size_t n, double validation_share) {
  return static_cast<size_t>(static_cast<double>(n) * (1 - validation_share));
}

TextData load_text(const TextOptions& options, const fs::path& data_dir,
                   const FetchOptions& fetch) {
  if (!(options.validation_share > 0 && options.validation_share < 1))
    fail(ErrorKind::usage, "text: expected a validation share between 0 and 1, found ",
         options.validation_share);
  const KnownSet* known = find_known_set(options.source);
  if (known && !known->text)
    fail(ErrorKind::usage, "'", options.source, "' is a set of images, not a text");
  const bool items = known && known->items;
  if (known && !options.validation.empty())
    fail(ErrorKind::usage, options.source,
         " has its own validation part; expected no file for it, "
         "found ",
         options.validation);
  TextData data;
  data.source = known ? options.source : text_name(options.source);
  data.items = options.lines || items;
  auto [text, validation] = known ? TextParts{known->text(data_dir, fetch), ""}
                                  : read_text_parts(options.source, options.raw, &data.notes);
  if (!options.validation.empty())
    validation = read_text(options.validation, options.raw, &data.notes);
  if (!validation.empty()) {
    data.train = std::move(text);
    data.validation = std::move(validation);
    if (data.items) {
      const std::string& name = options.validation.empty() ? options.source : options.validation;
      data.train = joined(items_of(data.train, options.source, data));
      data.validation = joined(items_of(data.validation, name, data));
    }
  } else if (data.items) {
    cut_items(options.source, text, options, items ? kKnownSeed : options.seed, data);
  } else {
    cut_running_text(options.source, std::move(text), options.validation_share, data);
  }
  if (data.train.size() < kSmallText)
    data.notes.push_back(concat("only ", count_text(static_cast<int64_t>(data.train.size())),
                                " bytes for training: a model will learn them by heart"));
  data.fingerprint = sha256(concat("genai text 1\n", data.items ? "items" : "running text", "\n",
                                   sha256(data.train), "\n", sha256(data.validation), "\n"));
  return data;
}

std::shared_ptr<const Tokenizer> make_tokenizer(const TextData& data, const std::string& tokenizer,
                                                int64_t vocabulary) {
  for (const auto& [kind, name] : kTokenizerNames) {
    if (name != tokenizer) continue;
    if (is_series_tokenizer(name)) break;
    const bool both = kind == TokenizerKind::characters;
    return make_tokenizer(kind, both ? data.train + data.validation : data.train, vocabulary);
  }
  std::error_code ignored;
  if (!fs::is_directory(tokenizer, ignored))
    fail(ErrorKind::usage,
         "tokenizer: expected characters, bytes, bpe, words, "
         "or a folder with tokenizer.json, or vocab.json and merges.txt, found '",
         tokenizer, "'");
  if (vocabulary != 0)
    fail(ErrorKind::usage, "tokenizer: ", tokenizer,
         " has its own vocabulary; expected no size for it, found ", vocabulary);
  return make_tokenizer(Bpe::read_folder(tokenizer));
}

}  // namespace genai
