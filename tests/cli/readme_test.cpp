// The README's tour, line by line in a fresh folder, with short trainings.
#include <sstream>

#include "cli/tool.h"

namespace genai {
namespace {

/// The words of a line, without its comment; single quotes hold words together.
Arguments words_of(const std::string& line) {
  Arguments words;
  std::string word;
  bool quoted = false;
  for (const char c : line.substr(0, line.find(" #")) + " ") {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      if (!word.empty()) words.push_back(word);
      word.clear();
    } else {
      word += c;
    }
  }
  return words;
}

class SlowReadme : public Cli {};

TEST_F(SlowReadme, EveryLineOfTheTourRunsAsPrinted) {
  const std::string readme = slurp(fs::path(GENAI_SOURCE_DIR) / "README.md");
  std::istringstream lines(readme.substr(readme.find("this tour needs no network")));
  int run = 0;
  for (std::string line; std::getline(lines, line) && !line.starts_with("`--data`");) {
    if (!line.starts_with("    genai ")) continue;
    Arguments words = words_of(line.substr(10));
    const bool help = words.back() == "--help";
    if (words[0] == "train" && !help) words.insert(words.end(), {"--steps", "4", "--batch", "16"});
    if (words[1] == "--resume") words.erase(words.end() - 2, words.end());
    if (words[0] == "evaluate")
      words.insert(words.end(), {"--only", "likelihood", "--images", "50"});
    if (words[0] == "score") words.insert(words.end(), {"--images", "50"});
    const Outcome outcome = genai(words);
    EXPECT_TRUE(outcome.code == 0 || (words[0] == "evaluate" && outcome.code == 5)) << line << "\n"
                                                                                    << outcome.err;
    ++run;
  }
  EXPECT_GT(run, 15);
}

}  // namespace
}  // namespace genai
