#include "genai/nn/spectral_norm.h"

#include <torch/torch.h>

namespace genai {
namespace {

at::Tensor unit(const at::Tensor& x) {
  return x / (x.norm() + 1e-12);
}

/// m x, in full precision also where matrix products are in bfloat16.
at::Tensor times(const at::Tensor& m, const at::Tensor& x) {
  return (m * x).sum(1);
}

}  // namespace

SpectralNormImpl::SpectralNormImpl(const at::Tensor& weight) {
  at::Tensor u = at::empty({weight.size(0)}, weight.options().requires_grad(false));
  u_ = register_buffer("u", unit(torch::nn::init::normal_(u)));
}

at::Tensor SpectralNormImpl::forward(const at::Tensor& weight) {
  const at::Tensor rows = weight.flatten(1);
  at::Tensor u, v;
  {
    const at::NoGradGuard constants;
    v = unit(times(rows.t(), u_));
    if (is_training()) u_.copy_(unit(times(rows, v)));
    u = u_.clone();  // the graph outlives the next step
  }
  return weight / (u * times(rows, v)).sum();
}

}  // namespace genai
