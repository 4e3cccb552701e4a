// A disk that is full, by a limit on file sizes and, where root may mount, by a small disk.
#include <sys/mount.h>

#include "cli/tool.h"

namespace genai {
namespace {

class Disk : public Cli {
 protected:
  static Arguments part(const std::string& steps) {
    return training({"--steps", steps, "--schedule", "constant", "--checkpoint-every", "5",
                     "--log-every", "1"});
  }
  void expect_like_unbroken(const std::string& run, const std::string& steps) const {
    const Outcome more = genai({"train", "--resume", run, "--steps", steps});
    EXPECT_EQ(more.code, 0) << more.err;
    EXPECT_TRUE(leftovers(folder / run).empty());
    Arguments whole = part(steps);
    whole.insert(whole.end(), {"--out", "unbroken"});
    ASSERT_EQ(genai(whole).code, 0);
    EXPECT_EQ(weights(run), weights("unbroken"));
  }
};

TEST_F(Disk, ACheckpointThatCannotBeSavedLeavesTheOneBefore) {
  ASSERT_EQ(genai(part("10")).code, 0);
  const std::string run = "runs/001-vae-pics";
  const std::string before = weights(run);
  ToolOptions limited = here();
  limited.largest_file = 30000;  // less than training.safetensors
  expect_error(1, {"train", "--resume", "1", "--steps", "25"},
               {"step 15", "training.safetensors", "ulimit -f", "earlier checkpoints are intact"},
               limited);
  EXPECT_EQ(checkpoints(run).back(), "step-0000010");
  EXPECT_TRUE(leftovers(folder.path()).empty());
  EXPECT_EQ(weights(run), before);
  expect_like_unbroken(run, "25");
}

TEST_F(Disk, MetricsThatCannotBeWrittenStopTheRun) {
  ToolOptions limited = here();
  limited.largest_file = 45000;  // more than a checkpoint's largest file
  expect_error(1, part("100000"), {"cannot write", "runs/001-vae-pics/"}, limited);
  const std::string run = "runs/001-vae-pics";
  EXPECT_TRUE(leftovers(folder.path()).empty());
  const int64_t step = std::stoll(checkpoints(run).back().substr(5));
  EXPECT_GT(step, 20);
  expect_like_unbroken(run, std::to_string(step + 10));
}

TEST_F(Disk, NothingFitsAtAll) {
  ToolOptions limited = here();
  limited.largest_file = 100;
  expect_error(1, part("10"), {"001-vae-pics", "ulimit -f"}, limited);
  EXPECT_TRUE(leftovers(folder.path()).empty());
}

TEST_F(Disk, APictureThatDoesNotFitIsNotThere) {
  ASSERT_EQ(genai(part("1")).code, 0);
  ToolOptions limited = here();
  limited.largest_file = 500;
  expect_error(1, {"sample", "1"}, {"seed-0-n16.png", "ulimit -f"}, limited);
  EXPECT_TRUE(names_in(folder / "runs/001-vae-pics/out").empty());
}

TEST_F(Disk, AFullDiskIsLikeAnyOtherFailure) {
  const fs::path disk = folder / "disk";
  fs::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=400k") != 0) {
    GTEST_SKIP() << "no right to mount a small disk here";
  }
  struct Unmount {
    fs::path path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{disk};
  Arguments arguments = part("100000");
  arguments.insert(arguments.end(), {"--out", "disk/run"});
  expect_error(1, arguments, {"disk/run"});
  EXPECT_TRUE(leftovers(disk).empty());
  EXPECT_EQ(weights("disk/run").size(), 64u);
}

}  // namespace
}  // namespace genai
