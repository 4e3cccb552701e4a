// The table of all families.
#pragma once
#include "genai/model/family.h"

namespace genai {

const std::vector<Family>& families();

/// Throws Error{usage} naming families that learn from this modality where this one does not. Those
/// of sequences learn from pixels, too.
void check_reads(const Family& family, const Modality& modality, const std::string& source);

/// Throws Error{usage} naming the families there are.
const Family& find_family(const std::string& name);
/// Of a run, by its config: {"model": {"family": ...}, ...}.
const Family& family_of(const Json& config);

/// The fields of "model" in a configuration: the family's settings and "family" itself.
FieldTable model_fields(const Family& family);

/// Takes the settings out of a "model" object that are not the family's own: its name, what it is
/// told, what makes of items what it reads. Older runs have not all of them.
Json take_added(const Family& family, Json& settings);

/// Settings that are "auto" become what they mean for this data: a run stores what was decided.
/// @param settings  the "model" object of a resolved configuration
void decide_settings(const Family& family, Json& settings, const DataInfo& info);

/// @param settings  the "model" object of a resolved configuration
/// @param info      of the items
/// @param codec     that settings.codec names
std::unique_ptr<Model> make_model(const Family& family, Json settings, const DataInfo& info,
                                  std::shared_ptr<Codec> codec = nullptr);

/// Are some models of the family of this capability?
bool offers(const Family& family, Capability capability);
/// Are some of those that learn from items of this kind? Sequences of images are images.
bool offers(const Family& family, ItemKind items, Capability capability);
/// Are those with these settings?
/// @param settings  the "model" object of a resolved configuration
bool offers(const Family& family, const Json& settings, Capability capability);

/// "vae, gan": the families that offer it.
std::string families_with(Capability capability);

}  // namespace genai
