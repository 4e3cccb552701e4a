#include "cli/tool.h"

namespace genai {
namespace {

using Score = Cli;

TEST_F(Score, AClassifierShowsItsProbabilitiesAsBars) {
  Arguments arguments = {"train",   "--model", "classifier", "--data",  "pics", "--threads", "1",
                         "--steps", "60",      "--batch",    "20",      "--width", "4"};
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
  expect_error(2, {"score", "last", "pics:7x"}, {"pics:7x", "mnist:9"});
  expect_error(3, {"score", "last", "pics:5"}, {"pics:5"});
  expect_error(3, {"score", "last", "nowhere.png"}, {"nowhere.png"});
  expect_error(2, {"score", "last", "pics/bars/000.png", "--against", "pics"}, {"--against"});
  expect_error(2, {"score", "last", "pics", "pics"}, {"one DATA"});
  put(folder / "bad.png", "no picture");
  expect_error(3, {"score", "last", "bad.png"}, {"bad.png"});
}

TEST_F(Score, ALeftOutClassIsAnOutlier) {
  train({"--steps", "60", "--leave-out", "1", "--binarize", "threshold"});
  const Json json = json_of({"score", "last", "--against", "pics:1"});
  EXPECT_EQ(json["metrics"][0]["name"].get<std::string>().find(
                "log_likelihood_iw10@pics-without-1-test"), 0u);
  expect_error(2, training({"--leave-out", "7"}), {"leave_out", "0 to 1"});
  expect_error(2, training({"--leave-out", "0,1"}), {"leave_out", "no training images"});
}

}  // namespace
}  // namespace genai
