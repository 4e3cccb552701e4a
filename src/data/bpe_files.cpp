// Byte pair encodings in files: GPT-2's vocab.json and merges.txt, transformers' tokenizer.json.
#include <algorithm>

#include "genai/base/files.h"
#include "genai/base/json.h"
#include "genai/data/bpe.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = uint64_t{64} << 20;

/// The lines of a merges file that hold merges, and the number of the first one.
std::vector<std::string> merge_lines(const std::string& content, size_t& first) {
  std::vector<std::string> lines;
  first = 1;
  for (size_t at = 0, end = 0; at < content.size(); at = end + 1) {
    end = std::min(content.find('\n', at), content.size());
    lines.push_back(content.substr(at, end - at));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (!lines.empty() && lines.front().starts_with("#version")) {
    lines.erase(lines.begin());
    first = 2;
  }
  return lines;
}

Json read_tokens(const fs::path& file, int depth) {
  Json json = parse_json(read_file(file, kMaxFileBytes), file.string(), ErrorKind::data,
                         {.bytes = kMaxFileBytes,
                          .depth = depth,
                          .comments = false,
                          .large_integers = true});  // a model_max_length that is none: 10^30
  if (!json.is_object())
    fail(ErrorKind::data, file.string(), ": expected a JSON object, found something else");
  return json;
}

/// Tokens by id of {"token": id, ...} and of special ones, some of which may be in both.
std::vector<std::string> tokens_by_id(const Json& json, const Bpe::Specials& specials,
                                      const std::string& name) {
  if (!json.is_object() || json.empty())
    fail(ErrorKind::data, name, ": expected an object {\"token\": id, ...}, found ",
         json.is_object() ? "an empty one" : "something else");
  std::map<int64_t, std::string> more(specials.begin(), specials.end());
  const auto& all = json.get_ref<const Json::object_t&>();
  for (const auto& [token, value] : all) {
    if (value.is_number_integer()) more.erase(value.get<int64_t>());
  }
  const auto last = static_cast<int64_t>(all.size() + more.size()) - 1;
  std::vector<const std::string*> tokens(static_cast<size_t>(last + 1));
  const auto place = [&](const std::string& token, const Json& id) {
    if (!id.is_number_integer() || id < 0 || id > last)
      fail(ErrorKind::data, name, ": token '", token, "': expected an id from 0 to ", last, " (",
           last + 1, " tokens without a hole), found ", id.dump());
    const std::string*& there = tokens[id.get<size_t>()];
    if (there)
      fail(ErrorKind::data, name, ": tokens '", *there, "' and '", token, "' both have the id ",
           id.dump(), "; expected each id once");
    there = &token;
  };
  for (const auto& [token, id] : all) place(token, id);
  for (const auto& [id, token] : more) place(token, id);
  std::vector<std::string> copies;
  for (const std::string* token : tokens) copies.push_back(*token);
  return copies;
}

void add_end(const Json& vocabulary, Bpe::Specials& specials) {
  const auto end = vocabulary.is_object() ? vocabulary.find(Bpe::kEndOfText) : vocabulary.end();
  if (end != vocabulary.end() && end->is_number_integer() && *end >= 0 && *end < Bpe::kMostTokens)
    specials.emplace(end->get<int32_t>(), Bpe::kEndOfText);
}

/// A special token of {"id": 5, "content": "<pad>"}.
void add_special(const Json& id, const Json& content, const std::string& name,
                 Bpe::Specials& specials) {
  const bool good = id.is_number_integer() && id >= 0 && id < Bpe::kMostTokens &&
                    content.is_string() && !content.get_ref<const std::string&>().empty();
  if (!good)
    fail(ErrorKind::data, name, ": an added token: expected an id from 0 to ", Bpe::kMostTokens - 1,
         " and a text, found ", id.dump(), " and ", content.dump());
  specials[id.get<int32_t>()] = content.get<std::string>();
}

/// "LEFT RIGHT", of that or of ["LEFT", "RIGHT"].
std::string merge_line(const Json& merge, const std::string& where) {
  if (merge.is_string()) return merge.get<std::string>();
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  fail(ErrorKind::data, where, ": expected \"LEFT RIGHT\" or [\"LEFT\", \"RIGHT\"], found ",
       merge.dump());
}

/// Where tokenizer.json has other than GPT-2's form.
void check_form(const Json& json, const std::string& name) {
  const auto at = [&](const char* part, const char* key) {
    const auto found = json.find(part);
    return found != json.end() && found->is_object() ? found->value(key, Json()) : Json();
  };
  const auto expect = [&](bool good, const char* what, const Json& found) {
    if (!good)
      fail(ErrorKind::data, name, ": expected ", what, " as GPT-2's, found ", found.dump());
  };
  const auto is_off = [](const Json& value) { return value.is_null() || value == false; };
  const Json type = at("model", "type");  // GPT-2's own file has none
  expect(at("model", "vocab").is_object() && (type.is_null() || type == "BPE"),
         "a model of type BPE with a vocab", type);
  expect(is_off(at("model", "byte_fallback")), "no byte_fallback", at("model", "byte_fallback"));
  expect(is_off(at("model", "ignore_merges")), "no ignore_merges", at("model", "ignore_merges"));
  expect(at("pre_tokenizer", "type") == "ByteLevel", "a pre_tokenizer of type ByteLevel",
         at("pre_tokenizer", "type"));
  expect(is_off(at("pre_tokenizer", "add_prefix_space")), "no add_prefix_space",
         at("pre_tokenizer", "add_prefix_space"));
  expect(at("pre_tokenizer", "use_regex") != false, "a pre_tokenizer that use_regex",
         at("pre_tokenizer", "use_regex"));
  expect(!json.contains("normalizer") || json["normalizer"].is_null(), "no normalizer",
         json.value("normalizer", Json()));
}

}  // namespace

std::vector<std::string> Bpe::letter_tokens() const {
  std::vector<std::string> letters;
  for (const std::string& token : tokens_) letters.push_back(to_byte_letters(token));
  return letters;
}

std::vector<std::string> Bpe::letter_merges() const {
  const std::vector<std::string> letters = letter_tokens();
  std::vector<std::string> lines;
  for (const Merge& merge : merges_)
    lines.push_back(letters[to_index(merge.left)] + " " + letters[to_index(merge.right)]);
  return lines;
}

Bpe Bpe::read_folder(const fs::path& folder) {
  constexpr int kDepth = 16;
  std::error_code error;
  const fs::path whole = folder / "tokenizer.json", added = folder / "added_tokens.json",
                 config = folder / "tokenizer_config.json";
  Specials specials;
  if (fs::exists(whole, error)) {
    const std::string name = whole.string();
    const Json json = read_tokens(whole, kDepth);
    check_form(json, name);
    const Json& model = json["model"];
    const Json vocabulary = model.value("vocab", Json()),
               merges = model.value("merges", Json::array());
    add_end(vocabulary, specials);
    for (const auto& token : json.value("added_tokens", Json::array())) {
      const bool good = token.is_object();
      add_special(good ? token.value("id", Json()) : Json(),
                  good ? token.value("content", Json()) : Json(), name, specials);
    }
    std::vector<std::string> lines;
    for (const auto& merge : merges)
      lines.push_back(merge_line(merge, concat(name, ": merge ", lines.size())));
    return from_letters(
        tokens_by_id(vocabulary, specials, name), lines, name,
        [&](size_t rank) { return concat(name, ": merge ", rank); }, specials);
  }
  const fs::path vocabulary = folder / "vocab.json", merges = folder / "merges.txt";
  if (!fs::exists(vocabulary, error) || !fs::exists(merges, error))
    fail(ErrorKind::data, folder.string(),
         ": no tokenizer; expected tokenizer.json, or vocab.json and "
         "merges.txt");
  if (fs::exists(added, error)) {
    const Json tokens = read_tokens(added, 1);
    for (const auto& [token, id] : tokens.items()) add_special(id, token, added.string(), specials);
  }
  if (fs::exists(config, error)) {
    const Json json = read_tokens(config, kDepth);
    const auto decoder = json.value("added_tokens_decoder", Json::object());
    for (const auto& [id, token] : decoder.items()) {
      const Json number = Json::parse(id, nullptr, false);
      add_special(number, token.is_object() ? token.value("content", Json()) : token,
                  config.string(), specials);
    }
  }
  return read(vocabulary, merges, specials);
}

Bpe Bpe::read(const fs::path& vocabulary, const fs::path& merges, const Specials& known) {
  const Json json = read_tokens(vocabulary, 1);
  Specials specials = known;
  add_end(json, specials);
  size_t first = 0;
  const std::vector<std::string> lines = merge_lines(read_file(merges, kMaxFileBytes), first);
  return from_letters(
      tokens_by_id(json, specials, vocabulary.string()), lines, vocabulary.string(),
      [&](size_t rank) { return concat(merges.string(), ", line ", first + rank); }, specials);
}

std::string Bpe::vocabulary_file() const {
  const std::vector<std::string> letters = letter_tokens();
  std::string content;
  for (size_t id = 0; id < letters.size(); ++id) {
    const auto special = specials_.find(static_cast<int32_t>(id));
    // Of bytes that are no UTF-8 JSON holds the letters alone.
    const bool plain = special == specials_.end() || !is_utf8(special->second);
    const std::string& token = plain ? letters[id] : special->second;
    if (!token.empty()) content += concat(id == 0 ? "{" : ",", Json(token).dump(), ":", id);
  }
  return content + "}";
}

std::string Bpe::merges_file() const {
  std::string content = "#version: 0.2\n";
  for (const std::string& line : letter_merges()) content += line + "\n";
  return content;
}

}  // namespace genai
