#include "genai/training/config.h"

#include <iostream>

#include "genai/base/presets.h"
#include "genai/data/dataset.h"
#include "genai/models/registry.h"
#include "verbs.h"

namespace genai::tool {
namespace {

std::string fields_markdown(const FieldTable& table) {
  std::string text = "| setting | default | values | |\n| --- | --- | --- | --- |\n";
  for (const Field& field : table) {
    text +=
        concat("| `", field.name, "` | `", field.default_value.dump(), "` | ", describe_type(field),
               field.resumable ? "; a resume may change it" : "", " | ", field.doc, " |\n");
  }
  return text + "\n";
}

/// docs/config.md
std::string config_page() {
  std::string text =
      "# Configuration\n\n"
      "Made by `genai config --markdown`; a test checks that it is current.\n\n"
      "A configuration is a JSON object of `model`, `data` and `training`; comments are allowed. "
      "`extends` names a preset to start from. Values come from the preset, then `--config FILE`, "
      "then options; `genai config show SOURCE` prints each with its origin, "
      "`genai config schema FAMILY` a JSON Schema for editors.\n\n## Presets\n\n"
      "| preset | |\n| --- | --- |\n";
  for (const std::string& name : preset_names()) {
    text += concat("| `", name, "` | ", preset_document(name).value("about", ""), " |\n");
  }
  for (const Family& family : families()) {
    text += concat("\n## model, family `", family.name, "`\n\n", family.summary, "\n\n",
                   fields_markdown(family.settings), "## sampling, family `", family.name, "`\n\n",
                   fields_markdown(family.sampling));
  }
  for (const ItemKind kind : {ItemKind::grid, ItemKind::sequence}) {
    text += "## data, " + modality_names(kind) + "\n\n" + fields_markdown(data_fields(kind));
  }
  return text + "## training\n\n" + fields_markdown(training_fields());
}

void print_table(std::vector<std::string> heads, const Json& lines) {
  std::vector<std::vector<std::string>> rows{std::move(heads)};
  for (const Json& line : lines) {
    rows.emplace_back();
    for (const Json& value : line) rows.back().push_back(value);
  }
  std::cout << table(rows);
}

int print_config(const Finished& finished) {
  const Json& result = finished.result;
  if (result.contains("schema")) {
    std::cout << result["schema"].dump(2) << "\n";
  } else if (finished.json) {
    print_json(*result.begin());
  } else if (result.contains("rows")) {
    print_table({"setting", "value", "origin"}, result["rows"]);
  } else if (result.contains("lines")) {
    for (const std::string line : result["lines"]) std::cout << line << "\n";
  } else {
    print_table({"preset", "what"}, result["presets"]);
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_config(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "config",
      .examples = {"genai config", "genai config show vae", "genai config diff vae last"},
      .words = {"action", "source", "other"},
      .print = print_config,
      .json = "JSON as the result"};
  auto command = make_verb(verb, arguments);
  auto markdown = std::make_shared<bool>(false);
  command->app.add_flag("--markdown", *markdown, "all settings of all families (docs/config.md)");
  command->run = [markdown, run = command->run] {
    if (!*markdown) return run();
    std::cout << config_page();
    return 0;
  };
  return command;
}

}  // namespace genai::tool
