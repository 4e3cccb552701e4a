// What a model is told beside its input: the class of an item, or a grid that a rule derives from
// it (a grey version, a sketch). By name, as PyTorch code calls it a condition.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "genai/base/image.h"
#include "genai/core/draw.h"
#include "genai/data/dataset.h"

namespace genai {

enum class ConditionKind {
  label,     ///< int64 [B]
  grid,      ///< [B, channels, H, W], as high and wide as the items and in their range
  sequence,  ///< int64 [B, length]
};

/// A grid derived from items: an entry of a table.
struct ConditionRule {
  std::string name;       ///< "low"
  std::string about;      ///< for help
  int64_t parameter = 0;  ///< the usual one, others as "low-4"; 0: it has none
  /// Channels of the grid. Throws Error{usage} where items of `info` have no such grid.
  std::function<int64_t(const DataInfo& info, int64_t parameter)> channels;
  /// [B, channels, H, W] of items [B, C, H, W], pixels in [0, 1]. What is random comes from `draw`,
  /// of B items.
  std::function<Tensor(const Tensor& items, int64_t parameter, const Draw& draw)> derive;
  /// What stands for the grid [1, channels, H, W] of a picture of the user's in the size of the
  /// items, in [0, 1]: what derive makes of it; null: the picture as it is.
  std::function<Tensor(const Tensor& picture, int64_t parameter)> accept = nullptr;
};
const std::vector<ConditionRule>& condition_rules();
/// Throws std::logic_error where there is none of this name.
const ConditionRule& find_rule(const std::string& name);

/// Of class labels.
inline constexpr const char* kClass = "class";
/// What comes with pictures: the one of the same name in another folder, words.
inline constexpr const char* kPair = "pair";
inline constexpr const char* kCaption = "caption";
/// Of clips: the frames before.
inline constexpr const char* kPast = "past";

struct ConditionSpec {
  std::string name;  ///< "class", "low-4"
  ConditionKind kind = ConditionKind::label;
  int64_t classes = 0;   ///< of labels
  int64_t channels = 0;  ///< of grids, as the model sees them
  int64_t parameter = 0;
  int64_t fold = 1;  ///< of grids: a model that computes on smaller ones sees the fold x fold
                     ///< pixels of each place as channels
  const ConditionRule* rule = nullptr;  ///< of grids that are derived; null: they are given
  int64_t vocabulary = 0;               ///< of sequences, the last id is "nothing"
  int64_t length = 0;
};
using ConditionSpecs = std::vector<ConditionSpec>;

/// "class,low": the conditions of these names. Throws Error{usage} naming the conditions there are,
/// for one that comes twice and for what items of `info` cannot give.
/// @param seen  what the model computes on: grids of it divide the items' height and width
ConditionSpecs find_conditions(const std::string& names, const DataInfo& info,
                               const DataInfo& seen);
inline ConditionSpecs find_conditions(const std::string& names, const DataInfo& info) {
  return find_conditions(names, info, info);
}

/// "class, pair, past, caption, grey, low (or low-N), ...".
std::string condition_names();

/// What comes with B items.
struct GivenConditions {
  Tensor labels{};    ///< int64 [B], or undefined
  Tensor pairs{};     ///< [B, C', H, W] in [0, 1], or undefined
  Tensor captions{};  ///< int64 [B, length], or undefined
  Tensor past{};      ///< [B, DataInfo::past * C, H, W] in [0, 1], or undefined
};

/// Of items [B, C, H, W] in their range, by name. What cannot be known (the class of items without
/// labels) is left out.
Tensors conditions_of(const ConditionSpecs& specs, const Tensor& items,
                      const GivenConditions& given, const Draw& draw);

/// The grid [1, channels, H, W] that a picture of the user's stands for, which is fitted to the
/// items' size; of a lower resolution it may come in its own.
Tensor condition_of_picture(const ConditionSpec& spec, const Image& picture, const DataInfo& info);

const ConditionSpec* find_condition(const ConditionSpecs& specs, const std::string& name);
/// 0: the model is not told the class.
int64_t classes_of(const ConditionSpecs& specs);
/// Is the model told what an item must be there for: anything but the class?
bool told_of_items(const ConditionSpecs& specs);
/// The sequence among conditions, or undefined; and its spec, or null.
Tensor sequence_among(const Tensors& conditions);
const ConditionSpec* sequence_of(const ConditionSpecs& specs);
/// Channels of all grids together.
int64_t grid_channels(const ConditionSpecs& specs);
/// The labels among conditions, or undefined.
Tensor labels_among(const Tensors& conditions);
/// All grids as channels [B, grid_channels, H, W]; undefined where there are none. Throws
/// std::logic_error where some are missing.
Tensor grids_among(const ConditionSpecs& specs, const Tensors& conditions);

}  // namespace genai
