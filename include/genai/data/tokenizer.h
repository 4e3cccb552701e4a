// From text to token ids and back.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "genai/base/fields.h"
#include "genai/base/json.h"
#include "genai/data/bpe.h"

namespace genai {

enum class TokenizerKind {
  characters,   ///< the code points of a text, in their order: of tinyshakespeare nanoGPT's 65 ids
  bytes,        ///< id = byte: 256 tokens, any bytes
  bpe,          ///< byte pair encoding (data/bpe.h), any bytes
  words,        ///< the 256 bytes, then the pieces of split_pieces, most frequent first; a piece
                ///< that is no token is spelled in bytes, so any bytes make the round trip
  differences,  ///< of a series of numbers (data/series.h): y[t] - y[t-1] in levels
  returns,      ///< of a series of positive numbers: log(y[t] / y[t-1]) in levels
};
extern const EnumNames<TokenizerKind> kTokenizerNames;

class Changes;

/// Ids run from 0 to size() - 1. decode(encode(text)) == text for all texts that encode takes, but
/// for series, whose changes are rounded.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual TokenizerKind kind() const = 0;
  virtual int64_t size() const = 0;
  /// Throws Error{data} where a text cannot be said in these tokens: characters alone, naming the
  /// first byte that is no UTF-8 or the first character that is not in the vocabulary.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  /// How many bytes at the beginning of a text encode takes.
  virtual size_t known(std::string_view text) const { return text.size(); }
  /// The bytes of one token. Throws Error{data} for an id out of range.
  virtual std::string token(int32_t id) const = 0;
  /// What from_json takes.
  virtual Json to_json() const = 0;
  /// The token that ends a text, where training texts are parted by it (GPT-2's); -1: none.
  virtual int32_t end_token() const { return -1; }
  /// Do tokens of near ids mean nearly the same? Taking one for another then matters little.
  virtual bool ordered() const { return false; }
  /// The merges, for bpe; else null.
  virtual const Bpe* bpe() const { return nullptr; }
  /// Itself, for the tokens of a series of numbers; else null.
  virtual const Changes* changes() const { return nullptr; }

  /// The tokens one after the other. Throws Error{data} for an id out of range.
  std::string decode(std::span<const int32_t> ids) const;
  /// "characters-65", "bpe-2048".
  std::string name() const;
  /// SHA-256 of to_json(): equal = the same tokenizer.
  std::string fingerprint() const;

 protected:
  void check(int32_t id) const;
};

/// Made from the text of the training data. `vocabulary` is the size to reach at most, for bpe and
/// words, 256 or more; 0: 2,048 for bpe, every piece there is for words. Throws Error{data}: an
/// empty text, for characters one that is not UTF-8; Error{usage}: a size out of range, a size for
/// characters or bytes, whose vocabulary has its own. Of series: as Changes::learn for the numbers
/// of the text.
std::shared_ptr<const Tokenizer> make_tokenizer(TokenizerKind kind, std::string_view text,
                                                int64_t vocabulary = 0);

/// A tokenizer of GPT-2's form in files (data/bpe.h).
std::shared_ptr<const Tokenizer> make_tokenizer(Bpe bpe);

/// Strict. Throws Error{data} naming `name` and what is wrong.
std::shared_ptr<const Tokenizer> tokenizer_from_json(const Json& json, const std::string& name);

}  // namespace genai
