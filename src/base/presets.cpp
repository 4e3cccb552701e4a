#include "genai/base/presets.h"

#include <map>

#include "genai/base/error.h"
#include "genai/base/fields.h"

namespace genai {

/// Written by cmake/EmbedPresets.cmake: name and text of each file in configs/.
extern const std::pair<const char*, const char*> kEmbeddedPresets[];
extern const size_t kEmbeddedPresetCount;

namespace {

const std::map<std::string, Json>& presets() {
  static const std::map<std::string, Json> all = [] {
    std::map<std::string, Json> map;
    for (size_t i = 0; i < kEmbeddedPresetCount; ++i) {
      const auto& [name, text] = kEmbeddedPresets[i];
      map[name] = parse_json(text, concat("preset ", name), ErrorKind::usage);
    }
    return map;
  }();
  return all;
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& [name, document] : presets()) names.push_back(name);
  return names;
}

const Json& preset_document(const std::string& name) {
  const auto it = presets().find(name);
  if (it != presets().end()) return it->second;
  const std::string near = nearest(name, preset_names());
  fail(ErrorKind::usage, "no preset '", name, "'",
       near.empty() ? "" : "; did you mean '" + near + "'?", " (`genai config` lists them)");
}

}  // namespace genai
