#include "genai/data/batcher.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "genai/base/error.h"
#include "genai/core/device.h"
#include "genai/core/philox.h"
#include "genai/data/sequences.h"

namespace genai {
namespace {

/// Items [B, C, H, W] in their range: bytes in [0, 1], real numbers as they are.
Tensor in_range(const Tensor& items, const DataInfo& info) {
  return info.levels == 0 ? items : items.to(at::kFloat).div_(255.0);
}

/// Grids and what comes with them.
Split on_device(const Split& split, at::Device device) {
  const auto moved = [&](const Tensor& t) { return t.defined() ? t.to(device) : t; };
  return {.grids = moved(split.grids),
          .labels = moved(split.labels),
          .pairs = moved(split.pairs),
          .captions = moved(split.captions),
          .frames = moved(split.frames),
          .before = moved(split.before),
          .past = split.past,
          .ahead = split.ahead};
}

Tensor pixels(const Tensor& bytes) {
  return bytes.defined() ? bytes.to(at::kFloat).div_(255.0) : Tensor();
}

GivenConditions given_of(const Split& items) {
  return {.labels = items.labels,
          .pairs = pixels(items.pairs),
          .captions = items.captions,
          .past = pixels(items.past_frames())};
}

/// The same binarized by the rule: as families see them.
Tensor to_input(const Tensor& items, const DataInfo& info, const Draw& draw) {
  const Tensor grey = in_range(items, info);
  if (info.levels == 0) return grey;
  switch (info.binarize) {
    case Binarize::none:
      return grey;
    case Binarize::threshold:
      return grey.ge(0.5).to(at::kFloat);
    case Binarize::dynamic:
    case Binarize::fixed:
      return draw.uniform("pixels", items.sizes().slice(1)).lt(grey).to(at::kFloat);
  }
  return grey;
}

/// Grids and their labels; or the sequences of a codec, whose targets they are themselves.
void set_input(const Tensor& encoded, const Tensor& labels, const DataInfo& seen, Batch& batch) {
  if (seen.kind() == ItemKind::sequence) return set_sequences(encoded, seen.codes, batch);
  batch.input = encoded;
  batch.target = labels;
  batch.weight = static_cast<double>(encoded.size(0));
}

}  // namespace

void check_batch(const Dataset& data, int64_t batch_size, int64_t accumulate, World world) {
  if (batch_size > data.train.size()) {
    fail(ErrorKind::usage, "training.batch: ", batch_size, " ",
         data.info.modality->items(data.info), ", but '", data.info.source, "' has ",
         data.train.size(), " for training; use training.batch ", data.train.size(), " or less");
  }
  if (batch_size % (accumulate * world.size) != 0) {
    fail(ErrorKind::usage, "training.accumulate: ", accumulate, " micro-batches",
         world.size > 1 ? concat(" on ", world.size, " processes") : "",
         " do not divide a batch of ", batch_size, " evenly");
  }
}

Batcher::Batcher(const Dataset& data, uint64_t seed, int64_t batch_size, int64_t accumulate,
                 int64_t repeats, at::Device device, World world, ModelInputs inputs)
    : data_(data),
      seed_(seed),
      batch_size_(batch_size),
      accumulate_(accumulate),
      repeats_(repeats),
      device_(device),
      world_(world),
      inputs_(std::move(inputs)),
      seen_(inputs_.seen(data.info)) {
  check_batch(data, batch_size, accumulate, world);
  if (data.info.kind() == ItemKind::sequence) return;
  items_ = on_device(data.train, device);
  if (inputs_.codec && data.info.binarize == Binarize::none)
    encoded_ = encode_items(*inputs_.codec, items_.grids, data.info, device);
}

int64_t Batcher::item(int64_t position) const {
  const int64_t epoch = position / data_.train.size();
  for (const auto& [number, order] : orders_) {
    if (number == epoch) return order[static_cast<size_t>(position % data_.train.size())];
  }
  if (orders_.size() >= 2) orders_.erase(orders_.begin());
  orders_.emplace_back(epoch,
                       random_permutation(seed_, concat("epoch/", epoch), data_.train.size()));
  return item(position);
}

Batch Batcher::at(int64_t step, int64_t repeat, int64_t micro) const {
  const int64_t size = batch_size_ / (accumulate_ * world_.size);
  std::vector<int64_t> positions(static_cast<size_t>(size));
  std::iota(positions.begin(), positions.end(),
            (step * repeats_ + repeat) * batch_size_ + (world_.rank * accumulate_ + micro) * size);
  Batch batch =
      data_.info.kind() == ItemKind::sequence ? sequences_at(positions) : grids_at(positions);
  batch.sample_ids = std::move(positions);
  return batch;
}

Batch Batcher::sequences_at(const std::vector<int64_t>& positions) const {
  const Split& text = data_.train;
  const int64_t tokens = text.tokens.numel();
  std::vector<int64_t> where;
  for (const int64_t position : positions) {
    if (data_.info.lines) {
      where.push_back(item(position));
    } else if (data_.info.windows == Windows::consecutive) {
      const int64_t row = position % batch_size_, turn = position / batch_size_;
      where.push_back((row * (tokens / batch_size_) + turn * text.context) % tokens);
    } else {
      // All windows of an epoch begin at the same remainder, another one in each epoch, so that the
      // text is cut anew.
      uint64_t bits = 0;
      philox_bits(stream_key(seed_, "cut"), static_cast<uint64_t>(position / text.size()), 0, &bits,
                  1);
      const auto cut = static_cast<int64_t>(bits % static_cast<uint64_t>(tokens));
      where.push_back((cut + item(position) * text.context) % tokens);
    }
  }
  return data_.info.lines ? lines_batch(text, where, start_token(*data_.info.tokenizer), device_)
                          : windows_batch(text, where, /*around=*/true, device_);
}

Batch Batcher::grids_at(const std::vector<int64_t>& positions) const {
  std::vector<int64_t> items;
  for (const int64_t position : positions) items.push_back(item(position));
  const Tensor index = to_device(items, device_);
  const bool fixed = data_.info.binarize == Binarize::fixed;
  const Draw draw = fixed ? Draw(kProtocolSeed, "binarize/train", items, device_)
                          : Draw(seed_, "binarize", positions, device_);
  Batch batch;
  const Split chosen = items_.at(index);
  set_input(encoded_.defined() ? encoded_.index_select(0, index)
                               : inputs_.encoded(to_input(chosen.grids, data_.info, draw)),
            chosen.labels, seen_, batch);
  batch.ahead = pixels(chosen.ahead_frames());
  batch.conditions = conditions_of(inputs_.conditions, in_range(chosen.grids, data_.info),
                                   given_of(chosen), Draw(seed_, "conditions", positions, device_));
  return batch;
}

Batch items_batch(const Split& split, const DataInfo& info, int64_t first, int64_t count,
                  at::Device device, const ModelInputs& inputs) {
  std::vector<int64_t> items(static_cast<size_t>(count));
  std::iota(items.begin(), items.end(), first);
  if (info.kind() == ItemKind::sequence) {
    std::vector<int64_t> offsets = items;
    for (int64_t& offset : offsets) offset *= split.context;
    Batch batch = info.lines ? lines_batch(split, items, start_token(*info.tokenizer), device)
                             : windows_batch(split, offsets, /*around=*/false, device);
    batch.sample_ids = std::move(items);
    return batch;
  }
  Batch batch;
  batch.sample_ids = std::move(items);
  const Tensor grids = split.grids.narrow(0, first, count).to(device);
  const Draw draw(kProtocolSeed, "binarize/test", batch.sample_ids, device);
  const Tensor labels =
      split.labels.defined() ? split.labels.narrow(0, first, count).to(device) : Tensor();
  set_input(inputs.encoded(to_input(grids, info, draw)), labels, inputs.seen(info), batch);
  if (split.ahead > 1) {
    const Tensor index = at::arange(first, first + count);
    batch.ahead = pixels(split.at(index).ahead_frames().to(device));
  }
  batch.conditions = test_conditions(inputs.conditions, split, info, batch.sample_ids, device);
  return batch;
}

Tensor encode_items(Codec& codec, const Tensor& items, const DataInfo& info, at::Device device) {
  constexpr int64_t kAtOnce = 500;
  const at::NoGradGuard no_grad;
  std::vector<Tensor> parts;
  for (const Tensor& part : items.split(kAtOnce)) {
    parts.push_back(codec.encode(in_range(part.to(device), info)));
  }
  return at::cat(parts);
}

Tensors test_conditions(const ConditionSpecs& conditions, const Split& split, const DataInfo& info,
                        const std::vector<int64_t>& numbers, at::Device device) {
  if (conditions.empty()) return {};
  const Split items = on_device(split.at(at::tensor(numbers, at::kLong)), device);
  return conditions_of(conditions, in_range(items.grids, info), given_of(items),
                       Draw(kProtocolSeed, "conditions/test", numbers, device));
}

std::string binarize_protocol(Binarize binarize) {
  switch (binarize) {
    case Binarize::none:
      return "grey";
    case Binarize::dynamic:
      return "dynbin-seed0";
    case Binarize::fixed:
      return "fixbin-seed0";
    case Binarize::threshold:
      return "threshold";
  }
  return "";
}

}  // namespace genai
