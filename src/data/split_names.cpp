#include "genai/data/split_names.h"

namespace genai {

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  return text;
}

std::string split_named(const std::string& name) {
  std::string word = lower_case(name);
  for (const std::string end : {"set", "images", "imgs", "data", "split"}) {
    if (!word.ends_with(end) || word == end) continue;
    word.resize(word.size() - end.size());
    if (word.back() == '_' || word.back() == '-') word.pop_back();
    break;
  }
  word = word.substr(word.find_last_of("_-") + 1);
  if (word == "train" || word == "training") return "train";
  if (word == "test" || word == "testing") return "test";
  if (word == "val" || word == "valid" || word == "validation" || word == "dev") return "val";
  return "";
}

bool hold_splits(const std::set<std::string>& names) {
  bool train = false, other = false;
  for (const std::string& name : names) {
    const std::string split = split_named(name);
    train = train || split == "train";
    other = other || split == "test" || split == "val";
  }
  return train && other;
}

}  // namespace genai
