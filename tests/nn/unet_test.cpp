#include "genai/nn/unet.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <numeric>

#include "base/temp_folder.h"
#include "genai/core/draw.h"
#include "tensors.h"

namespace genai {
namespace {

Tensor floats(const std::vector<double>& values) {
  return at::tensor(values, at::kFloat);
}
Tensor labels(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

UNet make(const UNetConfig& config, int64_t in = 1, int64_t out = 1, int64_t classes = 0) {
  torch::manual_seed(1);
  UNet network(config, in, out, classes);
  network->eval();
  return network;
}

UNetConfig tiny() {
  return {.width = 8, .multipliers = {1, 2}, .blocks = 1, .head_width = 8};
}

TEST(SinusoidalEmbedding, HasKnownValues) {
  const Tensor found = sinusoidal_embedding(floats({0, 1, 1000}), 4);  // rates 1 and 1 / 100
  const Tensor expected =
      floats({1, 1, 0, 0, std::cos(1), std::cos(0.01), std::sin(1), std::sin(0.01), std::cos(1000),
              std::cos(10), std::sin(1000), std::sin(10)})
          .view({3, 4});
  EXPECT_LT(relative(found, expected), 1e-5);
}

TEST(SinusoidalEmbedding, TellsNeighbouringTimesApart) {
  const Tensor found = sinusoidal_embedding(at::arange(1001, at::kFloat), 32);
  ASSERT_EQ(found.sizes(), (at::IntArrayRef{1001, 32}));
  EXPECT_LE(found.abs().max().item<double>(), 1);
  const Tensor gaps = (found.narrow(0, 1, 1000) - found.narrow(0, 0, 1000)).norm(2, 1);
  EXPECT_GT(gaps.min().item<double>(), 0.1);
}

TEST(UNet, TakesImagesOfAnySize) {
  const at::NoGradGuard no_grad;
  for (const auto& [h, w] : {std::pair{28, 28}, {32, 32}, {27, 35}, {16, 40}}) {
    for (const int64_t patch : {1, 2, 4}) {
      for (const std::vector<int64_t>& multipliers : {std::vector<int64_t>{1}, {1, 2}, {1, 2, 3}}) {
        for (const int64_t channels : {1, 3}) {
          UNetConfig config{.width = 4, .multipliers = multipliers, .blocks = 1, .patch = patch};
          if (patch > 1) config.attention = {static_cast<int64_t>(multipliers.size()) - 1};
          if (patch > 2) config.attention.push_back(0);
          check_unet(config, h, w);
          UNet network = make(config, channels, channels, 2);
          const Tensor x = random("x", {2, channels, h, w});
          const Tensor y = network->forward(x, floats({10, 900}), labels({0, 2}));
          EXPECT_EQ(y.sizes(), x.sizes()) << patch;
          EXPECT_TRUE(y.isfinite().all().item<bool>());
        }
      }
    }
  }
}

TEST(UNet, MakesAsManyChannelsAsAsked) {
  UNet network = make(tiny(), 4, 3);
  EXPECT_EQ(network->forward(random("x", {2, 4, 8, 8}), floats({1, 2}), {}).sizes(),
            (at::IntArrayRef{2, 3, 8, 8}));
}

TEST(UNet, HasTheParametersOfItsDescription) {
  const auto count = [](const UNet& network) {
    int64_t sum = 0;
    for (const Tensor& parameter : network->parameters()) sum += parameter.numel();
    return sum;
  };
  const auto map = [](int64_t in, int64_t out) { return in * out + out; };  // also of 1x1
  const auto convolution = [](int64_t in, int64_t out) { return 9 * in * out + out; };
  const auto residual = [&](int64_t in, int64_t out) {
    return 2 * in + convolution(in, out) + map(32, 2 * out) + 2 * out + convolution(out, out) +
           (in == out ? 0 : map(in, out));
  };
  const auto attention = [&](int64_t c) { return 2 * c + map(c, 3 * c) + map(c, c); };
  const int64_t conditions = map(8, 32) + map(32, 32), classes = 4 * 32;   // 3 and none
  const int64_t ends = convolution(2 * 4, 8) + 2 * 8 + convolution(8, 4);  // patches of 4 pixels
  const int64_t down = residual(8, 8) + convolution(8, 8) + residual(8, 16) + attention(16);
  const int64_t middle = 2 * residual(16, 16) + attention(16);
  // One block more on the way up; each sees what left the way down at its resolution.
  const int64_t up = residual(16 + 16, 16) + residual(16 + 8, 16) + 2 * attention(16) +
                     convolution(16, 8) + residual(8 + 8, 8) + residual(8 + 8, 8);
  UNetConfig config = tiny();
  config.attention = {1};
  config.patch = 2;
  EXPECT_EQ(count(make(config, 2, 1, 3)), conditions + classes + ends + down + middle + up);
  // That of the preset.
  EXPECT_EQ(
      count(make({.width = 32, .multipliers = {1, 2}, .blocks = 2, .attention = {1}, .patch = 2})),
      1'053'124);
}

TEST(UNet, OfAFreshNetworkSaysNearlyNothing) {  // so that its first predictions are not wild
  UNet network = make(tiny(), 1, 1, 3);
  const Tensor y = network->forward(random("x", {4, 1, 28, 28}), floats({0, 10, 500, 1000}),
                                    labels({0, 1, 2, 3}));
  EXPECT_LT(y.std().item<double>(), 0.02);
  EXPECT_GT(y.std().item<double>(), 1e-5);
}

TEST(UNet, IsToldTimeAndClass) {
  UNet network = make(tiny(), 1, 1, 3);
  const Tensor x = random("x", {1, 1, 8, 8}).expand({4, 1, 8, 8});
  const auto all_differ = [](const Tensor& y) {
    for (int64_t i = 0; i < y.size(0); ++i) {
      for (int64_t j = 0; j < i; ++j) EXPECT_GT(relative(y[i], y[j]), 1e-4) << i << " " << j;
    }
  };
  all_differ(network->forward(x, floats({0, 5, 500, 1000}), labels({0, 0, 0, 0})));
  all_differ(network->forward(x, floats({7, 7, 7, 7}), labels({0, 1, 2, 3})));
  EXPECT_ANY_THROW(network->forward(x, floats({7, 7, 7, 7}), labels({0, 1, 2, 4})));
  // Without classes labels are not looked at.
  UNet plain = make(tiny());
  EXPECT_TRUE(at::equal(plain->forward(x, floats({7, 7, 7, 7}), labels({0, 1, 2, 9})),
                        plain->forward(x, floats({7, 7, 7, 7}), {})));
}

TEST(UNet, ComputesEachImageByItself) {
  UNetConfig config = tiny();
  config.attention = {0, 1};
  UNet network = make(config, 1, 1, 3);
  const Tensor x = random("x", {5, 1, 9, 11}), time = floats({1, 20, 300, 400, 999});
  const Tensor all = network->forward(x, time, labels({0, 1, 2, 3, 0}));
  const Tensor one = network->forward(x.narrow(0, 3, 1), time.narrow(0, 3, 1), labels({3}));
  EXPECT_LT(relative(one[0], all[3]), 1e-4);
}

TEST(UNet, SeesAllOfTheImageFromEveryPixel) {  // through the low resolutions and attention
  const auto reach = [](const UNetConfig& config) {
    UNet network = make(config);
    const Tensor x = random("x", {1, 1, 28, 28}).requires_grad_();
    network->forward(x, floats({500}), {})[0][0][2][2].backward();
    return x.grad()[0][0].narrow(0, 24, 4).narrow(1, 24, 4).abs().sum().item<double>();
  };
  UNetConfig config = tiny();
  config.multipliers = {1, 1, 1};
  EXPECT_GT(reach(config), 0);
  config.multipliers = {1};
  config.attention = {0};
  EXPECT_GT(reach(config), 0);
}

TEST(UNet, IsTheSameInBothOrdersOfMemory) {
  UNetConfig config = tiny();
  config.attention = {1};
  config.blocks = 2;
  const auto run = [&](at::MemoryFormat format) {
    UNet network = make(config, 3, 3, 2);
    for (Tensor& parameter : network->parameters()) {
      if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(format));
    }
    const Tensor x = random("x", {3, 3, 13, 18}).contiguous(format);
    const Tensor y = network->forward(x, floats({3, 300, 900}), labels({0, 1, 2}));
    (y * random("dy", {3, 3, 13, 18})).sum().backward();
    std::map<std::string, Tensor> results{{"output", y.detach()}};
    for (const auto& item : network->named_parameters()) {
      results[item.key()] = item.value().grad().contiguous();
    }
    return results;
  };
  const auto contiguous = run(at::MemoryFormat::Contiguous);
  for (const auto& [name, found] : run(at::MemoryFormat::ChannelsLast)) {
    EXPECT_LT(relative(found, contiguous.at(name)), name == "output" ? 1e-4 : 1e-3) << name;
  }
}

TEST(UNet, DropsActivationsInTrainingOnly) {
  UNetConfig config = tiny();
  config.dropout = 0.5;
  UNet network = make(config);
  const Tensor x = random("x", {2, 1, 8, 8}), time = floats({1, 2});
  const auto run = [&] { return network->forward(x, time, {}); };
  EXPECT_TRUE(at::equal(run(), run()));
  network->train();
  EXPECT_FALSE(at::equal(run(), run()));
  UNet without = make(tiny());
  without->train();
  EXPECT_TRUE(at::equal(without->forward(x, time, {}), without->forward(x, time, {})));
}

TEST(Norm, IsScaledAndShiftedByItsWeightsAndByTheCondition) {
  Norm norm(8);  // two groups of four channels
  ASSERT_EQ(norm->groups, 2);
  const at::NoGradGuard no_grad;
  norm->weight.copy_(random("weight", {8}));
  norm->bias.copy_(random("bias", {8}));
  const Tensor x = random("x", {3, 8, 5, 4});
  const Tensor scale = random("scale", {3, 8}), shift = random("shift", {3, 8});
  const auto rows = [](const Tensor& v) { return v.view({-1, 8, 1, 1}); };
  const Tensor normal = at::group_norm(x, 2, norm->weight, norm->bias, 1e-5);
  EXPECT_LT(relative(norm->forward(x), at::silu(normal)), 1e-5);
  EXPECT_LT(
      relative(norm->forward(x, scale, shift), at::silu(normal * (1 + rows(scale)) + rows(shift))),
      1e-5);
  for (const auto& [channels, groups] : {std::pair{4, 1}, {32, 8}, {128, 32}, {256, 32}, {12, 3}}) {
    EXPECT_EQ(Norm(channels)->groups, groups);  // of at least four channels, at most 32
  }
}

TEST(ResidualBlock, OfAFreshNetworkPassesOnItsInput) {
  torch::manual_seed(1);
  ResidualBlock block(8, 8, 16, 0.0);
  const Tensor x = random("x", {2, 8, 6, 6}), condition = random("condition", {2, 16});
  const Tensor y = block->forward(x, condition);
  EXPECT_LT(relative(y, x), 0.05);
  EXPECT_FALSE(at::equal(y, x));
}

TEST(ImageAttention, KnowsNoPlaces) {  // images mirrored come out mirrored
  torch::manual_seed(1);
  ImageAttention attention(16, 4);
  const Tensor x = random("x", {2, 16, 5, 7});
  EXPECT_LT(relative(attention->forward(x.flip({3}), {}).flip({3}), attention->forward(x, {})),
            1e-5);
}

TEST(ImageAttention, SeesWordsInAnyOrder) {
  torch::manual_seed(1);
  ImageAttention attention(16, 4, /*words=*/6);
  const Tensor x = random("x", {2, 16, 5, 7}), words = random("words", {2, 3, 6});
  const Tensor y = attention->forward(x, words);
  EXPECT_LT(relative(attention->forward(x, words.flip({1})), y), 1e-5);
  EXPECT_GT(distance(attention->forward(x, words * 2), y), 0);
}

TEST(ImageAttention, IsTheFormula) {  // Vaswani et al. 2017, equation 1, head by head
  torch::manual_seed(1);
  constexpr int64_t kChannels = 8, kHeads = 2, kWidth = 4, kSide = 3;
  ImageAttention attention(kChannels, kHeads);
  const at::NoGradGuard no_grad;
  const auto parameters = attention->named_parameters();
  const Tensor x = random("x", {1, kChannels, kSide, kSide});
  const Tensor flat = x.view({kChannels, -1});  // two groups of four channels
  const Tensor groups = flat.view({2, -1});
  const Tensor normal =
      ((groups - groups.mean(1, true)) / (groups.var(1, false, true) + 1e-5).sqrt())
          .view_as(flat)
          .t();
  const Tensor projected = normal.mm(parameters["query_key_value.weight"].t()) +
                           parameters["query_key_value.bias"];  // [9, 3 C]
  std::vector<Tensor> heads;
  for (int64_t head = 0; head < kHeads; ++head) {
    const auto part = [&](int64_t which) {
      return projected.narrow(1, which * kChannels + head * kWidth, kWidth);
    };
    heads.push_back((part(0).mm(part(1).t()) / 2.0).softmax(1).mm(part(2)));  // sqrt(4)
  }
  const Tensor change = at::cat(heads, 1).mm(parameters["out.weight"].t()) + parameters["out.bias"];
  const Tensor found = attention->forward(x, {}) - x;
  EXPECT_LT(relative(found.view({kChannels, -1}), change.t()), 1e-3);
}

TEST(CheckUnet, RefusesWhatCannotBe) {
  const auto check = [](const UNetConfig& config, int64_t h, int64_t w) {
    check_unet(config, h, w);
  };
  expect_error(ErrorKind::usage, "network.multipliers: expected at least one level",
               [&] { check({.multipliers = {}}, 28, 28); });
  expect_error(ErrorKind::usage, "network.width: expected a multiple of 4, found 30",
               [&] { check({.width = 30}, 28, 28); });
  expect_error(ErrorKind::usage, "network.attention: level 2 does not exist", [&] {
    check({.multipliers = {1, 2}, .attention = {0, 2}}, 28, 28);
  });
  const std::vector<int64_t> four{1, 1, 1, 1};
  EXPECT_NO_THROW(check({.multipliers = four}, 8, 8));
  expect_error(ErrorKind::usage, "network.multipliers: 3 halvings leave nothing of 7 positions",
               [&] { check({.multipliers = four}, 7, 100); });
  expect_error(ErrorKind::usage, "an image 100x28 in patches of 4",
               [&] { check({.multipliers = four, .patch = 4}, 28, 100); });
}

TEST(UnetFields, AreChecked) {
  for (const Json& wrong : {Json{{"width", 0}}, Json{{"multipliers", {0}}}, Json{{"blocks", 0}},
                            Json{{"attention", {-1}}}, Json{{"head_width", 2}}, Json{{"patch", 0}},
                            Json{{"dropout", 1}}, Json{{"depth", 3}}}) {
    expect_error(ErrorKind::usage, wrong.begin().key(),
                 [&] { from_json<UNetConfig>(unet_fields(), wrong, "network"); });
  }
}

}  // namespace
}  // namespace genai
