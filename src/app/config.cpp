#include "genai/training/config.h"

#include <algorithm>

#include "genai/base/error.h"
#include "genai/base/presets.h"
#include "jobs-inl.h"
#include "shared-inl.h"

namespace genai {
namespace {

enum class ConfigAction { list, show, diff, schema };
const EnumNames<ConfigAction> kConfigActionNames = {{ConfigAction::list, "list"},
                                                    {ConfigAction::show, "show"},
                                                    {ConfigAction::diff, "diff"},
                                                    {ConfigAction::schema, "schema"}};

struct ConfigRequest {
  ConfigAction action = ConfigAction::list;
  std::string source, other;
};

const FieldTable& config_fields() {
  static const FieldTable table =
      describe<ConfigRequest>()
          .field("action", &ConfigRequest::action, "list, show, diff or schema", kConfigActionNames)
          .field("source", &ConfigRequest::source,
                 "a preset, a .json file, a run; schema: a family")
          .hint("SOURCE")
          .field("other", &ConfigRequest::other, "diff: what to compare with")
          .hint("OTHER")
          .table();
  return table;
}

/// A preset, a JSON file or a run, with the origin of each value.
Settings read_settings(const std::string& source, const JobContext& context) {
  Settings settings;
  if (source.size() > 5 && source.ends_with(".json")) {
    settings.merge_document(read_config(source, context), source);
    return settings;
  }
  const auto names = preset_names();
  if (std::ranges::find(names, source) != names.end()) {
    settings.merge_document(preset_document(source), "preset " + source);
    return settings;
  }
  try {
    const RunReference run = find_run(source, context.runs);
    settings.merge(read_manifest(find_checkpoint(run.folder, run.checkpoint)).config,
                   "run " + run.folder.filename().string());
  } catch (const Error&) {
    fail(ErrorKind::usage, "'", source, "' is neither a preset, nor a .json file, nor a run; ",
         "`genai config` lists the presets, `genai runs` the runs");
  }
  return settings;
}

Json resolved_config(const Settings& settings) {
  const Json* family = settings.find("model.family");
  if (!family || !family->is_string()) {
    fail(ErrorKind::usage, "model.family: expected the name of a family");
  }
  const Family& found = find_family(family->get<std::string>());
  return settings.resolve(run_sections(found, items_of(found, settings)));
}

void collect_origins(const Json& object, const std::string& prefix, const Settings& settings,
                     Json& rows) {
  for (const auto& [key, value] : object.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object()) {
      collect_origins(value, path, settings, rows);
    } else {
      rows.push_back({path, value.dump(), settings.origin(path)});
    }
  }
}

Json config_schema(const Family& family) {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"type", "object"},
                 {"additionalProperties", false}};
  schema["properties"] = {{"$schema", {{"type", "string"}}},
                          {"extends", {{"type", "string"}, {"enum", preset_names()}}},
                          {"about", {{"type", "string"}}},
                          {"expected", {{"type", "object"}}}};
  for (const Section& section : run_sections(family)) {
    const bool all_data = section.name == "data" && family.reads == ItemKind::sequence;
    schema["properties"][section.name] = json_schema(all_data ? data_fields() : section.table);
  }
  return schema;
}

Json config_list() {
  Json list = Json::array();
  for (const std::string& name : preset_names()) {
    list.push_back({{"preset", name}, {"about", preset_document(name).value("about", "")}});
  }
  return list;
}

Json run_config(const Settings& given, JobContext& context) {
  const auto request = read_request<ConfigRequest>(config_fields(), given);
  const auto need = [](const std::string& value, const char* what) {
    if (value.empty()) fail(ErrorKind::usage, what);
  };
  switch (request.action) {
    case ConfigAction::show: {
      need(request.source, "config show: name a preset, a .json file or a run");
      const Settings settings = read_settings(request.source, context);
      const Json config = resolved_config(settings);
      Json rows = Json::array();
      collect_origins(config, "", settings, rows);
      return {{"config", config}, {"rows", rows}};
    }
    case ConfigAction::diff: {
      need(request.other, "config diff: name two presets, .json files or runs");
      const Json before = resolved_config(read_settings(request.source, context));
      const Json after = resolved_config(read_settings(request.other, context));
      Json differences = Json::object();
      for (const auto& [path, values] : setting_differences(before, after)) {
        differences[path] = {values.first, values.second};
      }
      return {{"differences", differences}, {"lines", settings_diff(before, after)}};
    }
    case ConfigAction::schema:
      need(request.source, "config schema: name a family");
      return {{"schema", config_schema(find_family(request.source))}};
    case ConfigAction::list:
      return {{"presets", config_list()}};
  }
  throw std::logic_error("an action of config without work");
}

}  // namespace

Job config_job() {
  return {.name = "config",
          .about = "lists presets; shows, compares and describes configurations",
          .page = plain_page(config_fields()),
          .form = plain_form(config_fields()),
          .run = run_config};
}

}  // namespace genai
