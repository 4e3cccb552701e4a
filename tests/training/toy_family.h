// A tiny GAN for tests in which every part of the training contract is at work at once: two
// parameter sets, three phases, repeated and lazy updates, penalties on gradients, fakes handed
// from phase to phase with their graph, a carry, a buffer, training state, scheduled values.
#pragma once
#include <torch/torch.h>

#include "genai/model/family.h"

namespace genai {

struct ToyConfig {
  bool stateful = true;  ///< carry, buffer and training state enter the losses
  bool precise = false;  ///< parameters and losses in float64
  double dropout = 0;    ///< in the critic
  int64_t critic_nan_from = -1, critic_nan_to = -1;        ///< steps whose critic loss is NaN
  int64_t generator_nan_from = -1, generator_nan_to = -1;  ///< steps whose generator loss is NaN
  int64_t validation_nan_from = -1;                        ///< number of the first NaN validation
};

inline const FieldTable& toy_fields() {
  static const FieldTable table =
      describe<ToyConfig>()
          .field("stateful", &ToyConfig::stateful, "carry, buffer and training state are used")
          .field("precise", &ToyConfig::precise, "float64")
          .field("dropout", &ToyConfig::dropout, "share of zeros in the critic", from_below(0, 1))
          .field("critic_nan_from", &ToyConfig::critic_nan_from, "first step")
          .field("critic_nan_to", &ToyConfig::critic_nan_to, "step after the last")
          .field("generator_nan_from", &ToyConfig::generator_nan_from, "first step")
          .field("generator_nan_to", &ToyConfig::generator_nan_to, "step after the last")
          .field("validation_nan_from", &ToyConfig::validation_nan_from, "first validation")
          .table();
  return table;
}

class ToyGan : public torch::nn::Module, public Model, public Generator {
 public:
  static constexpr int64_t kNoise = 3, kSide = 4, kCriticRepeat = 2, kSmoothEvery = 3;

  explicit ToyGan(const ToyConfig& config) : config_(config) {
    conv = register_module(
        "conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 4, 3).stride(2).padding(1)));
    score_layer = register_module("score", torch::nn::Linear(16, 1));
    hidden = register_module("hidden", torch::nn::Linear(kNoise, 6));
    pixels = register_module("pixels", torch::nn::Linear(6, kSide * kSide));
    gain = register_parameter("gain", at::ones({}));
    level = register_buffer("level", at::zeros({}));
    if (config.precise) to(at::kDouble);
    path_mean = at::zeros({}, level.options());
  }

  torch::nn::Module& module() override { return *this; }

  std::vector<ParameterSet> parameter_sets() override {
    return {
        {.name = "critic",
         .parameters = {"conv.weight", "conv.bias", "score.weight", "score.bias"},
         .ema = false},
        {.name = "generator",
         .parameters = {"gain", "hidden.weight", "hidden.bias", "pixels.weight", "pixels.bias"}}};
  }

  std::vector<Phase> phases() override {
    const auto noise = [](const Batch&, Draw& draw) {
      return Tensors{{"noise", draw.normal("noise", {kNoise})}};
    };
    return {
        {.name = "critic",
         .updates = "critic",
         .repeat = kCriticRepeat,
         .draw = noise,
         .loss =
             [this](LossInput& in) {
               Tensor& carry = in.carry["mean_score"];
               if (!carry.defined()) carry = at::zeros({}, level.options());
               Tensor& fakes = in.shared["fakes"];
               fakes = make(in.draws.at("noise"));
               const Tensor value =
                   critic_loss(in.batch.input, fakes, in.scheduled.at("r1_weight"), carry);
               return Loss{.value = value * in.scheduled.at("critic_factor"), .logs = {}};
             }},
        {.name = "generator",
         .updates = "generator",
         .loss =
             [this](LossInput& in) {
               const Tensor value = generator_loss(in.shared.at("fakes"));
               return Loss{.value = value * in.scheduled.at("generator_factor"),
                           .logs = {{"fooled", value.detach()}}};
             }},
        {.name = "smooth",
         .updates = "generator",
         .every = kSmoothEvery,
         .draw = noise,
         .loss =
             [this](LossInput& in) {
               return Loss{.value = smooth_loss(in.draws.at("noise")), .logs = {}};
             }},
    };
  }

  std::map<std::string, double> scheduled(const Progress& progress) const override {
    const auto factor = [&](int64_t from, int64_t to) {
      return progress.step >= from && progress.step < to ? std::nan("") : 1.0;
    };
    return {{"r1_weight", r1_weight(progress)},
            {"critic_factor", factor(config_.critic_nan_from, config_.critic_nan_to)},
            {"generator_factor", factor(config_.generator_nan_from, config_.generator_nan_to)}};
  }

  Tensors validate(const Batch& batch, Draw& draw) override {
    const bool bad =
        config_.validation_nan_from >= 0 && validations_++ >= config_.validation_nan_from;
    const Tensor fakes = make(draw.normal("noise", {kNoise}));
    const Tensor distance = (fakes.mean() - batch.input.mean() - level).abs();
    const Tensor found = bad ? distance * std::nan("") : distance;
    return {{"distance", found.expand({batch.input.size(0)})}};
  }
  std::string objective() const override { return "distance"; }
  Tensors training_state() override { return {{"path_mean", path_mean}}; }

  Tensor generate(const Draw& draw, const Tensors&, const Json&) override {
    return make(draw.normal("noise", {kNoise})).to(at::kFloat);
  }

  // The parts of the losses, for the loop written by hand.

  static double r1_weight(const Progress& progress) {
    return 1.0 / static_cast<double>(1 + progress.step);
  }

  Tensor make(const Tensor& noise) {
    const Tensor h = hidden->forward(noise.to(gain.dtype())).tanh();
    return (gain * pixels->forward(h)).sigmoid().view({-1, 1, kSide, kSide});
  }

  Tensor score(const Tensor& images) {
    const Tensor h = conv->forward(images).tanh().flatten(1);
    return score_layer->forward(at::dropout(h, config_.dropout, is_training())).squeeze(1);
  }

  /// @param carry  running mean of the scores of real images, updated
  Tensor critic_loss(const Tensor& images, const Tensor& fakes, const Tensor& r1_weight,
                     Tensor& carry) {
    Tensor reals = images.to(gain.dtype());
    if (config_.stateful) {
      reals = reals - level;
      const at::NoGradGuard no_grad;
      level.mul_(0.9).add_(images.mean(), 0.1);
    }
    reals = reals.clone().requires_grad_();
    // The fakes are not detached: an update of the critic must neither reach the generator nor use
    // up the graph that the generator's phase needs.
    const Tensor real = score(reals), fake = score(fakes);
    const Tensor slope = torch::autograd::grad({real.sum()}, {reals}, {}, /*retain_graph=*/true,
                                               /*create_graph=*/true)[0];
    const Tensor penalty = slope.square().sum({1, 2, 3}).mean();
    Tensor value = at::softplus(-real).mean() + at::softplus(fake).mean() + r1_weight * penalty;
    if (config_.stateful) {
      value = value + (real.mean() - carry).square();
      carry = 0.9 * carry + 0.1 * real.detach().mean();
    }
    return value;
  }

  Tensor generator_loss(const Tensor& fakes) { return at::softplus(-score(fakes)).mean(); }

  Tensor smooth_loss(const Tensor& noise) {
    const Tensor z = noise.to(gain.dtype()).clone().requires_grad_();
    const Tensor slope = torch::autograd::grad({make(z).sum()}, {z}, {}, true, true)[0];
    const Tensor lengths = slope.square().sum(1).sqrt();
    const Tensor value = (lengths - path_mean).square().mean();
    if (config_.stateful) path_mean.lerp_(lengths.detach().mean().to(path_mean.dtype()), 0.1);
    return value;
  }

  torch::nn::Conv2d conv{nullptr};
  torch::nn::Linear score_layer{nullptr}, hidden{nullptr}, pixels{nullptr};
  Tensor gain, level, path_mean;

 private:
  ToyConfig config_;
  int64_t validations_ = 0;
};

inline Family toy_family() {
  return {.name = "toy",
          .summary = "for tests",
          .offers = {},
          .settings = toy_fields(),
          .sampling = {},
          .make = [](const Json& settings, const ModelContext&) -> std::unique_ptr<Model> {
            return std::make_unique<ToyGan>(from_json<ToyConfig>(toy_fields(), settings, "model"));
          },
          .tiny = Json::object()};
}

/// 24 training and 8 test images of 4x4, all different.
inline Dataset toy_dataset() {
  const auto split = [](int64_t count, int64_t first) {
    const Tensor numbers = at::arange(first * 16, (first + count) * 16, at::kLong);
    return Split{.grids = (numbers * 7919 % 251).to(at::kByte).view({count, 1, 4, 4}),
                 .labels = at::arange(first, first + count, at::kLong).remainder(3)};
  };
  return {.info = {.source = "toy",
                   .channels = 1,
                   .height = 4,
                   .width = 4,
                   .classes = {"a", "b", "c"},
                   .train_count = 24,
                   .test_count = 8,
                   .fingerprint = "toy"},
          .train = split(24, 0),
          .test = split(8, 24),
          .notes = {}};
}

}  // namespace genai
