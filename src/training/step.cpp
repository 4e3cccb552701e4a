#include "genai/training/step.h"

#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <optional>

#include "genai/base/error.h"
#include "genai/core/generator.h"
#include "genai/core/philox.h"

namespace genai {
namespace {

/// The average forgets the first, random weights: its half-life is at most this share of the
/// images seen (T. Karras et al., "Elucidating the design space", 2022, appendix F.2).
constexpr double kAverageRamp = 0.05;

int64_t count_repeats(const std::vector<Phase>& phases) {
  int64_t most = 1;
  for (const Phase& phase : phases) most = std::max(most, phase.repeat);
  return most;
}

}  // namespace

TrainingStep::TrainingStep(Model& model, const Dataset& data, const TrainingConfig& config,
                           const Numerics& numerics, World world)
    : model_(model),
      config_(config),
      precision_(numerics.precision),
      device_(numerics.torch_device()),
      world_(world),
      phases_(model.phases()),
      batcher_(data, static_cast<uint64_t>(config.seed), config.batch, config.accumulate,
               count_repeats(phases_), device_, world, model.inputs()),
      carry_(static_cast<size_t>(config.accumulate)),
      skipped_(at::zeros({2}, at::device(device_).dtype(at::kFloat))),
      one_(at::ones({}, at::device(device_).dtype(at::kDouble))) {
  for (const ParameterSet& set : model.parameter_sets()) {
    sets_.emplace_back(model.module(), set, numerics.layout, config.ema_half_life > 0 && set.ema,
                       config.optimizer);
  }
}

void TrainingStep::run(int64_t step, int64_t steps) {
  model_.module().train();
  std::vector<Update> updates = prepare(step, steps);
  std::vector<size_t> phases;
  for (const Update& update : updates) phases.push_back(update.phase);
  Recorded& recorded =
      recorded_.try_emplace(phases, Recorded{Repeated(device_, config_.numerics.graph), {}})
          .first->second;
  if (device_.is_cpu()) {
    recorded.updates = std::move(updates);
  } else {
    keep_inputs(std::move(updates), recorded.updates);
  }
  // A recorded step draws from one stream; on the CPU each micro-batch begins another.
  std::optional<LayerGenerator> layers;
  if (!device_.is_cpu()) layers.emplace(layer_seed(concat(step)));
  recorded.repeated([&] { compute(recorded.updates, step); });
  update_averages(step);
}

/// Everything of a step that the host has a part in: batches, random numbers, rates.
std::vector<TrainingStep::Update> TrainingStep::prepare(int64_t step, int64_t steps) {
  for (const auto& [name, value] : model_.scheduled({.step = step, .steps = steps})) {
    Tensor& tensor = scheduled_[name];
    if (!tensor.defined()) tensor = at::empty({}, at::device(device_).dtype(at::kFloat));
    tensor.fill_(value);
  }
  const double factor = learning_rate_factor(config_, step, steps);
  for (FlatParameters& set : sets_) {
    set.set_learning_rate(config_.learning_rate * set.rate() * factor);
  }
  const auto scalar = [&](double value, at::ScalarType type) {
    return at::full({}, value, at::device(device_).dtype(type));
  };
  std::vector<Update> updates;
  for (size_t i = 0; i < phases_.size(); ++i) {
    const Phase& phase = phases_[i];
    if (step % phase.every != 0) continue;
    for (int64_t repeat = 0; repeat < phase.repeat; ++repeat) {
      Update update{.phase = i, .repeat = repeat, .micros = {}};
      double total = 0;
      for (int64_t micro = 0; micro < config_.accumulate; ++micro) {
        const Batch batch = batcher_.at(step, repeat, micro);
        Draw draw(static_cast<uint64_t>(config_.seed), "train/" + phase.name, batch.sample_ids,
                  device_);
        total += batch.weight;
        if (i == 0 && repeat == 0) count_ += batch.weight;
        update.micros.push_back({.batch = batch,
                                 .draws = phase.draw ? phase.draw(batch, draw) : Tensors(),
                                 .weight = scalar(batch.weight, at::kDouble),
                                 .share = {}});
      }
      for (Micro& micro : update.micros) {
        if (config_.accumulate > 1) micro.share = scalar(micro.batch.weight / total, at::kFloat);
      }
      updates.push_back(std::move(update));
    }
  }
  return updates;
}

/// What the device reads stays where it is. Numbers of the host go: no recording could follow them.
void TrainingStep::keep_inputs(std::vector<Update> from, std::vector<Update>& to) {
  if (to.empty()) {
    to = std::move(from);
    for (Update& update : to) {
      for (Micro& micro : update.micros) {
        micro.batch.sample_ids.clear();
        micro.batch.weight = std::numeric_limits<double>::quiet_NaN();
      }
    }
    return;
  }
  const auto copy = [](const Tensor& source, const Tensor& target) {
    if (source.defined()) target.copy_(source, /*non_blocking=*/true);
  };
  for (size_t i = 0; i < from.size(); ++i) {
    for (size_t micro = 0; micro < from[i].micros.size(); ++micro) {
      const Micro &a = from[i].micros[micro], &b = to[i].micros[micro];
      copy(a.batch.input, b.batch.input);
      copy(a.batch.target, b.batch.target);
      copy(a.batch.ahead, b.batch.ahead);
      copy(a.batch.counts, b.batch.counts);
      for (const auto& [name, told] : a.batch.conditions) copy(told, b.batch.conditions.at(name));
      copy(a.weight, b.weight);
      copy(a.share, b.share);
      for (const auto& [name, draw] : a.draws) copy(draw, b.draws.at(name));
    }
  }
}

/// The device's part of a step. It may be recorded, so nothing here depends on numbers of the host
/// that change, or waits for one of the device.
void TrainingStep::compute(const std::vector<Update>& updates, int64_t step) {
  std::vector<Tensors> shared(carry_.size());
  const std::vector<Tensors> carried = carry_;
  std::vector<Tensor> not_finite;
  for (const Update& each : updates) not_finite.push_back(update(each, step, shared));
  const Tensor skipped = at::stack(not_finite).amax();
  skipped_.add_(skipped);
  skipped_.select(0, 0).mul_(skipped);  // in a row: one more, or none
  // What is carried on stays where the next step finds it.
  for (size_t micro = 0; micro < carry_.size(); ++micro) {
    for (const auto& [name, held] : carried[micro]) {
      Tensor& made = carry_[micro].at(name);
      if (!device_.is_cpu()) made = held.copy_(made);
    }
  }
}

Tensor TrainingStep::update(const Update& update, int64_t step, std::vector<Tensors>& shared) {
  const Phase& phase = phases_[update.phase];
  FlatParameters& parameters = set(phase.updates);
  parameters.zero_gradients();
  for (size_t micro = 0; micro < update.micros.size(); ++micro) {
    const Micro& of = update.micros[micro];
    LossInput input{.batch = of.batch,
                    .draws = of.draws,
                    .scheduled = scheduled_,
                    .carry = carry_[micro],
                    .shared = shared[micro]};
    Loss loss;
    {
      std::optional<LayerGenerator> layers;
      if (device_.is_cpu()) {
        layers.emplace(layer_seed(
            concat(step, "/", update.phase, "/", update.repeat, "/", micro, "/", world_.rank)));
      }
      const MixedPrecision precision(precision_, device_);
      loss = phase.loss(input);
    }
    (of.share.defined() ? loss.value * of.share : loss.value)
        .backward({}, /*retain_graph=*/false, /*create_graph=*/false, parameters.parameters());
    loss.logs["loss" + (phases_.size() > 1 ? "/" + phase.name : "")] = loss.value.detach();
    averages_.add(loss.logs, of.weight);
  }
  const Tensor norm = parameters.gradient_norm();
  const Tensor not_finite = norm.isfinite().logical_not().to(at::kFloat);
  if (config_.clip_norm > 0) parameters.clip_gradients(norm, config_.clip_norm);
  parameters.update({.beta1 = config_.beta1,
                     .beta2 = config_.beta2,
                     .epsilon = config_.epsilon,
                     .weight_decay = config_.weight_decay,
                     .muon_momentum = config_.muon_momentum},
                    not_finite);
  averages_.add({{"gradient_norm/" + parameters.name(), norm}}, one_);
  return not_finite;
}

void TrainingStep::update_averages(int64_t step) {
  const double seen = static_cast<double>((step + 1) * config_.batch);
  const double half_life = std::min(config_.ema_half_life, kAverageRamp * seen);
  for (FlatParameters& set : sets_) {
    if (set.averaged())
      set.update_average(std::exp2(-static_cast<double>(config_.batch) / half_life));
  }
}

/// What a layer draws by itself (dropout) starts from the position in training too.
uint64_t TrainingStep::layer_seed(const std::string& place) const {
  return stream_key(static_cast<uint64_t>(config_.seed), "layers/" + place);
}

TrainingStep::Skipped TrainingStep::skipped() const {
  const Tensor numbers = skipped_.to(at::kCPU);
  return {.in_a_row = numbers[0].item<int64_t>(), .in_all = numbers[1].item<int64_t>()};
}

FlatParameters& TrainingStep::set(const std::string& name) {
  for (FlatParameters& set : sets_) {
    if (set.name() == name) return set;
  }
  throw std::logic_error("a phase updates the parameter set '" + name + "', which is none");
}

}  // namespace genai
