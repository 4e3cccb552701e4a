#include "genai/data/text_set.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "base/temp_folder.h"
#include "genai/data/batcher.h"

namespace genai {
namespace {

class TextSet : public testing::Test {
 protected:
  Dataset load(const std::string& text, DataConfig config = {}) {
    const auto file = folder_ / "text.txt";
    std::ofstream(file, std::ios::binary) << text;
    config.source = file.string();
    return load_dataset(config);
  }
  static std::vector<int64_t> row(const Tensor& x, int64_t i) {
    const Tensor r = x[i].contiguous();
    return {r.const_data_ptr<int64_t>(), r.const_data_ptr<int64_t>() + r.numel()};
  }

  TempFolder folder_;
};

/// A text in which every byte tells its place: 0, 1, ..., 199.
std::string places() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>(i);
  return text;
}

TEST_F(TextSet, WindowsHoldTokensAndTheNextOnes) {
  const Dataset data =
      load(places(), {.test_share = 0.25, .own = {{"tokenizer", "bytes"}, {"context", 8}}});
  EXPECT_EQ(data.info.modality, &text_modality());
  EXPECT_EQ(data.info.vocabulary(), 256);
  EXPECT_EQ(data.train.tokens.numel(), 150);
  EXPECT_EQ(data.test.tokens.numel(), 50);
  EXPECT_EQ(data.test.size(), 7);  // 49 targets: six windows of eight and one of one
  const Batch batch = items_batch(data.test, data.info, 0, 7, at::kCPU);
  EXPECT_EQ(batch.input.sizes(), (at::IntArrayRef{7, 8}));
  EXPECT_EQ(row(batch.input, 1), (std::vector<int64_t>{158, 159, 160, 161, 162, 163, 164, 165}));
  EXPECT_EQ(row(batch.target, 1), (std::vector<int64_t>{159, 160, 161, 162, 163, 164, 165, 166}));
  EXPECT_EQ(row(batch.target, 6), (std::vector<int64_t>{199, -1, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(batch.weight, 49);
  EXPECT_EQ(batch.counts.sum().item<float>(), 49);
  EXPECT_EQ(batch.sample_ids, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6}));
}

TEST_F(TextSet, AnEpochCoversTheTextOnceAndTheNextCutsItAnew) {
  const Dataset data =
      load(places(), {.test_share = 0.2, .own = {{"tokenizer", "bytes"}, {"context", 8}}});
  ASSERT_EQ(data.train.size(), 20);  // 160 tokens
  const Batcher batches(data, 1, 4, 1, 1, at::kCPU);
  std::vector<int64_t> cuts;
  for (int epoch = 0; epoch < 8; ++epoch) {
    std::vector<int64_t> seen;
    for (int step = 0; step < 5; ++step) {
      const Batch batch = batches.at(5 * epoch + step, 0, 0);
      EXPECT_EQ(batch.weight, 32);
      for (int64_t i = 0; i < 4; ++i) {
        const auto input = row(batch.input, i), target = row(batch.target, i);
        seen.insert(seen.end(), input.begin(), input.end());
        for (size_t t = 0; t < 8; ++t) EXPECT_EQ(target[t], (input[t] + 1) % 160);
        if (step == 0 && i == 0) cuts.push_back(input[0] % 8);
      }
    }
    std::sort(seen.begin(), seen.end());
    std::vector<int64_t> all(160);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all) << epoch;
  }
  std::sort(cuts.begin(), cuts.end());
  EXPECT_GE(std::unique(cuts.begin(), cuts.end()) - cuts.begin(), 3);
}

TEST_F(TextSet, ConsecutiveWindowsGoOnWhereTheyEnded) {
  const Dataset data =
      load(places(), {.test_share = 0.2,
                      .own = {{"tokenizer", "bytes"}, {"context", 8}, {"windows", "consecutive"}}});
  const Batcher whole(data, 1, 4, 1, 1, at::kCPU), halves(data, 1, 4, 2, 1, at::kCPU);
  for (int64_t step = 0; step < 6; ++step) {
    const Batch batch = whole.at(step, 0, 0);
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(row(batch.input, i)[0], (40 * i + 8 * step) % 160);
    }
    EXPECT_TRUE(at::equal(batch.input,
                          at::cat({halves.at(step, 0, 0).input, halves.at(step, 0, 1).input})));
  }
}

TEST_F(TextSet, LinesStandAfterALineEndAndAreFilledUp) {
  const Dataset data = load("ab\nc\nabc\n\nb\n", {.test_share = 0.25, .own = {{"lines", true}}});
  EXPECT_EQ(data.info.vocabulary(), 4);  // \n a b c
  EXPECT_EQ(data.info.context, 4);
  EXPECT_EQ(data.train.size(), 3);
  EXPECT_EQ(data.test.size(), 1);
  const Batch batch = items_batch(data.train, data.info, 0, 3, at::kCPU);
  const auto& tokenizer = *data.info.tokenizer;
  for (int64_t i = 0; i < 3; ++i) {
    const auto input = row(batch.input, i), target = row(batch.target, i);
    const auto count = batch.counts[i].item<int64_t>();
    EXPECT_EQ(tokenizer.token(static_cast<int32_t>(input[0])), "\n");
    EXPECT_EQ(tokenizer.token(static_cast<int32_t>(target[static_cast<size_t>(count - 1)])), "\n");
    for (int64_t t = 0; t + 1 < count; ++t) {
      EXPECT_EQ(input[static_cast<size_t>(t + 1)], target[static_cast<size_t>(t)]);
    }
    for (int64_t t = count; t < 4; ++t) EXPECT_EQ(target[static_cast<size_t>(t)], kNoTarget);
  }
  EXPECT_EQ(batch.weight, batch.counts.sum().item<double>());
}

TEST_F(TextSet, InfoRoundTripsThroughJson) {
  const Dataset data =
      load("abcabcabc abc abc", {.own = {{"context", 4}, {"windows", "consecutive"}}});
  const DataInfo info = data_info_from_json(to_json(data.info));
  EXPECT_EQ(to_json(info), to_json(data.info));
  EXPECT_EQ(info.tokenizer->fingerprint(), data.info.tokenizer->fingerprint());
  EXPECT_EQ(info.windows, Windows::consecutive);
}

TEST_F(TextSet, TheTokensOfWeightsReadAnotherText) {
  const Dataset first = load("hello world, hello", {.own = {{"context", 4}}});
  const auto file = folder_ / "other.txt";
  std::ofstream(file) << "hold her low hold her low hold her low";
  const Dataset second = load_dataset({.source = file.string(), .own = {{"context", 4}}},
                                      {.tokenizer = first.info.tokenizer});
  EXPECT_EQ(second.info.tokenizer, first.info.tokenizer);
  std::ofstream(file) << "zebra zebra zebra zebra";
  expect_error(ErrorKind::data, "'z'", [&] {
    load_dataset({.source = file.string(), .own = {{"context", 4}}},
                 {.tokenizer = first.info.tokenizer});
  });
}

TEST_F(TextSet, RefusesWhatDoesNotFit) {
  const std::string text = "to be or not to be";
  expect_error(ErrorKind::data, "too few for windows of 64", [&] {
    load(text, {.own = {{"context", 64}}});
  });
  expect_error(ErrorKind::usage, "the longest line", [&] {
    load("abc\nabcdef\nab\nabc\n", {.own = {{"context", 3}, {"lines", true}}});
  });
  expect_error(ErrorKind::usage, "is for images", [&] { load(text, {.own = {{"size", 8}}}); });
  expect_error(ErrorKind::usage, "no windows", [&] {
    load("ab\nab\nab\n", {.own = {{"lines", true}, {"windows", "consecutive"}}});
  });
  expect_error(ErrorKind::data, "empty", [&] { load("", {}); });
  expect_error(ErrorKind::data, "byte 3", [&] {
    load(
        "abc\xff"
        "abcdef",
        {.own = {{"context", 2}}});
  });
  expect_error(ErrorKind::usage, "windows, but", [&] {
    const Dataset data = load(places(), {.own = {{"tokenizer", "bytes"}, {"context", 64}}});
    Batcher(data, 1, 100, 1, 1, at::kCPU);
  });
}

TEST(WindowsAtOnce, AreBoundedByTheirLogits) {
  const auto windows = [](int64_t vocabulary, int64_t context) {
    std::string text;
    for (int64_t i = 0; i < vocabulary - Bpe::kBytes; ++i) {
      for (int64_t rest = i, k = 0; k < 4; ++k, rest /= 26)
        text += static_cast<char>('a' + rest % 26);
      text += ' ';
    }
    DataInfo info{.modality = &text_modality(),
                  .tokenizer = make_tokenizer(TokenizerKind::words, text + "a"),
                  .context = context};
    EXPECT_NEAR(static_cast<double>(info.vocabulary()), static_cast<double>(vocabulary), 2);
    return windows_at_once(info);
  };
  EXPECT_EQ(windows(900, 128), 128);    // 16,384 tokens
  EXPECT_EQ(windows(50'257, 128), 2);   // 64 MiB of logits
  EXPECT_EQ(windows(50'257, 1024), 1);  // one at least
}

}  // namespace
}  // namespace genai
