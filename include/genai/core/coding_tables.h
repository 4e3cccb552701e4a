// Distributions in whole numbers, as core/ans.h codes with them: each symbol has an interval of the
// numbers below kAnsTotal, at least one number wide, so that everything can be coded.
//
// Both who codes and who decodes must find the same intervals. So they are made by plain IEEE
// arithmetic in double precision, without libm and without fused multiply-add, as random draws are
// (core/philox.h): equal arguments give equal intervals on every machine.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "genai/core/ans.h"

namespace genai {

/// e^x to about 2 units in the last place; 0 below -700. x at most 700.
double portable_exp(double x);

/// P(X <= x) of a standard normal X, with an error below 1e-14: the series of G. Marsaglia,
/// "Evaluating the normal distribution", 2004.
double normal_cdf(double x);

/// The points that part the standard normal distribution in n cells of equal probability, n - 1 of
/// them, ascending. n is even.
std::vector<double> equal_mass_edges(int64_t n);

/// One of n that are equally likely, n at most kAnsTotal.
Interval uniform_interval(int64_t symbol, int64_t n);
int64_t uniform_symbol(uint32_t number, int64_t n);

/// A bit with P(1) = sigmoid(logit), the logit rounded to 1/64 and held to -16 .. 16: what rounding
/// costs is below 1e-5 nats.
class BernoulliCode {
 public:
  explicit BernoulliCode(double logit);
  Interval interval(bool bit) const {
    return bit ? Interval{zeros_, kAnsTotal - zeros_} : Interval{0, zeros_};
  }
  bool bit(uint32_t number) const { return number >= zeros_; }

 private:
  uint32_t zeros_;
};

/// The cells between ascending edges that N(mean, deviation^2) falls into; the first and the last
/// one have no end. Its distribution function is read from a table between whose points it is
/// straight. The edges outlive it.
class NormalCode {
 public:
  NormalCode(std::span<const double> edges, double mean, double deviation);
  Interval interval(int64_t cell) const {
    const uint32_t start = below(cell);
    return {start, below(cell + 1) - start};
  }
  int64_t cell(uint32_t number) const;

 private:
  /// The size of all intervals before that of a cell.
  uint32_t below(int64_t cell) const;

  std::span<const double> edges_;
  double mean_, scale_;
};

/// One of several by their logits, and an escape: what the model cannot say. Its number is that of
/// the logits, its probability 2^-12.
class SoftmaxCode {
 public:
  /// Throws Error{data} where a logit is not finite, Error{usage} for more than 2^20 of them.
  void set(std::span<const float> logits);
  int32_t escape() const { return static_cast<int32_t>(sizes_.size()) - 1; }
  Interval interval(int32_t symbol) const;
  int32_t symbol(uint32_t number) const;
  /// Of the model alone: -log2 softmax.
  double bits(int32_t symbol) const;

 private:
  std::vector<uint32_t> sizes_;
  std::vector<double> weights_;  // e^(logit - the largest)
  double sum_ = 0;
};

}  // namespace genai
