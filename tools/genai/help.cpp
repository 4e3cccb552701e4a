#include <iostream>

#include "genai/base/error.h"
#include "genai/models/registry.h"
#include "grammar.h"
#include "verbs.h"

namespace genai::tool {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"train", make_train},       {"sample", make_sample},         {"show", make_show},
      {"edit", make_edit},         {"evaluate", make_evaluate},     {"score", make_score},
      {"compress", make_compress}, {"decompress", make_decompress}, {"report", make_report},
      {"check", make_check},       {"inspect", make_inspect},       {"runs", make_runs},
      {"export", make_export},     {"import", make_import},         {"data", make_data},
      {"config", make_config},     {"doctor", make_doctor},         {"help", make_help}};
  return all;
}

std::string overview() {
  std::string text =
      "genai trains, samples and evaluates small generative models\n\n"
      "  genai train --model vae --data mnist     about two minutes on two cores\n"
      "  genai sample last -n 64                  a sheet of samples, shown and saved\n"
      "  genai evaluate last                      how good is it?\n\n"
      "verbs (genai VERB --help):\n";
  constexpr size_t kNames = 13;
  for (const Verb& verb : verbs()) {
    text += "  " + padded(verb.name, kNames) + verb.make({})->app.get_description() + "\n";
  }
  text += "\nfamilies:\n";
  for (const Family& family : families()) {
    text += "  " + padded(family.name, kNames) + family.summary + "\n";
  }
  return text +
         "\nexit codes: 0 ok, 1 failed while running, 2 usage or settings, 3 data, 4 device,\n"
         "            5 a bar or check missed, 6 diverged, 129/130/143 interrupted (saved)\n";
}

namespace {

/// grammar.h: with the options of any family.
Json grammar() {
  Json described = Json::object();
  for (const Verb& verb : verbs()) {
    const auto command = verb.make({});
    Json options = Json::object();
    for (const CLI::Option* option : command->app.get_options()) {
      const bool valued = option->get_items_expected_min() > 0;
      for (const std::string& name : option->get_lnames()) options["--" + name] = valued;
      for (const std::string& name : option->get_snames()) options["-" + name] = valued;
    }
    for (const auto& [name, option] : command->options_of_families()) options[name] = option.valued;
    described[verb.name] = {
        {"about", command->app.get_description()}, {"page", command->help()}, {"options", options}};
  }
  return {{"version", GENAI_VERSION}, {"overview", overview()}, {"verbs", described}};
}

/// docs/cli.md
std::string command_page() {
  std::string text =
      "# Command line\n\nMade by `genai help --markdown`; a test checks that it is current.\n\n"
      "```\n" +
      overview() +
      "```\n\n"
      "Results go to standard output, progress and messages to standard error. With `--json` the "
      "result is one JSON object. `train` and `sample` show the options of the family `" +
      families().front().name +
      "` here; `genai train --model PRESET --help` shows those that "
      "apply.\n\n";
  for (const Verb& verb : verbs()) text += verb.make({})->markdown();
  return text;
}

/// The overview, or the page of the verb.
int print_help(const std::string& name, bool json) {
  if (name.empty()) {
    json ? print_json(grammar()) : void(std::cout << overview());
    return 0;
  }
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) {
    names.push_back(verb.name);
    if (verb.name != name) continue;
    json ? print_json(grammar()["verbs"][name]) : void(std::cout << verb.make({})->help());
    return 0;
  }
  fail(ErrorKind::usage, unknown_verb(name, names));
}

}  // namespace

std::unique_ptr<Command> make_help(const Arguments&) {
  auto command = std::make_unique<Command>(
      "help", "this overview, or the page of a verb",
      std::vector<std::string>{"genai help", "genai help train", "genai help --markdown"});
  auto name = std::make_shared<std::string>();
  auto markdown = std::make_shared<bool>(false);
  auto json = std::make_shared<bool>(false);
  command->app.add_option("VERB", *name, "what to explain");
  command->app.add_flag("--markdown", *markdown, "all verbs (docs/cli.md)");
  command->app.add_flag("--json", *json, "pages and options as one JSON object, of VERB or of all");
  command->run = [name, markdown, json] {
    if (!*markdown) return print_help(*name, *json);
    if (!name->empty()) fail(ErrorKind::usage, "--markdown: is of all verbs; leave VERB out");
    std::cout << command_page();
    return 0;
  };
  return command;
}

}  // namespace genai::tool
