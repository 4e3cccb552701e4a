#include "genai/data/image_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "genai/base/error.h"
#include "genai/base/image.h"
#include "genai/base/png.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

class ImageFolder : public testing::Test {
 protected:
  ImageFolder() {
    std::string pattern = (fs::temp_directory_path() / "genai-folder-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~ImageFolder() override { fs::remove_all(dir_); }

  void write(const fs::path& path, const std::string& bytes) {
    fs::create_directories((dir_ / path).parent_path());
    std::ofstream(dir_ / path, std::ios::binary) << bytes;
  }
  /// A PNG of one colour.
  void picture(const fs::path& path, std::vector<uint8_t> colour, int64_t width = 8,
               int64_t height = 8) {
    Image image{width, height, static_cast<int64_t>(colour.size()), {}};
    for (int64_t p = 0; p < width * height; ++p)
      image.pixels.insert(image.pixels.end(), colour.begin(), colour.end());
    write(path, encode_png(image));
  }
  ImageSet read(const FolderOptions& options = {}) { return read_image_folder(dir_, options); }
  void expect_error(const std::string& text, ErrorKind kind = ErrorKind::data,
                    const FolderOptions& options = {}) {
    try {
      read(options);
      ADD_FAILURE() << "accepted; expected: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  }
  static bool has_note(const ImageSet& set, const std::string& text) {
    for (const std::string& note : set.notes)
      if (note.find(text) != std::string::npos) return true;
    return false;
  }

  fs::path dir_;
};

TEST_F(ImageFolder, FlatFolderHasNoLabels) {
  for (int i = 0; i < 120; ++i)
    picture("p" + std::to_string(i) + ".png", {static_cast<uint8_t>(i)}, 12, 9);
  const ImageSet set = read();
  EXPECT_EQ(set.name, dir_.filename().string());
  EXPECT_EQ(read_image_folder(dir_ / "").name, set.name);
  EXPECT_TRUE(set.classes.empty());
  EXPECT_TRUE(set.train.labels.empty());
  EXPECT_TRUE(set.notes.empty());
  EXPECT_EQ(set.train.channels, 1);
  EXPECT_EQ(set.train.height, 9);
  EXPECT_EQ(set.train.width, 9);
  EXPECT_EQ(set.train.count + set.test.count, 120);
  EXPECT_GE(set.test.count, 4);
  EXPECT_LE(set.test.count, 24);
  EXPECT_EQ(set.train.pixels.size(), static_cast<size_t>(set.train.count * 81));
}

TEST_F(ImageFolder, SubFoldersAreClasses) {
  picture("zebra/1.PNG", {10});
  picture("zebra/deep/2.png", {20});
  picture("ant/3.png", {30});
  const ImageSet set = read({4, 0, 0.01});
  EXPECT_EQ(set.classes, (std::vector<std::string>{"ant", "zebra"}));
  ASSERT_EQ(set.train.count, 2);
  ASSERT_EQ(set.test.count, 1);
  for (const LabelledImages* split : {&set.train, &set.test})
    for (int64_t i = 0; i < split->count; ++i)
      EXPECT_EQ(split->labels[i], split->pixels[i * 16] == 30 ? 0 : 1);
  EXPECT_TRUE(has_note(set, "only 3 pictures"));
}

TEST_F(ImageFolder, TrainAndTestFoldersAreTheSplits) {
  picture("train/a/1.png", {1});
  picture("train/b/2.png", {2});
  picture("test/b/3.png", {3});
  const ImageSet set = read();
  EXPECT_EQ(set.classes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(set.train.labels, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(set.test.labels, (std::vector<int64_t>{1}));
  picture("more/4.png", {4});
  expect_error("found 1 picture beside the folders train and test");
  fs::remove_all(dir_ / "more");
  write("test/b/3.png", "damaged");
  expect_error("/test: expected at least 1 readable picture, found 0; could not read 1 picture");
}

TEST_F(ImageFolder, SplitIsStableWhenPicturesAreAdded) {
  for (int i = 0; i < 50; ++i)
    picture(std::to_string(i) + ".png", {static_cast<uint8_t>(i)}, 2, 2);
  const ImageSet before = read({0, 0, 0.3});
  for (int i = 50; i < 80; ++i)
    picture(std::to_string(i) + ".png", {static_cast<uint8_t>(i)}, 2, 2);
  const ImageSet after = read({0, 0, 0.3});
  const std::vector<uint8_t>& tests = after.test.pixels;
  for (const uint8_t pixel : before.test.pixels)
    EXPECT_NE(std::find(tests.begin(), tests.end(), pixel), tests.end());
  for (const uint8_t pixel : before.train.pixels)
    EXPECT_EQ(std::find(tests.begin(), tests.end(), pixel), tests.end());
  EXPECT_NE(before.fingerprint, after.fingerprint);
  EXPECT_EQ(after.fingerprint, read({0, 0, 0.3}).fingerprint);
}

TEST_F(ImageFolder, MixedSizesAndChannelsBecomePlanes) {
  picture("a.png", {7}, 6, 6);
  picture("b.png", {10, 20, 30}, 20, 30);
  picture("c.png", {1, 2, 3}, 3, 2);
  const ImageSet set = read();
  EXPECT_EQ(set.train.channels, 3);
  EXPECT_EQ(set.train.height, 6);
  for (const LabelledImages* split : {&set.train, &set.test})
    for (int64_t i = 0; i < split->count; ++i) {
      const uint8_t* p = &split->pixels[i * 108];
      const int first = p[0];
      EXPECT_EQ(p[35], first);
      EXPECT_EQ(p[36], first == 7 ? 7 : first * 2);
      EXPECT_EQ(p[107], first == 7 ? 7 : first * 3);
    }
  EXPECT_EQ(read({0, 1, 0.1}).train.channels, 1);
}

TEST_F(ImageFolder, GreyStoredAsColourIsGrey) {
  picture("a.png", {7});
  picture("b.png", {200, 200, 200});
  const ImageSet set = read();
  EXPECT_EQ(set.train.channels, 1);
  EXPECT_EQ(set.train.pixels[0] + set.test.pixels[0], 207);
  EXPECT_EQ(read({0, 3, 0.1}).train.channels, 3);
}

TEST_F(ImageFolder, UnreadableAndOtherFilesAreNoted) {
  for (int i = 0; i < 3; ++i) picture("ok" + std::to_string(i) + ".png", {9});
  for (const char* name : {"bad1.png", "bad2.jpg", "bad3.bmp", "bad4.jpeg"}) write(name, "text");
  write("labels.csv", "a,b");
  write(".hidden.png", "text");
  picture(".hidden/x.png", {1, 2, 3});
  const ImageSet set = read();
  EXPECT_EQ(set.train.count + set.test.count, 3);
  EXPECT_EQ(set.train.channels, 1);
  EXPECT_TRUE(has_note(set, "could not read 4 pictures: "));
  EXPECT_TRUE(has_note(set, "bad1.png"));
  EXPECT_TRUE(has_note(set, "bad3.bmp"));
  EXPECT_FALSE(has_note(set, "bad4.jpeg"));
  EXPECT_TRUE(has_note(set, "skipped 1 other file: labels.csv"));
  EXPECT_FALSE(has_note(set, "hidden"));
}

TEST_F(ImageFolder, LinksToFoldersAreNotFollowed) {
  picture("a.png", {1});
  picture("b.png", {2});
  fs::create_directory_symlink(dir_, dir_ / "loop");
  fs::create_symlink(dir_ / "nowhere", dir_ / "dangling.png");
  fs::create_symlink(dir_ / "a.png", dir_ / "c.png");
  const ImageSet set = read();
  EXPECT_EQ(set.train.count + set.test.count, 3);
  EXPECT_TRUE(has_note(set, "dangling.png"));
}

TEST_F(ImageFolder, RejectsFoldersWithoutPictures) {
  expect_error(dir_.string() + ": expected at least 2 readable pictures");
  expect_error("found 0");
  write("notes.txt", "hello");
  write("x.png", "not a picture");
  expect_error("found 0; could not read 1 picture: ");
  expect_error("skipped 1 other file: notes.txt");
  picture("one.png", {1});
  expect_error("found 1; ");
}

TEST_F(ImageFolder, RejectsUnclearLabels) {
  picture("a.png", {1});
  picture("cats/b.png", {2});
  expect_error("found 1 picture beside sub-folders with 1 picture");
}

TEST_F(ImageFolder, RejectsWrongPathsAndOptions) {
  EXPECT_THROW(read_image_folder(dir_ / "nothing"), Error);
  write("file", "x");
  EXPECT_THROW(read_image_folder(dir_ / "file"), Error);
  expect_error("expected a size", ErrorKind::usage, {-1, 0, 0.1});
  expect_error("expected a size", ErrorKind::usage, {4097, 0, 0.1});
  expect_error("1 or 3 channels", ErrorKind::usage, {0, 2, 0.1});
  for (const double share : {0.0, 1.0, -0.5, std::numeric_limits<double>::quiet_NaN()})
    expect_error("test share", ErrorKind::usage, {0, 0, share});
}

}  // namespace
}  // namespace genai
