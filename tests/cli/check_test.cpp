#include "cli/tool.h"

namespace genai {
namespace {

class Check : public Cli {
 protected:
  Check() : run_(train({"--steps", "10", "--out", "kept/run"})) {
    EXPECT_EQ(genai({"sample", run_, "-n", "20", "--seed", "3"}).code, 0);
    EXPECT_EQ(genai({"sample", run_, "--separate", "-n", "2"}).code, 0);
  }
  const std::string run_;
};

TEST_F(Check, FindsItsOwnPicturesGoodAndAChangedOneBad) {
  const Outcome good = genai({"check", run_ + "/out"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_NE(good.err.find("3 of 3"), std::string::npos) << good.err;
  const std::string sheet = run_ + "/out/step-10-seed-3-n20.png";
  EXPECT_EQ(genai({"check", sheet}).out, "ok      " + sheet + "\n");

  Png png = read_png(folder / sheet);
  png.image.pixels[1000] ^= 1;
  put(folder / sheet, encode_png(png.image, png.text));
  const Outcome bad = genai({"check", run_ + "/out", "--quiet"});
  EXPECT_EQ(bad.code, 5);
  EXPECT_NE(bad.out.find("DIFFERS " + sheet), std::string::npos) << bad.out;
  EXPECT_NE(bad.out.find("ok      " + run_ + "/out/step-10-seed-0-n2/1.png"), std::string::npos);
  EXPECT_EQ(bad.err, "");
  const Outcome json = genai({"check", sheet, "--json"});
  EXPECT_EQ(json.code, 5);
  const Json result = parse_json(json.out, "standard output", ErrorKind::data);
  EXPECT_EQ(result["bad"], 1);
  EXPECT_EQ(result["files"][0]["differing"], 1);

  // Another size, and pixels that are all there but elsewhere.
  png.image.width /= 2;
  png.image.height *= 2;
  put(folder / sheet, encode_png(png.image, png.text));
  EXPECT_EQ(genai({"check", sheet}).code, 5);
}

TEST_F(Check, FindsTheWeightsByTheirHash) {
  const std::string picture = run_ + "/out/step-10-seed-0-n2/1.png";
  fs::copy_file(folder / picture, folder / "x.png");
  expect_error(3, {"check", "x.png"}, {"x.png", weights(run_).substr(0, 12), "--runs"});
  fs::create_directory(folder / "runs");
  fs::rename(folder / run_, folder / "runs/005-golden");
  EXPECT_EQ(genai({"check", "x.png"}).code, 0);
  fs::rename(folder / "runs", folder / "elsewhere");
  EXPECT_EQ(genai({"check", "x.png", "--runs", "elsewhere"}).code, 0);

  // Weights gone, or not those that the manifest says.
  flip_bit(folder / "elsewhere/005-golden/checkpoints/step-0000010/model.safetensors", 3000);
  expect_error(3, {"check", "x.png", "--runs", "elsewhere"}, {"model.safetensors", "damaged"});
  fs::remove_all(folder / "elsewhere/005-golden/checkpoints");
  expect_error(3, {"check", "x.png", "--runs", "elsewhere"}, {"x.png", "no checkpoint"});
}

TEST_F(Check, PicturesThatDoNotTellAreBadData) {
  expect_error(3, {"check", "pics/bars/000.png"}, {"pics/bars/000.png", "'genai' text"});
  expect_error(3, {"check", "nothing.png"}, {"nothing.png"});
  fs::create_directory(folder / "empty");
  expect_error(3, {"check", "empty"}, {"empty", "no pictures"});
  put(folder / "torn.png", slurp(folder / "pics/bars/000.png").substr(0, 60));
  expect_error(3, {"check", "torn.png"}, {"torn.png"});

  const Png png = read_png(folder / (run_ + "/out/step-10-seed-0-n2/1.png"));
  const auto told = [&](const std::string& text) {
    put(folder / "x.png", encode_png(png.image, {{"genai", text, true}}));
    return Arguments{"check", "x.png", "--runs", "kept"};
  };
  expect_error(3, told("no JSON"), {"x.png"});
  expect_error(3, told("{}"), {"x.png", "not one of ours"});
  const Json made = parse_json(png.text[1].text, "genai", ErrorKind::data);
  fs::create_directory(folder / "runs");
  fs::rename(folder / run_, folder / "runs/001-run");
  const std::vector<std::pair<const char*, Json>> lies = {{"/numerics/threads", 1000000},
                                                          {"/request/count", 0},
                                                          {"/request/rows", 1000000000},
                                                          {"/request/options", 3}};
  for (const auto& [where, value] : lies) {
    Json lie = made;
    lie[Json::json_pointer(where)] = value;
    put(folder / "x.png", encode_png(png.image, {{"genai", lie.dump(), true}}));
    expect_error(3, {"check", "x.png"}, {"x.png"});
  }
}

}  // namespace
}  // namespace genai
