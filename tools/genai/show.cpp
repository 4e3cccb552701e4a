#include <algorithm>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/terminal.h"
#include "verbs.h"

namespace genai::tool {
namespace {

/// What may come next, a bar for each temperature.
int print_next(const Json& result) {
  constexpr int kBarWidth = 14;
  std::cout << "after " << result["after"].get<std::string>() << "\n";
  std::vector<std::string> heads{"next"};
  for (const Json& next : result["next"]) {
    heads.push_back("temperature " + number_text(next["temperature"], 3));
  }
  std::vector<std::vector<std::string>> rows{heads};
  // In the order of the model itself: that of any temperature, unless a filter cuts the end off.
  for (const Json& token : result["next"].back()["candidates"]) {
    if (static_cast<int64_t>(rows.size()) > result["top"].get<int64_t>()) break;
    rows.push_back({token["visible"]});
    for (const Json& next : result["next"]) {
      const auto found = std::ranges::find_if(
          next["candidates"], [&](const Json& other) { return other["id"] == token["id"]; });
      const double p =
          found == next["candidates"].end() ? 0 : (*found)["probability"].get<double>();
      rows.back().push_back(
          concat(padded(bar(p, kBarWidth), kBarWidth + 1), number_text(100 * p, 3), " %"));
    }
  }
  std::cout << table(rows);
  return 0;
}

int print_show(const Finished& finished) {
  if (finished.result.contains("next"))
    return finished.json ? print_files(finished) : print_next(finished.result);
  return finished.result["files"].empty() ? 0 : print_files(finished);
}

void refuse_idle_preview(Settings& given, const Command& command) {
  const Json* what = given.find("request.what");
  if (command.app.count("--preview") == 0 || !what || *what == "path") return;
  fail(ErrorKind::usage, "--preview: is for path, not for ", what->get<std::string>());
}

/// "show path", "show --model diffusion path": the first word is already what to show.
bool begins_with_view(const Arguments& words, bool of_preset) {
  const bool view = !words.empty() && (words[0] == "path" || words[0] == "mix" ||
                                       words[0] == "directions" || words[0] == "next");
  return words.size() == 1 && (view || of_preset);
}

}  // namespace

std::unique_ptr<Command> make_show(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "show",
      .examples = {"genai show last path", "genai show 8 path --steps 50 --format gif",
                   "genai show 9 directions --format gif"},
      .words = {"run", "what"},
      .computes = true,
      .exact = true,
      .preview = true,
      .skips_run = begins_with_view,
      .complete = refuse_idle_preview,
      .print = print_show};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
