// Texts longer than a model's context.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "genai/decode/decoder.h"

namespace genai {

/// The streams of a decoder, without end: where the context of one is full, its second half is read
/// again as a beginning, and the text goes on.
class RollingContext {
 public:
  explicit RollingContext(Decoder& decoder) : decoder_(decoder) {}

  /// The stream has these tokens, the last `context` of them where they are more.
  /// @param logits  [V] after the last one
  void begin(int64_t stream, std::span<const int32_t> tokens, std::span<float> logits);
  /// Stream `to` becomes what `from` is.
  void copy(int64_t from, int64_t to);
  /// Appends a token to each of some streams, each at most once; logits [rows, V] after it.
  void read(std::span<const Decoder::Row> rows, std::span<float> logits);

 private:
  std::vector<int32_t>& held(int64_t stream);
  int64_t half() const { return std::max<int64_t>(1, decoder_.context() / 2); }

  Decoder& decoder_;
  std::vector<std::vector<int32_t>> held_;  // the tokens in each stream, where there is a limit
};

}  // namespace genai
