#include "genai/models/transformer.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/data/batcher.h"
#include "genai/nn/transformer_network.h"
#include "genai/run/checkpoint.h"
#include "genai/training/config.h"
#include "genai/training/trainer.h"
#include "models/text_runs.h"

namespace genai {
namespace {

Tensor some_tokens(int64_t rows, int64_t length) {
  return at::arange(rows * length).mul(7).remainder(9).view({rows, length});
}

const std::vector<Json>& variants() {
  static const std::vector<Json> all = {
      {{"bias", true}},
      {{"norm", "rms"}, {"mlp", "swiglu"}, {"kv_heads", 1}, {"tied", false}},
      {{"positions", "rotary"}, {"mlp", "relu2"}, {"qk_norm", true}, {"bigrams", true}},
      {{"mlp", "gelu-tanh"}, {"soft_cap", 3}},
  };
  return all;
}

TEST(Transformer, HasAsManyParametersAsNanoGpt) {
  // Of nanoGPT's shakespeare_char on a CPU and a GPU, positions counted.
  for (const auto& [settings, context, parameters] :
       {std::tuple<Json, int64_t, int64_t>{
            {{"layers", 4}, {"heads", 4}, {"width", 128}}, 64, 804'096},
        {{{"layers", 6}, {"heads", 6}, {"width", 384}}, 256, 10'745'088}}) {
    std::string letters = "\n";
    for (int i = 0; i < 64; ++i) letters += static_cast<char>('0' + i);
    const auto model =
        make_model(find_family("transformer"), settings, text_info(context, false, letters));
    int64_t count = 0;
    for (const Tensor& parameter : model->module().parameters()) count += parameter.numel();
    EXPECT_EQ(count, parameters);
  }
}

TEST(Transformer, NeverLooksAhead) {
  const DataInfo info = text_info(10);
  for (const Json& variant : variants()) {
    const auto model = random_text_model("transformer", info, variant);
    auto& next = dynamic_cast<NextToken&>(*model);
    const at::NoGradGuard no_grad;
    const Tensor tokens = some_tokens(1, 10);
    const Tensor before = next.next_logits(tokens);
    for (int64_t changed = 0; changed < 10; ++changed) {
      Tensor other = tokens.clone();
      other[0][changed] = (other[0][changed] + 1) % 9;
      const Tensor difference = (next.next_logits(other) - before).abs().amax(-1)[0];  // [T]
      if (changed > 0) {
        EXPECT_LE(difference.narrow(0, 0, changed).max().item<double>(), 1e-5) << variant;
      }
      EXPECT_GT(difference[changed].item<double>(), 1e-3) << variant;
    }
  }
}

TEST(Transformer, StartsAsGpt2) {
  torch::manual_seed(1);
  const auto model = make_model(find_family("transformer"),
                                {{"layers", 8}, {"heads", 2}, {"width", 64}}, text_info(16));
  const auto named = model->module().named_parameters();
  const auto deviation = [&](const char* name) { return named[name].std().item<double>(); };
  EXPECT_NEAR(deviation("blocks.3.attention.qkv.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("blocks.3.attention.out.weight"), 0.02 / 4, 0.0004);
  EXPECT_NEAR(deviation("blocks.3.mlp.down.weight"), 0.02 / 4, 0.0004);
  // All tokens are about equally likely at first.
  const at::NoGradGuard no_grad;
  const Tensor tokens = some_tokens(4, 16);
  const double loss =
      token_losses(dynamic_cast<NextToken&>(*model).next_logits(tokens), tokens.roll(-1, 1))
          .mean()
          .item<double>();
  EXPECT_NEAR(loss, std::log(9.0), 0.3);
}

TEST(Transformer, RotaryPositionsAddNothingToValues) {
  // Of equal tokens all values are equal, so that any attention over them is the same; what tells
  // places apart can only be a vector of the place.
  const DataInfo info = text_info(12);
  const auto model =
      random_text_model("transformer", info, {{"layers", 1}, {"positions", "rotary"}});
  const at::NoGradGuard no_grad;
  const Tensor logits =
      dynamic_cast<NextToken&>(*model).next_logits(at::full({1, 12}, 3, at::kLong))[0];
  for (int64_t t = 1; t < 12; ++t) {
    EXPECT_LE((logits[t] - logits[0]).abs().max().item<double>(), 1e-5);
  }
  const auto learned = random_text_model("transformer", info, {{"layers", 1}});
  const Tensor other =
      dynamic_cast<NextToken&>(*learned).next_logits(at::full({1, 12}, 3, at::kLong))[0];
  EXPECT_GT((other[5] - other[0]).abs().max().item<double>(), 1e-2);
}

TEST(Transformer, CountsOnlyTargetsThatThereAre) {
  const Tensor logits = at::arange(24, at::kFloat).sin().view({2, 3, 4});
  const Tensor target =
      at::tensor(std::vector<int64_t>{1, 2, kNoTarget, 0, kNoTarget, kNoTarget}).view({2, 3});
  const Tensor losses = token_losses(logits, target);
  const Tensor log_p = logits.log_softmax(-1);
  EXPECT_NEAR(losses[0][0].item<double>(), -log_p[0][0][1].item<double>(), 1e-6);
  EXPECT_NEAR(losses[0][1].item<double>(), -log_p[0][1][2].item<double>(), 1e-6);
  EXPECT_NEAR(losses[1][0].item<double>(), -log_p[1][0][0].item<double>(), 1e-6);
  EXPECT_EQ(losses[0][2].item<float>() + losses[1][1].item<float>() + losses[1][2].item<float>(),
            0);
}

TEST(Transformer, AdaptersAreAllThatIsTrained) {
  const auto model = random_text_model("transformer", text_info(12), {{"lora_rank", 3}});
  const auto sets = model->parameter_sets();
  ASSERT_EQ(sets.size(), 1u);
  EXPECT_EQ(sets[0].parameters.size(), 2u * 4 * 2);  // of 2 blocks, 4 matrices each, A and B
  for (const std::string& name : sets[0].parameters) {
    EXPECT_NE(name.find(".lora_"), std::string::npos) << name;
  }
}

TEST(Transformer, AdaptersBeginAsNothingAndCanBeMerged) {
  const DataInfo info = text_info(12);
  const at::NoGradGuard no_grad;
  const Tensor tokens = some_tokens(2, 12);
  const auto logits = [&](Model& model) {
    return dynamic_cast<NextToken&>(model).next_logits(tokens);
  };
  const auto base = random_text_model("transformer", info, {{"bias", true}}, 0.1);
  Json settings = find_family("transformer").tiny;
  settings.update({{"bias", true}, {"lora_rank", 3}});
  const auto adapted = make_model(find_family("transformer"), settings, info);
  load_initial_weights(adapted->module(), module_tensors(base->module()), "base");
  EXPECT_TRUE(logits(*adapted).equal(logits(*base)));
  for (const auto& item : adapted->module().named_parameters()) {
    if (item.key().ends_with(".lora_b")) item.value().normal_(0, 1);
  }
  const Tensor wanted = logits(*adapted);
  EXPECT_GT((wanted - logits(*base)).abs().max().item<double>(), 1e-2);
  const auto merged = random_text_model("transformer", info, {{"bias", true}});
  load_weights(merged->module(), merge_adapters(module_tensors(adapted->module())), "merged");
  EXPECT_LE((wanted - logits(*merged)).abs().max().item<double>(), 1e-5);
  // Of all else everything must be there.
  Tensors lacking = module_tensors(base->module());
  lacking.erase("norm.weight");
  expect_error(ErrorKind::data, "missing: norm.weight",
               [&] { load_initial_weights(adapted->module(), lacking, "base"); });
}

TEST(Transformer, RefusesSettingsThatDoNotFit) {
  const DataInfo info = text_info(16);
  const auto refuse = [&](const std::string& text, const Json& settings) {
    expect_error(ErrorKind::usage, text,
                 [&] { make_model(find_family("transformer"), settings, info); });
  };
  refuse("do not divide the width", {{"heads", 3}});
  refuse("model.kv_heads", {{"heads", 4}, {"kv_heads", 3}});
  refuse("even", {{"heads", 4}, {"width", 20}, {"positions", "rotary"}});
  DataInfo words = info;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += concat("a", i, " ");
  words.tokenizer = make_tokenizer(TokenizerKind::words, text);
  expect_error(ErrorKind::usage, "model.bigrams", [&] {
    make_model(find_family("transformer"), {{"bigrams", true}}, words);
  });
  // Nobody asked: bigrams only where their table is small, stored as what was decided.
  const auto decided = [](const DataInfo& data, Json settings) {
    decide_settings(find_family("transformer"), settings, data);
    return settings;
  };
  EXPECT_EQ(decided(info, {{"family", "transformer"}, {"bigrams", "auto"}})["bigrams"], true);
  EXPECT_EQ(decided(words, {{"family", "transformer"}, {"bigrams", "auto"}})["bigrams"], false);
  EXPECT_EQ(decided(words, {{"family", "transformer"}, {"bigrams", true}})["bigrams"], true);
  EXPECT_EQ(decided(words, {{"family", "transformer"}, {"bigrams", "auto"}})["family"],
            "transformer");
  make_model(find_family("transformer"), {{"bigrams", "auto"}}, words);
}

/// Trains on sums for `steps` and returns the loss on the test lines.
double trained_loss(const std::string& family, const Json& model, int64_t steps,
                    const Json& training = Json::object(), Json data_settings = Json::object()) {
  TempFolder folder;
  data_settings["source"] = "sums";
  Settings settings;
  settings.set("model.family", family, "test");
  settings.merge({{"model", model}}, "test");
  settings.merge({{"data", data_settings}}, "test");
  settings.merge({{"training",
                   {{"steps", steps},
                    {"batch", 64},
                    {"threads", 1},
                    {"device", "cpu"},
                    {"learning_rate", 3e-3},
                    {"warmup", 20},
                    {"schedule", "cosine"},
                    {"sample_every", 1'000'000},
                    {"validate_every", 1'000'000}}}},
                 "test");
  settings.merge({{"training", training}}, "test");
  const Json config = settings.resolve(run_sections(find_family(family)));
  const Dataset data = load_dataset(data_config_from_json(config.at("data")));
  TrainObserver observer;
  return train({.family = find_family(family),
                .config = config,
                .data = &data,
                .run = folder.path(),
                .preset = "",
                .resume = std::nullopt,
                .init = std::nullopt},
               observer)
      .validation.at("loss");
}

TEST(TextFamilies, LearnSums) {
  // Bare frequencies of the tokens are worth 2.3 nats; the form of a sum is worth about 0.7.
  EXPECT_LT(trained_loss("transformer", {{"layers", 2}, {"heads", 2}, {"width", 32}}, 200), 1.65);
  EXPECT_LT(trained_loss("rnn", {{"cell", "gru"}, {"layers", 1}, {"width", 32}}, 200), 1.65);
}

TEST(TextFamilies, DropoutIsDrawnFromThePlaceInTraining) {
  const Json model = {{"layers", 1}, {"heads", 2}, {"width", 16}, {"dropout", 0.2}};
  const double once = trained_loss("transformer", model, 5);
  EXPECT_EQ(once, trained_loss("transformer", model, 5));
  Json without = model;
  without["dropout"] = 0;
  EXPECT_NE(once, trained_loss("transformer", without, 5));
}

}  // namespace
}  // namespace genai
