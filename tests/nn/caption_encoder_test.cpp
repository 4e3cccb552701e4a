#include "genai/nn/caption_encoder.h"

#include <ATen/core/grad_mode.h>

#include "tensors.h"

namespace genai {
namespace {

constexpr int64_t kWords = 6, kNothing = kWords - 1, kLength = 5, kNumbers = 16;

EncodedCaption encoded(const std::vector<int64_t>& ids) {
  torch::manual_seed(1);
  CaptionEncoder encoder(kWords, kLength, kNumbers, /*out=*/8);
  const at::NoGradGuard no_grad;
  return encoder->forward(at::tensor(ids, at::kLong).view({-1, kLength}));
}

TEST(CaptionEncoder, TellsTheOrderOfWords) {
  const EncodedCaption found = encoded({0, 1, 2, kNothing, kNothing, 2, 1, 0, kNothing, kNothing});
  EXPECT_EQ(found.whole.sizes(), (at::IntArrayRef{2, 8}));
  EXPECT_EQ(found.words.sizes(), (at::IntArrayRef{2, kLength, kNumbers}));
  EXPECT_GT(relative(found.whole[0], found.whole[1]), 0.1);
  // The middle word stands where it stood, among others.
  EXPECT_GT(relative(found.words[0][1], found.words[1][1]), 0.01);
}

TEST(CaptionEncoder, SeesOnlyWordsThatAreThere) {
  const EncodedCaption found = encoded({3, kNothing, kNothing, kNothing, kNothing,  //
                                        kNothing, kNothing, kNothing, kNothing, kNothing});
  EXPECT_EQ(largest(found.words[0].narrow(0, 1, 4)), 0);
  EXPECT_EQ(largest(found.words[1]), 0);
  EXPECT_GT(largest(found.words[0][0]), 0);
  EXPECT_GT(distance(found.whole[0], found.whole[1]), 0);
}

}  // namespace
}  // namespace genai
