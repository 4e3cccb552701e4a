#include <zlib.h>

#include "cli/tool.h"

namespace genai {
namespace {

class Data : public Cli {
 protected:
  static std::string gzip(const std::string& content) {
    std::string packed(content.size() / 100 + 1000, '\0');
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
  }
};

TEST_F(Data, MissingWithoutNetworkSaysWhatToDo) {
  ToolOptions options = here();
  options.environment["GENAI_DATA"] = (folder / "store").string();
  const std::string store = (folder / "store/mnist").string();
  expect_error(3, {"train", "--model", "vae"},
               {"train-images-idx3-ubyte", store, "--data digits", "could not be fetched"},
               options);
  expect_error(3, {"data", "fetch", "mnist"}, {store, "--data digits"}, options);
  EXPECT_FALSE(fs::exists(folder / "runs"));
  EXPECT_TRUE(leftovers(folder.path()).empty());
  for (const std::string& name : names_in(store)) {
    EXPECT_EQ(name.find(".part"), std::string::npos) << name;
  }
  const Outcome list = genai({"data"}, options);
  EXPECT_EQ(list.code, 0);
  EXPECT_NE(list.out.find("not here (genai data fetch mnist)"), std::string::npos) << list.out;
  EXPECT_NE(list.out.find((folder / "store").string()), std::string::npos) << list.out;
}

TEST_F(Data, DamagedFilesAreNamed) {
  const fs::path file = folder / "store/mnist/train-images-idx3-ubyte.gz";
  fs::create_directories(file.parent_path());
  const Arguments train{"train", "--model", "vae", "--data-dir", "store"};
  const std::string good = gzip(std::string(100000, 'x'));
  put(file, good);  // of another content
  expect_error(3, train, {file.filename().string(), "not the original", "SHA-256"});
  put(file, good.substr(0, good.size() / 2));
  expect_error(3, train, {file.filename().string(), "Delete it"});
  put(file, gzip(std::string(60'000'000, '\0')));  // more than the 47 million bytes of MNIST
  expect_error(3, train, {file.filename().string(), "Delete it"});
  put(file, "");
  expect_error(3, train, {file.filename().string(), "Delete it"});
}

TEST_F(Data, FoldersWithoutPicturesAreNamed) {
  expect_error(3, {"train", "--model", "vae", "--data", "mnits"}, {"mnits", "'mnist'"});
  fs::create_directory(folder / "texts");
  put(folder / "texts/a.txt", std::string("\0\1", 2));
  expect_error(3, {"data", "show", "texts"}, {"texts", "found 0", "a.txt"});
  for (const char* name : {"a.png", "b.png"}) put(folder / "texts" / name, "text");
  expect_error(3, {"train", "--model", "vae", "--data", "texts"}, {"a.png", "found text"});
  expect_error(2, {"train", "--model", "vae", "--data", "pics", "--batch", "108"}, {"108", "107"});
}

TEST_F(Data, CaptionsWithoutWordsAreRefused) {
  std::string captions;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "pics")) {
    if (entry.is_regular_file()) captions += entry.path().filename().string() + ",...\n";
  }
  put(folder / "pics/captions.csv", captions);
  expect_error(3, {"data", "show", "pics"}, {"pics", "captions hold no words"});
}

TEST_F(Data, DigitsNeedNoFiles) {
  const Json made = json_of({"train", "--model", "vae", "--data", "digits", "--limit", "200",
                             "--encoder.hidden", "16", "--decoder.hidden", "16", "--steps", "2",
                             "--batch", "100", "--threads", "1", "--quiet"});
  EXPECT_EQ(made["run"], "runs/001-vae-digits");
}

TEST_F(Data, ShowDescribesAndVerbsNeedTheirArguments) {
  const Json shown = json_of({"data", "show", "pics"});
  EXPECT_EQ(shown["classes"], Json::array({"bars", "rings"}));
  EXPECT_EQ(shown["width"], 12);
  EXPECT_EQ(shown["train_count"].get<int>() + shown["test_count"].get<int>(), 120);
  put(folder / "pics/bars/torn.png", slurp(folder / "pics/bars/000.png").substr(0, 50));
  ToolOptions narrow = here();
  narrow.environment["COLUMNS"] = "1";
  const Outcome page = genai({"data", "show", "pics"}, narrow);
  EXPECT_EQ(page.code, 0) << page.err;
  EXPECT_NE(page.out.find("could not read 1 picture"), std::string::npos) << page.out;
  expect_error(2, {"data", "fetch", "digits"}, {"digits"});
  expect_error(2, {"data", "forget"}, {"forget"});
  const Json list = json_of({"data"});
  EXPECT_EQ(list[0]["name"], "digits");
  EXPECT_EQ(list[0]["state"], "built in");
}

TEST_F(Data, TheFirstLineSaysWhatWasRead) {
  fs::create_directories(folder / "pics/rings");
  put(folder / "pics/notes.txt", "x");
  const Outcome shown = genai({"data", "show", "pics"});
  const std::string first = shown.out.substr(0, shown.out.find('\n'));
  for (const char* part :
       {"pics: 12x12 grey, ", " for training, ", " for testing", "2 classes: bars, rings"}) {
    EXPECT_NE(first.find(part), std::string::npos) << first << "\nlacks: " << part;
  }
  EXPECT_NE(shown.out.find("note: skipped 1 other file: notes.txt"), std::string::npos);
  const Outcome trained = genai(training({"--dry-run"}));
  EXPECT_EQ(trained.err.find("data: pics: 12x12 grey"), 0u) << trained.err;
  expect_error(2, {"train", "--model", "vae", "--data", "digits", "--test-share", "0.2"},
               {"--test-share", "its own test images"});
  EXPECT_EQ(json_of({"data", "show", "pics", "--size", "8x6"})["height"], 6);
  expect_error(2, {"data", "show", "pics", "--size", "8x"}, {"--size", "WIDTHxHEIGHT"});
}

TEST_F(Data, PicturesAndArchivesAreNoTexts) {
  expect_error(3, {"train", "--model", "vae", "--data", "pics/bars/000.png"},
               {"000.png is a PNG; expected a folder or ZIP of images"});
  put(folder / "x.zip", std::string("PK\3\4", 4) + std::string(40, '\0'));
  expect_error(3, {"data", "show", "x.zip"}, {"cannot read ZIP x.zip"});
}

TEST_F(Data, NamesThatAreNotUtf8AreRefusedBeforeAnythingIsWritten) {
  const std::string odd = "K\xF6ln";
  expect_error(2, training({"--steps", "1", "--out", odd}), {"--out", "UTF-8"});
  expect_error(2, training({"--steps", "1", "--leave-out", odd}), {"--leave-out", "UTF-8"});
  expect_error(2, {"train", "--model", "vae", "--data", odd}, {"--data", "UTF-8"});
  fs::rename(folder / "pics/bars", folder / ("pics/" + odd));
  expect_error(3, training({"--steps", "1"}), {"the class 'K", "UTF-8; rename"});
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"pics"});
}

TEST_F(Data, LoopsOfLinksArePassedOver) {
  fs::create_directories(folder / "texts");
  put(folder / "texts/a.txt", "some words to be read, and some more of them");
  for (const char* place : {"pics", "texts"}) {
    fs::create_symlink("b", folder / place / "a");
    fs::create_symlink("a", folder / place / "b");
    EXPECT_EQ(genai({"data", "show", place}).code, 0) << place;
  }
  expect_error(3, {"check", "texts"}, {"no pictures"});
}

TEST_F(Data, ClassesHaveNames) {
  const std::string run = train({"--steps", "1", "--conditional", "--leave-out", "bars"});
  EXPECT_EQ(json_of({"inspect", run})["data"]["source"], "pics-without-bars");
  const Outcome made = genai({"sample", run, "--class", "RINGS", "-n", "1", "--out", "x.png"});
  EXPECT_EQ(made.code, 0) << made.err;
  const Json told = json_of({"inspect", "x.png"})["text"];
  EXPECT_EQ(told["genai"]["class"], "rings");
  EXPECT_EQ(told["genai"]["request"]["class"], 1);
  EXPECT_NE(told["parameters"].get<std::string>().find("Class: rings"), std::string::npos);
  expect_error(2, {"sample", run, "--class", "stripes", "-n", "1"}, {"bars, rings", "from 0 to 1"});
  EXPECT_NE(genai({"sample", run, "--help"}).out.find("one of bars, rings"), std::string::npos);
  EXPECT_NE(genai({"inspect", run}).out.find("classes: bars, rings"), std::string::npos);
}

TEST_F(Data, ShowOfATextCountsItsTokens) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += concat("the cat and the hat, caf\u00E9 ", i, "\n");
  put(folder / "cats.txt", text);
  const Json shown = json_of({"data", "show", "cats.txt"});
  EXPECT_EQ(shown["source"], "cats");
  EXPECT_EQ(shown["items"], false);
  EXPECT_EQ(shown["tokenizer"]["kind"], "characters");
  EXPECT_EQ(shown["tokenizer"]["size"], shown["vocabulary"].size());
  EXPECT_EQ(shown["vocabulary"][0], "\\n");
  EXPECT_EQ(shown["vocabulary"][1], "\u2423");
  const Json &train = shown["train"], &validation = shown["validation"];
  EXPECT_EQ(train["bytes"].get<size_t>() + validation["bytes"].get<size_t>(), text.size());
  EXPECT_EQ(train["tokens"], train["characters"]);
  EXPECT_EQ(shown["frequent"][0]["token"], "\u2423");
  EXPECT_EQ(shown["example"]["ids"].size(), shown["example"]["tokens"].size());

  const Json bytes = json_of({"data", "show", "cats.txt", "--tokenizer", "bytes"});
  EXPECT_EQ(bytes["validation"]["bytes_per_token"], 1.0);
  const Arguments bpe{"data",         "show", "cats.txt", "--tokenizer", "bpe",
                      "--vocabulary", "270",  "--text",   "the cat"};
  Arguments writing = bpe;
  writing.insert(writing.end(), {"--out", "made/tokenizer"});
  const Json pairs = json_of(writing);
  EXPECT_EQ(pairs["tokenizer"]["size"], 270);
  EXPECT_EQ(pairs["example"]["text"], "the\u2423cat");
  EXPECT_GT(pairs["train"]["bytes_per_token"], 1.5);
  EXPECT_EQ(names_in(folder / "made/tokenizer"), (Arguments{"merges.txt", "vocab.json"}));
  const Json read =
      json_of({"data", "show", "cats.txt", "--tokenizer", "made/tokenizer", "--text", "the cat"});
  EXPECT_EQ(read["tokenizer"], pairs["tokenizer"]);
  EXPECT_EQ(read["example"], pairs["example"]);
  const Json words = json_of({"data", "show", "cats.txt", "--tokenizer", "words"});
  EXPECT_EQ(words["example"]["tokens"][1], "\u2423cat");

  ToolOptions narrow = here();
  narrow.environment["COLUMNS"] = "1";
  const Outcome page = genai(bpe, narrow);
  EXPECT_EQ(page.code, 0) << page.err;
  for (const char* part :
       {"running text; tokenizer bpe-270", "validation", "most frequent",
        "the 256 bytes and 14 more (", " of 270 are in train)", "example: 7 characters, "}) {
    EXPECT_NE(page.out.find(part), std::string::npos) << page.out << "lacks: " << part;
  }
}

TEST_F(Data, ShowOfItemsAndBuiltInSums) {
  const Json sums = json_of({"data", "show", "sums"});
  EXPECT_EQ(sums["items"], true);
  EXPECT_EQ(sums["tokenizer"]["size"], 13);  // digits, +, =, end of line
  EXPECT_EQ(sums["train"]["lines"], 9000);
  EXPECT_EQ(sums["validation"]["lines"], 1000);
  put(folder / "names.txt", "emma\nolivia\nava\n\nisabella\n");
  put(folder / "held.txt", "mia\n");
  const Json names = json_of({"data", "show", "names.txt", "--lines"});
  EXPECT_EQ(names["train"]["lines"], 3);
  EXPECT_EQ(names["validation"]["lines"], 1);
  EXPECT_EQ(names["notes"].size(), 2u);
  const Json given = json_of({"data", "show", "names.txt", "--lines", "--validation", "held.txt"});
  EXPECT_EQ(given["train"]["lines"], 4);
  EXPECT_EQ(given["validation"]["bytes"], 4);
  const Outcome page = genai({"data", "show", "names.txt", "--lines"});
  EXPECT_NE(page.out.find("an item a line"), std::string::npos) << page.out;
  EXPECT_NE(page.out.find("left out 1 empty line"), std::string::npos) << page.out;
}

TEST_F(Data, WrongTextsAndTokenizersAreNamed) {
  put(folder / "empty.txt", "");
  put(folder / "binary.txt", "some text \xFF and more");
  put(folder / "good.txt", "some text and more");
  expect_error(3, {"data", "show", "empty.txt"}, {"empty.txt", "empty file"});
  expect_error(3, {"data", "show", "binary.txt"}, {"byte 10 (\\xFF)", "bytes or bpe"});
  EXPECT_EQ(genai({"data", "show", "binary.txt", "--tokenizer", "bytes"}).code, 0);
  expect_error(3, {"data", "show", "good.txt", "--text", "Z"}, {"'Z' (U+005A) at byte 0"});
  expect_error(2, {"data", "show", "good.txt", "--tokenizer", "letters"}, {"letters", "words"});
  expect_error(2, {"data", "show", "good.txt", "--vocabulary", "300"}, {"300", "bpe and words"});
  expect_error(2, {"data", "show", "good.txt", "--tokenizer", "bpe", "--vocabulary", "9"},
               {"256", "found 9"});
  expect_error(2, {"data", "show", "good.txt", "--out", "made"}, {"--out", "characters-"});
  expect_error(2, {"data", "show", "good.txt", "--size", "9"}, {"--size", "good.txt"});
  expect_error(2, {"data", "show", "pics", "--tokenizer", "bpe"}, {"--tokenizer", "pics"});
  expect_error(3, {"data", "show", "good.txt", "--tokenizer", "pics"}, {"vocab.json"});
  expect_error(3, {"data", "show", "shakespear"}, {"'shakespeare'"});
  EXPECT_FALSE(fs::exists(folder / "made"));
}

TEST_F(Data, ShakespeareWithoutNetworkSaysWhatToDo) {
  ToolOptions options = here();
  options.environment["GENAI_DATA"] = (folder / "store").string();
  const std::string file = (folder / "store/shakespeare/input.txt").string();
  for (const char* action : {"show", "fetch"}) {
    expect_error(3, {"data", action, "shakespeare"}, {file, "could not be fetched", "`sums`"},
                 options);
  }
  fs::create_directories(folder / "store/shakespeare");
  put(file, "To be, or not to be");
  expect_error(3, {"data", "show", "shakespeare"},
               {file, "not the original", "SHA-256", "genai data fetch shakespeare"}, options);
  const Outcome list = genai({"data"}, options);
  EXPECT_NE(list.out.find("(genai data fetch shakespeare)"), std::string::npos) << list.out;
}

}  // namespace
}  // namespace genai
