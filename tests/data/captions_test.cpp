#include "genai/data/captions.h"

#include <gtest/gtest.h>

#include "base/temp_folder.h"
#include "genai/base/error.h"

namespace genai {
namespace {

TEST(CaptionWords, AreLettersDigitsAndWhatIsNotAscii) {
  EXPECT_EQ(caption_words("A red circle, left-of 2 Squares."),
            (std::vector<std::string>{"a", "red", "circle", "left", "of", "2", "squares"}));
  EXPECT_EQ(caption_words("ein gr\xC3\xBCner Kreis"),
            (std::vector<std::string>{"ein", "gr\xC3\xBCner", "kreis"}));
  EXPECT_TRUE(caption_words(" .,!\n").empty());
}

TEST(CaptionIds, AreThoseOfWordsThenUnknownThenNothing) {
  const Captions words = Captions::learn({"a red circle", "a blue circle above a square"});
  EXPECT_EQ(words.length(), 6);
  EXPECT_EQ(words.vocabulary(), 6 + 2);
  // The most frequent first, else by the alphabet: a, circle, above, blue, red, square.
  EXPECT_EQ(words.encode("A red circle"), (std::vector<int64_t>{0, 4, 1, 7, 7, 7}));
  EXPECT_EQ(words.encode("a green circle"), (std::vector<int64_t>{0, 6, 1, 7, 7, 7}));
  EXPECT_EQ(words.encode(""), (std::vector<int64_t>(6, 7)));
  EXPECT_EQ(words.encode("a a a a a a a a").size(), 6u);
  const Captions again = Captions::from_json(words.to_json());
  EXPECT_EQ(again.encode("blue above square"), words.encode("blue above square"));
  EXPECT_EQ(again.length(), 6);
}

TEST(CaptionIds, OfPromptsAreChecked) {
  const Captions words = Captions::learn({"a red circle", "a blue circle above a square"});
  words.check("a red square", "--prompt");
  expect_error(ErrorKind::usage,
               "--prompt: no training caption has the word 'squere'; did you mean "
               "'square'?",
               [&] { words.check("a red squere", "--prompt"); });
  expect_error(ErrorKind::usage,
               "--prompt: no training caption has the words 'blu', 'squere'; did you mean 'blue', "
               "'square'?",
               [&] { words.check("a blu squere", "--prompt"); });
  expect_error(ErrorKind::usage, "--prompt: expected words, found '...'",
               [&] { words.check("...", "--prompt"); });
  expect_error(ErrorKind::usage, "expected at most 6 words",
               [&] { words.check("a a a a a a a", "--prompt"); });
}

TEST(CaptionIds, OfDamagedFilesAreRefused) {
  expect_error(ErrorKind::data, "none of ours", [] {
    Captions::from_json({{"words", {"a"}}, {"length", 0}});
  });
  expect_error(ErrorKind::data, "none of ours", [] {
    Captions::from_json({{"words", std::vector<std::string>(10001, "a")}, {"length", 1}});
  });
}

}  // namespace
}  // namespace genai
