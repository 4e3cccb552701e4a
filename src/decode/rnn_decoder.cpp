#include <algorithm>
#include <array>
#include <vector>

#include "genai/base/error.h"
#include "genai/decode/decoder.h"
#include "genai/decode/kernels.h"
#include "genai/decode/stream_decoder.h"

namespace genai {
namespace {

using decode::Buffer, decode::Matrix, decode::Operand, decode::padded, decode::Worker;

int64_t gates_of(Cell cell) {
  return cell == Cell::tanh ? 1 : cell == Cell::gru ? 3 : 4;
}

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
      : StreamDecoder(shape.vocabulary, /*context=*/0, streams, threads),
        shape_(shape),
        stride_(padded(shape.width)),
        gate_stride_(padded(gates_of(shape.cell) * shape.width)),
        matmul_(std::max(shape.width, shape.embedding), reader.format(), this->threads()),
        seen_(static_cast<size_t>(streams)),
        waves_(decode::kMostRows) {
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
    head_ =
        reader.matrix(shape.tied ? "tokens.weight" : "head.weight", shape.vocabulary, shape.width);
    head_bias_ = reader.vector("head.bias", shape.vocabulary);
    const int64_t rows = decode::kMostRows;
    x_ = Buffer<float>(rows * std::max(stride_, padded(shape.embedding)));
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

  int64_t cost() const override { return gates_of(shape_.cell) * shape_.width * shape_.width; }

  void begin(std::span<const Row> rows, std::span<const int64_t>) override {
    order(rows);
    const int64_t stride = padded(shape_.embedding);
    for (size_t r = 0; r < rows.size(); ++r) {
      std::copy_n(tokens_.at(rows[r].token * stride), stride,
                  x_.at(static_cast<int64_t>(r) * stride));
    }
  }

  /// Layer by layer: all rows' inputs are known at once, states only stream by stream.
  void advance(Worker& worker, std::span<const Row> rows, std::span<const int64_t>,
               Places logits) override {
    const auto count = static_cast<int64_t>(rows.size());
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      const int64_t width = i == 0 ? shape_.embedding : shape_.width;
      const Operand x = matmul_.take(worker, count, width, x_.data(), padded(width));
      matmul_.multiply(worker, layer.input, x, layer.input_bias.data(), input_gates_.data(),
                       gate_stride_);
      worker.barrier();
      for (const std::vector<size_t>& wave : waves_) {
        if (!wave.empty()) step(worker, rows, i, wave);
      }
    }
    tell(worker, logits);
  }

  /// waves_[n]: the n-th rows of their streams.
  void order(std::span<const Row> rows) {
    for (std::vector<size_t>& wave : waves_) wave.clear();
    for (const Row& row : rows) seen_[static_cast<size_t>(row.stream)] = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      waves_[seen_[static_cast<size_t>(rows[r].stream)]++].push_back(r);
    }
  }

  float* state(const Buffer<float>& all, size_t layer, int64_t stream) const {
    return all.at((static_cast<int64_t>(layer) * streams() + stream) * stride_);
  }

  void step(Worker& worker, std::span<const Row> rows, size_t layer,
            const std::vector<size_t>& wave) {
    const auto count = static_cast<int64_t>(wave.size());
    const Operand before = matmul_.make(worker, count, shape_.width, [&](int64_t i, float* to) {
      std::copy_n(state(h_, layer, rows[wave[static_cast<size_t>(i)]].stream), stride_, to);
    });
    matmul_.multiply(worker, layers_[layer].state, before, layers_[layer].state_bias.data(),
                     state_gates_.data(), gate_stride_);
    worker.barrier();
    const auto [first, last] = worker.slice(count);
    for (int64_t i = first; i < last; ++i) {
      const size_t r = wave[static_cast<size_t>(i)];
      const auto row = static_cast<int64_t>(r);
      float* h = state(h_, layer, rows[r].stream);
      matmul_.kernels().cell(shape_.cell,
                             {.input = input_gates_.at(row * gate_stride_),
                              .state = state_gates_.at(i * gate_stride_),
                              .width = shape_.width,
                              .h = h,
                              .c = c_.data() ? state(c_, layer, rows[r].stream) : nullptr});
      std::copy_n(h, stride_, x_.at(row * stride_));  // in the place of the layer's inputs
    }
    worker.barrier();
  }

  void tell(Worker& worker, Places logits) {
    std::array<int64_t, decode::kMostRows> wanted;
    int64_t count = 0;
    for (size_t r = 0; r < logits.size(); ++r) {
      if (logits[r]) wanted[static_cast<size_t>(count++)] = static_cast<int64_t>(r);
    }
    if (count == 0) return;
    const Operand x = matmul_.make(worker, count, shape_.width, [&](int64_t i, float* to) {
      std::copy_n(x_.at(wanted[static_cast<size_t>(i)] * stride_), stride_, to);
    });
    const int64_t stride = padded(shape_.vocabulary);
    matmul_.multiply(worker, head_, x, head_bias_.data(), logits_.data(), stride);
    worker.barrier();
    const auto [first, last] = worker.slice(count);
    for (int64_t i = first; i < last; ++i) {
      const auto r = static_cast<size_t>(wanted[static_cast<size_t>(i)]);
      std::copy_n(logits_.at(i * stride), shape_.vocabulary, logits[r]);
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
  decode::Matmul matmul_;
  Buffer<float> tokens_;  // [V, padded(embedding)]
  std::vector<Layer> layers_;
  Matrix head_;
  Buffer<float> head_bias_;
  Buffer<float> x_, input_gates_, state_gates_, logits_;  // rows
  Buffer<float> h_, c_;                                   // [layers, streams, padded(width)]
  std::vector<size_t> seen_;                              // rows of each stream in this call
  std::vector<std::vector<size_t>> waves_;                // rows
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const RnnShape& shape, int64_t streams,
                                      const Weights& weights, WeightFormat format, int threads) {
  const decode::WeightReader reader(weights, format);
  return std::make_unique<RnnDecoder>(checked(shape), streams, reader, threads);
}

}  // namespace genai
