#include "genai/evaluation/frechet.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "genai/base/error.h"
#include "genai/core/draw.h"
#include "genai/evaluation/rows.h"

namespace genai {
namespace {

/// Pairs of items of which the floor's standard deviation is estimated; all when there are fewer.
constexpr int64_t kPairs = 1 << 18;

/// Below this share of the largest, an eigenvalue or singular value of a d x d matrix is rounding.
double rounding(int64_t d) {
  return 4 * static_cast<double>(d) * std::numeric_limits<double>::epsilon();
}

Tensor square_root(const Tensor& symmetric) {
  const auto [values, vectors] = at::linalg_eigh(symmetric);
  return (vectors * values.clamp_min(0).sqrt()).mm(vectors.t());
}

void check_same_size(const Moments& a, const Moments& b) {
  if (a.mean.size(0) == b.mean.size(0)) return;
  fail(ErrorKind::data, "moments of ", a.mean.size(0), " and of ", b.mean.size(0),
       " features cannot be compared; take both from one and the same extractor");
}

/// The covariance of the asymptotic distance, as a kernel: to second order the distance between two
/// finite sets of one distribution is |e|^2 + 1/2 sum_ij E_ij^2 / (l_i + l_j), e and E: differences
/// of the means and covariances in the eigenbasis; that is the squared length of the difference
/// between the two sets' means of phi(u) = (u, (u_i u_j - S_ij) / sqrt(2 (l_i + l_j))). This is
/// phi(u) . phi(v), which needs no space of d^2 dimensions.
/// @param u, v   centred items in the eigenbasis, [., d]
/// @param l      eigenvalues [d], all > 0
Tensor error_kernel(const Tensor& u, const Tensor& v, const Tensor& l) {
  const Tensor inverse = (l.unsqueeze(0) + l.unsqueeze(1)).reciprocal();
  const Tensor uv = u * v;
  return uv.sum(1) + (uv.mm(inverse) * uv).sum(1) / 2 -
         (u.square().sum(1) + v.square().sum(1)) / 4 + l.sum() / 4;
}

}  // namespace

Moments moments(const Tensor& features) {
  // d is unknown before the check, so that n > d is asked for after it.
  const Tensor x = double_rows(features, "features", 2);
  const int64_t n = x.size(0), d = x.size(1);
  if (n <= d) {
    fail(ErrorKind::data, "features: expected more items than features, found ", n, " items of ", d,
         " features: their covariance is singular and the Frechet distance would tell the number "
         "of items; measure at least ",
         d + 1, " items, better ", 10 * d);
  }
  const Tensor mean = x.mean(0);
  const Tensor centred = x - mean;
  return {
      .count = n, .mean = mean, .covariance = centred.t().mm(centred) / static_cast<double>(n - 1)};
}

double frechet_distance(const Moments& a, const Moments& b) {
  check_same_size(a, b);
  // tr (A^1/2 B A^1/2)^1/2 is the sum of the singular values of A^1/2 B^1/2. They carry an error of
  // 1e-16 of the largest; the roots of the product's eigenvalues would carry 1e-8 in every
  // direction without variance, and features have such (units that never fire).
  const Tensor fidelity =
      at::linalg_svdvals(square_root(a.covariance).mm(square_root(b.covariance)));
  const Tensor distance = (a.mean - b.mean).square().sum() + a.covariance.trace() +
                          b.covariance.trace() - 2 * fidelity.sum();
  return std::max(0.0, distance.item<double>());
}

Tensor frechet_influence(const Tensor& features, const Moments& samples, const Moments& reference) {
  check_same_size(samples, reference);
  const Tensor x = double_rows(features, "features", 2) - samples.mean;  // [n, d]
  if (x.size(0) != samples.count) {
    fail(ErrorKind::data, "the influence of ", x.size(0), " items on moments of ", samples.count,
         " others; give the moments of these items");
  }
  // Derivative of the distance by the samples' covariance S: I - T, with R the reference's and
  // T = R^1/2 (R^1/2 S R^1/2)^-1/2 R^1/2 the map that carries one Gaussian to the other.
  const Tensor root = square_root(reference.covariance);
  const auto [vectors, values, unused] =
      at::linalg_svd(root.mm(square_root(samples.covariance)), /*full_matrices=*/false);
  const Tensor keep = values > values.max() * rounding(values.size(0));
  const Tensor inverse = at::where(keep, values.reciprocal(), 0);
  const Tensor half = root.mm(vectors);
  const Tensor slope = at::eye(values.size(0), x.options()) - (half * inverse).mm(half.t());
  // n / (n - 1): the covariance is the unbiased one; with it the mean is exactly 0.
  const double n = static_cast<double>(x.size(0));
  return 2 * x.mv(samples.mean - reference.mean) + (x.mm(slope) * x).sum(1) * (n / (n - 1)) -
         (slope * samples.covariance).sum();
}

FrechetFloor frechet_floor(const Tensor& reference, int64_t n, int64_t m) {
  if (n < 1 || m < 1) {
    fail(ErrorKind::data, "the Frechet distance's floor needs sets that are not empty, found ", n,
         " samples and ", m, " reference images");
  }
  const Moments all = moments(reference);
  auto [l, vectors] = at::linalg_eigh(all.covariance);
  // Directions without variance add nothing and must not divide.
  const Tensor keep = (l > l.max() * rounding(l.size(0))).nonzero().squeeze(1);
  if (keep.numel() == 0) return {};
  l = l.index_select(0, keep);
  Tensor u =
      (reference.detach().to(at::kCPU, at::kDouble) - all.mean).mm(vectors.index_select(1, keep));
  const double c = 1 / static_cast<double>(n) + 1 / static_cast<double>(m);
  const double mean = error_kernel(u, u, l).mean().item<double>();
  // The variance of |phi|^2 under its normal limit is 2 tr cov(phi)^2, which is 2 E (phi . phi')^2
  // of independent items. In a random order neighbours are independent, also where images come
  // sorted by class.
  const auto order = random_permutation(0, "frechet-floor", u.size(0));
  u = u.index_select(0, at::tensor(order));
  const int64_t rounds = std::clamp<int64_t>(kPairs / u.size(0), 1, u.size(0) - 1);
  double square = 0;
  for (int64_t shift = 1; shift <= rounds; ++shift) {
    square += error_kernel(u, u.roll(shift, 0), l).square().mean().item<double>();
  }
  return {.mean = c * mean,
          .standard_deviation = c * std::sqrt(2 * square / static_cast<double>(rounds))};
}

}  // namespace genai
