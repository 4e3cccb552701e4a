// The training loop: any family, any number of parameter sets and phases.
#pragma once
#include <filesystem>
#include <optional>

#include "genai/data/batcher.h"
#include "genai/model/family.h"
#include "genai/run/parts.h"
#include "genai/training/config.h"
#include "genai/training/observer.h"

namespace genai {

/// Tells the observer of what a model makes while it learns, for the user to look at.
using ShowSamples = std::function<void(Model& model, const Dataset& data, at::Device device,
                                       int64_t step, TrainObserver& observer)>;

struct TrainRequest {
  const Family& family;
  Json config;  ///< resolved: {"model", "data", "training"}
  const Dataset* data;
  std::filesystem::path run;         ///< an existing folder
  std::string preset;                ///< its name, or empty
  std::optional<Checkpoint> resume;  ///< continue this one (its Numerics are taken up)
  std::optional<Checkpoint> init;    ///< a new run that starts from these weights
  Parts parts = {};                  ///< of a new run: what its settings of type run name
  World world = {};
  ShowSamples show = nullptr;  ///< when samples are due
};

struct TrainResult {
  int64_t step = 0, steps = 0;
  int signal = 0;      ///< the signal that stopped it before the end, or 0
  double seconds = 0;  ///< of training, over all sessions
  Json validation;     ///< the last one, or null
  int64_t best_step = -1;
  double best_value = 0;
  std::string health;  ///< Model::health of the weights that sample
};

/// Throws Error{usage}, {device} or {data} for what can be known before the first step: settings
/// that do not fit each other, the data or the device.
void check_request(const TrainRequest& request);

/// Trains to the end, or until the observer asks to stop; a checkpoint is saved either way.
/// k steps, a resume and k more steps give the bits of 2k steps (same build, threads, precision).
///
/// Throws what check_request throws; Error{failure} when another process trains this run (naming
/// its pid) or a file cannot be written; Error{diverged} when the gradient is not finite in
/// kMaxSkipped updates running: earlier checkpoints are kept and nothing is saved over them.
TrainResult train(const TrainRequest& request, TrainObserver& observer);

inline constexpr int64_t kMaxSkipped = 5;

/// Test items that a run keeps.
inline constexpr int64_t kKeptItems = 64;

}  // namespace genai
