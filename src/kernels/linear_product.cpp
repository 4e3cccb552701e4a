#include "genai/kernels/linear_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>

#include "genai/base/vectorized.h"
#include "product_tile-inl.h"

namespace genai {
namespace {

using product::kPanel, product::kRows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What a thread works on at once stays in its caches: a block of a and the panels of b in the
// second, a panel in the first.
constexpr int64_t kBlock = 16 * kRows, kDepth = 256;

/// A matrix whose number (r, k) lies at r * row + k * step.
struct Places {
  const float* data;
  int64_t row, step;
};

/// out [rows, columns] = a [rows, depth] b [depth, columns]
struct Product {
  Places a, b;
  int64_t rows, columns, depth;
  float* out;
};

struct Range {
  int64_t first, last;
  int64_t size() const { return last - first; }
};

/// Columns of b -> [columns / 16, depth, 16], read in the order of memory.
GENAI_VECTORIZED
void pack(const Product& p, Range columns, float* to) {
  const float* from = p.b.data + columns.first * p.b.step;
  const int64_t panel = p.depth * kPanel;
  if (p.b.step == 1) {
    for (int64_t k = 0; k < p.depth; ++k, from += p.b.row, to += kPanel) {
      for (int64_t c = 0; c < columns.size(); c += kPanel) {
        for (int64_t j = 0; j < kPanel; ++j) to[c * p.depth + j] = from[c + j];
      }
    }
    return;
  }
  for (int64_t c = 0; c < columns.size(); c += kPanel, from += kPanel * p.b.step, to += panel) {
    for (int64_t k = 0; k < p.depth; ++k) {
      for (int64_t j = 0; j < kPanel; ++j) to[k * kPanel + j] = from[k * p.b.row + j * p.b.step];
    }
  }
}

/// A part of the result, from packed columns.
GENAI_VECTORIZED
void multiply(const Product& p, Range rows, Range columns, const float* packed) {
  for (int64_t block = rows.first; block < rows.last; block += kBlock) {
    const int64_t end = std::min(block + kBlock, rows.last);
    for (int64_t k = 0; k < p.depth; k += kDepth) {
      for (int64_t column = columns.first; column < columns.last; column += kPanel) {
        const float* b = packed + (column - columns.first) * p.depth + k * kPanel;
        for (int64_t r = block; r < end; r += kRows) {
          product::multiply_up_to(end - r, {.a = p.a.data + r * p.a.row + k * p.a.step,
                                            .row = p.a.row,
                                            .step = p.a.step,
                                            .b = b,
                                            .depth = std::min(kDepth, p.depth - k),
                                            .out = p.out + r * p.columns + column,
                                            .out_row = p.columns,
                                            .add = k > 0});
        }
      }
    }
  }
}

/// Each thread packs the columns of its part itself: no thread waits for another.
void multiply(const Product& p) {
  const int64_t threads = at::get_num_threads();
  const int64_t panels = p.columns / kPanel, tiles = (p.rows + kRows - 1) / kRows;
  const int64_t across = std::min(threads, panels);
  const int64_t down = std::clamp<int64_t>(threads / across, 1, tiles);
  at::parallel_for(0, across * down, 1, [&](int64_t from, int64_t to) {
    for (int64_t part = from; part < to; ++part) {
      const int64_t i = part % across, j = part / across;
      const Range columns{panels * i / across * kPanel, panels * (i + 1) / across * kPanel};
      const Range rows{tiles * j / down * kRows, std::min(tiles * (j + 1) / down * kRows, p.rows)};
      const auto packed =
          std::make_unique_for_overwrite<float[]>(static_cast<size_t>(columns.size() * p.depth));
      pack(p, columns, packed.get());
      multiply(p, rows, columns, packed.get());
    }
  });
}

at::Tensor product_of(const Places& a, const Places& b, int64_t rows, int64_t depth,
                      int64_t columns, const at::TensorOptions& options) {
  const at::Tensor out = at::empty({rows, columns}, options);
  multiply({.a = a,
            .b = b,
            .rows = rows,
            .columns = columns,
            .depth = depth,
            .out = out.mutable_data_ptr<float>()});
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
