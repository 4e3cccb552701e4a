#include "cli/tool.h"

namespace genai {
namespace {

class EditVerb : public Cli {
 protected:
  EditVerb() {
    const Outcome trained = genai(
        {"train", "--model", "diffusion", "--data", "pics", "--steps", "2", "--batch", "8",
         "--width", "8", "--multipliers", "1,2", "--blocks", "1",
         "--attention", "1", "--patch", "2", "--threads", "1"});
    EXPECT_EQ(trained.code, 0) << trained.err;
    put(folder / "small.png", encode_png({.width = 6, .height = 6, .channels = 1,
                                          .pixels = std::vector<uint8_t>(36, 100)}));
    put(folder / "wide.png", encode_png({.width = 14, .height = 12, .channels = 1,
                                         .pixels = std::vector<uint8_t>(168, 255)}));
    put(folder / "empty.png", encode_png({.width = 12, .height = 12, .channels = 1,
                                          .pixels = std::vector<uint8_t>(144, 0)}));
  }

  Image edit(Arguments options) const {
    options.insert(options.begin(), {"edit", "last"});
    options.insert(options.end(), {"--scale", "1", "--steps", "3", "--out", "x.png"});
    const Outcome outcome = genai(options);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_png(folder / "x.png").image;
  }

  const std::string bars_ = "pics/bars/000.png", rings_ = "pics/rings/001.png";
};

TEST_F(EditVerb, InpaintingLeavesTheKnownHalfAsItIs) {
  const Image before = read_png(folder / bars_).image;
  const Image after = edit({"inpaint", bars_, "--mask", "lower", "-n", "1"});
  ASSERT_EQ(after.pixels.size(), before.pixels.size());
  const auto half = static_cast<std::ptrdiff_t>(before.pixels.size() / 2);
  EXPECT_TRUE(std::equal(before.pixels.begin(), before.pixels.begin() + half,
                         after.pixels.begin()));
  EXPECT_NE(after.pixels, before.pixels);
  EXPECT_EQ(edit({"inpaint", bars_, "--mask", "lower", "-n", "1"}), after);
  EXPECT_NE(edit({"inpaint", bars_, "--mask", "lower", "-n", "1", "--seed", "1"}), after);
}

TEST_F(EditVerb, AnUpscaledPictureHasTheModelsSize) {
  const Image large = edit({"upscale", "small.png", "-n", "1"});
  EXPECT_EQ(large.width, 12);
  EXPECT_EQ(large.height, 12);
  // Its reduction is the picture that was given, up to rounding to whole grey levels.
  for (int64_t y = 0; y < 12; y += 2) {
    for (int64_t x = 0; x < 12; x += 2) {
      int sum = 0;
      for (const int64_t at : {y * 12 + x, y * 12 + x + 1, y * 12 + 12 + x, y * 12 + 13 + x}) {
        sum += large.pixels[static_cast<size_t>(at)];
      }
      EXPECT_NEAR(sum / 4.0, 100, 40);   // values out of range are cut off
    }
  }
}

TEST_F(EditVerb, VaryAndBlendMakeSheetsNamedByTheRequest) {
  const std::string out = "runs/001-diffusion-pics/out/";
  EXPECT_EQ(genai({"edit", "last", "vary", bars_, "--strength", "0.4"}).out,
            out + "step-2-vary-000-strength-0.4-seed-0-n8.png\n");
  const Outcome blend = genai({"edit", "last", "blend", bars_, rings_, "-n", "3"});
  EXPECT_EQ(blend.out, out + "step-2-blend-000-001-seed-0-n3.png\n") << blend.err;
  const Json told = json_of({"inspect", out + "step-2-blend-000-001-seed-0-n3.png"});
  EXPECT_EQ(told["text"]["genai"]["request"]["edit"], "blend");
}

TEST_F(EditVerb, RefusesWhatDoesNotFit) {
  expect_error(2, {"edit", "last", "paint", bars_}, {"'paint'", "inpaint, upscale, vary, blend"});
  expect_error(2, {"edit", "last", "inpaint", bars_}, {"--mask"});
  expect_error(2, {"edit", "last", "inpaint", bars_, "--mask", "wide.png"}, {"12x12", "14x12"});
  expect_error(2, {"edit", "last", "inpaint", bars_, "--mask", "empty.png"}, {"covers nothing"});
  expect_error(2, {"edit", "last", "inpaint", "wide.png", "--mask", "lower"}, {"12x12", "14x12"});
  expect_error(2, {"edit", "last", "vary", bars_, "--mask", "lower"}, {"--mask", "vary"});
  expect_error(2, {"edit", "last", "upscale", "wide.png"}, {"6x6", "14x12"});
  expect_error(2, {"edit", "last", "upscale", bars_}, {"6x6", "12x12"});
  expect_error(2, {"edit", "last", "blend", bars_}, {"2 pictures", "found 1"});
  expect_error(2, {"edit", "last", "vary", bars_, "--strength", "0"}, {"--strength"});
  expect_error(2, {"edit", "last", "vary", bars_, "--class", "1"}, {"--class"});
  expect_error(2, {"edit", "last", "vary", bars_, "--guidance", "2"}, {"guidance"});
  expect_error(3, {"edit", "last", "vary", "nothing.png"}, {"nothing.png"});
  train({"--steps", "1"});
  expect_error(2, {"edit", "last", "vary", bars_}, {"'vae'", "diffusion"});
}

}  // namespace
}  // namespace genai
