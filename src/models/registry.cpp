#include "genai/models/registry.h"

#include <algorithm>

#include "genai/base/error.h"
#include "genai/core/generator.h"
#include "genai/models/classifier.h"
#include "genai/models/diffusion.h"
#include "genai/models/gan.h"
#include "genai/models/rnn.h"
#include "genai/models/transformer.h"
#include "genai/models/vae.h"

namespace genai {
namespace {

/// The setting of families that can be told something.
constexpr const char* kCondition = "condition";
/// The setting of families that read grids: what makes them of items.
constexpr const char* kCodecSetting = "codec";

/// "what the model is told, ...: class; ...; low, the image so many times smaller (2; or low-N)"
std::string condition_doc() {
  std::string doc = concat("what the model is told, several with commas between: ", kClass, "; ",
                           kCaption, ", words (of captions.csv beside the pictures); ", kPair,
                           ", the picture of the same name in --pairs");
  for (const ConditionRule& rule : condition_rules()) {
    const std::string other =
        rule.parameter > 0 ? concat(" (", rule.parameter, "; or ", rule.name, "-N)") : "";
    doc += concat("; ", rule.name, ", ", rule.about, other);
  }
  return doc;
}

ConditionSpecs checked_conditions(const Family& family, const std::string& names,
                                  const DataInfo& info, const DataInfo& seen) {
  if (family.conditions.empty()) return {};
  ConditionSpecs specs = find_conditions(names, info, seen);
  for (const ConditionSpec& spec : specs) {
    if (std::ranges::find(family.conditions, spec.kind) == family.conditions.end()) {
      fail(ErrorKind::usage, "model.condition: models of the family ", family.name,
           " cannot be told '", spec.name, "'");
    }
  }
  return specs;
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      vae_family(),         diffusion_family(), gan_family(),
      transformer_family(), rnn_family(),       classifier_family(),
  };
  return all;
}

const Family& find_family(const std::string& name) {
  std::vector<std::string> names;
  std::string list;
  for (const Family& family : families()) {
    if (family.name == name) return family;
    names.push_back(family.name);
    list += (list.empty() ? "" : ", ") + family.name;
  }
  fail(ErrorKind::usage, "model.family: no family '", name, "'; expected one of: ", list);
}

const Family& family_of(const Json& config) {
  return find_family(config.at("model").at("family"));
}

FieldTable model_fields(const Family& family) {
  FieldTable table = family.settings;
  Field name{.name = "family", .doc = "the model family", .type = FieldType::choice};
  name.default_value = family.name;
  name.choices = {family.name};
  table.insert(table.begin(), name);
  if (!family.conditions.empty()) {
    Field condition{.name = kCondition, .doc = condition_doc(), .type = FieldType::text};
    condition.default_value = "";
    table.push_back(condition);
  }
  if (family.reads == ItemKind::grid) {
    Field codec{.name = kCodecSetting,
                .doc =
                    "a trained run with a latent space (vae), whose latents are learned in the "
                    "place of pixels",
                .type = FieldType::run};
    codec.default_value = "";
    table.push_back(codec);
  }
  return table;
}

void check_reads(const Family& family, const Modality& modality, const std::string& source) {
  if (modality.kind() == family.reads) return;
  std::string others;
  for (const Family& other : families()) {
    if (other.reads == modality.kind()) others += (others.empty() ? "" : ", ") + other.name;
  }
  fail(ErrorKind::usage, "the family ", family.name, " learns from ", modality_names(family.reads),
       "; '", source, "' is ", modality.name(), ", for which there are: ", others);
}

void decide_settings(const Family& family, Json& settings, const DataInfo& info) {
  if (!family.decide) return;
  Json own = settings;
  own.erase("family");
  own.erase(kCondition);
  own.erase(kCodecSetting);
  family.decide(own, info);
  settings.update(own);
}

std::unique_ptr<Model> make_model(const Family& family, Json settings, const DataInfo& info,
                                  std::shared_ptr<Codec> codec) {
  settings.erase("family");
  check_reads(family, *info.modality, info.source);
  const std::string names = settings.value(kCondition, "");
  if (!family.conditions.empty()) settings.erase(kCondition);
  if (family.reads == ItemKind::grid) {
    if (!codec && !settings.value(kCodecSetting, "").empty())
      throw std::logic_error("a model without the codec that its settings name");
    settings.erase(kCodecSetting);
  }
  const DataInfo seen = codec ? codec->encoded(info) : info;
  ConditionSpecs conditions = checked_conditions(family, names, info, seen);
  const LayerGenerator initial_weights;
  auto model = family.make(
      settings, {.info = seen, .inputs = {.codec = codec, .conditions = std::move(conditions)}});
  if (model->inputs().codec != codec)
    throw std::logic_error("a model that was not told its inputs: Model(context.inputs)");
  return model;
}

bool offers(const Family& family, Capability capability) {
  return std::ranges::any_of(family.offers,
                             [&](const Offer& offer) { return offer.capability == capability; });
}

bool offers(const Family& family, const Json& settings, Capability capability) {
  return std::ranges::any_of(family.offers, [&](const Offer& offer) {
    const Json* chosen = offer.setting.empty() ? nullptr : find_path(settings, offer.setting);
    return offer.capability == capability &&
           (offer.setting.empty() || (chosen && *chosen == offer.value));
  });
}

std::string families_with(Capability capability) {
  std::string names;
  for (const Family& family : families()) {
    if (offers(family, capability)) names += (names.empty() ? "" : ", ") + family.name;
  }
  return names.empty() ? "none" : names;
}

}  // namespace genai
