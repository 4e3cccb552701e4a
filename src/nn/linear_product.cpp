#include "genai/nn/linear_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "genai/base/vectorized.h"
#include "genai/nn/product_tile.h"

namespace genai {
namespace {

using product::kPanel, product::kRows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What a thread works on at once stays in its caches: a block of a in the second, a panel of b in
// the first.
constexpr int64_t kBlock = 16 * kRows, kDepth = 256;

/// A matrix whose number (r, k) lies at r * row + k * step.
struct Places {
  const float* data;
  int64_t row, step;
};

/// out [rows, columns] = a b, with a [rows, depth] and b [columns / 16, depth, 16].
struct Product {
  Places a;
  const float* b;
  int64_t rows, columns, depth;
  float* out;
};

/// Rows first .. last - 1 of the result.
GENAI_VECTORIZED
void multiply(const Product& p, int64_t first, int64_t last) {
  for (int64_t k = 0; k < p.depth; k += kDepth) {
    for (int64_t column = 0; column < p.columns; column += kPanel) {
      for (int64_t r = first; r < last; r += kRows) {
        product::multiply_up_to(last - r, {.a = p.a.data + r * p.a.row + k * p.a.step,
                                           .row = p.a.row,
                                           .step = p.a.step,
                                           .b = p.b + column * p.depth + k * kPanel,
                                           .depth = std::min(kDepth, p.depth - k),
                                           .out = p.out + r * p.columns + column,
                                           .out_row = p.columns,
                                           .add = k > 0});
      }
    }
  }
}

/// b (k, column) at k * row + column * step -> [columns / 16, depth, 16]
GENAI_VECTORIZED
void pack(const Places& b, int64_t depth, int64_t first, int64_t last, float* to) {
  for (int64_t column = first; column < last; column += kPanel) {
    const float* from = b.data + column * b.step;
    float* panel = to + column * depth;
    if (b.step == 1) {
      for (int64_t k = 0; k < depth; ++k) {
        for (int64_t j = 0; j < kPanel; ++j) panel[k * kPanel + j] = from[k * b.row + j];
      }
    } else {
      for (int64_t k = 0; k < depth; ++k) {
        for (int64_t j = 0; j < kPanel; ++j) panel[k * kPanel + j] = from[k * b.row + j * b.step];
      }
    }
  }
}

/// a [rows, depth] times b [depth, columns].
at::Tensor product_of(const Places& a, const Places& b, int64_t rows, int64_t depth,
                      int64_t columns, const at::TensorOptions& options) {
  const at::Tensor panels = at::empty({columns * depth}, options);
  const at::Tensor out = at::empty({rows, columns}, options);
  auto* packed = panels.mutable_data_ptr<float>();
  at::parallel_for(0, columns / kPanel, std::max<int64_t>(1, 4096 / depth),
                   [&](int64_t from, int64_t to) {
                     pack(b, depth, from * kPanel, to * kPanel, packed);
                   });
  const Product product{.a = a, .b = packed, .rows = rows, .columns = columns, .depth = depth,
                        .out = out.mutable_data_ptr<float>()};
  // As many blocks for each thread, of whole tiles.
  const int64_t threads = at::get_num_threads(), tiles = (rows + kRows - 1) / kRows;
  const int64_t wanted = (rows + kBlock - 1) / kBlock;
  const int64_t blocks = std::min((wanted + threads - 1) / threads * threads, tiles);
  at::parallel_for(0, blocks, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      multiply(product, tiles * i / blocks * kRows,
               std::min(tiles * (i + 1) / blocks * kRows, rows));
    }
  });
  return out;
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight) {
    const int64_t in = weight.size(1), out = weight.size(0);
    context->save_for_backward({x, weight});
    auto shape = x.sizes().vec();
    shape.back() = out;
    return product_of({x.const_data_ptr<float>(), in, 1}, {weight.const_data_ptr<float>(), 1, in},
                      x.numel() / in, in, out, x.options())
        .view(shape);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor dy = gradients[0].contiguous();
    const int64_t in = weight.size(1), out = weight.size(0), rows = x.numel() / in;
    const auto* d = dy.const_data_ptr<float>();
    at::Tensor dx, dw;
    if (context->needs_input_grad(0)) {
      dx = product_of({d, out, 1}, {weight.const_data_ptr<float>(), in, 1}, rows, out, in,
                      x.options())
               .view(x.sizes());
    }
    if (context->needs_input_grad(1)) {
      dw = product_of({d, 1, out}, {x.const_data_ptr<float>(), in, 1}, out, rows, in, x.options());
    }
    return {dx, dw};
  }
};

}  // namespace

at::Tensor linear_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto fits = [](const at::Tensor& t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat && t.size(-1) % kPanel == 0 && t.numel() > 0;
  };
  const bool ours = fits(x) && fits(weight) && weight.size(0) % kPanel == 0 &&
                    !at::autocast::is_autocast_enabled(at::kCPU);
  if (!ours) return at::linear(x, weight, bias);
  const at::Tensor y = Linear::apply(x.contiguous(), weight.contiguous());
  return bias.defined() ? y + bias : y;
}

}  // namespace genai
