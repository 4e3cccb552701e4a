#include "cli/tool.h"
#include "genai/base/animation.h"

namespace genai {
namespace {

class Show : public Cli {
 protected:
  Show() {
    const Outcome trained =
        genai({"train", "--model",  "diffusion", "--data",      "pics", "--steps",
               "2",     "--batch",  "8",         "--width",     "8",    "--multipliers",
               "1,2",   "--blocks", "1",         "--attention", "1",    "--head-width",
               "8",     "--patch",  "2",         "--warmup",    "0",    "--threads",
               "1"});
    EXPECT_EQ(trained.code, 0) << trained.err;
  }

  const std::string out_ = "runs/001-diffusion-pics/out/";
};

TEST_F(Show, AStripOfSamplesIsTheUsualResult) {
  const std::string name = out_ + "step-2-path-seed-0-n4.png";
  const Outcome first = genai({"show", "last", "path"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, name + "\n");
  EXPECT_EQ(first.err, "");  // nothing moves where there is no terminal
  const std::string bytes = slurp(folder / name);
  const Png strip = read_png(folder / name);
  EXPECT_EQ(strip.image.channels, 1);
  EXPECT_GT(strip.image.width, 800);

  for (const Arguments& same : std::vector<Arguments>{
           {"show", "1", "path"}, {"show", "path"}, {"show", "--model", "diffusion", "path"}}) {
    EXPECT_EQ(genai(same).out, name + "\n") << same[1];
    EXPECT_EQ(slurp(folder / name), bytes);
  }
  EXPECT_EQ(genai({"show", "1", "path", "--out", "-"}).out, bytes);
  EXPECT_EQ(genai({"check", name}).out, "ok      " + name + "\n");

  const Json told = json_of({"inspect", name});
  const Json& request = told["text"]["genai"]["request"];
  EXPECT_EQ(request["show"], "path");
  EXPECT_EQ(request["direction"], "reverse");
  EXPECT_EQ(request["count"], 4);
  EXPECT_EQ(request["options"]["steps"], 10);
  EXPECT_NE(told["text"]["parameters"].get<std::string>().find("Steps: 10, Sampler: dpm++2m"),
            std::string::npos);
}

TEST_F(Show, TheLastPictureIsTheSample) {
  const Arguments options{"--seed", "17",      "-n", "1",         "--scale",
                          "1",      "--steps", "3",  "--sampler", "ddpm"};
  const auto with = [&](Arguments all) {
    all.insert(all.end(), options.begin(), options.end());
    const Outcome outcome = genai(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  };
  with({"sample", "1", "--out", "sample.png"});
  with({"show", "1", "path", "--view", "noisy", "--format", "frames", "--out", "frames"});
  EXPECT_EQ(names_in(folder / "frames"),
            (std::vector<std::string>{"000.png", "001.png", "002.png", "003.png"}));
  const Image last = read_png(folder / "frames/003.png").image;
  const Image sample = read_png(folder / "sample.png").image;
  ASSERT_EQ(sample.width, 12);
  // In the lower right corner, two pixels from the edges.
  for (int64_t y = 0; y < 12; ++y) {
    for (int64_t x = 0; x < 12; ++x) {
      EXPECT_EQ(last.pixels.at(
                    static_cast<size_t>((last.height - 14 + y) * last.width + last.width - 14 + x)),
                sample.pixels.at(static_cast<size_t>(y * 12 + x)));
    }
  }
}

TEST_F(Show, MovesAsGifAndApng) {
  const Outcome gif = genai({"show", "1", "path", "--format", "gif", "--steps", "5", "-n", "3"});
  EXPECT_EQ(gif.out, out_ + "step-2-path-seed-0-n3-steps-5.gif\n") << gif.err;
  const std::string film = slurp(folder / (out_ + "step-2-path-seed-0-n3-steps-5.gif"));
  EXPECT_EQ(film.substr(0, 6), "GIF89a");
  EXPECT_EQ(film.back(), ';');

  const Outcome apng = genai({"show", "1", "path", "--steps", "100", "-n", "3", "--out", "x.apng"});
  EXPECT_EQ(apng.out, "x.apng\n") << apng.err;
  EXPECT_EQ(decode_apng(slurp(folder / "x.apng"), "x").size(), 60u);
  EXPECT_EQ(genai({"check", "x.apng"}).code, 0);
  const Outcome short_film =
      genai({"show", "1", "path", "--format", "apng", "--moments", "4", "--out", "y.png"});
  EXPECT_EQ(short_film.code, 0) << short_film.err;
  EXPECT_EQ(decode_apng(slurp(folder / "y.png"), "y").size(), 4u);
  EXPECT_EQ(read_png(folder / "y.png").text.size(), 3u);
  EXPECT_EQ(genai({"show", "1", "path", "--metadata", "none", "--out", "z.png"}).code, 0);
  EXPECT_TRUE(read_png(folder / "z.png").text.empty());
}

TEST_F(Show, ThePathOfPicturesIsForward) {
  const Json test = json_of({"show", "1", "path", "--test", "5"});
  EXPECT_EQ(test["files"], Json::array({out_ + "step-2-path-test-5-seed-0-n1.png"}));
  EXPECT_EQ(test["direction"], "forward");
  ASSERT_EQ(test["levels"].size(), 11u);
  EXPECT_EQ(test["levels"][0]["sigma"], 0);
  EXPECT_EQ(genai({"show", "1", "path", "--test", "0", "-n", "3"}).code, 0);
  const Outcome own = genai({"show", "1", "path", "--forward", "pics/rings/001.png"});
  EXPECT_EQ(own.out, out_ + "step-2-path-of-001-seed-0-n1.png\n") << own.err;

  // Pictures of test images can be made again; what was made of the user's picture is passed over.
  const Outcome checked = genai({"check", "runs/001-diffusion-pics/out"});
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_NE(checked.err.find("2 of 2"), std::string::npos) << checked.err;
  EXPECT_NE(checked.out.find("skipped " + out_ + "step-2-path-of-001-seed-0-n1.png"),
            std::string::npos)
      << checked.out;
  expect_error(3, {"check", out_ + "step-2-path-of-001-seed-0-n1.png"}, {"cannot be made again"});
}

TEST_F(Show, PlaysAsPlainTextOnlyWhenAskedTo) {
  ToolOptions options = here();
  options.environment["COLUMNS"] = "40";
  options.environment["TERM"] = "xterm";
  const Outcome quiet = genai({"show", "1", "path"}, options);
  EXPECT_EQ(quiet.err, "");
  const Outcome shown = genai({"show", "1", "path", "--preview", "--steps", "3"}, options);
  EXPECT_EQ(shown.code, 0);
  EXPECT_EQ(shown.out, out_ + "step-2-path-seed-0-n4-steps-3.png\n");
  EXPECT_EQ(shown.err.find('\x1b'), std::string::npos);
  EXPECT_NE(shown.err.find("\nnoise 99 %"), std::string::npos) << shown.err;
  EXPECT_NE(shown.err.find("\nnoise 0 %"), std::string::npos) << shown.err;
  std::istringstream text(shown.err);
  for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 40u) << line;
}

TEST_F(Show, ImpossibleRequestsAreUsageErrors) {
  const std::vector<std::pair<Arguments, std::string>> requests = {
      {{"path", "-n", "0"}, "-n"},
      {{"path", "-n", "65"}, "-n"},
      {{"path", "--seed", "-1"}, "--seed"},
      {{"path", "--class", "1"}, "--class"},
      {{"path", "--steps", "0"}, "steps"},
      {{"path", "--frames", "1"}, "--frames"},
      {{"path", "--view", "inside"}, "--view"},
      {{"path", "--format", "mp4"}, "strip, apng, gif, frames"},
      {{"path", "--format", "gif", "--out", "x.png"}, ".gif"},
      {{"path", "--format", "frames", "--out", "x.png"}, "folder"},
      {{"path", "--format", "frames", "--out", "-"}, "folder"},
      {{"path", "--out", "x.jpg"}, ".png"},
      {{"path", "--out", "x"}, ".png"},
      {{"path", "--test", "64"}, "found 64"},
      {{"path", "--test", "-1"}, "--test"},
      {{"path", "--test", "1", "--forward", "pics/bars/000.png"}, "not both"},
      {{"path", "-n", "2", "--forward", "pics/bars/000.png"}, "-n"},
      {{"path", "--stepps", "1"}, "did you mean '--steps'"},
      {{"walk"}, "can show path"},
      {{}, "can show path"},
      {{"path", "--model", "diffusion"}, "not both"},
  };
  for (const auto& [options, part] : requests) {
    Arguments all{"show", "1"};
    all.insert(all.end(), options.begin(), options.end());
    expect_error(2, all, {part});
  }
  expect_error(3, {"show", "1", "path", "--forward", "nothing.png"}, {"nothing.png"});
  put(folder / "torn.png", slurp(folder / "pics/bars/000.png").substr(0, 60));
  expect_error(3, {"show", "1", "path", "--forward", "torn.png"}, {"torn.png"});
  expect_error(1, {"show", "1", "path", "--out", "pics/bars/000.png/x.png"}, {"pics/bars/000.png"});
  EXPECT_TRUE(names_in(folder / "runs/001-diffusion-pics/out").empty());

  train({"--steps", "1"});
  expect_error(2, {"show", "2", "path"}, {"'vae'", "families with 'path': diffusion"});
  expect_error(2, {"show", "2", "path", "--steps", "5"}, {"--steps"});
}

}  // namespace
}  // namespace genai
