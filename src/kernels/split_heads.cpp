#include "genai/kernels/split_heads.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "genai/base/vectorized.h"

namespace genai {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kUnitEpsilon = 1e-6f;

/// In eight parts, so that a vector adds them up.
inline float sum_of_products(const float* a, const float* b, int64_t count) {
  float parts[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t j = 0; j < 8; ++j) parts[j] += a[i + j] * b[i + j];
  }
  for (; i < count; ++i) parts[0] += a[i] * b[i];
  return ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
         ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

inline float inverse_rms(const float* x, int64_t head) {
  return 1.f / std::sqrt(sum_of_products(x, x, head) / static_cast<float>(head) + kUnitEpsilon);
}

/// Turned by the angles (`sine` times `sense`: 1, or -1 for back again) and scaled.
inline void turn(const float* x, const float* cosine, const float* sine, float sense, float scale,
                 int64_t half, float* y) {
  for (int64_t j = 0; j < half; ++j) {
    const float a = x[j] * scale, b = x[half + j] * scale, s = sense * sine[j];
    y[j] = a * cosine[j] - b * s;
    y[half + j] = b * cosine[j] + a * s;
  }
}

/// What is done with one head of queries or keys.
struct TurnedHead {
  int64_t size;
  bool unit;
  const float *cosine, *sine;  // of the place; null: not turned
};

GENAI_VECTORIZED void forward_head(const TurnedHead& head, const float* x, float* y) {
  const float scale = head.unit ? inverse_rms(x, head.size) : 1.f;
  if (head.cosine) {
    turn(x, head.cosine, head.sine, 1, scale, head.size / 2, y);
  } else {
    for (int64_t j = 0; j < head.size; ++j) y[j] = x[j] * scale;
  }
}

/// With n = x / rms(x) and its gradient dn: dx = (dn - n mean(dn n)) / rms(x).
GENAI_VECTORIZED void backward_head(const TurnedHead& head, const float* x, const float* dy,
                                    float* dx) {
  if (head.cosine) {
    turn(dy, head.cosine, head.sine, -1, 1, head.size / 2, dx);
  } else {
    std::copy_n(dy, head.size, dx);
  }
  if (!head.unit) return;
  const float scale = inverse_rms(x, head.size);
  const float mean = sum_of_products(dx, x, head.size) * scale / static_cast<float>(head.size);
  for (int64_t j = 0; j < head.size; ++j) dx[j] = scale * (dx[j] - x[j] * scale * mean);
}

/// Where things are. Heads of queries, keys and values are numbered one after the other.
struct HeadPlaces {
  HeadsShape shape;
  int64_t length;
  bool unit;
  const float *cosine, *sine;

  int64_t all() const { return shape.heads + 2 * shape.kv_heads; }
  TurnedHead head(int64_t place) const {
    const int64_t angles = place * (shape.head / 2);
    return {shape.head, unit, cosine ? cosine + angles : nullptr, cosine ? sine + angles : nullptr};
  }
  /// Of head h at place t of row b: which of the three outputs, and where in it.
  std::pair<int, int64_t> output(int64_t b, int64_t t, int64_t h) const {
    const int which = h < shape.heads ? 0 : h < shape.heads + shape.kv_heads ? 1 : 2;
    const int64_t heads = which == 0 ? shape.heads : shape.kv_heads;
    const int64_t number = which == 0 ? h : h - shape.heads - (which - 1) * shape.kv_heads;
    return {which, ((b * heads + number) * length + t) * shape.head};
  }
  template <class Work>
  void for_places(int64_t rows, const Work& work) const {
    const int64_t grain = std::max<int64_t>(1, 8192 / (all() * shape.head));
    at::parallel_for(0, rows * length, grain, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) work(i / length, i % length);
    });
  }
};

struct SplitHeads : torch::autograd::Function<SplitHeads> {
  static HeadPlaces places_of(AutogradContext* context, int64_t length, const at::Tensor& cosine,
                              const at::Tensor& sine) {
    const auto number = [&](const char* name) { return context->saved_data[name].toInt(); };
    return {.shape = {number("heads"), number("kv_heads"), number("head")},
            .length = length,
            .unit = number("unit") != 0,
            .cosine = cosine.numel() > 0 ? cosine.const_data_ptr<float>() : nullptr,
            .sine = sine.numel() > 0 ? sine.const_data_ptr<float>() : nullptr};
  }

  static variable_list forward(AutogradContext* context, const at::Tensor& qkv, int64_t heads,
                               int64_t kv_heads, int64_t head, bool unit, const at::Tensor& cosine,
                               const at::Tensor& sine) {
    context->saved_data["heads"] = heads;
    context->saved_data["kv_heads"] = kv_heads;
    context->saved_data["head"] = head;
    context->saved_data["unit"] = int64_t{unit};
    context->save_for_backward({qkv, cosine, sine});
    const int64_t rows = qkv.size(0), length = qkv.size(1);
    const HeadPlaces places = places_of(context, length, cosine, sine);
    const auto make = [&](int64_t n) { return at::empty({rows, n, length, head}, qkv.options()); };
    const variable_list all{make(heads), make(kv_heads), make(kv_heads)};
    const auto* in = qkv.const_data_ptr<float>();
    float* out[3];
    for (size_t i = 0; i < 3; ++i) out[i] = all[i].mutable_data_ptr<float>();
    places.for_places(rows, [&](int64_t b, int64_t t) {
      const float* x = in + (b * length + t) * places.all() * head;
      for (int64_t h = 0; h < places.all(); ++h, x += head) {
        const auto [which, at] = places.output(b, t, h);
        if (which == 2) {
          std::copy_n(x, head, out[2] + at);
        } else {
          forward_head(places.head(t), x, out[which] + at);
        }
      }
    });
    return all;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& qkv = saved[0];
    const int64_t rows = qkv.size(0), length = qkv.size(1);
    const HeadPlaces places = places_of(context, length, saved[1], saved[2]);
    const int64_t head = places.shape.head;
    at::Tensor held[3];
    const float* dout[3];
    for (size_t i = 0; i < 3; ++i) {
      held[i] = gradients[i].contiguous();
      dout[i] = held[i].const_data_ptr<float>();
    }
    const at::Tensor dqkv = at::empty_like(qkv);
    const auto* in = qkv.const_data_ptr<float>();
    auto* din = dqkv.mutable_data_ptr<float>();
    places.for_places(rows, [&](int64_t b, int64_t t) {
      int64_t from = (b * length + t) * places.all() * head;
      for (int64_t h = 0; h < places.all(); ++h, from += head) {
        const auto [which, at] = places.output(b, t, h);
        if (which == 2) {
          std::copy_n(dout[2] + at, head, din + from);
        } else {
          backward_head(places.head(t), in + from, dout[which] + at, din + from);
        }
      }
    });
    return {dqkv, {}, {}, {}, {}, {}, {}};
  }
};

std::array<at::Tensor, 3> by_libtorch(const at::Tensor& qkv, const HeadsShape& shape, bool unit,
                                      const at::Tensor& cosine, const at::Tensor& sine) {
  const auto parts = qkv.view({qkv.size(0), qkv.size(1), -1, shape.head})
                         .transpose(1, 2)
                         .split_with_sizes({shape.heads, shape.kv_heads, shape.kv_heads}, 1);
  const auto ready = [&](at::Tensor x) {
    if (unit) x = x * (x.square().mean(-1, /*keepdim=*/true) + kUnitEpsilon).rsqrt();
    if (!cosine.defined()) return x;
    const auto halves = x.chunk(2, -1);
    return at::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine},
                   -1);
  };
  return {ready(parts[0]), ready(parts[1]), parts[2]};
}

}  // namespace

std::array<at::Tensor, 3> split_heads(const at::Tensor& qkv, const HeadsShape& shape, bool unit,
                                      const at::Tensor& cosine, const at::Tensor& sine) {
  const bool ours = qkv.is_cpu() && qkv.scalar_type() == at::kFloat && qkv.numel() > 0;
  if (!ours) return by_libtorch(qkv, shape, unit, cosine, sine);
  const auto angles = [&](const at::Tensor& x) {  // autograd wants a tensor: an empty one for none
    return x.defined() ? x.contiguous() : at::empty({0}, qkv.options());
  };
  const auto all = SplitHeads::apply(qkv.contiguous(), shape.heads, shape.kv_heads, shape.head,
                                     unit, angles(cosine), angles(sine));
  return {all[0], all[1], all[2]};
}

}  // namespace genai
