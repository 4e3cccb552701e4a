#include "genai/run/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <torch/torch.h>

#include <csignal>
#include <random>

#include "base/temp_folder.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/core/safetensors.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kFiles{"model.safetensors", "training.safetensors", "manifest.json"};

Manifest some_manifest(int64_t step) {
  Manifest m;
  m.step = step;
  m.steps = 100;
  m.preset = "vae";
  m.config = {{"model", {{"family", "vae"}, {"beta", 0.1}}},
              {"data", Json::object()},
              {"training", {{"seed", 3}}}};
  m.data = {.source = "digits",
            .channels = 3,
            .height = 5,
            .width = 7,
            .classes = {"cat", "d\"og", "\xC3\xA4"},
            .binarize = Binarize::fixed,
            .train_count = 60,
            .test_count = 10,
            .fingerprint = "f00d"};
  m.numerics = {.device = "cpu",
                .precision = Precision::bfloat16,
                .layout = Layout::channels_last,
                .threads = 2,
                .cpu = "AVX2",
                .libtorch = "2.13.0"};
  m.objective = "nelbo";
  m.validation = {{"nelbo", 101.25}, {"kl", 1.0 / 3}};
  m.best_step = 0;
  m.best_value = 0.1;
  m.kept_sha256 = "abc";
  return m;
}

Tensors some_weights(int64_t step = 0) {
  return {{"dense.weight", at::arange(6).view({2, 3}) + static_cast<double>(step) / 3},
          {"dense.bias", at::full({2}, static_cast<double>(step))},
          {"seen", at::scalar_tensor(step, at::kLong)}};
}

Tensors some_training(int64_t step = 0) {
  return {{"m/dense.weight", at::full({2, 3}, 0.5 + static_cast<double>(step))},
          {"carry/0/state", at::ones({3}, at::kBFloat16)}};
}

void save(const fs::path& run, int64_t step, int64_t best_step = 0) {
  Manifest manifest = some_manifest(step);
  manifest.best_step = best_step;
  save_checkpoint(run, manifest, some_weights(step), some_training(step));
}

std::vector<int64_t> steps_of(const fs::path& run) {
  std::vector<int64_t> steps;
  for (const fs::path& checkpoint : list_checkpoints(run)) {
    steps.push_back(read_manifest(checkpoint).step);
  }
  return steps;
}

/// Names in RUN/checkpoints, hidden ones too.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void expect_same(const Tensors& found, const Tensors& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(found.count(name)) << name;
    EXPECT_EQ(found.at(name).dtype(), tensor.dtype()) << name;
    EXPECT_TRUE(at::equal(found.at(name), tensor)) << name;
  }
}

void change_byte(const fs::path& path) {
  std::string bytes = slurp(path);
  bytes[bytes.size() / 2] ^= 1;
  put(path, bytes);
}

TEST(Checkpoint, LoadsWhatWasSaved) {
  TempFolder run;
  Manifest saved = some_manifest(42);
  save_checkpoint(run.path(), saved, some_weights(42), some_training(42));
  const Checkpoint found = load_checkpoint(run / "checkpoints/step-0000042", true);
  const Manifest& m = found.manifest;
  EXPECT_EQ(m.step, 42);
  EXPECT_EQ(m.steps, saved.steps);
  EXPECT_EQ(m.preset, saved.preset);
  EXPECT_EQ(m.config.dump(), saved.config.dump());  // the order of keys too
  EXPECT_EQ(to_json(m.data), to_json(saved.data));
  EXPECT_EQ(to_json(m.numerics), to_json(saved.numerics));
  EXPECT_EQ(m.objective, saved.objective);
  EXPECT_EQ(m.validation, saved.validation);
  EXPECT_EQ(m.best_step, saved.best_step);
  EXPECT_EQ(m.best_value, saved.best_value);
  EXPECT_EQ(m.kept_sha256, saved.kept_sha256);
  EXPECT_EQ(m.files, saved.files);
  EXPECT_EQ(m.weights_sha256(), sha256_file(found.folder / "model.safetensors"));
  expect_same(found.weights, some_weights(42));
  expect_same(found.training, some_training(42));
  EXPECT_TRUE(load_checkpoint(found.folder, false).training.empty());
  EXPECT_EQ(names_in(run / "checkpoints"), std::vector<std::string>{"step-0000042"});
  EXPECT_EQ(names_in(found.folder), (std::vector<std::string>{"manifest.json", "model.safetensors",
                                                              "training.safetensors"}));
}

TEST(Checkpoint, EqualContentGivesEqualBytes) {
  TempFolder a, b;
  save(a.path(), 1);
  save(b.path(), 1);
  for (const std::string& name : kFiles) {
    EXPECT_EQ(slurp(a / "checkpoints/step-0000001" / name),
              slurp(b / "checkpoints/step-0000001" / name));
  }
}

/// A checkpoint of a text whose vocabulary is longer than a manifest may be.
fs::path save_text(const fs::path& run) {
  std::string text;
  for (int i = 0; i < 60'000; ++i) {
    for (int rest = i, k = 0; k < 80; ++k, rest /= 26) text += static_cast<char>('a' + rest % 26);
    text += ' ';
  }
  Manifest manifest = some_manifest(3);
  manifest.data = {.modality = &text_modality(),
                   .source = "long",
                   .fingerprint = "f",
                   .tokenizer = make_tokenizer(TokenizerKind::words, text),
                   .context = 8};
  save_checkpoint(run, manifest, some_weights(), {});
  return find_checkpoint(run, "");
}

TEST(Checkpoint, AVocabularyIsInAFileOfItsOwn) {
  TempFolder folder;
  const fs::path saved = save_text(folder.path());
  EXPECT_GT(fs::file_size(saved / "tokenizer.json"), 4u << 20);
  EXPECT_LT(fs::file_size(saved / "manifest.json"), 10'000u);
  const Manifest manifest = read_manifest(saved);
  EXPECT_GT(manifest.data.vocabulary(), 60'000);
  EXPECT_EQ(manifest.files.at("tokenizer.json").at("bytes"),
            fs::file_size(saved / "tokenizer.json"));
  std::string bytes = slurp(saved / "tokenizer.json");
  bytes[bytes.size() / 2] ^= 1;
  put(saved / "tokenizer.json", bytes);
  expect_error(ErrorKind::data, "tokenizer.json: its SHA-256", [&] { read_manifest(saved); });
  fs::remove(saved / "tokenizer.json");
  expect_error(ErrorKind::data, "tokenizer.json", [&] { read_manifest(saved); });
}

TEST(Checkpoint, OfVersion01HasItsVocabularyInTheManifest) {
  TempFolder folder;
  Manifest manifest = some_manifest(3);
  manifest.data = {.modality = &text_modality(),
                   .source = "short",
                   .fingerprint = "f",
                   .tokenizer = make_tokenizer(TokenizerKind::characters, "abc"),
                   .context = 8};
  save_checkpoint(folder.path(), manifest, some_weights(), {});
  const fs::path saved = find_checkpoint(folder.path(), "");
  Json json = open_sealed_json(slurp(saved / "manifest.json"), "manifest");
  EXPECT_EQ(json["format"], 2);
  json["format"] = 1;
  json["data"]["tokenizer"] = manifest.data.tokenizer->to_json();
  json["data"].erase("modality");
  json["files"].erase("tokenizer.json");
  json.erase("folder");
  put(saved / "manifest.json", seal_json(json));
  fs::remove(saved / "tokenizer.json");
  const Checkpoint old = load_checkpoint(saved, true);
  EXPECT_EQ(old.manifest.data.modality, &text_modality());
  EXPECT_EQ(old.manifest.data.tokenizer->fingerprint(), manifest.data.tokenizer->fingerprint());
  EXPECT_TRUE(old.manifest.folder.empty());
}

TEST(DataConfigOf, FindsDataFromWhereTheRunWasStarted) {
  TempFolder folder;
  fs::create_directories(folder / "work/runs/1");
  put(folder / "work/t.txt", "text");
  Manifest manifest = some_manifest(0);
  manifest.config["data"] = {{"source", "t.txt"}, {"validation", "none.txt"}};
  const auto source = [&](const fs::path& run) { return data_config_of(run, manifest).source; };
  // Version 0.1 did not tell: most runs are in runs/ there.
  EXPECT_TRUE(fs::equivalent(source(folder / "work/runs/1"), folder / "work/t.txt"));
  EXPECT_TRUE(data_config_of(folder / "work/runs/1", manifest).raw);
  manifest.folder = "../..";
  EXPECT_TRUE(fs::equivalent(source(folder / "work/runs/1"), folder / "work/t.txt"));
  fs::rename(folder / "work", folder / "moved");
  EXPECT_TRUE(fs::equivalent(source(folder / "moved/runs/1"), folder / "moved/t.txt"));
  const DataConfig config = data_config_of(folder / "moved/runs/1", manifest);
  EXPECT_EQ(config.own.at("validation"), "none.txt");  // errors name it as it was written
  EXPECT_FALSE(config.raw);
  manifest.config["data"]["source"] = "mnist";
  EXPECT_EQ(source(folder / "moved/runs/1"), "mnist");
}

TEST(Checkpoint, SavingAStepAgainReplacesIt) {
  TempFolder run;
  save(run.path(), 3, 3);
  save(run.path(), 3, 0);
  EXPECT_EQ(steps_of(run.path()), std::vector<int64_t>{3});
  EXPECT_EQ(read_manifest(find_checkpoint(run.path(), "3")).best_step, 0);
}

TEST(Checkpoint, KeepsTheNewestTwoAndTheBest) {
  TempFolder run;
  save(run.path(), 0, 0);
  save(run.path(), 10, 10);
  EXPECT_EQ(steps_of(run.path()), (std::vector<int64_t>{0, 10}));
  save(run.path(), 20, 10);
  EXPECT_EQ(steps_of(run.path()), (std::vector<int64_t>{10, 20}));
  save(run.path(), 30, 10);
  save(run.path(), 40, 10);
  EXPECT_EQ(steps_of(run.path()), (std::vector<int64_t>{10, 30, 40}));
  save(run.path(), 50, 50);
  EXPECT_EQ(steps_of(run.path()), (std::vector<int64_t>{40, 50}));
  save(run.path(), 10'000'000, 50);  // eight digits
  EXPECT_EQ(steps_of(run.path()), (std::vector<int64_t>{50, 10'000'000}));
  EXPECT_EQ(names_in(run / "checkpoints"),
            (std::vector<std::string>{"step-0000050", "step-10000000"}));
}

TEST(Checkpoint, ARunResumedFromAnOlderOneLeavesTheLaterOnes) {
  TempFolder run;
  for (const int64_t step : {10, 20, 30}) save(run.path(), step, 10);
  save(run.path(), 21, 10);
  EXPECT_EQ(steps_of(run.path()), (std::vector<int64_t>{10, 20, 21}));
}

TEST(Checkpoint, IsFoundByStepBestOrAge) {
  TempFolder run;
  save(run.path(), 5, 5);
  save(run.path(), 15, 5);
  save(run.path(), 115, 5);
  const auto found = [&](const char* which) {
    return find_checkpoint(run.path(), which).filename().string();
  };
  EXPECT_EQ(found(""), "step-0000115");
  EXPECT_EQ(found("best"), "step-0000005");
  EXPECT_EQ(found("15"), "step-0000015");
  for (const char* which :
       {"16", "1", "-5", "15x", "last", " 15", "1e1", "99999999999999999999999"}) {
    expect_error(ErrorKind::usage, "5, 15, 115", [&] { find_checkpoint(run.path(), which); });
  }
}

TEST(Checkpoint, AWordIsNotStepZero) {
  TempFolder run;
  save(run.path(), 0);
  expect_error(ErrorKind::usage, "'newest'", [&] { find_checkpoint(run.path(), "newest"); });
}

TEST(Checkpoint, WithoutAnyThereIsAnError) {
  TempFolder run;
  std::string warning;
  EXPECT_TRUE(list_checkpoints(run.path()).empty());
  expect_error(ErrorKind::data, "no whole checkpoint", [&] { find_checkpoint(run.path(), ""); });
  expect_error(ErrorKind::data, "no whole checkpoint",
               [&] { load_newest_checkpoint(run.path(), warning); });
  expect_error(ErrorKind::data, "manifest.json", [&] { load_checkpoint(run / "none", true); });
}

TEST(Checkpoint, UnfinishedOnesAreNeitherListedNorKept) {
  TempFolder run;
  save(run.path(), 7);
  for (const char* name : {".tmp-step-0000009-123", ".trash-step-0000005"}) {
    fs::create_directories(run / "checkpoints" / name);
    put(run / "checkpoints" / name / "model.safetensors", "half");
  }
  fs::create_directories(run / "checkpoints/step-0000008-copy");
  EXPECT_EQ(steps_of(run.path()), std::vector<int64_t>{7});
  remove_stale_saves(run.path());
  EXPECT_EQ(names_in(run / "checkpoints"),
            (std::vector<std::string>{"step-0000007", "step-0000008-copy"}));
  TempFolder empty;
  EXPECT_NO_THROW(remove_stale_saves(empty.path()));
}

// ---- Damage

class DamagedCheckpoint : public testing::Test {
 protected:
  void SetUp() override {
    save(run_.path(), 1);
    checkpoint_ = find_checkpoint(run_.path(), "1");
    for (const std::string& name : kFiles) bytes_[name] = slurp(checkpoint_ / name);
  }
  void expect_detected(const std::string& name, std::string_view bytes, const std::string& how) {
    put(checkpoint_ / name, bytes);
    try {
      load_checkpoint(checkpoint_, true);
      ADD_FAILURE() << name << " loads " << how;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << name << " " << how << ": not an Error: " << error.what();
    }
    put(checkpoint_ / name, bytes_[name]);
  }

  TempFolder run_;
  fs::path checkpoint_;
  std::map<std::string, std::string> bytes_;
};

TEST_F(DamagedCheckpoint, EveryTruncationIsDetected) {
  for (const std::string& name : kFiles) {
    const std::string whole = bytes_[name];
    for (size_t size = 0; size < whole.size(); ++size) {
      expect_detected(name, whole.substr(0, size), concat("cut to ", size, " bytes"));
    }
    expect_detected(name, whole + " ", "with a byte more");
    expect_detected(name, whole + whole, "twice");
  }
  EXPECT_NO_THROW(load_checkpoint(checkpoint_, true));
}

TEST_F(DamagedCheckpoint, EveryFlippedBitIsDetected) {
  std::mt19937 random(7);
  for (const std::string& name : kFiles) {
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = bytes_[name];
      const size_t at = random() % bytes.size(), bit = random() % 8;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      expect_detected(name, bytes, concat("with bit ", bit, " of byte ", at, " flipped"));
    }
  }
}

TEST_F(DamagedCheckpoint, FilesOfAnotherCheckpointOrNoneAreDetected) {
  save(run_.path(), 2);
  const fs::path other = find_checkpoint(run_.path(), "2");
  for (const std::string name : {"model.safetensors", "training.safetensors"}) {
    expect_detected(name, slurp(other / name), "from another checkpoint");
  }
  for (const std::string& name : kFiles) {
    fs::remove(checkpoint_ / name);
    expect_error(ErrorKind::data, name, [&] { load_checkpoint(checkpoint_, true); });
    put(checkpoint_ / name, bytes_[name]);
  }
}

TEST_F(DamagedCheckpoint, ANewerFormatSaysSo) {
  Json content = open_sealed_json(bytes_["manifest.json"], "manifest");
  content["format"] = 4;
  put(checkpoint_ / "manifest.json", seal_json(content));
  expect_error(ErrorKind::data, "newer genai", [&] { read_manifest(checkpoint_); });
  content["format"] = 0;
  put(checkpoint_ / "manifest.json", seal_json(content));
  expect_error(ErrorKind::data, "format 0", [&] { read_manifest(checkpoint_); });
}

TEST_F(DamagedCheckpoint, AManifestThatIsSealedButNoneOfOurs) {
  const Json whole = open_sealed_json(bytes_["manifest.json"], "manifest");
  const auto refused = [&](const std::string& part, const Json& content) {
    put(checkpoint_ / "manifest.json", seal_json(content));
    expect_error(ErrorKind::data, part, [&] { read_manifest(checkpoint_); });
  };
  refused("format 0", "a text");
  refused("format 0", Json::array());
  const auto changed = [&](const char* at, const Json& value) {
    Json content = whole;
    content[Json::json_pointer(at)] = value;
    return content;
  };
  refused("format: expected a whole number, found 1.5", changed("/format", 1.5));
  refused("step: expected a whole number, found 1e+300", changed("/step", 1e300));
  refused("steps: expected a whole number, found true", changed("/steps", true));
  refused("steps below 0", changed("/step", -1));
  refused("not a manifest", changed("/data", 1));
  refused("not a manifest", changed("/config", nullptr));
  for (const char* section : {"model", "data", "training"}) {
    Json content = whole;
    content["config"].erase(section);
    refused("not a manifest", content);
  }
  refused("not a manifest", changed("/config/model", Json::array()));
  refused("not a manifest", changed("/config/model/family", 1));
  refused("not a manifest", changed("/files/model.safetensors", 1));
}

TEST_F(DamagedCheckpoint, TheNewestFallsBackWithAWarning) {
  save(run_.path(), 2);
  std::string warning;
  EXPECT_EQ(load_newest_checkpoint(run_.path(), warning).manifest.step, 2);
  EXPECT_EQ(warning, "");
  for (const std::string& name : kFiles) {
    const fs::path path = run_ / "checkpoints/step-0000002" / name;
    const std::string whole = slurp(path);
    change_byte(path);
    warning.clear();
    const Checkpoint found = load_newest_checkpoint(run_.path(), warning);
    EXPECT_EQ(found.manifest.step, 1);
    expect_same(found.training, some_training(1));
    EXPECT_NE(warning.find(path.string()), std::string::npos) << warning;
    EXPECT_NE(warning.find("step-0000001"), std::string::npos) << warning;
    // A checkpoint that was asked for is never exchanged.
    EXPECT_EQ(find_checkpoint(run_.path(), "").filename(), "step-0000002");
    expect_error(ErrorKind::data, name,
                 [&] { load_checkpoint(find_checkpoint(run_.path(), "2"), true); });
    put(path, whole);
  }
  change_byte(run_ / "checkpoints/step-0000001/model.safetensors");
  change_byte(run_ / "checkpoints/step-0000002/manifest.json");
  try {
    load_newest_checkpoint(run_.path(), warning);
    ADD_FAILURE() << "loaded";
  } catch (const Error& error) {  // names both
    EXPECT_EQ(error.kind(), ErrorKind::data);
    for (const char* part : {"step-0000001/model.safetensors", "step-0000002/manifest.json"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
}

TEST_F(DamagedCheckpoint, ANewestOneThatIsDamagedGoesWithTheNextSave) {
  save(run_.path(), 20);
  change_byte(run_ / "checkpoints/step-0000020/model.safetensors");
  save(run_.path(), 5);  // continued from 1
  EXPECT_NO_THROW(load_checkpoint(find_checkpoint(run_.path(), ""), true));
}

// ---- A full disk

/// No file may grow beyond `bytes` while this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(DamagedCheckpoint, AFailedSaveLeavesWhatWasThere) {
  save(run_.path(), 2);
  const auto before = names_in(run_ / "checkpoints");
  // Fails in the weights, in the training state (larger here), or in the manifest.
  const Tensors large{{"m/dense.weight", at::ones({500})}};
  const size_t weights = bytes_["model.safetensors"].size();
  const size_t manifest = bytes_["manifest.json"].size();
  struct Case {
    size_t limit;
    Tensors training;
    const char* file;
  };
  for (const Case& c : {Case{0, some_training(3), "model.safetensors"},
                        Case{weights / 2, some_training(3), "model.safetensors"},
                        Case{manifest + 100, large, "training.safetensors"},
                        Case{manifest / 2, some_training(3), "manifest.json"}}) {
    for (const int64_t step : {2, 3}) {  // one that replaces, one that is new
      Manifest m = some_manifest(step);
      try {
        const FileSizeLimit full(c.limit);
        save_checkpoint(run_.path(), m, some_weights(step), c.training);
        ADD_FAILURE() << "saved with limit " << c.limit;
      } catch (const Error& error) {
        const std::string text = error.what();
        EXPECT_EQ(error.kind(), ErrorKind::failure);
        EXPECT_NE(text.find("earlier checkpoints are intact"), std::string::npos) << text;
        EXPECT_NE(text.find(c.file), std::string::npos) << text;
      }
      EXPECT_EQ(names_in(run_ / "checkpoints"), before) << c.file;
    }
  }
  for (const int64_t step : {1, 2}) {
    const Checkpoint found =
        load_checkpoint(find_checkpoint(run_.path(), std::to_string(step)), true);
    expect_same(found.weights, some_weights(step));
    expect_same(found.training, some_training(step));
  }
  save(run_.path(), 3);  // with room again
  EXPECT_EQ(steps_of(run_.path()), (std::vector<int64_t>{2, 3}));
}

TEST(Checkpoint, WithoutAFolderTheErrorNamesTheStep) {
  TempFolder run;
  put(run / "checkpoints", "a file where the folder should be");
  Manifest m = some_manifest(8);
  expect_error(ErrorKind::failure, "step 8",
               [&] { save_checkpoint(run.path(), m, some_weights(), some_training()); });
  EXPECT_EQ(slurp(run / "checkpoints"), "a file where the folder should be");
}

// ---- Weights into modules

struct Net : torch::nn::Module {
  Net() {
    dense = register_module("dense", torch::nn::Linear(3, 2));
    seen = register_buffer("seen", at::zeros({}, at::kLong));
  }
  torch::nn::Linear dense{nullptr};
  Tensor seen;
};

TEST(LoadWeights, CopiesParametersAndBuffers) {
  Net net;
  const Tensor before = net.dense->weight;
  load_weights(net, some_weights(9), "file");
  expect_same(module_tensors(net), some_weights(9));
  EXPECT_TRUE(before.is_same(net.dense->weight));  // in place: other views see it
  EXPECT_TRUE(net.dense->weight.requires_grad());
  for (const auto& [name, tensor] : module_tensors(net)) EXPECT_FALSE(tensor.requires_grad());
}

TEST(LoadWeights, ListsEverythingThatDoesNotFit) {
  Net net;
  const Tensors before = module_tensors(net);
  Tensors wrong = some_weights();
  wrong.erase("dense.bias");
  wrong.erase("seen");
  wrong["dense.weight"] = at::zeros({3, 2});
  wrong["dense.scale"] = at::zeros({1});
  wrong["extra"] = at::zeros({1});
  try {
    load_weights(net, wrong, "step-1");
    ADD_FAILURE() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    for (const char* part :
         {"step-1", "missing: dense.bias", "missing: seen", "unexpected: dense.scale",
          "unexpected: extra", "dense.weight", "[2, 3]", "[3, 2]"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << error.what() << "\nlacks: " << part;
    }
  }
  expect_same(module_tensors(net), before);  // all or nothing
}

// ---- Kept items

class KeptItems : public testing::Test {
 protected:
  void SetUp() override { manifest_.kept_sha256 = save_kept(run_.path(), items_); }

  TempFolder run_;
  Manifest manifest_;
  Split items_{.grids = at::arange(2 * 12).to(at::kByte).view({2, 1, 3, 4}),
               .labels = at::tensor({4, 1}, at::kLong)};
};

TEST_F(KeptItems, LoadWhatWasSaved) {
  const Split found = load_kept(run_.path(), manifest_);
  EXPECT_TRUE(at::equal(found.grids, items_.grids));
  EXPECT_TRUE(at::equal(found.labels, items_.labels));
  EXPECT_EQ(found.grids.dtype(), at::kByte);
  manifest_.kept_sha256 = save_kept(run_.path(), {.grids = items_.grids, .labels = {}});
  EXPECT_FALSE(load_kept(run_.path(), manifest_).labels.defined());
}

TEST_F(KeptItems, DamageIsDetected) {
  const fs::path path = run_ / "kept.safetensors";
  const std::string whole = slurp(path);
  const auto expect_detected = [&](std::string_view bytes) {
    put(path, bytes);
    expect_error(ErrorKind::data, "kept.safetensors", [&] { load_kept(run_.path(), manifest_); });
  };
  for (size_t size = 0; size < whole.size(); ++size) expect_detected(whole.substr(0, size));
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    expect_detected(bytes);
  }
  fs::remove(path);
  expect_error(ErrorKind::data, "kept.safetensors", [&] { load_kept(run_.path(), manifest_); });
}

}  // namespace
}  // namespace genai
