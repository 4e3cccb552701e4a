// What decoders have in common: weights by name, streams, checks.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "genai/nn/decode_kernels.h"
#include "genai/nn/decoder.h"

namespace genai::decode {

/// Weights by name, with their sizes checked.
class WeightReader {
 public:
  explicit WeightReader(const Weights& weights, WeightFormat format)
      : weights_(weights), format_(format) {}
  /// Throws Error{data} on another size.
  std::span<const float> numbers(const std::string& name, int64_t rows, int64_t columns) const;
  Matrix matrix(const std::string& name, int64_t out, int64_t in) const;
  /// Rows of stride padded(columns).
  Buffer<float> table(const std::string& name, int64_t rows, int64_t columns) const;
  Buffer<float> vector(const std::string& name, int64_t size) const;

 private:
  const Weights& weights_;
  WeightFormat format_;
};

/// What decoders have in common: checks, the rows of a call in parts of kMostRows.
class StreamDecoder : public Decoder {
 public:
  int64_t vocabulary() const override { return vocabulary_; }
  int64_t context() const override { return context_; }
  int64_t length(int64_t stream) const override;
  void read(std::span<const Row> rows, std::span<float> logits) override;
  void read_last(std::span<const Row> rows, std::span<float> logits) override;
  void clear(int64_t stream) override;
  void copy(int64_t from, int64_t to) override;

 protected:
  StreamDecoder(int64_t vocabulary, int64_t context, int64_t streams);
  /// Where the logits after a row go; null: nowhere.
  using Places = std::span<float* const>;
  /// At most kMostRows rows; places[i]: the number of tokens before row i.
  virtual void advance(std::span<const Row> rows, std::span<const int64_t> places,
                       Places logits) = 0;
  virtual void clear_state(int64_t stream) = 0;
  virtual void copy_state(int64_t from, int64_t to) = 0;
  int64_t streams() const { return static_cast<int64_t>(streams_.size()); }

 private:
  struct Stream {
    int64_t length = 0;
    int64_t coming = 0, last = 0, slot = -1;   // of the call: its rows, the last, its logits
  };
  Stream& stream(int64_t number);
  /// The number of streams in rows.
  int64_t check(std::span<const Row> rows);
  void run(std::span<const Row> rows, std::span<float> logits, bool last_only);

  int64_t vocabulary_, context_;
  std::vector<Stream> streams_;
};

}  // namespace genai::decode
