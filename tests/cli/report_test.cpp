#include "cli/tool.h"

namespace genai {
namespace {

class Report : public Cli {
 protected:
  /// What `evaluate` would keep.
  void keep(const std::string& run, double nll) const {
    const Json metric = {{"name", "nll_iw5@pics-test13/dynbin-seed0/bernoulli"},
                         {"value", nll},
                         {"standard_error", 0.5},
                         {"count", 13},
                         {"unit", "nats"},
                         {"better", "lower"}};
    const Json line = {{"step", 6},
                       {"weights_sha256", weights(run)},
                       {"sampling", nullptr},
                       {"metrics", {metric}}};
    put(folder / (run + "/evaluations.jsonl"), line.dump() + "\n");
  }
};

TEST_F(Report, TellsWhatRunsHaveKept) {
  train({"--steps", "6"});
  const Outcome bare = genai({"report", "last"});
  EXPECT_EQ(bare.code, 0) << bare.err;
  EXPECT_NE(bare.out.find("nelbo"), std::string::npos) << bare.out;
  EXPECT_NE(bare.out.find("genai evaluate last"), std::string::npos) << bare.out;
  const Outcome page = genai({"report", "1", "--format", "html"});
  EXPECT_EQ(page.code, 0) << page.err;
  EXPECT_EQ(page.out, "runs/001-vae-pics/report.html\n");
  EXPECT_NE(page.err.find("genai evaluate 1"), std::string::npos) << page.err;

  train({"--steps", "6", "--seed", "2", "--learning-rate", "0.0005"});
  keep("runs/001-vae-pics", 90.25);
  keep("runs/002-vae-pics", 85.5);
  // Nothing is computed anew: neither the data nor the weights are needed.
  fs::remove_all(folder / "pics");
  const fs::path checkpoint = folder / "runs/002-vae-pics/checkpoints/step-0000006";
  fs::remove(checkpoint / "training.safetensors");
  const Outcome table = genai({"report", "1", "2"});
  EXPECT_EQ(table.code, 0) << table.err;
  for (const char* part : {"nll_iw5", "001-vae-pics@6", "002-vae-pics@6", "90.25 +- 0.50",
                           "*85.50 +- 0.50", "second - first", "not paired",
                           "pics-test13/dynbin-seed0/bernoulli", "training.seed: 1 -> 2"}) {
    EXPECT_NE(table.out.find(part), std::string::npos) << part << "\n" << table.out;
  }
  EXPECT_EQ(table.out, genai({"report", "001-vae-pics", "last"}).out);
  EXPECT_EQ(table.out, genai({"report", "1@6", "2@best", "--out", "-"}).out);

  const Json json = json_of({"report", "1", "2"});
  ASSERT_EQ(json["columns"].size(), 2u);
  EXPECT_TRUE(json["metrics"][0]["values"][0]["value"].is_number());
  const Outcome csv = genai({"report", "1", "2", "--format", "csv", "--out", "r.csv"});
  EXPECT_EQ(csv.out, "r.csv\n");
  EXPECT_EQ(slurp(folder / "r.csv").rfind("run,step,preset,", 0), 0u);
  EXPECT_EQ(genai({"report", "--format", "markdown"}).out.rfind("| metric |", 0), 0u);

  const Outcome first = genai({"report", "1", "2", "--format", "html", "--out", "a.html"});
  const Outcome again = genai({"report", "1", "2", "--format", "html", "--out", "-"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(slurp(folder / "a.html"), again.out);
  EXPECT_NE(again.out.find("genai train --model vae"), std::string::npos);
  EXPECT_NE(again.out.find("--seed 2"), std::string::npos);
  EXPECT_NE(again.out.find("--learning-rate 0.0005"), std::string::npos);
  EXPECT_EQ(again.out.find(folder.path().string()), std::string::npos);
}

TEST_F(Report, WrongInputIsNamed) {
  expect_error(2, {"report", "last"}, {"no run"});
  const std::string run = train({"--steps", "2"});
  expect_error(2, {"report", "7"}, {"no run '7'", "001-vae-pics"});
  expect_error(2, {"report", "1", "7"}, {"no run '7'"});
  expect_error(2, {"report", "1@17"}, {"17", "0, 2"});
  expect_error(2, {"report", "1@worst"}, {"@worst"});
  expect_error(2, {"report", "1", "--format", "pdf"}, {"--format", "pdf"});
  expect_error(2, {"report", "1", "--format", "html", "--json"}, {"--json"});
  expect_error(2, {"report", "1", "--formt", "html"}, {"--format"});
  put(folder / "file", "x");
  expect_error(1, {"report", "1", "--format", "html", "--out", "file/a.html"},
               {"--out", "cannot write into file"});
  expect_error(2, {"report", "1", "--format", "csv", "--out", "r.html"},
               {"ends in .csv", "r.html"});
  EXPECT_EQ(genai({"report", "1", "--out", "r.csv"}).code, 0);
  EXPECT_EQ(slurp(folder / "r.csv").rfind("run,step,", 0), 0u);
  EXPECT_EQ(genai({"report", "1", "--out", "page.HTM"}).code, 0);
  EXPECT_EQ(slurp(folder / "page.HTM").rfind("<!doctype html>", 0), 0u);
  EXPECT_EQ(genai({"report", "1", "--out", "r.json"}).code, 0);
  EXPECT_TRUE(parse_json(slurp(folder / "r.json"), "r.json", ErrorKind::data).is_object());
  put(folder / (run + "/evaluations.jsonl"),
      "{\"step\":2,\"weights_sha256\":\"x\",\"metrics\":[]}\n{\"step\":2,\"wei");
  const Outcome damaged = genai({"report", "1", "--format", "markdown"});
  EXPECT_EQ(damaged.code, 0) << damaged.err;
  EXPECT_NE(damaged.out.find("evaluations.jsonl, line 2"), std::string::npos) << damaged.out;
  for (const std::string& step : checkpoints(run)) {
    flip_bit(folder / (run + "/checkpoints/" + step + "/manifest.json"), 100);
  }
  expect_error(3, {"report", "1"}, {"manifest.json"});
}

}  // namespace
}  // namespace genai
