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
  // All factors b A + c A A + a are polynomials of the first A, so they commute: their product
  // grows beside A, which is small where x is wide, and x is multiplied once, at the end.
  Tensor a = at::bmm(x, x.mT()), product;
  for (int step = 0; step < kSteps; ++step) {
    Tensor factor = at::baddbmm(a, a, a, kB, kC);
    factor.diagonal(0, 1, 2).add_(kA);
    product = step == 0 ? factor : at::bmm(factor, product);
    if (step + 1 < kSteps) a = at::bmm(at::bmm(factor, a), factor);
  }
  x = at::bmm(product, x);
  return tall ? x.mT() : x;
}

double muon_scale(int64_t rows, int64_t columns) {
  return kUpdateSize * std::sqrt(static_cast<double>(std::max(rows, columns)));
}

}  // namespace genai
