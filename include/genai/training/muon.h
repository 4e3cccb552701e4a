// Muon's direction: the update of a hidden matrix with all its singular values brought near 1.
// K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
#pragma once
#include "genai/core/tensors.h"

namespace genai {

/// U V^T of each matrix U S V^T, roughly: five quintic Newton-Schulz steps on the matrix over its
/// Frobenius norm,
///   X <- a X + (b A + c A A) X  with  A = X X^T, (a, b, c) = (3.4445, -4.7750, 2.0315).
/// They take singular values of 0.0016 to 1 times the norm to 0.68 to 1.21, and smaller ones less
/// far. A matrix of zeros stays zero.
/// @param matrices  [B, R, C], each on its own
/// Throws std::logic_error for another number of dimensions.
Tensor orthogonalized(const Tensor& matrices);

/// The factor of an orthogonalized update with which AdamW's learning rate and weight decay fit:
/// its numbers are as large as AdamW's, 0.2 in the root mean square (J. Liu et al., "Muon is
/// scalable for LLM training", 2025, equation 4).
double muon_scale(int64_t rows, int64_t columns);

}  // namespace genai
