// Edits by models that are told a grid: colorize, draw, repair, upscale.
#include <gtest/gtest.h>

#include "base/temp_folder.h"
#include "genai/data/condition.h"
#include "genai/generation/edit.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"
#include "tensors.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

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
    Json model = family == "diffusion"
                     ? Json{{"network", {{"width", 16}, {"multipliers", {1}}, {"blocks", 1}}}}
                     : find_family(family).tiny;
    model.update({{"family", family}, {"condition", condition}});
    Settings settings;
    settings.merge({{"model", model},
                    {"data", {{"source", "coloured"}}},
                    {"training",
                     {{"steps", steps},
                      {"batch", 16},
                      {"learning_rate", 3e-3},
                      {"device", "cpu"},
                      {"precision", "float32"},
                      {"threads", 1}}}},
                   "test");
    const Family& found = find_family(family);
    const fs::path run = folder_ / (family + condition);
    fs::create_directories(run);
    TrainObserver observer;
    train({.family = found,
           .config = settings.resolve(run_sections(found)),
           .data = &data_,
           .run = run},
          observer);
    return load_model({.folder = run, .checkpoint = ""}, at::kCPU);
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
  refuses("draw: expected a model that is told sketch", Edit::draw, 8);
  refuses("does not apply to the family 'vae'", Edit::vary, 8);
  refuses("does not apply to the family 'vae'", Edit::upscale, 2);  // by 4, and it is told by 2
  const LoadedModel two = train_run("diffusion", "grey,low", 1);
  expect_error(ErrorKind::usage, "request.condition: no low is given", [&] {
    edit_pixels(two, {.edit = Edit::colorize}, 1, at::zeros({1, 3, 8, 8}, at::kByte));
  });
}

}  // namespace
}  // namespace genai
