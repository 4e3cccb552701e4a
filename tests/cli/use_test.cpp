// What real use found: files in odd places, options in odd orders, runs in odd states.
#include "cli/tool.h"
#include "genai/base/animation.h"

namespace genai {
namespace {

class Use : public Cli {};

TEST_F(Use, OptionsMayStandAnywhereAndTheLastOneCounts) {
  const std::string run = train({"--steps", "3"});
  ASSERT_EQ(genai(training({"--steps", "2"})).code, 0);
  const auto step_of = [&](const Arguments& arguments) {
    const Json json = json_of(arguments);
    return std::pair(json["step"].get<int>(), json["options"]["temperature"].get<double>());
  };
  EXPECT_EQ(step_of({"sample", "--temperature", "0.5", "-n", "2", "1"}), std::pair(3, 0.5));
  EXPECT_EQ(step_of({"sample", "1", "--temperature", "0.5", "--temperature", "0.7"}),
            std::pair(3, 0.7));
  EXPECT_EQ(step_of({"sample", "--temperature", "0.5"}), std::pair(2, 0.5));
}

TEST_F(Use, OptionsOfOtherToolsGetASuggestion) {
  expect_error(2, training({"--lr", "0.1"}), {"'--lr'", "--learning-rate"});
  expect_error(2, training({"--batch-size", "4"}), {"--batch'"});
  expect_error(2, training({"--batch_size", "4"}), {"--batch'"});
  expect_error(2, {"sample", "--num-samples", "4"}, {"'-n'"});
  expect_error(2, {"trian"}, {"did you mean 'train'"});
  expect_error(2, {"sample", "last", "--frobnicate", "--json"}, {"frobnicate"});
}

TEST_F(Use, PagesAndWrongNamesNeedNoLibTorch) {
  ToolOptions bare = here();
  bare.environment["LD_DEBUG"] = "libs";  // the loader tells of each library on stderr
  for (const Arguments& arguments : {Arguments{"--version"},
                                     {"help"},
                                     {"train", "--help"},
                                     {"help", "sample"},
                                     {"trian"},
                                     {"train", "--model", "vae", "--lr", "1"}}) {
    const Outcome outcome = genai(arguments, bare);
    EXPECT_EQ(outcome.err.find("libtorch"), std::string::npos) << arguments[0];
  }
  EXPECT_NE(genai({"runs"}, bare).err.find("libtorch"), std::string::npos);
}

TEST_F(Use, AConfigurationIsReadFromAPipeOnce) {
  ToolOptions options = here();
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  Tool reader({"train", "--config", "pipe", "--dry-run"}, options);
  put(folder / "pipe", R"({"model": {"family": "vae"}, "data": {"source": "pics"},
                              "training": {"batch": 20}})");
  const Outcome outcome = reader.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(Use, ANameThatPromisesAnotherKindOfFileIsRefused) {
  train({"--steps", "2"});
  for (const char* name : {"x.jpg", "x.GIF", "x.txt", "x.pdf"}) {
    expect_error(2, {"sample", "last", "--out", name}, {".png", name});
    EXPECT_FALSE(fs::exists(folder / name));
  }
  fs::create_symlink("photo.jpg", folder / "link.png");
  expect_error(2, {"sample", "last", "--out", "link.png"}, {"link.png", "photo.jpg"});
}

TEST_F(Use, LinksAreFollowedWhereTheUserNamedThemAndNowhereElse) {
  const std::string run = train({"--steps", "2"});
  put(folder / "mine.png", "old");
  fs::create_symlink("mine.png", folder / "link.png");
  EXPECT_EQ(genai({"sample", "last", "-n", "1", "--out", "link.png"}).code, 0);
  EXPECT_TRUE(fs::is_symlink(folder / "link.png"));
  EXPECT_EQ(read_png(folder / "mine.png").image.channels, 1);

  put(folder / "precious", "kept");
  fs::remove(folder / run / "metrics.jsonl");
  fs::create_symlink(folder / "precious", folder / run / "metrics.jsonl");
  expect_error(1, {"train", "--resume", run, "--steps", "4"}, {"metrics.jsonl", "link"});
  const Outcome measured = genai({"evaluate", run, "--only", "likelihood"});
  EXPECT_NE(measured.err.find("not kept"), std::string::npos) << measured.err;
  EXPECT_NE(measured.out.find("nelbo"), std::string::npos);
  expect_error(1, {"sample", run}, {"link"});
  EXPECT_EQ(slurp(folder / "precious"), "kept");
}

TEST_F(Use, ARunThatIsMovedWhileItTrainsIsNotMadeAnew) {
  Tool training_tool(training({"--steps", "100000000", "--log-every", "1"}), here());
  const fs::path run = folder / "runs/001-vae-pics";
  ASSERT_TRUE(wait_until([&] { return fs::exists(run / "checkpoints/step-0000000"); }));
  fs::rename(run, folder / "runs/moved");
  const Outcome outcome = training_tool.wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("moved or deleted"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(run));
}

TEST_F(Use, ARunStoppedBeforeItsFirstCheckpointStarts) {
  const std::string run = train({"--steps", "3"});
  const std::string whole = weights(run);
  for (const char* name : {"checkpoints", "samples", "metrics.jsonl", "kept.safetensors"}) {
    fs::remove_all(folder / run / name);
  }
  expect_error(2, {"sample", run}, {"no checkpoint yet", "--resume"});
  const Outcome started = genai({"train", "--resume", run});
  EXPECT_EQ(started.code, 0) << started.err;
  EXPECT_EQ(weights(run), whole);
}

TEST_F(Use, KeepsAsManyCheckpointsAsAskedFor) {
  const std::string run =
      train({"--steps", "10", "--validate-every", "2", "--checkpoint-every", "2", "--keep", "all"});
  EXPECT_EQ(checkpoints(run).size(), 6u);  // step 0 too
  EXPECT_EQ(genai({"train", "--resume", run, "--steps", "12", "--keep", "1"}).code, 0);
  EXPECT_LE(checkpoints(run).size(), 2u);  // and the best
  expect_error(2, training({"--keep", "none"}), {"--keep", "all"});
}

TEST_F(Use, ASampleDuringTheTrainingIsOfOneCheckpoint) {
  Tool training_tool(training({"--steps", "100000000", "--validate-every", "50000000", "--schedule",
                               "constant", "--checkpoint-every", "1", "--keep", "all"}),
                     here());
  const std::string run = "runs/001-vae-pics";
  ASSERT_TRUE(wait_until([&] { return checkpoints(run).size() > 2; }));
  const std::vector<const char*> pictures{"a.png", "b.png", "c.png"};
  for (const char* picture : pictures) {
    const Outcome sampled = genai({"sample", run, "-n", "4", "--out", picture});
    EXPECT_EQ(sampled.code, 0) << sampled.err;
  }
  training_tool.send(SIGTERM);
  EXPECT_EQ(training_tool.wait().code, 143);
  const auto step = [&](const char* picture) {
    const Outcome told = genai({"inspect", picture, "--json"});
    return parse_json(told.out, picture, ErrorKind::data)
        .at("text")
        .at("genai")
        .at("step")
        .get<int64_t>();
  };
  EXPECT_LT(step("a.png"), step("c.png"));
  // Its pixels are those of the weights whose hash it names.
  for (const char* picture : pictures) EXPECT_EQ(genai({"check", picture}).code, 0) << picture;
}

TEST_F(Use, ANamedFolderAmongTheRunsIsOneOfThem) {
  train({"--steps", "2"});
  train({"--steps", "3", "--out", "runs/mine"});
  EXPECT_EQ(json_of({"sample", "last", "-n", "1"})["step"], 3);
  EXPECT_EQ(json_of({"runs"}).size(), 2u);
  const Outcome checked = genai({"check", "mine"});
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_NE(checked.out.find("skipped"), std::string::npos);  // pictures of the training
}

TEST_F(Use, ADamagedRunIsNamedAndPassedOver) {
  train({"--steps", "2"});
  const std::string run = train({"--steps", "3"});
  for (const std::string& step : checkpoints(run)) {
    flip_bit(folder / run / "checkpoints" / step / "manifest.json", 300, 2);
  }
  const Outcome sampled = genai({"sample", "last", "-n", "1"});
  EXPECT_EQ(sampled.code, 0) << sampled.err;
  EXPECT_NE(sampled.err.find("002-vae-pics"), std::string::npos) << sampled.err;
  EXPECT_EQ(genai({"runs"}).code, 0);
}

TEST_F(Use, EmptyAndSaturatedValuesAreRefused) {
  train({"--steps", "2"});
  expect_error(2, {"sample", "last", "--out", ""}, {"--out", "expected a value"});
  expect_error(2, {"sample", "last", "--class", ""}, {"--class", "expected a value"});
  expect_error(2, {"train", "--resume=", "--steps", "4"}, {"--resume", "expected a value"});
  expect_error(2, {"train", "--resume", "", "--steps", "4"}, {"--resume", "expected a value"});
  expect_error(2, {"sample", ""}, {"genai sample", "expected a value"});
  expect_error(2, {"sample", "last", "--seed", "99999999999999999999"}, {"99999999999999999999"});
}

TEST_F(Use, ABarOnWhatIsNotMeasuredIsRefusedAtOnce) {
  train({"--steps", "2"});
  expect_error(2, {"evaluate", "last", "--require", "fid<=3"}, {"will not be measured", "nll"});
  EXPECT_EQ(
      genai({"evaluate", "last", "--only", "likelihood", "--no-keep", "--require", "nll<=100000"})
          .code,
      0);
  EXPECT_FALSE(fs::exists(folder / "runs/001-vae-pics/evaluations.jsonl"));
}

TEST_F(Use, ASheetBeyondAGigabyteIsRefusedBeforeSampling) {
  train({"--steps", "2"});
  const Outcome outcome = expect_error(2, {"sample", "last", "-n", "1000000", "--scale", "64"},
                                       {"1 GiB", "--separate"});
  EXPECT_LT(outcome.seconds, 5);
}

TEST_F(Use, PicturesOfTrainingAndMeasurementSayHowTheyWereMade) {
  const std::string run = train({"--steps", "2"});
  ASSERT_EQ(genai({"score", run, "pics"}).code, 0);
  for (const char* file : {"samples/step-0000002.png", "evaluations/0001-worst.png"}) {
    const Json told = json_of({"inspect", run + "/" + file})["text"]["genai"];
    EXPECT_EQ(told["family"], "vae") << file;
    EXPECT_EQ(told["step"], 2) << file;
    EXPECT_TRUE(told["request"].is_object()) << file;
  }
}

TEST_F(Use, NamesWithControlCharactersAreShownInert) {
  fs::rename(folder / "pics/bars", folder / "pics/a\x1b[31mb");
  const Outcome shown = genai({"data", "show", "pics"});
  EXPECT_EQ((shown.out + shown.err).find("a\x1b[31m"), std::string::npos);
  EXPECT_NE((shown.out + shown.err).find("a\\x1B[31mb"), std::string::npos) << shown.out;
}

}  // namespace
}  // namespace genai
