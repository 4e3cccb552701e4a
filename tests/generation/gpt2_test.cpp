#include "genai/interop/gpt2.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>

#include "base/temp_folder.h"
#include "genai/base/json.h"
#include "genai/core/safetensors.h"
#include "genai/data/text_set.h"
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
    made.manifest.config = {
        {"model", settings}, {"data", Json::object()}, {"training", Json::object()}};
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
    if (value.is_null())
      changed.erase(key);
    else
      changed[key] = value;
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
  EXPECT_EQ(read_run_config(run), manifest.config);
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
  const Json expected = {{"model_type", "gpt2"},
                         {"vocab_size", 9},
                         {"n_positions", kContext},
                         {"n_embd", 16},
                         {"n_layer", 2},
                         {"n_head", 2},
                         {"n_inner", 64},
                         {"layer_norm_epsilon", 1e-5},
                         {"activation_function", "gelu_new"},
                         {"tie_word_embeddings", true}};
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

/// A folder of a BPE model with the end of GPT-2's texts, as Python leaves it.
class Gpt2Tokenizers : public Gpt2 {
 protected:
  /// @param rows  of the model; the tokenizer has 263 tokens, the last one the end
  fs::path folder(int64_t rows, const std::string& end = "\n", bool padding = false) {
    DataInfo info = text_info(kContext);
    const auto learned = make_tokenizer(TokenizerKind::bpe, "the cat and the dog and the cow", 262);
    vocabulary_ = Json::parse(learned->bpe()->vocabulary_file());
    vocabulary_["<|endoftext|>"] = 262;
    merges_ = learned->bpe()->letter_merges();
    std::string wide;  // a model of as many rows
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t c = 0x4E00 + i;
      wide += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
               static_cast<char>(0x80 | (c & 0x3F))};
    }
    info.tokenizer = make_tokenizer(TokenizerKind::characters, wide);
    const fs::path made = exported({{"bias", true}}, info);
    fs::remove(made / "genai-tokenizer.json");
    put(made / "vocab.json", vocabulary_.dump());
    std::string lines = "#version: 0.2" + end;
    for (const std::string& merge : merges_) lines += merge + end;
    put(made / "merges.txt", lines + (padding ? end + end : ""));
    change_config(made, "eos_token_id", 262);
    change_config(made, "bos_token_id", 262);
    return made;
  }
  void put_tokenizer_json(const fs::path& made, const Json& merges,
                          const Json& added = Json::array(), const Json& changes = Json::object()) {
    fs::remove(made / "vocab.json");
    fs::remove(made / "merges.txt");
    Json json{{"version", "1.0"},
              {"added_tokens", added},
              {"normalizer", nullptr},
              {"pre_tokenizer",
               {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
              {"model", {{"type", "BPE"}, {"vocab", vocabulary_}, {"merges", merges}}}};
    json.update(changes);
    put(made / "tokenizer.json", json.dump());
  }
  static std::vector<int32_t> ids(const fs::path& made, const std::string& text) {
    return read_gpt2(made).data.tokenizer->encode(text);
  }

  Json vocabulary_;
  std::vector<std::string> merges_;
};

TEST_F(Gpt2Tokenizers, OfEveryFormAreTheSame) {
  const std::string text = "the cat<|endoftext|> and the end";
  const fs::path plain = folder(263);
  const std::vector<int32_t> expected = ids(plain, text);
  EXPECT_EQ(std::ranges::count(expected, 262), 1);
  EXPECT_EQ(read_gpt2(plain).data.tokenizer->decode(expected), text);
  EXPECT_EQ(ids(folder(263, "\r\n"), text), expected);
  EXPECT_EQ(ids(folder(263, "\n", true), text), expected);
  const fs::path whole = folder(263);
  put_tokenizer_json(whole, merges_);
  EXPECT_EQ(ids(whole, text), expected);
  Json pairs = Json::array();
  for (const std::string& merge : merges_) {
    const size_t space = merge.find(' ');
    pairs.push_back({merge.substr(0, space), merge.substr(space + 1)});
  }
  put_tokenizer_json(whole, pairs, {{{"id", 262}, {"content", "<|endoftext|>"}}});
  EXPECT_EQ(ids(whole, text), expected);
  // As OpenAI's is on the Hub.
  put_tokenizer_json(whole, merges_, Json::array(),
                     {{"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
                      {"model", {{"vocab", vocabulary_}, {"merges", merges_}}}});
  EXPECT_EQ(ids(whole, text), expected);
  put_tokenizer_json(whole, pairs, Json::array(), {{"model", {{"type", "Unigram"}}}});
  expect_bad(whole, "expected a model of type BPE");
  put_tokenizer_json(whole, pairs, Json::array(), {{"normalizer", {{"type", "NFC"}}}});
  expect_bad(whole, "expected no normalizer");
  put_tokenizer_json(whole, {{"a", "b", "c"}});
  expect_bad(whole, "merge 0");
  put(whole / "tokenizer.json", std::string(100, '['));
  expect_bad(whole, "deep");
}

TEST_F(Gpt2Tokenizers, AddedTokensAndRowsWithoutOneFitTheModel) {
  const fs::path padded = folder(320);
  const ImportedModel model = read_gpt2(padded);
  EXPECT_EQ(model.data.vocabulary(), 320);
  EXPECT_EQ(model.weights.at("tokens.weight").size(0), 320);
  EXPECT_EQ(model.data.tokenizer->token(300), "");
  // As a file of a run, and exported again.
  const Checkpoint loaded = load_checkpoint(find_checkpoint(imported(padded), ""), false);
  EXPECT_EQ(loaded.manifest.data.tokenizer->fingerprint(), model.data.tokenizer->fingerprint());
  EXPECT_EQ(loaded.manifest.data.tokenizer->end_token(), 262);
  const fs::path again = folder_ / "again";
  export_gpt2(loaded, again);
  EXPECT_EQ(slurp(again / "model.safetensors"), slurp(padded / "model.safetensors"));
  EXPECT_EQ(config(again)["eos_token_id"], 262);
  EXPECT_EQ(Json::parse(slurp(again / "vocab.json")).size(), 263u);
  fs::remove(again / "genai-tokenizer.json");
  EXPECT_EQ(read_gpt2(again).data.tokenizer->fingerprint(), model.data.tokenizer->fingerprint());
  // <pad> behind the vocabulary: in added_tokens.json, or in tokenizer.json.
  const fs::path added = folder(264);
  put(added / "added_tokens.json", R"({"<pad>": 263})");
  EXPECT_EQ(ids(added, "<pad><|endoftext|><pad>"), (std::vector<int32_t>{263, 262, 263}));
  put_tokenizer_json(added, merges_, {{{"id", 263}, {"content", "<pad>"}}});
  EXPECT_EQ(ids(added, "<pad><|endoftext|><pad>"), (std::vector<int32_t>{263, 262, 263}));
  put_tokenizer_json(added, merges_, {{{"id", 270}, {"content", "<pad>"}}});
  expect_bad(added, "expected an id from 0 to 263");
  expect_bad(folder(262), "vocab_size");
  // The end of texts may be a token like others.
  const fs::path newline = folder(263);
  const int32_t id = ids(newline, "\n").at(0);
  change_config(newline, "eos_token_id", id);
  EXPECT_EQ(read_gpt2(newline).data.tokenizer->end_token(), id);
  EXPECT_EQ(ids(newline, "a\n").back(), id);
  change_config(newline, "eos_token_id", 999);
  expect_bad(newline, "eos_token_id: expected an id from 0 to 262, found 999");
}

TEST_F(Gpt2Tokenizers, SpecialTokensOfAnExportAreTokensOfTheModel) {
  for (const bool lines : {false, true}) {
    DataInfo info = text_info(kContext, lines);
    info.tokenizer = make_tokenizer(TokenizerKind::bpe, "the cat\nand the dog\n", 260);
    const fs::path made = exported({{"bias", true}}, info);
    const Json vocabulary = Json::parse(slurp(made / "vocab.json"));
    const Json tokenizer = Json::parse(slurp(made / "tokenizer_config.json"));
    for (const char* name : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
      const std::string token = tokenizer.at(name);
      ASSERT_TRUE(vocabulary.contains(token)) << name;
      EXPECT_LT(vocabulary[token].get<int64_t>(), config(made)["vocab_size"].get<int64_t>());
      if (lines) {
        EXPECT_EQ(vocabulary[token], config(made)["eos_token_id"]);
      }
    }
  }
}

TEST_F(Gpt2Tokenizers, NamesOfSpecialTokensAreKept) {
  const fs::path padded = folder(265);
  put(padded / "added_tokens.json", R"({"<pad>": 263, "<s>": 264})");
  const auto expect_kept = [&] {
    const Checkpoint loaded = load_checkpoint(find_checkpoint(imported(padded), ""), false);
    const fs::path again = folder_ / concat("again-", ++folders_);
    export_gpt2(loaded, again);
    const Json tokenizer = Json::parse(slurp(again / "tokenizer_config.json"));
    EXPECT_EQ(tokenizer["pad_token"], "<pad>");
    EXPECT_EQ(tokenizer["bos_token"], "<s>");
    EXPECT_EQ(tokenizer["eos_token"], "<|endoftext|>");
    EXPECT_EQ(tokenizer["unk_token"], "<|endoftext|>");
    EXPECT_EQ(config(again)["pad_token_id"], 263);
    EXPECT_EQ(config(again)["bos_token_id"], 264);
    EXPECT_EQ(config(again)["eos_token_id"], 262);
    const auto expected = loaded.manifest.data.tokenizer->fingerprint();
    EXPECT_EQ(read_gpt2(again).data.tokenizer->fingerprint(), expected);
    fs::remove(again / "genai-tokenizer.json");
    EXPECT_EQ(read_gpt2(again).data.tokenizer->fingerprint(), expected);
  };
  put(padded / "tokenizer_config.json",
      R"({"pad_token": "<pad>", "bos_token": {"content": "<s>"}, "unk_token": "<none>",
          "model_max_length": 1000000000000000019884624838656})");  // transformers' int(1e30): none
  expect_kept();
  fs::remove(padded / "tokenizer_config.json");
  put(padded / "special_tokens_map.json", R"({"pad_token": "<pad>", "bos_token": "<s>"})");
  expect_kept();
  fs::remove(padded / "special_tokens_map.json");
  change_config(padded, "pad_token_id", 263);
  change_config(padded, "bos_token_id", 264);
  expect_kept();
  // A folder that tells nothing of padding has the end for it, as before.
  change_config(padded, "pad_token_id", nullptr);
  change_config(padded, "bos_token_id", 262);
  EXPECT_TRUE(read_gpt2(padded).data.tokenizer->bpe()->roles().empty());
}

TEST_F(Gpt2Tokenizers, LinesEndWithTheLineWhateverTheEndOfTexts) {
  DataInfo info = read_gpt2(folder(263)).data;
  ASSERT_EQ(info.tokenizer->end_token(), 262);
  info.lines = true;
  info.context = kContext;
  const fs::path made = exported({{"bias", true}}, info);
  const int32_t line_end = start_token(*info.tokenizer);
  const Json tokenizer = Json::parse(slurp(made / "tokenizer_config.json"));
  EXPECT_EQ(config(made)["eos_token_id"], line_end);
  EXPECT_EQ(config(made)["bos_token_id"], line_end);
  EXPECT_EQ(tokenizer["eos_token"], to_byte_letters("\n"));
  EXPECT_EQ(tokenizer["pad_token"], "<|endoftext|>");  // a line holds none
  EXPECT_EQ(read_gpt2(made).data.tokenizer->fingerprint(), info.tokenizer->fingerprint());
  fs::remove(made / "genai-tokenizer.json");
  EXPECT_EQ(read_gpt2(made).data.tokenizer->fingerprint(), info.tokenizer->fingerprint());
  EXPECT_TRUE(read_gpt2(made).data.lines);
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
  // In several files.
  const fs::path parts = exported();
  const Tensors all = read_safetensors(slurp(parts / "model.safetensors"), "test");
  Json map;
  for (const bool second : {false, true}) {
    const std::string file =
        second ? "model-00002-of-00002.safetensors" : "model-00001-of-00002.safetensors";
    Tensors some;
    for (const auto& [name, tensor] : all) {
      if ((name.size() % 2 == 1) != second) continue;
      some[name] = tensor;
      map[name] = file;
    }
    put(parts / file, write_safetensors(some));
  }
  fs::remove(parts / "model.safetensors");
  const auto put_index = [&] {
    put(parts / "model.safetensors.index.json",
        Json{{"metadata", Json::object()}, {"weight_map", map}}.dump());
  };
  put_index();
  expect_equal(parts);
  map["transformer.ln_f.bias"] = "../model.safetensors";
  put_index();
  expect_bad(parts, "expected the name of a file beside it");
  // Half the bits, where config.json says so.
  const fs::path half = exported();
  change_tensors(half, [](Tensors& tensors) {
    for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kBFloat16);
  });
  expect_bad(half, "expected Float of shape");
  change_config(half, "torch_dtype", "bfloat16");
  EXPECT_TRUE(at::equal(read_gpt2(half).weights.at("norm.weight"),
                        expected.at("norm.weight").to(at::kBFloat16).to(at::kFloat)));
  change_config(old, "activation_function", nullptr);  // GPT-2's default
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
      {{{"bigrams", true}}, "model.bigrams"},
      {{{"tied", false}}, "model.tied"},
      {{{"soft_cap", 3}}, "model.soft_cap"}};
  for (const auto& [changes, part] : refused) {
    const Checkpoint wrong = checkpoint(changes);
    expect_error(ErrorKind::usage, part, [&] { export_gpt2(wrong, folder_ / "refused"); });
  }
  // All at once.
  const Checkpoint several = checkpoint({{"norm", "rms"}, {"tied", false}});
  for (const char* part : {"model.norm", "model.tied"}) {
    expect_error(ErrorKind::usage, part, [&] { export_gpt2(several, folder_ / "refused"); });
  }
  EXPECT_TRUE(gpt2_obstacles(checkpoint(Json::object()).manifest.config["model"]).empty());
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
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    expect_bad_tensors([&](Tensors& t) { t[name][3][5] = bad; },
                       "tensor '" + name + "' holds numbers");
  }
  expect_bad_tensors([&](Tensors& t) { t[name] = t[name].to(at::kDouble); }, "found Double");
  expect_bad_tensors([&](Tensors& t) { t["transformer.h.2.ln_1.weight"] = at::ones({16}); },
                     "unexpected tensor 'transformer.h.2.ln_1.weight'");
  expect_bad_tensors(
      [&](Tensors& t) {
        t["lm_head.weight"] = at::ones({9, 16});
      },
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
  expect_bad(folder, "no tokenizer; expected tokenizer.json, or vocab.json and ");
  expect_bad(folder_ / "nowhere", "config.json");
  const ImportedModel good = read_gpt2(exported());
  const fs::path used = exported();
  expect_error(ErrorKind::usage, "not empty", [&] { save_run(good, used, {}); });
}

}  // namespace
}  // namespace genai
