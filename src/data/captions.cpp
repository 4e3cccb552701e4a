#include "genai/data/captions.h"

#include <algorithm>
#include <map>
#include <set>

#include "genai/base/error.h"
#include "genai/base/fields.h"
#include "genai/base/text.h"

namespace genai {

std::vector<std::string> caption_words(std::string_view caption) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (const char c : caption) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
    if (c >= 'A' && c <= 'Z') {
      word += static_cast<char>(c - 'A' + 'a');
    } else if (letter) {
      word += c;
    } else {
      end_word();
    }
  }
  end_word();
  return words;
}

Captions::Captions(std::vector<std::string> words, int64_t length)
    : words_(std::move(words)), length_(length) {
  for (const std::string& word : words_) ids_.emplace(word, static_cast<int64_t>(ids_.size()));
}

Captions Captions::learn(const std::vector<std::string>& captions) {
  std::map<std::string, int64_t> counts;
  int64_t longest = 1;
  for (const std::string& caption : captions) {
    const auto words = caption_words(caption);
    longest = std::max(longest, static_cast<int64_t>(words.size()));
    for (const std::string& word : words) ++counts[word];
  }
  std::vector<std::string> words;
  for (const auto& [word, count] : counts) words.push_back(word);
  std::ranges::stable_sort(words, std::greater(), [&](const auto& word) { return counts[word]; });
  if (words.size() > kMostWords) words.resize(kMostWords);
  return {std::move(words), std::min(longest, kLongest)};
}

std::vector<int64_t> Captions::encode(std::string_view caption) const {
  std::vector<int64_t> ids;
  for (const std::string& word : caption_words(caption)) {
    const auto found = ids_.find(word);
    ids.push_back(found == ids_.end() ? padding() - 1 : found->second);
  }
  ids.resize(static_cast<size_t>(length_), padding());
  return ids;
}

std::string Captions::decode(std::span<const int64_t> ids) const {
  std::string text;
  for (const int64_t id : ids) {
    if (id < 0 || id >= static_cast<int64_t>(words_.size())) continue;
    text += (text.empty() ? "" : " ") + words_[static_cast<size_t>(id)];
  }
  return text;
}

void Captions::check(std::string_view caption, const std::string& option) const {
  const auto words = caption_words(caption);
  if (words.empty())
    fail(ErrorKind::usage, option, ": expected words, found '", inert(caption), "'");
  std::string unknown, meant;
  std::set<std::string> told;
  for (const std::string& word : words) {
    constexpr size_t kNamed = 5;
    if (ids_.contains(word) || told.size() == kNamed || !told.insert(word).second) continue;
    unknown += concat(unknown.empty() ? "'" : ", '", inert(word), "'");
    if (const std::string near = nearest(word, words_); !near.empty())
      meant += concat(meant.empty() ? "'" : ", '", near, "'");
  }
  if (!unknown.empty()) {
    fail(ErrorKind::usage, option, ": no training caption has the ",
         told.size() == 1 ? "word " : "words ", unknown,
         meant.empty() ? "" : "; did you mean " + meant + "?");
  }
  if (static_cast<int64_t>(words.size()) > length_) {
    fail(ErrorKind::usage, option, ": expected at most ", length_, " words, as captions had in ",
         "training, found ", words.size());
  }
}

Json Captions::to_json() const {
  return {{"words", words_}, {"length", length_}};
}

Captions Captions::from_json(const Json& json) {
  auto words = json.at("words").get<std::vector<std::string>>();
  const auto length = json.at("length").get<int64_t>();
  if (words.size() > kMostWords || length < 1 || length > kLongest) {
    fail(ErrorKind::data, "captions of ", words.size(), " words, ", length,
         " at once, are none of ", "ours");
  }
  return {std::move(words), length};
}

}  // namespace genai
