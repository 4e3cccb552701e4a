#include "genai/data/batcher.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/temp_folder.h"

namespace genai {
namespace {

/// Image i of `count` is all of grey value `grey(i)`, its label i % 3.
template <class Grey>
Dataset make_data(int64_t count, Binarize binarize, Grey grey, int64_t side = 2) {
  Dataset data;
  for (Split* split : {&data.train, &data.test}) {
    split->grids = at::empty({count, 1, side, side}, at::kByte);
    for (int64_t i = 0; i < count; ++i) split->grids[i].fill_(static_cast<int64_t>(grey(i)));
    split->labels = at::arange(count).remainder(3);
  }
  data.info = {.source = "test",
               .height = side,
               .width = side,
               .classes = {"a", "b", "c"},
               .binarize = binarize,
               .train_count = count,
               .test_count = count,
               .fingerprint = ""};
  return data;
}

/// Image i has the grey value i, so that a batch tells its items.
Dataset numbered(int64_t count, Binarize binarize = Binarize::none) {
  return make_data(count, binarize, [](int64_t i) { return i; });
}

Batcher batcher(const Dataset& data, int64_t batch, int64_t accumulate = 1, int64_t repeats = 1,
                World world = {}, uint64_t seed = 1) {
  return Batcher(data, seed, batch, accumulate, repeats, at::kCPU, world);
}

std::vector<int64_t> items_of(const Batch& batch) {
  const Tensor grey = batch.input.select(1, 0).select(1, 0).select(1, 0);
  std::vector<int64_t> items;
  for (int64_t i = 0; i < grey.size(0); ++i) {
    items.push_back(std::llround(grey[i].item<double>() * 255));
  }
  return items;
}

/// The items of steps 0 .. steps - 1, one after the other.
std::vector<int64_t> walk(const Batcher& batches, int64_t steps) {
  std::vector<int64_t> all;
  for (int64_t step = 0; step < steps; ++step) {
    const auto items = items_of(batches.at(step, 0, 0));
    all.insert(all.end(), items.begin(), items.end());
  }
  return all;
}

void expect_same(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.sample_ids, b.sample_ids);
  EXPECT_TRUE(a.input.equal(b.input));
  EXPECT_TRUE(a.target.equal(b.target));
  EXPECT_EQ(a.weight, b.weight);
}

/// One batch of several parts.
Batch joined(const std::vector<Batch>& parts) {
  Batch whole;
  std::vector<Tensor> inputs, targets;
  for (const Batch& part : parts) {
    inputs.push_back(part.input);
    targets.push_back(part.target);
    whole.sample_ids.insert(whole.sample_ids.end(), part.sample_ids.begin(), part.sample_ids.end());
    whole.weight += part.weight;
  }
  whole.input = at::cat(inputs);
  whole.target = at::cat(targets);
  return whole;
}

TEST(Batcher, GivesImagesAndTheirLabels) {
  const Dataset data = numbered(10);
  const Batch batch = batcher(data, 4).at(1, 0, 0);
  EXPECT_EQ(batch.input.sizes(), (std::vector<int64_t>{4, 1, 2, 2}));
  EXPECT_EQ(batch.input.scalar_type(), at::kFloat);
  EXPECT_EQ(batch.sample_ids, (std::vector<int64_t>{4, 5, 6, 7}));
  EXPECT_EQ(batch.weight, 4);
  const auto items = items_of(batch);
  for (size_t i = 0; i < items.size(); ++i) {
    EXPECT_TRUE(batch.input[i].equal(data.train.grids[items[i]].to(at::kFloat) / 255));
    EXPECT_EQ(batch.target[i].item<int64_t>(), items[i] % 3);
  }
}

TEST(Batcher, WithoutLabelsThereIsNoTarget) {
  Dataset data = numbered(10);
  data.train.labels = data.test.labels = Tensor();
  EXPECT_FALSE(batcher(data, 4).at(0, 0, 0).target.defined());
  EXPECT_FALSE(items_batch(data.test, data.info, 0, 3, at::kCPU).target.defined());
}

TEST(Batcher, IsAPureFunction) {
  const Dataset data = numbered(23, Binarize::dynamic);
  const Batcher forth = batcher(data, 7), back = batcher(data, 7);
  std::vector<Batch> batches;
  for (int64_t step = 0; step < 20; ++step) batches.push_back(forth.at(step, 0, 0));
  for (int64_t step = 19; step >= 0; --step) {
    expect_same(back.at(step, 0, 0), batches[static_cast<size_t>(step)]);
    expect_same(batcher(data, 7).at(step, 0, 0), batches[static_cast<size_t>(step)]);
  }
}

TEST(Batcher, EachEpochHoldsEachItemOnce) {
  constexpr int64_t kItems = 10;
  for (const int64_t size : {1, 3, 4, 7, 10}) {
    const Dataset data = numbered(kItems);
    const auto items = walk(batcher(data, size), 4 * kItems);
    std::set<std::vector<int64_t>> orders;
    for (int64_t epoch = 0; epoch < 4; ++epoch) {
      const auto begin = items.begin() + epoch * kItems;
      const std::vector<int64_t> order(begin, begin + kItems);
      EXPECT_TRUE(
          std::is_permutation(order.begin(), order.end(), walk(batcher(data, kItems), 1).begin()))
          << "batch " << size << ", epoch " << epoch;
      orders.insert(order);
    }
    EXPECT_EQ(orders.size(), 4u) << "batch " << size;  // each epoch in a new order
  }
}

TEST(Batcher, TheWalkDoesNotDependOnTheBatchSize) {
  const Dataset data = numbered(10);
  const auto one = walk(batcher(data, 1), 60);
  EXPECT_EQ(walk(batcher(data, 3), 20), one);
  EXPECT_EQ(walk(batcher(data, 10), 6), one);
}

TEST(Batcher, ABatchGoesOnIntoTheNextEpoch) {
  const Dataset data = numbered(10);
  const auto batch = items_of(batcher(data, 4).at(2, 0, 0));  // positions 8 to 11
  const auto first = items_of(batcher(data, 10).at(0, 0, 0));
  const auto second = items_of(batcher(data, 10).at(1, 0, 0));
  EXPECT_EQ(batch, (std::vector<int64_t>{first[8], first[9], second[0], second[1]}));
}

TEST(Batcher, OrderComesFromTheSeed) {
  const Dataset data = numbered(50);
  const auto order = [&](uint64_t seed) { return walk(batcher(data, 50, 1, 1, {}, seed), 1); };
  EXPECT_EQ(order(3), order(3));
  EXPECT_NE(order(3), order(4));
}

TEST(Batcher, MicroBatchesMakeUpTheBatch) {
  for (const Binarize binarize : {Binarize::none, Binarize::dynamic, Binarize::fixed}) {
    const Dataset data = numbered(20, binarize);
    for (const int64_t step : {0, 1, 5}) {
      const Batch whole = batcher(data, 12).at(step, 0, 0);
      for (const int64_t parts : {2, 3, 12}) {
        const Batcher batches = batcher(data, 12, parts);
        std::vector<Batch> micro;
        for (int64_t i = 0; i < parts; ++i) micro.push_back(batches.at(step, 0, i));
        expect_same(joined(micro), whole);
      }
    }
  }
}

TEST(Batcher, RanksMakeUpTheBatch) {
  const Dataset data = numbered(20, Binarize::dynamic);
  for (const int64_t step : {0, 1, 5}) {
    const Batch whole = batcher(data, 12).at(step, 0, 0);
    std::vector<Batch> parts;
    for (int64_t rank = 0; rank < 3; ++rank) {
      const Batcher batches = batcher(data, 12, 2, 1, {.rank = rank, .size = 3});
      for (int64_t micro = 0; micro < 2; ++micro) {
        parts.push_back(batches.at(step, 0, micro));
        EXPECT_EQ(parts.back().weight, 2);
      }
    }
    expect_same(joined(parts), whole);
  }
}

TEST(Batcher, RepeatsAreBatchesOfTheirOwn) {
  const Dataset data = numbered(20);
  const Batcher repeated = batcher(data, 4, 1, 3), plain = batcher(data, 4);
  for (int64_t i = 0; i < 12; ++i) expect_same(repeated.at(i / 3, i % 3, 0), plain.at(i, 0, 0));
}

TEST(Batcher, RejectsBatchesThatDoNotFit) {
  const Dataset data = numbered(10);
  EXPECT_NO_THROW(batcher(data, 10));
  expect_error(ErrorKind::usage, "training.batch: 11 images, but 'test' has 10",
               [&] { batcher(data, 11); });
  expect_error(ErrorKind::usage, "training.accumulate: 3 micro-batches do not divide a batch of 10",
               [&] { batcher(data, 10, 3); });
  expect_error(ErrorKind::usage, "on 4 processes do not divide a batch of 10",
               [&] { batcher(data, 10, 1, 1, {.rank = 0, .size = 4}); });
  expect_error(ErrorKind::usage, "do not divide", [&] { batcher(data, 8, 4, 1, {.size = 4}); });
  EXPECT_NO_THROW(batcher(data, 8, 4, 1, {.rank = 1, .size = 2}));
}

// Binarization

constexpr int64_t kSide = 32;

Dataset greys(Binarize binarize) {
  return make_data(
      5, binarize,
      [](int64_t i) {
        return (std::vector{0, 64, 127, 200, 255})[i];
      },
      kSide);
}

/// The image of an item in an epoch.
Tensor image(const Dataset& data, int64_t epoch, int64_t item, uint64_t seed = 1) {
  const Batch batch = batcher(data, 5, 1, 1, {}, seed).at(epoch, 0, 0);
  const Dataset plain = greys(Binarize::none);
  const Batch grey = batcher(plain, 5, 1, 1, {}, seed).at(epoch, 0, 0);
  const float value = data.train.grids[item][0][0][0].item<float>() / 255;
  return batch
      .input[grey.input.select(1, 0).select(1, 0).select(1, 0).eq(value).nonzero().item<int64_t>()];
}

void expect_bernoulli(const Tensor& pixels, double mean) {
  EXPECT_TRUE(pixels.eq(0).logical_or(pixels.eq(1)).all().item<bool>());
  const double error = std::sqrt(mean * (1 - mean) / static_cast<double>(pixels.numel()));
  EXPECT_NEAR(pixels.mean().item<double>(), mean, 4 * error + 1e-12);
}

TEST(Binarize, DynamicIsDrawnAnewInEachEpoch) {
  const Dataset data = greys(Binarize::dynamic);
  const double means[] = {0, 64 / 255.0, 127 / 255.0, 200 / 255.0, 1};
  for (int64_t item = 0; item < 5; ++item) {
    std::vector<Tensor> seen;
    for (int64_t epoch = 0; epoch < 10; ++epoch) seen.push_back(image(data, epoch, item));
    expect_bernoulli(at::stack(seen), means[item]);
    if (item == 0 || item == 4) continue;
    // Two draws of one pixel agree with probability p^2 + (1 - p)^2.
    const double agree = means[item] * means[item] + (1 - means[item]) * (1 - means[item]);
    EXPECT_NEAR(seen[0].eq(seen[1]).to(at::kDouble).mean().item<double>(), agree, 4 * 0.5 / kSide);
  }
}

TEST(Binarize, DynamicDiffersBySeed) {
  const Dataset data = greys(Binarize::dynamic);
  EXPECT_TRUE(image(data, 3, 2, 8).equal(image(data, 3, 2, 8)));
  EXPECT_FALSE(image(data, 3, 2, 8).equal(image(data, 3, 2, 9)));
}

TEST(Binarize, FixedIsDrawnOnceForAllEpochsAndSeeds) {
  const Dataset data = greys(Binarize::fixed);
  for (const int64_t item : {1, 2, 3}) {
    const Tensor once = image(data, 0, item);
    expect_bernoulli(once, data.train.grids[item][0][0][0].item<double>() / 255);
    for (const int64_t epoch : {1, 2, 7}) {
      EXPECT_TRUE(once.equal(image(data, epoch, item, 1)));
      EXPECT_TRUE(once.equal(image(data, epoch, item, 77)));
    }
  }
}

TEST(Binarize, FixedDiffersByItemAndSplit) {
  const Dataset data = make_data(
      2, Binarize::fixed, [](int64_t) { return 128; }, kSide);
  const Batch train = batcher(data, 2).at(0, 0, 0);
  const Batch test = items_batch(data.test, data.info, 0, 2, at::kCPU);
  EXPECT_FALSE(train.input[0].equal(train.input[1]));
  for (const int64_t i : {0, 1}) {
    for (const int64_t j : {0, 1}) EXPECT_FALSE(train.input[i].equal(test.input[j]));
  }
}

TEST(Binarize, ThresholdCutsAt128) {
  const Dataset data = make_data(4, Binarize::threshold, [](int64_t i) {
    return (std::vector{0, 127, 128, 255})[i];
  });
  const Batch batch = items_batch(data.test, data.info, 0, 4, at::kCPU);
  EXPECT_TRUE(batch.input.flatten(1).select(1, 3).equal(at::tensor({0.f, 0.f, 1.f, 1.f})));
  EXPECT_EQ(batcher(data, 4).at(0, 0, 0).input.sum().item<double>(), 2 * 4);
}

TEST(Binarize, NoneKeepsGrey) {
  const Dataset data = numbered(256);
  const Batch batch = items_batch(data.test, data.info, 0, 256, at::kCPU);
  EXPECT_TRUE(batch.input.select(1, 0).select(1, 0).select(1, 0).equal(
      at::arange(256).to(at::kFloat) / 255));
}

TEST(ItemsBatch, IsTheSameWhateverElseIsAskedFor) {
  for (const Binarize binarize : {Binarize::none, Binarize::dynamic, Binarize::fixed}) {
    const Dataset data = make_data(
        10, binarize, [](int64_t i) { return 20 * i + 30; }, 8);
    const Batch all = items_batch(data.test, data.info, 0, 10, at::kCPU);
    const Batch some = items_batch(data.test, data.info, 4, 3, at::kCPU);
    EXPECT_EQ(some.sample_ids, (std::vector<int64_t>{4, 5, 6}));
    EXPECT_EQ(some.weight, 3);
    EXPECT_TRUE(some.input.equal(all.input.narrow(0, 4, 3)));
    EXPECT_TRUE(some.target.equal(all.target.narrow(0, 4, 3)));
  }
}

TEST(ItemsBatch, DynamicAndFixedAreTheProtocolsDraw) {
  const auto grey = [](int64_t i) { return 20 * i + 30; };
  const Dataset dynamic = make_data(10, Binarize::dynamic, grey, kSide);
  const Dataset fixed = make_data(10, Binarize::fixed, grey, kSide);
  const Tensor images = items_batch(dynamic.test, dynamic.info, 0, 10, at::kCPU).input;
  EXPECT_TRUE(images.equal(items_batch(fixed.test, fixed.info, 0, 10, at::kCPU).input));
  for (int64_t i = 0; i < 10; ++i) {
    expect_bernoulli(images[i], static_cast<double>(20 * i + 30) / 255);
  }
}

TEST(BinarizeProtocol, NamesDiffer) {
  std::set<std::string> names;
  for (const auto& [binarize, name] : kBinarizeNames) names.insert(binarize_protocol(binarize));
  EXPECT_EQ(names.size(), kBinarizeNames.size());
  EXPECT_EQ(names.count(""), 0u);
}

}  // namespace
}  // namespace genai
