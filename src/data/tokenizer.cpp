#include "genai/data/tokenizer.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <unordered_map>

#include "genai/base/hash.h"
#include "genai/data/series.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

constexpr int64_t kUsualBpe = 2048;

/// The code point at `at`; throws where there is none.
Character strict_character(std::string_view text, size_t at) {
  const Character character = character_at(text, at);
  if (character.code_point < 0)
    fail(ErrorKind::data, "characters: byte ", at, " (", visible_text(text.substr(at, 1)),
         ") is not UTF-8; convert the text, or use bytes or bpe, which take any bytes");
  return character;
}

class Characters : public Tokenizer {
 public:
  explicit Characters(std::vector<int32_t> code_points) : code_points_(std::move(code_points)) {
    for (size_t id = 0; id < code_points_.size(); ++id)
      ids_[code_points_[id]] = static_cast<int32_t>(id);
  }

  TokenizerKind kind() const override { return TokenizerKind::characters; }
  int64_t size() const override { return static_cast<int64_t>(code_points_.size()); }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    ids.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
      const Character character = strict_character(text, at);
      const auto known = ids_.find(character.code_point);
      if (known == ids_.end()) {
        char code[16];
        std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(character.code_point));
        fail(ErrorKind::data, "characters: '", visible_text(text.substr(at, character.bytes)),
             "' (", code, ") at byte ", at, " is none of the ", size(),
             " characters of the training text; leave it out, or train with bytes or bpe, which "
             "take any text");
      }
      ids.push_back(known->second);
      at += character.bytes;
    }
    return ids;
  }

  size_t known(std::string_view text) const override {
    size_t at = 0;
    while (at < text.size()) {
      const Character character = character_at(text, at);
      if (!ids_.contains(character.code_point)) break;
      at += character.bytes;
    }
    return at;
  }

  std::string token(int32_t id) const override {
    check(id);
    return to_utf8(code_points_[to_index(id)]);
  }

  Json to_json() const override {
    std::string all;
    for (const int32_t code_point : code_points_) all += to_utf8(code_point);
    return {{"kind", "characters"}, {"vocabulary", all}};
  }

 private:
  std::vector<int32_t> code_points_;  // ascending
  std::unordered_map<int32_t, int32_t> ids_;
};

class Bytes : public Tokenizer {
 public:
  TokenizerKind kind() const override { return TokenizerKind::bytes; }
  int64_t size() const override { return 256; }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    ids.reserve(text.size());
    for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
    return ids;
  }

  std::string token(int32_t id) const override {
    check(id);
    return std::string(1, static_cast<char>(id));
  }

  Json to_json() const override { return {{"kind", "bytes"}}; }
};

class BytePairs : public Tokenizer {
 public:
  explicit BytePairs(Bpe bpe) : bpe_(std::move(bpe)) {}

  TokenizerKind kind() const override { return TokenizerKind::bpe; }
  int64_t size() const override { return static_cast<int64_t>(bpe_.tokens().size()); }
  const Bpe* bpe() const override { return &bpe_; }
  int32_t end_token() const override { return bpe_.end(); }
  std::vector<int32_t> encode(std::string_view text) const override { return bpe_.encode(text); }

  std::string token(int32_t id) const override {
    check(id);
    return bpe_.tokens()[to_index(id)];
  }

  Json to_json() const override {
    Json json{
        {"kind", "bpe"}, {"vocabulary", bpe_.letter_tokens()}, {"merges", bpe_.letter_merges()}};
    if (bpe_.specials().empty() && bpe_.end() < 0 && bpe_.roles().empty()) return json;
    json["special"] = Json::array();
    for (const auto& [id, token] : bpe_.specials()) json["special"].push_back(id);
    json["end"] = bpe_.end();
    if (!bpe_.roles().empty()) json["roles"] = bpe_.roles();
    return json;
  }

 private:
  Bpe bpe_;
};

class Words : public Tokenizer {
 public:
  /// The tokens after the 256 bytes.
  explicit Words(const std::vector<std::string>& words)
      : tokens_(byte_tokens().begin(), byte_tokens().end()) {
    tokens_.insert(tokens_.end(), words.begin(), words.end());
    for (size_t id = 0; id < tokens_.size(); ++id)
      ids_.emplace(tokens_[id], static_cast<int32_t>(id));
  }

  TokenizerKind kind() const override { return TokenizerKind::words; }
  int64_t size() const override { return static_cast<int64_t>(tokens_.size()); }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    split_pieces(text, [&](std::string_view piece) {
      const std::string word(piece);
      if (const auto known = ids_.find(word); known != ids_.end()) {
        ids.push_back(known->second);
      } else {
        for (const char c : word) ids.push_back(ids_.at(std::string(1, c)));
      }
    });
    return ids;
  }

  std::string token(int32_t id) const override {
    check(id);
    return tokens_[to_index(id)];
  }

  /// In byte letters: JSON holds no bytes that are not UTF-8.
  Json to_json() const override {
    Json words = Json::array();
    for (size_t id = Bpe::kBytes; id < tokens_.size(); ++id)
      words.push_back(to_byte_letters(tokens_[id]));
    return {{"kind", "words"}, {"vocabulary", words}};
  }

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
};

std::vector<int32_t> code_points_of(std::string_view text) {
  std::set<int32_t> all;
  for (size_t at = 0; at < text.size();) {
    const Character character = strict_character(text, at);
    all.insert(character.code_point);
    at += character.bytes;
  }
  return {all.begin(), all.end()};
}

/// At most `most` pieces of two bytes or more, most frequent first; among equals in bytewise order.
std::vector<std::string> frequent_words(std::string_view text, size_t most) {
  std::map<std::string_view, int64_t> counts;
  split_pieces(text, [&](std::string_view piece) {
    if (piece.size() > 1) ++counts[piece];
  });
  std::vector<std::pair<std::string_view, int64_t>> ordered(counts.begin(), counts.end());
  std::ranges::stable_sort(ordered, std::greater<>(), [](const auto& word) { return word.second; });
  std::vector<std::string> words;
  for (size_t i = 0; i < std::min(most, ordered.size()); ++i) words.emplace_back(ordered[i].first);
  return words;
}

// ---- from JSON ----

std::string known_kinds() {
  std::string all;
  for (const auto& [kind, name] : kTokenizerNames) all += (all.empty() ? "" : ", ") + name;
  return all;
}

TokenizerKind kind_of(const Json& json, const std::string& name) {
  const bool given = json.is_object() && json.contains("kind") && json["kind"].is_string();
  for (const auto& [kind, text] : kTokenizerNames) {
    if (given && json["kind"] == text) return kind;
  }
  fail(ErrorKind::data, name, ": expected a tokenizer, an object whose kind is one of ",
       known_kinds(), ", found ", given ? json["kind"].dump() : "none");
}

void check_keys(const Json& json, const std::vector<std::string>& keys, const std::string& name) {
  for (const auto& [key, value] : json.items()) {
    if (std::ranges::find(keys, key) == keys.end())
      fail(ErrorKind::data, name, ": unknown key '", key, "' in a tokenizer");
  }
  for (const std::string& key : keys) {
    if (!json.contains(key)) fail(ErrorKind::data, name, ": a tokenizer without '", key, "'");
  }
}

std::vector<std::string> strings(const Json& json, const char* key, const std::string& name) {
  const Json& list = json.at(key);
  if (!list.is_array() ||
      !std::ranges::all_of(list, [](const Json& item) { return item.is_string(); }))
    fail(ErrorKind::data, name, ": '", key, "' of a tokenizer: expected a list of strings");
  return list.get<std::vector<std::string>>();
}

std::vector<int32_t> characters_from_json(const Json& json, const std::string& name) {
  if (!json.at("vocabulary").is_string())
    fail(ErrorKind::data, name, ": 'vocabulary' of characters: expected a string");
  const std::string text = json["vocabulary"].get<std::string>();
  std::vector<int32_t> all;
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    if (character.code_point <= (all.empty() ? -1 : all.back()))
      fail(ErrorKind::data, name,
           ": 'vocabulary' of characters: expected each character once, in "
           "the order of code points; that at byte ",
           at, " is not");
    all.push_back(character.code_point);
    at += character.bytes;
  }
  if (all.empty()) fail(ErrorKind::data, name, ": 'vocabulary' of characters is empty");
  return all;
}

/// Ids of "special", "end" one of them or -1.
Bpe::Specials specials_from_json(const Json& json, const std::vector<std::string>& tokens,
                                 const std::string& name) {
  Bpe::Specials specials;
  const auto is_id = [&](const Json& id) {
    return id.is_number_integer() && id >= 0 && id < static_cast<int64_t>(tokens.size());
  };
  const Json& ids = json.at("special");
  if (!ids.is_array() || !std::ranges::all_of(ids, is_id) ||
      !(json["end"] == -1 || is_id(json["end"])))
    fail(ErrorKind::data, name, ": 'special' and 'end' of bpe: expected ids of tokens");
  for (const Json& id : ids) {
    specials[id.get<int32_t>()] =
        from_byte_letters(tokens[id.get<size_t>()], name + ": 'special' of bpe");
  }
  return specials;
}

void set_roles(const Json& roles, const std::string& name, Bpe& bpe) {
  for (const auto& [role, id] : roles.items()) {
    const bool whole = id.is_number_integer() && id >= 0 && id <= INT32_MAX;
    if (!roles.is_object() || !whole)
      fail(ErrorKind::data, name, ": 'roles' of bpe: expected an object of ids");
    bpe.set_role(role, id.get<int32_t>());
  }
}

std::vector<std::string> words_from_json(const Json& json, const std::string& name) {
  std::vector<std::string> words;
  std::set<std::string> seen;
  for (const std::string& letters : strings(json, "vocabulary", name)) {
    words.push_back(from_byte_letters(letters, name + ": 'vocabulary' of words"));
    if (words.back().size() < 2 || !seen.insert(words.back()).second)
      fail(ErrorKind::data, name, ": 'vocabulary' of words: '", letters, "': expected ",
           words.back().size() < 2 ? "at least two bytes" : "each word once");
  }
  return words;
}

Changes changes_from_json(TokenizerKind kind, const Json& json, const std::string& name) {
  const auto numbers = [&](const char* key) {
    const Json& list = json.at(key);
    if (!list.is_array() ||
        !std::ranges::all_of(list, [](const Json& item) { return item.is_number(); }) ||
        !std::ranges::is_sorted(list.get<std::vector<double>>()))
      fail(ErrorKind::data, name, ": '", key, "' of a series: expected ascending numbers");
    return list.get<std::vector<double>>();
  };
  if (!json.at("column").is_string())
    fail(ErrorKind::data, name, ": 'column' of a series: expected a string");
  const Json& season = json.at("season");
  if (!season.is_number_integer() || season < 0 || season > Changes::kLongestSeason)
    fail(ErrorKind::data, name, ": 'season' of a series: expected a whole number from 0 to ",
         Changes::kLongestSeason);
  const Json series = json.value("series", Json(""));
  if (!series.is_string()) fail(ErrorKind::data, name, ": 'series' of a series: expected a string");
  Changes::Levels levels{.kind = kind,
                         .season = season.get<int64_t>(),
                         .column = json["column"].get<std::string>(),
                         .series = series.get<std::string>(),
                         .edges = numbers("edges"),
                         .changes = numbers("changes")};
  if (levels.changes.size() < 2 || levels.changes.size() != levels.edges.size() + 1)
    fail(ErrorKind::data, name, ": a series: expected 2 changes or more and an edge between each ",
         "two, found ", levels.changes.size(), " and ", levels.edges.size());
  return Changes(std::move(levels));
}

}  // namespace

const EnumNames<TokenizerKind> kTokenizerNames = {{TokenizerKind::characters, "characters"},
                                                  {TokenizerKind::bytes, "bytes"},
                                                  {TokenizerKind::bpe, "bpe"},
                                                  {TokenizerKind::words, "words"},
                                                  {TokenizerKind::differences, "differences"},
                                                  {TokenizerKind::returns, "returns"}};

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) text += token(id);
  return text;
}

std::string Tokenizer::name() const {
  return concat(enum_name(kTokenizerNames, kind()), "-", size());
}

std::string Tokenizer::fingerprint() const {
  return sha256(to_json().dump());
}

void Tokenizer::check(int32_t id) const {
  if (id < 0 || id >= size())
    fail(ErrorKind::data, name(), ": expected a token id from 0 to ", size() - 1, ", found ", id);
}

std::shared_ptr<const Tokenizer> make_tokenizer(TokenizerKind kind, std::string_view text,
                                                int64_t vocabulary) {
  const std::string& name = enum_name(kTokenizerNames, kind);
  if (text.empty())
    fail(ErrorKind::data, name, ": expected a text to make a vocabulary from, found an empty one");
  if (is_series_tokenizer(name)) {
    return std::make_shared<Changes>(
        Changes::learn(kind, read_column(text, "the series"), vocabulary, 0, ""));
  }
  const bool sized = kind == TokenizerKind::bpe || kind == TokenizerKind::words;
  if (!sized && vocabulary != 0)
    fail(ErrorKind::usage, name, ": the vocabulary is ",
         kind == TokenizerKind::bytes ? "the 256 bytes" : "what the text has",
         "; expected no size for it, found ", vocabulary, " (bpe and words take one)");
  if (sized && vocabulary != 0 && vocabulary < Bpe::kBytes)
    fail(ErrorKind::usage, name, ": expected a vocabulary of at least ", Bpe::kBytes,
         " tokens (the bytes), or 0 for the usual one, found ", vocabulary);
  switch (kind) {
    case TokenizerKind::characters:
      return std::make_shared<Characters>(code_points_of(text));
    case TokenizerKind::bytes:
      return std::make_shared<Bytes>();
    case TokenizerKind::bpe:
      return make_tokenizer(Bpe::train(text, vocabulary != 0 ? vocabulary : kUsualBpe));
    case TokenizerKind::words:
    case TokenizerKind::differences:
    case TokenizerKind::returns:
      break;
  }
  const int64_t most = vocabulary != 0 ? vocabulary - Bpe::kBytes : INT32_MAX;
  return std::make_shared<Words>(frequent_words(text, static_cast<size_t>(most)));
}

std::shared_ptr<const Tokenizer> make_tokenizer(Bpe bpe) {
  return std::make_shared<BytePairs>(std::move(bpe));
}

std::shared_ptr<const Tokenizer> tokenizer_from_json(const Json& json, const std::string& name) {
  const TokenizerKind kind = kind_of(json, name);
  switch (kind) {
    case TokenizerKind::characters:
      check_keys(json, {"kind", "vocabulary"}, name);
      return std::make_shared<Characters>(characters_from_json(json, name));
    case TokenizerKind::bytes:
      check_keys(json, {"kind"}, name);
      return std::make_shared<Bytes>();
    case TokenizerKind::bpe: {
      const bool special = json.contains("special"), roles = json.contains("roles");
      std::vector<std::string> keys{"kind", "vocabulary", "merges"};
      if (special) keys.insert(keys.end(), {"special", "end"});
      if (roles) keys.push_back("roles");
      check_keys(json, keys, name);
      const auto tokens = strings(json, "vocabulary", name);
      Bpe bpe = Bpe::from_letters(
          tokens, strings(json, "merges", name), name + ": 'vocabulary' of bpe",
          [&](size_t rank) { return concat(name, ": merge ", rank, " of bpe"); },
          special ? specials_from_json(json, tokens, name) : Bpe::Specials());
      if (special && json["end"] != -1) bpe.set_end(json["end"].get<int32_t>());
      if (roles) set_roles(json["roles"], name, bpe);
      return make_tokenizer(std::move(bpe));
    }
    case TokenizerKind::differences:
    case TokenizerKind::returns:
      if (json.contains("series")) {
        check_keys(json, {"kind", "season", "column", "edges", "changes", "series"}, name);
      } else {
        check_keys(json, {"kind", "season", "column", "edges", "changes"}, name);
      }
      return std::make_shared<Changes>(changes_from_json(kind, json, name));
    case TokenizerKind::words:
      break;
  }
  check_keys(json, {"kind", "vocabulary"}, name);
  return std::make_shared<Words>(words_from_json(json, name));
}

}  // namespace genai
