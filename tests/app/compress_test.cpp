// compress and decompress as jobs: what comes back, and what is refused.
#include <gtest/gtest.h>

#include <csignal>

#include "base/temp_folder.h"
#include "genai/app/job.h"
#include "genai/base/files.h"
#include "genai/base/gzip.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/compression/archive.h"
#include "genai/data/idx.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Keeps notes; asks a job to stop when it has asked so many times.
struct Listener : JobEvents {
  int stop_after = -1, asked = 0;
  std::vector<std::string> notes;
  void noted(const std::string& line) override { notes.push_back(line); }
  int stop_requested() override { return stop_after >= 0 && asked++ >= stop_after ? SIGTERM : 0; }
};

constexpr int64_t kSide = 8;

Image picture(int number) {
  Image image{kSide, kSide, 1, std::vector<uint8_t>(kSide * kSide, 0)};
  for (size_t p = 0; p < image.pixels.size(); ++p)
    image.pixels[p] = p % kSide < static_cast<size_t>(number % 7) ? 255 : 0;
  return image;
}

/// Two runs of each kind, trained for a moment.
class Compress : public testing::Test {
 protected:
  Compress() {
    fs::create_directories(folder_ / "pics");
    for (int i = 0; i < 40; ++i)
      put(folder_ / "pics" / concat("p", i, ".png"), encode_png(picture(i)));
    for (int i = 0; i < 300; ++i) text_ += concat("line ", i * 7 % 31, " of the text\n");
    put(folder_ / "text.txt", text_);
    put(folder_ / "series.csv",
        "x\n1\n2\n3\n2\n1\n2\n3\n4\n3\n2\n1\n2\n3\n4\n5\n4\n3\n2\n1\n2\n3\n");
  }

  Json run(const std::string& job, const Json& request, int64_t threads, Listener& events) const {
    JobContext context{.events = events,
                       .compute = {.device = "cpu", .threads = threads},
                       .runs = folder_ / "runs"};
    return run_job(job, {{"request", request}}, context);
  }
  Json run(const std::string& job, const Json& request, int64_t threads = 1) const {
    Listener silent;
    return run(job, request, threads, silent);
  }

  /// Runs 1 and 2, of other seeds.
  void train(const std::string& model, const std::string& source, const Json& settings,
             const Json& data = Json::object()) const {
    Listener silent;
    JobContext context{.events = silent, .compute = {.device = "cpu"}, .runs = folder_ / "runs"};
    for (const int seed : {1, 2}) {
      Json of_data = data;
      of_data["source"] = (folder_ / source).string();
      run_job("train",
              {{"request", {{"model", model}}},
               {"data", of_data},
               {"model", settings},
               {"training",
                {{"steps", 3}, {"batch", 10}, {"device", "cpu"}, {"threads", 1}, {"seed", seed}}}},
              context);
    }
  }
  void train_vae() const {
    const Json network{{"hidden", {16}}};
    train("vae", "pics", {{"latent", 3}, {"encoder", network}, {"decoder", network}},
          {{"binarize", "threshold"}});
  }
  void train_text() const {
    train("transformer", "text.txt", {{"width", 16}, {"layers", 1}, {"heads", 2}},
          {{"context", 16}});
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void pack(const std::vector<std::string>& files, int64_t threads = 1) const {
    Json paths = Json::array();
    for (const std::string& file : files) paths.push_back(path(file));
    run("compress", {{"run", "1"}, {"files", paths}, {"out", path("x.genai")}}, threads);
  }
  Json unpacking(const std::string& of = "1") const {
    return {{"run", of}, {"file", path("x.genai")}, {"out", path("back")}};
  }
  /// Refused, and nothing is there afterwards.
  void expect_refused(const std::string& part, const std::string& of = "1") const {
    expect_error(ErrorKind::data, part, [&] { run("decompress", unpacking(of)); });
    EXPECT_FALSE(fs::exists(folder_ / "back"));
  }

  TempFolder folder_;
  std::string text_;
};

TEST_F(Compress, PicturesComeBackPixelByPixelAtAnyNumberOfThreads) {
  train_vae();
  std::string packed;
  for (const int64_t threads : {1, 2, 3}) {
    pack({"pics"}, threads);
    const std::string bytes = slurp(folder_ / "x.genai");
    if (threads == 1) packed = bytes;
    EXPECT_EQ(bytes, packed);
    fs::remove_all(folder_ / "back");
    const Json result = run("decompress", unpacking(), threads);
    EXPECT_EQ(result["files"].size(), 40u);
    for (int i = 0; i < 40; ++i) {
      const Image image = read_picture(folder_ / "back" / concat("p", i, ".png"));
      EXPECT_EQ(image, picture(i)) << i;
    }
  }
  // Statistics compare, and change nothing of the file.
  const Json compared =
      run("compress",
          {{"run", "1"}, {"files", {path("pics")}}, {"out", path("y.genai")}, {"stats", true}});
  EXPECT_EQ(slurp(folder_ / "y.genai"), packed);
  std::vector<std::string> names;
  for (const Json& rate : compared["rates"]) {
    names.push_back(rate["name"]);
    EXPECT_GT(rate["bits"].get<double>(), 0);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"genai", "model", "gzip", "bzip2", "xz", "png"}));
}

TEST_F(Compress, IdxFilesComeBackUnpackedAndBinarized) {
  train_vae();
  LabelledImages images{.count = 30, .height = kSide, .width = kSide, .pixels = {}, .labels = {}};
  for (int i = 0; i < 30 * kSide * kSide; ++i)
    images.pixels.push_back(static_cast<uint8_t>(i * 37 % 256));
  put(folder_ / "t.idx.gz", gzip(write_idx_images(images)));
  Listener events;
  run("compress", {{"run", "1"}, {"files", {path("t.idx.gz")}}, {"out", path("x.genai")}}, 1,
      events);
  ASSERT_EQ(events.notes.size(), 1u);
  EXPECT_NE(events.notes[0].find("30 of 30 images are binarized (threshold)"), std::string::npos);
  run("decompress", unpacking());
  for (uint8_t& pixel : images.pixels) pixel = pixel >= 128 ? 255 : 0;
  EXPECT_EQ(slurp(folder_ / "back"), write_idx_images(images));
  // What is binary already stays as it is.
  fs::rename(folder_ / "back", folder_ / "t.idx");
  const std::string packed = slurp(folder_ / "x.genai");
  pack({"t.idx"});
  EXPECT_EQ(slurp(folder_ / "x.genai"), packed);
}

TEST_F(Compress, TextsComeBackByteByByteAtAnyNumberOfThreads) {
  train_text();
  const std::string foreign = text_.substr(0, 100) + "\r\n\0\xff \xc3\xa9t\xc3\xa9" + text_;
  put(folder_ / "foreign.bin", foreign);
  put(folder_ / "empty", "");
  for (const int64_t threads : {1, 2, 3}) {
    pack({"text.txt", "foreign.bin", "empty"}, threads);
    run("decompress", unpacking(), threads);
    EXPECT_EQ(slurp(folder_ / "back" / "text.txt"), text_);
    EXPECT_EQ(slurp(folder_ / "back" / "foreign.bin"), foreign);
    EXPECT_EQ(slurp(folder_ / "back" / "empty"), "");
  }
}

TEST_F(Compress, FilesThatAreDamagedOrOfAnotherModelLeaveNothing) {
  train_text();
  put(folder_ / "few.txt", text_.substr(0, 60));
  pack({"few.txt"});
  const std::string whole = slurp(folder_ / "x.genai");
  expect_refused("compressed with the weights", "2");
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
    put(folder_ / "x.genai", flipped);
    expect_refused("x.genai");
    put(folder_ / "x.genai", whole.substr(0, at));
    expect_refused("x.genai");
  }
  // With a right checksum, but wrong inside.
  const auto lie = [&](const std::string& part, const auto& change) {
    Archive archive = read_archive(whole, "x");
    change(archive);
    put(folder_ / "x.genai", write_archive(archive));
    expect_refused(part);
  };
  lie("cannot be decoded", [](Archive& a) { a.code[0] = static_cast<char>(a.code[0] ^ 1); });
  lie("expected a code", [](Archive& a) { a.code.clear(); });
  lie("cannot be decoded", [](Archive& a) { a.items[0].size = a.items[0].symbols = 1 << 26; });
  lie("another checksum", [](Archive& a) { a.content_sha256[0] = 'x'; });
  lie("expected texts", [](Archive& a) { a.items[0].kind = ArchiveItem::Kind::picture; });
  put(folder_ / "x.genai", whole);
  run("decompress", unpacking());
  EXPECT_EQ(slurp(folder_ / "back"), text_.substr(0, 60));
}

TEST_F(Compress, PicturesThatWouldLoseSomethingAreRefused) {
  train_vae();
  const auto refuse = [&](const std::string& part, const std::string& file,
                          ErrorKind kind = ErrorKind::data) {
    expect_error(kind, part, [&] { pack({file}); });
    EXPECT_FALSE(fs::exists(folder_ / "x.genai"));
  };
  put(folder_ / "large.png", encode_png(scale_up(picture(1), 2)));
  refuse("expected 8x8 grey", "large.png");
  Image red = to_rgb(picture(1));
  red.pixels[0] = 255, red.pixels[1] = 0, red.pixels[2] = 0;
  put(folder_ / "red.png", encode_png(red));
  refuse("found 8x8 colour", "red.png");
  refuse("text.txt: expected IDX magic", "text.txt");
  refuse("nowhere", "nowhere.png");
  // Grey that is stored as colour is grey.
  put(folder_ / "grey.png", encode_png(to_rgb(picture(1))));
  pack({"grey.png"});
  run("decompress", unpacking());
  EXPECT_EQ(read_picture(folder_ / "back"), picture(1));
}

TEST_F(Compress, RequestsThatMakeNoSense) {
  train_text();
  const auto refuse = [&](const std::string& part, const std::string& job, const Json& request) {
    expect_error(ErrorKind::usage, part, [&] { run(job, request); });
  };
  refuse("request.out", "compress", {{"run", "1"}, {"files", {path("text.txt")}}});
  refuse("request.files", "compress", {{"run", "1"}, {"out", path("x.genai")}});
  refuse("request.file", "decompress", {{"run", "1"}});
  refuse("two files", "compress",
         {{"run", "1"},
          {"files", {path("text.txt"), path("pics/../text.txt")}},
          {"out", path("x.genai")}});
  EXPECT_FALSE(fs::exists(folder_ / "x.genai"));
}

TEST_F(Compress, ACancelledJobLeavesNothingHalfWritten) {
  train_text();
  for (const char* job : {"compress", "decompress"}) {
    const bool packs = std::string(job) == "compress";
    const fs::path out = folder_ / (packs ? "x.genai" : "back");
    const Json request =
        packs ? Json{{"run", "1"}, {"files", {path("text.txt")}}, {"out", path("x.genai")}}
              : unpacking();
    int cancelled = 0;
    for (;; ++cancelled) {
      Listener events;
      events.stop_after = cancelled;
      try {
        run(job, request, 1, events);
        break;
      } catch (const Cancelled&) {
        EXPECT_FALSE(fs::exists(out)) << job << ", cancelled after " << cancelled;
      }
    }
    EXPECT_GT(cancelled, 5) << job;
    EXPECT_TRUE(fs::exists(out));
  }
}

}  // namespace
}  // namespace genai
