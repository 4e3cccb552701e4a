#include "genai/data/text_data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <sstream>

#include "base/temp_folder.h"
#include "genai/base/hash.h"
#include "genai/data/known_sets.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Text : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    put(folder / name, text);
    return (folder / name).string();
  }
  TextData load(const TextOptions& options) const {
    return load_text(options, folder.path(), {.download = false, .progress = {}});
  }

  TempFolder folder;
};

TEST_F(Text, IsCutAtNineTenths) {
  for (const size_t n : {2, 3, 9, 10, 11, 99, 1000, 12345}) {
    const std::string text(n, 'a');
    const TextData data = load({.source = write("a.txt", text)});
    EXPECT_EQ(data.train.size(), static_cast<size_t>(static_cast<double>(n) * 0.9)) << n;
    EXPECT_EQ(data.train + data.validation, text);
  }
  const TextData data = load({.source = write("plays.txt", "0123456789"), .validation_share = 0.3});
  EXPECT_EQ(data.source, "plays");
  EXPECT_EQ(data.train, "0123456");
  EXPECT_FALSE(data.items);
}

TEST_F(Text, IsNeverCutInsideACharacter) {
  for (const char* character : {"\u00E9", "\u4E2D", "\U0001F642"}) {
    for (size_t before = 0; before < 12; ++before) {
      std::string text(before, 'a');
      for (int i = 0; i < 10; ++i) text += character;
      const TextData data = load({.source = write("a.txt", text)});
      EXPECT_EQ(data.train + data.validation, text);
      EXPECT_EQ(count_characters(data.train) + count_characters(data.validation),
                count_characters(text));
      const size_t wanted = static_cast<size_t>(static_cast<double>(text.size()) * 0.9);
      EXPECT_LE(data.train.size(), wanted);
      EXPECT_GT(data.train.size() + 4, wanted);
    }
  }
  const std::string binary(1000, '\x80');  // no UTF-8: cut where asked
  EXPECT_EQ(load({.source = write("a.bin", binary)}).train.size(), 900u);
}

TEST_F(Text, LinesAreItems) {
  std::string text;
  std::multiset<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "name" + std::to_string(i % 70);
    text += name + (i % 3 == 0 ? "\r\n" : "\n") + (i % 10 == 0 ? "\n" : "");
    expected.insert(name);
  }
  text.pop_back();  // the last line may have no end
  TextOptions options{.source = write("names.txt", text), .lines = true};
  const TextData data = load(options);
  EXPECT_TRUE(data.items);
  EXPECT_EQ(lines_of(data.train).size(), 90u);
  EXPECT_EQ(lines_of(data.validation).size(), 10u);
  EXPECT_EQ(data.validation.back(), '\n');
  std::multiset<std::string> found;
  for (const std::string& part : {data.train, data.validation}) {
    for (const std::string& line : lines_of(part)) found.insert(line);
  }
  EXPECT_EQ(found, expected);
  ASSERT_GE(data.notes.size(), 2u);
  EXPECT_NE(data.notes[1].find("10 empty lines"), std::string::npos) << data.notes[1];

  EXPECT_EQ(load(options).fingerprint, data.fingerprint);
  options.seed = 1;
  EXPECT_NE(load(options).train, data.train);
  EXPECT_EQ(lines_of(load({.source = write("two.txt", "a\nb"), .lines = true}).train).size(), 1u);
}

TEST_F(Text, ValidationMayBeAFile) {
  const std::string train = write("train.txt", "b\na\n\nc"), validation = write("val.txt", "d\r\n");
  TextData data = load({.source = train, .validation = validation});
  EXPECT_EQ(data.train, "b\na\n\nc");
  EXPECT_EQ(data.validation, "d\n");  // as every text file is read
  data = load({.source = train, .validation = validation, .lines = true});
  EXPECT_EQ(data.train, "b\na\nc\n");
  EXPECT_EQ(data.validation, "d\n");
}

TEST_F(Text, FingerprintsTellDifferentDataApart) {
  std::set<std::string> all;
  const std::string file = write("a.txt", "a\nb\nc\nd\ne\nf\n");
  all.insert(load({.source = file}).fingerprint);
  all.insert(load({.source = file, .validation_share = 0.5}).fingerprint);
  all.insert(load({.source = file, .lines = true}).fingerprint);
  all.insert(load({.source = file, .validation = file}).fingerprint);
  all.insert(load({.source = file, .validation = file, .lines = true}).fingerprint);
  all.insert(load({.source = "sums"}).fingerprint);
  EXPECT_EQ(all.size(), 6u);
}

TEST_F(Text, WrongInputsAreNamed) {
  expect_error(ErrorKind::data, "nothing.txt",
               [&] { load({.source = (folder / "nothing.txt").string()}); });
  expect_error(ErrorKind::data, "found an empty file",
               [&] { load({.source = write("empty.txt", "")}); });
  expect_error(ErrorKind::data, "at least 2 characters",
               [&] { load({.source = write("a.txt", "a")}); });
  expect_error(ErrorKind::data, "at least 2 characters",
               [&] { load({.source = write("a.txt", "\u4E2D")}); });
  expect_error(ErrorKind::data, "at least 2 lines, for training and validation, found 1",
               [&] { load({.source = write("a.txt", "\na\n\n"), .lines = true}); });
  expect_error(ErrorKind::data, "found empty lines",
               [&] { load({.source = write("a.txt", "\n\r\n"), .lines = true}); });
  const std::string good = write("good.txt", "some text");
  for (const double share : {0.0, 1.0, -1.0, std::nan("")}) {
    expect_error(ErrorKind::usage, "share",
                 [&] { load({.source = good, .validation_share = share}); });
  }
  expect_error(ErrorKind::data, "empty.txt",
               [&] { load({.source = good, .validation = (folder / "empty.txt").string()}); });
  expect_error(ErrorKind::usage, "sums has its own",
               [&] { load({.source = "sums", .validation = good}); });
  std::filesystem::create_directory(folder / "empty");
  expect_error(ErrorKind::data, "empty: expected a text, found a folder without one",
               [&] { load({.source = (folder / "empty").string()}); });
}

TEST_F(Text, SumsAreRightAndApart) {
  const TextData data = load({.source = "sums"});
  EXPECT_TRUE(data.items);
  EXPECT_TRUE(data.notes.empty());
  std::set<std::string> all;
  const std::vector<std::string> train = lines_of(data.train), held = lines_of(data.validation);
  EXPECT_EQ(train.size(), 9000u);
  EXPECT_EQ(held.size(), 1000u);
  for (const auto* part : {&train, &held}) all.insert(part->begin(), part->end());
  std::set<std::string> sums;
  for (int a = 0; a < 100; ++a) {
    for (int b = 0; b < 100; ++b) sums.insert(concat(a, "+", b, "=", a + b));
  }
  EXPECT_EQ(all, sums);  // each right, none twice, none left out
  EXPECT_EQ(sums_text().substr(0, 12), "0+0=0\n0+1=1\n");
  EXPECT_TRUE(sums_text().ends_with("\n99+99=198\n"));
  // If this fails on another machine, its philox is not ours.
  EXPECT_EQ(data.fingerprint, "c31b5b70d8da11cd16e971ad726b6b96b54ccf5fc1aa7187647b70c4462128f9");
}

class Known : public Text {
 protected:
  Known() {
    text.name = "tiny";
    text.paths = {"tiny/input.txt", "tiny.txt"};
    for (const char* mirror : {"nothing", "mirror"})
      text.urls.push_back("file://" + (folder / mirror).string());
    text.bytes = content.size();
    text.sha256 = sha256(content);
    text.advice = "use `sums` (built in)";
  }
  std::string load(bool download = false) const {
    return load_known_text(text, folder / "data", {.download = download, .progress = {}});
  }

  std::string content = "To be, or not to be.\n";
  KnownText text;
};

TEST_F(Known, IsFoundUnderEachName) {
  expect_error(ErrorKind::data, "or use `sums`", [&] { load(); });
  expect_error(ErrorKind::data, (folder / "data/tiny.txt").string(), [&] { load(); });
  fs::create_directories(folder / "data/tiny");
  put(folder / "data/tiny.txt", content);
  EXPECT_EQ(load(), content);
  put(folder / "data/tiny/input.txt", content + "more");  // the first one there counts
  expect_error(ErrorKind::data, "tiny/input.txt is not the original tiny", [&] { load(); });
  expect_error(ErrorKind::data, "genai data fetch tiny", [&] { load(true); });
}

TEST_F(Known, IsDownloadedWhenMissing) {
  expect_error(ErrorKind::data, "it could not be fetched", [&] { load(true); });
  put(folder / "mirror", content.substr(1));
  expect_error(ErrorKind::data, "it could not be fetched", [&] { load(true); });
  put(folder / "mirror", content);
  EXPECT_EQ(load(true), content);
  EXPECT_EQ(slurp(folder / "data/tiny/input.txt"), content);
  EXPECT_EQ(load(), content);
}

TEST(Shakespeare, IsTheKnownFile) {
  EXPECT_EQ(shakespeare().bytes, 1'115'394u);
  EXPECT_EQ(shakespeare().urls.size(), 1u);
  for (const char* name : {"shakespeare", "sums"}) {
    ASSERT_TRUE(find_known_set(name)) << name;
    EXPECT_TRUE(find_known_set(name)->text) << name;
    EXPECT_FALSE(find_known_set(name)->images) << name;
  }
  EXPECT_FALSE(find_known_set("Sums"));
}

TEST_F(Text, TokenizersAreMadeFromTheRightPart) {
  std::string text;
  for (int i = 0; i < 90; ++i) text += "ab ";
  text += std::string(30, 'z');
  const TextData data = load({.source = write("a.txt", text)});
  ASSERT_EQ(data.validation, std::string(30, 'z'));
  EXPECT_EQ(make_tokenizer(data, "characters")->size(), 4);  // z too
  const auto bpe = make_tokenizer(data, "bpe", 300);
  EXPECT_EQ(bpe->encode("zz").size(), 2u);
  EXPECT_EQ(bpe->encode(" ab").size(), 1u);
  EXPECT_EQ(make_tokenizer(data, "words")->size(), 258);  // "ab", " ab"
  EXPECT_EQ(make_tokenizer(data, "bytes")->size(), 256);

  put(folder / "vocab.json", bpe->bpe()->vocabulary_file());
  put(folder / "merges.txt", bpe->bpe()->merges_file());
  const auto read = make_tokenizer(data, folder.path().string());
  EXPECT_EQ(read->fingerprint(), bpe->fingerprint());
  expect_error(ErrorKind::usage, "its own vocabulary",
               [&] { make_tokenizer(data, folder.path().string(), 300); });
  expect_error(ErrorKind::usage, "found 'letters'", [&] { make_tokenizer(data, "letters"); });
  fs::remove(folder / "merges.txt");
  expect_error(ErrorKind::data, "merges.txt",
               [&] { make_tokenizer(data, folder.path().string()); });
}

}  // namespace
}  // namespace genai
