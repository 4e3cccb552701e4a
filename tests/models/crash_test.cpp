// A training of any family that is killed at any moment goes on as if nothing had been.
#include <random>

#include "cli/tool.h"
#include "genai/models/registry.h"

namespace genai {
namespace {

std::vector<std::string> names_of_families() {
  std::vector<std::string> names;
  for (const Family& family : families()) names.push_back(family.name);
  return names;
}

class FamilyCrash : public Cli, public testing::WithParamInterface<std::string> {
 protected:
  FamilyCrash() {
    const Family& family = find_family(GetParam());
    Json model = family.tiny;
    model["family"] = family.name;
    const bool text = family.reads == ItemKind::sequence;
    const Json document = {{"model", model},
                           {"data", {{"source", text ? "sums" : "pics"}}},
                           {"training",
                            {{"batch", 20},
                             {"threads", 1},
                             {"device", "cpu"},
                             {"ema_half_life", 100},
                             {"schedule", "constant"},
                             {"validate_every", 20},
                             {"log_every", 10},
                             {"sample_every", 1000000}}}};
    put(folder / "tiny.json", document.dump());
  }

  Arguments run_of(const std::string& out, const std::string& steps, const std::string& every) {
    return {"train",   "--config", "tiny.json",          "--out", out,
            "--steps", steps,      "--checkpoint-every", every};
  }

  bool saving() const {
    for (const std::string& name : names_in(folder / "broken/checkpoints")) {
      if (name.starts_with(".tmp-step-")) return true;
    }
    return false;
  }

  /// Starts or continues the broken run and kills it, within a save or at a random moment.
  void live_and_die(bool within_save) {
    const std::vector<std::string> before = checkpoints("broken");
    Tool tool(before.empty() ? run_of("broken", "100000000", "4")
                             : Arguments{"train", "--resume", "broken"},
              here());
    ASSERT_TRUE(wait_until([&] { return checkpoints("broken") != before; })) << "no new checkpoint";
    const double seconds = std::uniform_real_distribution<double>(0, 0.15)(random_);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    const auto deadline = Tool::Clock::now() + std::chrono::seconds(10);
    while (within_save && !saving() && Tool::Clock::now() < deadline) {
    }
    tool.send(SIGKILL);
    const Outcome outcome = tool.wait();
    EXPECT_EQ(outcome.code, -SIGKILL) << outcome.err;
    EXPECT_EQ(outcome.err.find("warning"), std::string::npos) << outcome.err;
  }

 private:
  std::mt19937 random_{19};
};

TEST_P(FamilyCrash, LosesNothing) {
  int torn = 0;
  for (const bool within_save : {false, true, true, false}) {
    live_and_die(within_save);
    torn += !leftovers(folder / "broken/checkpoints").empty();
  }
  const int64_t reached = std::stoll(checkpoints("broken").back().substr(5));
  EXPECT_GT(reached, 8);
  EXPECT_GE(torn, 1) << "no kill within a save";
  const std::string steps = std::to_string(reached + 3);
  const Outcome last = genai({"train", "--resume", "broken", "--steps", steps});
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_TRUE(leftovers(folder.path()).empty());
  const Outcome whole = genai(run_of("whole", steps, "1000000"));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(weights("broken"), weights("whole"));
  const auto last_file = [&](const std::string& run, const char* file) {
    return sha256_file(folder / run / "checkpoints" / checkpoints(run).back() / file);
  };
  EXPECT_EQ(last_file("broken", "training.safetensors"),
            last_file("whole", "training.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(Slow, FamilyCrash, testing::ValuesIn(names_of_families()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace genai
