// No bit of our own files can change unnoticed.
#include <random>

#include "cli/tool.h"

namespace genai {
namespace {

class SlowFlips : public Cli {
 protected:
  SlowFlips() {
    Arguments tiny = training({"--steps", "3", "--out", "run"});
    for (const size_t at : {4u, 6u}) tiny[at] = "2";  // hidden units
    EXPECT_EQ(genai(tiny).code, 0);
    EXPECT_EQ(genai({"sample", "run", "-n", "4", "--out", "sheet.png"}).code, 0);
    EXPECT_EQ(genai({"sample", "run", "-n", "1", "--out", "one.png"}).code, 0);
  }

  const fs::path checkpoint_ = folder / "run/checkpoints/step-0000003";
  std::mt19937 random_{7};

  /// Flips one random bit in a copy of the bytes.
  std::string flipped(const std::string& bytes) {
    std::string copy = bytes;
    const size_t bit = std::uniform_int_distribution<size_t>(0, 8 * copy.size() - 1)(random_);
    copy[bit / 8] = static_cast<char>(copy[bit / 8] ^ (1 << bit % 8));
    return copy;
  }

  static bool damaged(const std::function<void()>& read) {
    try {
      read();
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::data;
    }
  }
};

TEST_F(SlowFlips, TenThousandAreAllDetected) {
  const std::string manifest = slurp(checkpoint_ / "manifest.json");
  const Json content = open_sealed_json(manifest, "manifest");
  std::map<std::string, std::string> hashed;  // bytes by their hash
  for (const auto& [file, entry] : content.at("files").items()) {
    hashed[entry.at("sha256")] = slurp(checkpoint_ / file);
  }
  hashed[content.at("kept_sha256")] = slurp(folder / "run/kept.safetensors");
  ASSERT_EQ(hashed.size(), 3u);
  const std::string pictures[] = {slurp(folder / "sheet.png"), slurp(folder / "one.png")};
  int missed = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string bytes = flipped(manifest);
    missed += !damaged([&] { open_sealed_json(bytes, "manifest"); });
    for (const std::string& picture : pictures) {
      const std::string png = flipped(picture);
      missed += !damaged([&] { decode_png(png, "picture"); });
    }
    auto file = hashed.begin();
    std::advance(file, i % 3);
    for (int twice = 0; twice < 2; ++twice) missed += sha256(flipped(file->second)) == file->first;
  }
  EXPECT_EQ(missed, 0);
}

TEST_F(SlowFlips, TheToolRefusesEachFile) {
  const std::vector<std::pair<fs::path, std::string>> files = {
      {checkpoint_ / "manifest.json", "run"},
      {checkpoint_ / "model.safetensors", "run"},
      {checkpoint_ / "training.safetensors", "run"},
      {folder / "run/kept.safetensors", "run"},
      {folder / "sheet.png", "sheet.png"}};
  for (const auto& [file, what] : files) {
    const std::string good = slurp(file);
    for (int i = 0; i < 4; ++i) {
      put(file, flipped(good));
      expect_error(3, {"inspect", what}, {file.filename().string()});
    }
    put(file, good);
    EXPECT_EQ(genai({"inspect", what}).code, 0);
  }
}

}  // namespace
}  // namespace genai
