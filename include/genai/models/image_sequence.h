// A family of sequences as a model of images, which a codec makes sequences of:
//
//   log p(image) = sum_i log p(token i | tokens before)
//
// (H. Larochelle, I. Murray, "The neural autoregressive distribution estimator", 2011; A. van den
// Oord et al., "Pixel recurrent neural networks", 2016). What a network reads first is no part of
// an image: the words of its caption (A. Ramesh et al., "Zero-shot text-to-image generation"
// (DALL-E), 2021), then a token that says that an image begins, or one of which class.
#pragma once
#include "genai/model/family.h"

namespace genai {

/// The spec of sequences with room for what stands before them.
DataInfo with_prefix(DataInfo sequences, const ConditionSpecs& conditions);

/// The network of `model` as a Generator and Likelihood of images, and nothing else.
/// @param model    a NextToken whose vocabulary is that of `seen`
/// @param context  what it was made for: sequences of a codec
std::unique_ptr<Model> make_image_sequence(std::unique_ptr<Model> model,
                                           const ModelContext& context);

}  // namespace genai
