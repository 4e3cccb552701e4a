#include "genai/data/scenes.h"

#include <ATen/ATen.h>

#include <set>

#include "base/temp_folder.h"
#include "genai/base/hash.h"
#include "genai/data/captions.h"
#include "genai/data/dataset.h"
#include "genai/data/digits.h"
#include "genai/data/images.h"
#include "genai/data/known_sets.h"
#include "tensors.h"

namespace genai {
namespace {

std::string hash(const LabelledImages& images) {
  std::string captions;
  for (const std::string& caption : images.captions) captions += caption + "\n";
  return sha256({reinterpret_cast<const char*>(images.pixels.data()), images.pixels.size()}) + " " +
         sha256(captions);
}

std::vector<SceneKinds> all_kinds() {
  return {shape_kinds(), digit_kinds("digits-pairs", make_digits(0, 500, 200))};
}

TEST(Scenes, AreTheSameOnEveryMachine) {
  const auto kinds = all_kinds();
  const ImageSet shapes = make_scenes(kinds[0], 50, 20), digits = make_scenes(kinds[1], 50, 20);
  EXPECT_EQ(hash(shapes.train),
            "9368e70ba0b70d7ef9d45a7d5fc9d334c14dac5c8385df05feafa2e251279535 "
            "a1095685d5aae1eed85c01054d6d5ddd0a7cf7a350049abf8d5bfda432a0e1a0");
  EXPECT_EQ(hash(digits.test),
            "464fdde1f08d9f7c3097baf895126fffa1251ec51d296c0a787d2f764c2ee36a "
            "2f3be8ba61e2af89edfb076406f8e8389e4947780ea317159941f85f2d9adbda");
  EXPECT_EQ(hash(make_things(kinds[0], 20, 20).train),
            "78eb9f59a716d95889e52d9fa8294f139f1c4cbb987ebbdcb37aa02fe9e0aee5 "
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  // A scene does not depend on how many there are.
  const ImageSet more = make_scenes(kinds[0], 70, 20);
  EXPECT_TRUE(std::equal(shapes.train.pixels.begin(), shapes.train.pixels.end(),
                         more.train.pixels.begin()));
}

TEST(Scenes, SayWhatStandsWhere) {
  const std::vector<std::string> kinds = {"red circle", "blue square", "orange ring"};
  const auto things = things_of("a small red circle left of a blue square", kinds);
  ASSERT_EQ(things.size(), 2u);
  EXPECT_EQ(things[0].kind, 0);
  EXPECT_EQ(things[0].window.x, 0);
  EXPECT_EQ(things[0].window.y, 16);
  EXPECT_EQ(things[1].kind, 1);
  EXPECT_EQ(things[1].window.x, 32);
  const auto below = things_of("an orange ring below a large red circle", kinds);
  ASSERT_EQ(below.size(), 2u);
  EXPECT_EQ(below[0].kind, 2);
  EXPECT_EQ(below[0].window.y, 32);
  EXPECT_EQ(below[1].window.y, 0);
  for (const char* none : {"a red circle", "a green circle left of a blue square", "", "left of"})
    EXPECT_TRUE(things_of(none, kinds).empty()) << none;
}

TEST(Scenes, PairsOfTestPicturesAreInNoTrainingPicture) {
  for (const SceneKinds& kinds : all_kinds()) {
    const ImageSet set = make_scenes(kinds, 2000, 400);
    const auto pairs = [&](const LabelledImages& images) {
      std::set<std::pair<int64_t, int64_t>> found;
      for (size_t i = 0; i < images.captions.size(); ++i) {
        const auto things = things_of(images.captions[i], set.classes);
        if (things.empty()) continue;
        const auto& [first, second] = std::pair(things[0], things[1]);
        found.insert(std::minmax(first.kind, second.kind));
        // The class is that of the thing that is left or above.
        const bool leads = first.window.x + first.window.y < second.window.x + second.window.y;
        EXPECT_EQ(images.labels[i], leads ? first.kind : second.kind) << images.captions[i];
      }
      return found;
    };
    const auto train = pairs(set.train), test = pairs(set.test);
    EXPECT_GE(test.size(), 3u) << kinds.name;
    for (const auto& [first, second] : test) {
      EXPECT_FALSE(train.contains({first, second})) << kinds.name;
      EXPECT_TRUE(is_held_out(second, first));
    }
    // Each word of test captions is in training captions.
    const Captions words = Captions::learn(set.train.captions);
    for (const std::string& caption : set.test.captions) words.check(caption, "test");
  }
}

TEST(Scenes, ThingsStayWithinTheirWindows) {
  const SceneKinds kinds = shape_kinds();
  const Tensor things = to_tensor(make_things(kinds, 300, 1).train).to(at::kInt);
  // The ground is of one colour to the very edge.
  const Tensor corner = things.slice(2, 0, 1).slice(3, 0, 1);
  const Tensor frame = at::cat(
      {things.select(2, 0), things.select(2, 31), things.select(3, 0), things.select(3, 31)}, 2);
  EXPECT_LE(largest((frame - corner.squeeze(3)).to(at::kFloat)), 255 * 0.3);
  const Tensor inner = things.slice(2, 4, 28).slice(3, 4, 28);
  EXPECT_TRUE((inner - corner).abs().flatten(1).amax(1).gt(60).all().item<bool>());
}

TEST(Scenes, OfDigitsShowThePixelsOfTheSet) {
  const ImageSet digits = make_digits(0, 100, 50);
  const SceneKinds kinds = digit_kinds("digits-pairs", digits);
  std::vector<uint8_t> pixels(kSceneSide * kSceneSide);
  int64_t label = -1;
  const std::string caption =
      draw_scene(kinds, /*test=*/true, 3, {1, kSceneSide, pixels.data()}, &label);
  const auto things = things_of(caption, kinds.kinds);
  ASSERT_EQ(things.size(), 2u) << caption;
  const Tensor picture = at::from_blob(pixels.data(), {kSceneSide, kSceneSide}, at::kByte);
  for (const PlacedThing& thing : things) {
    const Tensor window = picture.narrow(0, thing.window.y, 32).narrow(1, thing.window.x, 32);
    const int64_t ink = window.sum().item<int64_t>();
    bool found = false;
    for (int64_t i = 0; i < 50; ++i) {
      if (digits.test.labels[static_cast<size_t>(i)] != thing.kind) continue;
      int64_t own = 0;
      for (int64_t p = 0; p < 784; ++p) own += digits.test.pixels[static_cast<size_t>(784 * i + p)];
      found = found || own == ink;
    }
    EXPECT_TRUE(found) << caption;
  }
  ImageSet small = digits;
  small.train.width = 14;
  expect_error(ErrorKind::usage, "x: expected ten digits of 28x28",
               [&] { digit_kinds("x", small); });
}

TEST(Scenes, AreDataSetsWithCaptionsOfEverySize) {
  const Dataset data = load_dataset({.source = "shapes", .limit = 100, .own = {{"size", "32x32"}}});
  EXPECT_EQ(data.info.channels, 3);
  EXPECT_EQ(data.info.height, 32);
  EXPECT_EQ(data.train.grids.sizes(), (at::IntArrayRef{100, 3, 32, 32}));
  ASSERT_TRUE(data.info.captions);
  const Tensor ids = data.train.captions[0].contiguous();
  const std::string caption =
      data.info.captions->decode({ids.const_data_ptr<int64_t>(), static_cast<size_t>(ids.numel())});
  EXPECT_EQ(caption, make_scenes(shape_kinds(), 1, 1).train.captions[0]);
}

}  // namespace
}  // namespace genai
