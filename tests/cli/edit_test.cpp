#include "base/png_file.h"
#include "cli/tool.h"
#include "genai/base/picture.h"

namespace genai {
namespace {

class EditVerb : public Cli {
 protected:
  EditVerb() {
    const Outcome trained = genai(
        {"train", "--model", "diffusion", "--data",        "pics", "--steps",  "2", "--batch",
         "8",     "--width", "8",         "--multipliers", "1,2",  "--blocks", "1", "--attention",
         "1",     "--patch", "2",         "--threads",     "1"});
    EXPECT_EQ(trained.code, 0) << trained.err;
    put(folder / "small.png",
        encode_png(
            {.width = 6, .height = 6, .channels = 1, .pixels = std::vector<uint8_t>(36, 100)}));
    put(folder / "wide.png",
        encode_png(
            {.width = 14, .height = 12, .channels = 1, .pixels = std::vector<uint8_t>(168, 255)}));
    put(folder / "empty.png",
        encode_png(
            {.width = 12, .height = 12, .channels = 1, .pixels = std::vector<uint8_t>(144, 0)}));
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
  EXPECT_TRUE(
      std::equal(before.pixels.begin(), before.pixels.begin() + half, after.pixels.begin()));
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
      EXPECT_NEAR(sum / 4.0, 100, 40);  // values out of range are cut off
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

TEST_F(EditVerb, AnyPixelOfAMaskThatIsNotBlackIsFilled) {
  Image faint{.width = 12, .height = 12, .channels = 1, .pixels = {}};
  Image red{.width = 12, .height = 12, .channels = 3, .pixels = {}};
  for (int i = 0; i < 144; ++i) {
    const bool fill = i >= 72;
    faint.pixels.push_back(fill ? 1 : 0);
    red.pixels.insert(red.pixels.end(), {static_cast<uint8_t>(fill ? 255 : 0), 0, 0});
  }
  put(folder / "faint.png", encode_png(faint));
  put(folder / "red.png", encode_png(red));
  put(folder / "large.png", encode_png(scale_up(faint, 4)));
  const Image lower = edit({"inpaint", bars_, "--mask", "lower", "-n", "1"});
  for (const char* mask : {"faint.png", "red.png", "large.png"}) {
    EXPECT_EQ(edit({"inpaint", bars_, "--mask", mask, "-n", "1"}), lower) << mask;
  }
  const Outcome told = genai({"edit", "last", "inpaint", bars_, "--mask", "red.png", "-n", "1",
                              "--steps", "2", "--out", "x.png"});
  EXPECT_NE(told.err.find("red.png fills 72 of 144 pixels"), std::string::npos) << told.err;
}

TEST_F(EditVerb, APictureAndItsMaskOrHoleAreScaledTogether) {
  Image photo{.width = 50, .height = 30, .channels = 1, .pixels = std::vector<uint8_t>(1500, 90)};
  for (size_t i = 0; i < 1500; i += 3) photo.pixels[i] = 120;
  Image mask{.width = 50, .height = 30, .channels = 1, .pixels = std::vector<uint8_t>(1500, 0)};
  std::fill(mask.pixels.begin() + 750, mask.pixels.end(), 255);
  put(folder / "photo.png", encode_png(photo));
  put(folder / "mask.png", encode_png(mask));
  std::string rows;  // the lower half transparent
  for (size_t i = 0; i < 1500; ++i) {
    if (i % 50 == 0) rows += '\0';
    rows += static_cast<char>(photo.pixels[i]);
    rows += i < 750 ? '\xFF' : '\0';
  }
  put(folder / "hole.png", png_file(png_header(50, 30, 8, 4), rows));
  const Image made = edit({"inpaint", "photo.png", "--mask", "mask.png", "-n", "1"});
  EXPECT_EQ(made.width, 12);
  const Image own = edit({"inpaint", "hole.png", "-n", "1"});
  const auto half = made.pixels.begin() + 72;
  EXPECT_TRUE(std::equal(made.pixels.begin(), half, own.pixels.begin()));
  expect_error(2, {"edit", "last", "inpaint", "photo.png", "--mask", "mask.png", "--as-is"},
               {"12x12", "50x30"});
}

TEST_F(EditVerb, ASampleOfTheToolIsScaledDown) {
  put(folder / "large.png", encode_png(scale_up(read_png(folder / bars_).image, 8)));
  EXPECT_EQ(edit({"inpaint", "large.png", "--mask", "lower", "-n", "1"}),
            edit({"inpaint", bars_, "--mask", "lower", "-n", "1"}));
  EXPECT_EQ(edit({"vary", "large.png", "-n", "1"}), edit({"vary", bars_, "-n", "1"}));
  const Outcome told = genai({"edit", "last", "vary", "large.png", "-n", "1", "--out", "x.png"});
  EXPECT_NE(told.err.find("large.png: scaled down 8 times"), std::string::npos) << told.err;
  const Outcome path = genai(
      {"show", "last", "path", "--forward", "large.png", "--steps", "2", "--out", "path.png"});
  EXPECT_EQ(path.code, 0) << path.err;
  EXPECT_NE(path.err.find("large.png: scaled down 8 times"), std::string::npos) << path.err;
  expect_error(2, {"edit", "last", "inpaint", "large.png", "--mask", "lower", "--as-is"},
               {"12x12", "96x96"});
  ASSERT_EQ(genai({"sample", "last", "-n", "4", "--steps", "2", "--out", "sheet.png"}).code, 0);
  expect_error(3, {"edit", "last", "vary", "sheet.png"}, {"a sheet of 4 samples", "--seed"});
}

TEST_F(EditVerb, RefusesWhatDoesNotFit) {
  expect_error(2, {"edit", "last", "paint", bars_}, {"\"paint\"", "inpaint, upscale, vary, blend"});
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
