#include <algorithm>
#include <cmath>
#include <vector>

#include "genai/base/error.h"
#include "genai/nn/decode_kernels.h"
#include "genai/nn/decoder.h"
#include "genai/nn/stream_decoder.h"

namespace genai {
namespace {

using decode::Buffer, decode::Matrix, decode::padded;

constexpr float kEpsilon = 1e-5f;         // of norms
constexpr float kHeadEpsilon = 1e-6f;     // of normed queries and keys
constexpr double kRotaryBase = 10'000;

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
      : StreamDecoder(shape.vocabulary, shape.context, streams),
        shape_(shape),
        multiplier_(std::max(shape.width, shape.hidden), threads),
        kernels_(multiplier_.kernels()),
        places_(padded(shape.context, decode::kBlock)),
        key_size_(places_ * shape.head()),
        value_size_(places_ * padded(shape.head(), 8)),
        last_token_(static_cast<size_t>(streams)) {
    read_weights(reader);
    make_rows();
    const int64_t caches = streams * shape.layers * shape.kv_heads;
    keys_ = Buffer<float>(caches * key_size_);
    values_ = Buffer<float>(caches * value_size_);
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
    Linear qkv, out, up, down;
  };
  /// kMostRows vectors.
  struct Rows {
    Rows() = default;
    explicit Rows(int64_t width)
        : stride(padded(width)), numbers(decode::kMostRows * stride) {}
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
    const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
      Linear l{.weight = reader.matrix(name + ".weight", out, in), .bias = {}};
      if (s.bias) l.bias = reader.vector(name + ".bias", out);
      return l;
    };
    tokens_ = reader.table("tokens.weight", s.vocabulary, s.width);
    if (s.pairs) pairs_ = reader.table("pairs.weight", s.vocabulary * s.vocabulary, s.width);
    if (s.positions == Positions::learned) {
      positions_ = reader.table("positions.weight", s.context, s.width);
    }
    for (int64_t i = 0; i < s.layers; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".";
      const int64_t rows = s.mlp == MlpKind::swiglu ? 2 : 1;
      blocks_.push_back({.attention_norm = norm(block + "attention_norm"),
                         .mlp_norm = norm(block + "mlp_norm"),
                         .qkv = linear(block + "attention.qkv", qkv_width(), s.width),
                         .out = linear(block + "attention.out", s.width, s.heads * s.head()),
                         .up = linear(block + "mlp.up", rows * s.hidden, s.width),
                         .down = linear(block + "mlp.down", s.width, s.hidden)});
    }
    norm_ = norm("norm");
    head_ = reader.matrix(s.tied ? "tokens.weight" : "head.weight", s.vocabulary, s.width);
  }

  void make_rows() {
    const TransformerShape& s = shape_;
    x_ = Rows(s.width);
    normed_ = Rows(s.width);
    qkv_ = Rows(qkv_width());
    mixed_ = Rows(s.heads * s.head());
    up_ = Rows((s.mlp == MlpKind::swiglu ? 2 : 1) * s.hidden);
    active_ = Rows(s.hidden);
    logits_ = Rows(s.vocabulary);
    scores_ = Buffer<float>(multiplier_.threads() * places_);
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

  int64_t cache(int64_t stream, int64_t layer, int64_t head) const {
    return (stream * shape_.layers + layer) * shape_.kv_heads + head;
  }

  void advance(std::span<const Row> rows, std::span<const int64_t> places,
               Places logits) override {
    const auto count = static_cast<int64_t>(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) embed(rows[r], places[r], static_cast<int64_t>(r));
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      const Block& block = blocks_[static_cast<size_t>(layer)];
      for (int64_t r = 0; r < count; ++r) normalize(block.attention_norm, x_.row(r), r);
      multiply(block.qkv, normed_, count, qkv_);
      for (size_t r = 0; r < rows.size(); ++r) {
        place(qkv_.row(static_cast<int64_t>(r)), rows[r].stream, layer, places[r]);
      }
      attend(rows, places, layer);
      multiply(block.out, mixed_, count, x_, /*add=*/true);
      for (int64_t r = 0; r < count; ++r) normalize(block.mlp_norm, x_.row(r), r);
      multiply(block.up, normed_, count, up_);
      decode::parallel_rows(multiplier_.threads(), count, count * shape_.hidden * kFunctionCost,
                            [&](int64_t first, int64_t last, int) {
                              for (int64_t r = first; r < last; ++r) {
                                kernels_.activate(shape_.mlp, up_.row(r), shape_.hidden,
                                                  active_.row(r));
                              }
                            });
      multiply(block.down, active_, count, x_, /*add=*/true);
    }
    tell(logits);
  }

  /// Multiplications that an exponential takes the time of.
  static constexpr int64_t kFunctionCost = 12;

  void embed(const Row& row, int64_t place, int64_t r) {
    float* x = x_.row(r);
    const float* token = tokens_.at(row.token * x_.stride);
    std::copy_n(token, shape_.width, x);
    int32_t& last = last_token_[static_cast<size_t>(row.stream)];
    if (shape_.pairs) {
      const int64_t before = place > 0 ? last : row.token;
      add(pairs_.at((before * shape_.vocabulary + row.token) * x_.stride), x);
    }
    if (shape_.positions == Positions::learned) add(positions_.at(place * x_.stride), x);
    last = row.token;
  }

  void add(const float* from, float* to) const {
    for (int64_t i = 0; i < shape_.width; ++i) to[i] += from[i];
  }

  /// x -> row r of normed_
  void normalize(const Norm& norm, const float* x, int64_t r) {
    if (shape_.norm == NormKind::layer) {
      kernels_.layer_norm(x, norm.weight.data(), norm.bias.data(), shape_.width, kEpsilon,
                          normed_.row(r));
    } else {
      kernels_.rms_norm(x, norm.weight.data(), shape_.width, kEpsilon, normed_.row(r));
    }
  }

  void multiply(const Linear& linear, const Rows& x, int64_t rows, const Rows& out,
                bool add = false) {
    multiplier_.multiply(linear.weight, x.numbers.data(), x.stride, rows, linear.bias.data(),
                         out.numbers.data(), out.stride, add);
  }

  /// Queries, keys and values of a row as attention takes them, the latter two in their caches.
  void place(float* qkv, int64_t stream, int64_t layer, int64_t at) {
    const int64_t head = shape_.head(), heads = shape_.heads, kv_heads = shape_.kv_heads;
    for (int64_t i = 0; i < heads + kv_heads; ++i) {
      float* x = qkv + i * head;
      if (shape_.qk_norm) kernels_.rms_norm(x, nullptr, head, kHeadEpsilon, x);
      if (shape_.positions == Positions::rotary) {
        const int64_t angles = at * (head / 2);
        kernels_.rotate(x, cosine_.at(angles), sine_.at(angles), head);
      }
    }
    const float scale = 1 / std::sqrt(static_cast<float>(head));
    for (int64_t i = 0; i < heads * head; ++i) qkv[i] *= scale;
    for (int64_t i = 0; i < kv_heads; ++i) {
      const int64_t number = cache(stream, layer, i);
      const float* key = qkv + (heads + i) * head;
      const float* value = key + kv_heads * head;
      constexpr int64_t block = decode::kBlock;
      float* keys = keys_.at(number * key_size_) + at / block * block * head + at % block;
      for (int64_t d = 0; d < head; ++d) keys[d * block] = key[d];
      std::copy_n(value, head, values_.at(number * value_size_) + at * padded(head, 8));
    }
  }

  void attend(std::span<const Row> rows, std::span<const int64_t> places, int64_t layer) {
    const int64_t head = shape_.head(), heads = shape_.heads, shared = heads / shape_.kv_heads;
    int64_t cost = 0;
    for (const int64_t place : places) cost += 2 * heads * head * (place + 1);
    const auto work = [&](int64_t first, int64_t last, int worker) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t r = i / heads, h = i % heads;
        const int64_t number = cache(rows[static_cast<size_t>(r)].stream, layer, h / shared);
        kernels_.attend({.q = qkv_.row(r) + h * head,
                         .keys = keys_.at(number * key_size_),
                         .values = values_.at(number * value_size_),
                         .head = head,
                         .count = places[static_cast<size_t>(r)] + 1,
                         .scores = scores_.at(worker * places_),
                         .out = mixed_.row(r) + h * head});
      }
    };
    decode::parallel_rows(multiplier_.threads(), static_cast<int64_t>(rows.size()) * heads, cost,
                          work);
  }

  void tell(Places logits) {
    int64_t count = 0;
    for (size_t r = 0; r < logits.size(); ++r) {
      if (logits[r]) normalize(norm_, x_.row(static_cast<int64_t>(r)), count++);
    }
    if (count == 0) return;
    multiplier_.multiply(head_, normed_.numbers.data(), normed_.stride, count, nullptr,
                         logits_.numbers.data(), logits_.stride);
    int64_t from = 0;
    for (float* to : logits) {
      if (!to) continue;
      float* row = logits_.row(from++);
      const auto cap = static_cast<float>(shape_.soft_cap);
      if (cap > 0) kernels_.soft_cap(row, shape_.vocabulary, cap);
      std::copy_n(row, shape_.vocabulary, to);
    }
  }

  void clear_state(int64_t) override {}   // its length tells what of the caches holds

  void copy_state(int64_t from, int64_t to) override {
    const int64_t head = shape_.head(), count = length(from);
    for (int64_t i = 0; i < shape_.layers * shape_.kv_heads; ++i) {
      const int64_t source = cache(from, 0, 0) + i, target = cache(to, 0, 0) + i;
      std::copy_n(keys_.at(source * key_size_), padded(count, decode::kBlock) * head,
                  keys_.at(target * key_size_));
      std::copy_n(values_.at(source * value_size_), count * padded(head, 8),
                  values_.at(target * value_size_));
    }
    last_token_[static_cast<size_t>(to)] = last_token_[static_cast<size_t>(from)];
  }

  TransformerShape shape_;
  decode::Multiplier multiplier_;
  const decode::Kernels& kernels_;
  Buffer<float> tokens_, pairs_, positions_;   // [.., padded(width)]
  std::vector<Block> blocks_;
  Norm norm_;
  Matrix head_;
  Buffer<float> cosine_, sine_;                // [context, head / 2]
  int64_t places_, key_size_, value_size_;     // of a cache
  Buffer<float> keys_, values_;                // [streams, layers, kv_heads, size]
  std::vector<int32_t> last_token_;            // of each stream
  Rows x_, normed_, qkv_, mixed_, up_, active_, logits_;
  Buffer<float> scores_;                       // [threads, places]
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const TransformerShape& shape, int64_t streams,
                                      const Weights& weights, WeightFormat format, int threads) {
  const decode::WeightReader reader(weights, format);
  return std::make_unique<TransformerDecoder>(checked(shape), streams, reader, threads);
}

}  // namespace genai
