#include "cli/tool.h"

namespace genai {
namespace {

const std::string kFirst = "runs/001-vae-pics", kSecond = "runs/002-vae-pics";

class Resume : public Cli {
 protected:
  /// The preset's cosine schedule would depend on the number of steps.
  std::string train_steps(const std::string& steps) const {
    return train({"--steps", steps, "--schedule", "constant", "--learning-rate", "0.001",
                  "--checkpoint-every", "5"});
  }
};

TEST_F(Resume, ContinuesBitForBit) {
  train_steps("20");
  const std::string whole = weights(kFirst);
  train_steps("10");
  const Outcome more = genai({"train", "--resume", "2", "--steps", "15"});
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(more.out, "runs/002-vae-pics\n");
  EXPECT_NE(more.err.find("continues at step 10"), std::string::npos) << more.err;
  // Without RUN: the newest. Epochs replace steps: 54 images of 107 make 20 steps of 20 images.
  EXPECT_EQ(genai({"train", "--resume", "--epochs", "3.7"}).code, 0);
  EXPECT_EQ(checkpoints(kSecond).back(), "step-0000020");
  EXPECT_EQ(weights(kSecond), whole);
  // From an older checkpoint that the user names.
  EXPECT_EQ(genai({"train", "--resume", "2@15", "--steps", "20"}).code, 0);
  EXPECT_EQ(weights(kSecond), whole);
  EXPECT_TRUE(leftovers(folder.path()).empty());
}

TEST_F(Resume, AFinishedRunSaysSoAndChangedSettingsAreRefused) {
  train_steps("10");
  const fs::path manifest = folder / kFirst / "checkpoints/step-0000010/manifest.json";
  const std::string before = slurp(manifest);
  const Outcome again = genai({"train", "--resume", "last"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, "runs/001-vae-pics\n");
  EXPECT_NE(again.err.find("at its end: 10 of 10 steps"), std::string::npos) << again.err;
  EXPECT_EQ(slurp(manifest), before);

  // Settings that matter.
  expect_error(2,
               {"train", "--resume", "1", "--learning-rate", "0.5", "--seed", "8", "--latent", "9",
                "--steps", "19"},
               {"model.latent: 4 -> 9", "training.learning_rate: 0.001 -> 0.5",
                "training.seed: 1 -> 8", "--init"});
  expect_error(2, {"train", "--resume", "1", "--model", "gan"}, {"--model", "'vae'", "--init"});
  expect_error(2, {"train", "--resume", "1", "--init", "1", "--steps", "19"},
               {"--init", "--resume"});
  EXPECT_EQ(checkpoints(kFirst).back(), "step-0000010");
}

TEST_F(Resume, NeedsARunAndItsImages) {
  expect_error(2, {"train", "--resume"}, {"no run 'last'"});
  train_steps("5");
  expect_error(2, {"train", "--resume", "2"}, {"no run '2'", "001-vae-pics"});
  expect_error(2, {"train", "--resume", "1@3"}, {"no checkpoint '3'", "0, 5"});
  expect_error(2, {"train", "--resume", "pics"}, {"pics is not a run"});
  fs::remove(folder / "pics/bars/000.png");
  expect_error(3, {"train", "--resume", "1", "--steps", "9"}, {"pics", "not the one"});
  fs::remove_all(folder / "pics");
  expect_error(3, {"train", "--resume", "1", "--steps", "9"}, {"pics"});
}

TEST_F(Resume, ADamagedNewestCheckpointIsPassedOver) {
  train_steps("20");
  const std::string whole = weights(kFirst);
  const fs::path saved = folder / "runs/001-vae-pics/checkpoints";
  EXPECT_EQ(checkpoints(kFirst).size(), 2u);

  flip_bit(saved / "step-0000020/model.safetensors", 5000, 3);
  expect_error(3, {"train", "--resume", "1@20"}, {"step-0000020/model.safetensors", "damaged"});
  expect_error(3, {"sample", "1"}, {"step-0000020/model.safetensors", "damaged"});
  EXPECT_EQ(genai({"sample", "1@15"}).code, 0);
  const Outcome resumed = genai({"train", "--resume", "1"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("step-0000020/model.safetensors"), std::string::npos) << resumed.err;
  EXPECT_NE(resumed.err.find("continuing from step-0000015"), std::string::npos) << resumed.err;
  EXPECT_EQ(weights(kFirst), whole);

  // The manifest is where the settings come from.
  put(saved / "step-0000020/manifest.json", "{}");
  EXPECT_EQ(genai({"train", "--resume", "1"}).code, 0);
  EXPECT_EQ(weights(kFirst), whole);

  fs::remove(saved / "step-0000020/training.safetensors");
  fs::resize_file(saved / "step-0000015/training.safetensors", 100);
  expect_error(3, {"train", "--resume", "1"},
               {"step-0000020/training.safetensors", "step-0000015/training.safetensors"});
  fs::remove_all(saved);
  expect_error(3, {"train", "--resume", "1"}, {"no checkpoint left", "step 20"});
}

TEST_F(Resume, ASecondProcessIsTurnedAway) {
  Tool first(training({"--steps", "100000000"}), here());
  const fs::path run = folder / "runs/001-vae-pics";
  ASSERT_TRUE(wait_until([&] { return fs::exists(run / "checkpoints/step-0000000"); }));
  const Outcome second =
      expect_error(1, {"train", "--resume", "1"}, {"in use", concat("process ", first.pid())});
  EXPECT_LT(second.seconds, 5);
  first.send(SIGINT);
  EXPECT_EQ(first.wait().code, 130);
}

}  // namespace
}  // namespace genai
