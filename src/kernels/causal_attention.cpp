#include "genai/kernels/causal_attention.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <vector>

#include "genai/base/vectorized.h"
#include "genai/core/philox.h"
#include "genai/kernels/functions.h"
#include "product_tile-inl.h"

namespace genai {
namespace {

using product::kPanel, product::kRows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Beyond, the scores of a head leave the cache.
constexpr int64_t kLongest = 512;

/// Sizes of one head's part.
struct AttentionShape {
  int64_t length, head;
  float scale() const { return 1.f / std::sqrt(static_cast<float>(head)); }
  int64_t size() const { return length * head; }
  int64_t scores() const { return length * length; }
};

/// x [rows, columns] -> [columns / 16, rows, 16]
inline void pack(const float* x, int64_t rows, int64_t columns, float* to) {
  for (int64_t c = 0; c < columns; c += kPanel) {
    for (int64_t r = 0; r < rows; ++r, to += kPanel) std::copy_n(x + r * columns + c, kPanel, to);
  }
}

/// x^T of x [rows, columns] -> [rows / 16, columns, 16]
inline void pack_turned(const float* x, int64_t rows, int64_t columns, float* to) {
  for (int64_t r = 0; r < rows; r += kPanel) {
    for (int64_t c = 0; c < columns; ++c, to += kPanel) {
      for (int64_t j = 0; j < kPanel; ++j) to[j] = x[(r + j) * columns + c];
    }
  }
}

/// out [T, T] = a [T, head] b, where not masked; b packed [T / 16, head, 16]
GENAI_INLINE void scores_of(const AttentionShape& s, const float* a, const float* b, float* out) {
  for (int64_t r = 0; r < s.length; r += kRows) {
    const int64_t last = std::min(r + kRows, s.length);
    for (int64_t c = 0; c < last; c += kPanel) {
      product::multiply_up_to(last - r, {.a = a + r * s.head,
                                         .row = s.head,
                                         .step = 1,
                                         .b = b + c * s.head,
                                         .depth = s.head,
                                         .out = out + r * s.length + c,
                                         .out_row = s.length,
                                         .add = false});
    }
  }
}

/// out [T, head] = p b, or p^T b `turned`, where row j gets what later rows saw in it; p [T, T] is
/// 0 where masked, b packed [head / 16, T, 16]
GENAI_INLINE void mix(const AttentionShape& s, const float* p, bool turned, const float* b,
                      float* out) {
  const int64_t row = turned ? 1 : s.length, step = turned ? s.length : 1;
  for (int64_t r = 0; r < s.length; r += kRows) {
    const int64_t last = std::min(r + kRows, s.length);
    // Outside of these columns of the rows all is masked.
    const int64_t from = turned ? r : 0, to = turned ? s.length : last;
    for (int64_t c = 0; c < s.head; c += kPanel) {
      product::multiply_up_to(last - r, {.a = p + r * row + from * step,
                                         .row = row,
                                         .step = step,
                                         .b = b + c * s.length + from * kPanel,
                                         .depth = to - from,
                                         .out = out + r * s.head + c,
                                         .out_row = s.head,
                                         .add = false});
    }
  }
}

/// In eight parts, so that a vector adds them up.
inline float sum_of(const float (&parts)[8]) {
  return ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
         ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

/// What is masked within the panel of the diagonal and behind it, as far as tiles read.
inline void clear_masked(const AttentionShape& s, int64_t r, float* row) {
  const int64_t end = std::min((r / kRows + 1) * kRows, s.length);
  std::fill(row + r + 1, row + std::max(end, (r / kPanel + 1) * kPanel), 0.f);
}

/// Scores -> probabilities, 0 where masked; the log of each row's sum of exponentials.
GENAI_INLINE void softmax(const AttentionShape& s, float* scores, float* log_sums) {
  const float scale = s.scale();
  for (int64_t r = 0; r < s.length; ++r) {
    float* row = scores + r * s.length;
    const int64_t end = (r / kPanel + 1) * kPanel;
    for (int64_t c = r + 1; c < end; ++c) row[c] = -INFINITY;
    float most[8], sums[8] = {};
    for (int64_t j = 0; j < 8; ++j) most[j] = row[j];
    for (int64_t c = 8; c < end; c += 8) {
      for (int64_t j = 0; j < 8; ++j) most[j] = row[c + j] > most[j] ? row[c + j] : most[j];
    }
    float largest = most[0];
    for (int64_t j = 1; j < 8; ++j) largest = std::max(largest, most[j]);
    for (int64_t c = 0; c < end; c += 8) {
      for (int64_t j = 0; j < 8; ++j) {
        const float e = exponential((row[c + j] - largest) * scale);
        row[c + j] = e;
        sums[j] += c + j <= r ? e : 0.f;
      }
    }
    const float sum = sum_of(sums), inverse = 1.f / sum;
    for (int64_t c = 0; c <= r; ++c) row[c] *= inverse;
    clear_masked(s, r, row);
    log_sums[r] = largest * scale + std::log(sum);
  }
}

/// Which probabilities are dropped.
struct Dropout {
  double share = 0;
  uint64_t key = 0;
};

/// What the probabilities of head `number` are multiplied by, where not masked: 0, 1 / (1 - share).
void draw_factors(const AttentionShape& s, const Dropout& dropout, int64_t number, float* factors) {
  const auto share = static_cast<float>(dropout.share);
  const float kept = 1.f / (1.f - share);
  for (int64_t r = 0; r < s.length; ++r, factors += s.length) {
    philox_uniform(dropout.key, static_cast<uint64_t>(number), static_cast<uint64_t>(r * s.length),
                   factors, r + 1);
    for (int64_t c = 0; c <= r; ++c) factors[c] = factors[c] < share ? 0.f : kept;
  }
}

/// to = x times factors, 0 where masked
GENAI_INLINE void scale_by(const AttentionShape& s, const float* factors, const float* x,
                           float* to) {
  for (int64_t r = 0; r < s.length; ++r) {
    const int64_t at = r * s.length;
    for (int64_t c = 0; c <= r; ++c) to[at + c] = x[at + c] * factors[at + c];
    clear_masked(s, r, to + at);
  }
}

/// As softmax() made them.
GENAI_INLINE void probabilities_again(const AttentionShape& s, const float* log_sums,
                                      float* scores) {
  const float scale = s.scale();
  for (int64_t r = 0; r < s.length; ++r) {
    float* row = scores + r * s.length;
    for (int64_t c = 0; c <= r; ++c) row[c] = exponential(row[c] * scale - log_sums[r]);
    clear_masked(s, r, row);
  }
}

/// dS = P (dP - sum of dP P over the row) / sqrt(head); the sum is that of dO O over the head.
GENAI_INLINE void score_gradient(const AttentionShape& s, const float* p, const float* out,
                                 const float* d_out, float* d) {
  const float scale = s.scale();
  for (int64_t r = 0; r < s.length; ++r) {
    float parts[8] = {};
    for (int64_t c = 0; c < s.head; c += 8) {
      for (int64_t j = 0; j < 8; ++j) {
        parts[j] += out[r * s.head + c + j] * d_out[r * s.head + c + j];
      }
    }
    const float sum = sum_of(parts);
    float* row = d + r * s.length;
    for (int64_t c = 0; c <= r; ++c) row[c] = p[r * s.length + c] * (row[c] - sum) * scale;
    clear_masked(s, r, row);
  }
}

/// One head's tensors, [T, head] each.
struct AttentionHead {
  const float *q, *k, *v;
  float *out, *log_sums;
};

/// @param factors  [T, T] of dropout; null: none
/// @param scratch  [T, T] and [T, head]
GENAI_VECTORIZED void forward_head(const AttentionShape& s, const AttentionHead& h,
                                   const float* factors, float* scratch) {
  float *p = scratch, *packed = p + s.scores();
  pack_turned(h.k, s.length, s.head, packed);
  scores_of(s, h.q, packed, p);
  softmax(s, p, h.log_sums);
  if (factors) scale_by(s, factors, p, p);
  pack(h.v, s.length, s.head, packed);
  mix(s, p, false, packed, h.out);
}

struct Gradients {
  const float* out;
  float *q, *k, *v;
};

/// @param scratch  twice [T, T] and [T, head]
GENAI_VECTORIZED void backward_head(const AttentionShape& s, const AttentionHead& h,
                                    const Gradients& d, const float* factors, float* scratch) {
  float *p = scratch, *d_scores = p + s.scores(), *packed = d_scores + s.scores();
  pack_turned(h.k, s.length, s.head, packed);
  scores_of(s, h.q, packed, p);
  probabilities_again(s, h.log_sums, p);
  pack(d.out, s.length, s.head, packed);
  if (factors) scale_by(s, factors, p, d_scores);
  mix(s, factors ? d_scores : p, true, packed, d.v);
  pack_turned(h.v, s.length, s.head, packed);
  scores_of(s, d.out, packed, d_scores);
  if (factors) scale_by(s, factors, d_scores, d_scores);
  score_gradient(s, p, h.out, d.out, d_scores);
  pack(h.k, s.length, s.head, packed);
  mix(s, d_scores, false, packed, d.q);
  pack(h.q, s.length, s.head, packed);
  mix(s, d_scores, true, packed, d.k);
}

/// Calls work(i, factors of dropout or null, scratch) for each head of the batch.
template <class Work>
void for_heads(int64_t heads, const AttentionShape& s, const Dropout& dropout, int64_t scratch,
               const Work& work) {
  at::parallel_for(0, heads, 1, [&](int64_t from, int64_t to) {
    std::vector<float> memory(static_cast<size_t>(scratch));
    std::vector<float> factors(static_cast<size_t>(dropout.share > 0 ? s.scores() : 0));
    for (int64_t i = from; i < to; ++i) {
      if (!factors.empty()) draw_factors(s, dropout, i, factors.data());
      work(i, factors.empty() ? nullptr : factors.data(), memory.data());
    }
  });
}

struct CausalAttention : torch::autograd::Function<CausalAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, double share, int64_t key) {
    const Dropout dropout{.share = share, .key = static_cast<uint64_t>(key)};
    const AttentionShape s{.length = q.size(2), .head = q.size(3)};
    const at::Tensor out = at::empty_like(q);
    const at::Tensor log_sums = at::empty({q.size(0), q.size(1), s.length}, q.options());
    const float *queries = q.const_data_ptr<float>(), *keys = k.const_data_ptr<float>(),
                *values = v.const_data_ptr<float>();
    float *results = out.mutable_data_ptr<float>(), *sums = log_sums.mutable_data_ptr<float>();
    for_heads(q.size(0) * q.size(1), s, dropout, s.scores() + s.size(),
              [&](int64_t i, const float* factors, float* scratch) {
                const int64_t at = i * s.size();
                forward_head(
                    s, {queries + at, keys + at, values + at, results + at, sums + i * s.length},
                    factors, scratch);
              });
    context->save_for_backward({q, k, v, out, log_sums});
    context->saved_data["share"] = share;
    context->saved_data["key"] = key;
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const at::Tensor d_out = gradients[0].contiguous();
    const AttentionShape s{.length = q.size(2), .head = q.size(3)};
    const at::Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
    const float *queries = q.const_data_ptr<float>(), *keys = k.const_data_ptr<float>(),
                *values = v.const_data_ptr<float>(), *from = d_out.const_data_ptr<float>();
    // Read alone here.
    float *results = saved[3].mutable_data_ptr<float>(), *sums = saved[4].mutable_data_ptr<float>();
    float *to_q = dq.mutable_data_ptr<float>(), *to_k = dk.mutable_data_ptr<float>(),
          *to_v = dv.mutable_data_ptr<float>();
    const Dropout dropout{.share = context->saved_data["share"].toDouble(),
                          .key = static_cast<uint64_t>(context->saved_data["key"].toInt())};
    for_heads(q.size(0) * q.size(1), s, dropout, 2 * s.scores() + s.size(),
              [&](int64_t i, const float* factors, float* scratch) {
                const int64_t at = i * s.size();
                backward_head(
                    s, {queries + at, keys + at, values + at, results + at, sums + i * s.length},
                    {from + at, to_q + at, to_k + at, to_v + at}, factors, scratch);
              });
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

/// From the generator that layers draw from, which is seeded by the position in training.
int64_t key_of_layer() {
  auto* generator = at::get_generator_or_default<at::CPUGeneratorImpl>(
      std::nullopt, at::detail::getDefaultCPUGenerator());
  const std::lock_guard lock(generator->mutex_);
  return static_cast<int64_t>(generator->random64() >> 1);
}

}  // namespace

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            double dropout) {
  const auto fits = [&](const at::Tensor& t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat && t.sizes() == q.sizes() && t.numel() > 0;
  };
  const bool ours = fits(q) && fits(k) && fits(v) && q.size(2) <= kLongest &&
                    q.size(2) % kPanel == 0 && q.size(3) % kPanel == 0;
  if (!ours) {
    return at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{}, dropout,
                                            /*is_causal=*/true);
  }
  const int64_t key = dropout > 0 ? key_of_layer() : 0;
  return CausalAttention::apply(q.contiguous(), k.contiguous(), v.contiguous(), dropout, key);
}

}  // namespace genai
