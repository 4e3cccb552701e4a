#include "genai/models/registry.h"

#include <algorithm>

#include "genai/base/error.h"
#include "genai/core/generator.h"
#include "genai/data/pixel_sequence.h"
#include "genai/models/classifier.h"
#include "genai/models/diffusion.h"
#include "genai/models/gan.h"
#include "genai/models/image_sequence.h"
#include "genai/models/rnn.h"
#include "genai/models/transformer.h"
#include "genai/models/vae.h"

namespace genai {
namespace {

/// The setting of families that can be told something.
constexpr const char* kCondition = "condition";
/// What makes of items what the family reads.
constexpr const char* kCodecSetting = "codec";

/// Of families of sequences, how pixels become tokens (data/pixel_sequence.h).
struct PixelSettings {
  int64_t levels = 4, patch = 2;
};

const FieldTable& pixel_fields() {
  static const FieldTable table =
      describe<PixelSettings>()
          .field("levels", &PixelSettings::levels,
                 "images: values that a pixel is rounded to; 2 for binarized ones", between(2, 256))
          .field("patch", &PixelSettings::patch,
                 "images: side of the square patches of pixels that are a token each",
                 between(1, 64))
          .table();
  return table;
}

/// "what the model is told, ...: class; ...; low, the image so many times smaller (2; or low-N)"
std::string condition_doc(ItemKind reads) {
  if (reads == ItemKind::sequence) {
    return concat("images: what the model is told, several with commas between: ", kClass, "; ",
                  kCaption, ", words (of captions.csv beside the pictures)");
  }
  std::string doc = concat("what the model is told, several with commas between: ", kClass, "; ",
                           kCaption, ", words (of captions.csv beside the pictures); ", kPair,
                           ", the picture of the same name in --pair; ", kPast,
                           ", the frames before (of clips, --past)");
  for (const ConditionRule& rule : condition_rules()) {
    const std::string other =
        rule.parameter > 0 ? concat(" (", rule.parameter, "; or ", rule.name, "-N)") : "";
    doc += concat("; ", rule.name, ", ", rule.about, other);
  }
  return doc;
}

/// Of sequences of images what can stand before them as tokens.
std::vector<ConditionKind> condition_kinds(const Family& family) {
  if (family.reads == ItemKind::grid) return family.conditions;
  return {ConditionKind::label, ConditionKind::sequence};
}

ConditionSpecs checked_conditions(const Family& family, const std::string& names,
                                  const DataInfo& info, const DataInfo& seen) {
  const std::vector<ConditionKind> kinds = condition_kinds(family);
  ConditionSpecs specs = find_conditions(names, info, seen);
  for (const ConditionSpec& spec : specs) {
    if (std::ranges::find(kinds, spec.kind) == kinds.end()) {
      fail(ErrorKind::usage, "model.condition: models of the family ", family.name,
           " cannot be told '", spec.name, "'");
    }
  }
  return specs;
}

/// Settings beside those of a family, which knows nothing of them.
FieldTable added_fields(const Family& family) {
  FieldTable table;
  if (!condition_kinds(family).empty()) {
    Field condition{
        .name = kCondition, .doc = condition_doc(family.reads), .type = FieldType::text};
    condition.default_value = "";
    table.push_back(condition);
  }
  const bool grids = family.reads == ItemKind::grid;
  Field codec{.name = kCodecSetting,
              .doc = grids ? "a trained run with a latent space (vae), whose latents are learned "
                             "in the place of pixels"
                           : "images: a trained run whose latents are levels (vae with "
                             "latent_levels), which are the tokens",
              .type = FieldType::run};
  codec.default_value = "";
  table.push_back(codec);
  if (!grids) std::ranges::copy(pixel_fields(), std::back_inserter(table));
  return table;
}

std::shared_ptr<Codec> codec_of_pixels(Json settings, const DataInfo& info) {
  settings.erase(kCondition);
  settings.erase(kCodecSetting);
  const auto own = from_json<PixelSettings>(pixel_fields(), settings, "model");
  return std::make_shared<PixelSequence>(info, own.levels, own.patch);
}

/// Throws Error{usage} for settings of pixels that would change nothing.
void refuse_idle_pixel_settings(const Json& added, const std::string& why) {
  for (const Field& field : pixel_fields()) {
    if (added.value(field.name, field.default_value) != field.default_value)
      fail(ErrorKind::usage, "model.", field.name, ": ", why);
  }
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
  std::ranges::move(added_fields(family), std::back_inserter(table));
  return table;
}

Json take_added(const Family& family, Json& settings) {
  Json added = Json::object();
  settings.erase("family");
  for (const Field& field : added_fields(family)) {
    if (!settings.contains(field.name)) continue;
    added[field.name] = settings.at(field.name);
    settings.erase(field.name);
  }
  return added;
}

void check_reads(const Family& family, const Modality& modality, const std::string& source) {
  if (modality.kind() == family.reads || family.reads == ItemKind::sequence) return;
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
  take_added(family, own);
  family.decide(own, info);
  settings.update(own);
}

std::unique_ptr<Model> make_model(const Family& family, Json settings, const DataInfo& info,
                                  std::shared_ptr<Codec> codec) {
  check_reads(family, *info.modality, info.source);
  const Json added = take_added(family, settings);
  if (!codec && !added.value(kCodecSetting, "").empty())
    throw std::logic_error("a model without the codec that its settings name");
  const bool images_as_sequences =
      family.reads == ItemKind::sequence && info.kind() == ItemKind::grid;
  if (images_as_sequences && !codec) {
    codec = codec_of_pixels(added, info);
  } else if (family.reads == ItemKind::sequence) {
    refuse_idle_pixel_settings(
        added, codec ? "the codec makes the tokens"
                     : concat("is for images; '", info.source, "' is ", info.modality->name()));
  }
  DataInfo seen = codec ? codec->encoded(info) : info;
  ConditionSpecs conditions = checked_conditions(family, added.value(kCondition, ""), info, seen);
  if (images_as_sequences) seen = with_prefix(seen, conditions);
  if (codec && info.ahead > 1)
    fail(ErrorKind::usage, "data.ahead: expected 1 with a codec, found ", info.ahead);
  const ModelContext context{.info = seen,
                             .inputs = {.codec = codec, .conditions = std::move(conditions)}};
  const LayerGenerator initial_weights;
  auto model = family.make(settings, context);
  if (images_as_sequences) model = make_image_sequence(std::move(model), context);
  if (model->inputs().codec != codec)
    throw std::logic_error("a model that was not told its inputs: Model(context.inputs)");
  if (info.ahead > 1 && !model->learns_ahead()) {
    fail(ErrorKind::usage, "data.ahead: such a model of the family ", family.name,
         " learns from the next frame alone; expected 1, or a gan that is told past alone, with ",
         "model.generator.kind unet and model.adversarial 0, found ", info.ahead);
  }
  return model;
}

bool offers(const Family& family, Capability capability) {
  return std::ranges::any_of(family.offers,
                             [&](const Offer& offer) { return offer.capability == capability; });
}

bool offers(const Family& family, ItemKind items, Capability capability) {
  if (items == family.reads) return offers(family, capability);
  return items == ItemKind::grid &&
         (capability == Capability::generator || capability == Capability::likelihood);
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
