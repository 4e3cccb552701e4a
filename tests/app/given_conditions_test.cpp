// Captions and pairs of pictures, from a folder to samples.
#include <gtest/gtest.h>

#include <fstream>

#include "app/short_run.h"
#include "base/temp_folder.h"
#include "genai/base/png.h"
#include "genai/generation/path.h"
#include "genai/generation/recreate.h"
#include "genai/generation/told_pictures.h"
#include "tensors.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// 8x8 pictures, all of one grey: light ones and dark ones, as their captions say; their pairs are
/// black where they are light.
class Given : public testing::Test {
 protected:
  Given() {
    std::string captions = "file,caption\n";
    for (int i = 0; i < 80; ++i) {
      const bool light = i % 2 == 0;
      const std::string name = concat("p", i, ".png");
      put("a/" + name, static_cast<uint8_t>(light ? 200 + i / 4 : 30 + i / 4));
      put("b/" + name, light ? 0 : 255);
      captions += name + (light ? ",a light picture\n" : ",a dark picture\n");
    }
    std::ofstream(folder_ / "a" / "captions.csv") << captions;
    data_ = load_dataset(
        {.source = (folder_ / "a").string(), .own = {{"pair", (folder_ / "b").string()}}});
  }

  void put(const std::string& name, uint8_t grey) {
    fs::create_directories((folder_ / name).parent_path());
    const Image image{8, 8, 1, std::vector<uint8_t>(64, grey)};
    std::ofstream(folder_ / name, std::ios::binary) << encode_png(image);
  }

  LoadedModel train_run(const std::string& name, const std::string& condition, int64_t steps,
                        bool resume = false) {
    return short_run(folder_ / name, data_, small_diffusion(condition), steps, resume);
  }

  static double mean(const Tensor& pixels) { return pixels.to(at::kFloat).mean().item<double>(); }

  TempFolder folder_;
  Dataset data_;
};
TEST_F(Given, AreStoredWithTheRun) {
  ASSERT_TRUE(data_.info.captions);
  EXPECT_EQ(data_.info.captions->length(), 3);
  EXPECT_EQ(data_.info.pair_channels, 1);
  const DataInfo info = data_info_from_json(to_json(data_.info));
  EXPECT_EQ(info.captions->to_json(), data_.info.captions->to_json());
  EXPECT_EQ(info.pair_channels, 1);
  EXPECT_NE(describe(info).find("captions of 4 different words, pairs"), std::string::npos)
      << describe(info);
  const LoadedModel loaded = train_run("run", "caption,pair", 1);
  const Split kept = load_kept(loaded.run, loaded.manifest);
  EXPECT_TRUE(at::equal(kept.captions, data_.test.captions));
  EXPECT_TRUE(at::equal(kept.pairs, data_.test.pairs));
}

TEST_F(Given, ResumeBitForBit) {
  const LoadedModel whole = train_run("whole", "caption,pair", 6);
  train_run("halves", "caption,pair", 3);
  const LoadedModel halves = train_run("halves", "caption,pair", 6, /*resume=*/true);
  EXPECT_EQ(whole.manifest.files, halves.manifest.files);
}

TEST_F(Given, PromptsAreFollowedAndStandInPictures) {
  const LoadedModel loaded = train_run("run", "caption", 300);
  const auto samples = [&](const std::string& prompt) {
    return generate_items(loaded, {.count = 16, .condition = {.prompt = prompt}});
  };
  EXPECT_GT(mean(samples("a light picture")), 170);
  EXPECT_LT(mean(samples("a dark picture")), 90);
  const ImageRequest request{.count = 3, .condition = {.prompt = "a dark picture"}};
  const std::string png = render_sheet(loaded, request, {}, Metadata::full);
  EXPECT_EQ(read_provenance(png, "").at("request").at("condition"),
            (Json{{"prompt", "a dark picture"}}));
  EXPECT_TRUE(recreate(png, "", loaded).same);
  // Without one, samples are told the captions of the test items that the run keeps.
  EXPECT_TRUE(recreate(render_sheet(loaded, {.count = 5}, {}, Metadata::full), "", loaded).same);
  expect_error(ErrorKind::usage, "no training caption has the word 'ligt'; did you mean 'light'?",
               [&] { samples("a ligt picture"); });
}

TEST_F(Given, PairsAreFollowed) {
  const LoadedModel loaded = train_run("run", "pair", 300);
  const ConditionSpec& pair = *find_condition(loaded.model->conditions(), "pair");
  const auto samples = [&](uint8_t grey) {
    const Image picture{8, 8, 1, std::vector<uint8_t>(64, grey)};
    const Tensor grid = condition_of_picture(pair, picture, data_.info);
    return generate_items(loaded, {.count = 16, .condition = {.given = {{"pair", grid}}}});
  };
  EXPECT_GT(mean(samples(0)), 170);
  EXPECT_LT(mean(samples(255)), 90);
  // In a sheet each sample stands beside what it was told.
  const Image cell = draw_sheet(loaded, {.count = 1}, {.rows = 1, .columns = 1, .scale = 1});
  EXPECT_EQ(cell, side_by_side({to_images(data_.test.pairs.narrow(0, 0, 1))[0],
                                to_images(generate_items(loaded, {.count = 1}))[0]}));
  const PathRequest way{.images = {.count = 2}, .frames = 3};
  const PathLayout strip{.scale = 1};
  const Image drawn = draw_path(find_path(loaded, way), strip, told_on_path(loaded, way)).front();
  EXPECT_TRUE(recreate(encode_png(drawn, provenance(loaded, path_json(loaded, way, strip), drawn)),
                       "", loaded)
                  .same);
  EXPECT_GT(drawn.height, draw_path(find_path(loaded, way), strip).front().height);
  expect_error(ErrorKind::usage, "request.prompt: this model is told no captions",
               [&] { generate_items(loaded, {.condition = {.prompt = "a dark picture"}}); });
}

/// Clips of 6 frames that count up in grey, each from its own beginning, or down.
TEST_F(Given, PastFramesAreFollowed) {
  for (int clip = 0; clip < 40; ++clip) {
    for (int frame = 0; frame < 6; ++frame) {
      const int step = clip % 2 ? 30 : -30;
      put(concat("clips/", clip, "/f", frame, ".png"),
          static_cast<uint8_t>(115 + (clip / 2 % 6) + step * (frame - 2)));
    }
  }
  data_ = load_dataset({.source = (folder_ / "clips").string(), .own = {{"past", 2}}});
  EXPECT_EQ(data_.info.past, 2);
  EXPECT_EQ(data_info_from_json(to_json(data_.info)).past, 2);
  const LoadedModel loaded = train_run("run", "past", 300);
  EXPECT_EQ(find_condition(loaded.model->conditions(), "past")->channels, 2);
  const Split kept = load_kept(loaded.run, loaded.manifest);
  EXPECT_TRUE(at::equal(kept.past_frames(), data_.test.past_frames()));
  // Samples are told those of the kept items in turn: they go on as these did.
  const int64_t count = std::min<int64_t>(16, kept.size());
  const Tensor made = generate_items(loaded, {.count = count}).to(at::kFloat).mean({1, 2, 3});
  const Tensor truth = kept.grids.narrow(0, 0, count).to(at::kFloat).mean({1, 2, 3});
  EXPECT_LT((made - truth).abs().mean().item<double>(), 20);  // the frame before: 30
  EXPECT_TRUE(recreate(render_sheet(loaded, {.count = 5}, {}, Metadata::full), "", loaded).same);
  const LoadedModel three = train_run("halves", "past", 3), six = train_run("whole", "past", 6);
  EXPECT_EQ(train_run("halves", "past", 6, /*resume=*/true).manifest.files, six.manifest.files);
  PathRequest request{.images = {.count = 2}, .test = 1, .frames = 3};
  take_test_pictures(loaded, request);
  EXPECT_EQ(find_path(loaded, request).size(), 3u);
}

TEST_F(Given, PathsOfTestPicturesAreToldWhatComesWithThem) {
  const LoadedModel loaded = train_run("run", "caption,pair", 30);
  PathRequest request{.images = {.count = 2}, .test = 1, .frames = 3};
  take_test_pictures(loaded, request);
  EXPECT_TRUE(at::equal(request.pictures.captions, data_.test.captions.narrow(0, 1, 2)));
  EXPECT_TRUE(at::equal(request.pictures.pairs, data_.test.pairs.narrow(0, 1, 2)));
  const Tensor told = find_path(loaded, request)[1].clean;
  request.pictures.captions = Tensor();
  EXPECT_FALSE(at::equal(find_path(loaded, request)[1].clean, told));
}

TEST_F(Given, ThatAreNotThereAreRefused) {
  Dataset plain = data_;
  plain.info.captions = nullptr;
  plain.info.pair_channels = 0;
  const auto make = [&](const char* family, const char* condition, const DataInfo& info) {
    Json settings = find_family(family).tiny;
    settings["condition"] = condition;
    make_model(find_family(family), settings, info);
  };
  expect_error(ErrorKind::usage, "model.condition: caption: the images of 'a' have none",
               [&] { make("diffusion", "caption", plain.info); });
  expect_error(ErrorKind::usage,
               "model.condition: pair: the pictures of 'a' have none; expected "
               "--pair FOLDER",
               [&] { make("diffusion", "pair", plain.info); });
  expect_error(ErrorKind::usage, "models of the family gan cannot be told 'caption'",
               [&] { make("gan", "caption", data_.info); });
  expect_error(ErrorKind::usage, "data.pair: 'digits' is no folder of pictures", [&] {
    const DataConfig config{.source = "digits", .own = {{"pair", "b"}}};
    image_modality().refuse_idle_settings(config);
  });
}

}  // namespace
}  // namespace genai
