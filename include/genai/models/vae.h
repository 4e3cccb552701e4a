// Variational autoencoder: D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", 2014.
//
//   log p(x) >= E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z))                 the ELBO, equation 3
//
// q(z|x) = N(mean(x), diag exp(log_variance(x))), p(z) = N(0, I). All values are nats per image.
//
// With latent_levels L, z is a code: q(z|x) is one point of a grid of L values in each dimension,
// where a bounded encoder is rounded to (F. Mentzer et al., "Finite scalar quantization: VQ-VAE
// made simple", 2024, equation 1), p(z) is uniform over all of them, and the KL term is latent log
// L whatever the encoder does. Another model learns which codes go together (--codec).
#pragma once
#include "genai/model/family.h"
#include "genai/nn/image_networks.h"

namespace genai {

/// p(x|z) of one pixel.
enum class PixelModel {
  bernoulli,  ///< of 0/1 pixels (or, not a likelihood, cross-entropy with grey ones)
  gaussian,   ///< of (255 x + u) / 256, u ~ U[0, 1): a bound of the 8-bit image's log-probability
             ///< (L. Theis et al., "A note on the evaluation of generative models", 2016, sec. 3.1)
};

struct VaeConfig {
  int64_t latent = 20;
  bool latent_grid = false;
  int64_t latent_levels = 0;
  NetworkConfig encoder, decoder;
  PixelModel pixels = PixelModel::bernoulli;
  double pixel_std = 0;
  double beta = 1;
  int64_t kl_warmup = 0;
};

/// KL(N(mean, exp(log_variance)) || N(0, I)) of each row: [B, latent] -> [B] (appendix B).
Tensor kl_to_standard_normal(const Tensor& mean, const Tensor& log_variance);

/// Sum over pixels of log Bernoulli(x; sigmoid(logits)): [..., C, H, W] -> [...].
Tensor bernoulli_log_likelihood(const Tensor& logits, const Tensor& x);

/// Sum over the last dimension of log N(x; mean, exp(log_std)^2).
Tensor gaussian_log_likelihood(const Tensor& x, const Tensor& mean, const Tensor& log_std);

/// z [B, n] rounded to `levels` values, evenly spaced from -1 to 1, after tanh has bounded it; its
/// gradient is that of tanh (Y. Bengio et al., "Estimating or propagating gradients through
/// stochastic neurons", 2013: straight through).
Tensor quantize_to_levels(const Tensor& z, int64_t levels);

Family vae_family();

}  // namespace genai
