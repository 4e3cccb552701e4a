#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <fstream>

#include "base/temp_folder.h"
#include "genai/core/numerics.h"
#include "genai/evaluation/language.h"
#include "genai/nn/transformer_network.h"
#include "models/text_runs.h"

namespace genai {
namespace {

TEST(Passages, FindTheLongestCopy) {
  const Passages passages("the cat sat on the mat");
  EXPECT_EQ(passages.longest("a dog sat on a log"), " sat on ");
  EXPECT_EQ(passages.longest("the mats"), "the mat");
  EXPECT_EQ(passages.longest("the cat sat on the mat"), "the cat sat on the mat");
  EXPECT_EQ(passages.longest("XYZ"), "");
  EXPECT_EQ(passages.longest(""), "");
  EXPECT_EQ(passages.longest_beginning("on the cat"), std::string("on the ").size());
  EXPECT_EQ(Passages("").longest("abc"), "");
}

TEST(Passages, AgreeWithTryingAll) {
  std::string text, other;
  uint32_t x = 1;
  const auto letter = [&] {
    x = x * 1664525u + 1013904223u;
    return static_cast<char>('a' + (x >> 24) % 3);
  };
  for (int i = 0; i < 300; ++i) text += letter();
  for (int i = 0; i < 100; ++i) other += letter();
  const Passages passages(text);
  for (size_t at = 0; at < other.size(); ++at) {
    size_t longest = 0;
    while (at + longest < other.size() &&
           text.find(other.substr(at, longest + 1)) != std::string::npos) {
      ++longest;
    }
    EXPECT_EQ(passages.longest_beginning(std::string_view(other).substr(at)), longest) << at;
  }
}

class TextEvaluation : public testing::Test {
 protected:
  /// A model of `text` with random weights, and the text as data.
  void load(const std::string& text, const DataConfig& config, double strength = 0.3) {
    const auto file = folder_ / "text.txt";
    std::ofstream(file, std::ios::binary) << text;
    DataConfig all = config;
    all.source = file.string();
    data_ = load_evaluation_data(all);
    model_ = random_text_model("transformer", data_.own.info, {{"layers", 1}}, strength);
    loaded_.family = &find_family("transformer");
    loaded_.model = random_text_model("transformer", data_.own.info, {{"layers", 1}}, strength);
    loaded_.manifest.step = 1;
    loaded_.manifest.data = data_.own.info;
    loaded_.manifest.config = {{"training", {{"batch", 3}}}};
    loaded_.manifest.files = {{"model.safetensors", {{"sha256", "0"}}}};
  }
  static const Metric& metric(const Evaluation& found, const std::string& name) {
    for (const Metric& one : found.metrics) {
      if (one.short_name() == name) return one;
    }
    throw std::runtime_error("no metric " + name);
  }
  /// Nats of token i given the `before` tokens before it.
  double nats(const Tensor& tokens, int64_t i, int64_t before) {
    const at::NoGradGuard no_grad;
    const Tensor input = tokens.narrow(0, i - before, before).to(at::kLong).unsqueeze(0);
    const Tensor logits = dynamic_cast<NextToken&>(*model_).next_logits(input)[0][-1];
    return -logits.log_softmax(0)[tokens[i].item<int64_t>()].item<double>();
  }

  TempFolder folder_;
  EvaluationData data_;
  std::unique_ptr<Model> model_;
  LoadedModel loaded_;
};

TEST_F(TextEvaluation, ReadsEveryTokenOnceInWindows) {
  load(std::string(20, 'a') + "bcdabcddcbabcdabcaabbccdd",
       {.test_share = 0.5, .own = {{"context", 8}}});
  Evaluation found;
  measure_language(loaded_, data_.own, {.full = true}, found);
  const Tensor& tokens = data_.own.test.tokens;
  const int64_t n = tokens.numel();
  double plain = 0, sliding = 0;
  for (int64_t i = 1; i < n; ++i) {
    plain += nats(tokens, i, (i - 1) % 8 + 1);
    // Windows of eight that begin at 0, 2, 4, ...: token i is read in the first that ends behind
    // it.
    const int64_t start = i <= 8 ? 0 : (i - 8 + 1) / 2 * 2;
    sliding += nats(tokens, i, i - start);
  }
  const double count = static_cast<double>(n - 1);
  EXPECT_NEAR(metric(found, "loss").value, plain / count, 1e-5);
  EXPECT_NEAR(metric(found, "loss_sliding").value, sliding / count, 1e-5);
  EXPECT_NEAR(metric(found, "perplexity").value, std::exp(plain / count), 1e-4);
  EXPECT_NEAR(metric(found, "bits_per_character").value, plain / count / std::log(2.0), 1e-5);
  EXPECT_EQ(metric(found, "bits_per_byte").value, metric(found, "bits_per_character").value);
  // Random windows mix the same tokens in another weight.
  const Metric& random = metric(found, "loss_nanogpt");
  EXPECT_EQ(random.count, 200);
  EXPECT_NEAR(random.value, plain / count, 8 * random.standard_error + 0.2);
}

TEST_F(TextEvaluation, CountsBytesAndCharactersOfBytesModels) {
  load("äöüäöüäöüäöüäöüäöü", {.test_share = 0.5, .own = {{"tokenizer", "bytes"}, {"context", 4}}});
  Evaluation found;
  measure_language(loaded_, data_.own, {}, found);
  const double bits = metric(found, "bits_per_byte").value;
  EXPECT_NEAR(metric(found, "loss").value, bits * std::log(2.0), 1e-6);
  // The first byte is read, not predicted; it is half of the first character.
  EXPECT_GT(metric(found, "bits_per_character").value, 1.9 * bits);
}

TEST_F(TextEvaluation, WeightsOf8BitsAreMeasuredByTheirOwnName) {
  load(std::string(20, 'a') + "bcdabcddcbabcdabcaabbccdd",
       {.test_share = 0.5, .own = {{"context", 8}}});
  Evaluation plain, bytes;
  measure_language(loaded_, data_.own, {}, plain);
  measure_language(loaded_, data_.own, {.weights = WeightFormat::int8}, bytes);
  ASSERT_EQ(bytes.metrics.size(), plain.metrics.size());
  for (size_t i = 0; i < plain.metrics.size(); ++i) {
    EXPECT_EQ(bytes.metrics[i].name, plain.metrics[i].name + "/int8");
    EXPECT_NE(bytes.metrics[i].value, plain.metrics[i].value);
    EXPECT_NEAR(bytes.metrics[i].value, plain.metrics[i].value, 0.02 * plain.metrics[i].value);
  }
}

TEST_F(TextEvaluation, LinesAndTheirScores) {
  load("ab\nabc\nb\nca\nabca\nbb\ncc\nac\n", {.test_share = 0.5, .own = {{"lines", true}}});
  const Evaluation found = evaluate_sequences(loaded_, data_, {.samples = 30});
  const auto& test = data_.own.test;
  std::vector<std::string> lines;
  double sum = 0, tokens = 0;
  for (int64_t i = 0; i < test.size(); ++i) {
    const int64_t from = test.starts[i].item<int64_t>(), to = test.starts[i + 1].item<int64_t>();
    lines.push_back(data_.own.info.tokenizer->decode(
        {test.tokens.const_data_ptr<int32_t>() + from, static_cast<size_t>(to - from - 1)}));
  }
  for (const LineScore& score : score_lines(loaded_, lines)) {
    sum += score.nats;
    tokens += static_cast<double>(score.tokens);
  }
  EXPECT_NEAR(metric(found, "loss").value, sum / tokens, 1e-5);
  const Metric& copied = metric(found, "copied_lines");
  EXPECT_GE(copied.value, 0);
  EXPECT_LE(copied.value, 1);
  expect_error(ErrorKind::data, "line 2", [&] { score_lines(loaded_, {"ab", "xyz"}); });
  expect_error(ErrorKind::usage, "line 1: expected at most",
               [&] { score_lines(loaded_, {"abcabcabcabc"}); });
  expect_error(ErrorKind::usage, "does not apply to models of text",
               [&] { evaluate_sequences(loaded_, data_, {.parts = {MetricGroup::distances}}); });
}

TEST_F(TextEvaluation, TellsWhatIsCopied) {
  const std::string verse = "abcdabcdabcdabcdabcdabcdabcd\n";
  load(verse + verse + verse, {.test_share = 0.34, .own = {{"context", 8}}}, 0);
  // All tokens are equally likely: long copies are no more than chance.
  Evaluation found;
  measure_copies(loaded_, data_.own, {.samples = 2}, found);
  const Metric& longest = metric(found, "longest_copy");
  EXPECT_GE(longest.value, 2);
  EXPECT_LE(longest.value, 12);
  EXPECT_GE(*longest.real, 27);
  EXPECT_EQ(*metric(found, "copied_lines").real, 1);
}

TEST_F(TextEvaluation, SumsAreRightWhereTheMostLikelyTokensAre) {
  data_ = load_evaluation_data({.source = "sums"});
  data_.own.test = data_.own.test.first(50);
  loaded_.family = &find_family("transformer");
  loaded_.model = random_text_model("transformer", data_.own.info, {{"layers", 1}});
  loaded_.manifest.data = data_.own.info;
  Evaluation found;
  measure_answers(loaded_, data_.own, {}, found);
  EXPECT_LE(found.metrics[0].value, 0.1);
  // A model that says always the same digit and then the end is right where the answer is it.
  EXPECT_EQ(found.metrics[0].count, 50);
}

}  // namespace
}  // namespace genai
