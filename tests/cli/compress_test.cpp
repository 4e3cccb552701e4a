#include "cli/tool.h"

namespace genai {
namespace {

using Compress = Cli;

TEST_F(Compress, PicturesGoAndComeBack) {
  train({"--steps", "5", "--binarize", "threshold"});
  expect_error(2, {"compress", "last", "pics", "pics/bars", "--out", "p.genai"}, {"two files"});
  const Outcome bars = genai({"compress", "last", "pics/bars", "--out", "p.genai", "--stats"});
  ASSERT_EQ(bars.code, 0) << bars.err;
  for (const char* part : {"the whole file", "the model's own bound", "bzip2", "png", "bits/dim"})
    EXPECT_NE(bars.out.find(part), std::string::npos) << bars.out;
  const Json json = json_of({"decompress", "last", "p.genai", "--out", "back"});
  EXPECT_EQ(json["files"][0], "back/000.png");
  EXPECT_EQ(read_png(folder / "back/000.png").image.channels, 1);
  const Json inside = json_of({"inspect", "p.genai"})["text"]["genai"];
  EXPECT_EQ(inside["weights_sha256"], json_of({"inspect", "last"})["weights_sha256"]);
  EXPECT_EQ(inside["items"][0]["name"], "000.png");
  // As a pipe has it.
  const Outcome piped = genai({"compress", "last", "pics/bars", "--out", "-"});
  EXPECT_EQ(piped.out, slurp(folder / "p.genai"));
  expect_error(2, {"compress", "last", "pics/bars"}, {"--out"});
  expect_error(2, {"compress", "last", "pics/bars", "--out", "p.png"}, {"--out", ".genai"});
  std::string damaged = slurp(folder / "p.genai");
  damaged.back() = 'x';
  put(folder / "damaged.genai", damaged);
  expect_error(3, {"decompress", "last", "damaged.genai"}, {"damaged.genai", "checksum"});
  expect_error(3, {"decompress", "last", "pics/bars/000.png"}, {"genai compress"});
  EXPECT_FALSE(fs::exists(folder / "damaged"));
}

}  // namespace
}  // namespace genai
