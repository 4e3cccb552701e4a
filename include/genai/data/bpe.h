// Byte-level byte pair encoding, as in GPT-2: R. Sennrich et al., "Neural machine translation of
// rare words with subword units", ACL 2016, algorithm 1, on bytes (A. Radford et al., "Language
// models are unsupervised multitask learners", 2019, section 2.2).
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace genai {

/// An id as a place in a vector.
inline size_t to_index(int32_t id) {
  return static_cast<size_t>(id);
}

/// Calls `use` for one piece of `text` after the other; together they are the text. The pieces are
/// the matches of GPT-2's pattern
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// that is: a run of letters, of numbers or of other signs, each with one space before it if there
/// is one; endings of English words; white space. Bytes that are no UTF-8 are other signs.
void split_pieces(std::string_view text, const std::function<void(std::string_view piece)>& use);

/// Bytes as characters that can be seen, one for each byte, as GPT-2's files have them: printable
/// Latin-1 stands for itself, the other 68 bytes are U+0100 and up; a space is U+0120.
std::string to_byte_letters(std::string_view bytes);

/// The reverse. Throws Error{data} naming `where` and the character that stands for no byte.
std::string from_byte_letters(std::string_view letters, const std::string& where);

/// The 256 bytes in the order of their letters: GPT-2's ids 0 to 255.
const std::array<std::string, 256>& byte_tokens();

/// A vocabulary and its merges. Encoding cuts a text into pieces and each piece into bytes, then
/// joins neighbours in the order of the merges; what was joined decodes to the same bytes, so any
/// bytes make the round trip.
class Bpe {
 public:
  static constexpr int64_t kBytes = 256;
  static constexpr int64_t kMostTokens = 1'000'000;
  /// Ends a text in every one of GPT-2's vocabularies.
  static constexpr const char* kEndOfText = "<|endoftext|>";

  /// What a merges file says in one line.
  struct Merge {
    int32_t left, right, joined;  // ids
  };

  /// Learns merges on `text` until the vocabulary has `vocabulary` tokens: ids 0 to 255 are
  /// byte_tokens(), 256 the first merge. Each merge is of the pair of neighbours most frequent
  /// inside pieces; among equals the smaller left id, then the smaller right one. Learning ends
  /// early when no pair is there `least` times. The same merges as the BpeTrainer of Hugging Face's
  /// tokenizers with min_frequency = least, the ByteLevel alphabet and no special tokens, given the
  /// text as one sequence.
  /// Throws Error{usage} unless 256 <= vocabulary <= 1,000,000 and least >= 1.
  static Bpe train(std::string_view text, int64_t vocabulary, int64_t least = 2);

  /// Special tokens stand for themselves, whatever merges say: in a text that holds one, it is cut
  /// out before all else. An empty one is none, but an id that a model has beyond its tokens.
  using Specials = std::map<int32_t, std::string>;

  /// @param tokens    of each id, in byte letters
  /// @param merges    "LEFT RIGHT" in byte letters, by rank
  /// @param specials  by id; what `tokens` has there does not count
  /// The names are for messages: of the tokens, of merge i. Throws Error{data}: an empty or a
  /// repeated token, a byte without a token, a merge of another form, whose left, right or result
  /// is no token, or given twice.
  static Bpe from_letters(const std::vector<std::string>& tokens,
                          const std::vector<std::string>& merges, const std::string& tokens_name,
                          const std::function<std::string(size_t)>& merge_name,
                          const Specials& specials = {});
  /// What from_letters takes.
  std::vector<std::string> letter_tokens() const;
  std::vector<std::string> letter_merges() const;

  /// The tokenizer of a folder: tokenizer.json, as transformers 5 writes it, or GPT-2's vocab.json
  /// and merges.txt with the special tokens of added_tokens.json and tokenizer_config.json.
  /// "<|endoftext|>" is special, and the end of a text. Throws Error{data}: what `read` throws, no
  /// such files, a tokenizer.json that is no byte-level BPE in GPT-2's form.
  static Bpe read_folder(const std::filesystem::path& folder);

  /// GPT-2's files. vocab.json: an object from token (in byte letters) to id, the ids 0 to n-1;
  /// merges.txt: an optional line "#version: ...", then a line "LEFT RIGHT" for each merge; line
  /// ends may be those of Windows, and empty lines follow. Other tokens that no merge makes decode
  /// but never come out of encode. Throws Error{data} naming file and line (of merges) or token,
  /// where a file is missing, of another form, has ids twice or holes in them, or the two do not
  /// fit.
  static Bpe read(const std::filesystem::path& vocabulary, const std::filesystem::path& merges,
                  const Specials& specials = {});
  /// The content of these files, byte for byte as Hugging Face's tokenizers write them.
  std::string vocabulary_file() const;
  std::string merges_file() const;

  std::vector<int32_t> encode(std::string_view text) const;

  const std::vector<std::string>& tokens() const { return tokens_; }
  const std::vector<Merge>& merges() const { return merges_; }
  const Specials& specials() const { return specials_; }

  /// The token that ends a text; -1: none.
  int32_t end() const { return end_; }
  /// Makes it special unless it is of a byte or a merge. Throws Error{data} where `id` is no token.
  void set_end(int32_t id);
  /// Other tokens that have a part of their own, which only an export tells again: ids of "bos",
  /// "pad" and "unk" where they are not the end.
  using Roles = std::map<std::string, int32_t>;
  const Roles& roles() const { return roles_; }
  /// Throws Error{data}: another role, an id that is no token.
  void set_role(const std::string& role, int32_t id);
  /// The id of a token as files write it, in byte letters or of a special one as it is; -1: none.
  int32_t find(const std::string& token) const;

  /// Ids up to `size` - 1 that no token has, as of models whose tables are rounded up.
  void pad(int64_t size);

 private:
  Bpe() = default;
  std::vector<int32_t> encode_piece(std::string_view piece) const;
  void encode_plain(std::string_view text, std::vector<int32_t>& ids) const;

  std::vector<std::string> tokens_;
  std::vector<Merge> merges_;
  std::array<int32_t, 256> byte_ids_{};
  std::unordered_map<uint64_t, int32_t> ranks_;  // by pair_key of left and right
  Specials specials_;
  Roles roles_;
  int32_t end_ = -1;
};

}  // namespace genai
