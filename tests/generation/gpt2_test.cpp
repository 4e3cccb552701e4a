#include "genai/generation/gpt2.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>

#include "base/temp_folder.h"
#include "genai/base/json.h"
#include "genai/core/safetensors.h"
#include "genai/run/load_model.h"
#include "models/text_runs.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

class Gpt2 : public testing::Test {
 protected:
  static constexpr int64_t kContext = 10;

  static Checkpoint checkpoint(const Json& changes, const DataInfo& info = text_info(kContext)) {
    Json settings = {{"family", "transformer"}};
    settings.update(find_family("transformer").tiny);
    settings.update(changes);
    Checkpoint made;
    made.folder = "run";
    made.manifest.config = {{"model", settings}};
    made.manifest.data = info;
    made.weights = module_tensors(random_text_model("transformer", info, changes)->module());
    return made;
  }
  /// A good folder to spoil.
  fs::path exported(const Json& changes = {{"bias", true}},
                    const DataInfo& info = text_info(kContext)) {
    const fs::path folder = folder_ / concat("gpt2-", ++folders_);
    export_gpt2(checkpoint(changes, info), folder);
    return folder;
  }
  fs::path imported(const fs::path& from) {
    const fs::path run = folder_ / concat("run-", ++folders_);
    save_run(read_gpt2(from), run, resolve_numerics({.device = "cpu", .threads = 1}));
    return run;
  }
  static LoadedModel load(const fs::path& run) {
    return load_model({.folder = run, .checkpoint = ""}, at::kCPU);
  }

  static Json config(const fs::path& folder) {
    return parse_json(slurp(folder / "config.json"), "config.json", ErrorKind::data);
  }
  /// Where `change` is null, the key goes.
  static void change_config(const fs::path& folder, const std::string& key, const Json& value) {
    Json changed = config(folder);
    if (value.is_null()) changed.erase(key);
    else changed[key] = value;
    put(folder / "config.json", changed.dump());
  }
  static void change_tensors(const fs::path& folder, const std::function<void(Tensors&)>& change) {
    Tensors tensors = read_safetensors(slurp(folder / "model.safetensors"), "model.safetensors");
    change(tensors);
    put(folder / "model.safetensors", write_safetensors(tensors));
  }
  static void expect_bad(const fs::path& folder, std::string_view part) {
    expect_error(ErrorKind::data, part, [&] { read_gpt2(folder); });
  }

  TempFolder folder_;
  int folders_ = 0;
};

TEST_F(Gpt2, ARoundTripGivesEqualLogits) {
  const Tensor tokens = at::arange(3 * kContext).mul(7).remainder(9).view({3, kContext});
  const at::NoGradGuard no_grad;
  for (const char* mlp : {"gelu", "gelu-tanh"}) {
    for (const bool bias : {false, true}) {
      for (const int64_t hidden : {0, 24}) {
        const Json changes = {{"mlp", mlp}, {"bias", bias}, {"hidden", hidden}};
        const LoadedModel loaded = load(imported(exported(changes)));
        const auto model = random_text_model("transformer", text_info(kContext), changes);
        EXPECT_TRUE(at::equal(loaded.as<NextToken>("test").next_logits(tokens),
                              dynamic_cast<NextToken&>(*model).next_logits(tokens)))
            << changes;
      }
    }
  }
}

TEST_F(Gpt2, AnImportedRunIsOneAndCanBeExportedAgain) {
  const fs::path first = exported({{"bias", true}}, text_info(kContext, /*lines=*/true));
  const fs::path run = imported(first);
  const LoadedModel loaded = load(run);
  const Manifest& manifest = loaded.manifest;
  EXPECT_EQ(manifest.step, 0);
  EXPECT_EQ(manifest.objective, "loss");
  EXPECT_EQ(manifest.data.source, first.filename().string());
  EXPECT_EQ(manifest.data.context, kContext);
  EXPECT_TRUE(manifest.data.lines);
  EXPECT_EQ(manifest.data.tokenizer->fingerprint(), text_info(kContext).tokenizer->fingerprint());
  EXPECT_EQ(config(run), manifest.config);
  for (const char* section : {"model", "data", "training"}) {
    EXPECT_TRUE(manifest.config.contains(section)) << section;
  }
  const fs::path again = folder_ / "again";
  export_gpt2(load_checkpoint(find_checkpoint(run, ""), false), again);
  for (const char* file : {"model.safetensors", "config.json", "genai-tokenizer.json"}) {
    EXPECT_EQ(slurp(again / file), slurp(first / file)) << file;
  }
  // The path may end in a slash or be the folder one is in.
  EXPECT_EQ(read_gpt2(first / "").data.source, first.filename().string());
  EXPECT_EQ(read_gpt2(first / ".").data.source, first.filename().string());
}

TEST_F(Gpt2, SaysWhatTransformersReads) {
  const fs::path folder = exported({{"mlp", "gelu-tanh"}});
  const Json json = config(folder);
  const Json expected = {
      {"model_type", "gpt2"},  {"vocab_size", 9},       {"n_positions", kContext},
      {"n_embd", 16},          {"n_layer", 2},          {"n_head", 2},
      {"n_inner", 64},         {"layer_norm_epsilon", 1e-5},
      {"activation_function", "gelu_new"}, {"tie_word_embeddings", true}};
  for (const auto& [key, value] : expected.items()) EXPECT_EQ(json.at(key), value) << key;
  EXPECT_EQ(config(exported({{"mlp", "gelu"}}))["activation_function"], "gelu");
  const std::string bytes = slurp(folder / "model.safetensors");
  EXPECT_NE(bytes.find(R"("__metadata__":{"format":"pt"})"), std::string::npos);
  const Tensors tensors = read_safetensors(bytes, "test");
  const Checkpoint ours = checkpoint({{"mlp", "gelu-tanh"}});
  EXPECT_EQ(tensors.size(), 2u + 2 * 12 + 2);
  EXPECT_TRUE(at::equal(tensors.at("transformer.h.1.attn.c_attn.weight"),
                        ours.weights.at("blocks.1.attention.qkv.weight").t()));
  EXPECT_TRUE(at::equal(tensors.at("transformer.h.0.mlp.c_proj.weight"),
                        ours.weights.at("blocks.0.mlp.down.weight").t()));
  EXPECT_TRUE(at::equal(tensors.at("transformer.ln_f.bias"), at::zeros({16})));
  EXPECT_FALSE(tensors.count("lm_head.weight"));
}

TEST_F(Gpt2, BytePairsComeInGpt2sFiles) {
  DataInfo info = text_info(kContext);
  info.tokenizer = make_tokenizer(TokenizerKind::bpe, "the cat and the dog and the cow", 262);
  const fs::path folder = exported({{"bias", true}}, info);
  EXPECT_EQ(slurp(folder / "merges.txt"), info.tokenizer->bpe()->merges_file());
  EXPECT_EQ(slurp(folder / "vocab.json"), info.tokenizer->bpe()->vocabulary_file());
  fs::remove(folder / "genai-tokenizer.json");
  EXPECT_EQ(read_gpt2(folder).data.tokenizer->fingerprint(), info.tokenizer->fingerprint());
  EXPECT_FALSE(fs::exists(exported() / "vocab.json"));
}

TEST_F(Gpt2, TakesTheFormsThatFoldersHave) {
  const Tensors expected = read_gpt2(exported()).weights;
  const auto expect_equal = [&](const fs::path& folder) {
    const Tensors found = read_gpt2(folder).weights;
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, tensor] : expected) EXPECT_TRUE(at::equal(found.at(name), tensor));
  };
  // As the first files of GPT-2: no prefix, masks, the head beside the table, fewer settings.
  const fs::path old = exported();
  change_tensors(old, [](Tensors& tensors) {
    Tensors named;
    for (const auto& [name, tensor] : tensors) named[name.substr(12)] = tensor;
    for (const char* layer : {"h.0.", "h.1."}) {
      named[concat(layer, "attn.bias")] = at::ones({1, 1, kContext, kContext}, at::kByte);
      named[concat(layer, "attn.masked_bias")] = at::tensor(-1e4f);
    }
    named["lm_head.weight"] = named.at("wte.weight");
    tensors = named;
  });
  for (const char* key : {"n_inner", "layer_norm_epsilon", "tie_word_embeddings", "genai_lines"}) {
    change_config(old, key, nullptr);
  }
  expect_equal(old);
  const fs::path wide = exported();
  change_tensors(wide, [](Tensors& tensors) {
    for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kDouble);
  });
  expect_equal(wide);
  change_config(old, "activation_function", nullptr);   // GPT-2's default
  EXPECT_EQ(read_gpt2(old).config["model"]["mlp"], "gelu-tanh");
  change_config(old, "activation_function", "gelu_pytorch_tanh");
  EXPECT_EQ(read_gpt2(old).config["model"]["mlp"], "gelu-tanh");
}

TEST_F(Gpt2, RefusesSettingsThatItLacks) {
  const std::vector<std::pair<Json, const char*>> refused = {
      {{{"positions", "rotary"}},
       "model.positions: GPT-2's form has no other than learned, found rotary"},
      {{{"norm", "rms"}}, "model.norm"},
      {{{"mlp", "swiglu"}}, "model.mlp"},
      {{{"mlp", "relu2"}}, "gelu and gelu-tanh, found relu2"},
      {{{"kv_heads", 1}}, "model.kv_heads"},
      {{{"qk_norm", true}}, "model.qk_norm"},
      {{{"pairs", true}}, "model.pairs"},
      {{{"tied", false}}, "model.tied"},
      {{{"soft_cap", 3}}, "model.soft_cap"}};
  for (const auto& [changes, part] : refused) {
    const Checkpoint wrong = checkpoint(changes);
    expect_error(ErrorKind::usage, part, [&] { export_gpt2(wrong, folder_ / "refused"); });
  }
  Checkpoint other = checkpoint({{"kv_heads", 2}});
  other.manifest.config["model"]["family"] = "rnn";
  expect_error(ErrorKind::usage, "'rnn'", [&] { export_gpt2(other, folder_ / "refused"); });
  EXPECT_FALSE(fs::exists(folder_ / "refused"));
  const fs::path used = exported({{"kv_heads", 2}});
  const Checkpoint good = checkpoint(Json::object());
  expect_error(ErrorKind::usage, "not empty", [&] { export_gpt2(good, used); });
}

TEST_F(Gpt2, NamesWhatIsWrongInTheConfig) {
  const std::vector<std::tuple<const char*, Json, const char*>> wrong = {
      {"model_type", "llama", "model_type: expected \"gpt2\", found \"llama\""},
      {"model_type", nullptr, "found nothing"},
      {"n_layer", 0, "n_layer: expected a whole number from 1 to 256, found 0"},
      {"n_layer", "two", "n_layer"},
      {"n_embd", nullptr, "n_embd"},
      {"n_head", 3, "n_head: expected a divisor of n_embd, 16, found 3"},
      {"n_inner", -1, "n_inner"},
      {"n_positions", 1e9, "n_positions"},
      {"vocab_size", 10, "vocab_size: expected the 9 tokens of the tokenizer, found 10"},
      {"activation_function", "relu", "activation_function: expected gelu, gelu_new"},
      {"layer_norm_epsilon", 1e-6, "layer_norm_epsilon"},
      {"scale_attn_weights", false, "scale_attn_weights: expected true, found false"},
      {"tie_word_embeddings", false, "tie_word_embeddings"}};
  const fs::path folder = exported();
  const std::string good = slurp(folder / "config.json");
  for (const auto& [key, value, part] : wrong) {
    change_config(folder, key, value);
    expect_bad(folder, part);
    put(folder / "config.json", good);
  }
  put(folder / "config.json", "[]");
  expect_bad(folder, "expected a JSON object");
}

TEST_F(Gpt2, NamesWhatIsWrongInTheTensors) {
  const std::string name = "transformer.h.1.mlp.c_fc.weight";
  const auto expect_bad_tensors = [&](const std::function<void(Tensors&)>& change,
                                      const std::string& part) {
    const fs::path folder = exported();
    change_tensors(folder, change);
    expect_bad(folder, part);
  };
  expect_bad_tensors([&](Tensors& t) { t.erase(name); },
                     "no tensor '" + name + "'; expected one of shape [16, 64]");
  expect_bad_tensors([&](Tensors& t) { t[name] = t[name].t(); }, "found Float of shape [64, 16]");
  expect_bad_tensors([&](Tensors& t) { t[name] = t[name].to(at::kInt); }, "found Int");
  expect_bad_tensors([&](Tensors& t) { t["transformer.h.2.ln_1.weight"] = at::ones({16}); },
                     "unexpected tensor 'transformer.h.2.ln_1.weight'");
  expect_bad_tensors([&](Tensors& t) { t["lm_head.weight"] = at::ones({9, 16}); },
                     "lm_head.weight");
}

TEST_F(Gpt2, NamesTheFileThatIsMissing) {
  for (const char* file : {"config.json", "model.safetensors"}) {
    const fs::path folder = exported();
    fs::remove(folder / file);
    expect_bad(folder, file);
  }
  const fs::path folder = exported();
  fs::remove(folder / "genai-tokenizer.json");
  expect_bad(folder, "no tokenizer; expected vocab.json and merges.txt");
  expect_bad(folder_ / "nowhere", "config.json");
  const ImportedModel good = read_gpt2(exported());
  const fs::path used = exported();
  expect_error(ErrorKind::usage, "not empty", [&] { save_run(good, used, {}); });
}

}  // namespace
}  // namespace genai
