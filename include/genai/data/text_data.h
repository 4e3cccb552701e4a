// Texts to learn from: known ones, built-in ones and the user's own.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "genai/data/mnist.h"
#include "genai/data/series.h"
#include "genai/data/tokenizer.h"

namespace genai {

struct TextOptions {
  std::string source = "shakespeare";  ///< "shakespeare", "sums", or the path of a text file or
                                       ///< of a folder of them
  std::string validation;              ///< path of the validation text; empty: a part of source
  bool lines = false;                  ///< each line is an item of its own (names, say)
  double validation_share = 0.1;       ///< of the bytes or items, 0 < share < 1
  uint64_t seed = 0;                   ///< of the items' order
  bool series = false;                 ///< numbers in a column (data/series.h)
  std::string column;                  ///< which one; empty: as read_column chooses
  std::string which;                   ///< the series of this name, of several in one table
  bool settled = false;                ///< the series of a model (data/series.h)
  int64_t season = 0;                  ///< values of a season; 0: none
  Missing missing = Missing::fill;     ///< values of a series
  bool raw = false;                    ///< bytes as they are in the files (data/text_file.h)
};

struct TextData {
  std::string source;  ///< "shakespeare", "sums", or the name of file or folder without ending
  std::string train, validation;   ///< of items: each with '\n' behind it
  bool items = false;              ///< lines are items of their own; else running text
  bool series = false;             ///< a number a line
  std::string column;              ///< of a series, as it was asked for or chosen
  std::string which;               ///< of a series, as it was asked for
  int64_t season = 0;              ///< of a series
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
/// Of a series the first floor((1 - share) values) are for training; what is for validation begins
/// with the last season + 1 of them, so that each value after these has a change before it.
///
/// Files are read as read_text says (data/text_file.h).
///
/// Known texts are looked for in `data_dir` and fetched if allowed, see load_known_text.
///
/// Throws Error{usage}: a share out of range, a validation file beside a known text, `column`,
/// `season` or `lines` that do not fit to `series`. Error{data}: what read_column throws, a file
/// that is missing, empty, larger than 1 GiB, or too small to be cut in two.
TextData load_text(const TextOptions& options, const std::filesystem::path& data_dir,
                   const FetchOptions& fetch = {});

/// @param tokenizer  for a series differences or returns, else another name of kTokenizerNames, or
/// a
///                   folder with GPT-2's vocab.json and merges.txt
/// @param vocabulary as in make_tokenizer; 0 for a folder
/// Characters come from both parts, as in nanoGPT, so that validation has none that is new; merges
/// and words are learned from the training part alone. Throws what make_tokenizer and Bpe::read
/// throw, Error{usage} for another name.
std::shared_ptr<const Tokenizer> make_tokenizer(const TextData& data, const std::string& tokenizer,
                                                int64_t vocabulary = 0);

}  // namespace genai
