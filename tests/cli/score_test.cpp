#include "cli/tool.h"

namespace genai {
namespace {

using Score = Cli;

TEST_F(Score, AClassifierShowsItsProbabilitiesAsBars) {
  Arguments arguments = {"train",   "--model", "classifier", "--data", "pics",    "--threads", "1",
                         "--steps", "60",      "--batch",    "20",     "--width", "4"};
  ASSERT_EQ(genai(arguments).code, 0);
  const Outcome shown = genai({"score", "last", "pics/bars/000.png", "pics/rings/001.png"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("█"), std::string::npos) << shown.out;
  const Json json = json_of({"score", "last", "pics/bars/000.png"});
  const Json& p = json["pictures"][0]["probabilities"];
  EXPECT_NEAR(p["bars"].get<double>() + p["rings"].get<double>(), 1, 1e-6);
  EXPECT_GT(p["bars"].get<double>(), 0.5);
  // And it is evaluated like any other model.
  const Outcome evaluated = genai({"evaluate", "last"});
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_NE(evaluated.out.find("taken for"), std::string::npos) << evaluated.out;
  // But it makes no pictures.
  expect_error(2, {"sample", "last"}, {"classifier", "vae"});
}

TEST_F(Score, ALikelihoodTellsSetsApartAndKeepsTheWorst) {
  train({"--steps", "60", "--binarize", "threshold"});
  const Outcome single = genai({"score", "last", "pics/bars/000.png"});
  EXPECT_EQ(single.code, 0) << single.err;
  EXPECT_NE(single.out.find("test images have less"), std::string::npos) << single.out;
  const Json json = json_of({"score", "last", "pics:0", "--against", "pics:1"});
  std::vector<std::string> names;
  for (const Json& metric : json["metrics"]) names.push_back(metric["name"]);
  ASSERT_EQ(names.size(), 4u);
  EXPECT_NE(names[2].find("auroc_log_likelihood_iw10@pics:0-test"), std::string::npos) << names[2];
  EXPECT_NE(names[2].find("-vs-pics:1-test"), std::string::npos) << names[2];
  EXPECT_EQ(read_png(folder / json["worst"].get<std::string>()).image.channels, 1);
  expect_error(2, {"score", "last", "pics:7x"}, {"pics:7x", "bars, rings"});
  expect_error(2, {"score", "last", "pics:5"}, {"pics:5", "from 0 to 1"});
  expect_error(3, {"score", "last", "nowhere.png"}, {"nowhere.png"});
  expect_error(2, {"score", "last", "pics/bars/000.png", "--against", "pics"}, {"--against"});
  expect_error(2, {"score", "last", "pics", "pics"}, {"one DATA"});
  put(folder / "bad.png", "no picture");
  expect_error(3, {"score", "last", "bad.png"}, {"bad.png"});
}

TEST_F(Score, ALeftOutClassIsAnOutlier) {
  train({"--steps", "60", "--leave-out", "1", "--binarize", "threshold"});
  const Json json = json_of({"score", "last", "--against", "pics:1"});
  EXPECT_EQ(
      json["metrics"][0]["name"].get<std::string>().find("log_likelihood_iw10@pics-without-1-test"),
      0u);
  expect_error(2, training({"--leave-out", "7"}), {"--leave-out", "0 to 1"});
  expect_error(2, training({"--leave-out", "0,1"}), {"--leave-out", "no training images"});
}

TEST_F(Score, ABlackDrawingOnWhiteIsInvertedForDigits) {
  ASSERT_EQ(
      genai({"train", "--model", "vae", "--data", "digits", "--limit", "200", "--steps", "1",
             "--batch", "50", "--encoder.hidden", "8", "--decoder.hidden", "8", "--threads", "1"})
          .code,
      0);
  Image drawing{
      .width = 200, .height = 160, .channels = 1, .pixels = std::vector<uint8_t>(200 * 160, 255)};
  for (size_t y = 20; y < 100; ++y) {
    for (size_t x = 30; x < 45; ++x) drawing.pixels[y * 200 + x] = 0;
  }
  put(folder / "one.png", encode_png(drawing));
  const Outcome told = genai({"score", "last", "one.png"});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_NE(told.err.find("one.png: inverted to a white pen on black, scaled to 20 of 28 pixels"),
            std::string::npos)
      << told.err;
  const Outcome plain = genai({"score", "last", "one.png", "--as-is"});
  EXPECT_EQ(plain.err.find("inverted"), std::string::npos) << plain.err;
  EXPECT_NE(plain.out, told.out);
}

}  // namespace
}  // namespace genai
