// How people call the parts of a data set.
#pragma once
#include <set>
#include <string>

namespace genai {

/// A to Z as a to z.
std::string lower_case(std::string text);

/// "train" of "Train", "training_set" or "seg_train"; "test" and "val" alike; else empty.
std::string split_named(const std::string& name);

/// Is there a part for training and another one among these names?
bool hold_splits(const std::set<std::string>& names);

}  // namespace genai
