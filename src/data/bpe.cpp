#include "genai/data/bpe.h"

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "genai/base/files.h"
#include "genai/base/json.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxVocabulary = 1'000'000;
constexpr uint64_t kMaxFileBytes = uint64_t{64} << 20;

/// Pairs compare like their keys: by left, then by right.
uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

// ---- byte letters ----

struct ByteLetters {
  std::array<std::string, 256> letters;  // by byte, in UTF-8
  std::array<int32_t, 0x180> bytes;      // by code point; -1: none
  std::array<std::string, 256> ordered;  // bytes by their letters' code points
};

const ByteLetters& byte_letters() {
  static const ByteLetters made = [] {
    ByteLetters table;
    table.bytes.fill(-1);
    int32_t other = 0x100;
    for (int32_t byte = 0; byte < 256; ++byte) {
      const bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const int32_t letter = visible ? byte : other++;
      table.letters[to_index(byte)] = to_utf8(letter);
      table.bytes[to_index(letter)] = byte;
    }
    size_t next = 0;
    for (const int32_t byte : table.bytes) {
      if (byte >= 0) table.ordered[next++] = std::string(1, static_cast<char>(byte));
    }
    return table;
  }();
  return made;
}

// ---- pieces ----

/// Length of the ending 's, 't, 're, 've, 'm, 'll or 'd at the start of `text`, or 0.
size_t ending(std::string_view text) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  for (const std::string_view word : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(word)) return word.size();
  }
  return 0;
}

/// The class of the character at `at`, and where the next one begins.
CharacterClass class_at(std::string_view text, size_t at, size_t& next) {
  const Character character = character_at(text, at);
  next = at + character.bytes;
  return character_class(character.code_point);
}

/// Length of the first piece of a text that is not empty.
size_t first_piece(std::string_view text) {
  if (const size_t bytes = ending(text)) return bytes;
  size_t next = 0;
  CharacterClass first = class_at(text, 0, next);
  if (text[0] == ' ' && text.size() > 1) {
    size_t after = 0;
    const CharacterClass second = class_at(text, 1, after);
    if (second != CharacterClass::space) {  // the one space before a run
      first = second;
      next = after;
    }
  }
  size_t end = next, last = 0;  // of the run; where its last character begins
  while (end < text.size() && class_at(text, end, next) == first) {
    last = end;
    end = next;
  }
  // \s+(?!\S): of several before something else, the last stays for what follows.
  const bool leaves_one = first == CharacterClass::space && end < text.size() && last > 0;
  return leaves_one ? last : end;
}

// ---- training ----

struct Word {
  std::vector<int32_t> ids;
  int64_t count;  // in the text
};

struct Pair {
  int64_t count = 0;          // neighbours in the text
  std::vector<size_t> words;  // where it is, or was
};

/// An entry of the heap; its count may be old.
struct Candidate {
  int64_t count;
  uint64_t key;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : key > other.key;
  }
};

class Trainer {
 public:
  explicit Trainer(std::string_view text) {
    std::array<int32_t, 256> ids;
    for (int32_t id = 0; id < Bpe::kBytes; ++id)
      ids[static_cast<uint8_t>(byte_tokens()[to_index(id)][0])] = id;
    std::unordered_map<std::string_view, size_t> seen;
    split_pieces(text, [&](std::string_view piece) {
      const auto [entry, fresh] = seen.try_emplace(piece, words_.size());
      if (fresh) {
        words_.push_back({{}, 0});
        for (const char c : piece) words_.back().ids.push_back(ids[static_cast<uint8_t>(c)]);
      }
      ++words_[entry->second].count;
    });
    for (size_t w = 0; w < words_.size(); ++w) {
      for (size_t i = 0; i + 1 < words_[w].ids.size(); ++i)
        change(words_[w].ids[i], words_[w].ids[i + 1], words_[w].count, w);
    }
    offer();
  }

  /// The next pair to merge, or false when none is there `least` times.
  bool next(int64_t least, int32_t& left, int32_t& right) {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      const int64_t count = pairs_.at(top.key).count;
      if (count < least) continue;  // counts of known pairs only fall
      if (count != top.count) {
        heap_.push({count, top.key});
        continue;
      }
      left = static_cast<int32_t>(top.key >> 32);
      right = static_cast<int32_t>(top.key & 0xFFFFFFFF);
      return true;
    }
    return false;
  }

  void merge(int32_t left, int32_t right, int32_t joined) {
    const std::vector<size_t> words = std::move(pairs_.at(pair_key(left, right)).words);
    for (const size_t w : words) {
      std::vector<int32_t>& ids = words_[w].ids;
      const int64_t count = words_[w].count;
      size_t kept = 0;
      for (size_t i = 0; i < ids.size();) {
        if (i + 1 == ids.size() || ids[i] != left || ids[i + 1] != right) {
          ids[kept++] = ids[i++];
          continue;
        }
        if (kept > 0) {
          change(ids[kept - 1], left, -count, w);
          change(ids[kept - 1], joined, count, w);
        }
        if (i + 2 < ids.size()) {
          change(right, ids[i + 2], -count, w);
          change(joined, ids[i + 2], count, w);
        }
        ids[kept++] = joined;
        i += 2;
      }
      ids.resize(kept);
    }
    offer();
  }

 private:
  void change(int32_t left, int32_t right, int64_t count, size_t word) {
    const uint64_t key = pair_key(left, right);
    const auto [entry, is_new] = pairs_.try_emplace(key);
    if (is_new) fresh_.push_back(key);
    Pair& pair = entry->second;
    pair.count += count;
    if (count > 0 && (pair.words.empty() || pair.words.back() != word)) pair.words.push_back(word);
  }

  /// The pairs that came up since the last call become candidates.
  void offer() {
    for (const uint64_t key : fresh_) heap_.push({pairs_.at(key).count, key});
    fresh_.clear();
  }

  std::vector<Word> words_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::vector<uint64_t> fresh_;
  std::priority_queue<Candidate> heap_;
};

// ---- files ----

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

/// Read strictly. parse_json keeps the order of keys, and its time grows with the square of their
/// number: seconds for GPT-2's 50,257.
nlohmann::json parse_tokens(const std::string& content, const std::string& name, int most_depth) {
  std::vector<std::unordered_set<std::string>> keys;
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (depth >= most_depth && (event == Event::object_start || event == Event::array_start))
      fail(ErrorKind::data, name, ": found a list or object ", depth, " deep; expected ",
           most_depth, " at most, as transformers writes it");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second)
      fail(ErrorKind::data, name, ": '", value.get<std::string>(),
           "' is there twice; "
           "expected it once");
    return true;
  };
  nlohmann::json json;
  try {
    // The parser takes a zero byte for the end.
    if (content.find('\0') == std::string::npos) json = nlohmann::json::parse(content, check);
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, name, ": not valid JSON: ", error.what());
  }
  if (!json.is_object())
    fail(ErrorKind::data, name, ": expected a JSON object, found something else");
  return json;
}

nlohmann::json read_tokens(const fs::path& file, int most_depth) {
  return parse_tokens(read_file(file, kMaxFileBytes), file.string(), most_depth);
}

/// Tokens by id of {"token": id, ...} and of special ones, some of which may be in both.
std::vector<std::string> tokens_by_id(const nlohmann::json& json, const Bpe::Specials& specials,
                                      const std::string& name) {
  if (!json.is_object() || json.empty())
    fail(ErrorKind::data, name, ": expected an object {\"token\": id, ...}, found ",
         json.is_object() ? "an empty one" : "something else");
  std::map<int64_t, std::string> more(specials.begin(), specials.end());
  const auto& all = json.get_ref<const nlohmann::json::object_t&>();
  for (const auto& [token, value] : all) {
    if (value.is_number_integer()) more.erase(value.get<int64_t>());
  }
  const auto last = static_cast<int64_t>(all.size() + more.size()) - 1;
  std::vector<const std::string*> tokens(static_cast<size_t>(last + 1));
  const auto place = [&](const std::string& token, const nlohmann::json& id) {
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

/// GPT-2's, in every one of its vocabularies.
const std::string kEnd = "<|endoftext|>";

void add_end(const nlohmann::json& vocabulary, Bpe::Specials& specials) {
  const auto end = vocabulary.is_object() ? vocabulary.find(kEnd) : vocabulary.end();
  if (end != vocabulary.end() && end->is_number_integer() && *end >= 0 && *end < kMaxVocabulary)
    specials.emplace(end->get<int32_t>(), kEnd);
}

/// A special token of {"id": 5, "content": "<pad>"}.
void add_special(const nlohmann::json& id, const nlohmann::json& content, const std::string& name,
                 Bpe::Specials& specials) {
  const bool good = id.is_number_integer() && id >= 0 && id < kMaxVocabulary &&
                    content.is_string() && !content.get_ref<const std::string&>().empty();
  if (!good)
    fail(ErrorKind::data, name, ": an added token: expected an id from 0 to ", kMaxVocabulary - 1,
         " and a text, found ", id.dump(), " and ", content.dump());
  specials[id.get<int32_t>()] = content.get<std::string>();
}

/// "LEFT RIGHT", of that or of ["LEFT", "RIGHT"].
std::string merge_line(const nlohmann::json& merge, const std::string& where) {
  if (merge.is_string()) return merge.get<std::string>();
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  fail(ErrorKind::data, where, ": expected \"LEFT RIGHT\" or [\"LEFT\", \"RIGHT\"], found ",
       merge.dump());
}

/// Where tokenizer.json has other than GPT-2's form.
void check_form(const nlohmann::json& json, const std::string& name) {
  const auto at = [&](const char* part, const char* key) {
    const auto found = json.find(part);
    return found != json.end() && found->is_object() ? found->value(key, nlohmann::json())
                                                     : nlohmann::json();
  };
  const auto expect = [&](bool good, const char* what, const nlohmann::json& found) {
    if (!good)
      fail(ErrorKind::data, name, ": expected ", what, " as GPT-2's, found ", found.dump());
  };
  const auto is_off = [](const nlohmann::json& value) { return value.is_null() || value == false; };
  const nlohmann::json type = at("model", "type");  // GPT-2's own file has none
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
         json.value("normalizer", nlohmann::json()));
}

}  // namespace

void split_pieces(std::string_view text, const std::function<void(std::string_view)>& use) {
  while (!text.empty()) {
    const size_t bytes = first_piece(text);
    use(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
}

std::string to_byte_letters(std::string_view bytes) {
  std::string letters;
  for (const char c : bytes) letters += byte_letters().letters[static_cast<uint8_t>(c)];
  return letters;
}

std::string from_byte_letters(std::string_view letters, const std::string& where) {
  std::string bytes;
  for (size_t at = 0; at < letters.size();) {
    const Character letter = character_at(letters, at);
    const bool known = letter.code_point >= 0 && letter.code_point < 0x180;
    const int32_t byte = known ? byte_letters().bytes[to_index(letter.code_point)] : -1;
    if (byte < 0)
      fail(ErrorKind::data, where, ": '", visible_text(letters.substr(at, letter.bytes)),
           "' stands for no byte; expected the letters of GPT-2's byte-level files");
    bytes.push_back(static_cast<char>(byte));
    at += letter.bytes;
  }
  return bytes;
}

const std::array<std::string, 256>& byte_tokens() {
  return byte_letters().ordered;
}

Bpe Bpe::train(std::string_view text, int64_t vocabulary, int64_t least) {
  if (vocabulary < kBytes || vocabulary > kMaxVocabulary)
    fail(ErrorKind::usage, "bpe: expected a vocabulary of ", kBytes, " (the bytes) to ",
         kMaxVocabulary, " tokens, found ", vocabulary);
  if (least < 1)
    fail(ErrorKind::usage, "bpe: expected pairs to be there at least 1 time, found ", least);
  Bpe bpe;
  bpe.tokens_.assign(byte_tokens().begin(), byte_tokens().end());
  for (int32_t id = 0; id < kBytes; ++id)
    bpe.byte_ids_[static_cast<uint8_t>(bpe.tokens_[to_index(id)][0])] = id;
  Trainer trainer(text);
  int32_t left = 0, right = 0;
  while (static_cast<int64_t>(bpe.tokens_.size()) < vocabulary &&
         trainer.next(least, left, right)) {
    const auto joined = static_cast<int32_t>(bpe.tokens_.size());
    bpe.ranks_.emplace(pair_key(left, right), static_cast<int32_t>(bpe.merges_.size()));
    bpe.merges_.push_back({left, right, joined});
    bpe.tokens_.push_back(bpe.tokens_[to_index(left)] + bpe.tokens_[to_index(right)]);
    trainer.merge(left, right, joined);
  }
  return bpe;
}

Bpe Bpe::from_letters(const std::vector<std::string>& tokens,
                      const std::vector<std::string>& merges, const std::string& tokens_name,
                      const std::function<std::string(size_t)>& merge_name,
                      const Specials& specials) {
  Bpe bpe;
  bpe.specials_ = specials;
  bpe.byte_ids_.fill(-1);
  std::unordered_map<std::string, int32_t> ids;
  for (const std::string& letters : tokens) {
    const auto id = static_cast<int32_t>(bpe.tokens_.size());
    if (const auto special = specials.find(id); special != specials.end()) {
      bpe.tokens_.push_back(special->second);
      if (special->second == kEnd) bpe.end_ = id;
      continue;
    }
    bpe.tokens_.push_back(from_byte_letters(letters, concat(tokens_name, ": token ", id)));
    const std::string& token = bpe.tokens_.back();
    if (token.empty()) fail(ErrorKind::data, tokens_name, ": token ", id, " is empty");
    if (const auto [other, fresh] = ids.try_emplace(token, id); !fresh)
      fail(ErrorKind::data, tokens_name, ": ids ", other->second, " and ", id,
           " are both the token '", letters, "'; expected each token once");
    if (token.size() == 1) bpe.byte_ids_[static_cast<uint8_t>(token[0])] = id;
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    if (bpe.byte_ids_[byte] < 0)
      fail(ErrorKind::data, tokens_name, ": no token for byte ", byte, " ('",
           byte_letters().letters[byte], "'); expected one for each of the 256 bytes");
  }
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& line = merges[rank];
    const size_t space = line.find(' ');
    if (space == 0 || space == std::string::npos || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string::npos)
      fail(ErrorKind::data, merge_name(rank),
           ": expected two tokens with one space between, found '", line, "'");
    const auto id_of = [&](const std::string& bytes, const std::string& what) {
      const auto known = ids.find(bytes);
      if (known == ids.end())
        fail(ErrorKind::data, merge_name(rank), ": ", what, " '", to_byte_letters(bytes), "' of '",
             line, "' is not in the vocabulary (", tokens_name, "); take both from one tokenizer");
      return known->second;
    };
    const std::string left = from_byte_letters(line.substr(0, space), merge_name(rank));
    const std::string right = from_byte_letters(line.substr(space + 1), merge_name(rank));
    const Merge merge{id_of(left, "the part"), id_of(right, "the part"),
                      id_of(left + right, "the result")};
    if (!bpe.ranks_.emplace(pair_key(merge.left, merge.right), static_cast<int32_t>(rank)).second)
      fail(ErrorKind::data, merge_name(rank), ": the merge '", line,
           "' is there twice; expected it once");
    bpe.merges_.push_back(merge);
  }
  return bpe;
}

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
    const nlohmann::json json = read_tokens(whole, kDepth);
    check_form(json, name);
    const nlohmann::json& model = json["model"];
    const nlohmann::json vocabulary = model.value("vocab", nlohmann::json()),
                         merges = model.value("merges", nlohmann::json::array());
    add_end(vocabulary, specials);
    for (const auto& token : json.value("added_tokens", nlohmann::json::array())) {
      const bool good = token.is_object();
      add_special(good ? token.value("id", nlohmann::json()) : nlohmann::json(),
                  good ? token.value("content", nlohmann::json()) : nlohmann::json(), name,
                  specials);
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
    const nlohmann::json tokens = read_tokens(added, 1);
    for (const auto& [token, id] : tokens.items()) add_special(id, token, added.string(), specials);
  }
  if (fs::exists(config, error)) {
    const nlohmann::json json = read_tokens(config, kDepth);
    const auto decoder = json.value("added_tokens_decoder", nlohmann::json::object());
    for (const auto& [id, token] : decoder.items()) {
      const nlohmann::json number = nlohmann::json::parse(id, nullptr, false);
      add_special(number, token.is_object() ? token.value("content", nlohmann::json()) : token,
                  config.string(), specials);
    }
  }
  return read(vocabulary, merges, specials);
}

Bpe Bpe::read(const fs::path& vocabulary, const fs::path& merges, const Specials& known) {
  const nlohmann::json json = read_tokens(vocabulary, 1);
  Specials specials = known;
  add_end(json, specials);
  size_t first = 0;
  const std::vector<std::string> lines = merge_lines(read_file(merges, kMaxFileBytes), first);
  return from_letters(
      tokens_by_id(json, specials, vocabulary.string()), lines, vocabulary.string(),
      [&](size_t rank) { return concat(merges.string(), ", line ", first + rank); }, specials);
}

void Bpe::set_end(int32_t id) {
  const auto last = static_cast<int32_t>(tokens_.size()) - 1;
  if (id < 0 || id > last)
    fail(ErrorKind::data, "the end of a text: expected an id from 0 to ", last, ", found ", id);
  const std::string& token = tokens_[to_index(id)];
  const bool made = token.size() == 1 || std::ranges::any_of(merges_, [&](const Merge& merge) {
                      return merge.joined == id;
                    });
  if (!made) specials_.emplace(id, token);
  end_ = id;
}

void Bpe::set_role(const std::string& role, int32_t id) {
  const auto last = static_cast<int32_t>(tokens_.size()) - 1;
  if ((role != "bos" && role != "pad" && role != "unk") || id < 0 || id > last)
    fail(ErrorKind::data, "the token '", role, "': expected bos, pad or unk with an id from 0 to ",
         last, ", found ", id);
  if (id != end_) roles_[role] = id;
}

int32_t Bpe::find(const std::string& token) const {
  for (const auto& [id, text] : specials_) {
    if (!text.empty() && text == token) return id;
  }
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const auto number = static_cast<int32_t>(id);
    if (!specials_.contains(number) && to_byte_letters(tokens_[id]) == token) return number;
  }
  return -1;
}

void Bpe::pad(int64_t size) {
  while (static_cast<int64_t>(tokens_.size()) < size) {
    specials_.emplace(static_cast<int32_t>(tokens_.size()), "");
    tokens_.emplace_back();
  }
}

std::string Bpe::vocabulary_file() const {
  const std::vector<std::string> letters = letter_tokens();
  std::string content;
  for (size_t id = 0; id < letters.size(); ++id) {
    const auto special = specials_.find(static_cast<int32_t>(id));
    // Of bytes that are no UTF-8 JSON holds the letters alone.
    const bool plain = special == specials_.end() || valid_utf8(special->second) != special->second;
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

std::vector<int32_t> Bpe::encode_piece(std::string_view piece) const {
  const auto n = static_cast<int64_t>(piece.size());
  std::vector<int32_t> ids;
  for (const char c : piece) ids.push_back(byte_ids_[static_cast<uint8_t>(c)]);
  if (n < 2) return ids;

  // A list of neighbours: what was joined keeps the place of its left part, -1 marks the right one.
  std::vector<int64_t> next(piece.size()), previous(piece.size());
  for (int64_t i = 0; i < n; ++i) {
    next[static_cast<size_t>(i)] = i + 1;
    previous[static_cast<size_t>(i)] = i - 1;
  }
  using Step = std::pair<int32_t, int64_t>;  // rank, place of the left part
  std::priority_queue<Step, std::vector<Step>, std::greater<>> steps;
  const auto rank_at = [&](int64_t left) {
    const auto l = static_cast<size_t>(left);
    if (ids[l] < 0 || next[l] >= n) return -1;
    const auto known = ranks_.find(pair_key(ids[l], ids[static_cast<size_t>(next[l])]));
    return known == ranks_.end() ? -1 : known->second;
  };
  const auto offer = [&](int64_t left) {
    if (const int32_t rank = rank_at(left); rank >= 0) steps.push({rank, left});
  };
  for (int64_t i = 0; i + 1 < n; ++i) offer(i);
  while (!steps.empty()) {
    const auto [rank, left] = steps.top();
    steps.pop();
    if (rank_at(left) != rank) continue;  // one of the two is part of something else by now
    const auto l = static_cast<size_t>(left), r = static_cast<size_t>(next[l]);
    ids[l] = merges_[to_index(rank)].joined;
    ids[r] = -1;
    next[l] = next[r];
    if (next[l] < n) previous[static_cast<size_t>(next[l])] = left;
    offer(left);
    if (previous[l] >= 0) offer(previous[l]);
  }
  std::erase(ids, -1);
  return ids;
}

void Bpe::encode_plain(std::string_view text, std::vector<int32_t>& ids) const {
  std::unordered_map<std::string_view, std::vector<int32_t>> known;  // most pieces come again
  split_pieces(text, [&](std::string_view piece) {
    const auto [entry, fresh] = known.try_emplace(piece);
    if (fresh) entry->second = encode_piece(piece);
    ids.insert(ids.end(), entry->second.begin(), entry->second.end());
  });
}

std::vector<int32_t> Bpe::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  // Where each special token comes next; of two at one place the longer one is meant.
  std::map<int32_t, size_t> next;
  for (const auto& [id, token] : specials_) {
    if (!token.empty()) next[id] = text.find(token);
  }
  for (size_t at = 0;;) {
    int32_t first = -1;
    size_t place = text.npos;
    for (auto& [id, found] : next) {
      const std::string& token = specials_.at(id);
      if (found != text.npos && found < at) found = text.find(token, at);
      const bool better = found < place || (found == place && found != text.npos &&
                                            token.size() > specials_.at(first).size());
      if (better) {
        first = id;
        place = found;
      }
    }
    encode_plain(text.substr(at, place == text.npos ? place : place - at), ids);
    if (first < 0) return ids;
    ids.push_back(first);
    at = place + specials_.at(first).size();
  }
}

}  // namespace genai
