#include "genai/kernels/group_norm_silu.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <numeric>

#include "genai/base/error.h"
#include "genai/core/draw.h"
#include "tensors.h"

namespace genai {
namespace {

/// In double, by the formula: no operator of normalization.
Tensor expected(const Tensor& x, int64_t groups, const Tensor& scale, const Tensor& shift) {
  const int64_t b = x.size(0), c = x.size(1);
  const Tensor grouped = x.to(at::kDouble).reshape({b, groups, -1});
  const Tensor mean = grouped.mean(2, true);
  const Tensor variance = (grouped - mean).square().mean(2, true);
  const Tensor normal = ((grouped - mean) / (variance + 1e-5).sqrt()).view(x.sizes());
  const auto rows = [&](const Tensor& v) { return v.to(at::kDouble).view({-1, c, 1, 1}); };
  const Tensor u = normal * rows(scale) + rows(shift);
  return u * u.sigmoid();
}

struct Result {
  Tensor y, dx, dscale, dshift;
};

template <class F>
Result evaluate(F f, const Tensor& x, int64_t groups, const Tensor& scale, const Tensor& shift,
                const Tensor& dy) {
  const auto leaf = [](const Tensor& t) { return t.detach().clone().requires_grad_(); };
  const Tensor a = leaf(x), b = leaf(scale), c = leaf(shift);
  const Tensor y = f(a, groups, b, c);
  y.backward(dy.to(y.scalar_type()));
  return {y.detach(), a.grad(), b.grad(), c.grad()};
}

void expect_same(const Result& found, const Result& expected, double tolerance,
                 const std::string& what) {
  EXPECT_LT(relative(found.y, expected.y), tolerance) << what;
  EXPECT_LT(relative(found.dx, expected.dx), tolerance) << what;
  EXPECT_LT(relative(found.dscale, expected.dscale), tolerance) << what;
  EXPECT_LT(relative(found.dshift, expected.dshift), tolerance) << what;
}

struct NormCase {
  int64_t b, c, h, w, groups;
};

const std::vector<NormCase> kNormCases = {{2, 4, 7, 7, 1},   {3, 8, 5, 9, 2},     {2, 30, 3, 3, 6},
                                          {1, 64, 8, 8, 16}, {2, 128, 4, 4, 32},  {3, 12, 1, 6, 12},
                                          {4, 16, 1, 1, 4},  {2, 6, 13, 1, 3},    {5, 2, 28, 28, 2},
                                          {2, 8, 14, 14, 1}, {1, 64, 32, 32, 64}, {2, 1, 4, 4, 1}};

std::string name_of(const NormCase& k) {
  return concat(k.b, "x", k.c, "x", k.h, "x", k.w, ", groups: ", k.groups);
}

TEST(GroupNormSilu, IsTheFormulaAndItsDerivative) {
  for (const NormCase& k : kNormCases) {
    const Tensor x = 0.5 + 2 * random("x", {k.b, k.c, k.h, k.w});
    const Tensor scale = 1 + random("scale", {k.b, k.c}), shift = random("shift", {k.b, k.c});
    const Tensor dy = random("dy", {k.b, k.c, k.h, k.w});
    const Result reference = evaluate(expected, x.to(at::kDouble), k.groups, scale.to(at::kDouble),
                                      shift.to(at::kDouble), dy);
    expect_same(
        evaluate(group_norm_silu, channels_last(x), k.groups, scale, shift, channels_last(dy)),
        reference, 1e-5, "channels last: " + name_of(k));
    expect_same(evaluate(group_norm_silu, x, k.groups, scale, shift, dy), reference, 1e-5,
                "contiguous: " + name_of(k));
  }
}

TEST(GroupNormSilu, OfOneRowOfScalesServesAllImages) {
  for (const NormCase& k : kNormCases) {
    const Tensor x = random("x", {k.b, k.c, k.h, k.w});
    const Tensor scale = 1 + random("scale", {1, k.c}), shift = random("shift", {1, k.c});
    const Tensor dy = random("dy", {k.b, k.c, k.h, k.w});
    const Result reference = evaluate(expected, x.to(at::kDouble), k.groups, scale.to(at::kDouble),
                                      shift.to(at::kDouble), dy);
    const Result found = evaluate(group_norm_silu, channels_last(x), k.groups, scale, shift, dy);
    EXPECT_EQ(found.dscale.sizes(), scale.sizes());
    expect_same(found, reference, 1e-5, name_of(k));
  }
}

TEST(GroupNormSilu, HasTheSlopesOfFiniteDifferences) {
  const int64_t groups = 2;
  const Tensor x = channels_last(random("x", {2, 6, 3, 2}));
  const Tensor scale = 1 + 0.3 * random("scale", {2, 6}), shift = random("shift", {2, 6});
  const Tensor dy = random("dy", {2, 6, 3, 2});
  const Result found = evaluate(group_norm_silu, x, groups, scale, shift, dy);
  const auto value = [&](const Tensor& a, const Tensor& b, const Tensor& c) {
    return (group_norm_silu(a, groups, b, c).to(at::kDouble) * dy).sum().item<double>();
  };
  constexpr double kStep = 1e-2;  // its square, times the third derivative, is what remains
  const auto check = [&](const Tensor& input, const Tensor& slopes, auto&& f) {
    for (int64_t i = 0; i < input.numel(); ++i) {
      Tensor e = at::zeros({input.numel()});
      e[i] = kStep;
      e = e.view(input.sizes());
      EXPECT_NEAR(slopes.reshape(-1)[i].item<double>(), (f(input + e) - f(input - e)) / (2 * kStep),
                  2e-3)
          << i;
    }
  };
  check(x, found.dx, [&](const Tensor& a) { return value(channels_last(a), scale, shift); });
  check(scale, found.dscale, [&](const Tensor& b) { return value(x, b, shift); });
  check(shift, found.dshift, [&](const Tensor& c) { return value(x, scale, c); });
}

TEST(GroupNormSilu, IsExactFarOutOnBothSides) {
  // With scale 0 the shift alone is what SiLU sees.
  const int64_t channels = 2001;
  const Tensor u = at::linspace(-100, 100, channels).view({1, channels});
  const Tensor x = channels_last(random("x", {1, channels, 2, 2}));
  const Tensor dy = at::ones_like(x);
  const Result found = evaluate(group_norm_silu, x, 1, at::zeros_like(u), u, dy);
  const Tensor wide = u.to(at::kDouble), s = wide.sigmoid();
  const Tensor silu = (wide * s).flatten(), slope = (s * (1 + wide * (1 - s))).flatten();
  const Tensor y = found.y.select(3, 0).select(2, 0).flatten().to(at::kDouble);
  const Tensor dshift = found.dshift.flatten().to(at::kDouble) / 4;
  // Below -87 sigmoid is smaller than the smallest normal number.
  const Tensor normal = wide.flatten().gt(-85);
  EXPECT_LT(((y - silu) / silu).index({normal}).abs().nan_to_num(0).max().item<double>(), 5e-7);
  EXPECT_LT(distance(y, silu), 1e-5);  // a unit in the last place of 100
  EXPECT_LT(distance(dshift, slope), 1e-6);
}

TEST(GroupNormSilu, StaysFiniteWhateverTheScale) {
  const Tensor x = channels_last(random("x", {2, 8, 6, 6}));
  const Tensor dy = channels_last(random("dy", {2, 8, 6, 6}));
  const Tensor shift = 10 * random("shift", {2, 8});
  for (const double size : {40.0, 1e4, 1e10}) {
    const Tensor scale = size * random("scale", {2, 8});
    const Result found = evaluate(group_norm_silu, x, 4, scale, shift, dy);
    const Result reference =
        evaluate(expected, x.to(at::kDouble), 4, scale.to(at::kDouble), shift.to(at::kDouble), dy);
    EXPECT_LT(relative(found.y, reference.y), 1e-5) << size;
    EXPECT_LT(relative(found.dscale, reference.dscale), 1e-5) << size;
    EXPECT_LT(relative(found.dshift, reference.dshift), 1e-5) << size;
    EXPECT_LT(relative(found.dx, reference.dx), 1e-5) << size;
  }
}

TEST(GroupNormSilu, KnowsImagesFarFromZeroAndImagesOfOneColour) {
  const Tensor scale = 1 + random("scale", {2, 8}), shift = random("shift", {2, 8});
  const Tensor far = channels_last(1000 + random("x", {2, 8, 12, 12}));
  EXPECT_LT(relative(group_norm_silu(far, 2, scale, shift), expected(far, 2, scale, shift)), 1e-3);
  const Tensor flat = channels_last(at::full({2, 8, 12, 12}, 0.3f));
  const Tensor u = shift.view({2, 8, 1, 1}).expand({2, 8, 12, 12});
  EXPECT_LT(distance(group_norm_silu(flat, 2, scale, shift), u * u.sigmoid()), 1e-3);
  // One number in a group: nothing is left of it.
  const Tensor single = channels_last(random("x", {2, 8, 1, 1}));
  const Result found = evaluate(group_norm_silu, single, 8, scale, shift, at::ones_like(single));
  EXPECT_LT(distance(found.y.view({2, 8}), shift * shift.sigmoid()), 1e-4);
  EXPECT_LT(found.dx.abs().max().item<double>(), 1e-4);
}

TEST(GroupNormSilu, TakesGradientsOfAnyOrder) {
  const Tensor x = channels_last(random("x", {2, 8, 4, 6}));
  const Tensor scale = 1 + random("scale", {2, 8}), shift = random("shift", {2, 8});
  const Tensor turned = random("dy", {2, 8, 6, 4}).transpose(2, 3);
  const Tensor same = at::full({}, 0.7).expand({2, 8, 4, 6});  // as sum() gives them
  for (const Tensor& dy : {turned, same}) {
    ASSERT_FALSE(dy.is_contiguous(at::MemoryFormat::ChannelsLast));
    expect_same(evaluate(group_norm_silu, x, 4, scale, shift, dy),
                evaluate(group_norm_silu, x, 4, scale, shift, channels_last(dy)), 1e-7, "order");
  }
}

TEST(GroupNormSilu, KeepsTheOrderOfItsInput) {
  const Tensor x = random("x", {2, 8, 4, 6}), scale = at::ones({1, 8}), shift = at::zeros({1, 8});
  EXPECT_TRUE(group_norm_silu(channels_last(x), 2, scale, shift)
                  .is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(group_norm_silu(x, 2, scale, shift).is_contiguous());
  // A part of a larger image is in neither order.
  const Tensor part = channels_last(random("large", {2, 8, 9, 9})).narrow(2, 1, 4).narrow(3, 2, 6);
  const Tensor y = group_norm_silu(part, 2, scale, shift);
  EXPECT_LT(relative(y, expected(part, 2, scale, shift)), 1e-5);
}

TEST(GroupNormSilu, HasTheSameBitsOnOneAndTwoThreads) {
  const Tensor x = channels_last(random("x", {5, 16, 9, 9}));
  const Tensor scale = 1 + random("scale", {5, 16}), shift = random("shift", {5, 16});
  const Tensor dy = channels_last(random("dy", {5, 16, 9, 9}));
  const int before = at::get_num_threads();
  const auto with_threads = [&](int threads) {
    at::set_num_threads(threads);
    return evaluate(group_norm_silu, x, 4, scale, shift, dy);
  };
  const Result one = with_threads(1), two = with_threads(2);
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(one.y, two.y));
  EXPECT_TRUE(at::equal(one.dx, two.dx));
  EXPECT_TRUE(at::equal(one.dscale, two.dscale));
  EXPECT_TRUE(at::equal(one.dshift, two.dshift));
}

TEST(GroupNormSilu, ComputesEachImageByItself) {
  const Tensor x = channels_last(random("x", {5, 16, 9, 9}));
  const Tensor scale = 1 + random("scale", {5, 16}), shift = random("shift", {5, 16});
  const Tensor all = group_norm_silu(x, 4, scale, shift);
  const Tensor one =
      group_norm_silu(x.narrow(0, 3, 1), 4, scale.narrow(0, 3, 1), shift.narrow(0, 3, 1));
  EXPECT_TRUE(at::equal(one[0], all[3]));
}

TEST(GroupNormSilu, PassesOnThatAnImageIsNoNumbers) {  // divergence must be seen
  for (const float wrong : {std::nanf(""), INFINITY}) {
    Tensor x = channels_last(random("x", {2, 8, 4, 4}));
    x[1][5][2][3] = wrong;
    const Tensor y = group_norm_silu(x, 2, at::ones({1, 8}), at::zeros({1, 8}));
    EXPECT_TRUE(y[0].isfinite().all().item<bool>());
    EXPECT_TRUE(y[1].narrow(0, 0, 4).isfinite().all().item<bool>());  // the other group
    EXPECT_TRUE(y[1].narrow(0, 4, 4).isnan().all().item<bool>()) << wrong;
  }
}

TEST(GroupNormSilu, WithoutGradientsIsTheSame) {
  const Tensor x = channels_last(random("x", {2, 8, 4, 6})).requires_grad_();
  const Tensor scale = (1 + random("scale", {2, 8})).requires_grad_(), shift = at::zeros({2, 8});
  const Tensor y = group_norm_silu(x, 2, scale, shift);
  EXPECT_TRUE(y.requires_grad());
  const at::NoGradGuard no_grad;
  const Tensor plain = group_norm_silu(x, 2, scale, shift);
  EXPECT_FALSE(plain.requires_grad());
  EXPECT_TRUE(at::equal(plain, y));
}

TEST(GroupNormSilu, ComputesInThePrecisionOfTheImages) {
  const Tensor x = channels_last(random("x", {2, 8, 4, 6}));
  const Tensor scale = 1 + random("scale", {2, 8}), shift = random("shift", {2, 8});
  const Tensor reference = expected(x, 2, scale, shift);
  const Tensor coarse = group_norm_silu(x.to(at::kBFloat16), 2, scale, shift);
  EXPECT_EQ(coarse.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative(coarse, reference), 0.03);
  const Tensor fine = group_norm_silu(x.to(at::kDouble), 2, scale, shift);
  EXPECT_EQ(fine.scalar_type(), at::kDouble);
  EXPECT_LT(relative(fine, reference), 1e-12);
}

TEST(GroupNormSilu, RefusesGroupsThatDoNotDivideTheChannels) {
  const Tensor x = random("x", {2, 8, 4, 4}), scale = at::ones({1, 8}), shift = at::zeros({1, 8});
  for (const Tensor& images : {x, channels_last(x)}) {
    EXPECT_ANY_THROW(group_norm_silu(images, 3, scale, shift));
    EXPECT_ANY_THROW(group_norm_silu(images, 0, scale, shift));
    EXPECT_ANY_THROW(group_norm_silu(images, 16, scale, shift));
  }
}

}  // namespace
}  // namespace genai
