// Generative adversarial networks: a generator and a discriminator that learn from each other.
// I. Goodfellow et al., "Generative adversarial nets", 2014.
#pragma once
#include "genai/model/family.h"
#include "genai/nn/augment.h"
#include "genai/nn/gan_networks.h"

namespace genai {

/// What the two play for; D is the discriminator's score, x real, y fake.
enum class AdversarialLoss {
  non_saturating,  ///< Goodfellow et al. 2014, section 3
  hinge,           ///< J. Lim, J. Ye, "Geometric GAN", 2017
  least_squares,   ///< X. Mao et al., "Least squares GANs", 2017, equation 9
  wasserstein,     ///< M. Arjovsky et al., "Wasserstein GAN", 2017, equation 2
  relativistic,    ///< A. Jolicoeur-Martineau 2019; N. Huang et al., "R3GAN", 2024, equation 2
};

/// What holds the discriminator's slope.
enum class Penalty {
  none,
  r1,        ///< |grad D(x)|^2 on real images: L. Mescheder et al. 2018, equation 9
  r1_r2,     ///< and on fake ones: R3GAN, section 3.2
  gradient,  ///< (|grad D| - 1)^2 between the two: I. Gulrajani et al. (WGAN-GP) 2017, equation 3
};

/// How far the generator is from the picture that it was to make: the mean absolute or the mean
/// squared difference of pixels in -1..1. The best of all is the median or the mean.
enum class Difference { l1, l2 };
extern const EnumNames<Difference> kDifferenceNames;

struct GanConfig {
  int64_t latent = 64;
  GeneratorConfig generator;
  DiscriminatorConfig discriminator;
  AdversarialLoss loss = AdversarialLoss::relativistic;
  Penalty penalty = Penalty::r1_r2;
  double penalty_weight = 1;
  int64_t penalty_every = 1;
  int64_t critic_steps = 1;
  double discriminator_rate = 1;
  double label_smoothing = 0;
  double adversarial = 1;
  double reconstruction = 0;
  Difference difference = Difference::l1;
  AugmentConfig augment;
};

extern const EnumNames<AdversarialLoss> kLossNames;
extern const EnumNames<Penalty> kPenaltyNames;

const FieldTable& gan_fields();

/// Throws Error{usage} for settings that do not fit the data or each other.
/// @param told_grid  is a grid among the conditions?
void check_settings(const GanConfig& config, const DataInfo& info, bool told_grid);

/// The discriminator's loss, 0-d, of scores [B], or of patches [B, P].
/// @param smoothing  non_saturating: 1 minus the target of real images (T. Salimans et al. 2016,
///                   section 3.4)
Tensor discriminator_loss(AdversarialLoss loss, const Tensor& real, const Tensor& fake,
                          double smoothing = 0);

/// The generator's loss, 0-d. @param real  scores [B]; only relativistic asks for them
Tensor generator_loss(AdversarialLoss loss, const Tensor& fake, const Tensor& real);

/// Squared length of the gradient of each score [B], of patches their mean, by its image
/// [B, C, H, W]: [B], with a graph.
/// `scores` must have been computed from `images`, each from its own.
Tensor squared_gradient_norm(const Tensor& scores, const Tensor& images);

/// (R1 + R2) / 2 of scores [2 B] of images [2 B, ...], real ones first; or R1 / 2.
Tensor zero_centred_penalty(const Tensor& scores, const Tensor& images, bool fake_too);

/// Mean over the batch of (|slope| - 1)^2 at real + mix (fake - real), mix [B] in [0, 1).
Tensor gradient_penalty(const std::function<Tensor(const Tensor&)>& score, const Tensor& real,
                        const Tensor& fake, const Tensor& mix);

/// What each row of `fake` adds to the squared energy distance of two sets of points [N, D]:
/// 2 E|x - y| - E|x - x'| - E|y - y'| (G. Szekely, M. Rizzo 2013, equation 2), [N]; the mean is an
/// unbiased estimate of it, 0 for equal distributions.
Tensor energy_terms(const Tensor& real, const Tensor& fake);

// ---- Health (docs/gan.md)

/// Mean distance of an image [B, ...] to its nearest neighbour in the batch, of fake images by real
/// ones, 0-d: small also where each class, or one of a few modes, has become one image. 1 where
/// there is no neighbour.
Tensor diversity(const Tensor& real, const Tensor& fake);

/// What such a share says of a trained generator; nothing of one that is not finite.
std::string health_of_play(double share);

/// The first rule that the means since the last line of the log break ("diversity",
/// "score_spread", "d_loss"), and what to change; empty: none, or too early to tell.
std::string warning_of_play(const GanConfig& config, const Progress& progress, const Json& means);

Family gan_family();

}  // namespace genai
