// What verbs do in a working folder that is no more.
#include "cli/tool.h"

namespace genai {
namespace {

class RemovedFolder : public Cli {
 protected:
  ToolOptions nowhere() const {
    fs::create_directory(folder / "gone");
    ToolOptions options = here();
    options.folder = folder / "gone";
    options.folder_removed = true;
    options.environment["GENAI_CACHE"] = (folder / "cache").string();
    return options;
  }
  std::string absolute(const std::string& name) const { return (folder / name).string(); }
};

TEST_F(RemovedFolder, IsNamedByEveryVerb) {
  for (const Arguments& arguments :
       {Arguments{"train", "--model", "vae", "--data", "digits", "--steps", "1"},
        Arguments{"train", "--resume", absolute("run")}, Arguments{"sample", "last"},
        Arguments{"check", "x.png"}, Arguments{"inspect", "last"}, Arguments{"evaluate", "1"},
        Arguments{"data", "show", "pics"}, Arguments{"import", "gpt2"}, Arguments{"config"}}) {
    expect_error(1, arguments, {"the working folder was removed", "cd"}, nowhere());
  }
  EXPECT_EQ(genai({"--version"}, nowhere()).code, 0);
  EXPECT_EQ(genai({"train", "--help"}, nowhere()).code, 0);
  expect_error(2, {"train", "--nosuch"}, {"--nosuch"}, nowhere());
}

TEST_F(RemovedFolder, DoesNotMatterOnceARunTrainsElsewhere) {
  fs::create_directory(folder / "gone");
  ToolOptions options = here();
  options.folder = folder / "gone";
  Arguments arguments = training({"--steps", "100000000", "--checkpoint-every", "50", "--schedule",
                                  "constant", "--out", absolute("run")});
  arguments[14] = absolute("pics");
  Tool tool(arguments, options);
  ASSERT_TRUE(wait_until([&] { return !checkpoints("run").empty(); }));
  fs::remove_all(folder / "gone");
  const auto before = checkpoints("run");
  ASSERT_TRUE(wait_until([&] { return checkpoints("run") != before; }));
  tool.send(SIGTERM);
  EXPECT_EQ(tool.wait().code, 143);
  const int64_t step = std::stoll(checkpoints("run").back().substr(5));
  EXPECT_EQ(genai({"train", "--resume", "run", "--steps", std::to_string(step + 2)}).code, 0);
}

}  // namespace
}  // namespace genai
