// Clips: frames that follow each other, and what comes before each.
#include <ATen/ATen.h>

#include <fstream>

#include "base/temp_folder.h"
#include "genai/base/animation.h"
#include "genai/base/hash.h"
#include "genai/base/png.h"
#include "genai/data/batcher.h"
#include "genai/data/digits.h"
#include "genai/data/moving_digits.h"
#include "tensors.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const ImageSet& source() {
  static const ImageSet digits = make_digits(0, 200, 100);
  return digits;
}

TEST(MovingDigits, AreTheSameOnEveryMachine) {
  const ImageSet set = make_moving_digits("moving-digits", source(), 3, 2);
  const auto hash = [](const LabelledImages& clips) {
    return sha256({reinterpret_cast<const char*>(clips.pixels.data()), clips.pixels.size()});
  };
  EXPECT_EQ(set.train.count, 60);
  EXPECT_EQ(set.train.clips, (std::vector<int64_t>{0, 20, 40, 60}));
  EXPECT_EQ(hash(set.train), "3ee0b0c0a0ceed738224a40cb45bd40957a1607587077c7470e6260b2318787e");
  EXPECT_EQ(hash(set.test), "4582e4d7131aa7d459ebf80527ea1cfe374d50c805aad0fcfb46dd2206734f22");
  // A clip does not depend on how many there are.
  const ImageSet more = make_moving_digits("moving-digits", source(), 5, 2);
  EXPECT_TRUE(
      std::equal(set.train.pixels.begin(), set.train.pixels.end(), more.train.pixels.begin()));
}

TEST(MovingDigits, GoStraightOnAndTurnBackAtTheEdges) {
  // Digits of one bright pixel in their middle: where they are.
  LabelledImages points{.count = 1, .height = 28, .width = 28, .pixels = std::vector<uint8_t>(784)};
  points.pixels[14 * 28 + 14] = 255;
  int turns = 0;
  for (int64_t clip = 0; clip < 20; ++clip) {
    std::vector<uint8_t> frames(static_cast<size_t>(kClipFrames * kClipSide * kClipSide));
    draw_clip(points, 7, clip, frames.data());
    const Tensor seen =
        at::from_blob(frames.data(), {kClipFrames, kClipSide, kClipSide}, at::kByte);
    const Tensor lit = seen.ne(0).flatten(1).sum(1);
    EXPECT_TRUE(lit.ge(1).logical_and(lit.le(2)).all().item<bool>());
    const Tensor places = seen.ne(0).nonzero();  // [points, frame y x]
    EXPECT_GE(places.slice(1, 1).min().item<int64_t>(), 14);
    EXPECT_LE(places.slice(1, 1).max().item<int64_t>(), 14 + 36);
    // The middle of both moves by less than a step and its rounding.
    std::vector<Tensor> middles;
    for (int64_t frame = 0; frame < kClipFrames; ++frame) {
      const Tensor of_frame = places.select(1, 0).eq(frame).nonzero().squeeze(1);
      const Tensor both = places.index_select(0, of_frame).slice(1, 1).to(at::kFloat);
      middles.push_back(both.mean(0));
    }
    const Tensor speed = at::stack(middles).diff(1, 0);
    EXPECT_LE(largest(speed), 3.6 + 1);
    turns +=
        static_cast<int>((speed.slice(0, 1) * speed.slice(0, 0, -1)).lt(-1).sum().item<int64_t>());
  }
  EXPECT_GT(turns, 10);
}

TEST(MovingDigits, ShowTheBrighterOfTwo) {
  LabelledImages flat{
      .count = 1, .height = 28, .width = 28, .pixels = std::vector<uint8_t>(784, 90)};
  std::vector<uint8_t> frames(static_cast<size_t>(kClipFrames * kClipSide * kClipSide));
  draw_clip(flat, 0, 0, frames.data());
  EXPECT_EQ(*std::ranges::max_element(frames), 90);
}

/// 8x8 frames whose grey says clip and number.
class Clips : public testing::Test {
 protected:
  void put(const std::string& name, uint8_t grey, int64_t side = 8) {
    fs::create_directories((folder_ / name).parent_path());
    const Image image{side, side, 1, std::vector<uint8_t>(static_cast<size_t>(side * side), grey)};
    std::ofstream(folder_ / name, std::ios::binary) << encode_png(image);
  }
  void put_clips(int clips, int frames) {
    for (int clip = 0; clip < clips; ++clip)
      for (int frame = 0; frame < frames; ++frame)
        put(concat("clip", clip, "/", frame, ".png"), static_cast<uint8_t>(20 * clip + frame));
  }
  Dataset load(int64_t past) {
    return load_dataset({.source = folder_.path().string(), .own = {{"past", past}}});
  }
  void expect_refused(ErrorKind kind, const std::string& what, int64_t past) {
    expect_error(kind, what, [&] { load(past); });
  }
  TempFolder folder_;
};

TEST_F(Clips, GiveTheFramesBeforeEach) {
  put_clips(12, 11);  // 10 comes after 9, not after 1
  const Dataset data = load(3);
  EXPECT_EQ(data.info.past, 3);
  EXPECT_TRUE(data.info.classes.empty());
  EXPECT_EQ(data.train.size() + data.test.size(), 12 * 8);
  EXPECT_EQ(data.train.size() % 8, 0);  // clips are whole
  EXPECT_GT(data.test.size(), 0);
  for (const Split* split : {&data.train, &data.test}) {
    const Tensor past = split->past_frames();
    EXPECT_EQ(past.sizes(), (at::IntArrayRef{split->size(), 3, 8, 8}));
    for (int64_t back = 1; back <= 3; ++back)
      EXPECT_TRUE(at::equal(past.select(1, 3 - back) + back, split->grids.select(1, 0)));
    const Tensor frame = split->grids.select(1, 0).select(1, 0).select(1, 0).remainder(20);
    EXPECT_EQ(frame.min().item<int64_t>(), 3);
    EXPECT_EQ(frame.max().item<int64_t>(), 10);
  }
  const ModelInputs inputs{.conditions = find_conditions("past", data.info)};
  const Batch batch = Batcher(data, 1, 6, 1, 1, at::kCPU, {}, inputs).at(0, 0, 0);
  const Tensor past = batch.conditions.at("past");
  EXPECT_EQ(past.sizes(), (at::IntArrayRef{6, 3, 8, 8}));
  expect_near(past.select(1, 2) + 1.0 / 255, batch.input.select(1, 0), 1e-6);
  const Split some = data.train.at(at::tensor({5, 0}, at::kLong));
  EXPECT_TRUE(at::equal(some.past_frames()[1], data.train.past_frames()[0]));
}

TEST_F(Clips, GiveTheFramesAheadOfEachToo) {
  put_clips(3, 6);
  const auto load_ahead = [&](int64_t ahead) {
    return load_dataset(
        {.source = folder_.path().string(), .own = {{"past", 2}, {"ahead", ahead}}});
  };
  const Dataset one = load_ahead(1), three = load_ahead(3);
  EXPECT_EQ(one.train.size() + one.test.size(), 3 * 4);
  EXPECT_EQ(three.train.size() + three.test.size(), 3 * 2);
  EXPECT_NE(one.info.fingerprint, three.info.fingerprint);
  EXPECT_FALSE(one.train.ahead_frames().defined());
  const Tensor ahead = three.train.ahead_frames();
  EXPECT_EQ(ahead.sizes(), (at::IntArrayRef{three.train.size(), 3, 8, 8}));
  EXPECT_TRUE(at::equal(ahead.narrow(1, 0, 1), three.train.grids));
  // What comes next of the first item is the second one, which the first one is before.
  EXPECT_TRUE(at::equal(ahead[0][1], three.train.grids[1][0]));
  EXPECT_TRUE(at::equal(three.train.past_frames()[1][1], three.train.grids[0][0]));
  const Batch batch = items_batch(three.train, three.info, 0, 2, at::kCPU);
  EXPECT_TRUE(at::equal(batch.ahead, ahead.narrow(0, 0, 2).to(at::kFloat) / 255));
  EXPECT_TRUE(at::equal(batch.ahead.narrow(1, 0, 1), batch.input));
  expect_error(ErrorKind::data, "of 7 frames or more", [&] { load_ahead(5); });
  expect_error(ErrorKind::usage, "data.ahead: expected 1 unless frames come before", [&] {
    load_dataset({.source = folder_.path().string(), .own = {{"ahead", 2}}});
  });
}

TEST_F(Clips, AreReadFromAnimationsToo) {
  std::vector<std::vector<Frame>> clips(6);
  for (size_t clip = 0; clip < 6; ++clip) {
    for (int frame = 0; frame < 5; ++frame) {
      const auto grey = static_cast<uint8_t>(20 * clip + static_cast<size_t>(frame));
      put(concat("frames/clip", clip, ".gif/", frame, ".png"), grey);
      clips[clip].push_back({.image = {8, 8, 1, std::vector<uint8_t>(64, grey)}});
    }
    fs::create_directories(folder_ / "moving");
    std::ofstream(folder_ / concat("moving/clip", clip, ".gif"), std::ios::binary)
        << (clip % 2 ? encode_gif(clips[clip]) : encode_apng(clips[clip]));  // told by its bytes
  }
  const auto load = [&](const char* name) {
    return load_dataset({.source = (folder_ / name).string(), .own = {{"past", 2}}});
  };
  const Dataset frames = load("frames"), moving = load("moving");
  EXPECT_EQ(frames.info.fingerprint, moving.info.fingerprint);
  EXPECT_TRUE(at::equal(frames.test.past_frames(), moving.test.past_frames()));
  std::ofstream(folder_ / "moving/clip0.gif") << "GIF89a";
  expect_error(ErrorKind::data, "clip0.gif", [&] { load("moving"); });
}

TEST_F(Clips, ThatAreNoneAreRefused) {
  put_clips(3, 4);
  expect_refused(ErrorKind::data, "left out 3 clips of fewer than 5 frames: clip0, clip1, clip2",
                 4);
  put("short/0.png", 1);
  EXPECT_EQ(load(2).notes.at(0), "left out 1 clip of fewer than 3 frames: short");
  EXPECT_EQ(load(3).train.size() + load(3).test.size(), 3);
  put("clip1/9.png", 3, 10);
  expect_refused(ErrorKind::data, "clip1/9.png: expected frames of one size, of 8x8", 2);
  std::ofstream(folder_ / "clip1" / "9.png") << "no picture";
  expect_refused(ErrorKind::data, "9.png", 2);
  fs::remove_all(folder_ / "clip0");
  fs::remove_all(folder_ / "clip1");
  expect_refused(ErrorKind::data,
                 "expected at least 2 clips, folders of frames or animations, found one", 2);
  expect_error(ErrorKind::usage, "data.past: the images of 'digits' are no clips", [] {
    load_dataset({.source = "digits", .own = {{"past", 2}}});
  });
  expect_error(ErrorKind::usage, "past: the pictures of 'x' have no frames before them",
               [] { find_conditions("past", {.source = "x"}); });
}

}  // namespace
}  // namespace genai
