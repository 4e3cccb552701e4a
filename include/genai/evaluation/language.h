// How well a model knows a text, and how much of it it knows by heart.
#pragma once
#include <string_view>

#include "genai/evaluation/evaluate.h"

namespace genai {

/// Cross-entropy of the test text, every token once, in windows that do not overlap, as nats and
/// bits a token, bits a character and a byte, and perplexity; for running text also
///   loss_sliding   windows that move on by a quarter: every token but the first ones has at least
///                  three quarters of a context before it
///   loss_nanogpt   A. Karpathy, nanoGPT, estimate_loss(): 200 batches (of the training's size) at
///                  random places, with replacement; left out unless `full` where it takes longer
///                  than a full pass several times over
void measure_language(const LoadedModel& loaded, const Dataset& data,
                      const EvaluationRequest& request, Evaluation& into,
                      const StageProgress& progress = {});

/// What samples have of the training text: the longest passage found in it letter by letter, and
/// the share of lines that are lines of it (of running text lines of kLongLine bytes or more), each
/// beside what the test text gets.
/// @param samples  texts to write; 0: as many as make about 10,000 tokens
void measure_copies(const LoadedModel& loaded, const Dataset& data,
                    const EvaluationRequest& request, Evaluation& into,
                    const StageProgress& progress = {});
inline constexpr size_t kLongLine = 20;

/// Is it a known set of questions and answers ("12+7=19")?
bool has_answers(const DataInfo& info);
/// The share of its questions that the most likely tokens answer right.
void measure_answers(const LoadedModel& loaded, const Dataset& data,
                     const EvaluationRequest& request, Evaluation& into);

/// Nats of each of `lines` as the model's own text: minus its log-probability, with the end of the
/// line; and the tokens that were counted.
struct LineScore {
  double nats = 0;
  int64_t tokens = 0;
};
/// Throws Error{data} naming the line that the tokenizer does not know, Error{usage} for one longer
/// than the context.
std::vector<LineScore> score_lines(const LoadedModel& loaded,
                                   const std::vector<std::string>& lines);

/// The longest passages that texts share with one text, by the sorted list of its suffixes.
class Passages {
 public:
  /// Keeps a reference to the text. At most kMost bytes of it are looked at.
  explicit Passages(std::string_view text);
  static constexpr size_t kMost = 20'000'000;

  /// The longest beginning of `text` that is somewhere in the text.
  size_t longest_beginning(std::string_view text) const;
  /// The longest passage of `text` that is.
  std::string_view longest(std::string_view text) const;

 private:
  std::string_view text_;
  std::vector<uint32_t> suffixes_;
};

/// All of the above that apply.
Evaluation evaluate_sequences(const LoadedModel& loaded, const EvaluationData& data,
                              const EvaluationRequest& request, const StageProgress& progress = {});

}  // namespace genai
