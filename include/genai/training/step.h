// One step of training: every update of every phase. What the host has a part in (batches, random
// numbers, rates) and what the device computes are apart, so that a GPU can record the second.
#pragma once
#include <map>

#include "genai/core/device.h"
#include "genai/data/batcher.h"
#include "genai/training/averages.h"
#include "genai/training/flat_parameters.h"

namespace genai {

class TrainingStep {
 public:
  /// @param model  on its device; its parameters become views of flat buffers and stay so
  /// Throws what FlatParameters and Batcher throw.
  TrainingStep(Model& model, const Dataset& data, const TrainingConfig& config,
               const Numerics& numerics, World world);

  /// Step number `step`, from 0 on, of `steps` in all (0: not known yet). On a GPU it has ended
  /// when something of it is asked for.
  void run(int64_t step, int64_t steps);

  /// Means of the losses' logs and of the norms of gradients since the last call.
  Json take_means() { return averages_.take(); }
  /// Images or tokens of the steps since the last call.
  double take_count() { return std::exchange(count_, 0); }

  /// Steps with an update that was skipped because its gradient was not finite.
  struct Skipped {
    int64_t in_a_row = 0;  ///< up to the last step
    int64_t in_all = 0;
  };
  Skipped skipped() const;

  std::vector<FlatParameters>& sets() { return sets_; }
  /// What lives across steps (LossInput::carry), for each micro-batch.
  std::vector<Tensors>& carry() { return carry_; }

 private:
  /// What one micro-batch of an update is computed from.
  struct Micro {
    Batch batch;
    Tensors draws;
    Tensor weight, share;  // 0-d: of the batch; its part of the whole batch's
  };
  /// One update of a phase, with all that changes from step to step.
  struct Update {
    size_t phase;
    int64_t repeat;
    std::vector<Micro> micros;
  };
  /// The updates of some phases, and the memory that they read.
  struct Recorded {
    Repeated repeated;
    std::vector<Update> updates;
  };

  std::vector<Update> prepare(int64_t step, int64_t steps);
  static void keep_inputs(std::vector<Update> from, std::vector<Update>& to);
  void compute(const std::vector<Update>& updates, int64_t step);
  /// 0-d, 1 where the gradient was not finite and nothing was updated.
  Tensor update(const Update& update, int64_t step, std::vector<Tensors>& shared);
  void update_averages(int64_t step);
  uint64_t layer_seed(const std::string& place) const;
  FlatParameters& set(const std::string& name);

  Model& model_;
  const TrainingConfig& config_;
  Precision precision_;
  at::Device device_;
  World world_;
  std::vector<Phase> phases_;
  std::vector<FlatParameters> sets_;
  Batcher batcher_;
  std::vector<Tensors> carry_;
  Tensors scheduled_;
  std::map<std::vector<size_t>, Recorded> recorded_;  // by the phases that update
  Averages averages_;
  double count_ = 0;
  Tensor skipped_;  // float32 [2]: in a row, in all
  Tensor one_;
};

}  // namespace genai
