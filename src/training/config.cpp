#include "genai/training/config.h"

#include <charconv>
#include <limits>
#include <numbers>

#include "genai/models/registry.h"

namespace genai {

const EnumNames<Optimizer> kOptimizerNames = {{Optimizer::adamw, "adamw"},
                                              {Optimizer::muon, "muon"}};

namespace {

const EnumNames<Schedule> kScheduleNames = {
    {Schedule::constant, "constant"}, {Schedule::linear, "linear"}, {Schedule::cosine, "cosine"}};

const FieldTable& numerics_fields() {
  static const FieldTable table =
      describe<NumericsRequest>()
          .field("device", &NumericsRequest::device, "auto, cpu, cuda or cuda:N")
          .resumable()
          .field("precision", &NumericsRequest::precision,
                 "auto: bfloat16 products on a GPU or with AMX, else float32; tf32: CUDA",
                 kPrecisionNames)
          .field("layout", &NumericsRequest::layout, "memory order of images in convolutions",
                 kLayoutNames)
          .field("threads", &NumericsRequest::threads, "CPU threads; 0: all cores",
                 between(0, kMostThreads))
          .field("graph", &NumericsRequest::graph,
                 "CUDA: records a training step once and repeats the recording (same bits)")
          .resumable()
          .table();
  return table;
}

}  // namespace

const FieldTable& training_fields() {
  static const FieldTable table =
      describe<TrainingConfig>()
          .field("epochs", &TrainingConfig::epochs, "walks through the training images", above(0))
          .resumable()
          .field("steps", &TrainingConfig::steps, "number of updates; 0: from epochs", at_least(0))
          .resumable()
          .field("budget", &TrainingConfig::budget,
                 "training time, as 90s, 3m or 1h: fixes the steps by the measured rate")
          .field("batch", &TrainingConfig::batch, "images of one update", at_least(1))
          .field("accumulate", &TrainingConfig::accumulate,
                 "parts a batch is computed in, to save memory", at_least(1))
          .field("optimizer", &TrainingConfig::optimizer,
                 "adamw, or muon for hidden matrices (of families that name them) and adamw for "
                 "the rest",
                 kOptimizerNames)
          .field("learning_rate", &TrainingConfig::learning_rate, "at its height", above(0))
          .field("beta1", &TrainingConfig::beta1, "AdamW: decay of the mean gradient",
                 from_below(0, 1))
          .field("beta2", &TrainingConfig::beta2, "AdamW: decay of the mean squared gradient",
                 from_below(0, 1))
          .field("epsilon", &TrainingConfig::epsilon, "AdamW: added to the denominator", above(0))
          .field("weight_decay", &TrainingConfig::weight_decay,
                 "of matrices and convolutions; 0 makes AdamW Adam", at_least(0))
          .field("muon_momentum", &TrainingConfig::muon_momentum,
                 "Muon: what is left of a gradient's part in its momentum after one step",
                 from_below(0, 1))
          .field("schedule", &TrainingConfig::schedule,
                 "of the learning rate after the warm-up: constant, or down to final_rate",
                 kScheduleNames)
          .field("final_rate", &TrainingConfig::final_rate,
                 "linear, cosine: share of the learning rate that is left at the end",
                 between(0, 1))
          .field("warmup", &TrainingConfig::warmup,
                 "steps over which the learning rate rises from 0", at_least(0))
          .field("clip_norm", &TrainingConfig::clip_norm,
                 "largest norm of the gradient of a parameter set; 0: no limit", at_least(0))
          .field("ema_half_life", &TrainingConfig::ema_half_life,
                 "images after which a weight counts half in the average that samples; 0: none",
                 at_least(0))
          .field("seed", &TrainingConfig::seed, "of initialization, data order and noise",
                 at_least(0))
          .field("validate_every", &TrainingConfig::validate_every,
                 "steps between validations; 0: one epoch", at_least(0))
          .resumable()
          .field("checkpoint_every", &TrainingConfig::checkpoint_every,
                 "steps between checkpoints; 0: with each validation", at_least(0))
          .resumable()
          .field("sample_every", &TrainingConfig::sample_every,
                 "steps between sample pictures; 0: with each validation", at_least(0))
          .resumable()
          .field("keep", &TrainingConfig::keep,
                 "newest checkpoints that are kept beside the best: a number, or all")
          .resumable()
          .field("log_every", &TrainingConfig::log_every, "steps between lines of metrics.jsonl",
                 at_least(1))
          .resumable()
          .nest("", &TrainingConfig::numerics, numerics_fields())
          .table();
  return table;
}

std::vector<Section> run_sections(const Family& family, ItemKind items) {
  const ItemKind other = items == ItemKind::grid ? ItemKind::sequence : ItemKind::grid;
  const std::string why = family.reads == ItemKind::grid
                              ? concat("the family ", family.name, " learns from ")
                              : "the data of these settings are ";
  return {{"model", model_fields(family)},
          {.name = "data",
           .table = data_fields(items),
           .others = data_fields(other),
           .why_not = concat("is for ", modality_names(other), "; ", why, modality_names(items))},
          {"training", training_fields()}};
}

ItemKind items_of(const Family& family, const Settings& settings) {
  const Json* source = settings.find("data.source");
  if (family.reads == ItemKind::grid || !source || !source->is_string()) return family.reads;
  try {
    return modality_of({.source = *source}).kind();
  } catch (const Error&) {
    return family.reads;  // there is no such data: told when it is loaded
  }
}

double learning_rate_factor(const TrainingConfig& config, int64_t step, int64_t steps) {
  if (step < config.warmup) {
    return static_cast<double>(step + 1) / static_cast<double>(config.warmup);
  }
  if (steps <= config.warmup) return 1;
  const double progress =
      static_cast<double>(step - config.warmup) / static_cast<double>(steps - config.warmup);
  const auto left = [&](double share) {  // of the way from 1 to final_rate
    return share + config.final_rate * (1 - share);
  };
  switch (config.schedule) {
    case Schedule::constant:
      return 1;
    case Schedule::linear:
      return left(std::max(0.0, 1 - progress));
    case Schedule::cosine:
      return left(progress >= 1 ? 0 : 0.5 * (1 + std::cos(std::numbers::pi * progress)));
  }
  return 1;
}

double parse_duration(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string unit(rest, end);
  const double seconds = unit == "s" || unit.empty() ? 1
                         : unit == "m"               ? 60
                         : unit == "h"               ? 3600
                                                     : 0;
  const double product = number * seconds;
  if (error != std::errc() || !(product > 0) || !std::isfinite(product)) {
    fail(ErrorKind::usage, "training.budget: expected a time such as 90s, 3m or 1h, found '", text,
         "'");
  }
  return product;
}

size_t kept_checkpoints(const TrainingConfig& config) {
  if (config.keep == "all") return std::numeric_limits<size_t>::max();
  size_t count = 0;
  const char* end = config.keep.data() + config.keep.size();
  const auto [rest, error] = std::from_chars(config.keep.data(), end, count);
  if (error != std::errc() || rest != end || count < 1) {
    fail(ErrorKind::usage, "training.keep: expected a number from 1 on, or all, found '",
         config.keep, "'");
  }
  return count;
}

int64_t planned_steps(const TrainingConfig& config, int64_t train_images) {
  if (!config.budget.empty()) {
    parse_duration(config.budget);
    if (config.steps > 0) {
      fail(ErrorKind::usage, "training.steps and training.budget exclude each other; give one");
    }
    return 0;
  }
  if (config.steps > 0) return config.steps;
  const double steps = std::ceil(config.epochs * static_cast<double>(train_images) /
                                 static_cast<double>(config.batch));
  if (!(steps < 1e15)) fail(ErrorKind::usage, "training.epochs: ", config.epochs, " is too many");
  return std::max<int64_t>(1, static_cast<int64_t>(steps));
}

}  // namespace genai
