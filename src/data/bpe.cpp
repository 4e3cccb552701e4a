#include "genai/data/bpe.h"

#include <algorithm>
#include <queue>

#include "genai/base/error.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

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
  if (vocabulary < kBytes || vocabulary > kMostTokens)
    fail(ErrorKind::usage, "bpe: expected a vocabulary of ", kBytes, " (the bytes) to ",
         kMostTokens, " tokens, found ", vocabulary);
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
      if (special->second == kEndOfText) bpe.end_ = id;
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
