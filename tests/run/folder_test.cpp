#include "genai/run/folder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/temp_folder.h"
#include "genai/run/checkpoint.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// A folder that looks like a run.
fs::path make_run(const fs::path& path, const std::string& config = "") {
  fs::create_directories(path / "checkpoints");
  if (!config.empty()) put(path / "config.json", config);
  return path;
}

/// A run with one whole checkpoint.
fs::path make_whole_run(const fs::path& path, const std::string& preset) {
  fs::create_directories(path);
  Manifest manifest;
  manifest.preset = preset;
  manifest.config = {
      {"model", {{"family", "vae"}}}, {"data", Json::object()}, {"training", Json::object()}};
  save_checkpoint(path, manifest, {{"w", at::zeros({1})}}, {});
  return path;
}

/// Flips a bit in the middle of a file.
void damage(const fs::path& file) {
  std::string bytes = slurp(file);
  bytes[bytes.size() / 2] ^= 1;
  put(file, bytes);
}

std::vector<std::string> names_of(const fs::path& runs) {
  std::vector<std::string> names;
  for (const fs::path& run : list_runs(runs)) names.push_back(run.filename().string());
  return names;
}

TEST(CreateRun, CountsOn) {
  TempFolder folder;
  const fs::path runs = folder / "some/where";  // made when missing
  EXPECT_EQ(create_run(runs, "vae-mnist"), runs / "001-vae-mnist");
  EXPECT_EQ(create_run(runs, "vae-mnist"), runs / "002-vae-mnist");
  EXPECT_TRUE(fs::is_directory(runs / "002-vae-mnist"));
  EXPECT_TRUE(fs::is_empty(runs / "002-vae-mnist"));
  // One counter for all names, beyond what was removed in between.
  fs::remove(runs / "001-vae-mnist");
  EXPECT_EQ(create_run(runs, "gan").filename(), "003-gan");
  fs::create_directory(runs / "999-big");
  EXPECT_EQ(create_run(runs, "x").filename(), "1000-x");
  EXPECT_EQ(create_run(runs, "x").filename(), "1001-x");
  // Nor do numbers beyond any of ours, which could not be counted on from.
  for (const char* name : {"9223372036854775807-x", "99999999999999999999-x", "1000000000-x"})
    fs::create_directory(runs / name);
  // Others' files and folders do not count.
  fs::create_directory(runs / "2000");
  fs::create_directory(runs / "old-3000");
  put(runs / "4000-file", "");
  EXPECT_EQ(create_run(runs, "x").filename(), "1002-x");
}

TEST(CreateRun, MakesNamesSafe) {
  TempFolder runs;
  EXPECT_EQ(create_run(runs.path(), "../My Data\n").filename(), "001-my-data");
  EXPECT_EQ(create_run(runs.path(), "").filename(), "002-unnamed");
  EXPECT_EQ(create_run(runs.path(), "a/b\\c:d").filename(), "003-a-b-c-d");
  EXPECT_LT(create_run(runs.path(), std::string(1000, 'x')).filename().string().size(), 100u);
  EXPECT_EQ(names_of(runs.path()).size(), 4u);
}

TEST(CreateRun, GivesEachOfManyAtOnceItsOwnNumber) {
  TempFolder runs;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5; ++j) EXPECT_NO_THROW(create_run(runs.path(), "run"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto names = names_of(runs.path());
  ASSERT_EQ(names.size(), 30u);
  EXPECT_EQ(names.front(), "001-run");
  EXPECT_EQ(names.back(), "030-run");
}

TEST(CreateRun, FailsWhereNoFolderCanBe) {
  TempFolder folder;
  put(folder / "file", "");
  expect_error(ErrorKind::failure, "file", [&] { create_run(folder / "file", "x"); });
  expect_error(ErrorKind::failure, "runs", [&] { create_run(folder / "file/runs", "x"); });
}

TEST(ListRuns, SortsByNumber) {
  TempFolder runs;
  for (const char* name : {"1000-a", "009-z", "100-b", "10-c", "8-x", "0011-y"}) {
    fs::create_directory(runs / name);
  }
  put(runs / "012-file", "");
  fs::create_directory(runs / "13");
  fs::create_directory(runs / "x-14");
  fs::create_directory(runs / "-15-x");
  fs::create_directory(runs / "99999999999999999999-x");
  EXPECT_EQ(names_of(runs.path()),
            (std::vector<std::string>{"8-x", "009-z", "10-c", "0011-y", "100-b", "1000-a"}));
  EXPECT_TRUE(list_runs(runs / "none").empty());
}

class FindRun : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"008-vae-mnist", "009-gan", "010-vae", "100-vae"}) {
      make_whole_run(runs_ / name, "vae");
    }
  }
  RunReference find(const std::string& reference) { return find_run(reference, runs_.path()); }

  TempFolder runs_;
};

TEST_F(FindRun, ByNumberNamePathOrAge) {
  EXPECT_EQ(find("8").folder, runs_ / "008-vae-mnist");
  EXPECT_EQ(find("10").folder, runs_ / "010-vae");
  EXPECT_EQ(find("100").folder, runs_ / "100-vae");
  EXPECT_EQ(find("009-gan").folder, runs_ / "009-gan");
  EXPECT_EQ(find("last").folder, runs_ / "100-vae");
  TempFolder elsewhere;
  make_run(elsewhere / "mine");
  EXPECT_EQ(find((elsewhere / "mine").string()).folder, elsewhere / "mine");
  EXPECT_EQ(find("8").checkpoint, "");
}

TEST_F(FindRun, WithACheckpoint) {
  EXPECT_EQ(find("8@2000").folder, runs_ / "008-vae-mnist");
  EXPECT_EQ(find("8@2000").checkpoint, "2000");
  EXPECT_EQ(find("last@best").folder, runs_ / "100-vae");
  EXPECT_EQ(find("last@best").checkpoint, "best");
  EXPECT_EQ(find("009-gan@0").checkpoint, "0");
  for (const char* reference : {"8@", "8@last", "8@-5", "8@20x", "8@2000@", "8@best "}) {
    expect_error(ErrorKind::usage, "@best or @STEP", [&] { find(reference); });
  }
}

TEST_F(FindRun, InAFolderWithAnAtSign) {
  TempFolder elsewhere;
  const fs::path run = make_run(elsewhere / "me@home" / "mine");
  EXPECT_EQ(find(run.string()).folder, run);
  EXPECT_EQ(find(run.string()).checkpoint, "");
  EXPECT_EQ(find(run.string() + "@7").folder, run);
  EXPECT_EQ(find(run.string() + "@7").checkpoint, "7");
}

TEST_F(FindRun, NamesTheNearestAndTheNewest) {
  expect_error(ErrorKind::usage, "did you mean '008-vae-mnist'?", [&] { find("008-vae-mnits"); });
  expect_error(ErrorKind::usage, "newest: 100-vae, 010-vae, 009-gan", [&] { find("7"); });
  expect_error(ErrorKind::usage, "no run ''", [&] { find(""); });
  expect_error(ErrorKind::usage, "no run ''", [&] { find("@best"); });
  TempFolder empty;
  for (const char* reference : {"last", "1", "x"}) {
    expect_error(ErrorKind::usage, "genai train", [&] { find_run(reference, empty.path()); });
  }
}

TEST_F(FindRun, RefusesFoldersThatAreNoRuns) {
  fs::create_directory(runs_ / "101-empty");
  expect_error(ErrorKind::usage, "is not a run", [&] { find("101"); });
  expect_error(ErrorKind::usage, "is not a run", [&] { find(runs_.path().string()); });
}

TEST(NewestRunOf, GoesByTheCheckpointsPresetAndPassesOverDamage) {
  TempFolder runs;
  const fs::path vae = make_whole_run(runs / "001-vae-mnist", "vae");
  make_whole_run(runs / "002-vae", "vae-conv");
  make_whole_run(runs / "003-vae-mnist", "");
  make_run(runs / "004-vae-mnist");
  damage(make_whole_run(runs / "005-vae", "vae") / "checkpoints/step-0000000/manifest.json");
  const RunReference found = newest_run_of("vae", runs.path());
  EXPECT_EQ(found.folder, vae);
  ASSERT_EQ(found.passed_over.size(), 2u);
  EXPECT_NE(found.passed_over[0].find("005-vae"), std::string::npos);
  EXPECT_EQ(newest_run_of("vae-conv", runs.path()).folder, runs / "002-vae");
  expect_error(ErrorKind::usage, "genai train --model gan",
               [&] { newest_run_of("gan", runs.path()); });
}

TEST(FindLastRun, PassesOverDamagedOnesAndSaysSo) {
  TempFolder runs;
  make_whole_run(runs / "001-a", "vae");
  damage(make_whole_run(runs / "002-b", "vae") / "checkpoints/step-0000000/manifest.json");
  const RunReference found = find_run("last", runs.path());
  EXPECT_EQ(found.folder, runs / "001-a");
  ASSERT_EQ(found.passed_over.size(), 1u);
  EXPECT_NE(found.passed_over[0].find("manifest.json"), std::string::npos);
}

TEST(FindBegunRun, OfARunStoppedBeforeItsFirstCheckpointIsForResuming) {
  TempFolder runs;
  make_whole_run(runs / "001-a", "vae");
  fs::create_directory(runs / "002-b");
  write_run_config(runs / "002-b", {{"model", {{"family", "vae"}}}}, "vae");
  EXPECT_EQ(find_run("last", runs.path()).folder, runs / "001-a");
  EXPECT_EQ(find_run("last", runs.path(), true).folder, runs / "002-b");
  expect_error(ErrorKind::usage, "genai train --resume", [&] { find_run("2", runs.path()); });
}

TEST(CreateRun, GivesANumberToAFolderThatTheUserNames) {
  TempFolder runs, elsewhere;
  make_whole_run(create_run(runs.path(), "vae"), "vae");
  const fs::path mine = create_run(runs.path(), "", runs / "mine");
  EXPECT_EQ(mine, runs / "mine");
  make_whole_run(mine, "vae");
  EXPECT_EQ(find_run("2", runs.path()).folder, mine);
  EXPECT_EQ(find_run("last", runs.path()).folder, mine);
  EXPECT_EQ(names_of(runs.path()), (std::vector<std::string>{"001-vae", "mine"}));
  EXPECT_EQ(create_run(runs.path(), "x").filename(), "003-x");
  const fs::path other = create_run(runs.path(), "", elsewhere / "a/b");
  EXPECT_TRUE(fs::is_empty(other));  // no number: it is not among the runs
  make_whole_run(other, "vae");
  EXPECT_EQ(names_of(elsewhere / "a"), std::vector<std::string>{"b"});
}

TEST(RunConfig, IsReadBackAndItsDamageIsSeen) {
  TempFolder run;
  const Json config = {{"model", {{"family", "vae"}, {"latent", 20}}}};
  write_run_config(run.path(), config, "vae");
  EXPECT_EQ(read_run_config(run.path()), (Json{{"extends", "vae"}, {"model", config["model"]}}));
  const std::string text = slurp(run / "config.json");
  int seen = 0, flips = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string flipped = text;
    flipped[i] ^= 1;
    put(run / "config.json", flipped);
    try {
      const Json read = read_run_config(run.path());  // a flip in the checksum's own name
      seen += read["extends"] == "vae" && read["model"] == config["model"] && read.size() == 3;
    } catch (const Error&) {
      ++seen;
    }
    ++flips;
  }
  EXPECT_EQ(seen, flips);
  put(run / "config.json", R"({"extends": "gan", "model": {}})");  // as version 0.1 wrote it
  EXPECT_EQ(read_run_config(run.path())["extends"], "gan");
}

TEST(RunsFolder, IsGivenOrFromTheEnvironmentOrTheDefault) {
  const char* before = std::getenv("GENAI_RUNS");
  const std::string kept = before ? before : "";
  ::unsetenv("GENAI_RUNS");
  EXPECT_EQ(runs_folder(), "runs");
  ::setenv("GENAI_RUNS", "", 1);
  EXPECT_EQ(runs_folder(), "runs");
  ::setenv("GENAI_RUNS", "/elsewhere", 1);
  EXPECT_EQ(runs_folder(), "/elsewhere");
  EXPECT_EQ(runs_folder("given"), "given");
  if (before) {
    ::setenv("GENAI_RUNS", kept.c_str(), 1);
  } else {
    ::unsetenv("GENAI_RUNS");
  }
}

}  // namespace
}  // namespace genai
