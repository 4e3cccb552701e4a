#include <iostream>

#include "genai/base/error.h"
#include "verbs.h"

namespace genai::tool {

std::unique_ptr<Command> make_report(const Arguments& arguments) {
  static const JobVerb verb{.name = "report",
                            .examples = {"genai report last", "genai report 7 8@best --format html",
                                         "genai report 7 8 9 --format csv --out results.csv"},
                            .words = {"runs"},
                            .complete =
                                [](Settings& given, const Command& command) {
                                  if (command.app.count("--json") == 0) return;
                                  if (given.find("request.format"))
                                    fail(ErrorKind::usage, "--json excludes --format");
                                  given.set("request.format", "json", "");
                                },
                            .print =
                                [](const Finished& finished) {
                                  for (const std::string file : finished.result["files"])
                                    std::cout << file << "\n";
                                  return 0;
                                }};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_export(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "export",
      .examples = {"genai export last --out gpt2", "genai export 8@best --out path/to/gpt2",
                   "genai export --model transformer-nanogpt-cpu --out gpt2"},
      .words = {"run"},
      .print = [](const Finished& finished) {
        if (finished.json) return print_files(finished);
        const std::string folder = finished.result["folder"];
        std::cout << folder << "\n";
        say("in Python: transformers.GPT2LMHeadModel.from_pretrained('" + folder + "')");
        return 0;
      }};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_import(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "import",
      .examples = {"genai import path/to/gpt2", "genai import gpt2 --out runs/gpt2",
                   "genai import gpt2 --json"},
      .words = {"folder"},
      .needed = 1,
      .print = [](const Finished& finished) {
        if (finished.json) return print_files(finished);
        const std::string run = finished.result["run"];
        const std::string name = finished.given("--out") ? run : "last";
        std::cout << run << "\n";
        say(concat("next:\n  genai sample ", name, "\n  genai train --config ", run,
                   "/config.json --init ", name, " --data FILE"));
        return 0;
      }};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
