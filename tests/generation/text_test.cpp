#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/generation/text_samples.h"
#include "models/text_runs.h"

namespace genai {
namespace {

Json settings_of(const std::string& family, int variant) {
  if (family == "rnn") {
    return {{"cell", variant == 0   ? "lstm"
                     : variant == 1 ? "gru"
                                    : "tanh"},
            {"tied", variant != 1}};
  }
  if (variant == 0) return {{"bias", true}, {"lora_rank", 2}};
  if (variant == 1) {
    return {{"positions", "rotary"}, {"norm", "rms"}, {"mlp", "swiglu"},
            {"tied", false},         {"kv_heads", 1}, {"soft_cap", 5}};
  }
  return {{"positions", "rotary"},
          {"norm", "rms"},
          {"mlp", "relu2"},
          {"qk_norm", true},
          {"bigrams", true}};
}

class Texts : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, Texts, testing::Values("transformer", "rnn"));

TEST_P(Texts, TheDecoderSaysWhatTheNetworkSays) {
  const DataInfo info = text_info(12);
  for (int variant = 0; variant < 3; ++variant) {
    const auto model = random_text_model(GetParam(), info, settings_of(GetParam(), variant));
    auto& next = dynamic_cast<NextToken&>(*model);
    const Tensor tokens = at::arange(24).mul(5).remainder(9).view({2, 12});
    const at::NoGradGuard no_grad;
    const Tensor expected = next.next_logits(tokens);  // [2, 12, V]
    const auto decoder = next.decoder(2, WeightFormat::float32, 1);
    std::vector<float> logits(2 * 9);
    for (int64_t t = 0; t < 12; ++t) {
      std::vector<Decoder::Row> rows;
      for (int64_t b = 0; b < 2; ++b) rows.push_back({b, tokens[b][t].item<int32_t>()});
      decoder->read_last(rows, logits);
      const Tensor found = at::tensor(logits).view({2, 9});
      const double error = (found - expected.select(1, t)).abs().max().item<double>();
      EXPECT_LE(error, 1e-5 * (1 + expected.abs().max().item<double>())) << variant << " at " << t;
    }
  }
}

TEST_P(Texts, ATextDependsOnItsNumberAlone) {
  const DataInfo info = text_info(16);
  const auto model = random_text_model(GetParam(), info);
  const auto texts = [&](int64_t first, int64_t count) {
    return generate_texts(*model, {.first = first, .count = count, .prompt = "abc", .length = 60},
                          info);
  };
  const auto all = texts(0, 40);
  ASSERT_EQ(all.size(), 40u);
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 3}, {17, 1}, {30, 10}}) {
    const auto some = texts(first, count);
    for (size_t i = 0; i < some.size(); ++i) {
      const TextSample& same = all[static_cast<size_t>(first) + i];
      EXPECT_EQ(some[i].number, same.number);
      EXPECT_EQ(some[i].tokens, same.tokens);
      EXPECT_EQ(some[i].log_probabilities, same.log_probabilities);
    }
  }
  EXPECT_NE(all[0].text, all[1].text);
  EXPECT_EQ(all[0].tokens.size(), 60u);  // well beyond the context of 16
  EXPECT_EQ(all[0].end, "length");
  // A longer text begins with the shorter one.
  const auto longer = generate_texts(*model, {.prompt = "abc", .length = 90}, info);
  EXPECT_TRUE(longer[0].text.starts_with(all[0].text));
}

TEST_P(Texts, GreedyTakesTheMostLikelyOfWhatTheNetworkSays) {
  const DataInfo info = text_info(16);
  const auto model = random_text_model(GetParam(), info);
  const auto text = generate_texts(
      *model, {.prompt = "ab", .length = 13, .options = {{"temperature", 0}}}, info)[0];
  auto tokens = info.tokenizer->encode("ab");
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < text.tokens.size(); ++i) {
    const Tensor input = at::tensor(tokens, at::kLong).unsqueeze(0);
    const Tensor logits = dynamic_cast<NextToken&>(*model).next_logits(input)[0][-1];
    EXPECT_EQ(text.tokens[i], logits.argmax().item<int32_t>());
    EXPECT_NEAR(text.log_probabilities[i], logits.log_softmax(0).max().item<double>(), 1e-5);
    tokens.push_back(text.tokens[i]);
  }
}

TEST(TextEnd, OfGpt2sTokenizerEndsTheTextAndIsNotShown) {
  const Bpe plain = Bpe::train("", 256);
  std::vector<std::string> tokens = plain.letter_tokens();
  tokens.push_back("<|endoftext|>");
  DataInfo info = text_info(16);
  info.tokenizer = make_tokenizer(Bpe::from_letters(
      tokens, {}, "test", [](size_t) { return "test"; }, {{256, "<|endoftext|>"}}));
  ASSERT_EQ(info.tokenizer->end_token(), 256);
  EXPECT_EQ(prompt_tokens("", info), (std::vector<int32_t>{256}));
  EXPECT_EQ(prompt_tokens("a<|endoftext|>", info).back(), 256);
  const auto model = random_text_model("transformer", info, {{"bias", true}});
  {
    // The end is by far the most likely.
    const at::NoGradGuard no_grad;
    for (auto& item : model->module().named_parameters()) {
      if (item.key() == "norm.weight") item.value().zero_();
      if (item.key() == "norm.bias") item.value().fill_(1);
      if (item.key() == "tokens.weight") item.value()[256].fill_(9);
    }
  }
  const auto samples = generate_texts(*model, {.prompt = "ab", .length = 50}, info);
  EXPECT_EQ(samples[0].end, "end");
  EXPECT_EQ(samples[0].text, "");
  EXPECT_EQ(samples[0].tokens, (std::vector<int32_t>{256}));
}

TEST(TextStops, EndTheTextBeforeThemAndAreNeverShown) {
  const DataInfo info = text_info(32);
  const auto model = random_text_model("transformer", info);
  const TextRequest plain{.first = 3, .length = 200};
  const std::string whole = generate_texts(*model, plain, info)[0].text;
  const std::string stop = whole.substr(20, 3);
  TextRequest request = plain;
  request.stops = {"no such", stop};
  std::string shown;
  const auto samples =
      generate_texts(*model, request, info, [&](const TextSample&, std::string_view piece) {
        shown += piece;
        return true;
      });
  EXPECT_EQ(samples[0].end, "stop");
  EXPECT_EQ(samples[0].text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(shown, samples[0].text);
  // Of several what comes first counts, in any order.
  const std::string later = whole.substr(25, 4), within = whole.substr(21, 5);
  for (const auto& stops : {std::vector<std::string>{later, within, stop}, {stop, within, later}}) {
    request.stops = stops;
    EXPECT_EQ(generate_texts(*model, request, info)[0].text, samples[0].text);
  }
  // The watch can end a text, too.
  int pieces = 0;
  generate_texts(*model, plain, info,
                 [&](const TextSample&, std::string_view) { return ++pieces < 5; });
  EXPECT_EQ(pieces, 5);
}

TEST(TextLines, EndWithTheLine) {
  const DataInfo info = text_info(12, /*lines=*/true);
  const auto model = random_text_model("rnn", info);
  const auto samples = generate_texts(*model, {.count = 50, .prompt = "b"}, info);
  int lines = 0;
  for (const TextSample& sample : samples) {
    EXPECT_EQ(sample.text.find('\n'), std::string::npos);
    EXPECT_LE(sample.text.size(), 11u);
    lines += sample.end == "line";
    EXPECT_EQ(sample.tokens.size(), sample.text.size() + (sample.end == "line"));
  }
  EXPECT_GT(lines, 0);
  expect_error(ErrorKind::usage, "request.prompt: 12 tokens",
               [&] { generate_texts(*model, {.prompt = "aaaaaaaaaaaa"}, info); });
}

TEST(NextTokens, AreProbabilitiesThatTemperatureSharpens) {
  const DataInfo info = text_info(8);
  const auto model = random_text_model("transformer", info);
  const auto next = next_tokens(*model, {.prompt = "abcabcabcabc"}, info, {0.5, 1, 2});
  ASSERT_EQ(next.size(), 3u);
  double before = 1;
  for (const NextCandidates& at : next) {
    double sum = 0, last = 1;
    for (const auto& candidate : at.candidates) {
      EXPECT_LE(candidate.probability, last);
      last = candidate.probability;
      sum += candidate.probability;
    }
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_LE(at.candidates[0].probability, before);
    before = at.candidates[0].probability;
  }
}

TEST(TextRequests, AreChecked) {
  const DataInfo info = text_info(8);
  const auto refuse = [&](ErrorKind kind, const std::string& text, const TextRequest& request) {
    expect_error(kind, text, [&] { check_request(request, info); });
  };
  refuse(ErrorKind::usage, "request.count", {.count = 0});
  refuse(ErrorKind::usage, "request.seed", {.first = -1});
  refuse(ErrorKind::usage, "request.length", {.length = 0});
  refuse(ErrorKind::usage, "request.stop", {.stops = {""}});
  refuse(ErrorKind::data, "'z'", {.prompt = "az"});
  refuse(ErrorKind::usage, "top_k", {.options = {{"top_k", 10}}});
  refuse(ErrorKind::usage, "temperature", {.options = {{"temperature", -1}}});
  refuse(ErrorKind::usage, "temperature", {.options = {{"temperature", std::nan("")}}});
  const Family& family = find_family("vae");
  const auto vae = make_model(family, family.tiny, {.source = "tiny"});
  expect_error(ErrorKind::usage, "does not write texts", [&] { generate_texts(*vae, {}, info); });
}

}  // namespace
}  // namespace genai
