#include <algorithm>
#include <array>
#include <vector>

#include "genai/base/error.h"
#include "genai/nn/decode_kernels.h"
#include "genai/nn/decoder.h"
#include "genai/nn/stream_decoder.h"

namespace genai {
namespace {

using decode::Buffer, decode::Matrix, decode::padded;

int64_t gates_of(Cell cell) { return cell == Cell::tanh ? 1 : cell == Cell::gru ? 3 : 4; }

const RnnShape& checked(const RnnShape& s) {
  if (s.vocabulary < 1 || s.layers < 1 || s.width < 1 || s.embedding < 1 ||
      (s.tied && s.embedding != s.width)) {
    fail(ErrorKind::usage, "a recurrent network of ", s.layers, " layers of width ", s.width,
         " with an embedding of ", s.embedding, s.tied ? ", tied" : "");
  }
  return s;
}

class RnnDecoder : public decode::StreamDecoder {
 public:
  RnnDecoder(const RnnShape& shape, int64_t streams, const decode::WeightReader& reader,
             int threads)
      : StreamDecoder(shape.vocabulary, /*context=*/0, streams),
        shape_(shape),
        stride_(padded(shape.width)),
        gate_stride_(padded(gates_of(shape.cell) * shape.width)),
        multiplier_(std::max(shape.width, shape.embedding), threads),
        waves_(static_cast<size_t>(streams)) {
    const int64_t gates = gates_of(shape.cell) * shape.width;
    tokens_ = reader.table("tokens.weight", shape.vocabulary, shape.embedding);
    for (int64_t i = 0; i < shape.layers; ++i) {
      const std::string end = "_l" + std::to_string(i);
      const int64_t in = i == 0 ? shape.embedding : shape.width;
      layers_.push_back({.input = reader.matrix("rnn.weight_ih" + end, gates, in),
                         .state = reader.matrix("rnn.weight_hh" + end, gates, shape.width),
                         .input_bias = reader.vector("rnn.bias_ih" + end, gates),
                         .state_bias = reader.vector("rnn.bias_hh" + end, gates)});
    }
    head_ = reader.matrix(shape.tied ? "tokens.weight" : "head.weight", shape.vocabulary,
                          shape.width);
    head_bias_ = reader.vector("head.bias", shape.vocabulary);
    constexpr int64_t rows = decode::kMostRows;
    x_ = Buffer<float>(rows * std::max(stride_, padded(shape.embedding)));
    before_ = Buffer<float>(rows * stride_);
    input_gates_ = Buffer<float>(rows * gate_stride_);
    state_gates_ = Buffer<float>(rows * gate_stride_);
    logits_ = Buffer<float>(rows * padded(shape.vocabulary));
    h_ = Buffer<float>(shape.layers * streams * stride_);
    if (shape.cell == Cell::lstm) c_ = Buffer<float>(shape.layers * streams * stride_);
  }

 private:
  struct Layer {
    Matrix input, state;
    Buffer<float> input_bias, state_bias;
  };

  /// Layer by layer: all rows' inputs are known at once, states only stream by stream.
  void advance(std::span<const Row> rows, std::span<const int64_t>, Places logits) override {
    const auto count = static_cast<int64_t>(rows.size());
    const int64_t waves = order(rows);
    int64_t x_stride = padded(shape_.embedding);
    for (int64_t r = 0; r < count; ++r) {
      std::copy_n(tokens_.at(rows[static_cast<size_t>(r)].token * x_stride), x_stride,
                  x_.at(r * x_stride));
    }
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      multiplier_.multiply(layer.input, x_.data(), x_stride, count, layer.input_bias.data(),
                           input_gates_.data(), gate_stride_);
      x_stride = stride_;   // of the layer's results, which take the place of its inputs
      for (int64_t wave = 0; wave < waves; ++wave) step(rows, i, wave);
    }
    tell(logits);
  }

  /// Row r is the wave_[r]-th of its stream; the number of waves.
  int64_t order(std::span<const Row> rows) {
    int64_t waves = 0;
    for (const Row& row : rows) waves_[static_cast<size_t>(row.stream)] = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      wave_[r] = waves_[static_cast<size_t>(rows[r].stream)]++;
      waves = std::max(waves, wave_[r] + 1);
    }
    return waves;
  }

  float* state(const Buffer<float>& all, size_t layer, int64_t stream) const {
    return all.at((static_cast<int64_t>(layer) * streams() + stream) * stride_);
  }

  void step(std::span<const Row> rows, size_t layer, int64_t wave) {
    int64_t count = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      if (wave_[r] != wave) continue;
      std::copy_n(state(h_, layer, rows[r].stream), stride_, before_.at(count++ * stride_));
    }
    multiplier_.multiply(layers_[layer].state, before_.data(), stride_, count,
                         layers_[layer].state_bias.data(), state_gates_.data(), gate_stride_);
    count = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      if (wave_[r] != wave) continue;
      float* h = state(h_, layer, rows[r].stream);
      const auto row = static_cast<int64_t>(r);
      multiplier_.kernels().cell(
          shape_.cell, {.input = input_gates_.at(row * gate_stride_),
                        .state = state_gates_.at(count++ * gate_stride_),
                        .width = shape_.width,
                        .h = h,
                        .c = c_.data() ? state(c_, layer, rows[r].stream) : nullptr});
      std::copy_n(h, stride_, x_.at(row * stride_));
    }
  }

  void tell(Places logits) {
    int64_t count = 0;
    for (size_t r = 0; r < logits.size(); ++r) {
      if (!logits[r]) continue;
      std::copy_n(x_.at(static_cast<int64_t>(r) * stride_), stride_, before_.at(count++ * stride_));
    }
    if (count == 0) return;
    const int64_t stride = padded(shape_.vocabulary);
    multiplier_.multiply(head_, before_.data(), stride_, count, head_bias_.data(), logits_.data(),
                         stride);
    int64_t from = 0;
    for (float* to : logits) {
      if (to) std::copy_n(logits_.at(from++ * stride), shape_.vocabulary, to);
    }
  }

  void clear_state(int64_t stream) override {
    for (size_t i = 0; i < layers_.size(); ++i) {
      std::fill_n(state(h_, i, stream), stride_, 0.f);
      if (c_.data()) std::fill_n(state(c_, i, stream), stride_, 0.f);
    }
  }

  void copy_state(int64_t from, int64_t to) override {
    for (size_t i = 0; i < layers_.size(); ++i) {
      std::copy_n(state(h_, i, from), stride_, state(h_, i, to));
      if (c_.data()) std::copy_n(state(c_, i, from), stride_, state(c_, i, to));
    }
  }

  RnnShape shape_;
  int64_t stride_, gate_stride_;
  decode::Multiplier multiplier_;
  Buffer<float> tokens_;                        // [V, padded(embedding)]
  std::vector<Layer> layers_;
  Matrix head_;
  Buffer<float> head_bias_;
  Buffer<float> x_, before_, input_gates_, state_gates_, logits_;   // rows
  Buffer<float> h_, c_;                         // [layers, streams, padded(width)]
  std::array<int64_t, decode::kMostRows> wave_{};
  std::vector<int64_t> waves_;                  // of each stream
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const RnnShape& shape, int64_t streams,
                                      const Weights& weights, WeightFormat format, int threads) {
  const decode::WeightReader reader(weights, format);
  return std::make_unique<RnnDecoder>(checked(shape), streams, reader, threads);
}

}  // namespace genai
