#include "genai/data/scenes.h"

#include <algorithm>
#include <memory>

#include "genai/base/error.h"
#include "genai/base/hash.h"

namespace genai {
namespace {

constexpr int kVersion = 1;  // raise it with every change of the pixels: it is in the fingerprint

struct Relation {
  const char* words;
  Window first, second;
};
constexpr int64_t kMiddle = (kSceneSide - kWindowSide) / 2, kEnd = kSceneSide - kWindowSide;
constexpr Relation kRelations[] = {{" left of ", {0, kMiddle}, {kEnd, kMiddle}},
                                   {" right of ", {kEnd, kMiddle}, {0, kMiddle}},
                                   {" above ", {kMiddle, 0}, {kMiddle, kEnd}},
                                   {" below ", {kMiddle, kEnd}, {kMiddle, 0}}};

std::string with_article(const std::string& words) {
  const bool vowel = std::string("aeiou").find(words[0]) != std::string::npos;
  return concat(vowel ? "an " : "a ", words);
}

/// The kind that a thing's words end in; -1: none.
int64_t kind_of(const std::string& words, const std::vector<std::string>& kinds) {
  for (size_t kind = 0; kind < kinds.size(); ++kind) {
    if (words.ends_with(concat(" ", kinds[kind]))) return static_cast<int64_t>(kind);
  }
  return -1;
}

/// @param side  of a picture
template <class Draw>
LabelledImages draw_all(const SceneKinds& kinds, int64_t count, int64_t side, Draw draw) {
  const int64_t numbers = kinds.channels * side * side;
  LabelledImages images{.count = count,
                        .channels = kinds.channels,
                        .height = side,
                        .width = side,
                        .pixels = std::vector<uint8_t>(static_cast<size_t>(count * numbers)),
                        .labels = {}};
  for (int64_t i = 0; i < count; ++i)
    draw(i, Canvas{kinds.channels, side, images.pixels.data() + i * numbers}, images);
  return images;
}

LabelledImages draw_scenes(const SceneKinds& kinds, bool test, int64_t count) {
  return draw_all(kinds, count, kSceneSide, [&](int64_t i, Canvas canvas, LabelledImages& images) {
    int64_t label = 0;
    images.captions.push_back(draw_scene(kinds, test, i, canvas, &label));
    images.labels.push_back(label);
  });
}

LabelledImages draw_things(const SceneKinds& kinds, bool test, int64_t count) {
  const uint64_t key = stream_key(test ? 1 : 0, kinds.name + "/things");
  return draw_all(kinds, count, kWindowSide, [&](int64_t i, Canvas canvas, LabelledImages& images) {
    UniformStream numbers(key, i);
    kinds.ground(numbers, canvas);
    const int64_t kind = numbers.below(static_cast<int64_t>(kinds.kinds.size()));
    kinds.draw(kind, test, numbers, {}, canvas);
    images.labels.push_back(kind);
  });
}

ImageSet set_of(const SceneKinds& kinds, const std::string& name, LabelledImages train,
                LabelledImages test) {
  std::string fingerprint =
      sha256(concat("genai scenes ", kVersion, " ", name, " ", kinds.fingerprint, " train ",
                    train.count, " test ", test.count));
  return {.name = name,
          .classes = kinds.kinds,
          .train = std::move(train),
          .test = std::move(test),
          .fingerprint = std::move(fingerprint),
          .notes = {}};
}

}  // namespace

bool is_held_out(int64_t kind, int64_t other) {
  static const uint64_t key = stream_key(0, "held-out");
  const auto [low, high] = std::minmax(kind, other);
  return low != high &&
         uniform_at(key, static_cast<uint64_t>(low), static_cast<uint64_t>(high)) < 0.1;
}

std::string draw_scene(const SceneKinds& kinds, bool test, int64_t index, Canvas canvas,
                       int64_t* label) {
  UniformStream numbers(stream_key(test ? 1 : 0, kinds.name), index);
  kinds.ground(numbers, canvas);
  const auto count = static_cast<int64_t>(kinds.kinds.size());
  const auto put = [&](int64_t kind, Window window) {
    const std::string before = kinds.draw(kind, test, numbers, window, canvas);
    return with_article(before + kinds.kinds[static_cast<size_t>(kind)]);
  };
  if (numbers.next() < kinds.alone) {
    *label = numbers.below(count);
    const Window window{numbers.below(kEnd + 1), numbers.below(kEnd + 1)};
    return put(*label, window);
  }
  const auto which = static_cast<size_t>(numbers.below(std::size(kRelations)));
  const Relation& relation = kRelations[which];
  int64_t first, second;
  do {
    first = numbers.below(count);
    second = numbers.below(count);
  } while (is_held_out(first, second) != test);
  *label = which % 2 == 0 ? first : second;
  const std::string subject = put(first, relation.first);
  return subject + relation.words + put(second, relation.second);
}

ImageSet make_scenes(const SceneKinds& kinds, int64_t train, int64_t test) {
  return set_of(kinds, kinds.name, draw_scenes(kinds, false, train),
                draw_scenes(kinds, true, test));
}

ImageSet make_things(const SceneKinds& kinds, int64_t train, int64_t test) {
  return set_of(kinds, kinds.name + "-things", draw_things(kinds, false, train),
                draw_things(kinds, true, test));
}

std::vector<PlacedThing> things_of(const std::string& caption,
                                   const std::vector<std::string>& kinds) {
  for (const Relation& relation : kRelations) {
    const size_t at = caption.find(relation.words);
    if (at == std::string::npos) continue;
    const int64_t first = kind_of(caption.substr(0, at), kinds);
    const int64_t second =
        kind_of(concat(" ", caption.substr(at + std::string(relation.words).size())), kinds);
    if (first >= 0 && second >= 0) return {{first, relation.first}, {second, relation.second}};
  }
  return {};
}

SceneKinds digit_kinds(const std::string& name, ImageSet digits) {
  constexpr int64_t kDigit = 28, kSpare = kWindowSide - kDigit;
  if (digits.train.width != kDigit || digits.train.height != kDigit ||
      digits.classes.size() != 10) {
    fail(ErrorKind::usage, name, ": expected ten digits of 28x28");
  }
  const auto source = std::make_shared<const ImageSet>(std::move(digits));
  return {.name = name,
          .channels = 1,
          .kinds = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"},
          .fingerprint = source->fingerprint,
          .ground =
              [](UniformStream&, Canvas canvas) {
                std::fill_n(canvas.pixels, canvas.side * canvas.side, uint8_t{0});
              },
          .draw = [source](int64_t kind, bool test, UniformStream& numbers, Window window,
                           Canvas canvas) -> std::string {
            const LabelledImages& images = test ? source->test : source->train;
            int64_t chosen;
            do {
              chosen = numbers.below(images.count);
            } while (images.labels[static_cast<size_t>(chosen)] != kind);
            const int64_t x = window.x + numbers.below(kSpare + 1),
                          y = window.y + numbers.below(kSpare + 1);
            const uint8_t* pixels = images.pixels.data() + chosen * kDigit * kDigit;
            for (int64_t row = 0; row < kDigit; ++row)
              std::copy_n(pixels + row * kDigit, kDigit, &canvas.at(0, y + row, x));
            return "";
          }};
}

}  // namespace genai
