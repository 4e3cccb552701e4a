// What decode/decoder computes, in double precision and in the most obvious way.
#pragma once
#include <cmath>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "genai/core/language_shapes.h"
#include "genai/decode/decoder.h"

namespace genai::decoder_reference {

using Numbers = std::vector<double>;

/// Random weights by name.
class Checkpoint {
 public:
  void add(const std::string& name, int64_t size, float deviation, float mean = 0) {
    std::mt19937 generator(static_cast<uint32_t>(store_.size() + 1));
    std::normal_distribution<float> normal(mean, deviation);
    for (int64_t i = 0; i < size; ++i) store_[name].push_back(normal(generator));
  }
  const std::vector<float>& at(const std::string& name) const { return store_.at(name); }
  std::vector<float>& at(const std::string& name) { return store_.at(name); }
  void erase(const std::string& name) { store_.erase(name); }
  Weights weights() const {
    return [this](const std::string& name) -> std::span<const float> {
      const auto found = store_.find(name);
      return found == store_.end() ? std::span<const float>() : found->second;
    };
  }

 private:
  std::map<std::string, std::vector<float>> store_;
};

/// w [out, in] times x, plus b unless null.
inline Numbers linear(const std::vector<float>& w, const Numbers& x, const std::vector<float>* b) {
  Numbers y(w.size() / x.size());
  for (size_t o = 0; o < y.size(); ++o) {
    y[o] = b ? (*b)[o] : 0;
    for (size_t i = 0; i < x.size(); ++i) y[o] += static_cast<double>(w[o * x.size() + i]) * x[i];
  }
  return y;
}

inline Numbers part(const Numbers& x, int64_t first, int64_t count) {
  return {x.begin() + first, x.begin() + first + count};
}

inline double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// The transformer in double precision, all tokens at once. ---------------------------------------

inline Checkpoint random_weights(const TransformerShape& s) {
  Checkpoint c;
  const auto norm = [&](const std::string& name) {
    c.add(name + ".weight", s.width, 0.3f, 1);
    if (s.norm == NormKind::layer && s.bias) c.add(name + ".bias", s.width, 0.3f);
  };
  const auto matrix = [&](const std::string& name, int64_t out, int64_t in) {
    c.add(name + ".weight", out * in, 0.7f / std::sqrt(static_cast<float>(in)));
    if (s.bias) c.add(name + ".bias", out, 0.2f);
  };
  c.add("tokens.weight", s.vocabulary * s.width, 0.5f);
  if (s.bigrams) c.add("pairs.weight", s.vocabulary * s.vocabulary * s.width, 0.3f);
  if (s.positions == Positions::learned) c.add("positions.weight", s.context * s.width, 0.3f);
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    norm(block + "attention_norm");
    norm(block + "mlp_norm");
    matrix(block + "attention.qkv", (s.heads + 2 * s.kv_heads) * s.head(), s.width);
    matrix(block + "attention.out", s.width, s.heads * s.head());
    matrix(block + "mlp.up", (s.mlp == MlpKind::swiglu ? 2 : 1) * s.hidden, s.width);
    matrix(block + "mlp.down", s.width, s.hidden);
  }
  norm("norm");
  if (!s.tied) {
    c.add("head.weight", s.vocabulary * s.width, 0.7f / std::sqrt(static_cast<float>(s.width)));
  }
  return c;
}

class Reference {
 public:
  Reference(const TransformerShape& shape, const Checkpoint& weights) : s_(shape), c_(weights) {}

  /// Logits after each token.
  std::vector<Numbers> logits(const std::vector<int32_t>& tokens) const {
    std::vector<Numbers> x;
    for (size_t p = 0; p < tokens.size(); ++p) x.push_back(embedding(tokens, p));
    for (int64_t i = 0; i < s_.layers; ++i) add_block("blocks." + std::to_string(i) + ".", x);
    std::vector<Numbers> all;
    for (const Numbers& row : x) {
      const auto& head = c_.at(s_.tied ? "tokens.weight" : "head.weight");
      Numbers l = linear(head, norm("norm", row), nullptr);
      if (s_.soft_cap > 0) {
        for (double& y : l) y = s_.soft_cap * std::tanh(y / s_.soft_cap);
      }
      all.push_back(l);
    }
    return all;
  }

 private:
  Numbers embedding(const std::vector<int32_t>& tokens, size_t p) const {
    const int32_t token = tokens[p], before = p > 0 ? tokens[p - 1] : token;
    Numbers x;
    for (int64_t i = 0; i < s_.width; ++i) {
      double sum = c_.at("tokens.weight")[static_cast<size_t>(token * s_.width + i)];
      const int64_t pair = (before * s_.vocabulary + token) * s_.width + i;
      if (s_.bigrams) sum += c_.at("pairs.weight")[static_cast<size_t>(pair)];
      if (s_.positions == Positions::learned) {
        const int64_t number = static_cast<int64_t>(p) * s_.width + i;
        sum += c_.at("positions.weight")[static_cast<size_t>(number)];
      }
      x.push_back(sum);
    }
    return x;
  }

  const std::vector<float>* bias(const std::string& name) const {
    return s_.bias ? &c_.at(name + ".bias") : nullptr;
  }

  static Numbers unit(Numbers x, double epsilon) {
    double square = 0;
    for (const double v : x) square += v * v / static_cast<double>(x.size());
    for (double& v : x) v /= std::sqrt(square + epsilon);
    return x;
  }

  Numbers norm(const std::string& name, Numbers x) const {
    if (s_.norm == NormKind::layer) {
      double mean = 0;
      for (const double v : x) mean += v / static_cast<double>(x.size());
      for (double& v : x) v -= mean;
    }
    x = unit(x, 1e-5);
    const auto* b = s_.norm == NormKind::layer ? bias(name) : nullptr;
    const auto& w = c_.at(name + ".weight");
    for (size_t i = 0; i < x.size(); ++i) x[i] = x[i] * w[i] + (b ? (*b)[i] : 0);
    return x;
  }

  Numbers rotated(Numbers x, size_t place) const {
    const size_t half = x.size() / 2;
    for (size_t j = 0; j < half; ++j) {
      const double share = static_cast<double>(j) / static_cast<double>(half);
      const double angle = static_cast<double>(place) * std::pow(10'000., -share);
      const double a = x[j], b = x[j + half];
      x[j] = a * std::cos(angle) - b * std::sin(angle);
      x[j + half] = b * std::cos(angle) + a * std::sin(angle);
    }
    return x;
  }

  Numbers head_of(const Numbers& qkv, int64_t number, size_t place) const {
    Numbers x = part(qkv, number * s_.head(), s_.head());
    if (s_.qk_norm) x = unit(x, 1e-6);
    return s_.positions == Positions::rotary ? rotated(x, place) : x;
  }

  Numbers attention(const std::vector<Numbers>& qkv, size_t place) const {
    Numbers out;
    for (int64_t h = 0; h < s_.heads; ++h) {
      const int64_t shared = h / (s_.heads / s_.kv_heads);
      const Numbers q = head_of(qkv[place], h, place);
      Numbers mixed(q.size(), 0.);
      double sum = 0;
      for (size_t t = 0; t <= place; ++t) {
        const Numbers k = head_of(qkv[t], s_.heads + shared, t);
        const Numbers v = part(qkv[t], (s_.heads + s_.kv_heads + shared) * s_.head(), s_.head());
        double score = 0;
        for (size_t d = 0; d < q.size(); ++d) score += q[d] * k[d];
        const double weight = std::exp(score / std::sqrt(static_cast<double>(q.size())));
        sum += weight;
        for (size_t d = 0; d < q.size(); ++d) mixed[d] += weight * v[d];
      }
      for (const double m : mixed) out.push_back(m / sum);
    }
    return out;
  }

  Numbers mlp(const std::string& block, const Numbers& x) const {
    Numbers up = linear(c_.at(block + "mlp.up.weight"), x, bias(block + "mlp.up"));
    Numbers y;
    for (int64_t i = 0; i < s_.hidden; ++i) {
      const double u = up[static_cast<size_t>(i)];
      switch (s_.mlp) {
        case MlpKind::gelu:
          y.push_back(u * std::erfc(-u / std::sqrt(2.)) / 2);
          break;
        case MlpKind::gelu_tanh:
          y.push_back(u / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (u + 0.044715 * u * u * u))));
          break;
        case MlpKind::relu2:
          y.push_back(u > 0 ? u * u : 0);
          break;
        case MlpKind::swiglu:
          y.push_back(u * sigmoid(u) * up[static_cast<size_t>(s_.hidden + i)]);
          break;
      }
    }
    return linear(c_.at(block + "mlp.down.weight"), y, bias(block + "mlp.down"));
  }

  void add_block(const std::string& block, std::vector<Numbers>& x) const {
    std::vector<Numbers> qkv;
    for (const Numbers& row : x) {
      qkv.push_back(linear(c_.at(block + "attention.qkv.weight"),
                           norm(block + "attention_norm", row), bias(block + "attention.qkv")));
    }
    for (size_t p = 0; p < x.size(); ++p) {
      const Numbers a = linear(c_.at(block + "attention.out.weight"), attention(qkv, p),
                               bias(block + "attention.out"));
      for (size_t i = 0; i < a.size(); ++i) x[p][i] += a[i];
      const Numbers m = mlp(block, norm(block + "mlp_norm", x[p]));
      for (size_t i = 0; i < m.size(); ++i) x[p][i] += m[i];
    }
  }

  TransformerShape s_;
  const Checkpoint& c_;
};

// Recurrent networks in double precision. --------------------------------------------------------

inline Checkpoint random_weights(const RnnShape& s) {
  Checkpoint c;
  const int64_t gates = (s.cell == Cell::tanh ? 1 : s.cell == Cell::gru ? 3 : 4) * s.width;
  const float deviation = 1.2f / std::sqrt(static_cast<float>(s.width));
  c.add("tokens.weight", s.vocabulary * s.embedding, 0.7f);
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string end = "_l" + std::to_string(i);
    c.add("rnn.weight_ih" + end, gates * (i == 0 ? s.embedding : s.width), deviation);
    c.add("rnn.weight_hh" + end, gates * s.width, deviation);
    c.add("rnn.bias_ih" + end, gates, 0.3f);
    c.add("rnn.bias_hh" + end, gates, 0.3f);
  }
  if (!s.tied) c.add("head.weight", s.vocabulary * s.width, deviation);
  c.add("head.bias", s.vocabulary, 0.3f);
  return c;
}

inline std::vector<Numbers> reference(const RnnShape& s, const Checkpoint& c,
                                      const std::vector<int32_t>& tokens) {
  const auto n = static_cast<size_t>(s.width);
  std::vector<Numbers> h(static_cast<size_t>(s.layers), Numbers(n, 0.)), memory = h, all;
  for (const int32_t token : tokens) {
    const auto& table = c.at("tokens.weight");
    Numbers x(table.begin() + token * s.embedding, table.begin() + (token + 1) * s.embedding);
    for (size_t i = 0; i < h.size(); ++i) {
      const std::string end = "_l" + std::to_string(i);
      const Numbers a = linear(c.at("rnn.weight_ih" + end), x, &c.at("rnn.bias_ih" + end));
      const Numbers b = linear(c.at("rnn.weight_hh" + end), h[i], &c.at("rnn.bias_hh" + end));
      for (size_t j = 0; j < n; ++j) {
        double& y = h[i][j];
        if (s.cell == Cell::tanh) {
          y = std::tanh(a[j] + b[j]);
        } else if (s.cell == Cell::gru) {
          const double r = sigmoid(a[j] + b[j]), z = sigmoid(a[n + j] + b[n + j]);
          y = (1 - z) * std::tanh(a[2 * n + j] + r * b[2 * n + j]) + z * y;
        } else {
          double& m = memory[i][j];
          m = sigmoid(a[n + j] + b[n + j]) * m +
              sigmoid(a[j] + b[j]) * std::tanh(a[2 * n + j] + b[2 * n + j]);
          y = sigmoid(a[3 * n + j] + b[3 * n + j]) * std::tanh(m);
        }
      }
      x = h[i];
    }
    all.push_back(linear(c.at(s.tied ? "tokens.weight" : "head.weight"), x, &c.at("head.bias")));
  }
  return all;
}

}  // namespace genai::decoder_reference
