#include "genai/run/folder.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/temp_folder.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// A folder that looks like a run.
fs::path make_run(const fs::path& path, const std::string& config = "") {
  fs::create_directories(path / "checkpoints");
  if (!config.empty()) put(path / "config.json", config);
  return path;
}

std::vector<std::string> names_of(const fs::path& runs) {
  std::vector<std::string> names;
  for (const fs::path& run : list_runs(runs)) names.push_back(run.filename().string());
  return names;
}

TEST(CreateRun, CountsOn) {
  TempFolder folder;
  const fs::path runs = folder / "some/where";   // made when missing
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
  EXPECT_EQ(names_of(runs.path()), (std::vector<std::string>{"8-x", "009-z", "10-c", "0011-y",
                                                             "100-b", "1000-a"}));
  EXPECT_TRUE(list_runs(runs / "none").empty());
}

class FindRun : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"008-vae-mnist", "009-gan", "010-vae", "100-vae"}) {
      make_run(runs_ / name);
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

TEST(NewestRunOf, GoesByThePresetOfTheConfig) {
  TempFolder runs;
  const auto vae = make_run(runs / "001-vae-mnist", R"({"extends": "vae", "model": {}})");
  make_run(runs / "002-vae", R"({"extends": "vae-conv"})");
  make_run(runs / "003-vae-mnist", R"({"model": {}})");
  make_run(runs / "004-vae-mnist");
  make_run(runs / "005-x", R"({"extends": 5})");
  fs::create_directory(runs / "006-vae");   // claimed a moment ago
  put(runs / "006-vae/config.json", R"({"extends": "vae"})");
  EXPECT_EQ(newest_run_of("vae", runs.path()).folder, vae);
  EXPECT_EQ(newest_run_of("vae-conv", runs.path()).folder, runs / "002-vae");
  EXPECT_EQ(run_preset(vae), "vae");
  EXPECT_EQ(run_preset(runs / "003-vae-mnist"), "");
  EXPECT_EQ(run_preset(runs / "004-vae-mnist"), "");
  EXPECT_EQ(run_preset(runs / "005-x"), "");
  expect_error(ErrorKind::usage, "genai train --model gan",
               [&] { newest_run_of("gan", runs.path()); });
  put(vae / "config.json", "{");
  expect_error(ErrorKind::data, "config.json", [&] { run_preset(vae); });
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
