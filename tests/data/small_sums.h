// The first of the built-in sums as a data set.
#pragma once
#include "genai/data/text_set.h"

namespace genai {

inline Dataset small_sums(int64_t train, int64_t test) {
  Dataset some = load_dataset({.source = "sums"});
  some.train = some.train.first(train);
  some.test = some.test.first(test);
  some.info.train_count = train;
  some.info.test_count = test;
  return some;
}

}  // namespace genai
