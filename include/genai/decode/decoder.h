// Language models token by token on the CPU, without tensors: each step reads every weight once,
// so weights are packed for that when the decoder is made, and nothing is allocated after.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "genai/core/language_shapes.h"

namespace genai {

enum class WeightFormat {
  float32,
  int8,  ///< products by integers, weights in 8 bits, inputs in 7, a scale for each 32; keys and
         ///< values in bfloat16; vectors of tokens stay float
};

/// The weights of that name, row-major as in the checkpoint; read only while a decoder is made.
using Weights = std::function<std::span<const float>(const std::string& name)>;

/// Reads the tokens of several streams and tells what may come next. The bits of a stream's logits
/// depend on its tokens alone: not on other streams, on how tokens are cut into calls, on threads.
class Decoder {
 public:
  struct Row {
    int64_t stream;
    int32_t token;
  };
  virtual ~Decoder() = default;

  virtual int64_t vocabulary() const = 0;
  /// The most tokens of a stream; 0: no limit.
  virtual int64_t context() const = 0;
  /// Tokens that the stream holds.
  virtual int64_t length(int64_t stream) const = 0;

  /// Appends the rows' tokens to their streams, in order; logits [rows, V] of the token after each.
  /// Throws Error (usage, data) on a stream, token or length out of range; nothing changes then.
  virtual void read(std::span<const Row> rows, std::span<float> logits) = 0;
  /// The same with logits [streams, V] after the last token of each stream in `rows` alone, streams
  /// in the order in which they first come up.
  virtual void read_last(std::span<const Row> rows, std::span<float> logits) = 0;

  /// The stream has no tokens then.
  virtual void clear(int64_t stream) = 0;
  /// Stream `to` becomes what `from` is: a prompt that many share is read once.
  virtual void copy(int64_t from, int64_t to) = 0;
};

/// Reads tokens.weight [V, W]; positions.weight [context, W] if learned; pairs.weight [V * V, W] if
/// `bigrams`, of the token before (of a stream's first token: itself) and the token; for each layer
/// blocks.i.attention_norm, .attention.qkv [(heads + 2 kv_heads) head, W] (rows of q, k, v),
/// .attention.out, .mlp_norm, .mlp.up [hidden, W] (swiglu: 2 hidden, gates first), .mlp.down; norm;
/// head.weight [V, W] unless tied. Each but the tables and the head has a .bias if `bias`; RMS
/// norms have none. Throws Error{data} on a weight of another size, Error{usage} on a bad shape.
std::unique_ptr<Decoder> make_decoder(const TransformerShape& shape, int64_t streams,
                                      const Weights& weights, WeightFormat format, int threads);

/// PyTorch's RNN (tanh), GRU or LSTM. Reads tokens.weight [V, embedding], rnn.weight_ih_lK,
/// rnn.weight_hh_lK, rnn.bias_ih_lK, rnn.bias_hh_lK, head.weight [V, W] unless tied, head.bias [V].
std::unique_ptr<Decoder> make_decoder(const RnnShape& shape, int64_t streams,
                                      const Weights& weights, WeightFormat format, int threads);

}  // namespace genai
