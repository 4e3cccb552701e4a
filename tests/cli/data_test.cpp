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
  put(file, good);   // of another content
  expect_error(3, train, {file.filename().string(), "not the original", "SHA-256"});
  put(file, good.substr(0, good.size() / 2));
  expect_error(3, train, {file.filename().string(), "Delete it"});
  put(file, gzip(std::string(60'000'000, '\0')));   // more than the 47 million bytes of MNIST
  expect_error(3, train, {file.filename().string(), "Delete it"});
  put(file, "");
  expect_error(3, train, {file.filename().string(), "Delete it"});
}

TEST_F(Data, FoldersWithoutPicturesAreNamed) {
  expect_error(3, {"train", "--model", "vae", "--data", "mnits"}, {"mnits", "'mnist'"});
  fs::create_directory(folder / "texts");
  put(folder / "texts/a.txt", "text");
  expect_error(3, {"data", "show", "texts"}, {"texts", "found 0", "a.txt"});
  for (const char* name : {"a.png", "b.png"}) put(folder / "texts" / name, "text");
  expect_error(3, {"train", "--model", "vae", "--data", "texts"}, {"a.png", "found text"});
  expect_error(2, {"train", "--model", "vae", "--data", "pics", "--batch", "108"}, {"108", "107"});
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

}  // namespace
}  // namespace genai
