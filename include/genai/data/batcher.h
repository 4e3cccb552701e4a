// Batches as a pure function of the step: no state to save, nothing to replay on resume.
#pragma once
#include "genai/core/draw.h"
#include "genai/data/batch.h"
#include "genai/data/codec.h"
#include "genai/data/dataset.h"

namespace genai {

/// Seed of the draws that test items are measured with, whatever the run's seed.
inline constexpr uint64_t kProtocolSeed = 0;

/// This process among those that train together.
struct World {
  int64_t rank = 0, size = 1;
};

/// Throws Error{usage} when the batch is larger than the set, or `accumulate` micro-batches on each
/// of world.size processes do not divide it.
void check_batch(const Dataset& data, int64_t batch_size, int64_t accumulate, World world = {});

/// Walks through the training items (grids, lines or windows) in epochs, each in a new order from
/// (seed, epoch). The walk is one endless line; a batch that reaches the end of an epoch goes on
/// into the next, so that every batch is full.
class Batcher {
 public:
  /// @param batch_size  images of one update, over all micro-batches and ranks
  /// @param accumulate  micro-batches of one update and rank; must divide batch_size / world.size
  /// @param repeats     batches of one step (n_critic)
  /// @param inputs      what a model is given: batches hold that
  /// Throws what check_batch throws.
  Batcher(const Dataset& data, uint64_t seed, int64_t batch_size, int64_t accumulate,
          int64_t repeats, at::Device device, World world = {}, ModelInputs inputs = {});

  Batch at(int64_t step, int64_t repeat, int64_t micro) const;

 private:
  int64_t item(int64_t position) const;
  Batch grids_at(const std::vector<int64_t>& positions) const;
  Batch sequences_at(const std::vector<int64_t>& positions) const;

  const Dataset& data_;
  uint64_t seed_;
  int64_t batch_size_, accumulate_, repeats_;
  at::Device device_;
  World world_;
  ModelInputs inputs_;
  DataInfo seen_;   // what a model computes on
  Split items_;     // on the device
  Tensor encoded_;  // its grids by the codec, where they are the same whenever they are seen
  mutable std::vector<std::pair<int64_t, std::vector<int64_t>>> orders_;  // newest epochs
};

/// Items first .. first + count - 1 of a split in their order; sample_ids are their indices. The
/// binarization of images is one fixed draw.
Batch items_batch(const Split& split, const DataInfo& info, int64_t first, int64_t count,
                  at::Device device, const ModelInputs& inputs = {});

/// Items [N, C, H, W] as a model takes them that sees them through its codec, a part at a time.
Tensor encode_items(Codec& codec, const Tensor& items, const DataInfo& info, at::Device device);

/// Conditions of test items [B, C, H, W] as families see them, before any binarization; of theirs,
/// what is random is one fixed draw.
/// @param numbers  of the items
Tensors test_conditions(const ConditionSpecs& conditions, const Split& split, const DataInfo& info,
                        const std::vector<int64_t>& numbers, at::Device device);

/// "grey", "dynbin-seed0", "fixbin-seed0", "threshold": the protocol in a metric's name.
std::string binarize_protocol(Binarize binarize);

}  // namespace genai
