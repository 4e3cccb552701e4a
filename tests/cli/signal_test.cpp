// What happens to a run that is told to stop or to save.
#include "cli/tool.h"

namespace genai {
namespace {

class Signal : public Cli {
 protected:
  Signal() : tool_(endless(), here()) {
    EXPECT_TRUE(wait_until([&] { return !checkpoints(run_).empty(); }));
  }

  /// Saves only when told to.
  static Arguments endless() {
    return training(
        {"--steps", "100000000", "--validate-every", "50000000", "--schedule", "constant"});
  }

  int64_t newest() const { return std::stoll(checkpoints(run_).back().substr(5)); }

  void expect_resumable() const {
    const int64_t step = newest();
    EXPECT_TRUE(leftovers(folder.path()).empty());
    const Outcome more = genai({"train", "--resume", "1", "--steps", std::to_string(step + 2)});
    EXPECT_EQ(more.code, 0) << more.err;
    EXPECT_EQ(newest(), step + 2);
  }

  const std::string run_ = "runs/001-vae-pics";
  Tool tool_;
};

TEST_F(Signal, InterruptSavesAndSaysHowToContinue) {
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  tool_.send(SIGINT);
  const Outcome outcome = tool_.wait();
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find(concat("interrupted at step ", newest())), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("genai train --resume " + run_), std::string::npos) << outcome.err;
  EXPECT_GT(newest(), 0);
  expect_resumable();
}

TEST_F(Signal, TerminateSavesToo) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  tool_.send(SIGTERM);
  EXPECT_EQ(tool_.wait().code, 143);
  EXPECT_GT(newest(), 0);
  expect_resumable();
}

TEST_F(Signal, HangupSavesToo) {
  tool_.send(SIGHUP);
  EXPECT_EQ(tool_.wait().code, 129);
  expect_resumable();
}

TEST_F(Signal, ASecondInterruptEndsAtOnce) {
  const auto start = Tool::Clock::now();
  tool_.send(SIGINT);
  tool_.send(SIGINT);
  EXPECT_EQ(tool_.wait().code, 130);
  EXPECT_LT(std::chrono::duration<double>(Tool::Clock::now() - start).count(), 2);
  const int64_t step = newest();
  const Outcome more = genai({"train", "--resume", "1", "--steps", std::to_string(step + 2)});
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_TRUE(leftovers(folder.path()).empty());
}

TEST_F(Signal, UserSignalSavesAndGoesOn) {
  tool_.send(SIGUSR1);
  ASSERT_TRUE(wait_until([&] { return newest() > 0; }));
  const int64_t first = newest();
  EXPECT_FALSE(tool_.ended());
  tool_.send(SIGUSR1);
  EXPECT_TRUE(wait_until([&] { return newest() > first; }));
  EXPECT_FALSE(tool_.ended());
  tool_.send(SIGTERM);
  EXPECT_EQ(tool_.wait().code, 143);
  expect_resumable();
}

TEST_F(Signal, VerbsWithoutStateEndAtOnce) {
  Tool evaluation({"evaluate", "1", "--only", "likelihood", "--draws", "1000000"}, here());
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  ASSERT_FALSE(evaluation.ended());
  evaluation.send(SIGINT);
  const auto start = Tool::Clock::now();
  EXPECT_EQ(evaluation.wait().code, -SIGINT);
  EXPECT_LT(std::chrono::duration<double>(Tool::Clock::now() - start).count(), 1);
}

class Terminal : public Cli {
 protected:
  /// A training in a terminal that goes away.
  Outcome leave(const std::string& steps, bool controlling) const {
    ToolOptions options = here();
    options.terminal = true;
    options.controlling = controlling;
    Tool tool(training({"--steps", steps, "--validate-every", "50", "--schedule", "constant",
                        "--out", "run"}),
              options);
    EXPECT_TRUE(wait_until([&] {
      tool.look_at_terminal();
      return checkpoints("run").size() > 1;
    }));
    tool.hang_up();
    return tool.wait();
  }
  int64_t newest() const { return std::stoll(checkpoints("run").back().substr(5)); }
};

TEST_F(Terminal, ThatIsClosedEndsATrainingWithACheckpoint) {
  EXPECT_EQ(leave("100000000", true).code, 129);
  const int64_t step = newest();
  EXPECT_GT(step, 0);
  const Outcome more = genai({"train", "--resume", "run", "--steps", std::to_string(step + 2)});
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(newest(), step + 2);
}

TEST_F(Terminal, ThatNobodyReadsLosesNothing) {  // what is written there fails with EIO
  const Outcome outcome = leave("2000", false);
  EXPECT_GE(outcome.code, 0);  // 1 where its last line did not arrive, but no crash
  EXPECT_EQ(newest(), 2000);
  EXPECT_EQ(genai({"sample", "run", "-n", "1"}).code, 0);
}

}  // namespace
}  // namespace genai
