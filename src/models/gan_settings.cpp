#include "genai/models/gan.h"

namespace genai {

const EnumNames<AdversarialLoss> kLossNames = {{AdversarialLoss::non_saturating, "non-saturating"},
                                               {AdversarialLoss::hinge, "hinge"},
                                               {AdversarialLoss::least_squares, "least-squares"},
                                               {AdversarialLoss::wasserstein, "wasserstein"},
                                               {AdversarialLoss::relativistic, "relativistic"}};
const EnumNames<Penalty> kPenaltyNames = {{Penalty::none, "none"},
                                          {Penalty::r1, "r1"},
                                          {Penalty::r1_r2, "r1-r2"},
                                          {Penalty::gradient, "gradient"}};
const EnumNames<Difference> kDifferenceNames = {{Difference::l1, "l1"}, {Difference::l2, "l2"}};

namespace {

const FieldTable& augment_fields() {
  using A = AugmentConfig;
  static const FieldTable table =
      describe<A>()
          .field("translation", &A::translation,
                 "the discriminator sees images moved by up to this share of a side (0.125)",
                 between(0, 0.5))
          .field("cutout", &A::cutout, "and a square of this share of a side hidden (0.5)",
                 between(0, 1))
          .field("color", &A::color, "and brightness, saturation, contrast changed so much (1)",
                 between(0, 1))
          .table();
  return table;
}

}  // namespace

const FieldTable& gan_fields() {
  using G = GanConfig;
  static const FieldTable table =
      describe<G>()
          .field("latent", &G::latent, "dimensions of the latent space", between(1, 4096))
          .nest("generator", &G::generator, generator_fields())
          .nest("discriminator", &G::discriminator, discriminator_fields())
          .field("loss", &G::loss, "what generator and discriminator play for", kLossNames)
          .field("penalty", &G::penalty,
                 "on the discriminator's slope: at real images (r1), at fake ones too (r1-r2), or "
                 "to be 1 between them (gradient)",
                 kPenaltyNames)
          .field("penalty_weight", &G::penalty_weight, "gamma of r1 and r2, lambda of gradient",
                 at_least(0))
          .field("penalty_every", &G::penalty_every,
                 "steps between penalties, each so much heavier", between(1, 1024))
          .field("critic_steps", &G::critic_steps, "updates of the discriminator in a step",
                 between(1, 1000))
          .field("discriminator_rate", &G::discriminator_rate,
                 "its learning rate as a multiple of training.learning_rate", above(0))
          .field("label_smoothing", &G::label_smoothing,
                 "non-saturating: the discriminator's target for real images is 1 minus this",
                 from_below(0, 1))
          .field("adversarial", &G::adversarial,
                 "weight of the play in the generator's loss; 0: no discriminator, the "
                 "reconstruction alone",
                 at_least(0))
          .field("reconstruction", &G::reconstruction,
                 "weight of the difference from the image that the grid belongs to (pix2pix, "
                 "equation 4)",
                 at_least(0))
          .field("difference", &G::difference,
                 "of pixels: absolute (l1), which is sharp and leaves out what is unsure, or "
                 "squared (l2), which blurs it",
                 kDifferenceNames)
          .nest("augment", &G::augment, augment_fields())
          .table();
  return table;
}

void check_settings(const GanConfig& config, const DataInfo& info, bool told_grid) {
  const bool from_grid = config.generator.kind == GeneratorKind::unet;
  if (!told_grid && (from_grid || config.reconstruction > 0)) {
    fail(ErrorKind::usage, from_grid ? "model.generator.kind: unet" : "model.reconstruction",
         " is of models that are told a grid; expected model.condition sketch, grey, low, masked, ",
         "pair or past");
  }
  if (config.adversarial == 0 && config.reconstruction == 0) {
    fail(ErrorKind::usage,
         "model.adversarial: 0 and no model.reconstruction leave nothing to learn");
  }
  if (info.binarize != Binarize::none) {
    fail(ErrorKind::usage, "data.binarize: a GAN makes grey or coloured pixels; expected none, ",
         "found ", enum_name(kBinarizeNames, info.binarize));
  }
  const bool plain = config.generator.kind == GeneratorKind::dcgan;
  check_levels("generator", config.generator.levels, plain ? 1 : config.generator.patch,
               info.height, info.width);
  const bool strided = config.discriminator.kind == DiscriminatorKind::dcgan;
  check_levels("discriminator", config.discriminator.levels,
               strided ? 1 : config.discriminator.patch, info.height, info.width);
  if (plain && config.generator.levels < 1) {
    fail(ErrorKind::usage, "model.generator.levels: dcgan needs at least 1, found 0");
  }
  if (!plain && config.generator.norm != Normalization::none) {
    fail(ErrorKind::usage, "model.generator.norm: only dcgan has one; expected none, found batch");
  }
  if (!strided && config.discriminator.norm != Normalization::none) {
    fail(ErrorKind::usage,
         "model.discriminator.norm: only dcgan has one; expected none, found batch");
  }
  const std::string penalty = enum_name(kPenaltyNames, config.penalty);
  const std::string loss = enum_name(kLossNames, config.loss);
  const bool wasserstein = config.loss == AdversarialLoss::wasserstein;
  const bool sloped = config.penalty == Penalty::gradient && config.penalty_weight > 0;
  const bool spectral = config.penalty == Penalty::none && config.discriminator.spectral;
  if (wasserstein && !sloped && !spectral) {
    fail(ErrorKind::usage, "model.penalty: the loss wasserstein needs slopes of 1; expected ",
         "gradient with a penalty_weight above 0 (or none with model.discriminator.spectral), "
         "found ",
         penalty, " with ", config.penalty_weight);
  }
  if (!wasserstein && config.penalty == Penalty::gradient) {
    fail(ErrorKind::usage, "model.penalty: gradient is for the loss wasserstein; expected none, ",
         "r1 or r1-r2 with ", loss, ", found gradient");
  }
  if (config.penalty != Penalty::none && config.discriminator.norm == Normalization::batch) {
    fail(ErrorKind::usage, "model.penalty: ", penalty, " is of one image's slope, which batch ",
         "normalization mixes with others'; expected model.discriminator.norm none, or "
         "model.penalty none");
  }
  if (config.label_smoothing > 0 && config.loss != AdversarialLoss::non_saturating) {
    fail(ErrorKind::usage, "model.label_smoothing: only the loss non-saturating has targets; ",
         "expected 0 with ", loss, ", found ", config.label_smoothing);
  }
}

}  // namespace genai
