// What decoders have in common: weights by name, streams, checks.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "genai/decode/decoder.h"
#include "genai/decode/kernels.h"

namespace genai::decode {

/// Rows of a weight, which has `of` times as many.
struct Chunk {
  int64_t number = 0, of = 1;
};

/// Weights by name, with their sizes checked.
class WeightReader {
 public:
  explicit WeightReader(const Weights& weights, WeightFormat format)
      : weights_(weights), format_(format) {}
  /// Throws Error{data} on another size.
  std::span<const float> numbers(const std::string& name, int64_t rows, int64_t columns,
                                 Chunk chunk = {}) const;
  WeightFormat format() const { return format_; }
  Matrix matrix(const std::string& name, int64_t out, int64_t in, Chunk chunk = {}) const;
  /// Rows of stride padded(columns).
  Buffer<float> table(const std::string& name, int64_t rows, int64_t columns) const;
  Buffer<float> vector(const std::string& name, int64_t size, Chunk chunk = {}) const;

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
  StreamDecoder(int64_t vocabulary, int64_t context, int64_t streams, int threads);
  /// Where the logits after a row go; null: nowhere.
  using Places = std::span<float* const>;
  /// At most kMostRows rows; places[i]: the number of tokens before row i. Called in one thread,
  /// and then advance by all workers.
  virtual void begin(std::span<const Row> rows, std::span<const int64_t> places) = 0;
  virtual void advance(Worker& worker, std::span<const Row> rows, std::span<const int64_t> places,
                       Places logits) = 0;
  /// Multiplications of a row between two barriers, about.
  virtual int64_t cost() const = 0;
  virtual void clear_state(int64_t stream) = 0;
  virtual void copy_state(int64_t from, int64_t to) = 0;
  int threads() const { return team_.threads(); }
  int64_t streams() const { return static_cast<int64_t>(streams_.size()); }

 private:
  struct Stream {
    int64_t length = 0;
    int64_t coming = 0, last = 0, slot = -1;  // of the call: its rows, the last, its logits
  };
  Stream& stream(int64_t number);
  /// The number of streams in rows.
  int64_t check(std::span<const Row> rows);
  void run(std::span<const Row> rows, std::span<float> logits, bool last_only);

  Team team_;
  int64_t vocabulary_, context_;
  std::vector<Stream> streams_;
};

}  // namespace genai::decode
