// Surroundings that a program rarely gets, and must not mind.
#include "cli/tool.h"

namespace genai {
namespace {

using Environment = Cli;

TEST_F(Environment, ForeignLocaleNoHomeAndANarrowTerminal) {
  ToolOptions odd = here();
  odd.environment = {{"LC_ALL", "de_DE.UTF-8"}, {"LANG", "tr_TR.UTF-8"},
                     {"COLUMNS", "1"},          {"TERM", ""},
                     {"GENAI_RUNS", ""},        {"TMPDIR", "/nowhere"}};
  odd.removed = {"HOME", "PATH", "USER"};
  const Outcome trained = genai(training({"--steps", "6", "--learning-rate", "0.0015"}), odd);
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.err.find('\x1b'), std::string::npos) << trained.err;
  const std::string usual = train({"--steps", "6", "--learning-rate", "0.0015"});
  EXPECT_EQ(weights("runs/001-vae-pics"), weights(usual));
  EXPECT_EQ(genai({"sample", "1"}, odd).code, 0);
}

TEST_F(Environment, ClosedStreamsAreNotTakenByFiles) {
  ToolOptions silent = here(), closed = here();
  silent.closed = {2};
  closed.closed = {0, 1, 2};
  EXPECT_EQ(genai(training({"--steps", "6"}), silent).out, "runs/001-vae-pics\n");
  EXPECT_EQ(genai(training({"--steps", "6"}), closed).code, 1);  // its result did not arrive
  for (const std::string run : {"runs/001-vae-pics", "runs/002-vae-pics"}) {
    EXPECT_EQ(slurp(folder / run / "lock"), "") << run;
    std::istringstream metrics(slurp(folder / run / "metrics.jsonl"));
    for (std::string line; std::getline(metrics, line);) {
      EXPECT_EQ(line.front(), '{') << run;
      EXPECT_NO_THROW(parse_json(line, run, ErrorKind::data));
    }
  }
  EXPECT_EQ(weights("runs/001-vae-pics"), weights("runs/002-vae-pics"));
  silent.closed = {0, 2};
  EXPECT_EQ(genai({"sample", "1", "-n", "0"}, silent).code, 2);
}

TEST_F(Environment, AMessageThatDoesNotArriveChangesNothing) {
  ToolOptions full = here();
  full.out_file = "/dev/full";
  EXPECT_EQ(genai(training({"--steps", "6"}), full).code, 1);
  EXPECT_EQ(checkpoints("runs/001-vae-pics").back(), "step-0000006");
  EXPECT_EQ(genai({"help"}, full).code, 1);
}

}  // namespace
}  // namespace genai
