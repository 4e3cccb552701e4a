// What samples are told, as pictures to stand beside them and as words.
#pragma once
#include "genai/base/image.h"
#include "genai/generation/generate.h"

namespace genai {

/// For each sample the pictures of what it is told, from left to right.
using ToldPictures = std::vector<std::vector<Image>>;

/// Pictures that stand beside each sample of a model: one for each grid that it is told, of `past`
/// one for each frame; 0 where it is told none.
int64_t told_picture_count(const ConditionSpecs& specs, const DataInfo& info);

/// Grids as pictures of the items' size, told_picture_count() for each row, those of a row from
/// left to right. What is hidden from a model that is told `masked` is grey.
/// @param told  by name, [B, C, h, w] of each grid among the specs
ToldPictures told_pictures(const ConditionSpecs& specs, const Tensors& told, const DataInfo& info);

/// Those of all samples of a request, as generate_items tells them.
ToldPictures told_pictures(const LoadedModel& loaded, const ImageRequest& request);

/// The caption that each of them is told; none where the model is told no captions.
std::vector<std::string> told_captions(const LoadedModel& loaded, const ImageRequest& request);

/// Pictures of one height from left to right without a gap; in colour if one of them is.
Image side_by_side(const std::vector<Image>& pictures);

}  // namespace genai
