#include "genai/data/text_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "base/temp_folder.h"
#include "genai/data/text_data.h"
#include "genai/data/text_set.h"

namespace genai {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

/// "Aé🙂" and a line end in UTF-16.
const std::string kLittle = "A\0\xE9\0\x3D\xD8\x42\xDE\n\0"s,
                  kBig = "\0A\0\xE9\xD8\x3D\xDE\x42\0\n"s;
const std::string kPlain = "A\u00E9\U0001F642\n";

std::string gzipped(const std::string& text) {
  TempFolder folder;
  const std::string path = (folder / "x.gz").string();
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  return slurp(path);
}

TEST(PlainText, LeavesOutMarksAndLineEndsOfOtherSystems) {
  EXPECT_EQ(plain_text("a\r\nb\r\n", "x"), "a\nb\n");
  EXPECT_EQ(plain_text("a\rb\r", "x"), "a\nb\n");  // of old Macs
  EXPECT_EQ(plain_text("a\rb\n\r\r\n", "x"), "a\nb\n\n\n");
  EXPECT_EQ(plain_text(gzipped("a\r\n") + gzipped("b\r"), "x"), "a\nb\n");  // cat a.gz b.gz
  EXPECT_EQ(plain_text("\xEF\xBB\xBF"
                       "anna\n",
                       "x"),
            "anna\n");
  EXPECT_EQ(plain_text("\xFF\xFE" + kLittle, "x"), kPlain);
  EXPECT_EQ(plain_text("\xFE\xFF" + kBig, "x"), kPlain);
  EXPECT_EQ(plain_text(gzipped("\xFF\xFE" + kLittle), "x"), kPlain);
  EXPECT_EQ(plain_text("\xFF\xFE"
                       "a\0\r\0\n\0"s,
                       "x"),
            "a\n");
  std::vector<std::string> notes;
  plain_text(
      "\xFF\xFE"
      "a\0\r\0\n\0"s,
      "my.txt", &notes);
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0], "my.txt: converted from UTF-16");
}

TEST(PlainText, ZerosInEverySecondPlaceAreUtf16) {
  std::string wide;
  for (const char c : "plain words"s) wide += {c, '\0'};
  EXPECT_EQ(plain_text(wide, "x"), "plain words");
  // What holds zeros otherwise is no text: its bytes stay.
  const std::string binary = "\0\0\1\2\r\n\0\0\0\0"s;
  EXPECT_EQ(plain_text(binary, "x"), binary);
}

TEST(PlainText, SaysWhatItCannotRead) {
  const auto refuse = [](const std::string& bytes, const char* why) {
    expect_error(ErrorKind::data, why, [&] { plain_text(bytes, "x"); });
  };
  refuse("\xFF\xFE\0\0a\0\0\0"s, "UTF-32");
  refuse(
      "\xFF\xFE"
      "a"s,
      "byte 2 is none");
  refuse(
      "\xFF\xFE\x3D\xD8"
      "a\0"s,
      "UTF-16");
  refuse(
      "\xFF\xFE\x42\xDE"
      "a\0"s,
      "UTF-16");
  refuse(gzipped("hello, hello, hello").substr(0, 15), "gzip");
}

TEST(TextFolder, IsReadInTheOrderOfItsPaths) {
  TempFolder folder;
  std::filesystem::create_directories(folder / "texts/a");
  put(folder / "texts/b.txt", "second");
  put(folder / "texts/a/z.md", "first\r\n");
  put(folder / "texts/c.txt.gz", gzipped("third\n"));
  put(folder / "texts/d.bin", "\0\1\2"s);
  put(folder / "texts/.hidden", "no");
  const std::string texts = (folder / "texts").string();
  EXPECT_TRUE(is_text_source(texts));
  std::vector<std::string> notes;
  EXPECT_EQ(read_text(texts, false, &notes), "first\nsecond\nthird\n");
  EXPECT_NE(notes.back().find("3 texts, one after the other; left out what is none: 1, as d.bin"),
            std::string::npos)
      << notes.back();
  const TextData data = load_text({.source = texts + "/"}, folder.path());
  EXPECT_EQ(data.source, "texts");
  EXPECT_EQ(data.train + data.validation, "first\nsecond\nthird\n");
  EXPECT_EQ(load_text({.source = texts + "/c.txt.gz"}, folder.path()).source, "c");
  // Pictures make it a set of images.
  put(folder / "texts/e.png", "x");
  EXPECT_FALSE(is_text_source(texts));
}

TEST(TextFolder, IsSplitWhereNamesSaySo) {
  TempFolder folder;
  int made = 0;
  const auto parts = [&](const std::vector<std::string>& files,
                         std::vector<std::string>* notes = nullptr) {
    const fs::path texts = folder / concat("texts", ++made);
    for (const std::string& file : files) {
      fs::create_directories((texts / file).parent_path());
      const std::string text = file + "\n";
      put(texts / file, file.ends_with(".gz") ? gzipped(text) : text);
    }
    const TextParts read = read_text_parts(texts, false, notes);
    return std::pair(read.text, read.validation);
  };
  using Parts = std::pair<std::string, std::string>;
  EXPECT_EQ(parts({"train.txt", "val.txt"}), Parts("train.txt\n", "val.txt\n"));
  EXPECT_EQ(parts({"Validation.TXT", "TRAIN.TXT"}), Parts("TRAIN.TXT\n", "Validation.TXT\n"));
  EXPECT_EQ(parts({"wiki.train.tokens", "wiki.valid.tokens"}),
            Parts("wiki.train.tokens\n", "wiki.valid.tokens\n"));
  EXPECT_EQ(parts({"my_train.txt.gz", "my_test.txt.gz"}),
            Parts("my_train.txt.gz\n", "my_test.txt.gz\n"));
  EXPECT_EQ(parts({"train/a.txt", "train/b/c.txt", "test/a.txt"}),
            Parts("train/a.txt\ntrain/b/c.txt\n", "test/a.txt\n"));
  std::vector<std::string> notes;
  EXPECT_EQ(parts({"train.txt", "valid.txt", "test.txt", "README.md"}, &notes),
            Parts("train.txt\n", "valid.txt\n"));
  const std::string said = notes.back();
  EXPECT_NE(said.find("1 text to train on (train.txt), 1 text to validate on (valid.txt); left out "
                      "1 text of neither part, as test.txt; left out 1 text of neither part, as "
                      "README.md"),
            std::string::npos)
      << said;
  // One part alone is no split, nor are words that merely hold such a name.
  EXPECT_EQ(parts({"train.txt", "trains.txt"}), Parts("train.txt\ntrains.txt\n", ""));
  // Training takes each for what it is, whatever the share; a file named for it goes before.
  const std::string texts = (folder / "texts1").string();
  const TextData data = load_text({.source = texts, .lines = true}, folder.path());
  EXPECT_EQ(data.train, "train.txt\n");
  EXPECT_EQ(data.validation, "val.txt\n");
  put(folder / "own.txt", "own\n");
  const std::string own = (folder / "own.txt").string();
  const TextData other = load_text({.source = texts, .validation = own}, folder.path());
  EXPECT_EQ(other.train + other.validation, "train.txt\nown\n");
}

TEST(TextSource, ThatIsNotThereIsNamedWhateverItsEnding) {
  for (const char* name : {"mispelled.txt", "mispelled.csv", "mispelled", "no/such/folder"}) {
    expect_error(ErrorKind::data, concat("no such file or folder '", name, "'"),
                 [&] { modality_of({.source = name}); });
  }
  expect_error(ErrorKind::data, "did you mean 'shakespeare'?",
               [] { modality_of({.source = "shakespear"}); });
  EXPECT_TRUE(is_text_source("sums"));
  EXPECT_FALSE(is_text_source("mnist"));
}

TEST(TextData, IsTheSameFromEverySystem) {
  TempFolder folder;
  std::string plain, mac, windows = "\xEF\xBB\xBF", wide = "\xFF\xFE";
  for (int i = 0; i < 40; ++i) {
    const std::string line = concat("line ", i);
    plain += line + "\n";
    mac += line + "\r";
    windows += line + "\r\n";
    for (const char c : line + "\r\n") wide += {c, '\0'};
  }
  put(folder / "plain.txt", plain);
  put(folder / "mac.txt", mac);
  put(folder / "windows.txt", windows);
  put(folder / "wide.txt", wide);
  put(folder / "packed.txt.gz", gzipped(windows));
  for (const bool lines : {false, true}) {
    const auto load = [&](const char* name) {
      return load_text({.source = (folder / name).string(), .lines = lines}, folder.path())
          .fingerprint;
    };
    const std::string expected = load("plain.txt");
    for (const char* other : {"mac.txt", "windows.txt", "wide.txt", "packed.txt.gz"})
      EXPECT_EQ(load(other), expected);
  }
  // As version 0.1 read it.
  const TextData raw =
      load_text({.source = (folder / "windows.txt").string(), .raw = true}, folder.path());
  EXPECT_EQ(raw.train + raw.validation, windows);
}

TEST(TextData, OneTokenIsTooLittleToValidateOn) {
  TempFolder folder;
  put(folder / "a.txt", std::string(60, 'a') + std::string(59, 'b'));
  put(folder / "v.txt", "a");
  expect_error(ErrorKind::data, "has 1 token for validation, expected 2 at least", [&] {
    load_dataset({.source = (folder / "a.txt").string(),
                  .own = {{"context", 8}, {"validation", (folder / "v.txt").string()}}});
  });
}

}  // namespace
}  // namespace genai
