#include "cli/tool.h"

namespace genai {
namespace {

using Help = Cli;

TEST_F(Help, GeneratedPagesAreCurrent) {
  const fs::path docs = fs::path(GENAI_SOURCE_DIR) / "docs";
  for (const auto& [verb, page] : {std::pair{"help", "cli.md"}, {"config", "config.md"}}) {
    const Outcome made = genai({verb, "--markdown"});
    EXPECT_EQ(made.code, 0) << made.err;
    EXPECT_TRUE(made.out == slurp(docs / page))
        << "docs/" << page << " is not what the tool says; make it again:\n  genai " << verb
        << " --markdown > docs/" << page;
  }
}

TEST_F(Help, OverviewNamesTheVerbsAndEachHasAPage) {
  const Outcome overview = genai({"--help"});
  EXPECT_EQ(overview.code, 0);
  EXPECT_EQ(overview.err, "");
  EXPECT_EQ(genai({}).out, overview.out);
  for (const char* verb :
       {"train", "sample", "export", "import", "show", "evaluate", "score", "report", "check",
        "inspect", "runs", "data", "config", "doctor", "help"}) {
    EXPECT_NE(overview.out.find(concat("\n  ", verb, " ")), std::string::npos) << verb;
  }
  for (const std::string verb : {"train", "sample"}) {
    const Outcome page = genai({verb, "--help"});
    EXPECT_EQ(page.code, 0) << verb;
    EXPECT_EQ(page.err, "") << verb;
    EXPECT_EQ(page.out.rfind("genai " + verb + ": ", 0), 0u) << page.out;
    EXPECT_NE(page.out.find("\n  genai " + verb), std::string::npos) << page.out;
  }
  expect_error(2, {"help", "nothing"}, {"nothing"});
  EXPECT_EQ(json_of({"help", "train"})["page"], genai({"train", "--help"}).out);
  expect_error(2, {"help", "train", "--markdown"}, {"--markdown"});
  ToolOptions full = here();
  full.out_file = "/dev/full";
  EXPECT_EQ(genai({"--version"}, full).code, 1);
  EXPECT_EQ(genai({"--help"}, full).code, 1);
}

TEST_F(Help, OfAModelHasTheSettingsOfItsDataAlone) {
  const auto page_of = [&](const char* model) {
    return genai({"train", "--model", model, "--help"}).out;
  };
  const std::string images = page_of("vae"), texts = page_of("transformer");
  for (const char* option : {"--tokenizer", "--season", "--column", "--windows"}) {
    EXPECT_EQ(images.find(option), std::string::npos) << option;
    EXPECT_NE(texts.find(option), std::string::npos) << option;
    expect_error(2, {"train", "--model", "vae", option, "x"}, {option, "transformer, rnn"});
  }
  for (const char* option : {"--size", "--channels", "--binarize"}) {
    EXPECT_NE(images.find(option), std::string::npos) << option;
    EXPECT_EQ(texts.find(option), std::string::npos) << option;
    expect_error(2, {"train", "--model", "rnn", option, "1"}, {option, "vae, diffusion, gan"});
  }
  put(folder / "wrong.json", R"({"extends": "vae", "data": {"tokenizer": "bpe"}})");
  expect_error(2, {"train", "--config", "wrong.json"},
               {"wrong.json: data.tokenizer: is for text and series"});
  put(folder / "wrong.json", R"({"extends": "transformer", "data": {"binarize": "fixed"}})");
  expect_error(2, {"train", "--config", "wrong.json"},
               {"is for images; the data of these settings are text and series"});
  expect_error(2, {"train", "--data", "t.txt", "--tokenizer", "bpe"}, {"give --model"});
  put(folder / "usual.json", R"({"extends": "vae", "data": {"tokenizer": "characters"}})");
  EXPECT_EQ(genai({"train", "--config", "usual.json", "--data", "pics", "--dry-run"}).code, 0);
}

TEST_F(Help, InspectRunsAndDoctorDescribeWhatThereIs) {
  const std::string run = train({"--steps", "7"});
  const Json runs = json_of({"runs"});
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0]["run"], "001-vae-pics");
  EXPECT_EQ(runs[0]["step"], 7);
  const Json inspected = json_of({"inspect", run});
  EXPECT_EQ(inspected["parameters"], 4984);
  EXPECT_EQ(inspected["data"]["source"], "pics");
  EXPECT_EQ(inspected["config"]["training"]["steps"], 7);
  const Outcome page = genai({"inspect", "last"});
  EXPECT_NE(page.out.find("all hashes verified"), std::string::npos) << page.out;
  EXPECT_NE(page.out.find("decoder.spread.bias"), std::string::npos) << page.out;

  ASSERT_EQ(genai({"sample", "1", "--out", "x.png"}).code, 0);
  EXPECT_EQ(json_of({"inspect", "x.png"})["text"]["genai"]["run"], "001-vae-pics");
  const Outcome bare = genai({"inspect", "pics/bars/000.png"});
  EXPECT_NE(bare.out.find("12x12 grey"), std::string::npos) << bare.out;
  put(folder / "garbage", "garbage");
  expect_error(3, {"inspect", "garbage"}, {"garbage", "PNG"});
  const Json doctor = json_of({"doctor"});
  EXPECT_EQ(doctor["runs"], "runs/ can be written");
  EXPECT_TRUE(doctor["cores"].is_number()) << doctor;
  EXPECT_TRUE(doctor.contains("shakespeare")) << doctor;
}

}  // namespace
}  // namespace genai
