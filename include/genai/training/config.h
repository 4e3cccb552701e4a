// How a run is trained: the "training" object of a configuration.
#pragma once
#include "genai/base/fields.h"
#include "genai/base/settings.h"
#include "genai/core/numerics.h"
#include "genai/model/family.h"

namespace genai {

enum class Schedule { constant, linear, cosine };

enum class Optimizer {
  adamw,
  muon,  ///< for the hidden matrices that a family names (ParameterSet::matrices); AdamW else
};
extern const EnumNames<Optimizer> kOptimizerNames;

struct TrainingConfig {
  double epochs = 10;
  int64_t steps = 0;
  std::string budget;
  int64_t batch = 128;
  int64_t accumulate = 1;
  Optimizer optimizer = Optimizer::adamw;
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
  double muon_momentum = 0.95;
  Schedule schedule = Schedule::constant;
  double final_rate = 0;  ///< share of the learning rate
  int64_t warmup = 0;
  double clip_norm = 0;
  double ema_half_life = 0;
  int64_t seed = 1;
  int64_t validate_every = 0;
  int64_t checkpoint_every = 0;
  int64_t sample_every = 0;
  std::string keep = "2";
  int64_t log_every = 50;
  NumericsRequest numerics;
};
const FieldTable& training_fields();

/// What a configuration of a run holds: "model" of the family, "data", "training".
/// @param items  what the data are: those that the family reads, or grids for one of sequences
std::vector<Section> run_sections(const Family& family, ItemKind items);
inline std::vector<Section> run_sections(const Family& family) {
  return run_sections(family, family.reads);
}
/// What the data are that settings name, as far as can be seen; else what the family reads.
ItemKind items_of(const Family& family, const Settings& settings);

/// Share of the learning rate at a step: linear warm-up, then the schedule down to final_rate at
/// `steps`, or 1 to the end where it is constant.
/// steps = 0 (a budget still being measured) stays at 1 after the warm-up.
double learning_rate_factor(const TrainingConfig& config, int64_t step, int64_t steps);

/// Seconds of "90s", "3m", "1.5h"; throws Error{usage}.
double parse_duration(const std::string& text);

/// Newest checkpoints that are kept, from TrainingConfig::keep; throws Error{usage}.
size_t kept_checkpoints(const TrainingConfig& config);

/// Steps that the settings ask for; 0 for a time budget.
int64_t planned_steps(const TrainingConfig& config, int64_t train_images);

}  // namespace genai
