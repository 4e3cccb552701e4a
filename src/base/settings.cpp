#include "genai/base/settings.h"

#include <algorithm>

#include "genai/base/presets.h"

namespace genai {
namespace {

/// An empty object is a leaf too, so that none is passed over.
void collect_leaves(const Json& value, const std::string& path, std::map<std::string, Json>& into) {
  if (!value.is_object() || (value.empty() && !path.empty())) {
    into[path] = value;
    return;
  }
  for (const auto& [key, child] : value.items()) {
    collect_leaves(child, path.empty() ? key : path + "." + key, into);
  }
}

/// Takes the leaf out of its object; null where there is none.
Json take_path(Json& object, const std::string& path) {
  const size_t dot = path.find('.');
  const auto it = object.is_object() ? object.find(path.substr(0, dot)) : object.end();
  if (it == object.end()) return nullptr;
  if (dot != path.npos) return take_path(*it, path.substr(dot + 1));
  Json taken = std::move(*it);
  object.erase(it);
  return taken;
}

}  // namespace

const std::vector<RenamedSetting>& renamed_settings() {
  static const std::vector<RenamedSetting> all = {
      {"model.pairs", "model.bigrams"},
      {"model.class_dropout", "model.condition_dropout"},
      {"request.moments", "request.frames"},
      {"model.conditional", "model.condition", "class"}};
  return all;
}

Json RenamedSetting::value(Json old) const {
  if (of_true.is_null() || !old.is_boolean()) return old;
  return old.get<bool>() ? of_true : Json("");
}

Json with_current_names(Json config) {
  for (const RenamedSetting& renamed : renamed_settings()) {
    Json value = take_path(config, renamed.before);
    if (!value.is_null()) set_path(config, renamed.now, renamed.value(std::move(value)));
  }
  return config;
}

void Settings::set(const std::string& path, Json value, const std::string& origin) {
  const auto renamed = std::ranges::find(renamed_settings(), path, &RenamedSetting::before);
  if (renamed == renamed_settings().end()) {
    settings_[path] = {std::move(value), origin};
  } else {
    settings_[renamed->now] = {renamed->value(std::move(value)), origin};
  }
}

void Settings::merge(const Json& object, const std::string& origin) {
  std::map<std::string, Json> leaves;
  collect_leaves(object, "", leaves);
  for (auto& [path, value] : leaves) set(path, std::move(value), origin);
}

void Settings::merge(const Settings& others) {
  for (const auto& [path, setting] : others.settings_) settings_[path] = setting;
}

void Settings::merge_document(const Json& document, const std::string& origin) {
  merge_document(document, origin, {});
}

void Settings::merge_document(const Json& document, const std::string& origin,
                              std::vector<std::string> parents) {
  if (!document.is_object()) {
    fail(ErrorKind::usage, origin, ": expected a JSON object of settings, found ",
         document.type_name());
  }
  if (const Json* extends = find_path(document, "extends")) {
    if (!extends->is_string()) {
      fail(ErrorKind::usage, origin, ": extends: expected the name of a preset, found ",
           extends->dump());
    }
    const std::string parent = extends->get<std::string>();
    if (std::find(parents.begin(), parents.end(), parent) != parents.end()) {
      fail(ErrorKind::usage, origin, ": extends: '", parent, "' extends itself");
    }
    parents.push_back(parent);
    merge_document(preset_document(parent), "preset " + parent, parents);
  }
  Json settings = document;
  for (const char* key : {"extends", "about", "expected", "$schema", kChecksumKey})
    settings.erase(key);
  merge(settings, origin);
  // What a preset reaches is not what one that changes it reaches: not inherited.
  expected_ = document.value("expected", Json());
}

const Json* Settings::find(const std::string& path) const {
  const auto it = settings_.find(path);
  return it == settings_.end() ? nullptr : &it->second.value;
}

std::string Settings::origin(const std::string& path) const {
  const auto it = settings_.find(path);
  return it == settings_.end() ? "default" : it->second.origin;
}

Json Settings::resolve(const std::vector<Section>& sections) const {
  Json resolved = Json::object();
  std::vector<std::string> known;
  for (const Section& section : sections) {
    resolved[section.name] = Json::object();
    for (const Field& field : section.table) {
      const std::string path = section.name + "." + field.name;
      known.push_back(path);
      set_path(resolved, path, field.default_value);
    }
  }
  std::string problems;
  for (const auto& [path, setting] : settings_) {
    const size_t dot = path.find('.');
    const std::string first = path.substr(0, dot);
    const auto section = std::find_if(sections.begin(), sections.end(),
                                      [&](const Section& s) { return s.name == first; });
    const Field* field = section == sections.end() || dot == std::string::npos
                             ? nullptr
                             : find_field(section->table, path.substr(dot + 1));
    std::string wrong;
    if (!field && setting.value.is_object() && section != sections.end() &&
        (dot == std::string::npos || holds_fields(section->table, path.substr(dot + 1)))) {
      continue;  // an object without settings
    }
    const Field* other = field || section == sections.end() || dot == std::string::npos
                             ? nullptr
                             : find_field(section->others, path.substr(dot + 1));
    if (other && setting.value == other->default_value) continue;
    if (other) {
      wrong = section->why_not;
    } else if (!field) {
      wrong = "unknown setting";
      const std::string near = nearest(path, known);
      if (!near.empty()) wrong += concat("; did you mean '", near, "'?");
    } else {
      wrong = check_value(*field, setting.value);
    }
    if (wrong.empty()) {
      set_path(resolved, path, setting.value);
    } else {
      problems += concat(problems.empty() ? "" : "\n", setting.origin,
                         setting.origin.empty() ? "" : ": ", path, ": ", wrong);
    }
  }
  if (!problems.empty()) throw Error(ErrorKind::usage, problems);
  return resolved;
}

std::map<std::string, std::pair<Json, Json>> setting_differences(const Json& before,
                                                                 const Json& after) {
  std::map<std::string, Json> old_leaves, new_leaves;
  collect_leaves(before, "", old_leaves);
  collect_leaves(after, "", new_leaves);
  for (auto* leaves : {&old_leaves, &new_leaves}) {
    std::erase_if(*leaves, [](const auto& leaf) { return leaf.second.is_object(); });
  }
  std::map<std::string, std::pair<Json, Json>> all;
  for (const auto& [path, value] : old_leaves) all[path].first = value;
  for (const auto& [path, value] : new_leaves) all[path].second = value;
  std::erase_if(all, [](const auto& entry) { return entry.second.first == entry.second.second; });
  return all;
}

std::vector<std::string> settings_diff(const Json& before, const Json& after) {
  std::vector<std::string> lines;
  for (const auto& [path, values] : setting_differences(before, after)) {
    lines.push_back(concat("  ", path, ": ", values.first.dump(), " -> ", values.second.dump()));
  }
  return lines;
}

}  // namespace genai
