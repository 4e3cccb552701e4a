// What modalities of sequences share: windows and lines of tokens, and batches of them.
#pragma once
#include "genai/data/batch.h"
#include "genai/data/dataset.h"

namespace genai {

/// Of running text and of series: how it is cut into windows. Lines have a context, too.
struct WindowSettings {
  int64_t context = 0;
  Windows windows = Windows::shuffled;
};
const FieldTable& window_fields();

/// Sets the context of both splits and of the info: what the settings say, 128 where they are
/// silent, of lines the longest. Throws Error{data} for a text that is shorter or has nothing to
/// validate on, Error{usage} for lines that are longer.
void set_windows(const WindowSettings& settings, Dataset& data);

/// What is stored of them.
void write_windows(const DataInfo& info, Json& json);
void read_windows(const Json& json, DataInfo& info);

/// The token that stands before a text or line: the end of a line, or id 0 where there is none.
int32_t start_token(const Tokenizer& tokenizer);

/// Windows or lines whose logits are computed at once where nothing is learned from them: 16,384
/// tokens, fewer where those logits would take more than 64 MiB, one at least.
int64_t windows_at_once(const DataInfo& info);

/// Windows of `context` tokens that begin at `offsets` of the text: [offsets, context]. Behind the
/// end of the text go its first tokens (`around`), or nothing that counts.
Batch windows_batch(const Split& split, const std::vector<int64_t>& offsets, bool around,
                    at::Device device);

/// Lines number `items`, each after the token `start`: [items, context].
Batch lines_batch(const Split& split, const std::vector<int64_t>& items, int32_t start,
                  at::Device device);

/// Sequences [B, T] that a codec made, each after the token `start`.
void set_sequences(const Tensor& sequences, int64_t start, Batch& batch);

}  // namespace genai
