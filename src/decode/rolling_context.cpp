#include "genai/decode/rolling_context.h"

#include <algorithm>

namespace genai {

std::vector<int32_t>& RollingContext::held(int64_t stream) {
  const auto at = static_cast<size_t>(stream);
  if (at >= held_.size()) held_.resize(at + 1);
  return held_[at];
}

void RollingContext::begin(int64_t stream, std::span<const int32_t> tokens,
                           std::span<float> logits) {
  const auto size = static_cast<int64_t>(tokens.size());
  const bool fits = decoder_.context() == 0 || size <= decoder_.context();
  const auto kept = tokens.last(static_cast<size_t>(fits ? size : half()));
  if (decoder_.context() > 0) held(stream).assign(kept.begin(), kept.end());
  std::vector<Decoder::Row> rows;
  for (const int32_t token : kept) rows.push_back({stream, token});
  decoder_.clear(stream);
  decoder_.read_last(rows, logits);
}

void RollingContext::copy(int64_t from, int64_t to) {
  decoder_.copy(from, to);
  if (decoder_.context() > 0) held(to) = std::vector<int32_t>(held(from));
}

void RollingContext::read(std::span<const Decoder::Row> rows, std::span<float> logits) {
  std::vector<Decoder::Row> all;
  for (const Decoder::Row& row : rows) {
    if (decoder_.context() > 0) {
      std::vector<int32_t>& tokens = held(row.stream);
      if (static_cast<int64_t>(tokens.size()) == decoder_.context()) {
        tokens.erase(tokens.begin(), tokens.end() - (half() - 1));
        decoder_.clear(row.stream);
        for (const int32_t token : tokens) all.push_back({row.stream, token});
      }
      tokens.push_back(row.token);
    }
    all.push_back(row);
  }
  if (!all.empty()) decoder_.read_last(all, logits);
}

}  // namespace genai
