#include "cli/tool.h"

namespace genai {
namespace {

class Sample : public Cli {
 protected:
  Sample() { train({"--steps", "20"}); }

  /// Samples with these options, at their own size; the picture.
  Png sample(const Arguments& options) const {
    Arguments all{"sample", "last", "--scale", "1", "--out", "x.png"};
    all.insert(all.end(), options.begin(), options.end());
    const Outcome outcome = genai(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_png(folder / "x.png");
  }

  /// Number `index` of a sheet of 12x12 pictures, two pixels apart.
  static Image cell(const Image& sheet, int64_t index) {
    const int64_t columns = (sheet.width - 2) / 14;
    const int64_t x0 = 2 + index % columns * 14, y0 = 2 + index / columns * 14;
    Image image{.width = 12, .height = 12, .channels = 1, .pixels = {}};
    for (int64_t y = y0; y < y0 + 12; ++y) {
      for (int64_t x = x0; x < x0 + 12; ++x) {
        image.pixels.push_back(sheet.pixels.at(static_cast<size_t>(y * sheet.width + x)));
      }
    }
    return image;
  }
};

TEST_F(Sample, TheSameRequestIsTheSameFile) {
  const std::string name = "runs/001-vae-pics/out/step-20-seed-0-n16.png";
  const Outcome first = genai({"sample", "last"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, name + "\n");
  EXPECT_EQ(first.err, "");
  const std::string bytes = slurp(folder / name);
  EXPECT_EQ(read_png(folder / name).image.width, 58 * 8);  // scaled up to be seen

  EXPECT_EQ(genai({"sample", "1"}).out, name + "\n");
  EXPECT_EQ(slurp(folder / name), bytes);
  EXPECT_EQ(genai({"sample", "--model", "vae"}).out, name + "\n");
  EXPECT_EQ(slurp(folder / name), bytes);
  EXPECT_EQ(genai({"sample", "runs/001-vae-pics@20", "--out", "-"}).out, bytes);
  const Json told = json_of({"sample", "001-vae-pics"});
  EXPECT_EQ(told["files"], Json::array({name}));
  EXPECT_EQ(told["weights_sha256"], weights("runs/001-vae-pics"));
  EXPECT_EQ(told["options"]["temperature"], 1);

  const Outcome other = genai({"sample", "1", "--temperature", "0.5", "--seed", "9", "-n", "2"});
  EXPECT_EQ(other.out, "runs/001-vae-pics/out/step-20-seed-9-n2-temperature-0.5.png\n");
}

TEST_F(Sample, ANumberLooksTheSameInAnyGrid) {
  const Image sixty_four = sample({"-n", "64"}).image;
  const Image sixteen = sample({"-n", "16"}).image;
  const Image strip = sample({"--seed", "5", "--grid", "1x20"}).image;
  EXPECT_EQ(sixty_four.width, 2 + 8 * 14);
  EXPECT_EQ(strip.width, 2 + 20 * 14);
  EXPECT_EQ(strip.height, 2 + 14);
  for (int64_t i = 0; i < 16; ++i) EXPECT_EQ(cell(sixteen, i), cell(sixty_four, i)) << i;
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(cell(strip, i), cell(sixty_four, i + 5)) << i;
  const Image one = sample({"--seed", "17", "-n", "1"}).image;
  EXPECT_EQ(one, cell(sixty_four, 17));
  EXPECT_NE(one, cell(sixty_four, 18));
  const Image large = sample({"--seed", "4000000000", "-n", "1"}).image;
  EXPECT_NE(large, one);

  const Outcome separate =
      genai({"sample", "last", "--separate", "--seed", "15", "-n", "3", "--out", "cards"});
  EXPECT_EQ(separate.out, "cards\n");
  EXPECT_EQ(names_in(folder / "cards"), (std::vector<std::string>{"15.png", "16.png", "17.png"}));
  EXPECT_EQ(read_png(folder / "cards/17.png").image, one);
  EXPECT_EQ(genai({"sample", "last", "--separate", "-n", "2"}).out,
            "runs/001-vae-pics/out/step-20-seed-0-n2\n");
}

TEST_F(Sample, PicturesSayHowTheyWereMadeAndNothingElse) {
  const Png png = sample({"--seed", "3", "-n", "2", "--temperature", "0.5"});
  ASSERT_EQ(png.text.size(), 3u);
  EXPECT_EQ(png.text[0].keyword, "parameters");
  EXPECT_NE(png.text[0].text.find("Seed: 3-4"), std::string::npos) << png.text[0].text;
  const Json made = parse_json(png.text[1].text, "genai", ErrorKind::data);
  EXPECT_EQ(made["weights_sha256"], weights("runs/001-vae-pics"));
  EXPECT_EQ(made["request"]["first"], 3);
  EXPECT_EQ(made["request"]["options"]["temperature"], 0.5);
  EXPECT_EQ(made["numerics"]["threads"], 1);
  EXPECT_NE(png.text[2].text.find("trainedAlgorithmicMedia"), std::string::npos);
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  for (const PngText& text : png.text) {
    EXPECT_EQ(text.text.find(folder.path().filename().string()), std::string::npos) << text.text;
    if (std::string_view(host).size() > 4) {
      EXPECT_EQ(text.text.find(host), std::string::npos) << text.text;
    }
  }
  const Png bare = sample({"--seed", "3", "-n", "2", "--temperature", "0.5", "--metadata", "none"});
  EXPECT_TRUE(bare.text.empty());
  EXPECT_EQ(bare.image, png.image);
}

TEST_F(Sample, ImpossibleRequestsAreUsageErrors) {
  const std::vector<std::pair<Arguments, std::string>> requests = {
      {{"-n", "0"}, "-n"},
      {{"-n", "-1"}, "-n"},
      {{"--class", "11"}, "--class"},
      {{"--grid", "0x3"}, "ROWSxCOLUMNS"},
      {{"--grid", "abc"}, "ROWSxCOLUMNS"},
      {{"--seed", "-1"}, "--seed"},
      {{"--temperature", "-1"}, "--temperature"},
      {{"--temperature", "nan"}, "--temperature"},
      {{"--temperatur", "1"}, "did you mean '--temperature'"},
      {{"--model", "vae"}, "not both"},
  };
  for (const auto& [options, part] : requests) {
    Arguments all{"sample", "last"};
    all.insert(all.end(), options.begin(), options.end());
    expect_error(2, all, {part});
  }
  expect_error(1, {"sample", "last", "--out", "pics/bars/000.png/x.png"}, {"pics/bars/000.png"});
  EXPECT_TRUE(names_in(folder / "runs/001-vae-pics/out").empty());
}

TEST_F(Sample, WhatIsPrintedFitsAndArrives) {
  ToolOptions options = here();
  options.environment["COLUMNS"] = "40";
  const Outcome shown = genai({"sample", "last", "-n", "4", "--preview"}, options);
  EXPECT_EQ(shown.code, 0);
  size_t lines = 0;
  std::istringstream text(shown.out);
  for (std::string line; std::getline(text, line); ++lines) EXPECT_LE(line.size(), 44u);
  EXPECT_GT(lines, 10u);

  ToolOptions full = here(), gone = here();
  full.out_file = "/dev/full";
  gone.reader_gone = true;
  expect_error(1, {"sample", "last"}, {"standard output"}, full);
  expect_error(1, {"sample", "last", "--out", "-"}, {"standard output"}, gone);
  expect_error(1, {"sample", "last", "--json"}, {"standard output"}, gone);
}

TEST_F(Sample, AClassIsDrawnWhereTheModelKnowsClasses) {
  Arguments arguments = training({"--steps", "5"});
  arguments[2] = "vae-class";
  ASSERT_EQ(genai(arguments).code, 0);
  const Image bars = sample({"--class", "0", "-n", "4"}).image;
  const Image rings = sample({"--class", "1", "-n", "4"}).image;
  const Image turns = sample({"-n", "4"}).image;
  EXPECT_NE(bars, rings);
  EXPECT_EQ(cell(turns, 0), cell(bars, 0));
  EXPECT_EQ(cell(turns, 1), cell(rings, 1));
  expect_error(2, {"sample", "last", "--class", "2"}, {"--class: '2'", "0 to 1"});
  EXPECT_EQ(genai({"sample", "last", "--class", "1", "-n", "1"}).out,
            "runs/002-vae-class-pics/out/step-5-seed-0-n1-class1.png\n");
}

}  // namespace
}  // namespace genai
