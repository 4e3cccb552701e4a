#include "cli/tool.h"

namespace genai {
namespace {

using Config = Cli;

TEST_F(Config, OptionsGoOverTheFileAndTheFileOverThePreset) {
  put(folder / "mine.json", R"({
    // what I changed
    "extends": "vae-class",
    "model": {"latent": 7, "encoder": {"hidden": [24]}},
    "training": {"batch": 30, "epochs": 2}
  })");
  const Outcome shown = genai({"config", "show", "mine.json"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  std::map<std::string, std::pair<std::string, std::string>> rows;
  std::istringstream lines(shown.out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string path, value, origin, rest;
    words >> path >> value;
    std::getline(words >> std::ws, origin);
    rows[path] = {value, origin};
  }
  using Row = std::pair<std::string, std::string>;
  EXPECT_EQ(rows["model.latent"], (Row{"7", "mine.json"}));
  EXPECT_EQ(rows["model.encoder.hidden"], (Row{"[24]", "mine.json"}));
  EXPECT_EQ(rows["model.condition"], (Row{"\"class\"", "preset vae-class"}));
  EXPECT_EQ(rows["data.binarize"], (Row{"\"dynamic\"", "preset vae"}));
  EXPECT_EQ(rows["training.beta1"], (Row{"0.9", "default"}));

  const Outcome dry = genai({"train", "--config", "mine.json", "--data", "pics", "--dry-run",
                             "--latent", "5", "--encoder.hidden", "32,16"});
  EXPECT_EQ(dry.code, 0) << dry.err;
  const Json config = parse_json(dry.out, "standard output", ErrorKind::data);
  EXPECT_EQ(config["model"]["latent"], 5);
  EXPECT_EQ(config["model"]["encoder"]["hidden"], (Json::array({32, 16})));
  EXPECT_EQ(config["model"]["condition"], "class");
  EXPECT_EQ(config["training"]["batch"], 30);

  const Outcome diff = genai({"config", "diff", "vae", "mine.json"});
  EXPECT_NE(diff.out.find("training.batch: 128 -> 30"), std::string::npos) << diff.out;
  EXPECT_EQ(diff.out.find("data."), std::string::npos) << diff.out;
}

TEST_F(Config, AllMistakesAreToldAtOnce) {
  put(folder / "bad.json", R"({"extends": "vae", "foo": 1, "modle": {"latent": 3},
    "model": {"latnet": 3, "beta": "x"}, "data": {"binarize": "dynamc", "limit": -1},
    "training": {"batch": 0, "epochs": 1.0, "warmup": 1.5}})");
  const Outcome outcome =
      expect_error(2, {"train", "--config", "bad.json", "--data", "pics", "--learning-rate", "nan"},
                   {"bad.json: foo: unknown setting", "bad.json: modle.latent: unknown setting",
                    "bad.json: model.latnet: unknown setting; did you mean 'model.latent'?",
                    "bad.json: model.beta: expected number >= 0, found \"x\"",
                    "bad.json: data.binarize", "did you mean 'dynamic'?", "bad.json: data.limit",
                    "bad.json: training.batch: expected integer >= 1, found 0",
                    "bad.json: training.warmup: expected integer >= 0, found 1.5",
                    "--learning-rate: training.learning_rate: expected number > 0, found \"nan\""});
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 9) << outcome.err;
}

TEST_F(Config, FilesThatAreNoConfigurationSayWhereAndWhy) {
  const auto with = [&](const std::string& text) {
    put(folder / "c.json", text);
    return Arguments{"train", "--config", "c.json"};
  };
  expect_error(2, with(R"({"model": {"family": "vae"}, "training": {"epochs": 1, "epochs": 2}})"),
               {"c.json", "'epochs' appears twice", "line 1"});
  expect_error(2, with("{\n\"model\":"), {"c.json", "not valid JSON at line 2"});
  expect_error(2, with("[1]"), {"c.json", "expected a JSON object"});
  expect_error(2, with(R"({"extends": "vea"})"), {"no preset 'vea'", "'vae'"});
  expect_error(2, with(R"({"model": {"family": "vaee"}})"), {"no family 'vaee'", "vae"});
}

TEST_F(Config, WordsThatAreNotKnownGetTheNearest) {
  expect_error(2, {"trian"}, {"no verb 'trian'", "'train'"});
  expect_error(2, {"train"}, {"--model PRESET"});
  expect_error(2, {"train", "--model", "vea"}, {"no preset 'vea'", "'vae'"});
  expect_error(2, training({"--bacth", "3"}), {"'--bacth'", "'--batch'"});
  expect_error(2, training({"--steps", "-5"}), {"--steps", ">= 0", "-5"});
}

}  // namespace
}  // namespace genai
