#include "cli/tool.h"
#include "genai/base/animation.h"

namespace genai {
namespace {

class ShowStyles : public Cli {
 protected:
  ShowStyles() { train_gan("style"); }

  void train_gan(const std::string& kind) const {
    const Outcome trained = genai({"train",     "--model",
                                   "gan",       "--data",
                                   "pics",      "--steps",
                                   "2",         "--batch",
                                   "8",         "--generator.kind",
                                   kind,        "--generator.width",
                                   "4",         "--generator.levels",
                                   "1",         "--style",
                                   "8",         "--mapping",
                                   "2",         "--discriminator.width",
                                   "4",         "--head",
                                   "16",        "--latent",
                                   "8",         "--conditional",
                                   "--threads", "1"});
    EXPECT_EQ(trained.code, 0) << trained.err;
  }

  /// The samples first .. first + count - 1, unscaled.
  std::vector<Image> samples(int first, int count, const Arguments& options = {}) const {
    std::vector<Image> images;
    Arguments all{
        "sample",     "1",     "--seed", std::to_string(first), "-n", std::to_string(count),
        "--separate", "--out", "samples"};
    all.insert(all.end(), options.begin(), options.end());
    const Outcome outcome = genai(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (int i = first; i < first + count; ++i) {
      images.push_back(read_png(folder / ("samples/" + std::to_string(i) + ".png")).image);
    }
    return images;
  }

  const std::string out_ = "runs/001-gan-pics/out/";
};

/// Does the cell at (row, column) from the lower right corner, counted from 1, hold the image? In
/// figures of scale 1.
bool shows(const Image& figure, const Image& cell, int64_t row, int64_t column) {
  const int64_t top = figure.height - row * (cell.height + 2);
  const int64_t left = figure.width - column * (cell.width + 2);
  for (int64_t y = 0; y < cell.height; ++y) {
    for (int64_t x = 0; x < cell.width; ++x) {
      if (figure.pixels.at(static_cast<size_t>((top + y) * figure.width + left + x)) !=
          cell.pixels.at(static_cast<size_t>(y * cell.width + x))) {
        return false;
      }
    }
  }
  return true;
}

TEST_F(ShowStyles, MixesSamplesOfTheMargins) {
  const std::string name = out_ + "step-2-mix-seed-0-n4.png";
  const Outcome first = genai({"show", "last", "mix"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, name + "\n");
  EXPECT_EQ(first.err, "");
  const std::string bytes = slurp(folder / name);
  for (const Arguments& same : std::vector<Arguments>{
           {"show", "1", "mix"}, {"show", "mix"}, {"show", "--model", "gan", "mix"}}) {
    EXPECT_EQ(genai(same).out, name + "\n") << same[1];
    EXPECT_EQ(slurp(folder / name), bytes);
  }
  EXPECT_EQ(genai({"show", "1", "mix", "--out", "-"}).out, bytes);
  EXPECT_EQ(genai({"check", name}).out, "ok      " + name + "\n");
  const Json told = json_of({"inspect", name})["text"]["genai"]["request"];
  EXPECT_EQ(told["show"], "mix");
  EXPECT_EQ(told["from"], 1);
  EXPECT_EQ(told["options"]["truncation"], 1);

  const Arguments options{"--class", "1", "--truncation", "0.7"};
  const Json made = json_of({"show", "1", "mix", "-n", "2", "--seed", "15", "--scale", "1",
                             "--from", "3", "--class", "1", "--truncation", "0.7"});
  const std::string file = out_ + "step-2-mix-seed-15-n2-from-3-scale-1-class1-truncation-0.7.png";
  EXPECT_EQ(made["files"], Json::array({file}));
  EXPECT_EQ(made["first"], 15);
  const Image figure = read_png(folder / file).image;
  const std::vector<Image> sources = samples(15, 4, options);
  EXPECT_TRUE(shows(figure, sources[0], 2, 3));
  EXPECT_TRUE(shows(figure, sources[1], 1, 3));
  EXPECT_TRUE(shows(figure, sources[2], 3, 2));
  EXPECT_TRUE(shows(figure, sources[3], 3, 1));
  // From the last layer on: nothing of the columns.
  for (const int64_t column : {1, 2}) {
    EXPECT_TRUE(shows(figure, sources[0], 2, column));
    EXPECT_TRUE(shows(figure, sources[1], 1, column));
  }
  EXPECT_EQ(genai({"show", "1", "mix", "--metadata", "none", "--out", "x.png"}).code, 0);
  EXPECT_TRUE(read_png(folder / "x.png").text.empty());
  EXPECT_EQ(genai({"check", out_}).code, 0);
}

TEST_F(ShowStyles, DirectionsAreStripsAndFilms) {
  const std::string name = out_ + "step-2-directions-seed-0.png";
  EXPECT_EQ(genai({"show", "1", "directions"}).out, name + "\n");
  EXPECT_EQ(genai({"check", name}).out, "ok      " + name + "\n");
  const Json made =
      json_of({"show", "1", "directions", "--seed", "17", "--directions", "2", "--strength", "1.5",
               "--frames", "3", "--layers", "0-1", "--scale", "1"});
  const std::string file = out_ +
                           "step-2-directions-seed-17-directions-2-strength-1.5-frames-3-layers-0-"
                           "1-scale-1.png";
  ASSERT_EQ(made["files"].size(), 1u);
  EXPECT_EQ(made["layers"], Json::array({0, 1}));
  EXPECT_EQ(made["shares"].size(), 2u);
  EXPECT_EQ(made["deviations"].size(), 2u);
  EXPECT_GT(made["shares"][0], made["shares"][1]);
  const std::string path = made["files"][0];
  const Image figure = read_png(folder / path).image;
  const Image sample = samples(17, 1)[0];
  for (const int64_t row : {1, 2}) EXPECT_TRUE(shows(figure, sample, row, 2));
  EXPECT_EQ(genai({"check", path}).code, 0);
  EXPECT_EQ(json_of({"show", "1", "directions", "--layers", "1"})["layers"], Json::array({1, 1}));

  const Outcome gif = genai({"show", "1", "directions", "--format", "gif"});
  EXPECT_EQ(gif.out, out_ + "step-2-directions-seed-0.gif\n") << gif.err;
  EXPECT_EQ(slurp(folder / (out_ + "step-2-directions-seed-0.gif")).substr(0, 6), "GIF89a");
  EXPECT_EQ(genai({"show", "1", "directions", "--out", "x.apng"}).code, 0);
  EXPECT_EQ(decode_apng(slurp(folder / "x.apng"), "x").size(), 60u);  // 31 there, 29 back
  EXPECT_EQ(genai({"check", "x.apng"}).code, 0);
  EXPECT_EQ(
      genai({"show", "1", "directions", "--format", "frames", "--moments", "3", "--out", "frames"})
          .code,
      0);
  EXPECT_EQ(names_in(folder / "frames"),
            (std::vector<std::string>{"000.png", "001.png", "002.png", "003.png"}));
  EXPECT_EQ(slurp(folder / "frames/001.png").size(), slurp(folder / "frames/003.png").size());
  EXPECT_EQ(genai({"check", "frames"}).code, 0);
}

TEST_F(ShowStyles, ImpossibleRequestsAreUsageErrors) {
  const std::vector<std::pair<Arguments, std::string>> requests = {
      {{"mix", "-n", "0"}, "-n"},
      {{"mix", "-n", "65"}, "-n"},
      {{"mix", "--seed", "-1"}, "--seed"},
      {{"mix", "--class", "2"}, "--class"},
      {{"mix", "--from", "4"}, "--from: expected a layer from 0"},
      {{"mix", "--from", "-1"}, "--from"},
      {{"mix", "--truncation", "3"}, "truncation"},
      {{"mix", "--format", "gif"}, "--format: mix is one picture; expected strip"},
      {{"mix", "--format", "frames"}, "expected strip"},
      {{"mix", "--out", "x.gif"}, "expected strip"},
      {{"mix", "--out", "x"}, ".png"},
      {{"mix", "--frames", "5"}, "--frames: is for path, directions, not for mix"},
      {{"mix", "--layers", "1"}, "--layers: is for directions, not for mix"},
      {{"mix", "--preview"}, "--preview: is for path"},
      {{"directions", "-n", "2"}, "-n: is for path, mix"},
      {{"directions", "--from", "2"}, "--from: is for mix"},
      {{"directions", "--test", "2"}, "--test: is for path"},
      {{"directions", "--moments", "4"}, "--frames: expected an odd number"},
      {{"directions", "--directions", "9"}, "--directions: expected 1 to 8"},
      {{"directions", "--directions", "0"}, "--directions"},
      {{"directions", "--strength", "0"}, "--strength"},
      {{"directions", "--strength", "nan"}, "--strength"},
      {{"directions", "--layers", "3"}, "--layers: expected layers within 0-2, found 3-3"},
      {{"directions", "--layers", "2-1"}, "--layers"},
      {{"directions", "--layers", "1-"}, "--layers: expected FIRST-LAST (0-2) or one layer"},
      {{"directions", "--layers", "0--1"}, "found '0--1'"},
      {{"directions", "--layers", "all"}, "found 'all'"},
      {{"directions", "--layers", "0-1-2"}, "found '0-1-2'"},
      {{"directions", "--layers", "99999999999999999999"}, "--layers"},
      {{"directions", "--format", "frames", "--out", "-"}, "folder"},
      {{"path"}, "families with 'path': diffusion"},
      {{}, "can show mix, directions"},
  };
  for (const auto& [options, part] : requests) {
    Arguments all{"show", "1"};
    all.insert(all.end(), options.begin(), options.end());
    expect_error(2, all, {part});
  }
  expect_error(1, {"show", "1", "mix", "--out", "pics/bars/000.png/x.png"}, {"pics/bars/000.png"});

  train_gan("residual");
  for (const char* what : {"mix", "directions"}) {
    expect_error(2, {"show", "2", what}, {"model.generator.kind is style", "is residual"});
  }
  train({"--steps", "1"});
  expect_error(2, {"show", "3", "mix"}, {"'vae'", "families with 'mix': gan"});
  for (const std::string& run : names_in(folder / "runs")) {
    EXPECT_TRUE(names_in(folder / ("runs/" + run + "/out")).empty()) << run;
  }
}

}  // namespace
}  // namespace genai
