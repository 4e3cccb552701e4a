// Runs made by version 0.1 (tests/runs-0.1) sample the same, are measured, and are trained further.
#include "tool.h"

namespace genai {
namespace {

class Version01 : public Cli, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    fs::remove_all(folder / "pics");  // another set of that name
    fs::copy(fs::path(GENAI_SOURCE_DIR) / "tests/runs-0.1", folder.path(),
             fs::copy_options::recursive);
  }
};

TEST_P(Version01, MakesTheSamePictures) {
  const std::string run = GetParam();
  if (fs::exists(folder / run / "out/golden.png")) {
    const Outcome checked = genai({"check", run});
    EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
  } else if (fs::exists(folder / run / "out/golden.txt")) {
    const Outcome written = genai({"sample", run, "--length", "12", "-q"});
    EXPECT_EQ(written.code, 0) << written.err;
    EXPECT_EQ(written.out, slurp(folder / run / "out/golden.txt"));
  } else {
    GTEST_SKIP() << "makes no samples of its own";
  }
}

TEST_P(Version01, IsTrainedFurther) {
  const std::string run = GetParam();
  const Outcome resumed = genai({"train", "--resume", run, "--steps", "6"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(checkpoints(run).back(), "step-0000006");
}

TEST_P(Version01, IsMeasured) {
  const std::string run = GetParam(), part = run == "classifier" ? "classification" : "likelihood";
  if (run == "gan") GTEST_SKIP() << "has no likelihood";
  const Outcome measured = genai({"evaluate", run, "--only", part, "--json"});
  EXPECT_EQ(measured.code, 0) << measured.err;
}

INSTANTIATE_TEST_SUITE_P(Families, Version01,
                         testing::Values("vae", "diffusion", "gan", "classifier", "transformer",
                                         "rnn", "series"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace genai
