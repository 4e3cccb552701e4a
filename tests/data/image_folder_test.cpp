#include "genai/data/image_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "base/png_file.h"
#include "base/temp_folder.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/image.h"
#include "genai/base/png.h"
#include "genai/data/picture_layout.h"

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
  EXPECT_EQ(set.notes, std::vector<std::string>{"pictures of 12x9: their middle in 9x9"});
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
  expect_error(
      "expected at least 1 readable picture for testing, found 0; could not read 1 picture");
}

TEST_F(ImageFolder, SplitIsStableWhenPicturesAreAdded) {
  for (int i = 0; i < 50; ++i) picture(std::to_string(i) + ".png", {static_cast<uint8_t>(i)}, 2, 2);
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

TEST_F(ImageFolder, LinkedFoldersCountButNeverInACircle) {
  for (const char* name : {"src/ant/1.png", "src/ant/2.png", "set/cow/3.png"}) picture(name, {1});
  fs::create_directory_symlink(dir_ / "src/ant", dir_ / "set/ant");
  fs::create_directory_symlink(dir_ / "set", dir_ / "set/cow/loop");
  fs::create_symlink(dir_ / "nowhere", dir_ / "set/dangling.png");
  fs::create_symlink(dir_ / "src/ant/1.png", dir_ / "set/cow/4.png");
  const ImageSet set = read_image_folder(dir_ / "set");
  EXPECT_EQ(set.classes, (std::vector<std::string>{"ant", "cow"}));
  EXPECT_EQ(set.train.count + set.test.count, 4);
  EXPECT_TRUE(has_note(set, "dangling.png"));
  EXPECT_TRUE(has_note(set, "did not follow the link cow/loop"));
  // All of them linked.
  fs::create_directory(dir_ / "linked");
  for (const char* name : {"ant", "cow"})
    fs::create_directory_symlink(dir_ / "set" / name, dir_ / "linked" / name);
  EXPECT_EQ(read_image_folder(dir_ / "linked").classes.size(), 2u);
}

TEST_F(ImageFolder, ClassesSortAsPeopleCount) {
  for (int k = 0; k < 12; ++k) picture(std::to_string(k) + "/a.png", {static_cast<uint8_t>(k)});
  ImageSet set = read();
  EXPECT_EQ(set.classes[2], "2");
  EXPECT_EQ(set.classes[10], "10");
  for (int64_t i = 0; i < set.train.count; ++i)
    EXPECT_EQ(set.train.labels[i], set.train.pixels[i * 64]);
  // A run of version 0.1 has them by their bytes.
  FolderOptions older;
  older.classes = {"0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"};
  EXPECT_EQ(read(older).classes, older.classes);
  EXPECT_NE(read(older).fingerprint, set.fingerprint);
  older.classes.pop_back();  // other classes: another set
  EXPECT_EQ(read(older).fingerprint, set.fingerprint);

  const std::vector<std::string> sorted = {"",     "01",    "1",   "2",    "10",   "a",
                                           "a2b1", "a2b10", "a10", "a10b", "img9", "img10"};
  for (size_t i = 0; i < sorted.size(); ++i)
    for (size_t j = 0; j < sorted.size(); ++j)
      EXPECT_EQ(natural_less(sorted[i], sorted[j]), i < j) << sorted[i] << " " << sorted[j];
}

TEST_F(ImageFolder, SplitsByTheirUsualNames) {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"train", "val"},
      {"Train", "Test"},
      {"TRAINING", "validation"},
      {"train_set", "dev_set"},
      {"seg_train/seg_train", "seg_test/seg_test"},
      {"archive/data/train", "archive/data/valid"}};
  for (const auto& [train, test] : names) {
    fs::remove_all(dir_);
    for (const char* kind : {"cat", "dog"}) {
      for (const char* file : {"1.png", "2.png"}) picture(fs::path(train) / kind / file, {1});
      picture(fs::path(test) / kind / "3.png", {2});
    }
    const ImageSet set = read();
    EXPECT_EQ(set.classes, (std::vector<std::string>{"cat", "dog"})) << train;
    EXPECT_EQ(set.train.labels, (std::vector<int64_t>{0, 0, 1, 1})) << train;
    EXPECT_EQ(set.test.labels, (std::vector<int64_t>{0, 1})) << train;
    EXPECT_TRUE(has_note(set, "splits from ")) << train;
  }
  // Of three, val goes; a test split without classes goes, as Kaggle's competitions have it.
  fs::remove_all(dir_);
  for (const std::string file : {"train/a/1.png", "train/b/2.png", "val/a/3.png", "test/a/4.png"})
    picture(file, {static_cast<uint8_t>(file[file.size() - 5] - '0')});
  ImageSet set = read();
  EXPECT_EQ(set.test.pixels[0], 4);
  EXPECT_TRUE(has_note(set, "left out val/ (1 picture): test pictures come from test/"));
  fs::remove_all(dir_ / "test");
  picture("test/4.png", {4});
  set = read();
  EXPECT_EQ(set.test.pixels[0], 3);
  EXPECT_TRUE(has_note(set, "left out test/ (1 picture): it has no classes"));
  fs::remove_all(dir_ / "val");
  EXPECT_EQ(read().train.count + read().test.count, 2);
  // Folders that hold everything.
  fs::remove_all(dir_);
  for (const char* file : {"train/pets/cat/1.png", "train/pets/dog/2.png"}) picture(file, {1});
  EXPECT_EQ(read().classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_TRUE(has_note(read(), "classes are the folders below train/pets/"));
  // What is only called so.
  fs::remove_all(dir_);
  for (const char* file : {"train/1.png", "bus/2.png", "test_tube/3.png"}) picture(file, {1});
  EXPECT_EQ(read().classes.size(), 3u);
}

TEST_F(ImageFolder, ClassesOnlyAmongTestPicturesAreNoted) {
  for (const char* file : {"train/a/1.png", "train/a/2.png", "val/a/3.png", "val/b/4.png"})
    picture(file, {1});
  EXPECT_TRUE(has_note(read(), "class 'b' only among the test pictures"));
}

TEST_F(ImageFolder, TransparencyOverTheGround) {
  for (int i = 0; i < 3; ++i)  // black strokes on nothing
    write("icon" + std::to_string(i) + ".png",
          png_file(png_header(2, 2, 8, 6),
                   bytes({0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255})));
  picture("plain.png", {9}, 2, 2);
  const ImageSet white = read({0, 0, 0.1, Ground::white});
  EXPECT_TRUE(has_note(white, "transparent: 3 pictures, put over white: icon0.png"));
  std::vector<uint8_t> all = white.train.pixels;
  all.insert(all.end(), white.test.pixels.begin(), white.test.pixels.end());
  EXPECT_EQ(std::ranges::count(all, 255), 6);
  EXPECT_EQ(std::ranges::count(all, 0), 6);
  const ImageSet black = read({0, 0, 0.1, Ground::black});
  EXPECT_EQ(std::ranges::count(black.train.pixels, 255), 0);
  EXPECT_NE(white.fingerprint, black.fingerprint);
  EXPECT_TRUE(
      has_note(black, "3 pictures, of which nothing is seen over black (data.ground white?)"));
}

TEST_F(ImageFolder, TheMostFrequentSizeDecides) {
  picture("a.png", {1}, 20, 10);
  for (const char* name : {"b.png", "c.png", "d.png"}) picture(name, {2}, 12, 12);
  const ImageSet set = read();
  EXPECT_EQ(set.train.width, 12);
  EXPECT_TRUE(has_note(set, "scaled to 12x12: 3 pictures of 12x12, 1 other: a.png 20x10"));
  const ImageSet wide = read({{8, 6}, 0, 0.1});
  EXPECT_EQ(wide.train.width, 8);
  EXPECT_EQ(wide.train.height, 6);
  EXPECT_EQ(wide.train.pixels.size(), static_cast<size_t>(wide.train.count * 48));
}

TEST_F(ImageFolder, TwelveBitsInSixteenAreNoted) {
  for (const char* name : {"a.png", "b.png"})
    write(name, png_file(png_header(2, 1, 16, 0), bytes({0, 0x0F, 0xFF, 0x00, 0x10})));
  write("c.png", png_file(png_header(2, 1, 16, 0), bytes({0, 0xFF, 0xFF, 0x00, 0x10})));
  EXPECT_TRUE(has_note(read(), "2 pictures with at most 4095 of 65535"));
}

TEST_F(ImageFolder, ClassesFromATableBeside) {
  for (int i = 0; i < 6; ++i)
    picture("img" + std::to_string(i) + ".png", {static_cast<uint8_t>(i)});
  const auto labels = [&](const std::string& name, const std::string& table) {
    for (const auto& entry : fs::directory_iterator(dir_))
      if (entry.path().extension() == ".csv") fs::remove(entry.path());
    write(name, table);
    return read();
  };
  const auto expect_halves = [](const ImageSet& set) {
    for (const LabelledImages* split : {&set.train, &set.test})
      for (int64_t i = 0; i < split->count; ++i)
        EXPECT_EQ(split->labels.at(i), split->pixels[i * 64] % 2);
  };
  std::string rows;
  for (int i = 0; i < 6; ++i) rows += concat("img", i, ".png,", i % 2 ? "odd" : "even", "\n");
  ImageSet set = labels("labels.csv", "filename,label\n" + rows);
  EXPECT_EQ(set.classes, (std::vector<std::string>{"even", "odd"}));
  expect_halves(set);
  EXPECT_TRUE(has_note(set, "classes from labels.csv, column 'label'"));
  EXPECT_FALSE(has_note(set, "skipped"));
  expect_halves(labels("labels.csv", rows));  // without a header
  std::string wide = "id;width;breed\r\n";    // no endings, other columns, in quotes
  for (int i = 0; i < 6; ++i) wide += concat("img", i, ";8;\"", i % 2 ? "odd" : "even", "\"\r\n");
  expect_halves(labels("train_labels.csv", wide));
  set = labels("labels.csv", "img0.png,a\nimg1.png,b\nimg2.png,a\ngone.png,b\n");
  EXPECT_EQ(set.train.count + set.test.count, 3);
  EXPECT_TRUE(has_note(set, "left out 3 pictures without a class in labels.csv: img3.png"));
  set = labels("labels.csv", "id,label\n0,a\n1,b\n");
  EXPECT_TRUE(set.classes.empty());
  EXPECT_TRUE(has_note(set, "no classes from labels.csv: fewer than half of its rows name"));
  set = labels("notes.csv", "some,table\n1,2\n3,4\n");
  EXPECT_TRUE(set.classes.empty());
  EXPECT_TRUE(has_note(set, "skipped 1 other file: notes.csv"));
  labels("labels.csv", rows);
  fs::create_directory(dir_ / "images");
  for (int i = 0; i < 6; ++i)
    fs::rename(dir_ / concat("img", i, ".png"), dir_ / concat("images/img", i, ".png"));
  EXPECT_EQ(read().classes, (std::vector<std::string>{"even", "odd"}));
  expect_halves(read());
  write("labels.csv", rows + "img1.png,even\n");
  expect_error("'img1.png' is 'odd' in one row and 'even' in another");
  write("labels.csv", "a,b,c\nimg0.png,1,2\nimg1.png,1,3\n");
  expect_error("none is called label or class");
}

TEST_F(ImageFolder, CaptionsFromATableBeside) {
  for (int i = 0; i < 20; ++i) picture("p" + std::to_string(i) + ".png", {static_cast<uint8_t>(i)});
  const auto expect_captions = [&](const std::string& name, const std::string& text) {
    write(name, text);
    const ImageSet set = read();
    EXPECT_TRUE(has_note(set, "captions from " + name)) << name;
    EXPECT_TRUE(set.classes.empty()) << name;
    EXPECT_EQ(set.train.count + set.test.count, 19);  // p0 has none
    EXPECT_TRUE(has_note(set, "left out 1 picture without a caption: p0.png"));
    ASSERT_EQ(set.train.captions.size(), static_cast<size_t>(set.train.count));
    for (int64_t i = 0; i < set.train.count; ++i) {
      const int shade = set.train.pixels[static_cast<size_t>(i * 64)];
      EXPECT_EQ(set.train.captions[static_cast<size_t>(i)],
                "a grey, number " + std::to_string(shade));
    }
    const std::string fingerprint = set.fingerprint;
    fs::remove(dir_ / name);
    EXPECT_NE(read().fingerprint, fingerprint);
  };
  std::string quoted = "file,caption,by\n", plain = "image,caption\n", tabs;
  for (int i = 1; i < 20; ++i) {
    const std::string caption = "a grey, number " + std::to_string(i);
    quoted += "p" + std::to_string(i) + ".png,\"" + caption + "\",me\n";
    plain += "p" + std::to_string(i) + ".png," + caption + "\n";
    tabs += "p" + std::to_string(i) + "\t" + caption + "\n";
  }
  expect_captions("captions.csv", quoted);
  expect_captions("captions.txt", plain + "p1.png,another one\n");
  expect_captions("captions.txt", tabs);

  std::string even;  // equally many commas in each line are of the captions, too
  for (int i = 1; i < 20; ++i)
    even += "p" + std::to_string(i) + ".png,a grey, number " + std::to_string(i) + "\n";
  expect_captions("captions.txt", even);
  write("captions.csv", "a,b,c\np1.png,2,3\n");
  expect_error("captions.csv: expected the pictures' names in the first column");
  write("captions.csv", "p1.png,plain\np2.png,gr\xFCn\n");
  expect_error("captions.csv, line 2: expected UTF-8");
  write("captions.csv", "p1.png,\np2.png,\n");
  EXPECT_TRUE(has_note(
      read(), "no captions from captions.csv: all that it has for the pictures are empty"));
  write("captions.csv", "nothing,of these\n");
  EXPECT_TRUE(has_note(read(), "no captions from captions.csv: it names none of the pictures"));
}

TEST_F(ImageFolder, PairsFromAnotherFolder) {
  for (int i = 0; i < 20; ++i) {
    picture("a/p" + std::to_string(i) + ".png", {static_cast<uint8_t>(i)});
    if (i > 0) picture("b/p" + std::to_string(i) + ".PNG", {static_cast<uint8_t>(i), 0, 9}, 16, 16);
  }
  picture("b/more.png", {1});
  const auto read_a = [&](const fs::path& pairs) {
    return read_image_folder(dir_ / "a", {.pairs = pairs});
  };
  const ImageSet set = read_a(dir_ / "b");
  EXPECT_EQ(set.train.count + set.test.count, 19);
  EXPECT_TRUE(has_note(set, "left out 1 picture without a pair: p0.png"));
  EXPECT_EQ(set.train.channels, 1);
  EXPECT_EQ(set.train.pair_channels, 3);
  ASSERT_EQ(set.train.pairs.size(), static_cast<size_t>(set.train.count * 3 * 64));
  for (int64_t i = 0; i < set.train.count; ++i) {
    EXPECT_EQ(set.train.pairs[static_cast<size_t>(i * 192)],
              set.train.pixels[static_cast<size_t>(i * 64)]);
    EXPECT_EQ(set.train.pairs[static_cast<size_t>(i * 192 + 128)], 9);
  }
  EXPECT_NE(set.fingerprint, read_image_folder(dir_ / "a").fingerprint);
  picture("c/none.png", {1});
  for (int i = 0; i < 20; ++i) picture("e/p" + std::to_string(i) + ".png", {1}, 16, 12);
  for (const auto& [folder, text] :
       {std::pair(dir_ / "c", "expected pictures of the same names as"),
        std::pair(dir_ / "e", "expected both of a pair of one shape, found 8x8"),
        std::pair(dir_ / "d", "d")}) {
    try {
      read_a(folder);
      ADD_FAILURE() << folder;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  }
}

TEST_F(ImageFolder, SheetsAndKindsThatAreNotReadAreNamed) {
  const Image one{.width = 8, .height = 8, .channels = 1, .pixels = std::vector<uint8_t>(64)};
  write("a.png", encode_png(one));
  write("b.png", encode_png(one));
  write("c.TIF", std::string("II*\0\0", 5));
  write("d.txt", "x");
  EXPECT_TRUE(has_note(read(),
                       "skipped 2 other files: c.TIF, d.txt; 1 is a picture of a kind that "
                       "is not read (.tif): convert to PNG, as mogrify -format png *.tif"));
  EXPECT_FALSE(has_note(read(), "samples"));
  write("b.png", encode_png(one, {{"genai", R"({"request": {"count": 16}})", true}}));
  EXPECT_TRUE(has_note(read(),
                       "1 picture of ours with several samples, read as one picture each: "
                       "b.png of 16 (`genai sample --separate` writes single ones)"));
}

TEST_F(ImageFolder, TablesOfClassesAreReadAsOtherTables) {
  for (int i = 0; i < 4; ++i)
    picture("img" + std::to_string(i) + ".png", {static_cast<uint8_t>(i)});
  const std::vector<std::string> classes{"a \"b\", c", "d"};
  const std::string rows = "img0.png,\"a \"\"b\"\", c\"\nimg1.png,d\nimg2.png,d\nimg3.png,d\n";
  write("labels.csv", "# by hand\nfile,label\n\n" + rows);
  EXPECT_EQ(read().classes, classes);
  write("labels.csv", "sep=,\nfile,label\n" + rows);
  EXPECT_EQ(read().classes, classes);
  std::string wide = "\xFF\xFE", old = "file|label\r";
  for (const char c : rows) wide += {c, '\0'};
  write("labels.csv", wide);
  EXPECT_EQ(read().classes, classes);
  for (int i = 0; i < 4; ++i) old += concat("img", i, ".png|", i % 2, "\r");
  write("labels.csv", old);
  EXPECT_EQ(read().classes, (std::vector<std::string>{"0", "1"}));
  write("labels.csv", "file,label\nimg0.png,a\nimg1.png\nimg2.png,b\nimg3.png,b\n");
  expect_error("labels.csv: line 3: expected 2 fields as in line 1, found 1");
  write("labels.csv", "file,label\nimg0.png,a\nimg1.png,\"b\nimg2.png,b\nimg3.png,b\n");
  expect_error("labels.csv: line 3: expected a closing quote");
  write("labels.csv", "a remark, with a comma\nand \"more\n");  // names no picture: none of ours
  EXPECT_TRUE(read().classes.empty());
}

TEST_F(ImageFolder, ZipsOfPictures) {
  for (int i = 0; i < 5; ++i) {
    picture("in/cat/" + std::to_string(i) + ".png", {static_cast<uint8_t>(i)});
    picture("in/dog/" + std::to_string(i) + ".png", {static_cast<uint8_t>(i + 9)});
  }
  const fs::path file = dir_ / "pets.zip";
  const auto pack = [&](const std::vector<std::pair<std::string, std::string>>& files) {
    fs::remove(file);
    zip_t* zip = zip_open(file.c_str(), ZIP_CREATE, nullptr);
    for (const auto& [name, content] : files)
      zip_file_add(zip, name.c_str(), zip_source_buffer(zip, content.data(), content.size(), 0), 0);
    EXPECT_EQ(zip_close(zip), 0);
  };
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "in"))
    if (entry.is_regular_file())
      files.emplace_back(fs::relative(entry.path(), dir_ / "in").generic_string(),
                         read_file(entry.path(), 10000));
  files.emplace_back("__MACOSX/cat/._1.png", "x");
  files.emplace_back("readme.txt", "hello");
  pack(files);
  const ImageSet zipped = read_image_folder(file), plain = read_image_folder(dir_ / "in");
  EXPECT_EQ(zipped.fingerprint, plain.fingerprint);
  EXPECT_EQ(zipped.name, "pets");
  EXPECT_TRUE(has_note(zipped, "skipped 1 other file: readme.txt"));
  EXPECT_FALSE(has_note(zipped, "MACOSX"));
  const std::string good = read_file(file, 1 << 20);
  for (size_t at = 0; at < good.size(); at += 7) {  // no crash, and no other picture
    std::string broken = good;
    broken[at] = static_cast<char>(broken[at] ^ 0x11);
    std::ofstream(file, std::ios::binary) << broken;
    try {
      read_image_folder(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
    }
    if (at % 49 == 0) {
      std::ofstream(file, std::ios::binary) << good.substr(0, at);
      EXPECT_THROW(read_image_folder(file), Error);
    }
  }
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
  expect_error("expected a size", ErrorKind::usage, {{8, 0}, 0, 0.1});
  expect_error("1 or 3 channels", ErrorKind::usage, {0, 2, 0.1});
  for (const double share : {0.0, 1.0, -0.5, std::numeric_limits<double>::quiet_NaN()})
    expect_error("test share", ErrorKind::usage, {0, 0, share});
}

}  // namespace
}  // namespace genai
