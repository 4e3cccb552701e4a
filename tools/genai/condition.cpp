#include "condition.h"

#include <charconv>
#include <filesystem>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"

namespace genai::tool {
namespace {

/// The grid of this name; without a name the only one.
const ConditionSpec& grid_named(const std::string& name, const ConditionSpecs& specs) {
  std::vector<std::string> grids;
  const ConditionSpec* only = nullptr;
  for (const ConditionSpec& spec : specs) {
    if (spec.kind != ConditionKind::grid) continue;
    if (spec.name == name) return spec;
    grids.push_back(spec.name);
    only = &spec;
  }
  if (name.empty() && grids.size() == 1) return *only;
  fail(ErrorKind::usage, "--condition: this model is told ",
       grids.empty() ? "no grids" : listed(grids),
       grids.size() > 1 && name.empty() ? "; expected NAME=FILE for each" : "",
       name.empty() ? "" : ", not " + name);
}

}  // namespace

ConditionWords condition_words(const std::vector<std::string>& options) {
  ConditionWords words;
  for (const std::string& option : options) {
    if (option.starts_with("test:")) {
      const char* end = option.data() + option.size();
      const auto [rest, error] = std::from_chars(option.data() + 5, end, words.test);
      if (error != std::errc() || rest != end || words.test < 0) {
        fail(ErrorKind::usage, "--condition: expected test:N, N a number from 0 on, found '",
             option, "'");
      }
      words.all.push_back(concat("test", words.test));
      continue;
    }
    const size_t equals = option.find('=');
    std::error_code none;
    const bool named = equals != option.npos && !std::filesystem::exists(option, none);
    words.files.emplace_back(named ? option.substr(0, equals) : "",
                             named ? option.substr(equals + 1) : option);
    words.all.push_back(std::filesystem::path(words.files.back().second).stem().string());
  }
  if (words.test >= 0 && options.size() > 1) {
    fail(ErrorKind::usage, "--condition: a test item gives all conditions; expected it alone");
  }
  return words;
}

ConditionSource read_conditions(const ConditionWords& words, const Model& model,
                                const DataInfo& info) {
  ConditionSource source{.test = words.test};
  std::string hashes;
  for (const auto& [name, file] : words.files) {
    const ConditionSpec& spec = grid_named(name, model.conditions());
    const std::string bytes = read_file(file, kMaxPicture);
    hashes += sha256(bytes);
    source.given[spec.name] = condition_of_picture(spec, decode_picture(bytes, file).image, info);
  }
  if (!hashes.empty()) source.sha256 = words.files.size() == 1 ? hashes : sha256(hashes);
  return source;
}

}  // namespace genai::tool
