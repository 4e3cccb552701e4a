// What the set-up scripts say where they cannot go on.
#include "cli/tool.h"

namespace genai {
namespace {

TEST(Setup, WithoutRootOrSudoSaysWhatToAskAnAdministratorFor) {
  // A machine with apt-get but no packages, and a user without rights.
  const TempFolder folder;
  const auto program = [&](const char* name, const char* body) {
    put(folder / name, concat("#!/bin/sh\n", body, "\n"));
    fs::permissions(folder / name, fs::perms::owner_all);
  };
  program("dpkg-query", "exit 1");
  program("apt-get", "exit 1");
  program("id", "echo 1000");
  const std::string said = (folder / "said").string();
  const std::string command =
      concat("PATH=", folder.path().string(), " /bin/bash -c '. ", GENAI_SOURCE_DIR,
             "/tools/setup.sh; install_packages libgtest-dev' > ", said, " 2>&1");
  EXPECT_NE(std::system(command.c_str()), 0);
  const std::string text = slurp(said);
  EXPECT_NE(text.find("needs root or sudo"), std::string::npos) << text;
  EXPECT_NE(text.find("apt-get install g++ cmake ninja-build"), std::string::npos) << text;
  EXPECT_NE(text.find("libgtest-dev"), std::string::npos) << text;
  EXPECT_EQ(text.find("command not found"), std::string::npos) << text;
}

}  // namespace
}  // namespace genai
