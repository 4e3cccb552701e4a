// From the logits of the next token to a token: the usual filters in one stated order.
//
//  1. repetition penalty  N. Keskar et al., "CTRL", 2019, section 4.1: positive logits of tokens
//                         that were there lately are divided by it, negative ones multiplied
//  2. temperature         logits are divided by it; 0 takes the most likely token
//  3. top-k               the k most likely tokens stay
//  4. typical             C. Meister et al., "Locally typical sampling", 2023: tokens whose
//                         surprise is nearest to the entropy, the fewest that hold this much
//                         probability
//  5. top-p               A. Holtzman et al., "The curious case of neural text degeneration", 2020:
//                         the most likely tokens, the fewest that hold this much probability
//  6. min-p               M. Nguyen et al., "Turning up the heat", 2024: tokens at least this
//                         likely as the most likely one of those left
//
// Each filter sees the renormalized distribution of what the one before left. Among equals the
// smaller id comes first, so the result is a pure function. At least one token always stays.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "genai/base/fields.h"

namespace genai {

struct TokenSampling {
  double temperature = 0.8;
  int64_t top_k = 0;               ///< 0: off
  double top_p = 1;                ///< 1: off
  double min_p = 0;                ///< 0: off
  double typical = 1;              ///< 1: off
  double repetition_penalty = 1;   ///< 1: off
  int64_t repetition_window = 64;  ///< newest tokens that the penalty looks at; 0: all
};
const FieldTable& token_sampling_fields();

/// Throws Error{usage} for a value out of its field's range (NaN is in none) or a top_k beyond the
/// vocabulary, std::logic_error for a vocabulary that is not 1 to 2^31 - 1.
void check(const TokenSampling& options, int64_t vocabulary);

/// Holds the scratch memory of a choice: nothing is allocated after construction. One for each
/// thread.
class TokenSampler {
 public:
  struct Candidate {
    int32_t token;
    double probability;
  };
  struct Choice {
    int32_t token;
    /// In nats, by the softmax of the logits as they were given: what the model says itself.
    float log_probability;
  };

  /// Throws as check() does.
  TokenSampler(const TokenSampling& options, int64_t vocabulary);

  /// Draws a token: the first whose cumulative probability is above u. Candidates are lined up most
  /// likely first where a filter (3 to 6) is on, by id where none is.
  /// @param logits  [vocabulary]; -inf: never
  /// @param recent  the tokens so far, newest last
  /// @param u       uniform in [0, 1)
  /// Throws Error{failure} for logits with NaN or +inf, or without a finite one; std::logic_error
  /// for another number of logits, a recent token that is none, another u.
  Choice choose(std::span<const float> logits, std::span<const int32_t> recent, double u);

  /// What choose() draws from, most likely first; valid until the next call. Throws as choose().
  std::span<const Candidate> candidates(std::span<const float> logits,
                                        std::span<const int32_t> recent);

 private:
  struct Entry {
    int32_t token;
    double logit;     // after the penalty: the order
    double scaled;    // with temperature, relative to the largest: log of the weight
    double weight;    // its probability times total_
    double surprise;  // its distance from the entropy
  };

  void filter(std::span<const float> logits, std::span<const int32_t> recent);
  void fill(std::span<const float> logits, std::span<const int32_t> recent);
  void mark_repeated(std::span<const int32_t> recent, char mark);
  void keep_typical();
  void keep_top_p();
  void keep_min_p();
  void keep(size_t count);
  void sort_front(size_t count);

  TokenSampling options_;
  std::vector<Entry> entries_;
  size_t sorted_ = 0;           // entries at the front that are sorted, most likely first
  double total_ = 0;            // of the weights
  std::vector<char> repeated_;  // [vocabulary], 1 where the penalty counts; 0 between calls
  std::vector<Candidate> candidates_;
};

}  // namespace genai
