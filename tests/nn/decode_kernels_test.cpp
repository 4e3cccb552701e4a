#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "genai/decode/kernels.h"

namespace genai::decode {
namespace {

std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> all = {&portable_kernels()};
  if (avx2_kernels()) all.push_back(avx2_kernels());
  return all;
}

std::vector<float> random(int64_t size, uint32_t seed, float deviation = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> numbers(static_cast<size_t>(size));
  for (float& x : numbers) x = normal(generator);
  return numbers;
}

/// A row as the kernels want it.
std::vector<float> row_of(const std::vector<float>& x) {
  std::vector<float> row = x;
  row.resize(static_cast<size_t>(padded(static_cast<int64_t>(x.size()))), 0.f);
  return row;
}

/// x from -limit to limit through `f`, next to `expected`: the largest error, of max(1, |expected|)
double error_of(const std::function<float(float)>& f, const std::function<double(double)>& expected,
                float limit) {
  double most = 0;
  for (int i = -4000; i <= 4000; ++i) {
    const float x = limit * static_cast<float>(i) / 4000;
    const double wanted = expected(x);
    most = std::max(most, std::fabs(f(x) - wanted) / std::max(1., std::fabs(wanted)));
  }
  return most;
}

float activated(const Kernels& kernels, MlpKind kind, float x) {
  std::vector<float> gate(kPanel, x), up(kPanel, kind == MlpKind::swiglu ? 1 : x), out(kPanel);
  kernels.activate(kind, gate.data(), up.data(), kPanel, out.data());
  EXPECT_EQ(out.front(), out.back());
  return out.front();
}

TEST(DecodeKernels, activations) {
  for (const Kernels* k : all_kernels()) {
    SCOPED_TRACE(k->name);
    const auto of = [&](MlpKind kind) { return [=](float x) { return activated(*k, kind, x); }; };
    EXPECT_LT(
        error_of(
            of(MlpKind::gelu), [](double x) { return x * std::erfc(-x * std::sqrt(0.5)) / 2; }, 30),
        1e-6);
    EXPECT_LT(error_of(
                  of(MlpKind::gelu_tanh),
                  [](double x) {
                    const double y = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
                    return x * (1 + std::tanh(y)) / 2;
                  },
                  30),
              1e-6);
    EXPECT_LT(error_of(
                  of(MlpKind::relu2), [](double x) { return x > 0 ? x * x : 0; }, 30),
              1e-6);
    EXPECT_LT(error_of(
                  of(MlpKind::swiglu), [](double x) { return x / (1 + std::exp(-x)); }, 100),
              1e-6);
  }
}

TEST(DecodeKernels, tanh_keeps_its_digits_near_zero_and_far_away) {
  for (const Kernels* k : all_kernels()) {
    for (const float x : {0.f, 1e-6f, -3e-4f, 0.01f, 0.3f, -0.62f, 0.63f, 2.f, -9.f, 80.f, 1e9f}) {
      std::vector<float> row(32, x);
      k->soft_cap(row.data(), 32, 1.f);
      const double wanted = std::tanh(static_cast<double>(x));
      EXPECT_NEAR(row[0], wanted, 5e-7 * std::fabs(wanted)) << k->name << " " << x;
      EXPECT_EQ(row[0], row[31]);
    }
  }
}

/// Keys and values of up to `places` tokens.
struct Remembered {
  Remembered(WeightFormat format, int64_t head, int64_t places)
      : keys(padded(places, kBlock) * head),
        values(places * padded(head, kHeadPad)),
        cache{.format = format, .keys = keys.data(), .values = values.data()} {}
  Buffer<float> keys, values;
  KvCache cache;
};

/// As bfloat16 tells it, of two equally near ones the even one.
float rounded(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t down = bits & 0xffff0000, rest = bits & 0xffff;
  const bool up = rest > 0x8000 || (rest == 0x8000 && (bits & 0x10000) != 0);
  return std::bit_cast<float>(down + (up ? 0x10000 : 0));
}

class Attentions : public testing::TestWithParam<WeightFormat> {};

TEST_P(Attentions, softmax_of_any_count) {
  const int64_t most = 200;
  for (const Kernels* k : all_kernels()) {
    for (const int64_t head : {8, 5, 32, 48}) {
      auto keys = random(most * head, 1), values = random(most * head, 2);
      const auto q = random(head, 3, 1 / std::sqrt(static_cast<float>(head)));
      const Remembered past(GetParam(), head, most);
      for (int64_t t = 0; t < most; ++t) {
        k->append(past.cache, head, t, keys.data() + t * head, values.data() + t * head);
      }
      if (GetParam() == WeightFormat::int8) {
        for (float& x : keys) x = rounded(x);
        for (float& x : values) x = rounded(x);
      }
      for (const int64_t count : {1, 2, 7, 8, 31, 32, 33, 63, 64, 65, 96, 97, 199, 200}) {
        std::vector<float> scores(256), out(static_cast<size_t>(head));
        k->attend({.q = q.data(),
                   .cache = past.cache,
                   .head = head,
                   .count = count,
                   .scores = scores.data(),
                   .out = out.data()});
        std::vector<double> weight, wanted(out.size());
        double sum = 0;
        for (int64_t t = 0; t < count; ++t) {
          const auto at = static_cast<std::ptrdiff_t>(t * head);
          weight.push_back(std::exp(std::inner_product(q.begin(), q.end(), keys.begin() + at, 0.)));
          sum += weight.back();
        }
        for (size_t i = 0; i < static_cast<size_t>(count * head); ++i) {
          wanted[i % out.size()] += weight[i / out.size()] / sum * values[i];
        }
        for (size_t d = 0; d < out.size(); ++d) {
          EXPECT_NEAR(out[d], wanted[d], 3e-6) << k->name << " " << head << " " << count;
        }
      }
    }
  }
}

TEST_P(Attentions, softmax_of_large_scores) {
  for (const Kernels* k : all_kernels()) {
    const Remembered past(GetParam(), 1, kBlock);
    const std::vector<float> keys = {1000, -1000, 1000, INFINITY};  // the last is not seen
    const std::vector<float> values = {1, 5, 3, 7};
    for (int64_t t = 0; t < 4; ++t) {
      const auto at = static_cast<size_t>(t);
      k->append(past.cache, 1, t, &keys[at], &values[at]);
    }
    std::vector<float> scores(kBlock);
    const float q = 1;
    float out = 0;
    k->attend({.q = &q,
               .cache = past.cache,
               .head = 1,
               .count = 3,
               .scores = scores.data(),
               .out = &out});
    EXPECT_FLOAT_EQ(out, 2) << k->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Attentions,
                         testing::Values(WeightFormat::float32, WeightFormat::int8));

class Products : public testing::TestWithParam<WeightFormat> {};

/// All rows at once.
std::vector<float> product(const Matrix& matrix, const std::vector<float>& x, int64_t rows,
                           const std::vector<float>& bias, int threads, bool add = false) {
  Team team(threads);
  Matmul multiplier(matrix.in, matrix.format, threads);
  const int64_t stride = padded(matrix.out);
  std::vector<float> out(static_cast<size_t>(rows * stride), 1.f);
  const float* start = bias.empty() ? nullptr : bias.data();
  team.run(/*cost=*/1'000'000, [&](Worker& worker) {
    const Operand operand = multiplier.take(worker, rows, matrix.in, x.data(), padded(matrix.in));
    multiplier.multiply(worker, matrix, operand, start, out.data(), stride, add);
  });
  return out;
}

TEST_P(Products, equal_the_definition_and_rows_do_not_depend_on_others) {
  for (const bool portable : {false, true}) {
    force_portable(portable);
    for (const auto& [out, in] :
         {std::pair{1, 1}, {3, 20}, {16, 32}, {65, 33}, {200, 100}, {129, 384}}) {
      const auto w = random(out * in, 1);
      const auto bias = row_of(random(out, 2));
      const Matrix matrix(w, out, in, GetParam());
      std::vector<float> x;
      for (int r = 0; r < kMostRows; ++r) {
        const auto row = row_of(random(in, 10 + static_cast<uint32_t>(r)));
        x.insert(x.end(), row.begin(), row.end());
      }
      const int64_t stride = padded(out), x_stride = padded(in);
      const auto all = product(matrix, x, kMostRows, bias, 1);
      // An int8 product is off by the rounding of both factors, about 1 / 254 of the largest each.
      const double exact = GetParam() == WeightFormat::float32 ? 2e-6 : 0.02;
      for (int64_t r = 0; r < kMostRows; ++r) {
        for (int64_t o = 0; o < out; ++o) {
          double wanted = bias[static_cast<size_t>(o)];
          for (int64_t k = 0; k < in; ++k) {
            wanted += static_cast<double>(x[static_cast<size_t>(r * x_stride + k)]) *
                      w[static_cast<size_t>(o * in + k)];
          }
          EXPECT_NEAR(all[static_cast<size_t>(r * stride + o)], wanted,
                      exact * 4 * std::sqrt(static_cast<double>(in)));
        }
      }
      for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 13, 31}) {
        const auto some = product(matrix, x, rows, bias, 2);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t o = 0; o < out; ++o) {
            const auto i = static_cast<size_t>(r * stride + o);
            ASSERT_EQ(some[i], all[i]) << out << " x " << in << ", " << rows << " rows";
          }
        }
      }
      const auto plain = product(matrix, x, 2, {}, 1), added = product(matrix, x, 2, {}, 1, true);
      for (int64_t o = 0; o < out; ++o) {
        EXPECT_EQ(added[static_cast<size_t>(o)], plain[static_cast<size_t>(o)] + 1);
      }
    }
  }
  force_portable(false);
}

INSTANTIATE_TEST_SUITE_P(Formats, Products,
                         testing::Values(WeightFormat::float32, WeightFormat::int8));

TEST(DecodeKernels, integers_are_the_same_on_every_cpu) {
  auto x = random(96, 5, 3);
  std::fill(x.begin() + 32, x.begin() + 64, 0.f);
  for (const Kernels* k : all_kernels()) {
    std::vector<int8_t> q(96);
    std::vector<float> scales(3);
    std::vector<int32_t> offsets(3);
    k->quantize(x.data(), 96, q.data(), scales.data(), offsets.data());
    EXPECT_EQ(scales[1], 0);
    for (size_t i = 0; i < 96; ++i) {
      const float scale = scales[i / 32];
      EXPECT_EQ(q[i], scale > 0 ? std::nearbyint(x[i] / scale) : 0) << k->name << " " << i;
    }
    for (size_t g = 0; g < 3; ++g) {
      const auto group = q.begin() + static_cast<std::ptrdiff_t>(g) * 32;
      EXPECT_EQ(offsets[g], -kZeroPoint * std::accumulate(group, group + 32, 0));
    }
    EXPECT_EQ(kMostInput,
              std::max(*std::max_element(q.begin(), q.begin() + 32),
                       static_cast<int8_t>(-*std::min_element(q.begin(), q.begin() + 32))));
  }
}

TEST(DecodeKernels, largest_integers_do_not_overflow) {
  const std::vector<float> largest(64 * 64, -127.f);  // at a scale of 1
  const Matrix matrix(largest, 64, 64, WeightFormat::int8);
  for (const bool portable : {false, true}) {
    force_portable(portable);
    for (const float sign : {1.f, -1.f}) {
      const auto out = product(matrix, std::vector<float>(64, 63 * sign), 1, {}, 1);
      for (const float y : out) EXPECT_EQ(y, -64 * 63 * 127 * sign);
    }
  }
  force_portable(false);
}

TEST(DecodeKernels, memory_is_aligned_and_zero) {
  for (const int64_t size : {1, 1000, 3'000'000}) {
    const Buffer<float> buffer(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    EXPECT_EQ(*buffer.at(size - 1), 0.f);
  }
}

}  // namespace
}  // namespace genai::decode
