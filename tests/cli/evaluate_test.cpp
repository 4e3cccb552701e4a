#include "cli/tool.h"

namespace genai {
namespace {

using Evaluate = Cli;

TEST_F(Evaluate, MeasuresTheSameAgainAndKeepsIt) {
  train({"--steps", "10"});
  const Arguments arguments{"evaluate", "last", "--only", "likelihood", "--draws", "20"};
  const Json first = json_of(arguments), again = json_of(arguments);
  EXPECT_EQ(first, again);
  std::vector<std::string> names;
  for (const Json& metric : first["metrics"]) {
    names.push_back(metric["name"]);
    EXPECT_EQ(metric["count"], 13);
    EXPECT_TRUE(std::isfinite(metric["value"].get<double>()));
  }
  const std::string protocol = "@pics-test13/dynbin-seed0/bernoulli";
  for (const char* name : {"nelbo", "kl", "reconstruction", "nll_iw20", "bits_per_dim_iw20"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name + protocol), 1) << name;
  }
  EXPECT_EQ(first["weights_sha256"], weights("runs/001-vae-pics"));

  // Fewer images are another protocol.
  const Outcome few =
      genai({"evaluate", "1", "--only", "likelihood", "--draws", "20", "--images", "5"});
  EXPECT_EQ(few.code, 0) << few.err;
  EXPECT_NE(few.out.find("pics-test5/"), std::string::npos) << few.out;

  std::istringstream kept(slurp(folder / "runs/001-vae-pics/evaluations.jsonl"));
  std::vector<Json> lines;
  for (std::string line; std::getline(kept, line);) {
    lines.push_back(parse_json(line, "evaluations.jsonl", ErrorKind::data));
  }
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["metrics"], first["metrics"]);
  EXPECT_EQ(lines[2]["metrics"][0]["count"], 5);
}

TEST_F(Evaluate, BarsDecideTheExitCode) {
  train({"--steps", "10", "--pixels", "gaussian", "--binarize", "none"});
  const Outcome met = genai({"evaluate", "last", "--only", "likelihood", "--draws", "5",
                             "--require", "nll<=1e6", "--require", "kl>=0"});
  EXPECT_EQ(met.code, 0) << met.err;
  EXPECT_NE(met.out.find("met:    nll<=1e6"), std::string::npos) << met.out;
  EXPECT_NE(met.out.find("/gaussian"), std::string::npos) << met.out;
  const Outcome missed = genai({"evaluate", "last", "--only", "likelihood", "--draws", "5",
                                "--require", "nll<=-1e6", "--require", "kl>=0", "--json"});
  EXPECT_EQ(missed.code, 5);
  const Json result = parse_json(missed.out, "standard output", ErrorKind::data);
  EXPECT_EQ(result["requirements"][0]["met"], false);
  EXPECT_EQ(result["requirements"][1]["met"], true);

  expect_error(2, {"evaluate", "last", "--require", "nonsense"}, {"nonsense", "nll<=88"});
  expect_error(2,
               {"evaluate", "last", "--only", "likelihood", "--draws", "5", "--require", "fid<=3"},
               {"fid", "nelbo"});
  expect_error(2, {"evaluate", "last", "--draws", "nan"}, {"--draws"});
}

TEST_F(Evaluate, OtherImagesAreMeasuredOnlyByName) {
  Arguments conditional = training({"--steps", "5"});
  conditional[2] = "vae-class";
  ASSERT_EQ(genai(conditional).code, 0);
  make_pictures("others", 30);
  const Outcome named =
      genai({"evaluate", "last", "--only", "likelihood", "--draws", "5", "--data", "others"});
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_NE(named.out.find("others-test"), std::string::npos) << named.out;
  expect_error(3, {"evaluate", "last", "--data", "nowhere"}, {"nowhere"});
  fs::remove_all(folder / "pics");
  fs::rename(folder / "others", folder / "pics");
  expect_error(3, {"evaluate", "last"}, {"not the one", "--data"});
  fs::remove_all(folder / "pics");
  expect_error(3, {"evaluate", "last"}, {"pics"});
}

TEST_F(Evaluate, PartsThatDoNotApplyAreNamed) {
  train({"--steps", "5"});
  expect_error(2, {"evaluate", "last", "--only", "beauty"}, {"beauty", "memorization"});
  expect_error(2, {"evaluate", "last", "--only", "classification"}, {"vae", "classifier"});
  expect_error(2, {"evaluate", "last", "--only", "classification-score"}, {"class-conditional"});
  expect_error(2, {"evaluate", "last", "-n", "0"}, {"-n"});
  expect_error(3, {"evaluate", "last", "--only", "distances", "-n", "100"}, {"13", "64"});
}

TEST_F(Evaluate, AFolderOfPicturesMustFitTheDataSet) {
  make_pictures("samples", 80);
  expect_error(2, {"evaluate", "samples"}, {"--data"});
  put(folder / "samples/rings/big.png",
      encode_png(
          {.width = 13, .height = 12, .channels = 1, .pixels = std::vector<uint8_t>(13 * 12)}));
  expect_error(3, {"evaluate", "samples", "--data", "pics"}, {"big.png", "12x12", "13x12"});
  put(folder / "samples/rings/big.png",
      encode_png({.width = 12, .height = 12, .channels = 3, .pixels = [] {
                    std::vector<uint8_t> p(3 * 144);
                    p[0] = 255;
                    return p;
                  }()}));
  expect_error(3, {"evaluate", "samples", "--data", "pics"}, {"big.png", "colour"});
  fs::remove(folder / "samples/rings/big.png");
  fs::rename(folder / "samples/rings", folder / "samples/squares");
  expect_error(3, {"evaluate", "samples", "--data", "pics"}, {"squares"});
}

using SlowEvaluate = Cli;

TEST_F(SlowEvaluate, EveryMetricOfAModelAndOfItsPictures) {
  make_pictures("many", 1200);
  Arguments conditional = training({"--steps", "300"});
  conditional[2] = "vae-class";
  conditional.back() = "300";
  for (std::string& argument : conditional) {
    if (argument == "pics") argument = "many";
  }
  ASSERT_EQ(genai(conditional).code, 0);
  ToolOptions patient = here();
  patient.timeout = 800;
  // Trains on two threads, perhaps beside another test: waiting threads must not spin.
  patient.environment["OMP_WAIT_POLICY"] = "passive";
  const Outcome full = genai({"evaluate", "last", "--full", "-n", "320", "--draws", "20"}, patient);
  ASSERT_EQ(full.code, 0) << full.err;
  for (const char* metric : {"nll_iw20", "fd ", "fd_pca", "fd_train", "kid", "precision",
                             "coverage", "min_class_share", "class_chi2", "conditional_accuracy",
                             "memorized_share", "authentic_share", "c_t", "classification_score"}) {
    EXPECT_NE(full.out.find(metric), std::string::npos) << metric << "\n" << full.out;
  }
  EXPECT_NE(full.err.find("min in all"), std::string::npos) << full.err;
  for (const char* picture : {"samples", "neighbours"}) {
    EXPECT_TRUE(fs::exists(folder / "runs/001-vae-class-many/evaluations" /
                           concat("0001-", picture, ".png")));
  }

  // The same samples as a folder of pictures get the same values.
  ASSERT_EQ(genai({"sample", "last", "-n", "320", "--separate", "--out", "made"}).code, 0);
  const auto values = [&](const Arguments& arguments) {
    std::map<std::string, double> found;
    for (const Json& metric : json_of(arguments)["metrics"]) {
      found[metric["name"]] = metric["value"];
    }
    return found;
  };
  const auto pictures = values({"evaluate", "made", "--data", "many", "--only", "distances"});
  const auto model = values({"evaluate", "last", "-n", "320", "--only", "distances"});
  ASSERT_EQ(pictures.size(), model.size());
  for (const auto& [name, value] : model) {
    ASSERT_TRUE(pictures.count(name)) << name;
    // Another order of the same pictures: sums round differently, subsets are others.
    const double tolerance = name.rfind("kid", 0) == 0 ? 1e-3 : 1e-6;
    EXPECT_NEAR(pictures.at(name), value, tolerance * (1 + std::abs(value))) << name;
  }

  const Outcome page = genai({"report", "last", "--format", "html"});
  EXPECT_EQ(page.code, 0) << page.err;
}

}  // namespace
}  // namespace genai
