// Diffusion models: a network that removes noise, and the processes it is trained for.
//
//   x = alpha x0 + sigma noise                                       (sampling/noise.h)
//   D(x; alpha, sigma) = c_skip x + c_out F(c_in x; alpha, sigma)    Karras et al. 2022, equation 7
//
// D predicts the image x0 (in -1..1) behind x; F is the U-Net. Predicting noise, image, v or a
// flow's velocity, and the preconditioning of Karras et al., differ in c_skip and c_out only.
#pragma once
#include "genai/model/family.h"
#include "genai/nn/unet.h"
#include "genai/sampling/noise.h"

namespace genai {

/// What F stands for.
enum class Prediction {
  epsilon,   ///< the noise: J. Ho et al. 2020, section 3.2
  x0,        ///< the image
  v,         ///< alpha noise - sigma x0: T. Salimans, J. Ho, "Progressive distillation", 2022
  edm,       ///< what the input lacks, at unit variance: Karras et al. 2022, table 1
  velocity,  ///< noise - x0: X. Liu et al. 2022, equation 1
};

/// What errors at different levels of noise count.
enum class LossWeight {
  uniform,  ///< equally, as errors of F ("L_simple" for epsilon)
  min_snr,  ///< min(SNR, gamma) as errors of D: T. Hang et al., "Min-SNR weighting", 2023
  edm,      ///< 1 / c_out^2 of edm, as errors of D: Karras et al. 2022, table 1
};

struct DiffusionConfig {
  ProcessConfig process;
  Prediction prediction = Prediction::v;
  LossWeight loss_weight = LossWeight::uniform;
  double snr_limit = 5;
  bool self_conditioning = false;
  double condition_dropout = 0.1;
  UNetConfig network;
};

/// D = skip x + out F(in x), and with x = alpha x0 + sigma noise the F that is right is
/// target_x0 x0 + target_noise noise. All [B], double.
struct Preconditioning {
  Tensor skip, out, in, target_x0, target_noise;
};
Preconditioning precondition(Prediction prediction, double data_std, const NoiseLevels& level);

/// What a squared error of F counts, [B].
Tensor loss_weights(const DiffusionConfig& config, const NoiseLevels& level);

Family diffusion_family();

}  // namespace genai
