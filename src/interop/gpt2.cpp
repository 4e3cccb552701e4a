#include "genai/interop/gpt2.h"

#include <torch/nn/module.h>

#include <cmath>
#include <set>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/core/safetensors.h"
#include "genai/data/sequences.h"
#include "genai/data/unicode.h"
#include "genai/models/registry.h"
#include "genai/models/transformer.h"
#include "genai/nn/transformer_network.h"
#include "genai/run/folder.h"
#include "genai/training/config.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfig = 1 << 20, kMaxTokenizer = 64 << 20;
constexpr uint64_t kMaxTensors = uint64_t{64} << 30;
const std::string kFamily = "transformer";
const std::string kConfigFile = "config.json", kModelFile = "model.safetensors";
const std::string kIndexFile = "model.safetensors.index.json";
const std::string kVocabularyFile = "vocab.json", kMergesFile = "merges.txt";
const std::string kTokenizerConfigFile = "tokenizer_config.json";
const std::string kSpecialsFile = "special_tokens_map.json";
const std::string kOwnTokenizerFile = "genai-tokenizer.json";
const std::string kPrefix = "transformer.";
/// In config.json, where transformers passes over it: each line is an item of its own.
const std::string kLines = "genai_lines";

/// In byte letters: a byte that no text holds, and what ends a line.
const std::string kUnused = to_byte_letters("\xFF"), kLineEnd = to_byte_letters("\n");

/// A tensor under both names.
struct TensorNames {
  std::string theirs;  // without the prefix
  std::string ours;
  std::vector<int64_t> shape;  // of theirs
  bool turned;                 // GPT-2's Conv1D keeps [in, out], a linear layer [out, in]
};

std::vector<TensorNames> tensor_names(const TransformerShape& shape) {
  std::vector<TensorNames> all;
  const int64_t width = shape.width;
  const auto norm = [&](const std::string& theirs, const std::string& ours) {
    all.push_back({theirs + ".weight", ours + ".weight", {width}, false});
    all.push_back({theirs + ".bias", ours + ".bias", {width}, false});
  };
  const auto linear = [&](const std::string& theirs, const std::string& ours, int64_t in,
                          int64_t out) {
    all.push_back({theirs + ".weight", ours + ".weight", {in, out}, true});
    all.push_back({theirs + ".bias", ours + ".bias", {out}, false});
  };
  all.push_back({"wte.weight", "tokens.weight", {shape.vocabulary, width}, false});
  all.push_back({"wpe.weight", "positions.weight", {shape.context, width}, false});
  for (int64_t i = 0; i < shape.layers; ++i) {
    const std::string theirs = concat("h.", i, "."), ours = concat("blocks.", i, ".");
    norm(theirs + "ln_1", ours + "attention_norm");
    linear(theirs + "attn.c_attn", ours + "attention.qkv", width, 3 * width);
    linear(theirs + "attn.c_proj", ours + "attention.out", width, width);
    norm(theirs + "ln_2", ours + "mlp_norm");
    linear(theirs + "mlp.c_fc", ours + "mlp.up", width, shape.hidden);
    linear(theirs + "mlp.c_proj", ours + "mlp.down", shape.hidden, width);
  }
  norm("ln_f", "norm");
  return all;
}

// ---- from us to them

TransformerConfig config_of(Json settings) {
  take_added(find_family(kFamily), settings);
  return from_json<TransformerConfig>(find_family(kFamily).settings, settings, "model");
}

Tensors to_theirs(const Checkpoint& checkpoint, const TransformerShape& shape) {
  const Tensors weights = merge_adapters(checkpoint.weights);
  Tensors tensors;
  for (const TensorNames& names : tensor_names(shape)) {
    const auto it = weights.find(names.ours);
    Tensor& tensor = tensors[kPrefix + names.theirs];
    if (it != weights.end()) {
      tensor = names.turned ? it->second.t() : it->second;
    } else if (names.ours.ends_with(".bias") && !shape.bias) {
      tensor = at::zeros(names.shape);
    } else {
      fail(ErrorKind::data, checkpoint.folder.string(), ": no tensor '", names.ours, "'");
    }
  }
  return tensors;
}

/// What our texts begin with, and lines end with.
int32_t start_of(const DataInfo& info) {
  const int32_t end = info.tokenizer->end_token();
  return !info.lines && end >= 0 ? end : start_token(*info.tokenizer);
}

Json their_config(const TransformerShape& shape, const DataInfo& info) {
  const bool ends = info.lines || info.tokenizer->end_token() >= 0;
  const Bpe* bpe = info.tokenizer->bpe();
  const Bpe::Roles roles = bpe ? bpe->roles() : Bpe::Roles();
  const auto role = [&](const char* name, const Json& usual) {
    const auto found = roles.find(name);
    return found == roles.end() ? usual : Json(found->second);
  };
  return {{"architectures", Json::array({"GPT2LMHeadModel"})},
          {"model_type", "gpt2"},
          {"vocab_size", shape.vocabulary},
          {"n_positions", shape.context},
          {"n_embd", shape.width},
          {"n_layer", shape.layers},
          {"n_head", shape.heads},
          {"n_inner", shape.hidden},
          {"activation_function", shape.mlp == MlpKind::gelu ? "gelu" : "gelu_new"},
          {"layer_norm_epsilon", kNormEpsilon},
          {"resid_pdrop", 0.0},
          {"embd_pdrop", 0.0},
          {"attn_pdrop", 0.0},
          {"tie_word_embeddings", true},
          {"bos_token_id", info.lines ? Json(start_of(info)) : role("bos", start_of(info))},
          {"eos_token_id", ends ? Json(start_of(info)) : Json()},
          {"pad_token_id", role("pad", Json())},
          {"torch_dtype", "float32"},
          {kLines, info.lines}};
}

/// Without this file transformers gives the tokenizer an end "<|endoftext|>" of the next id, which
/// the model has no row for. Where a text has no end, the byte 0xFF stands in for it: no text holds
/// it.
Json their_tokenizer_config(const Bpe& bpe, const DataInfo& info) {
  const auto text_of = [&](int32_t id) {
    const auto special = bpe.specials().find(id);
    return special != bpe.specials().end() ? special->second : bpe.letter_tokens()[to_index(id)];
  };
  const bool ends = info.lines || bpe.end() >= 0;
  const std::string end = ends ? text_of(start_of(info)) : kUnused;
  const auto role = [&](const char* name, const std::string& usual) {
    const auto found = bpe.roles().find(name);
    return found == bpe.roles().end() ? usual : text_of(found->second);
  };
  // Of lines with a tokenizer that has an end of texts, this is none of a line.
  const std::string other = bpe.end() >= 0 ? text_of(bpe.end()) : end;
  Json specials = Json::object();
  for (const auto& [id, text] : bpe.specials()) {
    if (text.empty()) continue;
    specials[std::to_string(id)] = {{"content", text},      {"lstrip", false},
                                    {"normalized", false},  {"rstrip", false},
                                    {"single_word", false}, {"special", true}};
  }
  return {{"tokenizer_class", "GPT2Tokenizer"},
          {"add_prefix_space", false},
          {"model_max_length", info.context},
          {"bos_token", info.lines ? end : std::string(role("bos", end))},
          {"eos_token", end},
          {"unk_token", role("unk", other)},
          {"pad_token", role("pad", other)},
          {"added_tokens_decoder", specials}};
}

// ---- from them to us

/// config.json, value by value.
class TheirConfig {
 public:
  explicit TheirConfig(const fs::path& file)
      : name_(file.string()),
        json_(
            parse_json(read_file(file, kMaxConfig), name_, ErrorKind::data, {.comments = false})) {
    if (!json_.is_object()) fail(ErrorKind::data, name_, ": expected a JSON object");
  }

  /// Null where it is null or absent.
  Json value(const std::string& key) const { return json_.value(key, Json()); }

  int64_t whole(const std::string& key, int64_t most) const {
    const Json found = value(key);
    const int64_t number = found.is_number_integer() ? found.get<int64_t>() : 0;
    if (number < 1 || number > most) {
      bad(key, concat("a whole number from 1 to ", most), found);
    }
    return number;
  }
  /// For settings of GPT-2 that we have in one form only: its default.
  void fixed(const std::string& key, bool expected) const {
    const Json found = value(key);
    if (!found.is_null() && found != Json(expected)) bad(key, expected ? "true" : "false", found);
  }
  [[noreturn]] void bad(const std::string& key, const std::string& expected,
                        const Json& found) const {
    fail(ErrorKind::data, name_, ": ", key, ": expected ", expected, ", found ",
         found.is_null() ? "nothing" : found.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  Json json_;
};

MlpKind activation(const TheirConfig& config) {
  const Json found = config.value("activation_function");
  if (found.is_null() || found == "gelu_new" || found == "gelu_pytorch_tanh") {
    return MlpKind::gelu_tanh;
  }
  if (found == "gelu") return MlpKind::gelu;
  config.bad("activation_function", "gelu, gelu_new or gelu_pytorch_tanh", found);
}

TransformerConfig our_config(const TheirConfig& config) {
  if (const Json type = config.value("model_type"); type != "gpt2") {
    config.bad("model_type", "\"gpt2\"", type);
  }
  TransformerConfig c;
  c.layers = config.whole("n_layer", 256);
  c.heads = config.whole("n_head", 256);
  c.width = config.whole("n_embd", 16'384);
  if (c.width % c.heads != 0) {
    config.bad("n_head", concat("a divisor of n_embd, ", c.width), c.heads);
  }
  if (!config.value("n_inner").is_null()) c.hidden = config.whole("n_inner", 65'536);
  c.mlp = activation(config);
  c.bias = true;
  const Json epsilon = config.value("layer_norm_epsilon");
  if (!epsilon.is_null() &&
      !(epsilon.is_number() && std::abs(epsilon.get<double>() - kNormEpsilon) < 1e-12)) {
    config.bad("layer_norm_epsilon", "1e-05", epsilon);
  }
  config.fixed("scale_attn_weights", true);
  config.fixed("scale_attn_by_inverse_layer_idx", false);
  config.fixed("add_cross_attention", false);
  config.fixed("tie_word_embeddings", true);
  return c;
}

/// "<pad>" of {"pad_token": "<pad>"} or {"pad_token": {"content": "<pad>"}}, in the first of the
/// files that has it; else empty.
std::string special_token(const fs::path& folder, const std::string& key) {
  for (const std::string& file : {kTokenizerConfigFile, kSpecialsFile}) {
    std::error_code error;
    const fs::path path = folder / file;
    if (!fs::exists(path, error)) continue;
    const Json json = parse_json(
        read_file(path, kMaxTokenizer), path.string(), ErrorKind::data,
        {.bytes = kMaxTokenizer, .depth = 16, .comments = false, .large_integers = true});
    Json token = json.is_object() ? json.value(key, Json()) : Json();
    if (token.is_object()) token = token.value("content", Json());
    if (token.is_string()) return token.get<std::string>();
  }
  return "";
}

/// The tokens that their files give a part of their own. What is no token of the model has none,
/// nor have those that stand in for one in our exports.
void take_roles(const fs::path& folder, const TheirConfig& config, bool lines, Bpe& bpe) {
  const int32_t unused = bpe.find(kUnused), line_end = lines ? bpe.find(kLineEnd) : -1;
  for (const char* role : {"bos", "pad", "unk"}) {
    const std::string token = special_token(folder, concat(role, "_token"));
    Json id = config.value(concat(role, "_token_id"));
    if (!token.empty()) id = bpe.find(token);
    const auto tokens = static_cast<int64_t>(bpe.tokens().size());
    const bool own = id.is_number_integer() && id >= 0 && id < tokens;
    if (own && id != unused && id != line_end) bpe.set_role(role, id.get<int32_t>());
  }
}

/// @param vocabulary  rows of the model, for which the tokenizer may have too few tokens
std::shared_ptr<const Tokenizer> read_tokenizer(const fs::path& folder, const TheirConfig& config,
                                                int64_t vocabulary) {
  std::error_code error;
  const fs::path own = folder / kOwnTokenizerFile;
  if (fs::exists(own, error)) {
    return tokenizer_from_json(
        parse_json(read_file(own, kMaxTokenizer), own.string(), ErrorKind::data,
                   {.bytes = kMaxTokenizer, .depth = 4, .comments = false}),
        own.string());
  }
  Bpe bpe = Bpe::read_folder(folder);
  const auto tokens = static_cast<int64_t>(bpe.tokens().size());
  if (tokens < vocabulary && vocabulary <= 2 * tokens) bpe.pad(vocabulary);
  Json end = config.value("eos_token_id");
  if (end.is_array() && !end.empty()) end = end[0];
  const bool lines = config.value(kLines) == true;  // they end with a line end
  if (end.is_number_integer() && !lines) {
    if (end < 0 || end >= tokens) {
      config.bad("eos_token_id", concat("an id from 0 to ", tokens - 1), end);
    }
    bpe.set_end(end.get<int32_t>());
  }
  take_roles(folder, config, lines, bpe);
  return make_tokenizer(std::move(bpe));
}

/// The type that all of the model's tensors have.
at::ScalarType tensor_type(const TheirConfig& config) {
  Json found = config.value("dtype");
  if (found.is_null()) found = config.value("torch_dtype");
  if (found.is_null() || found == "float32") return at::kFloat;
  if (found == "float16") return at::kHalf;
  if (found == "bfloat16") return at::kBFloat16;
  config.bad("dtype", "float32, float16 or bfloat16", found);
}

/// model.safetensors, or the files that its index names.
Tensors read_tensors(const fs::path& folder) {
  std::error_code error;
  const fs::path index = folder / kIndexFile;
  if (fs::exists(folder / kModelFile, error) || !fs::exists(index, error)) {
    const fs::path file = folder / kModelFile;
    return read_safetensors(read_file(file, kMaxTensors), file.string());
  }
  const std::string name = index.string();
  const Json json =
      parse_json(read_file(index, kMaxConfig), name, ErrorKind::data, {.comments = false});
  const Json map = json.is_object() ? json.value("weight_map", Json()) : Json();
  if (!map.is_object() || map.empty()) {
    fail(ErrorKind::data, name, ": expected \"weight_map\", an object of tensors and their files");
  }
  std::set<std::string> files;
  for (const auto& [tensor, file] : map.items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    if (shard.empty() || shard.starts_with('.') || shard.find('/') != shard.npos) {
      fail(ErrorKind::data, name, ": tensor '", tensor,
           "': expected the name of a file beside it, ", "found ", file.dump());
    }
    files.insert(shard);
  }
  Tensors all;
  for (const std::string& file : files) {
    const std::string path = (folder / file).string();
    for (auto& [tensor, numbers] : read_safetensors(read_file(path, kMaxTensors), path)) {
      if (map.value(tensor, Json()) != file) {
        fail(ErrorKind::data, path, ": tensor '", tensor, "' is not what ", kIndexFile,
             " says is here");
      }
      all[tensor] = numbers;
    }
  }
  return all;
}

bool is_mask(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

Tensors to_ours(const fs::path& folder, const TransformerShape& shape, at::ScalarType type) {
  const std::string name = folder.string();
  Tensors theirs = read_tensors(folder), ours;
  const std::string prefix = theirs.count(kPrefix + "wte.weight") ? kPrefix : "";
  for (const TensorNames& names : tensor_names(shape)) {
    const std::string key = prefix + names.theirs;
    const at::IntArrayRef expected = names.shape;
    const auto it = theirs.find(key);
    if (it == theirs.end()) {
      fail(ErrorKind::data, name, ": no tensor '", key, "'; expected one of shape ", expected);
    }
    const Tensor& found = it->second;
    if (found.sizes() != expected || found.scalar_type() != type) {
      fail(ErrorKind::data, name, ": tensor '", key, "': expected ", at::toString(type),
           " of shape ", expected, ", found ", at::toString(found.scalar_type()), " of shape ",
           found.sizes());
    }
    const Tensor numbers = found.to(at::kFloat);
    if (!numbers.isfinite().all().item<bool>()) {
      fail(ErrorKind::data, name, ": tensor '", key,
           "' holds numbers that are not finite (NaN, infinity)");
    }
    ours[names.ours] = names.turned ? numbers.t().contiguous() : numbers;
    theirs.erase(it);
  }
  for (const auto& [key, tensor] : theirs) {
    if (is_mask(key)) continue;
    if (key != "lm_head.weight") fail(ErrorKind::data, name, ": unexpected tensor '", key, "'");
    if (!at::equal(tensor.to(at::kFloat), ours.at("tokens.weight"))) {
      fail(ErrorKind::data, name, ": tensor '", key, "': expected the numbers of '", prefix,
           "wte.weight' (tied), found others");
    }
  }
  return ours;
}

}  // namespace

std::vector<std::string> gpt2_obstacles(const Json& settings) {
  if (settings.at("family") != kFamily) {
    return {concat("export: expected a run of the family '", kFamily, "', found one of '",
                   settings.at("family").get<std::string>(), "'")};
  }
  std::vector<std::string> obstacles;
  const auto check = [&](bool good, const char* setting, const auto& expected, const auto& found) {
    if (good) return;
    obstacles.push_back(concat("model.", setting, ": GPT-2's form has no other than ", expected,
                               ", found ", found));
  };
  const auto check_off = [&](bool on, const char* setting) {
    check(!on, setting, "false", "true");
  };
  const TransformerConfig c = config_of(settings);
  check(c.positions == Positions::learned, "positions", "learned",
        enum_name(kPositionsNames, c.positions));
  check(c.norm == NormKind::layer, "norm", "layer", enum_name(kNormKindNames, c.norm));
  check(c.mlp == MlpKind::gelu || c.mlp == MlpKind::gelu_tanh, "mlp", "gelu and gelu-tanh",
        enum_name(kMlpNames, c.mlp));
  check(c.kv_heads == 0 || c.kv_heads == c.heads, "kv_heads", concat("as many as heads, ", c.heads),
        c.kv_heads);
  check_off(c.qk_norm, "qk_norm");
  check_off(c.bigrams.value_or(false), "bigrams");
  check(c.tied, "tied", "true", "false");
  check(c.soft_cap == 0, "soft_cap", 0, c.soft_cap);
  return obstacles;
}

void export_gpt2(const Checkpoint& checkpoint, const fs::path& folder) {
  const Manifest& manifest = checkpoint.manifest;
  const Json& settings = manifest.config.at("model");
  if (!manifest.data.tokenizer) {
    fail(ErrorKind::usage, "GPT-2 writes texts; this run makes ",
         manifest.data.modality->items(manifest.data));
  }
  if (const auto obstacles = gpt2_obstacles(settings); !obstacles.empty()) {
    std::string all;
    for (const std::string& obstacle : obstacles) all += (all.empty() ? "" : "\n") + obstacle;
    fail(ErrorKind::usage, all);
  }
  const TransformerConfig config = config_of(settings);
  const TransformerShape shape = transformer_shape(config, manifest.data);
  const Tokenizer& tokenizer = *manifest.data.tokenizer;
  const Tensors tensors = to_theirs(checkpoint, shape);
  make_new_folder(folder);
  // transformers demands to be told which library wrote the file.
  write_file(folder / kModelFile, write_safetensors(tensors, {{"format", "pt"}}));
  write_file(folder / kOwnTokenizerFile, tokenizer.to_json().dump() + "\n");
  if (const Bpe* bpe = tokenizer.bpe()) {
    write_file(folder / kVocabularyFile, bpe->vocabulary_file());
    write_file(folder / kMergesFile, bpe->merges_file());
    write_file(folder / kTokenizerConfigFile,
               their_tokenizer_config(*bpe, manifest.data).dump(2) + "\n");
  }
  write_file(folder / kConfigFile, their_config(shape, manifest.data).dump(2) + "\n");
}

ImportedModel read_gpt2(const fs::path& folder) {
  const TheirConfig theirs(folder / kConfigFile);
  const TransformerConfig ours = our_config(theirs);
  const int64_t vocabulary = theirs.whole("vocab_size", INT32_MAX);
  // The last part of the path, of "." and "gpt2/" too.
  const fs::path whole = fs::absolute(folder / "").lexically_normal().parent_path();
  const auto tokenizer = read_tokenizer(folder, theirs, vocabulary);
  DataInfo info{.modality = &modality_of_tokens(tokenizer.get()),
                .source = valid_utf8(whole.filename().string()),
                .tokenizer = tokenizer,
                .context = theirs.whole("n_positions", 65'536)};
  if (const Json lines = theirs.value(kLines); lines.is_boolean()) info.lines = lines;
  if (info.vocabulary() != vocabulary) {
    theirs.bad("vocab_size", concat("the ", info.vocabulary(), " tokens of the tokenizer"),
               vocabulary);
  }
  const Family& family = find_family(kFamily);
  Settings settings;
  settings.set("model.family", kFamily, theirs.name());
  settings.merge({{"model", write_fields(family.settings, &ours)},
                  {"data",
                   {{"source", info.source},
                    {"tokenizer", enum_name(kTokenizerNames, info.tokenizer->kind())},
                    {"context", info.context},
                    {"lines", info.lines}}}},
                 theirs.name());
  return {.config = settings.resolve(run_sections(family)),
          .data = info,
          .weights = to_ours(folder, transformer_shape(ours, info), tensor_type(theirs))};
}

void save_run(const ImportedModel& imported, const fs::path& run, const Numerics& numerics) {
  const auto model = make_model(find_family(kFamily), imported.config.at("model"), imported.data);
  load_weights(model->module(), imported.weights, imported.data.source);
  make_new_folder(run);
  write_run_config(run, imported.config, "");
  Manifest manifest;
  manifest.config = imported.config;
  manifest.data = imported.data;
  manifest.numerics = numerics;
  manifest.objective = model->objective();
  manifest.folder = fs::proximate(fs::current_path(), run).string();
  save_checkpoint(run, manifest, module_tensors(model->module()), {});
}

}  // namespace genai
