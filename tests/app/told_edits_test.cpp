// Edits by models that are told a grid: colorize, draw, repair, upscale.
#include <gtest/gtest.h>

#include "app/short_run.h"
#include "base/temp_folder.h"
#include "genai/data/condition.h"
#include "genai/generation/edit.h"
#include "tensors.h"

namespace genai {
namespace {

/// 8x8 colour pictures of one colour each: bright ones are red, dark ones blue.
Dataset coloured() {
  std::vector<Tensor> grids;
  for (int64_t i = 0; i < 96; ++i) {
    const bool bright = i % 2 == 0;
    const Tensor colour =
        bright ? at::tensor({250, 130, 120}, at::kByte) : at::tensor({10, 20, 110}, at::kByte);
    grids.push_back((colour + i % 5).view({3, 1, 1}).expand({3, 8, 8}));
  }
  const Split split{.grids = at::stack(grids).contiguous()};
  return {.info = {.source = "coloured",
                   .channels = 3,
                   .height = 8,
                   .width = 8,
                   .train_count = 96,
                   .test_count = 16,
                   .fingerprint = "coloured"},
          .train = split,
          .test = split.first(16),
          .notes = {}};
}

class ToldEdits : public testing::Test {
 protected:
  LoadedModel train_run(const std::string& family, const std::string& condition, int64_t steps) {
    Json model = family == "diffusion" ? small_diffusion(condition) : find_family(family).tiny;
    model.update({{"family", family}, {"condition", condition}});
    return short_run(folder_ / (family + condition), data_, model, steps);
  }
  static double channel(const Tensor& pixels, int64_t which) {
    return pixels.select(1, which).to(at::kFloat).mean().item<double>();
  }

  TempFolder folder_;
  Dataset data_ = coloured();
};

TEST_F(ToldEdits, ColorizeGivesGreyPicturesTheColoursOfTheirKind) {
  const LoadedModel loaded = train_run("diffusion", "grey", 300);
  const auto colorized = [&](uint8_t grey) {
    return edit_pixels(loaded, {.edit = Edit::colorize}, 6,
                       at::full({1, 3, 8, 8}, grey, at::kByte));
  };
  const Tensor bright = colorized(165), dark = colorized(27);
  EXPECT_EQ(bright.sizes(), (at::IntArrayRef{6, 3, 8, 8}));
  EXPECT_GT(channel(bright, 0), channel(bright, 2) + 60);
  EXPECT_LT(channel(dark, 0), channel(dark, 2) - 40);
  // The same versions, whatever else is asked for.
  EXPECT_TRUE(at::equal(edit_pixels(loaded, {.edit = Edit::colorize, .first = 4}, 1,
                                    at::full({1, 3, 8, 8}, 165, at::kByte))[0],
                        bright[4]));
}

TEST_F(ToldEdits, RepairKeepsWhatIsKnownAndFillsTheRestLikeIt) {
  const LoadedModel loaded = train_run("diffusion", "masked", 300);
  const Tensor picture = data_.test.grids.narrow(0, 0, 1);
  Tensor mask = at::zeros({8, 8}, at::kByte);
  mask.narrow(0, 2, 4).narrow(1, 2, 4).fill_(255);
  const Tensor damaged = picture.masked_fill(mask.gt(0), 0);
  const Tensor repaired = edit_pixels(loaded, {.edit = Edit::repair}, 3, damaged, {}, mask);
  EXPECT_TRUE(at::equal(repaired.masked_fill(mask.gt(0), 0), damaged.expand({3, -1, -1, -1})));
  EXPECT_LT((repaired.to(at::kFloat) - picture).abs().mean().item<double>(), 12);
  expect_error(ErrorKind::usage, "request.mask: covers nothing", [&] {
    edit_pixels(loaded, {.edit = Edit::repair}, 1, damaged, {}, at::zeros({8, 8}, at::kByte));
  });
}

TEST_F(ToldEdits, DrawKeepsToDrawingsAsCloselyAsAsked) {
  // Told pairs: white for red pictures, black for blue ones.
  data_.train.pairs = data_.train.grids.narrow(1, 0, 1).gt(128).to(at::kByte) * 255;
  data_.test.pairs = data_.train.pairs.narrow(0, 0, 16);
  data_.info.pair_channels = 1;
  const LoadedModel loaded = train_run("diffusion", "pair", 300);
  const Tensor drawing = at::full({1, 3, 8, 8}, 255, at::kByte);
  const auto redness = [&](std::optional<double> strength) {
    const Tensor drawn =
        edit_pixels(loaded, {.edit = Edit::draw, .strength = strength}, 12, drawing);
    return channel(drawn, 0) - channel(drawn, 2);
  };
  const double usual = redness({});
  EXPECT_GT(usual, 60);
  EXPECT_EQ(redness(0.5), usual);
  EXPECT_LT(redness(0.01), usual - 20);  // as without a drawing: red and blue ones
  expect_error(ErrorKind::usage, "request.strength: is sampling.guidance in other words", [&] {
    edit_pixels(loaded, {.edit = Edit::draw, .strength = 1, .options = {{"guidance", 1}}}, 1,
                drawing);
  });
  const LoadedModel other = train_run("vae", "sketch", 1);
  expect_error(ErrorKind::usage, "request.strength: models of the family vae",
               [&] { edit_pixels(other, {.edit = Edit::draw, .strength = 1}, 1, drawing); });
  expect_error(ErrorKind::usage, "request.strength: is for vary and draw, not for upscale", [&] {
    edit_pixels(loaded, {.edit = Edit::upscale, .strength = 1}, 1,
                at::zeros({1, 3, 4, 4}, at::kByte));
  });
}

TEST_F(ToldEdits, AreMadeByEveryFamilyThatIsToldTheGrid) {
  for (const char* family : {"vae", "gan"}) {
    SCOPED_TRACE(family);
    if (family == std::string("vae")) {
      const LoadedModel loaded = train_run(family, "sketch", 2);
      const Tensor drawing = at::full({1, 3, 8, 8}, 255, at::kByte);
      EXPECT_EQ(edit_pixels(loaded, {.edit = Edit::draw}, 4, drawing).sizes(),
                (at::IntArrayRef{4, 3, 8, 8}));
    }
    const LoadedModel small = train_run(family, "low", 2);
    EXPECT_EQ(edit_pixels(small, {.edit = Edit::upscale}, 2, at::full({1, 3, 4, 4}, 9, at::kByte))
                  .sizes(),
              (at::IntArrayRef{2, 3, 8, 8}));
  }
}

TEST_F(ToldEdits, ThatTheModelIsNotToldAreRefused) {
  const LoadedModel loaded = train_run("vae", "low", 1);
  const auto refuses = [&](const std::string& what, Edit edit, int64_t side) {
    expect_error(ErrorKind::usage, what, [&] {
      edit_pixels(loaded, {.edit = edit}, 1, at::zeros({1, 3, side, side}, at::kByte));
    });
  };
  refuses("colorize: expected a model that is told grey; train one with model.condition grey",
          Edit::colorize, 8);
  refuses("draw: expected a model that is told sketch or pair", Edit::draw, 8);
  refuses("does not apply to the family 'vae'", Edit::vary, 8);
  refuses("does not apply to the family 'vae'", Edit::upscale, 2);  // by 4, and it is told by 2
  const LoadedModel two = train_run("diffusion", "grey,low", 1);
  expect_error(ErrorKind::usage, "request.condition: no low is given", [&] {
    edit_pixels(two, {.edit = Edit::colorize}, 1, at::zeros({1, 3, 8, 8}, at::kByte));
  });
}

}  // namespace
}  // namespace genai
