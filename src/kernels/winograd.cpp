#include "genai/kernels/winograd.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "winograd_tiles-inl.h"

namespace genai {
namespace {

using namespace winograd;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Grid grid_of(const at::Tensor& x) {
  return {.images = x.size(0), .height = x.size(2), .width = x.size(3)};
}

Filter filter_of(const at::Tensor& w, bool turned) {
  Filter filter{.in = w.size(turned ? 0 : 1),
                .out = w.size(turned ? 1 : 0),
                .in_stride = w.stride(turned ? 0 : 1),
                .out_stride = w.stride(turned ? 1 : 0)};
  for (int64_t i = 0; i < 9; ++i) {
    const int64_t tap = turned ? 8 - i : i;
    filter.taps[i] = tap / 3 * w.stride(2) + tap % 3 * w.stride(3);
  }
  return filter;
}

/// What both products need: the tiles cut into one part for each thread, room for the points of a
/// chunk in each, and zeros.
struct Work {
  Work(const at::Tensor& x, int64_t in, int64_t out)
      : grid(grid_of(x)),
        parts(std::min<int64_t>(at::get_num_threads(), grid.tiles)),
        in_plane(plane_of(kChunk, in)),
        out_plane(plane_of(kChunk, out)),
        u_plane(plane_of(in, out)),
        room(at::empty({parts, kPoints * (in_plane + out_plane)}, x.options())),
        zeros(at::zeros({std::max(in, out)}, x.options())) {}

  int64_t first_of(int64_t part) const { return grid.tiles * part / parts; }

  /// f(part, chunk, points of the input, points of the output)
  template <class F>
  void for_chunks(F f) const {
    float* const points = room.mutable_data_ptr<float>();
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        float* const own = points + part * kPoints * (in_plane + out_plane);
        const int64_t last = first_of(part + 1);
        for (int64_t i = first_of(part); i < last; i += kChunk) {
          f(part, Chunk{.first = i, .count = std::min(kChunk, last - i)}, own,
            own + kPoints * in_plane);
        }
      }
    });
  }

  Grid grid;
  int64_t parts, in_plane, out_plane, u_plane;
  at::Tensor room, zeros;
};

/// f(o) for every eighth output
template <class F>
void for_outputs(const Filter& filter, F f) {
  at::parallel_for(0, filter.out / kPanel, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin * kPanel; o < end * kPanel; o += kLanes) f(o);
  });
}

/// conv2d(x, weight, bias, 1, 1), or, turned, the gradient of its data.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    bool turned) {
  const Filter filter = filter_of(weight, turned);
  const int64_t in = filter.in, out = filter.out;
  const Work work(x, in, out);
  const Grid& grid = work.grid;
  const at::Tensor y = at::empty({grid.images, out, grid.height, grid.width}, x.options(),
                                 at::MemoryFormat::ChannelsLast);
  const at::Tensor u = at::empty({kPoints, work.u_plane}, x.options());
  const at::Tensor offsets = bias.defined() ? bias.contiguous() : work.zeros;
  const float *pixels = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>(),
              *b = offsets.const_data_ptr<float>(), *zeros = work.zeros.const_data_ptr<float>();
  float *points = u.mutable_data_ptr<float>(), *to = y.mutable_data_ptr<float>();
  for_outputs(filter, [&](int64_t o) { weight_to_points(filter, w, o, points, work.u_plane); });
  work.for_chunks([&](int64_t, const Chunk& chunk, float* v, float* m) {
    image_to_points(grid, chunk, pixels, in, zeros, v, work.in_plane);
    winograd::multiply({.a = v,
                        .row = in,
                        .step = 1,
                        .a_plane = work.in_plane,
                        .b = points,
                        .b_plane = work.u_plane,
                        .out = m,
                        .out_plane = work.out_plane,
                        .rows = chunk.count,
                        .columns = out,
                        .depth = in,
                        .add = false});
    points_to_image(grid, chunk, m, work.out_plane, b, out, to);
  });
  return y;
}

at::Tensor weight_gradient(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& weight) {
  const at::Tensor dw = at::empty_like(weight);
  const Filter filter = filter_of(dw, false);
  const int64_t in = filter.in, out = filter.out;
  const Work work(x, in, out);
  const Grid& grid = work.grid;
  const at::Tensor du = at::empty({work.parts, kPoints, work.u_plane}, x.options());
  const float *pixels = x.const_data_ptr<float>(), *slopes = dy.const_data_ptr<float>(),
              *zeros = work.zeros.const_data_ptr<float>();
  float *points = du.mutable_data_ptr<float>(), *to = dw.mutable_data_ptr<float>();
  work.for_chunks([&](int64_t part, const Chunk& chunk, float* v, float* d) {
    // The points of x are computed again: kept since the forward pass they would take 2.25 times
    // the memory of x, and reading that costs as much.
    image_to_points(grid, chunk, pixels, in, zeros, v, work.in_plane);
    gradient_to_points(grid, chunk, slopes, out, zeros, d, work.out_plane);
    winograd::multiply({.a = v,
                        .row = 1,
                        .step = in,
                        .a_plane = work.in_plane,
                        .b = d,
                        .b_plane = work.out_plane,
                        .out = points + part * kPoints * work.u_plane,
                        .out_plane = work.u_plane,
                        .rows = in,
                        .columns = out,
                        .depth = chunk.count,
                        .add = chunk.first > work.first_of(part)});
  });
  for_outputs(filter, [&](int64_t o) {
    points_to_weight(filter, points, work.parts, work.u_plane, o, to);
  });
  return dw;
}

struct Winograd : torch::autograd::Function<Winograd> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return convolve(x, weight, bias, false);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const bool dx = context->needs_input_grad(0), dw = context->needs_input_grad(1),
               db = context->needs_input_grad(2);
    if (at::GradMode::is_enabled()) {  // gradients of these gradients will be asked for
      // The data's gradient is itself a convolution, by the turned weight.
      const at::Tensor dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
      at::Tensor b, c;
      if (dw || db) {
        std::tie(std::ignore, b, c) =
            at::convolution_backward(dy, x, weight, at::IntArrayRef{weight.size(0)}, {1, 1}, {1, 1},
                                     {1, 1}, false, {0, 0}, 1, {false, dw, db});
      }
      return {dx ? convolution3x3(dy, weight.flip({2, 3}).transpose(0, 1), {}) : at::Tensor(), b,
              c};
    }
    const at::Tensor dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    return {dx ? convolve(dy, weight, {}, true) : at::Tensor(),
            dw ? weight_gradient(x, dy, weight) : at::Tensor(),
            db ? dy.sum({0, 2, 3}) : at::Tensor()};
  }
};

/// Where this is faster: where tiles fit (then it takes a quarter of the multiplications) and are
/// enough to make up for the transform of the weight.
bool pays(const at::Tensor& x, const at::Tensor& weight) {
  constexpr int64_t kFewestTiles = 16, kFewestPixels = 8;  // the latter of a tile's 16
  const Grid grid = grid_of(x);
  return x.size(1) % kPanel == 0 && weight.size(0) % kPanel == 0 && grid.tiles >= kFewestTiles &&
         grid.images * grid.height * grid.width >= kFewestPixels * grid.tiles;
}

}  // namespace

at::Tensor convolution3x3(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto simple = [](const at::Tensor& t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat;
  };
  const bool ours = x.dim() == 4 && simple(x) && simple(weight) &&
                    weight.sizes() == at::IntArrayRef{weight.size(0), x.size(1), 3, 3} &&
                    (!bias.defined() || (simple(bias) && bias.numel() == weight.size(0))) &&
                    x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
                    !at::autocast::is_autocast_enabled(at::kCPU) && pays(x, weight);
  if (!ours) return at::conv2d(x, weight, bias, 1, 1);
  // A custom function takes no undefined tensor.
  const at::Tensor offsets = bias.defined() ? bias : at::zeros({weight.size(0)}, x.options());
  return Winograd::apply(x, weight, offsets);
}

}  // namespace genai
