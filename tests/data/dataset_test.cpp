#include "genai/data/dataset.h"

#include <gtest/gtest.h>

#include "base/png_file.h"
#include "base/temp_folder.h"
#include "genai/base/png.h"
#include "genai/data/images.h"

namespace genai {
namespace {

/// A folder of pictures of one value each.
void picture(const TempFolder& folder, const std::string& name, int64_t side, uint8_t value) {
  const std::filesystem::path path = folder / name;
  std::filesystem::create_directories(path.parent_path());
  put(path,
      encode_png({side, side, 1, std::vector<uint8_t>(static_cast<size_t>(side * side), value)}));
}

TEST(FindLabel, NamesComeBeforeNumbers) {
  const DataInfo pets{.source = "pets", .classes = {"cat", "dog", "Ankle boot"}};
  EXPECT_EQ(find_label(pets, "dog", "--class"), 1);
  EXPECT_EQ(find_label(pets, "DOG", "--class"), 1);
  EXPECT_EQ(find_label(pets, "ankle boot", "--class"), 2);
  EXPECT_EQ(find_label(pets, "2", "--class"), 2);
  const DataInfo numbers{.source = "set", .classes = {"5", "0", "10"}};
  EXPECT_EQ(find_label(numbers, "0", "--class"), 1);
  EXPECT_EQ(find_label(numbers, "10", "--class"), 2);
  EXPECT_EQ(find_label({.source = "set", .classes = {"01", "02"}}, "2", "--class"), 1);
  expect_error(ErrorKind::usage, "'2' is not a class of 'set'; expected 5, 0, 10",
               [&] { find_label(numbers, "2", "--class"); });
  for (const char* wrong : {"3", "-1", "ca", "", "1.5", "99999999999999999999"}) {
    expect_error(ErrorKind::usage, "expected cat, dog, Ankle boot, or its number from 0 to 2",
                 [&] { find_label(pets, wrong, "--class"); });
  }
  expect_error(ErrorKind::usage, "did you mean 'cat'?",
               [&] { find_label(pets, "cst", "--class"); });
  expect_error(ErrorKind::usage, "has no classes",
               [] { find_label({.source = "x"}, "1", "--class"); });
}

TEST(LoadDataset, LeavesOutByNameAndByLabel) {
  TempFolder folder;
  for (int k = 0; k < 12; ++k)
    for (int i = 0; i < 4; ++i)
      picture(folder, concat(k, "/", i, ".png"), 2, static_cast<uint8_t>(k));
  const auto count_of = [&](const Json& choices, uint8_t value) {
    const Dataset data =
        load_dataset({.source = (folder / "").string(), .own = {{"leave_out", choices}}});
    return data.train.grids.eq(value).sum().item<int64_t>() +
           data.test.grids.eq(value).sum().item<int64_t>();
  };
  EXPECT_EQ(count_of({"2"}, 2), 0);
  EXPECT_EQ(count_of({"2"}, 10), 16);
  EXPECT_EQ(count_of({3}, 3), 0);
  const Dataset data =
      load_dataset({.source = (folder / "").string(), .own = {{"leave_out", {"11"}}}});
  EXPECT_TRUE(data.info.source.ends_with("-without-11")) << data.info.source;
  EXPECT_NE(describe(data.info).find("12 classes: 0, 1, 2, "), std::string::npos);
}

TEST(LoadDataset, BuiltInImagesInAnotherSize) {
  const Dataset own = load_dataset({.source = "digits", .limit = 10});
  const Dataset wide =
      load_dataset({.source = "digits", .limit = 10, .own = {{"size", "20x10"}, {"channels", 3}}});
  EXPECT_EQ(wide.train.grids.sizes().vec(), (std::vector<int64_t>{10, 3, 10, 20}));
  EXPECT_EQ(wide.info.width, 20);
  EXPECT_NE(wide.info.fingerprint, own.info.fingerprint);
  EXPECT_EQ(load_dataset({.source = "digits", .limit = 10, .own = {{"size", 28}}}).info.fingerprint,
            own.info.fingerprint);
  expect_error(ErrorKind::usage, "test_share", [] {
    image_modality().refuse_idle_settings({.source = "digits", .test_share = 0.2});
  });
}

TEST(LoadDataset, APictureIsNoText) {
  TempFolder folder;
  put(folder / "a.png", encode_png({1, 1, 1, {9}}));
  put(folder / "b.txt", std::string("GIF89a") + std::string(20, '\0'));
  expect_error(ErrorKind::data, "a.png is a PNG; expected a folder or ZIP",
               [&] { load_dataset({.source = (folder / "a.png").string()}); });
  expect_error(ErrorKind::data, "b.txt is a GIF",
               [&] { load_dataset({.source = (folder / "b.txt").string()}); });
}

TEST(LoadDataset, AKnownSetGivesShapeAndOrder) {
  TempFolder folder;
  for (const char* name : {"2", "10"})
    for (int i = 0; i < 3; ++i) picture(folder, concat(name, "/", i, ".png"), 4, 1);
  const DataInfo known{
      .source = "old", .channels = 3, .height = 2, .width = 2, .classes = {"10", "2"}};
  const Dataset data = load_dataset({.source = (folder / "").string()}, {.known = &known});
  EXPECT_EQ(data.info.classes, known.classes);
  EXPECT_EQ(data.info.width, 2);
  EXPECT_EQ(data.info.channels, 3);
}

TEST(LoadDataset, TransparentPicturesOfAnOlderRunStayOverBlack) {
  TempFolder folder;
  for (int i = 0; i < 3; ++i) {
    put(folder / concat(i, ".png"),
        png_file(png_header(2, 1, 8, 4), bytes({0, 200, 255, 200, 128})));
  }
  const std::string source = (folder / "").string();
  const DataInfo older = load_dataset({.source = source, .own = {{"ground", "black"}}}).info;
  const Dataset again = load_dataset({.source = source}, {.known = &older});
  EXPECT_EQ(again.info.fingerprint, older.fingerprint);
  EXPECT_NE(load_dataset({.source = source}).info.fingerprint, older.fingerprint);
}

}  // namespace
}  // namespace genai
