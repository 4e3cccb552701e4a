// One entry of the registry: all that the program knows about a family.
#pragma once
#include <memory>

#include "genai/base/fields.h"
#include "genai/data/dataset.h"
#include "genai/model/model.h"

namespace genai {

/// A capability of a family's models: of all, or of those that were made with a choice.
struct Offer {
  Capability capability;
  std::string setting = {};  ///< "generator.kind"; empty: of all
  std::string value = {};    ///< "style"
};

/// What a model is made for.
struct ModelContext {
  const DataInfo& info;  ///< of what it computes on: of items, or of what a codec makes of them
  ModelInputs inputs;    ///< its conditions are of the kinds that the family names
};

struct Family {
  std::string name;     ///< "vae"
  std::string summary;  ///< one line for help
  ItemKind reads = ItemKind::grid;
  std::vector<Offer> offers;
  std::vector<ConditionKind> conditions;  ///< kinds that its models can be told
  FieldTable settings;                    ///< model.*
  FieldTable sampling;                    ///< options of `sample`
  /// @param settings  {"latent": 20, ...}, checked. Throws Error{usage} for settings that do not
  ///                  fit the data or each other.
  std::function<std::unique_ptr<Model>(const Json& settings, const ModelContext& context)> make;
  Json tiny;  ///< smallest sensible settings, for the tests that every family passes
  /// Settings that are "auto" become what they mean for this data; null: the family has none.
  std::function<void(Json& settings, const DataInfo& info)> decide = nullptr;
};

}  // namespace genai
