#include "genai/kernels/winograd.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <numeric>

#include "genai/base/error.h"
#include "genai/core/draw.h"
#include "tensors.h"

namespace genai {
namespace {

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return at::conv2d(x, weight, bias, 1, 1);
}

struct Case {
  int64_t b, in, out, h, w;
  bool bias = true;
};

std::string name_of(const Case& k) {
  return concat(k.b, "x", k.in, "x", k.h, "x", k.w, " to ", k.out, k.bias ? "" : ", no bias");
}

struct Inputs {
  explicit Inputs(const Case& k)
      : x(channels_last(random("x", {k.b, k.in, k.h, k.w}))),
        weight(channels_last(random("weight", {k.out, k.in, 3, 3}) / std::sqrt(9.0 * k.in))),
        dy(channels_last(random("dy", {k.b, k.out, k.h, k.w}))) {
    if (k.bias) bias = random("bias", {k.out});
  }
  Inputs to(at::ScalarType type) const {
    Inputs r = *this;
    for (Tensor* t : {&r.x, &r.weight, &r.bias, &r.dy}) {
      if (t->defined()) *t = t->to(type);
    }
    return r;
  }
  Tensor x, weight, dy, bias;
};

/// y and the gradients of x, weight and bias
template <class F>
std::vector<Tensor> evaluate(F f, const Inputs& inputs) {
  std::vector<Tensor> leaves;
  for (const Tensor& t : {inputs.x, inputs.weight, inputs.bias}) {
    leaves.push_back(t.defined() ? t.detach().clone().requires_grad_() : t);
  }
  const Tensor y = f(leaves[0], leaves[1], leaves[2]);
  y.backward(inputs.dy);
  std::vector<Tensor> result{y.detach()};
  for (const Tensor& t : leaves) {
    if (t.defined()) result.push_back(t.grad());
  }
  return result;
}

bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return at::equal(x, y); });
}

// The fast path, in tiles that fit and that do not, in parts and chunks of all lengths.
const std::vector<Case> kFast = {
    {16, 16, 16, 4, 4},   {9, 16, 32, 7, 7},        {4, 32, 16, 14, 14}, {2, 64, 64, 28, 28},
    {1, 48, 16, 30, 29},  {3, 16, 48, 8, 13},       {8, 32, 32, 3, 8},   {17, 16, 16, 3, 3},
    {2, 128, 32, 14, 14}, {5, 16, 16, 9, 11, false}};

TEST(Winograd, IsTheConvolutionAndItsGradients) {
  for (const Case& k : kFast) {
    const Inputs inputs(k);
    const auto found = evaluate(convolution3x3, inputs);
    const auto expected = evaluate(conv2d, inputs.to(at::kDouble));
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_LT(relative(found[i], expected[i]), 5e-6) << name_of(k) << ", result " << i;
      EXPECT_EQ(found[i].sizes(), expected[i].sizes());
    }
    EXPECT_FALSE(at::equal(found[0], conv2d(inputs.x, inputs.weight, inputs.bias)))
        << "not the fast path: " << name_of(k);
    EXPECT_TRUE(found[0].is_contiguous(at::MemoryFormat::ChannelsLast));
  }
}

TEST(Winograd, TakesWeightsAndGradientsInAnyOrder) {
  const Inputs inputs({2, 32, 16, 14, 14});
  const auto expected = evaluate(convolution3x3, inputs);
  Inputs other = inputs;
  other.weight = inputs.weight.contiguous();
  other.dy = inputs.dy.contiguous();
  const auto found = evaluate(convolution3x3, other);
  EXPECT_TRUE(same_bits(found, expected));
  EXPECT_TRUE(found[2].is_contiguous());
  EXPECT_TRUE(expected[2].is_contiguous(at::MemoryFormat::ChannelsLast));
  // A part of a larger weight, and a gradient that is one number, as of sum().
  other.weight = at::cat({inputs.weight, inputs.weight}, 3).narrow(3, 0, 3);
  EXPECT_TRUE(same_bits(evaluate(convolution3x3, other), expected));
  other.dy = at::full({}, 0.5).expand(inputs.dy.sizes());
  Inputs dense = inputs;
  dense.dy = at::full_like(inputs.dy, 0.5);
  EXPECT_TRUE(same_bits(evaluate(convolution3x3, other), evaluate(convolution3x3, dense)));
}

TEST(Winograd, ComputesOnlyTheGradientsAskedFor) {
  const Inputs inputs({2, 16, 16, 14, 14});
  const auto all = evaluate(convolution3x3, inputs);
  for (int asked = 0; asked < 8; ++asked) {
    std::vector<Tensor> leaves;
    for (const Tensor& t : {inputs.x, inputs.weight, inputs.bias}) {
      leaves.push_back(t.detach().clone().requires_grad_(asked >> leaves.size() & 1));
    }
    const Tensor y = convolution3x3(leaves[0], leaves[1], leaves[2]);
    ASSERT_EQ(y.requires_grad(), asked > 0);
    if (asked) y.backward(inputs.dy);
    for (size_t i = 0; i < leaves.size(); ++i) {
      ASSERT_EQ(leaves[i].grad().defined(), (asked >> i & 1) == 1);
      if (leaves[i].grad().defined()) {
        EXPECT_TRUE(at::equal(leaves[i].grad(), all[i + 1])) << asked;
      }
    }
  }
}

TEST(Winograd, LeavesTheRestToLibTorch) {
  const auto expect_libtorch = [](const Inputs& inputs, const std::string& what) {
    EXPECT_TRUE(same_bits(evaluate(convolution3x3, inputs), evaluate(conv2d, inputs))) << what;
  };
  const Inputs inputs({2, 16, 32, 14, 14});
  expect_libtorch(inputs.to(at::kDouble), "float64");
  expect_libtorch(inputs.to(at::kBFloat16), "bfloat16");
  Inputs plain = inputs;
  plain.x = inputs.x.contiguous();
  expect_libtorch(plain, "contiguous");
  for (const Case& k : std::vector<Case>{{2, 3, 16, 14, 14},
                                         {2, 16, 1, 14, 14},
                                         {2, 24, 16, 14, 14},
                                         {2, 16, 8, 14, 14},
                                         {32, 16, 16, 1, 1},
                                         {3, 16, 16, 3, 5, false},
                                         {1, 16, 16, 8, 8},
                                         {32, 16, 16, 5, 5}}) {
    expect_libtorch(Inputs(k), name_of(k));
  }
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const Tensor half = convolution3x3(inputs.x, inputs.weight, inputs.bias);
  at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
}

TEST(Winograd, HasGradientsOfGradients) {
  const Inputs inputs({2, 16, 32, 9, 8});
  // The length of the gradients of x and weight, differentiated again.
  const auto twice = [](auto f, const Inputs& from) {
    const Tensor x = from.x.detach().clone().requires_grad_();
    const Tensor weight = from.weight.detach().clone().requires_grad_();
    const Tensor bias = from.bias.detach().clone().requires_grad_();
    const Tensor y = f(x, weight, bias).square().sum();
    const auto first = torch::autograd::grad({y}, {x, weight, bias}, {}, true, true);
    const Tensor length =
        first[0].square().sum() + first[1].square().sum() + first[2].square().sum();
    return torch::autograd::grad({length}, {x, weight, bias});
  };
  const auto found = twice(convolution3x3, inputs);
  const auto expected = twice(conv2d, inputs.to(at::kDouble));
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(relative(found[i], expected[i]), 1e-5) << i;
}

TEST(Winograd, HasEqualBitsWhenRepeated) {
  for (const Case& k : kFast) {
    const Inputs inputs(k);
    EXPECT_TRUE(same_bits(evaluate(convolution3x3, inputs), evaluate(convolution3x3, inputs)));
  }
}

TEST(Winograd, HasTheSameImagesAndTheirGradientsOnOneAndTwoThreads) {
  const int before = at::get_num_threads();
  for (const Case& k : kFast) {
    const auto with_threads = [&](int threads) {
      at::set_num_threads(threads);
      return evaluate(convolution3x3, Inputs(k));
    };
    const auto one = with_threads(1), two = with_threads(2);
    at::set_num_threads(before);
    EXPECT_TRUE(at::equal(one[0], two[0])) << name_of(k);
    EXPECT_TRUE(at::equal(one[1], two[1])) << name_of(k);
    EXPECT_LT(relative(one[2], two[2].to(at::kDouble)), 5e-6) << name_of(k);
  }
}

TEST(Winograd, ComputesEachImageByItself) {
  const Case k{5, 32, 16, 14, 11};
  const Inputs inputs(k);
  Inputs others(k);
  others.x = channels_last(random("others", {k.b, k.in, k.h, k.w}));
  others.dy = channels_last(random("other dy", {k.b, k.out, k.h, k.w}));
  for (int64_t i = 0; i < k.b; ++i) {
    Inputs mixed = others;
    mixed.x = others.x.clone();
    mixed.dy = others.dy.clone();
    mixed.x[i] = inputs.x[i];
    mixed.dy[i] = inputs.dy[i];
    const auto all = evaluate(convolution3x3, inputs), one = evaluate(convolution3x3, mixed);
    EXPECT_TRUE(at::equal(all[0][i], one[0][i]));
    EXPECT_TRUE(at::equal(all[1][i], one[1][i]));
  }
}

TEST(Winograd, PassesOnThatAnImageIsNoNumbers) {  // divergence must be seen
  Inputs inputs({2, 16, 16, 14, 14});
  inputs.x[1][5][2][3] = INFINITY;
  const Tensor y = convolution3x3(inputs.x, inputs.weight, inputs.bias);
  EXPECT_TRUE(y[0].isfinite().all().item<bool>());
  EXPECT_FALSE(y[1].isfinite().all().item<bool>());
}

}  // namespace
}  // namespace genai
