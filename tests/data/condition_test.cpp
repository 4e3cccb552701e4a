#include "genai/data/condition.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/temp_folder.h"
#include "tensors.h"

namespace genai {
namespace {

const DataInfo kGrey{.source = "digits", .height = 8, .width = 8, .classes = {"a", "b"}};
const DataInfo kColour{.source = "pets", .channels = 3, .height = 8, .width = 6};

Tensors derived(const std::string& names, const DataInfo& info, const Tensor& items,
                const Tensor& labels = {}) {
  return conditions_of(find_conditions(names, info), items, {.labels = labels},
                       Draw(0, "test", ids(items.size(0))));
}

TEST(Conditions, AreFoundByTheirNames) {
  const ConditionSpecs specs = find_conditions("class,low-4,masked", kGrey);
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(classes_of(specs), 2);
  EXPECT_EQ(specs[1].parameter, 4);
  EXPECT_EQ(grid_channels(specs), 1 + 2);
  EXPECT_EQ(grid_channels(find_conditions("grey,low,sketch,masked", kColour)), 1 + 3 + 1 + 4);
  EXPECT_TRUE(find_conditions("", kGrey).empty());
}

TEST(Conditions, ThatCannotBeAreNamed) {
  const auto refuse = [](const std::string& names, const DataInfo& info, const char* part) {
    expect_error(ErrorKind::usage, part, [&] { find_conditions(names, info); });
  };
  refuse(
      "lov", kGrey,
      "'lov' is none; expected class, pair, past, caption, grey, sketch, low (or low-N), masked");
  refuse("low,low", kGrey, "'low' is there twice");
  refuse("low-x", kGrey, "'low-x' is none");
  refuse("sketch-2", kGrey, "'sketch-2' is none");
  refuse("low-3", kGrey, "expected a factor from 2 on that divides 8x8");
  refuse("low-0", kGrey, "low-0");
  refuse("low-4", kColour, "divides 6x8");
  refuse("grey", kGrey, "grey is of images in colour");
  refuse("class", kColour, "'pets' has no labels");
  refuse(",", kGrey, "'' is none");
  DataInfo real = kGrey;
  real.levels = 0;
  refuse("low", real, "low is derived from images");
}

TEST(Conditions, LowIsTheMeanOfEachBlock) {
  const Tensor x = Draw(1, "x", ids(2)).uniform("x", {1, 8, 8});
  const Tensor low = derived("low-4", kGrey, x).at("low-4");
  EXPECT_EQ(low.sizes(), x.sizes());
  expect_near(low[1][0][5][2], x[1][0].narrow(0, 4, 4).narrow(1, 0, 4).mean(), 1e-6);
  expect_near(low[0][0][0][0], low[0][0][3][3], 0);
}

TEST(Conditions, GreyWeighsColoursByTheirLight) {
  const Tensor x = at::zeros({1, 3, 8, 6});
  x[0][0].fill_(0.5);
  x[0][2].fill_(1);
  expect_near(derived("grey", kColour, x).at("grey"), at::full({1, 1, 8, 6}, 0.5 * 0.299 + 0.114),
              1e-6);
}

TEST(Conditions, SketchesAreDarkWhereThereAreEdges) {
  const Tensor x = at::zeros({1, 1, 8, 8});
  x.narrow(3, 4, 4).fill_(1);  // the right half is white
  const Tensor sketch = derived("sketch", kGrey, x).at("sketch");
  for (int64_t column = 0; column < 8; ++column) {
    const double expected = column == 3 || column == 4 ? 0 : 1;
    expect_near(sketch.select(3, column), at::full({1, 1, 8}, expected), 1e-6);
  }
  // The same turned; no edge, no line.
  expect_near(derived("sketch", kGrey, x.transpose(2, 3)).at("sketch"), sketch.transpose(2, 3), 0);
  expect_near(derived("sketch", kGrey, at::ones({1, 1, 8, 8})).at("sketch"), at::ones({1, 1, 8, 8}),
              0);
}

TEST(Conditions, MasksHideAQuarterAndSayWhere) {
  const Tensor x = at::ones({50, 1, 8, 8});
  const Tensor masked = derived("masked", kGrey, x).at("masked");
  EXPECT_EQ(masked.sizes(), (at::IntArrayRef{50, 2, 8, 8}));
  EXPECT_TRUE(masked.select(1, 0).equal(masked.select(1, 1)));
  EXPECT_TRUE(masked.select(1, 1).sum({1, 2}).eq(48).all().item<bool>());
  // At many places, the corners among them; the same for an item whatever is beside it.
  const Tensor known = masked.select(1, 1).sum(0);
  EXPECT_LT(known[0][0].item<float>(), 50);
  EXPECT_LT(known[7][7].item<float>(), 50);
  EXPECT_GT(known[0][0].item<float>(), known[4][4].item<float>());
  EXPECT_TRUE(
      derived("masked", kGrey, x.narrow(0, 0, 3)).at("masked").equal(masked.narrow(0, 0, 3)));
}

TEST(Conditions, WithoutLabelsTheClassIsLeftOut) {
  const Tensor x = at::ones({2, 1, 8, 8});
  EXPECT_EQ(derived("class,low", kGrey, x).count("class"), 0u);
  EXPECT_TRUE(labels_among(derived("class,low", kGrey, x, at::tensor({1, 0}))).defined());
  EXPECT_FALSE(labels_among({}).defined());
}

TEST(Conditions, OfAPictureAreFittedToTheItems) {
  const ConditionSpecs specs = find_conditions("low,sketch,masked", kGrey);
  Image small{.width = 4, .height = 4, .channels = 1, .pixels = std::vector<uint8_t>(16, 255)};
  small.pixels[5] = 0;
  const Tensor low = condition_of_picture(specs[0], small, kGrey);
  ASSERT_EQ(low.sizes(), (at::IntArrayRef{1, 1, 8, 8}));
  EXPECT_EQ(low.eq(0).sum().item<int64_t>(), 4);  // exactly the block of one pixel
  Image colour{.width = 30, .height = 16, .channels = 3};
  colour.pixels.resize(30 * 16 * 3, 255);
  EXPECT_EQ(condition_of_picture(specs[1], colour, kGrey).sizes(), (at::IntArrayRef{1, 1, 8, 8}));
  expect_error(ErrorKind::usage, "masked is taken from test images alone",
               [&] { condition_of_picture(specs[2], colour, kGrey); });
}

}  // namespace
}  // namespace genai
