#include <torch/torch.h>

#include "genai/models/gan.h"

namespace genai {
namespace {

/// -log sigmoid(x)
Tensor surprise(const Tensor& x) {
  return at::softplus(-x);
}

}  // namespace

Tensor discriminator_loss(AdversarialLoss loss, const Tensor& real, const Tensor& fake,
                          double smoothing) {
  switch (loss) {
    case AdversarialLoss::non_saturating:
      return (surprise(real) * (1 - smoothing) + surprise(-real) * smoothing + surprise(-fake))
          .mean();
    case AdversarialLoss::hinge:
      return ((1 - real).relu() + (1 + fake).relu()).mean();
    case AdversarialLoss::least_squares:
      return 0.5 * ((real - 1).square() + fake.square()).mean();
    case AdversarialLoss::wasserstein:
      return (fake - real).mean();
    case AdversarialLoss::relativistic:
      return surprise(real - fake).mean();
  }
  return {};
}

Tensor generator_loss(AdversarialLoss loss, const Tensor& fake, const Tensor& real) {
  switch (loss) {
    case AdversarialLoss::non_saturating:
      return surprise(fake).mean();
    case AdversarialLoss::least_squares:
      return 0.5 * (fake - 1).square().mean();
    case AdversarialLoss::hinge:
    case AdversarialLoss::wasserstein:
      return -fake.mean();
    case AdversarialLoss::relativistic:
      return surprise(fake - real).mean();
  }
  return {};
}

Tensor squared_gradient_norm(const Tensor& scores, const Tensor& images) {
  // Each score is of its own image alone, so the gradient of their sum holds them all.
  const Tensor sum = (scores.dim() > 1 ? scores.mean(1) : scores).sum();
  const Tensor slopes = torch::autograd::grad({sum}, {images}, {},
                                              /*retain_graph=*/true, /*create_graph=*/true)[0];
  return (slopes.scalar_type() == at::kBFloat16 ? slopes.to(at::kFloat) : slopes)
      .square()
      .flatten(1)
      .sum(1);
}

Tensor zero_centred_penalty(const Tensor& scores, const Tensor& images, bool fake_too) {
  const int64_t half = scores.size(0) / 2;
  const Tensor slopes =
      fake_too ? squared_gradient_norm(scores, images)
               : squared_gradient_norm(scores.narrow(0, 0, half), images).narrow(0, 0, half);
  return 0.5 * slopes.sum() / static_cast<double>(half);
}

Tensor gradient_penalty(const std::function<Tensor(const Tensor&)>& score, const Tensor& real,
                        const Tensor& fake, const Tensor& mix) {
  const Tensor between = (real + mix.view({-1, 1, 1, 1}) * (fake - real)).detach().requires_grad_();
  // The root's slope is infinite at 0.
  return ((squared_gradient_norm(score(between), between) + 1e-12).sqrt() - 1).square().mean();
}

Tensor energy_terms(const Tensor& real, const Tensor& fake) {
  const int64_t n = real.size(0);
  const double others = static_cast<double>(std::max<int64_t>(1, n - 1));
  return 2 * at::cdist(fake, real).mean(1) - at::cdist(real, real).sum(1) / others -
         at::cdist(fake, fake).sum(1) / others;
}

}  // namespace genai
