// The words of captions, as a model is told them.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "genai/base/json.h"

namespace genai {

/// Lower-case words, of letters, digits and what is not ASCII: "A red circle." is a, red, circle.
std::vector<std::string> caption_words(std::string_view caption);

class Captions {
 public:
  /// The words of training captions, most frequent first, at most kMostWords; captions are as long
  /// as the longest of them, at most kLongest words.
  static Captions learn(const std::vector<std::string>& captions);
  static constexpr size_t kMostWords = 10000;
  static constexpr int64_t kLongest = 64;

  /// Ids: words from 0 on, then one for words that are not known, then one for "no word".
  int64_t vocabulary() const { return static_cast<int64_t>(words_.size()) + 2; }
  int64_t length() const { return length_; }
  int64_t padding() const { return vocabulary() - 1; }
  /// length() ids; words beyond it are cut off.
  std::vector<int64_t> encode(std::string_view caption) const;
  /// The words of ids, one space between them.
  std::string decode(std::span<const int64_t> ids) const;
  /// Throws Error{usage} naming words that no training caption has, and for a text without words or
  /// with too many.
  void check(std::string_view caption, const std::string& option) const;

  /// {"words": [...], "length": 9}. from_json throws Error{data} or Json::exception.
  Json to_json() const;
  static Captions from_json(const Json& json);

 private:
  Captions(std::vector<std::string> words, int64_t length);

  std::vector<std::string> words_;
  std::unordered_map<std::string, int64_t> ids_;
  int64_t length_ = 1;
};

}  // namespace genai
