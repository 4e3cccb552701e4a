#include <set>

#include "cli/tool.h"

namespace genai {
namespace {

using Train = Cli;

TEST_F(Train, MakesARunAndPrintsNothingButItsPath) {
  const Outcome trained = genai(training({"--steps", "12", "--log-every", "5"}));
  EXPECT_EQ(trained.code, 0);
  EXPECT_EQ(trained.out, "runs/001-vae-pics\n");
  EXPECT_NE(trained.err.find("4 latent dimensions"), std::string::npos) << trained.err;
  EXPECT_NE(trained.err.find("genai sample last"), std::string::npos) << trained.err;

  const fs::path run = folder / "runs/001-vae-pics";
  for (const char* file : {"config.json", "kept.safetensors", "metrics.jsonl",
                           "events.out.tfevents.0.genai", "samples/step-0000012.png"}) {
    EXPECT_GT(fs::file_size(run / file), 0u) << file;
  }
  EXPECT_EQ(checkpoints("runs/001-vae-pics").back(), "step-0000012");
  EXPECT_EQ(
      names_in(run / "checkpoints/step-0000012"),
      (std::vector<std::string>{"manifest.json", "model.safetensors", "training.safetensors"}));
  EXPECT_TRUE(leftovers(folder.path()).empty());
  const Json config = parse_json(slurp(run / "config.json"), "config.json", ErrorKind::data);
  EXPECT_EQ(config["extends"], "vae");
  EXPECT_EQ(config["model"]["encoder"]["hidden"], Json::array({16}));

  std::istringstream metrics(slurp(run / "metrics.jsonl"));
  std::set<std::string> seen;
  for (std::string line; std::getline(metrics, line);) {
    const Json entry = parse_json(line, "metrics.jsonl", ErrorKind::data);
    for (const char* kind : {"train", "test"}) {
      if (entry.contains(kind)) seen.insert(concat(kind, entry["step"].get<int>()));
    }
  }
  EXPECT_EQ(seen, (std::set<std::string>{"test0", "train5", "train10", "test12", "train12"}));
}

TEST_F(Train, CountsRunsAndRepeatsItselfBitForBit) {
  train({"--steps", "6", "--seed", "3"});
  const Outcome again = genai(training({"--steps", "6", "--seed", "3", "--json"}));
  const Json result = parse_json(again.out, "standard output", ErrorKind::data);
  EXPECT_EQ(result["run"], "runs/002-vae-pics");
  EXPECT_EQ(result["step"], 6);
  EXPECT_TRUE(result["validation"]["nelbo"].is_number());
  EXPECT_EQ(weights("runs/001-vae-pics"), result["weights_sha256"]);

  const Outcome other = genai(training({"--steps", "6", "--seed", "4", "--quiet"}));
  EXPECT_EQ(other.code, 0);
  EXPECT_EQ(other.out, "runs/003-vae-pics\n");
  EXPECT_EQ(other.err, "");
  EXPECT_NE(weights("runs/003-vae-pics"), result["weights_sha256"]);

  fs::remove_all(folder / "runs/002-vae-pics");
  EXPECT_EQ(train({"--steps", "1"}), "runs/004-vae-pics");
  const ToolOptions elsewhere{.folder = folder.path(),
                              .environment = {{"GENAI_RUNS", (folder / "kept runs").string()}}};
  const Outcome named = genai(training({"--steps", "1"}), elsewhere);
  EXPECT_EQ(named.out, (folder / "kept runs").string() + "/001-vae-pics\n");
}

TEST_F(Train, TwoStartedAtOnceMakeTwoRuns) {
  Tool first(training({"--steps", "1"}), here()), second(training({"--steps", "1"}), here());
  const std::set<std::string> made{first.wait().out, second.wait().out};
  EXPECT_EQ(made, (std::set<std::string>{"runs/001-vae-pics\n", "runs/002-vae-pics\n"}));
}

TEST_F(Train, DryRunChecksEverythingAndMakesNothing) {
  const Outcome dry = genai(training({"--epochs", "3", "--dry-run"}));
  EXPECT_EQ(dry.code, 0) << dry.err;
  const Json config = parse_json(dry.out, "standard output", ErrorKind::data);
  EXPECT_EQ(config["model"]["latent"], 4);
  EXPECT_EQ(config["training"]["epochs"], 3);
  EXPECT_NE(dry.err.find("good"), std::string::npos) << dry.err;
  expect_error(2, training({"--dry-run", "--accumulate", "3"}), {"batch"});
  expect_error(2, training({"--dry-run", "--out", "pics"}), {"pics", "not empty"});
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST_F(Train, ALengthGivenReplacesThatOfThePreset) {  // which counts steps
  const auto lengths = [&](const std::string& option, const std::string& value) {
    const Outcome dry =
        genai({"train", "--model", "diffusion", "--data", "pics", "--dry-run", option, value});
    EXPECT_EQ(dry.code, 0) << dry.err;
    const Json training = parse_json(dry.out, "standard output", ErrorKind::data)["training"];
    return Json{training["epochs"], training["steps"], training["budget"]};
  };
  EXPECT_EQ(lengths("--epochs", "3"), (Json{3, 0, ""}));
  EXPECT_EQ(lengths("--steps", "7"), (Json{10, 7, ""}));
  EXPECT_EQ(lengths("--budget", "2m"), (Json{10, 0, "2m"}));
}

TEST_F(Train, OutNamesTheRunButNeverOverwrites) {
  EXPECT_EQ(train({"--steps", "1", "--out", "a/b c"}), "a/b c");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  const std::string before = slurp(folder / "a/b c/checkpoints/step-0000001/manifest.json");
  expect_error(2, training({"--steps", "1", "--out", "a/b c"}), {"a/b c", "--resume"});
  EXPECT_EQ(slurp(folder / "a/b c/checkpoints/step-0000001/manifest.json"), before);
  fs::create_directory(folder / "empty");
  EXPECT_EQ(train({"--steps", "1", "--out", "empty"}), "empty");
  put(folder / "file", "text");
  expect_error(2, training({"--steps", "1", "--out", "file"}), {"file"});
  EXPECT_EQ(slurp(folder / "file"), "text");
}

TEST_F(Train, PlacesThatCannotBeWrittenAreFailures) {
  put(folder / "file", "text");
  expect_error(1, training({"--out", "file/run"}), {"file/run"});
  expect_error(1, training({"--out", "/proc/run"}), {"/proc/run"});
  expect_error(1, training({"--runs", "/proc/runs"}), {"/proc/runs"});
}

TEST_F(Train, ABudgetEndsTheRunInTime) {
  const Outcome trained = genai(training({"--budget", "2s", "--json"}));
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_GT(trained.seconds, 1);
  EXPECT_LT(trained.seconds, 10);  // 2 s, and a slow or busy machine
  const Json result = parse_json(trained.out, "standard output", ErrorKind::data);
  const int steps = result["step"];
  EXPECT_GT(steps, 20);
  const std::string next = concat("--steps ", 2 * steps);
  EXPECT_NE(trained.err.find(next), std::string::npos) << trained.err;
  // What was measured is kept; a length in steps replaces the budget.
  EXPECT_NE(genai({"train", "--resume"}).err.find("at its end"), std::string::npos);
  const Outcome more = genai({"train", "--resume", "--steps", std::to_string(steps + 3)});
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(std::stoi(checkpoints("runs/001-vae-pics").back().substr(5)), steps + 3);
  expect_error(2, training({"--budget", "soon"}), {"soon", "3m"});
  expect_error(2, training({"--budget", "2s", "--steps", "3"}), {"budget", "steps"});
}

TEST_F(Train, DivergenceEndsWithTheLastGoodCheckpoint) {
  expect_error(6, training({"--learning-rate", "1e10", "--steps", "100"}),
               {"diverged", "--learning-rate", "is kept"});
  EXPECT_EQ(checkpoints("runs/001-vae-pics"), (std::vector<std::string>{"step-0000000"}));
  EXPECT_EQ(genai({"inspect", "1"}).code, 0);
  EXPECT_EQ(genai({"sample", "1"}).code, 0);
}

TEST_F(Train, ADeviceThatIsNotThereNamesThoseThatAre) {
  if (json_of({"doctor"})["devices"].get<std::string>().find("cuda") != std::string::npos) {
    GTEST_SKIP() << "this machine has CUDA";
  }
  expect_error(4, training({"--device", "cuda"}), {"cuda", "have: cpu"});
  expect_error(4, training({"--device", "tpu"}), {"tpu", "cuda:N"});
  EXPECT_FALSE(fs::exists(folder / "runs"));
  train({"--steps", "1"});
  expect_error(4, {"sample", "last", "--device", "cuda"}, {"have: cpu"});
}

TEST_F(Train, InitStartsFromTheWeightsOfAnotherRun) {
  const std::string first = train({"--steps", "10", "--learning-rate", "0.01"});
  const std::string second = train({"--steps", "1", "--seed", "9", "--init", "1"});
  EXPECT_EQ(weights(second, "step-0000000"), weights(first));
  EXPECT_NE(weights(second, "step-0000001"), weights(first));

  expect_error(2, training({"--init", "7"}), {"no run '7'", "001-vae-pics"});
  Arguments other = training({"--init", "1"});
  other[8] = "5";  // --latent
  expect_error(3, other, {"posterior.weight", "[8, 16]", "[10, 16]"});
}

}  // namespace
}  // namespace genai
