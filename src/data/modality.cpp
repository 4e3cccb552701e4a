#include "genai/data/modality.h"

#include <algorithm>
#include <stdexcept>

#include "genai/base/picture.h"
#include "genai/base/text.h"
#include "genai/data/dataset.h"
#include "genai/data/known_sets.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

std::vector<const Modality*>& table() {
  static std::vector<const Modality*> all = {&image_modality(), &text_modality(),
                                             &series_modality()};
  return all;
}

}  // namespace

void Modality::check_same_items(const DataInfo&, const DataInfo&) const {}

std::vector<Image> Modality::pictures(const Tensor&) const {
  throw std::logic_error(name() + " are no pictures");
}

const std::vector<const Modality*>& modalities() {
  return table();
}

void add_modality(const Modality& modality) {
  table().insert(table().begin(), &modality);
}

const Modality& find_modality(const std::string& name) {
  std::string names;
  for (const Modality* modality : modalities()) {
    if (modality->name() == name) return *modality;
    names += (names.empty() ? "" : ", ") + modality->name();
  }
  fail(ErrorKind::data, "items of the kind '", name, "' are none that this build knows: ", names);
}

const Modality& modality_of(const DataConfig& config, const Tokenizer* tokenizer) {
  for (const Modality* modality : modalities()) {
    if (modality->claims(config, tokenizer)) return *modality;
  }
  std::error_code ignored;
  if (!fs::is_regular_file(config.source, ignored)) fail_no_dataset(config.source);
  fail(ErrorKind::data, config.source, " is ", binary_kind(read_start(config.source, 16)),
       "; expected a folder or ZIP of images, a text file, a CSV file or the name of a known data ",
       "set");
}

const Modality& modality_of_tokens(const Tokenizer* tokenizer) {
  if (!tokenizer) return image_modality();
  return tokenizer->changes() ? series_modality() : text_modality();
}

std::string modality_names(ItemKind kind) {
  std::vector<std::string> names;
  for (const Modality* modality : modalities()) {
    if (modality->kind() == kind) names.push_back(modality->name());
  }
  return listed(names);
}

}  // namespace genai
