#include "cli/tool.h"

namespace genai {
namespace {

using Evaluate = Cli;

TEST_F(Evaluate, MeasuresTheSameAgainAndKeepsIt) {
  train({"--steps", "10"});
  const Arguments arguments{"evaluate", "last", "--samples", "20"};
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
  const Outcome few = genai({"evaluate", "1", "--samples", "20", "--images", "5"});
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
  const Outcome met = genai({"evaluate", "last", "--samples", "5", "--require", "nll<=1e6",
                             "--require", "kl>=0"});
  EXPECT_EQ(met.code, 0) << met.err;
  EXPECT_NE(met.out.find("met:    nll<=1e6"), std::string::npos) << met.out;
  EXPECT_NE(met.out.find("/gaussian"), std::string::npos) << met.out;
  const Outcome missed = genai({"evaluate", "last", "--samples", "5", "--require", "nll<=-1e6",
                                "--require", "kl>=0", "--json"});
  EXPECT_EQ(missed.code, 5);
  const Json result = parse_json(missed.out, "standard output", ErrorKind::data);
  EXPECT_EQ(result["requirements"][0]["met"], false);
  EXPECT_EQ(result["requirements"][1]["met"], true);

  expect_error(2, {"evaluate", "last", "--require", "nonsense"}, {"nonsense", "nll<=88"});
  expect_error(2, {"evaluate", "last", "--samples", "5", "--require", "fid<=3"}, {"fid", "nelbo"});
  expect_error(2, {"evaluate", "last", "--samples", "nan"}, {"--samples"});
}

TEST_F(Evaluate, OtherImagesAreMeasuredOnlyByName) {
  Arguments conditional = training({"--steps", "5"});
  conditional[2] = "vae-class";
  ASSERT_EQ(genai(conditional).code, 0);
  make_pictures("others", 30);
  const Outcome named = genai({"evaluate", "last", "--samples", "5", "--data", "others"});
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_NE(named.out.find("others-test"), std::string::npos) << named.out;
  expect_error(3, {"evaluate", "last", "--data", "nowhere"}, {"nowhere"});
  fs::remove_all(folder / "pics");
  fs::rename(folder / "others", folder / "pics");
  expect_error(3, {"evaluate", "last"}, {"not the one", "--data"});
  fs::remove_all(folder / "pics");
  expect_error(3, {"evaluate", "last"}, {"pics"});
}

}  // namespace
}  // namespace genai
