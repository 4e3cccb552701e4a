// The first of the built-in digits as a data set.
#pragma once
#include <ATen/ATen.h>

#include "genai/data/dataset.h"
#include "genai/data/digits.h"
#include "genai/data/images.h"

namespace genai {

inline Dataset small_digits(int64_t train, int64_t test) {
  const ImageSet set = make_digits(0, train, test);
  const auto split = [](const LabelledImages& images) {
    return Split{.grids = to_tensor(images), .labels = at::tensor(images.labels, at::kLong)};
  };
  return {.info = {.source = set.name,
                   .channels = set.train.channels,
                   .height = set.train.height,
                   .width = set.train.width,
                   .classes = set.classes,
                   .train_count = set.train.count,
                   .test_count = set.test.count,
                   .fingerprint = set.fingerprint},
          .train = split(set.train),
          .test = split(set.test),
          .notes = {}};
}

}  // namespace genai
