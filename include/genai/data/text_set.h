// Texts as data sets: token ids in memory, and batches of them.
#pragma once
#include "genai/data/batch.h"
#include "genai/data/dataset.h"

namespace genai {

/// A known text or the path of a file or of a folder of texts: what load_dataset reads as a text.
/// Throws Error{data} where there is no such data set, file or folder.
bool is_text_source(const std::string& source);

/// Reads, cuts in two and tokenizes the text that config names (data/text_data.h). Throws what
/// load_text and make_tokenizer throw; Error{usage}: a line longer than the context, a text shorter
/// than it, settings of images.
/// @param tokenizer  the one to use, or null: made as config says
Dataset load_text_set(const DataConfig& config, bool download,
                      std::shared_ptr<const Tokenizer> tokenizer = nullptr);

/// The token that stands before a text or line: the end of a line, or id 0 where there is none.
int32_t start_token(const Tokenizer& tokenizer);

/// Windows or lines whose logits are computed at once where nothing is learned from them: 16,384
/// tokens, fewer where those logits would take more than 64 MiB, one at least.
int64_t windows_at_once(const DataInfo& info);

/// The values of a series that have a token; with `lead` also those before them.
std::vector<double> values_of(const Split& split, bool lead = false);

/// Windows of `context` tokens that begin at `offsets` of the text: [offsets, context]. Behind the
/// end of the text go its first tokens (`around`), or nothing that counts.
Batch windows_batch(const Split& split, const std::vector<int64_t>& offsets, bool around,
                    at::Device device);

/// Lines number `items`, each after the token `start`: [items, context].
Batch lines_batch(const Split& split, const std::vector<int64_t>& items, int32_t start,
                  at::Device device);

}  // namespace genai
