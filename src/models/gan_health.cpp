#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "genai/base/text.h"
#include "genai/models/gan.h"

namespace genai {
namespace {

// Rules of the warnings; also in docs/gan.md.

/// Judged after this share of the run, or so many steps.
constexpr double kJudgedFrom = 0.1;
constexpr int64_t kJudgedFromStep = 1000;
/// How far a fake image is from its nearest neighbour, by how far a real one is, below which it is
/// collapse.
constexpr double kCollapse = 0.4;
/// The discriminator's loss, without penalty, below which it has won (not for wasserstein, whose
/// loss has no end).
constexpr double kWon = 0.01;
/// Standard deviation of all its scores below which it is dead: it tells nothing from nothing.
constexpr double kFlat = 1e-3;

}  // namespace

Tensor diversity(const Tensor& real, const Tensor& fake) {
  if (real.size(0) < 2) return at::ones({}, real.options());
  const auto nearest = [](const Tensor& images) {
    const Tensor distances = at::cdist(images, images);
    return distances.fill_diagonal_(std::numeric_limits<double>::infinity()).amin(1).mean();
  };
  return nearest(fake.detach().to(at::kFloat).flatten(1)) /
         nearest(real.flatten(1)).clamp_min(1e-12);
}

std::string health_of_play(double share) {
  if (!std::isfinite(share)) return "";  // test images that are all alike
  return concat("samples lie ", number_text(100 * share, 3),
                " % as far from their nearest neighbours as test images",
                share < kCollapse ? "; the generator has collapsed (see docs/gan.md)" : "");
}

std::string warning_of_play(const GanConfig& config, const Progress& progress, const Json& means) {
  const int64_t planned =
      progress.steps > 0 ? static_cast<int64_t>(kJudgedFrom * static_cast<double>(progress.steps))
                         : kJudgedFromStep;
  if (progress.step < std::min(planned, kJudgedFromStep)) return "";
  const double share = means.at("diversity");
  if (share < kCollapse) {
    return concat(
        "the generator collapses: its images lie ", number_text(100 * share, 3),
        " % as far from their nearest neighbours as real ones. Try model.penalty r1-r2 with ",
        "a larger model.penalty_weight (now ", enum_name(kPenaltyNames, config.penalty), ", ",
        config.penalty_weight, "), model.loss relativistic, or a lower training.learning_rate");
  }
  if (means.at("score_spread") < kFlat) {
    return concat("the discriminator is dead: its scores of all images are alike. Try a smaller ",
                  "model.penalty_weight (now ", config.penalty_weight,
                  "), a higher model.discriminator_rate (now ", config.discriminator_rate,
                  ") or a wider model.discriminator.width (now ", config.discriminator.width, ")");
  }
  if (config.loss != AdversarialLoss::wasserstein && means.at("d_loss") < kWon) {
    return concat(
        "the discriminator has won: its loss is ", number_text(means.at("d_loss"), 2),
        " and the generator finds no way to follow. Try model.penalty r1-r2 with a larger ",
        "model.penalty_weight (now ", enum_name(kPenaltyNames, config.penalty), ", ",
        config.penalty_weight, "), fewer model.critic_steps (now ", config.critic_steps,
        ") or a lower model.discriminator_rate (now ", config.discriminator_rate, ")");
  }
  return "";
}

}  // namespace genai
