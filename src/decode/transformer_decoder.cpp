#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "genai/base/error.h"
#include "genai/decode/decoder.h"
#include "genai/decode/kernels.h"
#include "genai/decode/stream_decoder.h"

namespace genai {
namespace {

using decode::Buffer, decode::kPanel, decode::Matrix, decode::Operand, decode::padded,
    decode::Chunk, decode::Worker;

constexpr float kHeadEpsilon = 1e-6f;  // of normed queries and keys

const TransformerShape& checked(const TransformerShape& s) {
  if (s.vocabulary < 1 || s.context < 1 || s.layers < 0 || s.heads < 1 || s.kv_heads < 1 ||
      s.width < 1 || s.hidden < 1 || s.width % s.heads != 0 || s.heads % s.kv_heads != 0) {
    fail(ErrorKind::usage, "a transformer of width ", s.width, ", ", s.heads, " heads and ",
         s.kv_heads, " heads of keys: each number must divide the one before");
  }
  if (s.positions == Positions::rotary && s.head() % 2 != 0) {
    fail(ErrorKind::usage, "rotary positions need an even head, found ", s.head());
  }
  return s;
}

class TransformerDecoder : public decode::StreamDecoder {
 public:
  TransformerDecoder(const TransformerShape& shape, int64_t streams,
                     const decode::WeightReader& reader, int threads)
      : StreamDecoder(shape.vocabulary, shape.context, streams, threads),
        shape_(shape),
        matmul_(std::max(shape.width, shape.hidden), reader.format(), this->threads()),
        kernels_(matmul_.kernels()),
        places_(padded(shape.context, decode::kBlock)),
        format_(reader.format()),
        number_size_(format_ == WeightFormat::float32 ? 4 : 2),
        key_size_(places_ * shape.head() * number_size_),
        value_size_(places_ * value_stride() * number_size_),
        last_token_(static_cast<size_t>(streams)) {
    read_weights(reader);
    make_rows();
    const int64_t caches = streams * shape.layers * shape.kv_heads;
    keys_ = Buffer<int8_t>(caches * key_size_);
    values_ = Buffer<int8_t>(caches * value_size_);
    if (shape.positions == Positions::rotary) make_angles();
  }

 private:
  struct Norm {
    Buffer<float> weight, bias;
  };
  struct Linear {
    Matrix weight;
    Buffer<float> bias;
  };
  struct Block {
    Norm attention_norm, mlp_norm;
    Linear qkv, out, gate, up, down;  // gate: of swiglu
  };
  /// kMostRows vectors.
  struct Rows {
    Rows() = default;
    explicit Rows(int64_t width) : stride(padded(width)), numbers(decode::kMostRows * stride) {}
    float* row(int64_t r) const { return numbers.at(r * stride); }
    int64_t stride = 0;
    Buffer<float> numbers;
  };

  int64_t qkv_width() const { return (shape_.heads + 2 * shape_.kv_heads) * shape_.head(); }

  void read_weights(const decode::WeightReader& reader) {
    const TransformerShape& s = shape_;
    const auto norm = [&](const std::string& name) {
      Norm n{.weight = reader.vector(name + ".weight", s.width), .bias = {}};
      if (s.norm == NormKind::layer && s.bias) n.bias = reader.vector(name + ".bias", s.width);
      return n;
    };
    const auto linear = [&](const std::string& name, int64_t out, int64_t in, Chunk chunk = {}) {
      Linear l{.weight = reader.matrix(name + ".weight", out, in, chunk), .bias = {}};
      if (s.bias) l.bias = reader.vector(name + ".bias", out, chunk);
      return l;
    };
    const bool gated = s.mlp == MlpKind::swiglu;
    const Chunk gates{.number = 0, .of = 2}, ups = gated ? Chunk{.number = 1, .of = 2} : Chunk{};
    tokens_ = reader.table("tokens.weight", s.vocabulary, s.width);
    if (s.bigrams) bigrams_ = reader.table("pairs.weight", s.vocabulary * s.vocabulary, s.width);
    if (s.positions == Positions::learned) {
      positions_ = reader.table("positions.weight", s.context, s.width);
    }
    for (int64_t i = 0; i < s.layers; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".", up = block + "mlp.up";
      blocks_.push_back({.attention_norm = norm(block + "attention_norm"),
                         .mlp_norm = norm(block + "mlp_norm"),
                         .qkv = linear(block + "attention.qkv", qkv_width(), s.width),
                         .out = linear(block + "attention.out", s.width, s.heads * s.head()),
                         .gate = gated ? linear(up, s.hidden, s.width, gates) : Linear{},
                         .up = linear(up, s.hidden, s.width, ups),
                         .down = linear(block + "mlp.down", s.width, s.hidden)});
    }
    norm_ = norm("norm");
    head_ = reader.matrix(s.tied ? "tokens.weight" : "head.weight", s.vocabulary, s.width);
  }

  void make_rows() {
    const TransformerShape& s = shape_;
    x_ = Rows(s.width);
    qkv_ = Rows(qkv_width());
    mixed_ = Rows(s.heads * s.head());
    up_ = Rows(s.hidden);
    if (s.mlp == MlpKind::swiglu) gate_ = Rows(s.hidden);
    active_ = Rows(s.hidden);
    logits_ = Rows(s.vocabulary);
    scores_ = Buffer<float>(threads() * places_);
  }

  void make_angles() {
    const int64_t half = shape_.head() / 2;
    cosine_ = Buffer<float>(shape_.context * half);
    sine_ = Buffer<float>(shape_.context * half);
    for (int64_t p = 0; p < shape_.context; ++p) {
      for (int64_t j = 0; j < half; ++j) {
        const double share = static_cast<double>(j) / static_cast<double>(half);
        const double angle = static_cast<double>(p) * std::pow(kRotaryBase, -share);
        *cosine_.at(p * half + j) = static_cast<float>(std::cos(angle));
        *sine_.at(p * half + j) = static_cast<float>(std::sin(angle));
      }
    }
  }

  int64_t value_stride() const { return padded(shape_.head(), decode::kHeadPad); }
  decode::KvCache cache(int64_t stream, int64_t layer, int64_t head) const {
    const int64_t number = (stream * shape_.layers + layer) * shape_.kv_heads + head;
    return {.format = format_,
            .keys = keys_.at(number * key_size_),
            .values = values_.at(number * value_size_)};
  }

  int64_t cost() const override { return shape_.width * shape_.hidden; }

  void begin(std::span<const Row> rows, std::span<const int64_t> places) override {
    for (size_t r = 0; r < rows.size(); ++r) embed(rows[r], places[r], static_cast<int64_t>(r));
  }

  void advance(Worker& worker, std::span<const Row> rows, std::span<const int64_t> places,
               Places logits) override {
    const auto count = static_cast<int64_t>(rows.size());
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      const Block& block = blocks_[static_cast<size_t>(layer)];
      multiply(worker, block.qkv, normed(worker, block.attention_norm, count), qkv_);
      worker.barrier();
      attend(worker, rows, places, layer);
      worker.barrier();
      multiply(worker, block.out, take(worker, mixed_, count, shape_.heads * shape_.head()), x_,
               /*add=*/true);
      worker.barrier();
      activate(worker, block, normed(worker, block.mlp_norm, count));
      worker.barrier();
      multiply(worker, block.down, take(worker, active_, count, shape_.hidden), x_, /*add=*/true);
      worker.barrier();
    }
    tell(worker, logits);
  }

  void embed(const Row& row, int64_t place, int64_t r) {
    float* x = x_.row(r);
    const float* token = tokens_.at(row.token * x_.stride);
    std::copy_n(token, shape_.width, x);
    int32_t& last = last_token_[static_cast<size_t>(row.stream)];
    if (shape_.bigrams) {
      const int64_t before = place > 0 ? last : row.token;
      add(bigrams_.at((before * shape_.vocabulary + row.token) * x_.stride), x);
    }
    if (shape_.positions == Positions::learned) add(positions_.at(place * x_.stride), x);
    last = row.token;
  }

  void add(const float* from, float* to) const {
    for (int64_t i = 0; i < shape_.width; ++i) to[i] += from[i];
  }

  void normalize(const Norm& norm, const float* x, float* y) const {
    if (shape_.norm == NormKind::layer) {
      kernels_.layer_norm(x, norm.weight.data(), norm.bias.data(), shape_.width, kNormEpsilon, y);
    } else {
      kernels_.rms_norm(x, norm.weight.data(), shape_.width, kNormEpsilon, y);
    }
  }

  Operand normed(Worker& worker, const Norm& norm, int64_t count) {
    return matmul_.make(worker, count, shape_.width,
                        [&](int64_t r, float* to) { normalize(norm, x_.row(r), to); });
  }

  Operand take(Worker& worker, const Rows& x, int64_t count, int64_t width) {
    return matmul_.take(worker, count, width, x.numbers.data(), x.stride);
  }

  void multiply(const Worker& worker, const Linear& linear, const Operand& x, const Rows& out,
                bool add = false) const {
    matmul_.multiply(worker, linear.weight, x, linear.bias.data(), out.numbers.data(), out.stride,
                     add);
  }

  /// Queries, keys and values of one row and head of keys: turned, and kept.
  void place(float* qkv, int64_t stream, int64_t layer, int64_t kv_head, int64_t at) const {
    const int64_t head = shape_.head(), heads = shape_.heads, shared = heads / shape_.kv_heads;
    const auto turn = [&](float* x) {
      if (shape_.qk_norm) kernels_.rms_norm(x, nullptr, head, kHeadEpsilon, x);
      if (shape_.positions == Positions::rotary) {
        const int64_t angles = at * (head / 2);
        kernels_.rotate(x, cosine_.at(angles), sine_.at(angles), head);
      }
    };
    const float scale = 1 / std::sqrt(static_cast<float>(head));
    for (int64_t i = kv_head * shared; i < (kv_head + 1) * shared; ++i) {
      float* query = qkv + i * head;
      turn(query);
      for (int64_t d = 0; d < head; ++d) query[d] *= scale;
    }
    float* key = qkv + (heads + kv_head) * head;
    turn(key);
    kernels_.append(cache(stream, layer, kv_head), head, at, key, key + shape_.kv_heads * head);
  }

  /// A worker has its heads of keys, of one row without a barrier in between.
  void attend(Worker& worker, std::span<const Row> rows, std::span<const int64_t> places,
              int64_t layer) {
    const int64_t head = shape_.head(), kv_heads = shape_.kv_heads;
    const int64_t shared = shape_.heads / kv_heads;
    const auto [first, last] = worker.slice(static_cast<int64_t>(rows.size()) * kv_heads);
    for (int64_t i = first; i < last; ++i) {
      const auto r = static_cast<size_t>(i / kv_heads);
      place(qkv_.row(i / kv_heads), rows[r].stream, layer, i % kv_heads, places[r]);
    }
    if (rows.size() > 1) worker.barrier();
    for (int64_t i = first * shared; i < last * shared; ++i) {
      const int64_t row = i / shape_.heads, h = i % shape_.heads;
      const auto r = static_cast<size_t>(row);
      kernels_.attend({.q = qkv_.row(row) + h * head,
                       .cache = cache(rows[r].stream, layer, h / shared),
                       .head = head,
                       .count = places[r] + 1,
                       .scores = scores_.at(worker.number() * places_),
                       .out = mixed_.row(row) + h * head});
    }
  }

  /// The hidden units of a worker's panels.
  void activate(const Worker& worker, const Block& block, const Operand& x) {
    multiply(worker, block.up, x, up_);
    const bool gated = shape_.mlp == MlpKind::swiglu;
    if (gated) multiply(worker, block.gate, x, gate_);
    const auto [first, last] = worker.slice(padded(shape_.hidden, kPanel) / kPanel);
    for (int64_t r = 0; r < x.rows; ++r) {
      const int64_t from = first * kPanel;
      kernels_.activate(shape_.mlp, gated ? gate_.row(r) + from : nullptr, up_.row(r) + from,
                        (last - first) * kPanel, active_.row(r) + from);
    }
  }

  void tell(Worker& worker, Places logits) {
    std::array<int64_t, decode::kMostRows> wanted;
    int64_t count = 0;
    for (size_t r = 0; r < logits.size(); ++r) {
      if (logits[r]) wanted[static_cast<size_t>(count++)] = static_cast<int64_t>(r);
    }
    if (count == 0) return;
    const Operand x = matmul_.make(worker, count, shape_.width, [&](int64_t i, float* to) {
      normalize(norm_, x_.row(wanted[static_cast<size_t>(i)]), to);
    });
    matmul_.multiply(worker, head_, x, nullptr, logits_.numbers.data(), logits_.stride);
    worker.barrier();
    const auto [first, last] = worker.slice(count);
    for (int64_t i = first; i < last; ++i) {
      float* row = logits_.row(i);
      const auto cap = static_cast<float>(shape_.soft_cap);
      if (cap > 0) kernels_.soft_cap(row, shape_.vocabulary, cap);
      const auto r = static_cast<size_t>(wanted[static_cast<size_t>(i)]);
      std::copy_n(row, shape_.vocabulary, logits[r]);
    }
  }

  void clear_state(int64_t) override {}  // its length tells what of the caches holds

  void copy_state(int64_t from, int64_t to) override {
    const int64_t count = length(from);
    const auto bytes = [&](int64_t n) { return static_cast<size_t>(n * number_size_); };
    for (int64_t i = 0; i < shape_.layers * shape_.kv_heads; ++i) {
      const decode::KvCache source = cache(from, 0, i), target = cache(to, 0, i);
      std::memcpy(target.keys, source.keys, bytes(padded(count, decode::kBlock) * shape_.head()));
      std::memcpy(target.values, source.values, bytes(count * value_stride()));
    }
    last_token_[static_cast<size_t>(to)] = last_token_[static_cast<size_t>(from)];
  }

  TransformerShape shape_;
  decode::Matmul matmul_;
  const decode::Kernels& kernels_;
  Buffer<float> tokens_, bigrams_, positions_;  // [.., padded(width)]
  std::vector<Block> blocks_;
  Norm norm_;
  Matrix head_;
  Buffer<float> cosine_, sine_;  // [context, head / 2]
  int64_t places_;               // of a sequence
  WeightFormat format_;
  int64_t number_size_, key_size_, value_size_;  // bytes of a number, of a head's keys and values
  Buffer<int8_t> keys_, values_;                 // [streams, layers, kv_heads, size]
  std::vector<int32_t> last_token_;              // of each stream
  Rows x_, qkv_, mixed_, gate_, up_, active_, logits_;
  Buffer<float> scores_;  // [threads, places]
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const TransformerShape& shape, int64_t streams,
                                      const Weights& weights, WeightFormat format, int threads) {
  const decode::WeightReader reader(weights, format);
  return std::make_unique<TransformerDecoder>(checked(shape), streams, reader, threads);
}

}  // namespace genai
