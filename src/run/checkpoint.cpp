#include "genai/run/checkpoint.h"

#include <torch/nn/module.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/settings.h"
#include "genai/core/safetensors.h"
#include "genai/data/known_sets.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// 3: there are parts; 2: a tokenizer is in a file of its own; 1: in the manifest, or there is
/// none.
constexpr int kFormat = 3;
constexpr uint64_t kMaxManifest = 4 << 20, kMaxTokenizer = uint64_t{256} << 20;
constexpr uint64_t kMaxTensors = uint64_t{64} << 30;
const std::string kModelFile = "model.safetensors", kTrainingFile = "training.safetensors";
const std::string kManifestFile = "manifest.json", kTokenizerFile = "tokenizer.json";
const std::string kTemporary = ".tmp-", kTrash = ".trash-";

std::string step_name(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%07lld", static_cast<long long>(step));
  return name;
}

int64_t step_of(const fs::path& checkpoint) {
  return std::atoll(checkpoint.filename().string().c_str() + 5);
}

Json manifest_json(const Manifest& m) {
  Json data = to_json(m.data);
  if (m.data.tokenizer) data["tokenizer"] = kTokenizerFile;
  Json json{{"format", m.data.tokenizer ? 2 : 1},
            {"genai", GENAI_VERSION},
            {"step", m.step},
            {"steps", m.steps},
            {"preset", m.preset},
            {"config", m.config},
            {"data", data},
            {"numerics", to_json(m.numerics)},
            {"objective", m.objective},
            {"validation", m.validation},
            {"best_step", m.best_step},
            {"best_value", m.best_value},
            {"kept_sha256", m.kept_sha256},
            {"folder", m.folder},
            {"files", m.files}};
  if (m.parts.empty()) return json;
  json["format"] = kFormat;
  json["parts"] = m.parts;
  return json;
}

Json file_entry(std::string_view bytes) {
  return {{"sha256", sha256(bytes)}, {"bytes", bytes.size()}};
}

/// Files of a checkpoint that are read up to a limit are not written beyond it.
const std::string& within(uint64_t most, const std::string& bytes, const char* what) {
  if (bytes.size() > most) {
    fail(ErrorKind::failure, what, ": expected at most ", most, " bytes, found ", bytes.size());
  }
  return bytes;
}

/// Removing starts with a rename, so that a checkpoint half removed is never taken for a whole one.
void remove_checkpoint(const fs::path& checkpoint) {
  std::error_code error;
  const fs::path trash = checkpoint.parent_path() / (kTrash + checkpoint.filename().string());
  fs::remove_all(trash, error);
  fs::rename(checkpoint, trash, error);
  fs::remove_all(trash, error);
}

/// After `step` was saved. Later checkpoints are of a past that the run was resumed before, or
/// damaged: the newest must be the one saved last.
void prune(const fs::path& run, int64_t step, int64_t best_step, size_t keep) {
  auto all = list_checkpoints(run);
  for (; !all.empty() && step_of(all.back()) > step; all.pop_back()) remove_checkpoint(all.back());
  if (all.size() <= keep) return;
  all.resize(all.size() - keep);
  for (const fs::path& checkpoint : all) {
    if (step_of(checkpoint) != best_step) remove_checkpoint(checkpoint);
  }
}

std::string verified_file(const fs::path& checkpoint, const std::string& name, const Json& files,
                          uint64_t most = kMaxTensors) {
  const fs::path path = checkpoint / name;
  const std::string bytes = read_file(path, most);
  const std::string found = sha256(bytes);
  const std::string expected = files.at(name).at("sha256");
  if (found != expected) {
    fail(ErrorKind::data, path.string(), ": its SHA-256 is ", found.substr(0, 12),
         "..., the manifest says ", expected.substr(0, 12), "...; the file is damaged");
  }
  return bytes;
}

/// What data.tokenizer of a manifest of format 2 names.
std::shared_ptr<const Tokenizer> read_tokenizer_file(const fs::path& checkpoint,
                                                     const Json& files) {
  const std::string name = (checkpoint / kTokenizerFile).string();
  const std::string bytes = verified_file(checkpoint, kTokenizerFile, files, kMaxTokenizer);
  return tokenizer_from_json(parse_json(bytes, name, ErrorKind::data,
                                        {.bytes = kMaxTokenizer, .depth = 4, .comments = false}),
                             name);
}

/// A whole number, where a JSON library would take fractions and truth values as well.
int64_t whole_number(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (!value.is_number_integer())
    fail(ErrorKind::data, key, ": expected a whole number, found ", value.dump());
  return value.get<int64_t>();
}

Manifest manifest_from_json(const Json& json, const fs::path& checkpoint) {
  Manifest m;
  const int64_t format = json.contains("format") ? whole_number(json, "format") : 0;
  if (format < 1 || format > kFormat) {
    fail(ErrorKind::data, "format ", format, ", this genai ", GENAI_VERSION, " reads formats 1 to ",
         kFormat, format > kFormat ? "; it was made by a newer genai" : "");
  }
  m.step = whole_number(json, "step");
  m.steps = whole_number(json, "steps");
  m.preset = json.at("preset");
  m.config = json.at("config");
  for (const auto& [section, settings] : m.config.get_ref<const Json::object_t&>())
    settings.get_ref<const Json::object_t&>();
  m.config = with_current_names(std::move(m.config));
  for (const char* section : {"model", "data", "training"}) m.config.at(section);
  m.config.at("model").at("family").get_ref<const std::string&>();
  m.files = json.at("files");
  for (const auto& [name, entry] : m.files.items())
    entry.at("sha256").get_ref<const std::string&>();
  m.files.at(kModelFile);
  const Json& data = json.at("data");
  const bool in_file = data.value("tokenizer", Json()) == kTokenizerFile;
  m.data = data_info_from_json(data, in_file ? read_tokenizer_file(checkpoint, m.files) : nullptr);
  m.numerics = numerics_from_json(json.at("numerics"));
  m.objective = json.at("objective");
  m.validation = json.at("validation");
  m.best_step = whole_number(json, "best_step");
  m.best_value = json.at("best_value");
  m.kept_sha256 = json.at("kept_sha256");
  m.folder = json.value("folder", "");
  m.parts = json.value("parts", Json::object());
  for (const auto& [name, part] : m.parts.get_ref<const Json::object_t&>())
    part.at("sha256").get_ref<const std::string&>();
  if (m.step < 0 || m.steps < 0 || m.best_step < -1) {
    fail(ErrorKind::data, "steps below 0; it is damaged or was not written by genai");
  }
  return m;
}

}  // namespace

void write_checkpoint(const fs::path& target, Manifest& manifest, const Tensors& weights,
                      const Tensors* training) {
  const fs::path folder = target.parent_path();
  const fs::path temporary =
      folder / concat(kTemporary, target.filename().string(), "-", ::getpid());
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  if (error) fail(ErrorKind::failure, temporary.string(), ": ", error.message());
  try {
    const std::string model_bytes = write_safetensors(weights);
    manifest.files = {{kModelFile, file_entry(model_bytes)}};
    write_new_file_synced(temporary / kModelFile, model_bytes);
    if (training) {
      const std::string training_bytes = write_safetensors(*training);
      manifest.files[kTrainingFile] = file_entry(training_bytes);
      write_new_file_synced(temporary / kTrainingFile, training_bytes);
    }
    if (manifest.data.tokenizer) {
      const std::string tokenizer =
          within(kMaxTokenizer, manifest.data.tokenizer->to_json().dump() + "\n",
                 "the vocabulary (a smaller one: data.vocabulary N)");
      manifest.files[kTokenizerFile] = file_entry(tokenizer);
      write_new_file_synced(temporary / kTokenizerFile, tokenizer);
    }
    write_new_file_synced(temporary / kManifestFile,
                          within(kMaxManifest, seal_json(manifest_json(manifest)), "the manifest"));
    sync_folder(temporary);
    if (fs::exists(target)) remove_checkpoint(target);
    fs::rename(temporary, target);
    sync_folder(folder);
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
}

void save_checkpoint(const fs::path& run, Manifest& manifest, const Tensors& weights,
                     const Tensors& training, size_t keep) {
  try {
    write_checkpoint(run / "checkpoints" / step_name(manifest.step), manifest, weights, &training);
  } catch (const std::exception& failure) {
    fail(ErrorKind::failure, "the checkpoint of step ", manifest.step,
         " could not be saved: ", failure.what(), "; earlier checkpoints are intact");
  }
  prune(run, manifest.step, manifest.best_step, keep);
}

std::vector<fs::path> list_checkpoints(const fs::path& run) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() >= 12 && name.rfind("step-", 0) == 0 &&
        name.find_first_not_of("0123456789", 5) == std::string::npos) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end(),
            [](const fs::path& a, const fs::path& b) { return step_of(a) < step_of(b); });
  return found;
}

fs::path find_checkpoint(const fs::path& run, const std::string& which) {
  const auto all = list_checkpoints(run);
  if (all.empty()) {
    fail(ErrorKind::data, run.string(), " has no whole checkpoint in checkpoints/");
  }
  if (which.empty()) return all.back();
  int64_t step = -1;
  if (which == "best") {
    step = read_manifest(all.back()).best_step;
  } else {
    const char* end = which.data() + which.size();
    const auto [rest, error] = std::from_chars(which.data(), end, step);
    if (error != std::errc() || rest != end) step = -1;
  }
  std::string steps;
  for (const fs::path& checkpoint : all) {
    if (step_of(checkpoint) == step) return checkpoint;
    steps += concat(steps.empty() ? "" : ", ", step_of(checkpoint));
  }
  fail(ErrorKind::usage, run.string(), " has no checkpoint '", which, "'; it has steps ", steps);
}

Manifest read_manifest(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kManifestFile;
  const Json json =
      open_sealed_json(read_file(path, kMaxManifest), path.string(), {.bytes = kMaxManifest});
  try {
    return manifest_from_json(json, checkpoint);
  } catch (const Error& error) {
    fail(ErrorKind::data, path.string(), ": ", error.what());
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, path.string(), ": not a manifest of ours: ", reason_of(error));
  }
}

Checkpoint load_checkpoint(const fs::path& folder, bool with_training) {
  Checkpoint checkpoint{
      .folder = folder, .manifest = read_manifest(folder), .weights = {}, .training = {}};
  const Json& files = checkpoint.manifest.files;
  checkpoint.weights =
      read_safetensors(verified_file(folder, kModelFile, files), (folder / kModelFile).string());
  if (with_training) {
    checkpoint.training = read_safetensors(verified_file(folder, kTrainingFile, files),
                                           (folder / kTrainingFile).string());
  }
  return checkpoint;
}

Checkpoint load_newest_checkpoint(const fs::path& run, std::string& warning) {
  auto all = list_checkpoints(run);
  if (all.empty()) find_checkpoint(run, "");  // throws
  std::string problems;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    try {
      Checkpoint checkpoint = load_checkpoint(*it, true);
      if (!problems.empty()) {
        warning = concat(problems, "\n  continuing from ", it->filename().string());
      }
      return checkpoint;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      problems += (problems.empty() ? "" : "\n") + std::string(error.what());
    }
  }
  fail(ErrorKind::data, "no checkpoint of ", run.string(), " can be used:\n", problems);
}

DataConfig data_config_of(const fs::path& run, const Manifest& manifest) {
  DataConfig config = data_config_from_json(manifest.config.at("data"));
  // Runs of version 0.1 do not tell; most are runs/NAME of that folder.
  const bool told = !manifest.folder.empty();
  const fs::path start = fs::weakly_canonical(run) / (told ? manifest.folder : "../..");
  std::error_code error;
  const auto find = [&](std::string& path, const std::string& usual) {
    const fs::path written = path.empty() ? usual : path;
    if (written.empty() || written.is_absolute()) return;
    if (!told && fs::exists(written, error)) return;
    if (fs::exists(start / written, error)) path = fs::proximate(start / written).string();
  };
  if (!find_known_set(config.source)) find(config.source, "");
  for (const char* setting : {"validation", "pair"}) {
    const Json* written = find_path(config.own, setting);
    if (!written || !written->is_string()) continue;
    std::string path = written->get<std::string>();
    find(path, "");
    config.own[setting] = path;
  }
  config.raw = !told;
  find(config.dir, config.dir.empty() ? data_folder("").string() : "");
  return config;
}

void remove_stale_saves(const fs::path& run) {
  std::vector<fs::path> stale;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kTemporary, 0) == 0 || name.rfind(kTrash, 0) == 0) stale.push_back(entry.path());
  }
  // What write_file leaves when it is killed: ".NAME.tmp-PID".
  for (const fs::path& folder : {run, run / "samples"}) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      if (name[0] == '.' && name.find(kTemporary) != std::string::npos) {
        stale.push_back(entry.path());
      }
    }
  }
  for (const fs::path& path : stale) fs::remove_all(path, error);
}

Tensors module_tensors(const torch::nn::Module& module) {
  Tensors tensors;
  for (const auto& item : module.named_parameters()) tensors[item.key()] = item.value().detach();
  for (const auto& item : module.named_buffers()) tensors[item.key()] = item.value().detach();
  return tensors;
}

void load_weights(torch::nn::Module& module, const Tensors& weights, const std::string& name) {
  const at::NoGradGuard no_grad;
  std::string problems;
  const auto problem = [&](const std::string& text) { problems += "\n  " + text; };
  Tensors own = module_tensors(module);
  for (const auto& [key, tensor] : weights) {
    if (!own.count(key)) problem("unexpected: " + key);
  }
  for (auto& [key, tensor] : own) {
    const auto it = weights.find(key);
    if (it == weights.end()) {
      problem("missing: " + key);
    } else if (it->second.sizes() != tensor.sizes()) {
      problem(
          concat("shape of ", key, ": expected ", tensor.sizes(), ", found ", it->second.sizes()));
    } else if (it->second.scalar_type() != tensor.scalar_type()) {
      problem(concat("type of ", key, ": expected ", at::toString(tensor.scalar_type()), ", found ",
                     at::toString(it->second.scalar_type())));
    }
  }
  if (!problems.empty()) {
    fail(ErrorKind::data, name, ": the weights do not fit the model:", problems);
  }
  for (auto& [key, tensor] : own) tensor.copy_(weights.at(key));
}

void load_initial_weights(torch::nn::Module& module, Tensors weights, const std::string& name) {
  if (has_frozen_parameters(module)) {
    for (const auto& item : module.named_parameters()) {
      if (item.value().requires_grad()) weights.emplace(item.key(), item.value().detach());
    }
  }
  load_weights(module, weights, name);
}

bool has_frozen_parameters(const torch::nn::Module& module) {
  const auto parameters = module.parameters();
  return std::any_of(parameters.begin(), parameters.end(),
                     [](const Tensor& parameter) { return !parameter.requires_grad(); });
}

std::string save_kept(const fs::path& run, const Split& items) {
  Tensors tensors{{"images", items.grids}};
  if (items.labels.defined()) tensors["labels"] = items.labels;
  if (items.pairs.defined()) tensors["pairs"] = items.pairs;
  if (items.captions.defined()) tensors["captions"] = items.captions;
  if (items.frames.defined()) tensors["past"] = items.past_frames();
  const std::string bytes = write_safetensors(tensors);
  write_file(run / "kept.safetensors", bytes);
  return sha256(bytes);
}

Split load_kept(const fs::path& run, const Manifest& manifest) {
  const fs::path path = run / "kept.safetensors";
  const std::string bytes = read_file(path, kMaxTensors);
  if (sha256(bytes) != manifest.kept_sha256) {
    fail(ErrorKind::data, path.string(), ": its SHA-256 does not match; the file is damaged");
  }
  const Tensors tensors = read_safetensors(bytes, path.string());
  const auto found = [&](const char* name) {
    const auto entry = tensors.find(name);
    return entry == tensors.end() ? Tensor() : entry->second;
  };
  Split kept{.grids = tensors.at("images"),
             .labels = found("labels"),
             .pairs = found("pairs"),
             .captions = found("captions")};
  if (const Tensor past = found("past"); past.defined()) {
    kept.frames = past.reshape({-1, kept.grids.size(1), past.size(2), past.size(3)});
    kept.past = past.size(1) / kept.grids.size(1);
    kept.before = at::arange(kept.size()) * kept.past;
  }
  return kept;
}

}  // namespace genai
