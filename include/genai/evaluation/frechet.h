// The Frechet distance of two sets of features as if both were Gaussian (M. Heusel et al., "GANs
// trained by a two time-scale update rule", 2017, equation 6), with what a finite number of samples
// alone adds to it, and its standard error.
#pragma once
#include "genai/core/tensors.h"

namespace genai {

/// Mean [d] and unbiased covariance [d, d] in float64.
struct Moments {
  int64_t count = 0;
  Tensor mean, covariance;
};

/// Of features [n, d], computed in float64. Throws Error{data} unless all are finite and n > d: the
/// covariance would be singular, and the distance a property of n.
Moments moments(const Tensor& features);

/// |mean difference|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) in float64, by symmetric eigenvalues
/// and, for the last trace, singular values; rounding below 0 clamped.
double frechet_distance(const Moments& a, const Moments& b);

/// What the distance does, to first order, when one sample is given more weight and the others less
/// in proportion: the influence function, [n], of mean 0 exactly. Its standard deviation / sqrt(n)
/// is the standard error over samples, and for two models measured with the same draws the
/// influences may be subtracted in pairs. Near the floor the first order vanishes: there the
/// floor's standard deviation is the larger.
/// @param features   of the samples, [n, d]
Tensor frechet_influence(const Tensor& features, const Moments& samples, const Moments& reference);

/// The distance between two finite sets from one and the same distribution: it is never 0.
struct FrechetFloor {
  double mean = 0, standard_deviation = 0;
};

/// Of n samples against m reference images of the same distribution, to second order in the errors
/// of mean and covariance, from the moments up to the fourth of the reference features [., d]:
/// features are far from Gaussian. For a Gaussian it comes to c = 1/n + 1/m times
///   3/2 tr S + 1/2 sum_{i != j} l_i l_j / (l_i + l_j)                      (mean),
///   sqrt(5/2 sum l_i^2 + sum_{i != j} (l_i l_j / (l_i + l_j))^2)           (standard deviation),
/// l: eigenvalues of S.
FrechetFloor frechet_floor(const Tensor& reference, int64_t n, int64_t m);

}  // namespace genai
