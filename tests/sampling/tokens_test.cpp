#include "genai/sampling/tokens.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/temp_folder.h"
#include "genai/core/philox.h"

namespace genai {
namespace {

using Candidate = TokenSampler::Candidate;

constexpr double kBelowOne = 1 - 0x1p-53;
constexpr float kNever = -std::numeric_limits<float>::infinity();

/// Nothing on: temperature 1.
TokenSampling plain() {
  return {.temperature = 1};
}

std::vector<float> logs(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

std::vector<Candidate> candidates(const TokenSampling& options, const std::vector<float>& logits,
                                  const std::vector<int32_t>& recent = {}) {
  TokenSampler sampler(options, static_cast<int64_t>(logits.size()));
  const auto found = sampler.candidates(logits, recent);
  return {found.begin(), found.end()};
}

void expect_candidates(const std::vector<Candidate>& found, const std::vector<int32_t>& tokens,
                       const std::vector<double>& weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  ASSERT_EQ(found.size(), tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(found[i].token, tokens[i]) << i;
    EXPECT_NEAR(found[i].probability, weights[i] / total, 1e-6) << i;
  }
}

const std::vector<double> kSkewed = {0.1, 0.4, 0.05, 0.25, 0.2};
const std::vector<double> kPeak = {0.4, 0.12, 0.12, 0.12, 0.12, 0.12};

TEST(TokenSampling, FieldsRoundTrip) {
  const Json json = {{"temperature", 0.5},    {"top_k", 7},     {"top_p", 0.9},
                     {"min_p", 0.1},          {"typical", 0.8}, {"repetition_penalty", 1.2},
                     {"repetition_window", 0}};
  const auto read = from_json<TokenSampling>(token_sampling_fields(), json, "sampling");
  EXPECT_EQ(write_fields(token_sampling_fields(), &read), json);
  EXPECT_EQ(read.top_k, 7);
  EXPECT_EQ(read.typical, 0.8);
}

TEST(TokenSampling, RefusesWhatCannotWork) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Json& wrong :
       {Json{{"temperature", -0.1}}, Json{{"temperature", nan}}, Json{{"temperature", INFINITY}},
        Json{{"top_k", -1}}, Json{{"top_k", 1.5}}, Json{{"top_p", 0}}, Json{{"top_p", 1.01}},
        Json{{"top_p", nan}}, Json{{"min_p", -0.1}}, Json{{"min_p", 1.1}}, Json{{"min_p", nan}},
        Json{{"typical", 0}}, Json{{"typical", 2}}, Json{{"typical", nan}},
        Json{{"repetition_penalty", 0}}, Json{{"repetition_penalty", nan}},
        Json{{"repetition_window", -1}}}) {
    expect_error(ErrorKind::usage, wrong.begin().key(),
                 [&] { from_json<TokenSampling>(token_sampling_fields(), wrong, "sampling"); });
  }
}

TEST(TokenSampling, CheckRefusesTheSameInAStruct) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NO_THROW(check({}, 1));
  EXPECT_NO_THROW(check({.top_k = 5}, 5));
  const std::pair<const char*, TokenSampling> wrong[] = {
      {"sampling.temperature", {.temperature = nan}},
      {"sampling.temperature", {.temperature = -1}},
      {"sampling.top_k: the model knows 5 tokens", {.top_k = 6}},
      {"sampling.top_k", {.top_k = -1}},
      {"sampling.top_p", {.top_p = 0}},
      {"sampling.min_p", {.min_p = nan}},
      {"sampling.typical", {.typical = 1.5}},
      {"sampling.repetition_penalty", {.repetition_penalty = 0}},
      {"sampling.repetition_window", {.repetition_window = -1}}};
  for (const auto& [text, options] : wrong) {
    expect_error(ErrorKind::usage, text, [&, &options = options] { check(options, 5); });
    expect_error(ErrorKind::usage, text, [&, &options = options] { TokenSampler(options, 5); });
  }
  EXPECT_THROW(check({}, 0), std::logic_error);
  EXPECT_THROW(check({}, int64_t{1} << 31), std::logic_error);
}

TEST(TokenSampler, WithoutFiltersIsTheSoftmax) {
  expect_candidates(candidates(plain(), logs(kSkewed)), {1, 3, 4, 0, 2},
                    {0.4, 0.25, 0.2, 0.1, 0.05});
}

TEST(TokenSampler, TemperatureIsAPowerOfTheProbabilities) {
  expect_candidates(candidates({.temperature = 0.5}, logs(kSkewed)), {1, 3, 4, 0, 2},
                    {0.16, 0.0625, 0.04, 0.01, 0.0025});
  expect_candidates(candidates({.temperature = 2}, logs(kSkewed)), {1, 3, 4, 0, 2},
                    {std::sqrt(0.4), 0.5, std::sqrt(0.2), std::sqrt(0.1), std::sqrt(0.05)});
  // To the ends of what a double holds.
  expect_candidates(candidates({.temperature = 1e308}, logs(kSkewed)), {1, 3, 4, 0, 2},
                    {1, 1, 1, 1, 1});
  expect_candidates(candidates({.temperature = 1e-308}, logs(kSkewed)), {1, 3, 4, 0, 2},
                    {1, 0, 0, 0, 0});
}

TEST(TokenSampler, TopKKeepsTheMostLikely) {
  for (const int64_t k : {1, 2, 3, 4, 5}) {
    std::vector<int32_t> tokens = {1, 3, 4, 0, 2};
    std::vector<double> weights = {0.4, 0.25, 0.2, 0.1, 0.05};
    tokens.resize(static_cast<size_t>(k));
    weights.resize(static_cast<size_t>(k));
    expect_candidates(candidates({.temperature = 1, .top_k = k}, logs(kSkewed)), tokens, weights);
  }
}

TEST(TokenSampler, TopPKeepsTheFewestThatReachIt) {
  const auto kept = [](double p) {
    return candidates({.temperature = 1, .top_p = p}, logs(kSkewed)).size();
  };
  EXPECT_EQ(kept(1e-300), 1u);
  EXPECT_EQ(kept(0.39), 1u);
  EXPECT_EQ(kept(0.41), 2u);
  EXPECT_EQ(kept(0.64), 2u);
  EXPECT_EQ(kept(0.66), 3u);
  EXPECT_EQ(kept(0.86), 4u);
  EXPECT_EQ(kept(0.96), 5u);
  EXPECT_EQ(kept(kBelowOne), 5u);
  // Reached, not passed: probabilities of 1/4 add up exactly.
  const std::vector<float> equal(4, 1.5f);
  EXPECT_EQ(candidates({.temperature = 1, .top_p = 0.5}, equal).size(), 2u);
  EXPECT_EQ(candidates({.temperature = 1, .top_p = std::nextafter(0.5, 1)}, equal).size(), 3u);
}

TEST(TokenSampler, TopPOfALargeVocabularyIsThatOfAFullSort) {
  constexpr int64_t kVocabulary = 5000;
  std::vector<float> logits(kVocabulary);
  philox_normal(1, 2, 0, logits.data(), kVocabulary);
  double total = 0;
  std::vector<std::pair<double, int32_t>> order;
  for (int32_t i = 0; i < kVocabulary; ++i) {
    order.emplace_back(-std::exp(double{logits[static_cast<size_t>(i)]}), i);
    total -= order.back().first;
  }
  std::sort(order.begin(), order.end());
  for (const double p : {0.001, 0.01, 0.1, 0.5, 0.9, 0.999}) {
    size_t count = 0;
    for (double sum = 0; sum < p * total; ++count) sum -= order[count].first;
    const auto found = candidates({.temperature = 1, .top_p = p}, logits);
    ASSERT_EQ(found.size(), count) << p;
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(found[i].token, order[i].second) << p;
  }
}

TEST(TokenSampler, MinPIsAShareOfTheMostLikely) {
  const auto kept = [](double p) {
    return candidates({.temperature = 1, .min_p = p}, logs(kSkewed));
  };
  expect_candidates(kept(0.124), {1, 3, 4, 0, 2}, {0.4, 0.25, 0.2, 0.1, 0.05});
  expect_candidates(kept(0.126), {1, 3, 4, 0}, {0.4, 0.25, 0.2, 0.1});
  expect_candidates(kept(0.26), {1, 3, 4}, {0.4, 0.25, 0.2});
  expect_candidates(kept(0.51), {1, 3}, {0.4, 0.25});
  expect_candidates(kept(1), {1}, {1});
  expect_candidates(candidates({.temperature = 1, .min_p = 1}, {2, 3, 3, 1}), {1, 2}, {1, 1});
}

// (0.5, 0.25, 0.125, 0.125) has an entropy of 1.75 bits; its surprises are 0.75, 0.25, 1.25 and
// 1.25 away from that.
TEST(TokenSampler, TypicalKeepsWhatIsNearTheEntropy) {
  const std::vector<double> p = {0.125, 0.5, 0.125, 0.25};
  const auto kept = [&](double typical) {
    return candidates({.temperature = 1, .typical = typical}, logs(p));
  };
  expect_candidates(kept(0.1), {3}, {1});
  expect_candidates(kept(0.24), {3}, {1});
  expect_candidates(kept(0.3), {1, 3}, {0.5, 0.25});
  expect_candidates(kept(0.74), {1, 3}, {0.5, 0.25});
  expect_candidates(kept(0.8), {1, 3, 0}, {0.5, 0.25, 0.125});  // of the two, the smaller id
  expect_candidates(kept(0.9), {1, 3, 0, 2}, {0.5, 0.25, 0.125, 0.125});
  // Unlike top-p it can leave out the most likely one: entropy 2.36 bits, distances 1.04 and 0.69.
  expect_candidates(candidates({.temperature = 1, .typical = 0.3}, logs(kPeak)), {1, 2, 3},
                    {1, 1, 1});
}

TEST(TokenSampler, TheRepetitionPenaltyIsThatOfCtrl) {
  const std::vector<float> logits = {2, -1, 0.5f, 0, 1};
  const TokenSampling options{.temperature = 1, .repetition_penalty = 2};
  // Twice there is penalized once; 0 stays 0.
  expect_candidates(candidates(options, logits, {0, 1, 0, 3}), {0, 4, 2, 3, 1},
                    {std::exp(1), std::exp(1), std::exp(0.5), 1, std::exp(-2)});
  expect_candidates(candidates(options, logits), {0, 4, 2, 3, 1},
                    {std::exp(2), std::exp(1), std::exp(0.5), 1, std::exp(-1)});
}

TEST(TokenSampler, TheRepetitionPenaltyLooksAtTheNewest) {
  const std::vector<float> logits = {1, 1, 1};
  const auto below_2 = [&](int64_t window) {
    TokenSampling options{.temperature = 1, .repetition_penalty = 2, .repetition_window = window};
    std::map<int32_t, double> found;
    for (const auto& [token, p] : candidates(options, logits, {0, 1, 1})) found[token] = p;
    return std::pair(found[0] < found[2], found[1] < found[2]);
  };
  EXPECT_EQ(below_2(1), std::pair(false, true));
  EXPECT_EQ(below_2(2), std::pair(false, true));
  EXPECT_EQ(below_2(3), std::pair(true, true));
  EXPECT_EQ(below_2(64), std::pair(true, true));
  EXPECT_EQ(below_2(0), std::pair(true, true));
  // One call leaves nothing to the next.
  TokenSampler sampler({.temperature = 1, .repetition_penalty = 2}, 3);
  const std::vector<int32_t> recent = {0};
  EXPECT_EQ(sampler.candidates(logits, recent).back().token, 0);
  EXPECT_EQ(sampler.candidates(logits, {}).front().token, 0);
}

TEST(TokenSampler, AHugePenaltyKeepsLogitsFinite) {
  const std::vector<int32_t> all = {0, 1};
  const auto choice = [&](double penalty, std::vector<float> logits) {
    TokenSampler sampler({.temperature = 1, .repetition_penalty = penalty}, 2);
    return sampler.choose(logits, all, 0.25).token;
  };
  EXPECT_EQ(choice(1e308, {-3e38f, -3e38f}), 0);
  EXPECT_EQ(choice(1e-308, {-1, 3e38f}), 1);
}

TEST(TokenSampler, FiltersFollowInTheStatedOrder) {
  // Penalty before temperature and the rest: token 0 falls behind and out.
  expect_candidates(
      candidates({.temperature = 0.5, .top_k = 2, .repetition_penalty = 4}, {2, 1, 0.75f}, {0}),
      {1, 2}, {std::exp(2), std::exp(1.5)});
  // Temperature before top-p: (0.4, 0.3, 0.3) becomes (0.47, 0.26, 0.26): one token for 0.45.
  const std::vector<float> flat = logs({0.4, 0.3, 0.3});
  EXPECT_EQ(candidates({.temperature = 0.5, .top_p = 0.45}, flat).size(), 1u);
  EXPECT_EQ(candidates({.temperature = 1, .top_p = 0.45}, flat).size(), 2u);
  // Top-k before top-p: of (0.4, 0.25) renormalized the first holds 0.615.
  EXPECT_EQ(candidates({.temperature = 1, .top_k = 2, .top_p = 0.6}, logs(kSkewed)).size(), 1u);
  // Top-k before typical: of (0.4, 0.12) renormalized the first is nearest to the entropy.
  const std::vector<float> peak = logs(kPeak);
  expect_candidates(candidates({.temperature = 1, .top_k = 2, .typical = 0.3}, peak), {0}, {1});
  // Typical before top-p: top-p first would leave token 0 alone.
  expect_candidates(candidates({.temperature = 1, .top_p = 0.35, .typical = 0.3}, peak), {1, 2},
                    {1, 1});
  // Top-p before min-p: of (0.4, 0.25, 0.2) renormalized the first would hold 0.47.
  EXPECT_EQ(candidates({.temperature = 1, .top_p = 0.45, .min_p = 0.3}, logs(kSkewed)).size(), 2u);
  // Min-p after typical: of what is left then, all are as likely as the most likely one.
  expect_candidates(candidates({.temperature = 1, .min_p = 0.9, .typical = 0.3}, peak), {1, 2, 3},
                    {1, 1, 1});
}

TEST(TokenSampler, TiesGoToTheSmallerId) {
  const std::vector<float> logits = {1, 2, 2, 2, 1};
  EXPECT_EQ(candidates({.temperature = 0}, logits)[0].token, 1);
  expect_candidates(candidates({.temperature = 1, .top_k = 2}, logits), {1, 2}, {1, 1});
  expect_candidates(candidates({.temperature = 1, .top_k = 4}, logits), {1, 2, 3, 0},
                    {std::exp(1), std::exp(1), std::exp(1), 1});
  expect_candidates(candidates({.temperature = 1, .top_p = 0.3}, logits), {1, 2}, {1, 1});
}

TEST(TokenSampler, GreedyTakesTheMostLikelyAfterThePenalty) {
  TokenSampler sampler({.temperature = 0, .top_k = 3, .repetition_penalty = 2}, 4);
  const std::vector<float> logits = {1, 3, 2, 2};
  const std::vector<int32_t> recent = {1};
  for (const double u : {0.0, 0.5, kBelowOne}) {
    EXPECT_EQ(sampler.choose(logits, {}, u).token, 1);
    EXPECT_EQ(sampler.choose(logits, recent, u).token, 2);
  }
  const auto found = sampler.candidates(logits, recent);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].probability, 1);
}

TEST(TokenSampler, TheLogProbabilityIsTheModelsOwn) {
  const std::vector<int32_t> recent = {3};
  for (const TokenSampling& options :
       {plain(), TokenSampling{.temperature = 0.3, .top_k = 3, .repetition_penalty = 1.5},
        TokenSampling{.temperature = 0}}) {
    TokenSampler sampler(options, 5);
    for (const double u : {0.05, 0.3, 0.6, 0.95}) {
      const auto choice = sampler.choose(logs(kSkewed), recent, u);
      EXPECT_NEAR(choice.log_probability, std::log(kSkewed[static_cast<size_t>(choice.token)]),
                  1e-6);
    }
  }
  // Large logits do not overflow.
  TokenSampler sampler(plain(), 2);
  EXPECT_NEAR(sampler.choose(std::vector<float>{1e30f, 1e30f}, {}, 0).log_probability, -std::log(2),
              1e-6);
}

TEST(TokenSampler, UGoesThroughTheCumulativeProbabilities) {
  TokenSampler by_id(plain(), 5), sorted({.temperature = 1, .top_k = 5}, 5);
  const std::vector<float> logits = logs(kSkewed);
  const auto expect = [&](TokenSampler& sampler, double u, int32_t token) {
    EXPECT_EQ(sampler.choose(logits, {}, u).token, token) << u;
  };
  for (const auto& [u, token] : std::vector<std::pair<double, int32_t>>{{0, 0},
                                                                        {0.0999, 0},
                                                                        {0.1001, 1},
                                                                        {0.4999, 1},
                                                                        {0.5001, 2},
                                                                        {0.5501, 3},
                                                                        {0.8001, 4},
                                                                        {kBelowOne, 4}}) {
    expect(by_id, u, token);
  }
  for (const auto& [u, token] : std::vector<std::pair<double, int32_t>>{{0, 1},
                                                                        {0.3999, 1},
                                                                        {0.4001, 3},
                                                                        {0.6501, 4},
                                                                        {0.8501, 0},
                                                                        {0.9501, 2},
                                                                        {kBelowOne, 2}}) {
    expect(sorted, u, token);
  }
}

TEST(TokenSampler, TheCumulativeProbabilityIsAboveU) {  // 1/4 each: exact
  const std::vector<float> equal(4, -2);
  for (const int64_t top_k : {0, 4}) {
    TokenSampler sampler({.temperature = 1, .top_k = top_k}, 4);
    for (const int32_t i : {0, 1, 2, 3}) EXPECT_EQ(sampler.choose(equal, {}, i / 4.0).token, i);
  }
}

TEST(TokenSampler, EachFilterLinesUpTheMostLikelyFirst) {
  for (const TokenSampling& options :
       {TokenSampling{.top_k = 5}, TokenSampling{.top_p = 0.999}, TokenSampling{.min_p = 1e-3},
        TokenSampling{.typical = 0.999}}) {
    EXPECT_EQ(TokenSampler(options, 5).choose(logs(kSkewed), {}, 0).token, 1);
  }
}

TEST(TokenSampler, TheImpossibleIsNeverDrawn) {
  // By -inf, and by a probability that a double cannot tell from 0.
  const std::vector<float> logits = {kNever, -1e6f, 0, 1, -1e6f, kNever};
  for (const int64_t top_k : {0, 6}) {
    TokenSampler sampler({.temperature = 1, .top_k = top_k}, 6);
    EXPECT_EQ(sampler.choose(logits, {}, 0).token, top_k ? 3 : 2);
    EXPECT_EQ(sampler.choose(logits, {}, kBelowOne).token, top_k ? 2 : 3);
    EXPECT_EQ(sampler.candidates(logits, {}).size(), 4u);
  }
  for (const double typical : {0.5, 1.0}) {
    EXPECT_EQ(candidates({.temperature = 1e-3, .min_p = 0.1, .typical = typical}, logits).size(),
              1u);
  }
}

TEST(TokenSampler, AVocabularyOfOne) {
  for (const TokenSampling& options :
       {TokenSampling{.temperature = 0}, plain(),
        TokenSampling{
            .top_k = 1, .top_p = 0.1, .min_p = 1, .typical = 0.1, .repetition_penalty = 3}}) {
    TokenSampler sampler(options, 1);
    const std::vector<float> logits = {-7};
    const std::vector<int32_t> recent = {0, 0};
    for (const double u : {0.0, kBelowOne}) {
      const auto choice = sampler.choose(logits, recent, u);
      EXPECT_EQ(choice.token, 0);
      EXPECT_EQ(choice.log_probability, 0);
    }
    EXPECT_EQ(sampler.candidates(logits, recent)[0].probability, 1);
  }
}

TEST(TokenSampler, RefusesWhatIsNoLogitsNoTextAndNoU) {
  TokenSampler sampler({.repetition_penalty = 2}, 3);
  const std::vector<float> good = {1, 2, 3};
  const std::vector<int32_t> text = {0, 2};
  for (const float wrong : {NAN, INFINITY}) {
    const std::vector<float> logits = {1, wrong, 3};
    expect_error(ErrorKind::failure, "not finite", [&] { sampler.choose(logits, text, 0.5); });
    expect_error(ErrorKind::failure, "not finite", [&] { sampler.candidates(logits, text); });
  }
  expect_error(ErrorKind::failure, "all -inf",
               [&] { sampler.choose(std::vector<float>(3, kNever), text, 0.5); });
  EXPECT_THROW(sampler.choose(std::vector<float>(2), text, 0.5), std::logic_error);
  EXPECT_THROW(sampler.candidates(std::vector<float>(4), text), std::logic_error);
  for (const int32_t token : {-1, 3}) {
    const std::vector<int32_t> wrong = {0, token};
    EXPECT_THROW(sampler.choose(good, wrong, 0.5), std::logic_error);
  }
  for (const double u : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(sampler.choose(good, text, u), std::logic_error);
  }
  // And works on afterwards, nothing of the refused text in it.
  TokenSampler fresh({.repetition_penalty = 2}, 3);
  const auto found = sampler.candidates(good, {}), expected = fresh.candidates(good, {});
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].token, expected[i].token);
    EXPECT_EQ(found[i].probability, expected[i].probability);
  }
}

/// Draws agree with exact probabilities: chi-squared below its mean plus four standard deviations
/// (about 1 in 10^4 for so few degrees of freedom; the draws are the same in every run).
void expect_distribution(const TokenSampling& options, const std::vector<double>& logits_of,
                         const std::map<int32_t, double>& weights) {
  constexpr int64_t kDraws = 100'000;
  std::vector<float> u(kDraws);
  philox_uniform(stream_key(1, "tokens"), 0, 0, u.data(), kDraws);
  TokenSampler sampler(options, static_cast<int64_t>(logits_of.size()));
  const std::vector<float> logits = logs(logits_of);
  std::map<int32_t, int64_t> counts;
  for (const float x : u) ++counts[sampler.choose(logits, {}, x).token];
  double total = 0, chi_squared = 0;
  for (const auto& [token, weight] : weights) total += weight;
  for (const auto& [token, weight] : weights) {
    const double expected = kDraws * weight / total;
    chi_squared += std::pow(static_cast<double>(counts[token]) - expected, 2) / expected;
  }
  ASSERT_EQ(counts.size(), weights.size());
  const double degrees = static_cast<double>(weights.size()) - 1;
  EXPECT_LT(chi_squared, degrees + 4 * std::sqrt(2 * degrees));
}

TEST(TokenSampler, DrawsFollowTheDistribution) {
  const std::vector<double> p = {0.07, 0.2, 0.01, 0.3, 0.12, 0.02, 0.18, 0.1};
  std::map<int32_t, double> all;
  for (int32_t i = 0; i < 8; ++i) all[i] = p[static_cast<size_t>(i)];
  expect_distribution(plain(), p, all);
}

TEST(TokenSampler, DrawsFollowTheDistributionOfTheChain) {
  const std::vector<double> p = {0.07, 0.2, 0.01, 0.3, 0.12, 0.02, 0.18, 0.1};
  // p^(1 / 0.8) of the six most likely: 0.222, 0.134, 0.117, 0.071, 0.056, 0.036, together 0.636;
  // the first four hold 0.856 of it, the first five 0.944.
  std::map<int32_t, double> kept;
  for (const int32_t i : {3, 1, 6, 4, 7}) kept[i] = std::pow(p[static_cast<size_t>(i)], 1 / 0.8);
  expect_distribution({.temperature = 0.8, .top_k = 6, .top_p = 0.9}, p, kept);
}

}  // namespace
}  // namespace genai
