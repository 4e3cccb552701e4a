#include "genai/training/config.h"

#include <iostream>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/presets.h"
#include "genai/data/dataset.h"
#include "genai/models/registry.h"
#include "genai/run/checkpoint.h"

namespace genai::tool {
namespace {

struct ConfigOptions {
  std::string action = "list", first, second, runs;
  bool json = false, markdown = false;
};

/// A preset, a JSON file or a run, with the origin of each value.
Settings read_settings(const std::string& source, const std::string& runs) {
  Settings settings;
  if (source.size() > 5 && source.substr(source.size() - 5) == ".json") {
    settings.merge_document(read_config(source), source);
    return settings;
  }
  const auto names = preset_names();
  if (std::find(names.begin(), names.end(), source) != names.end()) {
    settings.merge_document(preset_document(source), "preset " + source);
    return settings;
  }
  try {
    const RunReference run = find_run(source, runs_folder(runs));
    settings.merge(read_manifest(find_checkpoint(run.folder, run.checkpoint)).config,
                   "run " + run.folder.filename().string());
  } catch (const Error&) {
    fail(ErrorKind::usage, "'", source, "' is neither a preset, nor a .json file, nor a run; ",
         "`genai config` lists the presets, `genai runs` the runs");
  }
  return settings;
}

Json resolved(const Settings& settings) {
  const Json* family = settings.find("model.family");
  if (!family || !family->is_string()) {
    fail(ErrorKind::usage, "model.family: expected the name of a family");
  }
  return settings.resolve(run_sections(find_family(family->get<std::string>())));
}

void print_leaves(const Json& object, const std::string& prefix, const Settings& settings,
                  std::vector<std::vector<std::string>>& rows) {
  for (const auto& [key, value] : object.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object()) {
      print_leaves(value, path, settings, rows);
    } else {
      rows.push_back({path, value.dump(), settings.origin(path)});
    }
  }
}

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

int config_verb(const ConfigOptions& options) {
  if (options.markdown) {
    std::cout << config_page();
    return 0;
  }
  const auto need = [](const std::string& value, const char* what) {
    if (value.empty()) fail(ErrorKind::usage, what);
  };
  if (options.action == "show") {
    need(options.first, "config show: name a preset, a .json file or a run");
    const Settings settings = read_settings(options.first, options.runs);
    const Json config = resolved(settings);
    if (options.json) {
      print_json(config);
      return 0;
    }
    std::vector<std::vector<std::string>> rows{{"setting", "value", "origin"}};
    print_leaves(config, "", settings, rows);
    std::cout << table(rows);
  } else if (options.action == "diff") {
    need(options.second, "config diff: name two presets, .json files or runs");
    const Json before = resolved(read_settings(options.first, options.runs));
    const Json after = resolved(read_settings(options.second, options.runs));
    if (options.json) {
      Json differences = Json::object();
      for (const auto& [path, values] : setting_differences(before, after)) {
        differences[path] = {values.first, values.second};
      }
      print_json(differences);
      return 0;
    }
    const auto lines = settings_diff(before, after);
    for (const std::string& line : lines) std::cout << line << "\n";
  } else if (options.action == "schema") {
    need(options.first, "config schema: name a family");
    Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                   {"type", "object"},
                   {"additionalProperties", false}};
    schema["properties"] = {{"$schema", {{"type", "string"}}},
                            {"extends", {{"type", "string"}, {"enum", preset_names()}}},
                            {"about", {{"type", "string"}}},
                            {"expected", {{"type", "object"}}}};
    for (const Section& section : run_sections(find_family(options.first))) {
      schema["properties"][section.name] = json_schema(section.table);
    }
    std::cout << schema.dump(2) << "\n";
  } else {
    std::vector<std::vector<std::string>> rows{{"preset", "what"}};
    Json json = Json::array();
    for (const std::string& name : preset_names()) {
      const std::string about = preset_document(name).value("about", "");
      rows.push_back({name, about});
      json.push_back({{"preset", name}, {"about", about}});
    }
    if (options.json) {
      print_json(json);
    } else {
      std::cout << table(rows);
    }
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_config(const Arguments&) {
  auto command = std::make_unique<Command>(
      "config", "lists presets; shows, compares and describes configurations",
      std::vector<std::string>{"genai config", "genai config show vae",
                               "genai config diff vae last"});
  auto options = std::make_shared<ConfigOptions>();
  CLI::App& app = command->app;
  app.add_option("ACTION", options->action, "list, show, diff or schema")
      ->check(CLI::IsMember({"list", "show", "diff", "schema"}));
  app.add_option("SOURCE", options->first, "a preset, a .json file, a run; schema: a family");
  app.add_option("OTHER", options->second, "diff: what to compare with");
  app.add_option("--runs", options->runs, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
  app.add_flag("--json", options->json, "JSON as the result");
  app.add_flag("--markdown", options->markdown, "all settings of all families (docs/config.md)");
  command->run = [options] { return config_verb(*options); };
  return command;
}

}  // namespace genai::tool
