// The frames that come next, each made from those before it.
#include "genai/generation/rollout.h"

#include <gtest/gtest.h>

#include "app/short_run.h"
#include "base/temp_folder.h"
#include "genai/evaluation/told.h"
#include "genai/generation/recreate.h"
#include "tensors.h"

namespace genai {
namespace {

constexpr int64_t kFrames = 7, kFrameSide = 8;

/// Clips of a bright column that goes to the right or to the left by one pixel a frame, and comes
/// in again at the other side.
Dataset columns(int64_t ahead = 1) {
  std::vector<Tensor> frames;
  std::vector<int64_t> items, before;
  for (int64_t clip = 0; clip < 64; ++clip) {
    for (int64_t frame = 0; frame < kFrames; ++frame) {
      const int64_t at = clip + (clip % 2 ? frame : kFrames * kFrameSide - frame);
      Tensor picture = at::full({1, kFrameSide, kFrameSide}, 20, at::kByte);
      picture.select(2, at % kFrameSide).fill_(240);
      if (frame >= 2 && frame + ahead <= kFrames) {
        items.push_back(static_cast<int64_t>(frames.size()));
        before.push_back(items.back() - 2);
      }
      frames.push_back(picture);
    }
  }
  const Tensor all = at::stack(frames);
  Split split{.grids = all.index_select(0, at::tensor(items, at::kLong)),
              .frames = all,
              .before = at::tensor(before, at::kLong),
              .past = 2,
              .ahead = ahead};
  const int64_t tests = 16 * (kFrames - 1 - ahead);
  Dataset data{.info = {.source = "columns",
                        .channels = 1,
                        .height = kFrameSide,
                        .width = kFrameSide,
                        .train_count = split.size(),
                        .test_count = tests,
                        .fingerprint = "columns"},
               .train = split,
               .test = split.first(tests),
               .notes = {}};
  data.info.past = 2;
  data.info.ahead = ahead;
  return data;
}

const Json kPredictor = {
    {"family", "gan"},
    {"condition", "past"},
    {"latent", 1},
    {"adversarial", 0},
    {"reconstruction", 1},
    {"generator", {{"kind", "unet"}, {"width", 16}, {"levels", 1}, {"patch", 1}}}};

class Rollouts : public testing::Test {
 protected:
  LoadedModel train_run(const std::string& name, const Json& model, int64_t steps,
                        bool resume = false) {
    return short_run(folder_ / name, data_, model, steps, resume);
  }
  Evaluation measured(const LoadedModel& loaded) {
    Evaluation found;
    measure_told(loaded, data_, 0, Json::object(), found);
    return found;
  }

  void expect_going_on(const LoadedModel& loaded) {
    const Evaluation found = measured(loaded);
    const auto value = [&](const std::string& name) {
      for (const Metric& metric : found.metrics)
        if (metric.name == name + "@columns-test16/2to5") return metric.value;
      ADD_FAILURE() << "no " << name;
      return 0.0;
    };
    EXPECT_GT(value("rollout_ssim"), 0.9);
    EXPECT_LT(value("rollout_mse"), 1);
    // The column is elsewhere: 16 pixels are wrong by 220 of 255.
    EXPECT_NEAR(value("rollout_mse_of_last_frame"), 16 * std::pow(220 / 255.0, 2), 1e-9);
    EXPECT_LT(value("rollout_ssim_of_last_frame"), 0.5);
    EXPECT_EQ(found.pictures.count("rollout"), 1u);
  }

  TempFolder folder_;
  Dataset data_ = columns();
};

TEST_F(Rollouts, GoOnAsTheClipsDid) {
  expect_going_on(train_run("run", kPredictor, 250));
}

TEST_F(Rollouts, ThatWereLearntFromFramesOfTheirOwnGoOnAsTheClipsDid) {
  data_ = columns(3);
  const LoadedModel loaded = train_run("run", kPredictor, 150);
  expect_going_on(loaded);
  EXPECT_EQ(loaded.manifest.data.ahead, 3);
  // The loss of an item is that of the frames that come of it.
  const Batch batch = items_batch(data_.test, data_.info, 5, 1, at::kCPU, loaded.model->inputs());
  Draw draw(0, "", {5});
  const double found = loaded.model->validate(batch, draw).at("l1").item<double>();
  const Rollout three =
      roll_out(loaded, {.count = 1, .condition = {.items = data_.test.at(at::tensor({5}))}}, 3);
  const Tensor apart = three.frames.flatten(1, 2).to(at::kFloat) / 255 - batch.ahead;
  EXPECT_NEAR(found, 2 * apart.abs().mean().item<double>(), 2.0 / 255);  // pixels in -1..1, rounded
}

TEST_F(Rollouts, AreLearntFromByPredictorsAlone) {
  data_ = columns(3);
  const std::string why =
      "learns from the next frame alone; expected 1, or a gan that is told past";
  expect_error(ErrorKind::usage, why, [&] { train_run("run", small_diffusion("past"), 1); });
  Json playing = kPredictor;
  playing["adversarial"] = 1;
  expect_error(ErrorKind::usage, why, [&] { train_run("run", playing, 1); });
}

TEST_F(Rollouts, BeginWithTheSamplesAndDependOnNothingElse) {
  const LoadedModel loaded =
      train_run("run", small_diffusion("past"), 20);  // with noise in each frame
  const Rollout three = roll_out(loaded, {.first = 3, .count = 4}, 3);
  EXPECT_EQ(three.past.sizes(), (at::IntArrayRef{4, 2, 1, kFrameSide, kFrameSide}));
  EXPECT_TRUE(at::equal(three.past.flatten(1, 2),
                        load_kept(loaded.run, loaded.manifest).past_frames().narrow(0, 3, 4)));
  EXPECT_TRUE(
      at::equal(three.frames.select(1, 0), generate_items(loaded, {.first = 3, .count = 4})));
  EXPECT_TRUE(at::equal(roll_out(loaded, {.first = 3, .count = 4}, 2).frames,
                        three.frames.narrow(1, 0, 2)));
  EXPECT_TRUE(at::equal(roll_out(loaded, {.first = 5, .count = 1}, 3).frames[0], three.frames[2]));
  // Each frame has noise of its own: the model made it of the frames before.
  const Rollout test = roll_out(loaded, {.count = 2, .condition = {.test = 7}}, 2);
  EXPECT_TRUE(at::equal(test.past[0], test.past[1]));
  EXPECT_FALSE(at::equal(test.frames[0], test.frames[1]));
}

TEST_F(Rollouts, OfAClipOfTheUsersBeginWithItsLastFrames) {
  const LoadedModel loaded = train_run("run", kPredictor, 250);
  std::vector<Image> clip;
  for (int64_t frame = 0; frame < 4; ++frame) {
    Image image{16, 16, 3, std::vector<uint8_t>(16 * 16 * 3, 20)};  // twice as large, in colour
    for (int64_t i = 0; i < 16 * 16; ++i) {
      if (i % 16 / 2 == frame) std::fill_n(image.pixels.begin() + 3 * i, 3, uint8_t{240});
    }
    clip.push_back(image);
  }
  const ConditionSpec& past = *find_condition(loaded.model->conditions(), kPast);
  const Rollout rollout = roll_out(
      loaded,
      {.count = 1,
       .condition = {.given = {{kPast, past_of_clip(past, clip, "clip", loaded.manifest.data)}}}},
      2);
  EXPECT_EQ(rollout.past[0][1][0][0].argmax().item<int64_t>(), 3);
  EXPECT_EQ(rollout.frames[0][0][0][0].argmax().item<int64_t>(), 4);
  EXPECT_EQ(rollout.frames[0][1][0][0].argmax().item<int64_t>(), 5);
  expect_error(ErrorKind::usage, "clip: expected a clip of at least 2 frames",
               [&] { past_of_clip(past, {clip[0]}, "clip", loaded.manifest.data); });
  clip[3] = Image{8, 8, 1, std::vector<uint8_t>(64)};
  expect_error(ErrorKind::data, "clip: expected frames of one size, 16x16 as the first, found 8x8",
               [&] { past_of_clip(past, clip, "clip", loaded.manifest.data); });
}

TEST_F(Rollouts, AreMadeAgainByWhatTheirPicturesSay) {
  const LoadedModel loaded = train_run("run", kPredictor, 3);
  const ImageRequest request{.first = 2, .count = 3, .label = -1};
  const Rollout rollout = roll_out(loaded, request, 4);
  const auto again = [&](const std::string& bytes) { return recreate(bytes, "x", loaded); };
  const Image strip = draw_clip_strip(rollout, 2);
  EXPECT_TRUE(
      again(encode_png(strip, provenance(loaded, rollout_json(loaded, request, 4, true, 2), strip)))
          .same);
  const auto frames = draw_clips(rollout, 3);
  EXPECT_EQ(frames.size(), 6u);
  const std::string moving = encode_apng(
      frames, provenance(loaded, rollout_json(loaded, request, 4, false, 3), frames[0].image));
  EXPECT_TRUE(again(moving).same);
  EXPECT_FALSE(again(encode_apng(frames, provenance(loaded,
                                                    rollout_json(loaded, {.first = 9, .count = 3},
                                                                 4, false, 3),
                                                    frames[0].image)))
                   .same);
}

TEST_F(Rollouts, ResumeBitForBitAndNeedTheFramesBefore) {
  const LoadedModel whole = train_run("whole", kPredictor, 6);
  train_run("halves", kPredictor, 3);
  EXPECT_EQ(train_run("halves", kPredictor, 6, /*resume=*/true).manifest.files,
            whole.manifest.files);
  const LoadedModel grid = train_run("grid", small_diffusion("sketch"), 1);
  expect_error(ErrorKind::usage, "expected a model that is told the frames before",
               [&] { roll_out(grid, {.count = 1}, 2); });
  const LoadedModel both = train_run("both", small_diffusion("past,sketch"), 1);
  expect_error(ErrorKind::usage, "this model is also told the sketch of each frame",
               [&] { roll_out(both, {.count = 1}, 2); });
}

/// Grey pictures of models that are told a grid against what the grids belong to.
TEST_F(Rollouts, OfPicturesAreMeasuredAgainstThem) {
  const LoadedModel loaded = train_run("run", small_diffusion("low"), 300);
  const Evaluation found = measured(loaded);
  std::map<std::string, double> values;
  for (const Metric& metric : found.metrics)
    values[metric.name.substr(0, metric.name.find('@'))] = metric.value;
  EXPECT_GT(values.at("told_psnr"), values.at("told_psnr_of_bicubic"));
  EXPECT_GT(values.at("told_distance"), 0);
  EXPECT_EQ(found.metrics[0].name, "told_psnr@columns-test80/given-low");
  EXPECT_EQ(found.pictures.count("told"), 1u);
}

}  // namespace
}  // namespace genai
