// Lossless coding of texts, or of any bytes, by a model that says what comes next: each token costs
// - log2 p(token | those before) bits. What the tokenizer cannot say is coded as bytes in runs,
// which the model does not see.
//
// Texts are cut in passages of 16,384 tokens at most, each of which begins as a text begins; up to
// 32 of them are computed side by side. Both who codes and who decodes read the tokens with the
// decode engine in float32, whose bits depend neither on the number of threads nor on what is
// computed beside a text (decode/decoder.h), only on whether the CPU has AVX2 and FMA.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "genai/compression/progress.h"
#include "genai/core/ans.h"
#include "genai/core/coding_tables.h"
#include "genai/run/load_model.h"

namespace genai {

class RollingContext;

class TextCoder {
 public:
  /// Throws Error{usage} for a model that writes no texts.
  /// @param threads  that compute together
  TextCoder(const LoadedModel& loaded, int threads);
  ~TextCoder();

  struct Coded {
    std::vector<int64_t> symbols;  ///< of each text: tokens and runs of bytes, at most its bytes
    double bits = 0;               ///< of the model's tokens: its cross-entropy; 8 a byte of runs
  };
  Coded encode(std::span<const std::string> texts, AnsStack& stack,
               const CodingProgress& progress = {});

  struct Size {
    int64_t bytes, symbols;
  };
  /// The reverse. Throws Error{data} where the stack ends too early, or a text gets larger than it
  /// should.
  std::vector<std::string> decode(std::span<const Size> sizes, AnsStack& stack,
                                  const CodingProgress& progress = {});

 private:
  /// A token, or a run of bytes.
  struct Symbol {
    int32_t token;   // kRun: bytes
    uint32_t first;  // of these in the text
    uint16_t count;
  };
  static constexpr int32_t kRun = -1;
  /// Symbols first .. first + count - 1 of a text.
  struct Passage {
    size_t text;
    int64_t first, count;
  };
  /// Codes symbol `at` of a passage and returns its token, which is read then; kRun: nothing is.
  using Visit = std::function<int32_t(size_t passage, int64_t at, const SoftmaxCode& next)>;

  std::vector<Symbol> symbols_of(std::string_view text) const;
  static std::vector<std::vector<Passage>> groups_of(std::span<const int64_t> symbols);
  void walk(std::span<const Passage> group, const Visit& visit);

  const DataInfo& info_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<RollingContext> context_;
  std::vector<int32_t> start_;  // that a passage begins behind
};

}  // namespace genai
