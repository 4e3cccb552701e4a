#include "genai/training/muon.h"

#include <torch/torch.h>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr int kSteps = 5;
constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
/// Gradients of zero have no direction. Squares of numbers much smaller than this leave float32.
constexpr double kSmallestNorm = 1e-12;
constexpr double kUpdateSize = 0.2;

Tensor steps_of(Tensor x) {
  for (int step = 0; step < kSteps; ++step) {
    const Tensor a = at::bmm(x, x.mT());
    x = at::baddbmm(x, at::baddbmm(a, a, a, kB, kC), x, kA, 1);
  }
  return x;
}

/// The same with fewer products where x is much wider than high: all factors a + b A + c A A are
/// polynomials of the first A, so they commute; they are multiplied with each other, and x once.
Tensor steps_of_wide(const Tensor& x) {
  Tensor a = at::bmm(x, x.mT()), product;
  for (int step = 0; step < kSteps; ++step) {
    Tensor factor = at::baddbmm(a, a, a, kB, kC);
    factor.diagonal(0, 1, 2).add_(kA);
    product = step == 0 ? factor : at::bmm(factor, product);
    if (step + 1 < kSteps) a = at::bmm(at::bmm(factor, a), factor);
  }
  return at::bmm(product, x);
}

}  // namespace

Tensor orthogonalized(const Tensor& matrices) {
  if (matrices.dim() != 3) {
    throw std::logic_error(concat("expected [B, R, C], found ", matrices.dim(), " dimensions"));
  }
  // A is of the smaller side.
  const bool tall = matrices.size(1) > matrices.size(2);
  Tensor x = tall ? matrices.mT() : matrices;
  x = x / at::linalg_vector_norm(x, 2, at::IntArrayRef{1, 2}, /*keepdim=*/true)
              .clamp_min(kSmallestNorm);
  x = x.size(2) >= 2 * x.size(1) ? steps_of_wide(x) : steps_of(x);
  return tall ? x.mT() : x;
}

double muon_scale(int64_t rows, int64_t columns) {
  return kUpdateSize * std::sqrt(static_cast<double>(std::max(rows, columns)));
}

}  // namespace genai
