// The kernels that a transformer trains with, each against LibTorch's operators in double.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>
#include <numeric>

#include "genai/core/draw.h"
#include "genai/kernels/causal_attention.h"
#include "genai/kernels/linear_product.h"
#include "genai/kernels/mlp_activation.h"
#include "genai/kernels/split_heads.h"
#include "tensors.h"

namespace genai {
namespace {

using Function = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

/// Results of f and the gradients of their products with random numbers.
std::vector<Tensor> results(const Function& f, const std::vector<Tensor>& inputs,
                            at::ScalarType type) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs)
    leaves.push_back(input.to(type).detach().clone().requires_grad_());
  std::vector<Tensor> found = f(leaves);
  Tensor sum = at::zeros({}, type);
  for (const Tensor& y : found) sum = sum + (y * random("dy", y.sizes()).to(type)).sum();
  sum.backward();
  for (Tensor& y : found) y = y.detach();
  for (const Tensor& leaf : leaves) found.push_back(leaf.grad());
  return found;
}

/// f of floats is f of doubles, for which LibTorch's operators are taken.
void expect_like_libtorch(const Function& f, const std::vector<Tensor>& inputs, double tolerance) {
  const auto found = results(f, inputs, at::kFloat), expected = results(f, inputs, at::kDouble);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].sizes(), expected[i].sizes());
    const double largest = std::max(1.0, expected[i].abs().max().item<double>());
    EXPECT_LE(distance(found[i], expected[i]), tolerance * largest) << "result " << i;
  }
}

TEST(LinearProduct, EqualsLibTorchOfAnySize) {
  for (const auto& [rows, in, out] : {std::tuple{1, 16, 16},
                                      {5, 32, 48},
                                      {64, 128, 384},
                                      {97, 528, 32},
                                      {203, 16, 272},
                                      {6, 1024, 16}}) {
    expect_like_libtorch(
        [](const std::vector<Tensor>& in) {
          return std::vector<Tensor>{linear_product(in[0], in[1], in[2])};
        },
        {random("x", {rows, in}), random("w", {out, in}), random("b", {out})}, 2e-6);
  }
  // Of any dimensions, and of sizes that the kernel does not take.
  for (const int64_t in : {32, 33}) {
    expect_like_libtorch(
        [](const std::vector<Tensor>& in) {
          return std::vector<Tensor>{linear_product(in[0].transpose(0, 1), in[1])};
        },
        {random("x", {7, 3, in}), random("w", {16, in})}, 2e-6);
  }
}

TEST(LinearProduct, HasTheSameBitsInAnyNumberOfThreads) {
  const Tensor x = random("x", {301, 320}), w = random("w", {96, 320});
  const auto all = [&] {
    return results(
        [](const std::vector<Tensor>& in) {
          return std::vector<Tensor>{linear_product(in[0], in[1])};
        },
        {x, w}, at::kFloat);
  };
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = all();
  at::set_num_threads(3);
  const auto three = all();
  at::set_num_threads(before);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(three[i])) << i;
  // A row is the same whatever rows are beside it.
  EXPECT_TRUE(linear_product(x.narrow(0, 100, 7), w).equal(linear_product(x, w).narrow(0, 100, 7)));
}

TEST(LinearProduct, LeavesHeldWeightsAlone) {
  const Tensor x = random("x", {8, 16}).requires_grad_(), w = random("w", {16, 16});
  linear_product(x, w).sum().backward();
  EXPECT_LE(distance(x.grad(), w.sum(0).expand({8, 16})), 1e-5);
}

TEST(MlpActivation, EqualsLibTorch) {
  for (const MlpKind kind : {MlpKind::gelu, MlpKind::gelu_tanh, MlpKind::relu2, MlpKind::swiglu}) {
    const Function f = [kind](const std::vector<Tensor>& in) {
      return std::vector<Tensor>{mlp_activation(kind, in[0])};
    };
    expect_like_libtorch(f, {3 * random("x", {3, 37, 70})}, 2e-6);
    expect_like_libtorch(f, {at::tensor({-100.f, -20.f, -6.f, -1e-20f, 0.f, 1e-20f, 6.f, 100.f})},
                         1e-6);
    expect_like_libtorch(f, {random("x", {4, 6, 8}).transpose(0, 2)}, 1e-6);
  }
}

TEST(SplitHeads, EqualsLibTorch) {
  for (const auto& [heads, kv_heads, head] :
       {std::tuple<int64_t, int64_t, int64_t>{4, 4, 32}, {6, 2, 10}, {1, 1, 2}}) {
    for (const bool unit : {false, true}) {
      for (const bool turned : {false, true}) {
        const HeadsShape shape{.heads = heads, .kv_heads = kv_heads, .head = head};
        const Tensor angles = random("angles", {9, head / 2});
        expect_like_libtorch(
            [&](const std::vector<Tensor>& in) {
              const auto type = in[0].scalar_type();
              const Tensor cosine = turned ? angles.cos().to(type) : Tensor(),
                           sine = turned ? angles.sin().to(type) : Tensor();
              const auto all = split_heads(in[0], shape, unit, cosine, sine);
              return std::vector<Tensor>{all[0], all[1], all[2]};
            },
            {random("qkv", {3, 9, (heads + 2 * kv_heads) * head})}, 3e-6);
      }
    }
  }
}

TEST(CausalAttention, EqualsLibTorch) {
  for (const auto& [length, head] :
       {std::pair<int64_t, int64_t>{16, 16}, {64, 32}, {112, 48}, {20, 16}}) {
    const std::vector<int64_t> shape{2, 3, length, head};
    // Far scores, too: they must not overflow.
    for (const double strength : {1.0, 8.0}) {
      expect_like_libtorch(
          [](const std::vector<Tensor>& in) {
            return std::vector<Tensor>{causal_attention(in[0], in[1], in[2], 0)};
          },
          {strength * random("q", shape), random("k", shape), random("v", shape)}, 5e-6 * strength);
    }
  }
}

/// The dropped probabilities are found by values that tell them, then all is done over with them.
TEST(CausalAttention, DropsProbabilitiesAndKeepsTheirMean) {
  const int64_t length = 64;
  const double share = 0.3;
  const std::vector<int64_t> shape{2, 3, length, length};
  const Tensor q = random("q", shape), k = random("k", shape);
  const auto attend = [&](const Tensor& a, const Tensor& b, const Tensor& v) {
    at::manual_seed(5);
    return causal_attention(a, b, v, share);
  };
  const Tensor unit = at::eye(length).expand(shape).contiguous();  // out: the probabilities
  const Tensor masked = at::full({length, length}, -INFINITY).triu(1);
  const double scale = 1 / std::sqrt(static_cast<double>(length));
  const auto probabilities = [&](const Tensor& a, const Tensor& b) {
    return (a.matmul(b.transpose(-1, -2)) * scale + masked).softmax(-1);
  };
  const Tensor factors = (attend(q, k, unit) / probabilities(q, k)).nan_to_num(0);
  const Tensor seen = at::ones({length, length}).tril().expand(shape).to(at::kBool);
  const Tensor dropped = factors.masked_select(seen).lt(0.5);
  const double n = static_cast<double>(dropped.numel());
  const double found = dropped.to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(found, share, 4 * std::sqrt(share * (1 - share) / n));
  EXPECT_LE(distance(factors.masked_select(seen).masked_select(dropped.logical_not()),
                     at::full({1}, 1 / (1 - share))),
            1e-4);
  // Heads and places drop others; the same seed the same.
  EXPECT_FALSE(factors[0][0].equal(factors[0][1]));
  EXPECT_TRUE(attend(q, k, unit).equal(attend(q, k, unit)));

  std::vector<Tensor> ours, wanted;
  for (const bool own : {true, false}) {
    const Tensor a = q.clone().requires_grad_(), b = k.clone().requires_grad_(),
                 v = random("v", shape).requires_grad_();
    const Tensor out = own ? attend(a, b, v) : (probabilities(a, b) * factors).matmul(v);
    (out * random("weights", shape)).sum().backward();
    for (const Tensor& t : {out, a.grad(), b.grad(), v.grad()}) (own ? ours : wanted).push_back(t);
  }
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_LE(distance(ours[i], wanted[i]), 3e-5) << i;
}

TEST(CausalAttention, SeesNothingOfWhatComes) {
  const std::vector<int64_t> shape{1, 1, 32, 16};
  const Tensor q = random("q", shape), k = random("k", shape), v = random("v", shape);
  const Tensor before = causal_attention(q, k, v, 0);
  const Tensor k2 = k.clone(), v2 = v.clone();
  k2.narrow(2, 20, 12).fill_(1e6);
  v2.narrow(2, 20, 12).fill_(1e6);
  const Tensor after = causal_attention(q, k2, v2, 0);
  EXPECT_TRUE(after.narrow(2, 0, 20).equal(before.narrow(2, 0, 20)));
  EXPECT_GT(distance(after, before), 1e3);
}

TEST(SplitHeads, MakesHeadsOfLengthOneAndKeepsValues) {
  const Tensor qkv = random("qkv", {2, 5, 3 * 16});
  const auto [q, k, v] = split_heads(qkv, {.heads = 2, .kv_heads = 2, .head = 8}, true, {}, {});
  EXPECT_LE(distance(q.square().mean(-1), at::ones({2, 2, 5})), 1e-4);
  EXPECT_LE(distance(k.square().mean(-1), at::ones({2, 2, 5})), 1e-4);
  EXPECT_TRUE(v.equal(qkv.view({2, 5, 6, 8}).narrow(2, 4, 2).transpose(1, 2)));
}

}  // namespace
}  // namespace genai
