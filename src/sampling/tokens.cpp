#include "genai/sampling/tokens.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace genai {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr size_t kFirstSorted = 64;  // top-p mostly needs no more of a large vocabulary

/// A penalty keeps finite logits finite, however large it is.
double penalized(double logit, double penalty) {
  return std::clamp(logit > 0 ? logit / penalty : logit * penalty, -kLargest, kLargest);
}

}  // namespace

const FieldTable& token_sampling_fields() {
  static const FieldTable table =
      describe<TokenSampling>()
          .field("temperature", &TokenSampling::temperature,
                 "logits are divided by it; 0: always the most likely token", at_least(0))
          .field("top_k", &TokenSampling::top_k, "only so many most likely tokens; 0: all",
                 at_least(0))
          .field("top_p", &TokenSampling::top_p,
                 "only the most likely tokens that hold this much probability; 1: all",
                 {.min = 0, .max = 1, .open_min = true})
          .field("min_p", &TokenSampling::min_p,
                 "only tokens at least this likely, the most likely one being 1; 0: all",
                 between(0, 1))
          .field("typical", &TokenSampling::typical,
                 "only tokens about as surprising as is usual here, this much probability of them; "
                 "1: all",
                 {.min = 0, .max = 1, .open_min = true})
          .field("repetition_penalty", &TokenSampling::repetition_penalty,
                 "divides the logits of tokens that were there lately; 1: off", above(0))
          .field("repetition_window", &TokenSampling::repetition_window,
                 "newest tokens that the penalty looks at; 0: all", at_least(0))
          .table();
  return table;
}

void check(const TokenSampling& options, int64_t vocabulary) {
  if (vocabulary < 1 || vocabulary > std::numeric_limits<int32_t>::max()) {
    throw std::logic_error(concat("a vocabulary of ", vocabulary, " tokens"));
  }
  for (const Field& field : token_sampling_fields()) {
    const std::string wrong = check_value(field, field.get(&options));
    if (!wrong.empty()) fail(ErrorKind::usage, "sampling.", field.name, ": ", wrong);
  }
  if (options.top_k > vocabulary) {
    fail(ErrorKind::usage, "sampling.top_k: the model knows ", vocabulary,
         " tokens; expected that many at most, found ", options.top_k);
  }
}

TokenSampler::TokenSampler(const TokenSampling& options, int64_t vocabulary) : options_(options) {
  check(options, vocabulary);
  const auto size = static_cast<size_t>(vocabulary);
  entries_.reserve(size);
  candidates_.reserve(size);
  repeated_.assign(size, 0);
}

TokenSampler::Choice TokenSampler::choose(std::span<const float> logits,
                                          std::span<const int32_t> recent, double u) {
  if (!(u >= 0 && u < 1)) throw std::logic_error(concat("u = ", u, " is not in [0, 1)"));
  filter(logits, recent);
  const double target = u * total_;
  int32_t token = entries_.front().token;
  double sum = 0;
  for (const Entry& entry : entries_) {
    if (entry.weight == 0) continue;
    // Where rounding leaves the whole sum below the target, the last one it is.
    token = entry.token;
    sum += entry.weight;
    if (sum > target) break;
  }
  double top = -kInfinity, all = 0;
  for (const float logit : logits) top = std::max(top, double{logit});
  for (const float logit : logits) all += std::exp(logit - top);
  const double log_probability = logits[static_cast<size_t>(token)] - top - std::log(all);
  return {.token = token, .log_probability = static_cast<float>(log_probability)};
}

std::span<const TokenSampler::Candidate> TokenSampler::candidates(std::span<const float> logits,
                                                                  std::span<const int32_t> recent) {
  filter(logits, recent);
  sort_front(entries_.size());
  candidates_.clear();
  for (const Entry& entry : entries_) candidates_.push_back({entry.token, entry.weight / total_});
  return candidates_;
}

void TokenSampler::filter(std::span<const float> logits, std::span<const int32_t> recent) {
  fill(logits, recent);
  if (options_.temperature == 0) return keep(1);
  if (options_.top_k > 0) keep(static_cast<size_t>(options_.top_k));
  if (options_.typical < 1) keep_typical();
  if (options_.top_p < 1) keep_top_p();
  if (options_.min_p > 0) keep_min_p();
}

/// Penalty and temperature; entries in the order of their ids.
void TokenSampler::fill(std::span<const float> logits, std::span<const int32_t> recent) {
  if (logits.size() != repeated_.size()) {
    throw std::logic_error(concat(logits.size(), " logits for ", repeated_.size(), " tokens"));
  }
  for (const float logit : logits) {
    if (std::isnan(logit) || logit == std::numeric_limits<float>::infinity()) {
      fail(ErrorKind::failure, "the model's logits are not finite (", logit, ")");
    }
  }
  mark_repeated(recent, 1);
  entries_.clear();
  sorted_ = 0;
  double top = -kInfinity;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isinf(logits[i])) continue;
    const double logit =
        repeated_[i] ? penalized(logits[i], options_.repetition_penalty) : logits[i];
    entries_.push_back({.token = static_cast<int32_t>(i), .logit = logit});
    top = std::max(top, logit);
  }
  mark_repeated(recent, 0);
  if (entries_.empty()) fail(ErrorKind::failure, "the model's logits are all -inf");
  // Temperature 0 keeps the first of the sorted entries, whatever its weight.
  const double temperature = options_.temperature == 0 ? 1 : options_.temperature;
  total_ = 0;
  for (Entry& entry : entries_) {
    entry.scaled = (entry.logit - top) / temperature;
    entry.weight = std::exp(entry.scaled);
    total_ += entry.weight;
  }
}

void TokenSampler::mark_repeated(std::span<const int32_t> recent, char mark) {
  if (options_.repetition_penalty == 1) return;
  const auto window = static_cast<size_t>(options_.repetition_window);
  if (window > 0 && recent.size() > window) recent = recent.last(window);
  for (const int32_t token : recent) {
    if (token < 0 || static_cast<size_t>(token) >= repeated_.size()) {
      std::fill(repeated_.begin(), repeated_.end(), 0);
      throw std::logic_error(concat("the text holds the token ", token, " of ", repeated_.size()));
    }
    repeated_[static_cast<size_t>(token)] = mark;
  }
}

void TokenSampler::keep_typical() {
  const double log_total = std::log(total_);
  double entropy = 0;
  for (const Entry& entry : entries_) {
    if (entry.weight > 0) entropy -= entry.weight / total_ * (entry.scaled - log_total);
  }
  for (Entry& entry : entries_) entry.surprise = std::abs(log_total - entry.scaled - entropy);
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.surprise != b.surprise ? a.surprise < b.surprise : a.token < b.token;
  });
  sorted_ = 0;
  double sum = 0;
  size_t count = 0;
  while (count < entries_.size() && sum < options_.typical * total_) {
    sum += entries_[count++].weight;
  }
  entries_.resize(std::max<size_t>(count, 1));
  keep(entries_.size());
}

void TokenSampler::keep_top_p() {
  double sum = 0;
  size_t count = 0;
  while (count < entries_.size() && sum < options_.top_p * total_) {
    if (count >= sorted_) sort_front(std::max(kFirstSorted, 4 * sorted_));
    sum += entries_[count++].weight;
  }
  keep(std::max<size_t>(count, 1));
}

void TokenSampler::keep_min_p() {
  double top = 0;
  for (const Entry& entry : entries_) top = std::max(top, entry.weight);
  // An order that is there already stays.
  std::erase_if(entries_, [&](const Entry& entry) { return entry.weight < options_.min_p * top; });
  sorted_ = std::min(sorted_, entries_.size());
  keep(entries_.size());
}

/// The `count` most likely entries stay, sorted.
void TokenSampler::keep(size_t count) {
  count = std::min(count, entries_.size());
  sort_front(count);
  entries_.resize(count);
  total_ = 0;
  for (const Entry& entry : entries_) total_ += entry.weight;
}

/// Brings the `count` most likely entries to the front, in order.
void TokenSampler::sort_front(size_t count) {
  count = std::min(count, entries_.size());
  if (count <= sorted_) return;
  const auto at = [&](size_t i) { return entries_.begin() + static_cast<std::ptrdiff_t>(i); };
  std::partial_sort(at(sorted_), at(count), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  });
  sorted_ = count;
}

}  // namespace genai
