// Texts to learn from: known ones, built-in ones and the user's own.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "genai/data/mnist.h"
#include "genai/data/tokenizer.h"

namespace genai {

struct TextOptions {
  std::string source = "shakespeare";  ///< "shakespeare", "sums", or the path of a text file or
                                       ///< of a folder of them
  std::string validation;              ///< path of the validation text; empty: a part of source
  bool lines = false;                  ///< each line is an item of its own (names, say)
  double validation_share = 0.1;       ///< of the bytes or items, 0 < share < 1
  uint64_t seed = 0;                   ///< of the items' order
  bool raw = false;                    ///< bytes as they are in the files (data/text_file.h)
};

struct TextData {
  std::string source;  ///< "shakespeare", "sums", or the name of file or folder without ending
  std::string train, validation;   ///< of items: each with '\n' behind it
  bool items = false;              ///< lines are items of their own; else running text
  std::string fingerprint;         ///< SHA-256 over what defines the two texts and `items`
  std::vector<std::string> notes;  ///< what the user should know
};

/// Running text is cut once, as in nanoGPT: the first floor((1 - share) bytes) are for training
/// (tinyshakespeare: 1,003,854 and 111,540), fewer where the cut would part a UTF-8 sequence.
///
/// Items (`lines`, and "sums" always) are the lines that are not empty, in an order from (seed);
/// the first floor((1 - share) items) are for training. With a validation file, or in a folder
/// whose files are named so (data/text_file.h), there is no cut and no new order.
///
/// Files are read as read_text says (data/text_file.h).
///
/// Known texts are looked for in `data_dir` and fetched if allowed, see load_known_text.
///
/// Throws Error{usage}: a share out of range, a validation file beside a known text. Error{data}: a
/// file that is missing, empty, larger than 1 GiB, or too small to be cut in two.
TextData load_text(const TextOptions& options, const std::filesystem::path& data_dir,
                   const FetchOptions& fetch = {});

/// "letters" of "letters.txt.gz" and of the folder "letters/".
std::string text_name(const std::string& path);

/// How many of n items, bytes or values are for training: as nanoGPT's int(n * 0.9).
size_t text_train_count(size_t n, double validation_share);

/// @param tokenizer  characters, bytes, bpe, words, or a folder with GPT-2's vocab.json and
///                   merges.txt
/// @param vocabulary as in make_tokenizer; 0 for a folder
/// Characters come from both parts, as in nanoGPT, so that validation has none that is new; merges
/// and words are learned from the training part alone. Throws what make_tokenizer and Bpe::read
/// throw, Error{usage} for another name.
std::shared_ptr<const Tokenizer> make_tokenizer(const TextData& data, const std::string& tokenizer,
                                                int64_t vocabulary = 0);

}  // namespace genai
