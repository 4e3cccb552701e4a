#include "cli/tool.h"
#include "genai/base/animation.h"
#include "genai/base/picture.h"

namespace genai {
namespace {

class ArtVerbs : public Cli {
 protected:
  ArtVerbs() {
    const Outcome trained = genai({"train", "--model", "classifier", "--data", "pics", "--steps",
                                   "2", "--batch", "8", "--width", "4", "--threads", "1"});
    EXPECT_EQ(trained.code, 0) << trained.err;
  }

  const std::string bars_ = "pics/bars/000.png", rings_ = "pics/rings/001.png";
};

TEST_F(ArtVerbs, ADreamTellsTheProbabilityOfItsClass) {
  const Json told = json_of({"edit", "last", "dream", bars_, "--class", "rings", "--json"});
  const std::string out = "runs/001-classifier-pics/out/step-2-dream-000-seed-0-class1.png";
  EXPECT_EQ(told["files"], Json::array({out}));
  EXPECT_EQ(told["probability"]["class"], "rings");
  EXPECT_GT(told["probability"]["after"], told["probability"]["before"]);
  const Json made = json_of({"inspect", out})["text"]["genai"];
  EXPECT_EQ(made["class"], "rings");
  EXPECT_EQ(made["request"]["edit"], "dream");
  EXPECT_EQ(made["request"]["options"]["octaves"], 3);
  expect_error(3, {"check", out}, {"made from a picture that it does not hold"});
}

TEST_F(ArtVerbs, TheWayIsAnAnimationThatEndsWithThePicture) {
  const Arguments request = {"edit",   "last", "dream",   bars_, "--layer", "stages.0",
                             "--size", "24",   "--steps", "4",   "--out"};
  const auto make = [&](const std::string& out) {
    Arguments all = request;
    all.push_back(out);
    const Outcome outcome = genai(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return slurp(folder / out);
  };
  const auto frames = decode_apng(make("x.apng"), "x.apng");
  EXPECT_EQ(frames.size(), 13u);  // the picture that was given and twelve steps
  EXPECT_EQ(frames.back(), read_png((make("x.png"), folder / "x.png")).image);
  EXPECT_EQ(frames.back().width, 24 * 8);
  EXPECT_NE(read_gif_comment(make("x.gif")).find("\"edit\":\"dream\""), std::string::npos);
}

TEST_F(ArtVerbs, PicturesOfOtherSizesKeepTheirShape) {
  Image wide{.width = 50, .height = 25, .channels = 3, .pixels = std::vector<uint8_t>(3750, 90)};
  put(folder / "wide.png", encode_png(wide));
  const Outcome made = genai({"edit", "last", "style", "wide.png", "--of", rings_, "--size", "32",
                              "--steps", "2", "--scale", "1", "--out", "x.png"});
  EXPECT_EQ(made.code, 0) << made.err;
  const Image after = read_png(folder / "x.png").image;
  EXPECT_EQ(after.width, 32);
  EXPECT_EQ(after.height, 16);
}

TEST_F(ArtVerbs, RefuseWhatDoesNotFit) {
  const auto refuses = [&](const Arguments& words, const std::vector<std::string>& what) {
    Arguments all = {"edit", "last"};
    all.insert(all.end(), words.begin(), words.end());
    expect_error(2, all, what);
  };
  refuses({"dream", bars_, "--layer", "conv1"}, {"--layer", "conv1", "stages.0, stages.1"});
  refuses({"dream", bars_, "--class", "cats"}, {"--class", "cats", "bars"});
  refuses({"dream", bars_, "--class", "1", "--layer", "stages.0"}, {"--class", "--layer"});
  refuses({"dream", bars_, "--class", "1", "--size", "64"}, {"--size", "layers"});
  refuses({"dream", bars_, "--mask", "lower"}, {"--mask", "dream"});
  refuses({"dream", bars_, "--of", rings_}, {"--of", "style"});
  refuses({"dream", bars_, rings_}, {"1 picture", "found 2"});
  refuses({"dream", bars_, "--octaves", "0"}, {"--octaves"});
  refuses({"dream", bars_, "--out", "x.jpg"}, {"--out", ".png"});
  refuses({"style", bars_}, {"--of"});
  refuses({"style", bars_, "--of", rings_, "--keep", "2"}, {"--keep", "dream"});
  refuses({"style", bars_, "--of", rings_, "--class", "1"}, {"--class", "dream"});
  refuses({"vary", bars_, "--steps", "3"}, {"--steps", "dream, style", "vary"});
  expect_error(3, {"edit", "last", "dream", "nothing.png"}, {"nothing.png"});
  train({"--steps", "1"});
  refuses({"dream", bars_}, {"edit dream", "classifier"});
}

}  // namespace
}  // namespace genai
