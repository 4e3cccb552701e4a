// What training tells the world: the library reports, the tool renders.
#pragma once
#include <filesystem>

#include "genai/base/image.h"
#include "genai/base/json.h"
#include "genai/core/numerics.h"

namespace genai {

struct TrainStart {
  std::filesystem::path run;
  int64_t first_step = 0;  ///< > 0 when resumed
  int64_t steps = 0;       ///< 0 while a budget is being measured
  double steps_per_epoch = 0;
  int64_t parameters = 0;
  std::string unit;  ///< what is counted: "images", "tokens"
  Json maker;        ///< what pictures say of their making (generation/generate.h)
  Numerics numerics;
};

struct StepReport {
  int64_t step = 0, steps = 0;
  double epoch = 0;
  double seconds = 0;  ///< of training so far, over all sessions
  double rate = 0;     ///< images or tokens a second
  Json values;         ///< means since the last report: {"loss": ..., "kl": ...}
};

class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void started(const TrainStart&) {}
  virtual void progress(const StepReport&) {}
  virtual void validated(int64_t /*step*/, const Json& /*values*/, bool /*best*/) {}
  /// @param request  what was asked for, as pictures say it
  virtual void sampled(int64_t /*step*/, const std::vector<Image>&, const Json& /*request*/) {}
  virtual void wrote(int64_t /*step*/, const std::vector<std::string>& /*texts*/) {}
  virtual void saved(const std::filesystem::path&) {}
  virtual void warned(const std::string&) {}
  /// A signal number to stop after this step, or 0.
  virtual int stop_requested() { return 0; }
  /// A checkpoint is wanted after this step.
  virtual bool save_requested() { return false; }
};

}  // namespace genai
