#include "genai/kernels/mlp_activation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "genai/base/vectorized.h"
#include "genai/kernels/functions.h"

namespace genai {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Numbers that are worth a thread.
constexpr int64_t kGrain = 8192;

/// Phi(x), the normal distribution's, and its density's e^(-x^2 / 2).
struct Normal {
  float below, bell;
};
inline Normal normal(float x) {
  const float z = x * 0.70710678f, a = z < 0.f ? -z : z;
  const float t = 1.f / (1.f + 0.3275911f * a);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float bell = exponential(-z * z), tail = 0.5f * p * t * bell;  // Phi(-|x|)
  return {x < 0.f ? tail : 1.f - tail, bell};
}

GENAI_VECTORIZED void gelu(const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * normal(x[i]).below;
}
GENAI_VECTORIZED void gelu_gradient(const float* x, const float* dy, int64_t count, float* dx) {
  constexpr float kDensity = 0.39894228f;  // 1 / sqrt(2 pi)
  for (int64_t i = 0; i < count; ++i) {
    const Normal n = normal(x[i]);
    dx[i] = dy[i] * (n.below + x[i] * kDensity * n.bell);
  }
}

// (1 + tanh(u)) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
constexpr float kTwice = 1.59576912f, kCube = 0.044715f;

GENAI_VECTORIZED void gelu_tanh(const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = x[i] * sigmoid(kTwice * x[i] * (1.f + kCube * x[i] * x[i]));
  }
}
GENAI_VECTORIZED void gelu_tanh_gradient(const float* x, const float* dy, int64_t count,
                                         float* dx) {
  for (int64_t i = 0; i < count; ++i) {
    const float square = x[i] * x[i], s = sigmoid(kTwice * x[i] * (1.f + kCube * square));
    dx[i] = dy[i] * (s + x[i] * s * (1.f - s) * kTwice * (1.f + 3.f * kCube * square));
  }
}

GENAI_VECTORIZED void relu2(const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    const float above = x[i] > 0.f ? x[i] : 0.f;
    y[i] = above * above;
  }
}
GENAI_VECTORIZED void relu2_gradient(const float* x, const float* dy, int64_t count, float* dx) {
  for (int64_t i = 0; i < count; ++i) dx[i] = 2.f * dy[i] * (x[i] > 0.f ? x[i] : 0.f);
}

GENAI_VECTORIZED void swiglu(const float* gate, const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = gate[i] * sigmoid(gate[i]) * x[i];
}
GENAI_VECTORIZED void swiglu_gradient(const float* gate, const float* x, const float* dy,
                                      int64_t count, float* dgate, float* dx) {
  for (int64_t i = 0; i < count; ++i) {
    const float s = sigmoid(gate[i]);
    dgate[i] = dy[i] * x[i] * s * (1.f + gate[i] * (1.f - s));
    dx[i] = dy[i] * gate[i] * s;
  }
}

void forward_row(MlpKind kind, const float* x, int64_t hidden, float* y) {
  switch (kind) {
    case MlpKind::gelu:
      return gelu(x, hidden, y);
    case MlpKind::gelu_tanh:
      return gelu_tanh(x, hidden, y);
    case MlpKind::relu2:
      return relu2(x, hidden, y);
    case MlpKind::swiglu:
      return swiglu(x, x + hidden, hidden, y);
  }
}

void backward_row(MlpKind kind, const float* x, const float* dy, int64_t hidden, float* dx) {
  switch (kind) {
    case MlpKind::gelu:
      return gelu_gradient(x, dy, hidden, dx);
    case MlpKind::gelu_tanh:
      return gelu_tanh_gradient(x, dy, hidden, dx);
    case MlpKind::relu2:
      return relu2_gradient(x, dy, hidden, dx);
    case MlpKind::swiglu:
      return swiglu_gradient(x, x + hidden, dy, hidden, dx, dx + hidden);
  }
}

/// Calls row(r) for all rows of `width` numbers.
template <class Row>
void for_rows(int64_t rows, int64_t width, const Row& row) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; ++r) row(r);
  });
}

struct MlpActivation : torch::autograd::Function<MlpActivation> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, int64_t kind) {
    const auto mlp = static_cast<MlpKind>(kind);
    const int64_t width = x.size(-1), hidden = mlp == MlpKind::swiglu ? width / 2 : width;
    auto shape = x.sizes().vec();
    shape.back() = hidden;
    const at::Tensor y = at::empty(shape, x.options());
    const auto* in = x.const_data_ptr<float>();
    auto* out = y.mutable_data_ptr<float>();
    for_rows(x.numel() / width, width,
             [&](int64_t r) { forward_row(mlp, in + r * width, hidden, out + r * hidden); });
    context->save_for_backward({x});
    context->saved_data["kind"] = kind;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto mlp = static_cast<MlpKind>(context->saved_data["kind"].toInt());
    const at::Tensor x = context->get_saved_variables()[0], dy = gradients[0].contiguous();
    const int64_t width = x.size(-1), hidden = dy.size(-1);
    const at::Tensor dx = at::empty_like(x);
    const auto *in = x.const_data_ptr<float>(), *dout = dy.const_data_ptr<float>();
    auto* din = dx.mutable_data_ptr<float>();
    for_rows(x.numel() / width, width, [&](int64_t r) {
      backward_row(mlp, in + r * width, dout + r * hidden, hidden, din + r * width);
    });
    return {dx, at::Tensor()};
  }
};

at::Tensor by_libtorch(MlpKind kind, const at::Tensor& x) {
  switch (kind) {
    case MlpKind::gelu:
      return at::gelu(x);
    case MlpKind::gelu_tanh:
      return at::gelu(x, "tanh");
    case MlpKind::relu2:
      return x.relu().square();
    case MlpKind::swiglu:
      break;
  }
  const auto halves = x.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

}  // namespace

at::Tensor mlp_activation(MlpKind kind, const at::Tensor& x) {
  const bool ours = x.is_cpu() && x.scalar_type() == at::kFloat && x.numel() > 0;
  if (!ours) return by_libtorch(kind, x);
  return MlpActivation::apply(x.contiguous(), static_cast<int64_t>(kind));
}

}  // namespace genai
