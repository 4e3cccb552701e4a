// A process that is killed at any moment loses only what it did since the last checkpoint.
#include <random>

#include "cli/tool.h"

namespace genai {
namespace {

class SlowCrash : public Cli {
 protected:
  static constexpr int kKills = 20;

  Arguments run_of(const std::string& out, const std::string& steps,
                   const std::string& checkpoint_every) const {
    Arguments all = training({"--out", out, "--steps", steps, "--checkpoint-every",
                              checkpoint_every, "--schedule", "constant", "--validate-every", "10",
                              "--log-every", "10", "--sample-every", "50"});
    all.insert(all.end(), variant_.begin(), variant_.end());
    return all;
  }

  bool saving() const {
    for (const std::string& name : names_in(folder / "broken/checkpoints")) {
      if (name.starts_with(".tmp-step-")) return true;
    }
    return false;
  }

  /// Starts or continues the broken run and kills it: every second time within a save.
  void live_and_die(int life) {
    const bool started = !checkpoints("broken").empty();
    if (!started) fs::remove_all(folder / "broken");
    Tool tool(
        started ? Arguments{"train", "--resume", "broken"} : run_of("broken", "100000000", "3"),
        here());
    // Some die before their first checkpoint, but not all of them on a slow machine.
    if (!started && life > 0) wait_until([&] { return !checkpoints("broken").empty(); });
    const double seconds = std::uniform_real_distribution<double>(0.3, 1.2)(random_);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    if (life % 2 == 1) {
      const auto deadline = Tool::Clock::now() + std::chrono::seconds(10);
      while (!saving() && Tool::Clock::now() < deadline) {
      }
    }
    tool.send(SIGKILL);
    const Outcome outcome = tool.wait();
    EXPECT_EQ(outcome.code, -SIGKILL) << outcome.err;
    EXPECT_EQ(outcome.err.find("warning"), std::string::npos) << outcome.err;
  }

  /// {step, values} of every validation.
  std::vector<std::string> validations(const std::string& run) const {
    std::vector<std::string> found;
    std::istringstream lines(slurp(folder / run / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const Json entry = parse_json(line, run, ErrorKind::data);
      if (entry.contains("test")) found.push_back(entry["step"].dump() + entry["test"].dump());
    }
    return found;
  }

  void expect_nothing_lost(const Arguments& variant) {
    variant_ = variant;
    int torn = 0;
    for (int life = 0; life < kKills; ++life) {
      live_and_die(life);
      torn += !leftovers(folder / "broken/checkpoints").empty();
    }
    const int64_t reached = std::stoll(checkpoints("broken").back().substr(5));
    std::cout << torn << " of " << kKills << " kills within a save; " << reached << " steps\n";
    EXPECT_GE(torn, kKills / 4);
    EXPECT_GT(reached, 30);
    const std::string steps = std::to_string(reached + 7);
    const Outcome last = genai({"train", "--resume", "broken", "--steps", steps});
    EXPECT_EQ(last.code, 0) << last.err;
    EXPECT_TRUE(leftovers(folder / "broken/checkpoints").empty());

    const Outcome whole = genai(run_of("whole", steps, "1000000"));
    ASSERT_EQ(whole.code, 0) << whole.err;
    EXPECT_EQ(weights("broken"), weights("whole"));
    EXPECT_EQ(validations("broken"), validations("whole"));
  }

 private:
  std::mt19937 random_{20240607};
  Arguments variant_;
};

TEST_F(SlowCrash, Float32) {
  expect_nothing_lost({"--precision", "float32"});
}

TEST_F(SlowCrash, Bfloat16) {
  expect_nothing_lost({"--precision", "bfloat16"});
}

TEST_F(SlowCrash, AccumulatedBatchesAndAveragedWeights) {
  expect_nothing_lost({"--accumulate", "2", "--ema-half-life", "500"});
}

}  // namespace
}  // namespace genai
