// Random models code what they never saw: it comes back all the same, at the cost that they say.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "base/temp_folder.h"
#include "genai/compression/latent_coder.h"
#include "genai/compression/text_coder.h"
#include "genai/core/coding_tables.h"
#include "genai/core/draw.h"
#include "genai/core/numerics.h"
#include "genai/core/philox.h"
#include "models/text_runs.h"
#include "tensors.h"

namespace genai {
namespace {

const Json kTiny = Json::object();  // no settings changed

LoadedModel load(const std::string& family, const Json& changes, const DataInfo& info,
                 double strength) {
  LoadedModel loaded;
  loaded.family = &find_family(family);
  loaded.model = random_text_model(family, info, changes, strength);
  loaded.manifest.data = info;
  return loaded;
}

DataInfo images_info(int64_t channels, Binarize binarize) {
  return {.source = "small",
          .channels = channels,
          .height = 8,
          .width = 6,
          .binarize = binarize,
          .fingerprint = "f"};
}

Tensor some_images(int64_t count, const DataInfo& info) {
  const Tensor x =
      Draw(3, "images", ids(count)).uniform("x", {info.channels, info.height, info.width});
  return (info.binarize == Binarize::none ? x * 256 : x.lt(0.3) * 255).to(at::kByte);
}

/// Codes and decodes again at 1, 2 and 3 threads; returns the bits.
double expect_round_trip(const std::string& family, const Json& changes, const DataInfo& info,
                         int64_t count, double strength = 0.3) {
  const Tensor images = some_images(count, info);
  std::string bytes;
  for (const int64_t threads : {1, 2, 3}) {
    const KeepThreads keep;
    set_threads(threads);
    LoadedModel loaded = load(family, changes, info, strength);
    AnsStack stack;
    LatentCoder(loaded).encode(images, stack);
    if (threads == 1) bytes = stack.to_bytes();
    EXPECT_EQ(stack.to_bytes(), bytes) << threads;
    LoadedModel again = load(family, changes, info, strength);
    AnsStack back = AnsStack::from_bytes(bytes);
    EXPECT_TRUE(at::equal(LatentCoder(again).decode(count, back), images)) << threads;
    EXPECT_TRUE(back.only_borrowed());
  }
  return 8.0 * static_cast<double>(bytes.size());
}

TEST(LatentCoder, BinaryImagesComeBackAtTheCostOfTheBound) {
  const DataInfo info = images_info(1, Binarize::threshold);
  const double bits = expect_round_trip("vae", kTiny, info, 1000, 0.1);
  const double bound = elbo_bits(load("vae", kTiny, info, 0.1), some_images(1000, info));
  // Two sets of draws of z, and the bits of the first image.
  EXPECT_NEAR(bits / bound, 1, 0.003);
}

TEST(LatentCoder, GreyAndColourAsLevelsOfAGaussian) {
  const Json grey{{"pixels", "gaussian"}};
  const DataInfo info = images_info(3, Binarize::none);
  const double bits = expect_round_trip("vae", grey, info, 300, 0.05);
  const double bound = elbo_bits(load("vae", grey, info, 0.05), some_images(300, info));
  // The mass of a level is more than a bound of it by dequantization.
  EXPECT_LT(bits, 1.01 * bound);
  EXPECT_GT(bits, 0.9 * bound);
}

TEST(LatentCoder, EveryKindOfLatentSpace) {
  const DataInfo info = images_info(1, Binarize::dynamic);
  const Json conv{{"kind", "conv"}, {"width", 4}, {"levels", 1}, {"hidden", {16}}};
  expect_round_trip("vae", {{"encoder", conv}, {"decoder", conv}}, info, 70);
  expect_round_trip("vae", {{"encoder", conv}, {"decoder", conv}, {"latent_grid", true}}, info, 70);
  const Json codes{{"latent_levels", 5}};
  const double bits = expect_round_trip("vae", codes, info, 200);
  const double bound = elbo_bits(load("vae", codes, info, 0.3), some_images(200, info));
  EXPECT_NEAR(bits, bound + 32, 0.001 * bound + 32);  // nothing is drawn; the state is 32 to 64
}

TEST(LatentCoder, OneImageAndWildWeights) {
  expect_round_trip("vae", kTiny, images_info(1, Binarize::fixed), 1);
  expect_round_trip("vae", kTiny, images_info(1, Binarize::fixed), 40, /*strength=*/5);
}

TEST(LatentCoder, ModelsWithoutADistributionOfThePixelsSayWhatWouldHaveOne) {
  const auto refuse = [](const std::string& part, const std::string& family, const Json& changes,
                         const DataInfo& info) {
    LoadedModel loaded = load(family, changes, info, 0.1);
    expect_error(ErrorKind::usage, part, [&] { LatentCoder coder(loaded); });
  };
  refuse("model.pixels gaussian", "vae", kTiny, images_info(1, Binarize::none));
  DataInfo labelled = images_info(1, Binarize::dynamic);
  labelled.classes = {"a", "b"};
  refuse("told 'class'", "vae", {{"condition", "class"}}, labelled);
}

TEST(LatentCoder, ACodeThatEndsTooEarlyIsRefused) {
  const DataInfo info = images_info(1, Binarize::threshold);
  LoadedModel loaded = load("vae", kTiny, info, 0.3);
  LatentCoder coder(loaded);
  AnsStack stack;
  expect_error(ErrorKind::data, "ends before", [&] { coder.decode(1'000'000, stack); });
}

// ---- Texts

std::string letters(int64_t count) {
  std::string text;
  UniformStream numbers(stream_key(5, "letters"), 0);
  for (int64_t i = 0; i < count; ++i) text += "\nabcdefgh"[numbers.below(9)];
  return text;
}

/// Codes at 1, 2 and 3 threads; returns what it came to.
TextCoder::Coded expect_texts_back(const std::string& family, const DataInfo& info,
                                   const std::vector<std::string>& texts, double* bits = nullptr) {
  const LoadedModel loaded = load(family, kTiny, info, 0.3);
  TextCoder::Coded coded;
  std::string bytes;
  for (const int threads : {1, 2, 3}) {
    AnsStack stack;
    coded = TextCoder(loaded, threads).encode(texts, stack);
    if (threads == 1) bytes = stack.to_bytes();
    EXPECT_EQ(stack.to_bytes(), bytes) << threads;
    std::vector<TextCoder::Size> sizes;
    for (size_t i = 0; i < texts.size(); ++i)
      sizes.push_back({static_cast<int64_t>(texts[i].size()), coded.symbols[i]});
    AnsStack back = AnsStack::from_bytes(bytes);
    EXPECT_EQ(TextCoder(loaded, threads).decode(sizes, back), texts) << threads;
    EXPECT_TRUE(back.only_borrowed());
  }
  if (bits) *bits = 8.0 * static_cast<double>(bytes.size());
  return coded;
}

TEST(TextCoder, TextsLongerThanTheContextComeBackAtTheCostOfTheModel) {
  for (const char* family : {"transformer", "rnn"}) {
    double bits = 0;
    const auto coded = expect_texts_back(family, text_info(16), {letters(3000), "", "a"}, &bits);
    EXPECT_EQ(coded.symbols, (std::vector<int64_t>{3000, 0, 1})) << family;
    EXPECT_NEAR(bits / coded.bits, 1, 0.01) << family;
  }
}

TEST(TextCoder, SeveralPassagesSideBySide) {
  expect_texts_back("rnn", text_info(8), {letters(40'000), letters(100)});
}

TEST(TextCoder, LinesBeginAnew) {
  expect_texts_back("transformer", text_info(16, /*lines=*/true), {letters(500), "abc"});
}

TEST(TextCoder, BytesThatTheTokenizerCannotSay) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  double bits = 0;
  expect_texts_back("rnn", text_info(8),
                    {"abc\r\nabc",
                     "gr\xc3\xb6\xc3\x9f"
                     "e",
                     all + all + all},
                    &bits);
  // Bytes in runs cost little more than 8 bits.
  const std::string foreign(10'000, 'Z');
  const auto coded = expect_texts_back("rnn", text_info(8), {foreign}, &bits);
  EXPECT_EQ(coded.symbols[0], (10'000 + 255) / 256);
  EXPECT_LT(bits, 8.2 * 10'000);
}

TEST(TextCoder, EveryTokenizerTakesAnyBytes) {
  std::string all = "the cat and the dog and the cat\n";
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (const TokenizerKind kind :
       {TokenizerKind::bytes, TokenizerKind::bpe, TokenizerKind::words}) {
    DataInfo info = text_info(16);
    info.tokenizer = make_tokenizer(kind, "the cat and the dog and the cat\n",
                                    kind == TokenizerKind::bpe ? 260 : 0);
    expect_texts_back("transformer", info, {all, "\xff\xfe the"});
  }
}

TEST(TextCoder, CodesThatLieAreRefused) {
  const LoadedModel loaded = load("rnn", kTiny, text_info(8), 0.3);
  const TextCoder::Size far[] = {{.bytes = 1 << 26, .symbols = 1 << 26}};
  AnsStack empty;
  expect_error(ErrorKind::data, "ends before", [&] { TextCoder(loaded, 1).decode(far, empty); });
  AnsStack stack;
  for (int i = 0; i < 100; ++i) stack.push(uniform_interval(i, 256));
  const TextCoder::Size small[] = {{.bytes = 2, .symbols = 3}};
  expect_error(ErrorKind::data, "larger than its 2 bytes",
               [&] { TextCoder(loaded, 1).decode(small, stack); });
}

}  // namespace
}  // namespace genai
