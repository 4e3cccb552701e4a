// Settings in layers (preset, file, options), each value with its origin, checked all at once.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "genai/base/fields.h"

namespace genai {

/// One top-level object of a config ("model") and the fields it may hold.
struct Section {
  std::string name;
  FieldTable table;
  /// Fields that it has in other configurations. Their defaults, which change nothing, are passed
  /// over: stored runs have them.
  FieldTable others{};
  std::string why_not{};  ///< why other values of those are wrong: "is for texts"
};

/// A setting that had another name: in files, stored runs and options the old one stays good.
struct RenamedSetting {
  std::string before, now;  ///< "model.pairs", "model.bigrams"
  Json of_true{};           ///< of one that was true or false: what true is called now; false: ""

  Json value(Json old) const;  ///< under its new name
};
const std::vector<RenamedSetting>& renamed_settings();

/// A configuration under today's names.
Json with_current_names(Json config);

class Settings {
 public:
  /// Later values replace earlier ones, whichever name they come under.
  /// @param origin  what messages begin with; empty: with the path
  void set(const std::string& path, Json value, const std::string& origin);
  /// Every leaf of a nested object.
  void merge(const Json& object, const std::string& origin);
  /// Those of others, each with its origin.
  void merge(const Settings& others);
  /// A configuration document: settings, plus "extends" (the name of a preset, merged first),
  /// "about", "expected" and "$schema". Throws Error{usage} for an unknown or circular "extends".
  void merge_document(const Json& document, const std::string& origin);

  const Json* find(const std::string& path) const;
  std::string origin(const std::string& path) const;
  /// "expected" of the document merged last; null if it has none.
  const Json& expected() const { return expected_; }

  /// All values, defaults filled in, as {"model": {...}, "data": {...}, ...}.
  /// Throws Error{usage} that lists every problem: origin, path, what was expected, nearest name.
  Json resolve(const std::vector<Section>& sections) const;

 private:
  void merge_document(const Json& document, const std::string& origin,
                      std::vector<std::string> parents);

  struct Setting {
    Json value;
    std::string origin;
  };
  std::map<std::string, Setting> settings_;
  Json expected_;
};

/// The values that differ between two configurations, by path: before and after; null where there
/// is none.
std::map<std::string, std::pair<Json, Json>> setting_differences(const Json& before,
                                                                 const Json& after);
/// The same, one line each: "  training.seed: 1 -> 2".
std::vector<std::string> settings_diff(const Json& before, const Json& after);

}  // namespace genai
