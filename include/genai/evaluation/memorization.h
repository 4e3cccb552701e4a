// Are samples copies of training images? No one measure tells alone (G. Stein et al., "Exposing
// flaws of generative model evaluation metrics", 2023, section 5).
#pragma once
#include "genai/core/tensors.h"

namespace genai {

struct Neighbours {
  Tensor distance;  ///< [n, k] Euclidean, float64, nearest first
  Tensor index;     ///< [n, k] int64, row in `among`
};

/// The k nearest rows of `among` [m, d] to each row of `queries` [n, d]; any number type. The
/// search is by float32 products in blocks, the distances of all that their rounding leaves
/// possible are recomputed in float64: the result is exact, copies have distance 0, and of equally
/// near rows the first counts.
/// @param itself   row i of queries is row itself[i] of among and does not count; undefined: none
/// Throws Error{data} when `among` has too few rows or a number is not finite.
Neighbours nearest_neighbours(const Tensor& queries, const Tensor& among, int64_t k,
                              const Tensor& itself = {});

/// d(nearest) / d(second nearest), [n]; 1 where both are 0. Below 1/3 counts as a copy (N. Carlini
/// et al., "Extracting training data from diffusion models", 2023; X. Gu et al., "On memorization
/// in diffusion models", 2023, section 2).
/// @param neighbours   of samples among training images, k >= 2
Tensor nearest_ratio(const Neighbours& neighbours);

/// 1 where a sample is authentic, else 0, [n]: farther from its nearest training image than that
/// image is from its own nearest (A. Alaa et al., "How faithful is your synthetic data?", 2022,
/// section 3.3).
/// @param neighbours   of samples among `training`, k >= 1
Tensor authentic(const Neighbours& neighbours, const Tensor& training);

/// Cells of training points [n, d] by k-means (Lloyd's algorithm, k-means++ start from a fixed
/// seed, 50 rounds), float32: the centres [cells, d]. Empty cells keep their centre.
Tensor k_means(const Tensor& points, int64_t cells);

/// Row of the nearest centre, [n] int64.
Tensor nearest_centre(const Tensor& points, const Tensor& centres);

/// C_T (C. Meehan et al., "A non-parametric test to detect data-copying", 2020, section 4): the
/// Mann-Whitney z of distances to training, samples against held-out test images, in each cell,
/// averaged with the cells' shares of test images. 0: as test images; << 0: nearer to the training
/// images than test images are: copying; >> 0: underfit.
/// @param *_distance  to the nearest training image of the same cell, [.]
/// @param *_cell      [.] int64
/// Cells with fewer than 20 samples or no test images are left out (the paper's tau = 20 / n).
/// Throws Error{data} when no cell is left.
double data_copying_score(const Tensor& sample_distance, const Tensor& sample_cell,
                          const Tensor& test_distance, const Tensor& test_cell, int64_t cells);

}  // namespace genai
