// Every data set that is known by a name, as one entry of a table: what help, errors, `genai data`
// and `genai doctor` say of them comes from here.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "genai/data/known_texts.h"
#include "genai/data/mnist.h"
#include "genai/data/scenes.h"

namespace genai {

struct KnownSet {
  std::string name;            ///< "mnist"
  std::string about;           ///< "handwritten digits, 28x28 grey, 60,000 + 10,000"
  bool built_in = false;       ///< made by a program; else files, looked for and fetched
  bool items = false;          ///< a text whose lines are items of their own
  std::string question_end{};  ///< of lines that are a question and its answer, what parts the two
  /// Of images; null: a text. Throws what load_idx_set does.
  std::function<ImageSet(const std::filesystem::path& data_dir, const FetchOptions&)> images{};
  /// Of pictures of things with captions: what they are made of; else null.
  std::function<SceneKinds(const std::filesystem::path& data_dir, const FetchOptions&)> scenes{};
  /// Of a text; null: images. Throws what load_known_text does.
  std::function<std::string(const std::filesystem::path& data_dir, const FetchOptions&)> text{};
};

/// In the order that they are shown in.
const std::vector<KnownSet>& known_sets();

/// Null where no set is called so.
const KnownSet* find_known_set(const std::string& name);

/// Its files are there and whole, fetched where allowed; throws what its loader does.
void load_known_set(const KnownSet& set, const std::filesystem::path& data_dir,
                    const FetchOptions& fetch);

/// "digits, mnist, ...": all of them, or those that can be fetched.
std::string known_set_names(bool to_fetch = false);

/// Throws Error{data}: neither a known set nor a path, and what there is.
[[noreturn]] void fail_no_dataset(const std::string& source);

}  // namespace genai
