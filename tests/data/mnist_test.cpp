#include "genai/data/mnist.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <fstream>
#include <map>
#include <set>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/data/idx.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

std::string gzip(const std::string& content) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, content.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// A little set of its own in the form of MNIST: 6 + 4 images of 5 x 4, and a folder for it.
class IdxSet : public testing::Test {
 protected:
  IdxSet() {
    std::string pattern = (fs::temp_directory_path() / "genai-mnist-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
    source_.name = "tiny";
    source_.classes = {"a", "b", "c"};
    source_.advice = "use `--data digits`";
    add(source_.train_images, "train-images-idx3-ubyte", images(6));
    add(source_.train_labels, "train-labels-idx1-ubyte", labels(6));
    add(source_.test_images, "t10k-images-idx3-ubyte", images(4));
    add(source_.test_labels, "t10k-labels-idx1-ubyte", labels(4));
  }
  ~IdxSet() override { fs::remove_all(dir_); }

  static std::string images(int64_t count) {
    LabelledImages split;
    split.count = count;
    split.height = 5;
    split.width = 4;
    for (int64_t p = 0; p < count * 20; ++p) split.pixels.push_back(static_cast<uint8_t>(p));
    return write_idx_images(split);
  }
  static std::string labels(char count) {
    std::string bytes("\0\0\x08\x01\0\0\0", 7);
    bytes.push_back(count);
    for (char i = 0; i < count; ++i) bytes.push_back(i % 3);
    return bytes;
  }
  void add(IdxFile& file, const std::string& name, const std::string& content) {
    file.name = name;
    file.bytes = content.size();
    file.sha256 = sha256(content);
    file.packed_bytes = gzip(content).size();
    file.packed_sha256 = sha256(gzip(content));
    contents_[name] = content;
  }
  void write(const fs::path& path, const std::string& bytes) {
    fs::create_directories((dir_ / path).parent_path());
    std::ofstream(dir_ / path, std::ios::binary) << bytes;
  }
  /// All four files, packed, in `folder`.
  void write_all(const fs::path& folder) {
    for (const auto& [name, content] : contents_) write(folder / (name + ".gz"), gzip(content));
  }
  ImageSet load(bool download = false) { return load_idx_set(source_, dir_, {download, {}}); }
  std::string error() {
    try {
      load();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "accepted";
  }
  void expect_error(const std::string& text) {
    const std::string found = error();
    EXPECT_NE(found.find(text), std::string::npos) << found << "\nexpected: " << text;
  }

  fs::path dir_;
  IdxSource source_;
  std::map<std::string, std::string> contents_;
};

const fs::path kTrainImages = "tiny/train-images-idx3-ubyte.gz";

TEST_F(IdxSet, LoadsPackedFiles) {
  write_all("tiny");
  const ImageSet set = load();
  EXPECT_EQ(set.name, "tiny");
  EXPECT_EQ(set.classes.size(), 3u);
  EXPECT_EQ(set.train.count, 6);
  EXPECT_EQ(set.test.count, 4);
  EXPECT_EQ(set.test.height, 5);
  EXPECT_EQ(set.test.pixels[79], 79);
  EXPECT_EQ(set.train.labels, (std::vector<int64_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(set.fingerprint.size(), 64u);
}

TEST_F(IdxSet, LoadsAnyPackingFromEachFolder) {
  const fs::path system = dir_ / "system";
  source_.other_folders = {system};
  write("tiny/train-images-idx3-ubyte", contents_["train-images-idx3-ubyte"]);
  write("tiny/train-labels.idx1-ubyte.gz", gzip(contents_["train-labels-idx1-ubyte"]));
  write("t10k-images.idx3-ubyte", contents_["t10k-images-idx3-ubyte"]);
  write("system/t10k-labels-idx1-ubyte.gz", contents_["t10k-labels-idx1-ubyte"]);  // not packed
  const std::string mixed = load().fingerprint;
  write_all("tiny");
  EXPECT_EQ(load().fingerprint, mixed);
}

TEST_F(IdxSet, TheRightContentIsFoundAmongFilesOfEqualNames) {
  source_.other_folders = {"TINY/raw"};
  write("train-images-idx3-ubyte", images(5));  // of another set
  write("train-labels-idx1-ubyte.gz", "damaged");
  write_all("TINY/raw");
  EXPECT_EQ(load().train.count, 6);
  fs::remove_all(dir_ / "TINY");
  expect_error("is not the original tiny file");
  expect_error("files of another set or a subset go into a folder of their own");
}

TEST_F(IdxSet, FoldersOfAnySet) {
  const auto load_folder = [&] { return load_idx_folder(dir_ / "KMNIST"); };
  EXPECT_FALSE(has_idx_files(dir_ / "KMNIST"));
  write_all("KMNIST/raw");
  EXPECT_TRUE(has_idx_files(dir_ / "KMNIST"));
  ImageSet set = load_folder();
  EXPECT_EQ(set.name, "KMNIST");
  EXPECT_EQ(set.classes, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(set.train.count, 6);
  EXPECT_EQ(set.test.count, 4);
  const std::string fingerprint = set.fingerprint;
  for (const auto& [name, content] : contents_) write("KMNIST/raw/" + name, content);  // both
  EXPECT_EQ(load_folder().fingerprint, fingerprint);
  EXPECT_EQ(load_idx_folder(dir_ / "KMNIST/raw").fingerprint, fingerprint);
  EXPECT_EQ(load_idx_folder(dir_).name, "KMNIST");
  write_all("other/raw");  // which of the two?
  EXPECT_THROW(load_idx_folder(dir_), Error);
  write("KMNIST/raw/emnist-letters-train-images-idx3-ubyte", images(3));
  EXPECT_THROW(load_folder(), Error);
  fs::remove(dir_ / "KMNIST/raw/emnist-letters-train-images-idx3-ubyte");
  fs::remove(dir_ / "KMNIST/raw/t10k-labels-idx1-ubyte");
  fs::remove(dir_ / "KMNIST/raw/t10k-labels-idx1-ubyte.gz");
  EXPECT_THROW(load_folder(), Error);
}

TEST_F(IdxSet, NamesFoldersAndFilesWhenMissing) {
  write_all("tiny");
  fs::remove(dir_ / "tiny/t10k-labels-idx1-ubyte.gz");
  expect_error("t10k-labels-idx1-ubyte.gz is not in " + (dir_ / "tiny").string() + ", " +
               dir_.string());
  expect_error("train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k");
  expect_error("or use `--data digits`");
}

TEST_F(IdxSet, DownloadsWhatIsMissing) {
  write_all("mirror");
  source_.mirrors = {"file://" + (dir_ / "nothing").string() + "/",
                     "file://" + (dir_ / "mirror").string() + "/"};
  expect_error("is not in");  // not allowed
  std::set<std::string> told;
  const auto tell = [&](const std::string& file, uint64_t, uint64_t) { told.insert(file); };
  const ImageSet set = load_idx_set(source_, dir_, {true, tell});
  EXPECT_EQ(set.train.count, 6);
  EXPECT_TRUE(fs::exists(dir_ / kTrainImages));
  for (const std::string& file : told) EXPECT_TRUE(fs::exists(dir_ / "tiny" / file));
  EXPECT_EQ(load().fingerprint, set.fingerprint);
}

TEST_F(IdxSet, FailedDownloadNamesTheWayOut) {
  source_.mirrors = {"file://" + (dir_ / "nothing").string() + "/"};
  try {
    load(true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find("could not be fetched"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("--data digits"), std::string::npos);
  }
}

TEST_F(IdxSet, RejectsDamagedArchives) {
  write_all("tiny");
  const std::string packed = gzip(contents_["train-images-idx3-ubyte"]);
  for (size_t n = 0; n < packed.size(); n += 5) {
    write(kTrainImages, packed.substr(0, n));
    EXPECT_NE(error().find("genai data fetch tiny"), std::string::npos) << n << " bytes";
  }
  int accepted = 0;  // a time in the header, a bit of padding: the content is still the same
  for (size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::string flipped = packed;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    write(kTrainImages, flipped);
    const std::string found = error();
    accepted += found == "accepted";
    if (found == "accepted")
      EXPECT_EQ(write_idx_images(load().train), contents_["train-images-idx3-ubyte"]);
    else
      EXPECT_NE(found.find((dir_ / kTrainImages).string()), std::string::npos) << "bit " << bit;
  }
  EXPECT_LT(accepted, 100);
}

TEST_F(IdxSet, RejectsABomb) {
  write_all("tiny");
  write(kTrainImages, gzip(std::string(50'000'000, '\0')));
  expect_error("train-images");
}

TEST_F(IdxSet, RejectsOtherContent) {
  write_all("tiny");
  write(kTrainImages, gzip(images(4)));
  expect_error("is not the original tiny file: expected content of 136 bytes with SHA-256 " +
               source_.train_images.sha256 + ", found 96 bytes with " + sha256(images(4)));
  expect_error("Delete it and run `genai data fetch tiny`");
}

TEST(MnistSources, AreComplete) {
  for (const IdxSource& source : idx_sources()) {
    EXPECT_EQ(source.classes.size(), 10u);
    EXPECT_GE(source.mirrors.size(), 2u);
    for (const IdxFile* file :
         {&source.train_images, &source.train_labels, &source.test_images, &source.test_labels}) {
      EXPECT_EQ(file->sha256.size(), 64u);
      EXPECT_EQ(file->packed_sha256.size(), 64u);
      EXPECT_LT(file->packed_bytes, file->bytes);
    }
  }
  EXPECT_EQ(idx_sources()[0].train_images.bytes, 16u + 60'000 * 784);
}

TEST(MnistSources, FashionOfDebianIsAccepted) {
  const IdxSource& source = idx_sources()[1];
  if (!fs::exists(source.other_folders.front()))
    GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  const ImageSet set = load_idx_set(source, "no-such-folder", {false, {}});
  EXPECT_EQ(set.train.count, 60'000);
  EXPECT_EQ(set.test.count, 10'000);
  EXPECT_EQ(set.train.labels[0], 9);  // an ankle boot
}

}  // namespace
}  // namespace genai
