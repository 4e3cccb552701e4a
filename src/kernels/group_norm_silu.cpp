#include "genai/kernels/group_norm_silu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <stdexcept>

#include "genai/base/vectorized.h"
#include "genai/kernels/functions.h"

namespace genai {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kGroupEpsilon = 1e-5f;

/// Sizes of one image in channels-last order: `pixels` rows of `channels`.
struct GroupShape {
  int64_t pixels, channels, groups;
};

/// sum over pixels of x and x * y, per channel.
GENAI_VECTORIZED
void channel_sums(const float* x, const float* y, int64_t pixels, int64_t channels, float* sum,
                  float* product) {
  for (int64_t c = 0; c < channels; ++c) sum[c] = product[c] = 0;
  for (int64_t p = 0; p < pixels; ++p) {
    const float* a = x + p * channels;
    const float* b = y + p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      sum[c] += a[c];
      product[c] += a[c] * b[c];
    }
  }
}

GENAI_VECTORIZED
void squared_deviations(const float* x, const float* mean, int64_t pixels, int64_t channels,
                        float* sum) {
  for (int64_t c = 0; c < channels; ++c) sum[c] = 0;
  for (int64_t p = 0; p < pixels; ++p) {
    const float* a = x + p * channels;
    for (int64_t c = 0; c < channels; ++c) sum[c] += (a[c] - mean[c]) * (a[c] - mean[c]);
  }
}

/// y = silu(x * a + b), with a and b per channel.
GENAI_VECTORIZED
void affine_silu(const float* x, const float* a, const float* b, int64_t pixels, int64_t channels,
                 float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    const float* in = x + p * channels;
    float* out = y + p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float u = in[c] * a[c] + b[c];
      out[c] = u * sigmoid(u);
    }
  }
}

/// du = dy silu'(u), u = x * a + b; n = (x - mean) * rstd.
GENAI_VECTORIZED
void silu_gradient(const float* x, const float* dy, const float* a, const float* b,
                   const float* mean, const float* rstd, int64_t pixels, int64_t channels,
                   float* du, float* n) {
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t row = p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float u = x[row + c] * a[c] + b[c], s = sigmoid(u);
      du[row + c] = dy[row + c] * s * (1.f + u * (1.f - s));
      n[row + c] = (x[row + c] - mean[c]) * rstd[c];
    }
  }
}

/// dx = du * a + n * b + c, per channel.
GENAI_VECTORIZED
void combine(const float* du, const float* n, const float* a, const float* b, const float* constant,
             int64_t pixels, int64_t channels, float* dx) {
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t row = p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      dx[row + c] = du[row + c] * a[c] + n[row + c] * b[c] + constant[c];
    }
  }
}

/// Sums over the channels of each group, given back to each channel.
void spread_over_groups(float* values, const GroupShape& shape) {
  const int64_t width = shape.channels / shape.groups;
  for (int64_t g = 0; g < shape.groups; ++g) {
    double sum = 0;
    for (int64_t c = g * width; c < (g + 1) * width; ++c) sum += values[c];
    for (int64_t c = g * width; c < (g + 1) * width; ++c) values[c] = static_cast<float>(sum);
  }
}

/// Mean and 1 / standard deviation of each channel's group.
void statistics(const float* x, const GroupShape& shape, float* mean, float* rstd) {
  const int64_t channels = shape.channels / shape.groups;
  const auto count = static_cast<float>(shape.pixels * channels);
  channel_sums(x, x, shape.pixels, shape.channels, mean, rstd);  // rstd: not used yet
  spread_over_groups(mean, shape);
  for (int64_t c = 0; c < shape.channels; ++c) mean[c] /= count;
  squared_deviations(x, mean, shape.pixels, shape.channels, rstd);
  spread_over_groups(rstd, shape);
  for (int64_t c = 0; c < shape.channels; ++c) {
    rstd[c] = 1.f / std::sqrt(rstd[c] / count + kGroupEpsilon);
  }
}

struct GroupNormSilu : torch::autograd::Function<GroupNormSilu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& scale,
                            const at::Tensor& shift, int64_t groups) {
    const int64_t images = x.size(0), channels = x.size(1);
    const GroupShape shape{.pixels = x.size(2) * x.size(3), .channels = channels, .groups = groups};
    const at::Tensor y = at::empty_like(x);
    const at::Tensor mean = at::empty({images, channels}, x.options());
    const at::Tensor rstd = at::empty_like(mean);
    const float* in = x.const_data_ptr<float>();
    float* out = y.mutable_data_ptr<float>();
    const float *s = scale.const_data_ptr<float>(), *t = shift.const_data_ptr<float>();
    float *m = mean.mutable_data_ptr<float>(), *r = rstd.mutable_data_ptr<float>();
    const int64_t size = shape.pixels * channels;
    at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> a(static_cast<size_t>(channels)), b(a);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i * channels;
        statistics(in + i * size, shape, m + row, r + row);
        for (int64_t c = 0; c < channels; ++c) {
          a[static_cast<size_t>(c)] = r[row + c] * s[row + c];
          b[static_cast<size_t>(c)] = t[row + c] - m[row + c] * r[row + c] * s[row + c];
        }
        affine_silu(in + i * size, a.data(), b.data(), shape.pixels, channels, out + i * size);
      }
    });
    context->save_for_backward({x, scale, shift, mean, rstd});
    context->saved_data["groups"] = groups;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &shift = saved[2], &mean = saved[3],
                     &rstd = saved[4];
    const at::Tensor dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const int64_t images = x.size(0), channels = x.size(1);
    const GroupShape shape{.pixels = x.size(2) * x.size(3),
                           .channels = channels,
                           .groups = context->saved_data["groups"].toInt()};
    const at::Tensor dx = at::empty_like(x);
    const at::Tensor dscale = at::empty_like(mean), dshift = at::empty_like(mean);
    const float *in = x.const_data_ptr<float>(), *dout = dy.const_data_ptr<float>();
    const float *s = scale.const_data_ptr<float>(), *t = shift.const_data_ptr<float>();
    const float *m = mean.const_data_ptr<float>(), *r = rstd.const_data_ptr<float>();
    float *din = dx.mutable_data_ptr<float>(), *ds = dscale.mutable_data_ptr<float>(),
          *dt = dshift.mutable_data_ptr<float>();
    const int64_t size = shape.pixels * channels;
    const int64_t group = channels / shape.groups;
    const auto count = static_cast<float>(shape.pixels * group);
    at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
      const auto width = static_cast<size_t>(channels);
      std::vector<float> a(width), b(width), first(width), second(width);
      std::vector<float> du(static_cast<size_t>(size)), n(static_cast<size_t>(size));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i * channels;
        for (size_t c = 0; c < width; ++c) {
          const auto at = row + static_cast<int64_t>(c);
          a[c] = r[at] * s[at];
          b[c] = t[at] - m[at] * r[at] * s[at];
        }
        silu_gradient(in + i * size, dout + i * size, a.data(), b.data(), m + row, r + row,
                      shape.pixels, channels, du.data(), n.data());
        channel_sums(du.data(), n.data(), shape.pixels, channels, dt + row, ds + row);
        // dx = rstd (dn - mean(dn) - n mean(dn n)), dn = du scale, means over the group.
        for (size_t c = 0; c < width; ++c) {
          const auto at = row + static_cast<int64_t>(c);
          first[c] = s[at] * dt[at];
          second[c] = s[at] * ds[at];
        }
        spread_over_groups(first.data(), shape);
        spread_over_groups(second.data(), shape);
        for (size_t c = 0; c < width; ++c) {
          const float rate = -r[row + static_cast<int64_t>(c)] / count;
          first[c] *= rate;
          second[c] *= rate;
        }
        combine(du.data(), n.data(), a.data(), second.data(), first.data(), shape.pixels, channels,
                din + i * size);
      }
    });
    return {dx, dscale, dshift, at::Tensor()};
  }
};

at::Tensor by_libtorch(const at::Tensor& x, int64_t groups, const at::Tensor& scale,
                       const at::Tensor& shift) {
  const at::Tensor y = at::group_norm(x, groups, {}, {}, kGroupEpsilon);
  const auto per_image = [&](const at::Tensor& v) {
    return v.to(y.dtype()).unsqueeze(-1).unsqueeze(-1);
  };
  return at::silu(at::addcmul(per_image(shift), y, per_image(scale)));
}

}  // namespace

at::Tensor group_norm_silu(const at::Tensor& x, int64_t groups, const at::Tensor& scale,
                           const at::Tensor& shift) {
  if (groups < 1 || x.size(1) % groups) {
    throw std::logic_error("groups that do not divide the channels");
  }
  const bool ours = x.is_cpu() && x.scalar_type() == at::kFloat && x.size(1) > 1 &&
                    x.is_contiguous(at::MemoryFormat::ChannelsLast);
  if (!ours) return by_libtorch(x, groups, scale, shift);
  const auto whole = [&](const at::Tensor& v) {
    return v.to(at::kFloat).expand({x.size(0), x.size(1)}).contiguous();
  };
  return GroupNormSilu::apply(x, whole(scale), whole(shift), groups);
}

}  // namespace genai
