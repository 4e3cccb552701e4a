#include "genai/data/known_sets.h"

#include <algorithm>

#include "genai/base/error.h"
#include "genai/base/fields.h"
#include "genai/data/digits.h"
#include "genai/data/moving_digits.h"

namespace genai {
namespace {

constexpr uint64_t kDigitsSeed = 0;

using LoadImages = std::function<ImageSet(const std::filesystem::path&, const FetchOptions&)>;
using LoadKinds = std::function<SceneKinds(const std::filesystem::path&, const FetchOptions&)>;

void add_scenes(const std::string& name, const std::string& about, bool built_in, LoadKinds kinds,
                std::vector<KnownSet>& all) {
  all.push_back({.name = name,
                 .about = concat(about, ", 20,000 + 2,000"),
                 .built_in = built_in,
                 .images = [kinds](const auto& folder,
                                   const auto& fetch) { return make_scenes(kinds(folder, fetch)); },
                 .scenes = kinds});
}

/// What is made of a set of digits: pairs of them, and clips.
void add_digit_sets(const std::string& of, LoadImages digits, bool built_in,
                    std::vector<KnownSet>& all) {
  const std::string pairs = of + "-pairs", moving = "moving-" + of;
  add_scenes(
      pairs, concat("64x64 grey, of ", of, ", with captions: 'a three left of a seven'"), built_in,
      [digits, pairs](const auto& folder, const auto& fetch) {
        return digit_kinds(pairs, digits(folder, fetch));
      },
      all);
  all.push_back({.name = moving,
                 .about = concat("clips of two of ", of,
                                 " that bounce in 64x64 grey, 20 frames, 8,000 + 200"),
                 .built_in = built_in,
                 .images = [digits, moving](const auto& folder, const auto& fetch) {
                   return make_moving_digits(moving, digits(folder, fetch));
                 }});
}

std::vector<KnownSet> make_table() {
  std::vector<KnownSet> all = {
      {.name = "digits",
       .about = "procedural handwritten digits, 28x28 grey, 60,000 + 10,000",
       .built_in = true,
       .images = [](const auto&, const auto&) { return make_digits(kDigitsSeed); }}};
  for (const IdxSource& source : idx_sources()) {
    all.push_back({.name = source.name,
                   .about = source.about,
                   .images = [&source](const auto& folder, const auto& fetch) {
                     return load_idx_set(source, folder, fetch);
                   }});
  }
  const auto digits = [](const auto&, const auto&) { return make_digits(kDigitsSeed); };
  const auto mnist = [](const auto& folder, const auto& fetch) {
    const auto source = std::ranges::find(idx_sources(), "mnist", &IdxSource::name);
    return load_idx_set(*source, folder, fetch);
  };
  add_scenes(
      "shapes", "colour, 64x64, with captions: 'a small red circle left of a blue square'", true,
      [](const auto&, const auto&) { return shape_kinds(); }, all);
  add_digit_sets("digits", digits, true, all);
  add_digit_sets("mnist", mnist, false, all);
  all.push_back({.name = shakespeare().name,
                 .about = shakespeare().about,
                 .text = [](const auto& folder, const auto& fetch) {
                   return load_known_text(shakespeare(), folder, fetch);
                 }});
  all.push_back({.name = "sums",
                 .about = "text: 12+7=19, one a line, 9,000 + 1,000",
                 .built_in = true,
                 .items = true,
                 .question_end = "=",
                 .text = [](const auto&, const auto&) { return sums_text(); }});
  return all;
}

}  // namespace

const std::vector<KnownSet>& known_sets() {
  static const std::vector<KnownSet> all = make_table();
  return all;
}

const KnownSet* find_known_set(const std::string& name) {
  for (const KnownSet& set : known_sets()) {
    if (set.name == name) return &set;
  }
  return nullptr;
}

void load_known_set(const KnownSet& set, const std::filesystem::path& data_dir,
                    const FetchOptions& fetch) {
  if (set.images) set.images(data_dir, fetch);
  if (set.text) set.text(data_dir, fetch);
}

std::string known_set_names(bool to_fetch) {
  std::string names;
  for (const KnownSet& set : known_sets()) {
    if (!to_fetch || !set.built_in) names += (names.empty() ? "" : ", ") + set.name;
  }
  return names;
}

void fail_no_dataset(const std::string& source) {
  std::vector<std::string> names;
  for (const KnownSet& set : known_sets()) names.push_back(set.name);
  const std::string near = nearest(source, names);
  fail(ErrorKind::data, "no such file or folder '", source, "', and no data set of that name",
       near.empty() ? "" : "; did you mean '" + near + "'?", "; known: ", known_set_names(),
       ", or the path of a text, a CSV file, a folder of images or one of texts");
}

}  // namespace genai
