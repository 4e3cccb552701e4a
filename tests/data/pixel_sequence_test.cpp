#include "genai/data/pixel_sequence.h"

#include "base/temp_folder.h"
#include "genai/data/batcher.h"
#include "small_digits.h"
#include "tensors.h"

namespace genai {
namespace {

DataInfo info_of(int64_t channels, int64_t height, int64_t width) {
  return {.source = "test", .channels = channels, .height = height, .width = width};
}

TEST(LevelTokens, AreNumbersWhoseLowestDigitIsTheFirstChannel) {
  const LevelTokens tokens(3, 2, 1, 2, "x", "");
  EXPECT_EQ(tokens.codes(), 9);
  EXPECT_EQ(tokens.length(), 2);
  const Tensor grid = at::tensor({1, 2, 2, 0}, at::kLong).view({1, 2, 1, 2});
  EXPECT_TRUE(at::equal(tokens.tokens(grid), at::tensor({1 + 3 * 2, 2}, at::kInt).view({1, 2})));
  EXPECT_TRUE(at::equal(tokens.grids(tokens.tokens(grid)), grid));
}

TEST(LevelTokens, AreMetOnceEach) {
  const LevelTokens tokens(4, 3, 8, 8, "x", "");
  const Tensor all = at::arange(64, at::kInt).view({1, 64});
  EXPECT_TRUE(at::equal(tokens.tokens(tokens.grids(all)), all));
  EXPECT_EQ(tokens.grids(all).max().item<int64_t>(), 3);
}

TEST(PixelSequence, ReadsPatchesInRasterOrder) {
  PixelSequence codec(info_of(1, 4, 4), 2, 2);
  const Tensor image = at::tensor({1, 0, 0, 1,  //
                                   0, 0, 1, 1,  //
                                   0, 0, 1, 1,  //
                                   0, 1, 1, 1},
                                  at::kFloat)
                           .view({1, 1, 4, 4});
  // The pixels of a patch count 1, 2, 4, 8.
  EXPECT_TRUE(
      at::equal(codec.encode(image), at::tensor({1, 2 + 4 + 8, 8, 15}, at::kInt).view({1, 4})));
  EXPECT_TRUE(at::equal(codec.decode(codec.encode(image)), image));
}

TEST(PixelSequence, RoundsPixelsToEvenLevelsAndKeepsThose) {
  const DataInfo info = info_of(3, 2, 2);
  for (const int64_t levels : {2, 5}) {
    PixelSequence codec(info, levels, 1);
    const Tensor image = Draw(1, "test", ids(7)).uniform("x", {3, 2, 2});
    const Tensor rounded = codec.decode(codec.encode(image));
    const double half = 0.5 / static_cast<double>(levels - 1);
    EXPECT_LE(distance(rounded, image), half + 1e-6);
    EXPECT_TRUE(at::equal(codec.decode(codec.encode(rounded)), rounded));
    EXPECT_EQ(codec.pixel_model(), concat("levels", levels));
  }
  PixelSequence all(info_of(1, 16, 16), 256, 1);
  const Tensor pixels = at::arange(256, at::kByte).view({1, 1, 16, 16});
  const Tensor same = all.decode(all.encode(pixels.to(at::kFloat) / 255));
  EXPECT_TRUE(at::equal((same * 255).round().to(at::kByte), pixels));
}

TEST(PixelSequence, SaysWhatAModelComputesOn) {
  const DataInfo info = info_of(1, 28, 28);
  const DataInfo seen = PixelSequence(info, 4, 2).encoded(info);
  EXPECT_EQ(seen.kind(), ItemKind::sequence);
  EXPECT_EQ(seen.codes, 256);
  EXPECT_EQ(seen.context, 196);
  EXPECT_EQ(seen.vocabulary(), 257);
  EXPECT_EQ(info.kind(), ItemKind::grid);
}

TEST(PixelSequence, RefusesWhatDoesNotFit) {
  expect_error(ErrorKind::usage, "model.patch: 3 does not divide images of 28x28",
               [] { PixelSequence(info_of(1, 28, 28), 2, 3); });
  expect_error(ErrorKind::usage, "model.patch: 12 numbers of 4 levels make more than 65536",
               [] { PixelSequence(info_of(3, 28, 28), 4, 2); });
  expect_error(ErrorKind::usage, "257x256 tokens are more than",
               [] { PixelSequence(info_of(1, 256, 257), 2, 1); });
  DataInfo binary = info_of(1, 8, 8);
  binary.binarize = Binarize::dynamic;
  expect_error(ErrorKind::usage, "model.levels: expected 2 for binarized pixels",
               [&] { PixelSequence(binary, 4, 2); });
  DataInfo real = info_of(1, 8, 8);
  real.levels = 0;
  expect_error(ErrorKind::usage, "sequences are made of pixels",
               [&] { PixelSequence(real, 2, 2); });
}

TEST(PixelSequence, OfABatchBeginWithTheStartAndAreTheirOwnTargets) {
  for (const Binarize binarize : {Binarize::none, Binarize::dynamic}) {
    Dataset data = small_digits(40, 10);
    data.info.binarize = binarize;
    const ModelInputs inputs{.codec = std::make_shared<PixelSequence>(data.info, 2, 2),
                             .conditions = find_conditions("class", data.info)};
    const Batcher batcher(data, 1, 8, 1, 1, at::kCPU, {}, inputs);
    const Batcher pixels(data, 1, 8, 1, 1, at::kCPU);
    for (const int64_t step : {0, 7}) {
      const Batch batch = batcher.at(step, 0, 0), plain = pixels.at(step, 0, 0);
      EXPECT_TRUE(at::equal(batch.target, inputs.codec->encode(plain.input).to(at::kLong)));
      EXPECT_TRUE(batch.input.select(1, 0).eq(16).all().item<bool>());
      EXPECT_TRUE(at::equal(batch.input.slice(1, 1), batch.target.slice(1, 0, -1)));
      EXPECT_TRUE(at::equal(batch.conditions.at("class"), plain.target));
      EXPECT_EQ(batch.weight, 8 * 196);
      EXPECT_TRUE(batch.counts.eq(196).all().item<bool>());
    }
    const Batch test = items_batch(data.test, data.info, 2, 3, at::kCPU, inputs);
    const Batch plain = items_batch(data.test, data.info, 2, 3, at::kCPU);
    EXPECT_TRUE(at::equal(test.target, inputs.codec->encode(plain.input).to(at::kLong)));
  }
}

}  // namespace
}  // namespace genai
