#include "genai/core/coding_tables.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr double kDensity = 0.39894228040143267794;  // 1 / sqrt(2 pi)

/// 1 / i!
constexpr std::array<double, 15> kInverseFactorials = [] {
  std::array<double, 15> all{1};
  double factorial = 1;
  for (size_t i = 1; i < all.size(); ++i) {
    factorial *= static_cast<double>(i);
    all[i] = 1 / factorial;
  }
  return all;
}();

/// To the nearest whole number, for |x| < 2^51.
double rounded(double x) {
  constexpr double kRound = 0x1.8p52;
  return x + kRound - kRound;
}

/// The normal distribution function in steps of 2^-40, at points 2^-8 apart from -8 to 8.
class NormalTable {
 public:
  static constexpr int kPointBits = 8, kFractionBits = 20, kValueBits = 40;
  static constexpr double kEnd = 8;

  NormalTable() {
    for (int64_t i = 0; i < kPoints; ++i) {
      const double x = static_cast<double>(i) / (1 << kPointBits) - kEnd;
      values_[static_cast<size_t>(i)] = static_cast<int64_t>(normal_cdf(x) * 0x1p40);
    }
    values_.front() = 0;
    values_.back() = int64_t{1} << kValueBits;
  }

  /// Whole numbers from here on, so that it never falls as x rises.
  int64_t at(double x) const {
    const double held = std::min(std::max(x, -kEnd), kEnd);
    const auto place =
        static_cast<int64_t>((held + kEnd) * static_cast<double>(int64_t{1} << kPlaceBits));
    const auto i = static_cast<size_t>(place >> kFractionBits);
    if (i + 1 == kPoints) return values_.back();
    const int64_t fraction = place & ((int64_t{1} << kFractionBits) - 1);
    const int64_t step = values_[i + 1] - values_[i];  // below 2^31
    return values_[i] + (step * fraction >> kFractionBits);
  }

 private:
  static constexpr int kPlaceBits = kPointBits + kFractionBits;
  static constexpr int64_t kPoints = (int64_t{16} << kPointBits) + 1;
  std::array<int64_t, kPoints> values_{};
};

/// The numbers that mean 0, by the logit in steps of 1/64.
class BernoulliTable {
 public:
  static constexpr double kSteps = 64, kMost = 16;

  BernoulliTable() {
    for (size_t i = 0; i < sizes_.size(); ++i) {
      const double logit = static_cast<double>(i) / kSteps - kMost;
      const double zero = 1 / (1 + portable_exp(logit)) * kAnsTotal;
      sizes_[i] = std::clamp<uint32_t>(static_cast<uint32_t>(zero), 1, kAnsTotal - 1);
    }
  }
  uint32_t at(double logit) const {
    const double held = std::min(std::max(logit, -kMost), kMost);
    return sizes_[static_cast<size_t>(rounded((held + kMost) * kSteps))];
  }

 private:
  std::array<uint32_t, static_cast<size_t>(2 * kMost * kSteps) + 1> sizes_{};
};

/// x with P(X <= x) = p < 1/2, from a point near it by Newton's method.
double normal_quantile(double p, double near) {
  constexpr int kSteps = 16;
  constexpr double kLongest = 0.5;  // step: far out the curve is flat
  double x = near;
  for (int i = 0; i < kSteps; ++i) {
    const double step = (p - normal_cdf(x)) / (kDensity * portable_exp(-x * x / 2));
    x += std::min(std::max(step, -kLongest), kLongest);
  }
  return x;
}

constexpr uint32_t kEscapeSize = kAnsTotal >> 12;
constexpr const char* kNotFinite = "nothing can be coded by a model whose numbers are not finite";

}  // namespace

double portable_exp(double x) {
  if (x < -700) return 0;
  // 2^k e^r with r within +-log(2) / 2, by its Taylor polynomial.
  constexpr double kPerLog = 1.44269504088896340736;
  constexpr double kLogHigh = 0x1.62e42feep-1, kLogLow = 0x1.a39ef35793c76p-33;  // log(2) in two
  const double k = rounded(x * kPerLog);
  const double r = (x - k * kLogHigh) - k * kLogLow;
  double p = kInverseFactorials.back();
  for (size_t i = kInverseFactorials.size() - 1; i-- > 0;) p = p * r + kInverseFactorials[i];
  const auto exponent = static_cast<uint64_t>(static_cast<int64_t>(k) + 1023);
  return p * std::bit_cast<double>(exponent << 52);
}

double normal_cdf(double x) {
  if (x < -8.5) return 0;
  if (x > 8.5) return 1;
  double sum = x, term = x;
  for (int i = 3; i < 400; i += 2) {
    term = term * x * x / i;
    const double more = sum + term;
    if (more == sum) break;
    sum = more;
  }
  return std::min(std::max(0.5 + sum * kDensity * portable_exp(-x * x / 2), 0.0), 1.0);
}

std::vector<double> equal_mass_edges(int64_t n) {
  std::vector<double> edges(static_cast<size_t>(n - 1));
  double x = -4;
  for (int64_t i = 1; i < n / 2; ++i) {
    x = normal_quantile(static_cast<double>(i) / static_cast<double>(n), x);
    edges[static_cast<size_t>(i - 1)] = x;
    edges[static_cast<size_t>(n - 1 - i)] = -x;
  }
  return edges;  // that in the middle is 0
}

Interval uniform_interval(int64_t symbol, int64_t n) {
  const auto start = [&](int64_t i) {
    return static_cast<uint32_t>(i * static_cast<int64_t>(kAnsTotal) / n);
  };
  return {start(symbol), start(symbol + 1) - start(symbol)};
}

int64_t uniform_symbol(uint32_t number, int64_t n) {
  // The last symbol whose interval starts at the number or before it.
  return ((int64_t{number} + 1) * n - 1) / static_cast<int64_t>(kAnsTotal);
}

BernoulliCode::BernoulliCode(double logit) {
  static const BernoulliTable table;
  if (!std::isfinite(logit)) fail(ErrorKind::data, kNotFinite);
  zeros_ = table.at(logit);
}

NormalCode::NormalCode(std::span<const double> edges, double mean, double deviation)
    : edges_(edges), mean_(mean), scale_(1 / deviation) {
  if (!std::isfinite(mean) || !std::isfinite(scale_)) {
    fail(ErrorKind::data, kNotFinite);
  }
}

uint32_t NormalCode::below(int64_t cell) const {
  static const NormalTable table;
  const auto cells = static_cast<int64_t>(edges_.size()) + 1;
  if (cell == 0) return 0;
  if (cell == cells) return kAnsTotal;
  const double x = (edges_[static_cast<size_t>(cell - 1)] - mean_) * scale_;
  const int64_t shared = static_cast<int64_t>(kAnsTotal) - cells;  // each has one number at least
  // 2^40 x 2^24: above what 63 bits hold, so in two steps.
  const int64_t value = table.at(x) >> 2;
  return static_cast<uint32_t>((value * shared >> (NormalTable::kValueBits - 2)) + cell);
}

int64_t NormalCode::cell(uint32_t number) const {
  int64_t first = 0, last = static_cast<int64_t>(edges_.size());
  while (first < last) {
    const int64_t middle = (first + last + 1) / 2;
    if (below(middle) <= number) {
      first = middle;
    } else {
      last = middle - 1;
    }
  }
  return first;
}

void SoftmaxCode::set(std::span<const float> logits) {
  constexpr size_t kMost = size_t{1} << 20;
  if (logits.empty() || logits.size() > kMost) {
    fail(ErrorKind::usage, "expected 1 to ", kMost, " logits to code with, found ", logits.size());
  }
  if (!std::ranges::all_of(logits, [](float x) { return std::isfinite(x); })) {
    fail(ErrorKind::data, kNotFinite);
  }
  const float most = *std::ranges::max_element(logits);
  weights_.resize(logits.size());
  sizes_.resize(logits.size() + 1);
  sum_ = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    weights_[i] = portable_exp(static_cast<double>(logits[i]) - static_cast<double>(most));
    sum_ += weights_[i];
  }
  const uint32_t shared = kAnsTotal - kEscapeSize - static_cast<uint32_t>(logits.size());
  const double scale = shared / sum_;
  uint32_t left = shared;
  for (size_t i = 0; i < logits.size(); ++i) {
    const uint32_t part = std::min(static_cast<uint32_t>(weights_[i] * scale), left);
    left -= part;
    sizes_[i] = part + 1;
  }
  sizes_.back() = kEscapeSize + left;  // less than one number for each
}

Interval SoftmaxCode::interval(int32_t symbol) const {
  uint32_t start = 0;
  for (int32_t i = 0; i < symbol; ++i) start += sizes_[static_cast<size_t>(i)];
  return {start, sizes_[static_cast<size_t>(symbol)]};
}

int32_t SoftmaxCode::symbol(uint32_t number) const {
  size_t i = 0;
  for (uint32_t end = sizes_[0]; end <= number; end += sizes_[++i]) continue;
  return static_cast<int32_t>(i);
}

double SoftmaxCode::bits(int32_t symbol) const {
  return std::log2(sum_ / weights_[static_cast<size_t>(symbol)]);
}

}  // namespace genai
