// Every family, loss, sampler and verb on a second device: a GPU where there is one, else a backend
// of LibTorch's on the host's memory, which tells tensors that meet those of the CPU and counts
// what a GPU would make the host wait for.
#include "genai/core/device.h"

#include <gtest/gtest.h>
#include <torch/cuda.h>
#include <torch/torch.h>

#include "base/temp_folder.h"
#include "data/small_digits.h"
#include "data/small_sums.h"
#include "device/second_device.h"
#include "evaluation/quick.h"
#include "genai/base/settings.h"
#include "genai/evaluation/evaluate.h"
#include "genai/evaluation/language.h"
#include "genai/evaluation/outliers.h"
#include "genai/generation/edit.h"
#include "genai/generation/path.h"
#include "genai/generation/styles.h"
#include "genai/generation/text_samples.h"
#include "genai/models/registry.h"
#include "genai/nn/style_generator.h"
#include "genai/training/trainer.h"
#include "tensors.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const at::Device& device() {
  static const at::Device found =
      torch::cuda::is_available() ? at::Device(at::kCUDA, 0) : second_device::kDevice;
  return found;
}

std::string device_name() {
  return device().is_cuda() ? "cuda:0" : "hpu:0";
}

const Dataset& digits() {
  static const Dataset data = small_digits(256, 64);
  return data;
}

const Dataset& sums() {
  static const Dataset data = small_sums(256, 64);
  return data;
}

/// A family with settings that use parts of it that its tiny settings do not.
struct Case {
  std::string name, family;
  Json model = Json::object(), training = Json::object();
};

void PrintTo(const Case& of, std::ostream* out) {
  *out << of.name;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Family& family : families()) all.push_back({family.name, family.name});
  const Json style = {{"kind", "style"}, {"width", 8},   {"levels", 1}, {"patch", 4},
                      {"mixing", 0.5},   {"mapping", 1}, {"style", 8}};
  const Json small = {{"width", 8}, {"levels", 1}, {"patch", 4}};
  const Json dcgan = {{"kind", "dcgan"}, {"width", 8}, {"levels", 1}, {"norm", "batch"}};
  all.push_back({"vae_class",
                 "vae",
                 {{"condition", "class"},
                  {"pixels", "gaussian"},
                  {"encoder", {{"kind", "conv"}, {"width", 4}}},
                  {"decoder", {{"kind", "conv"}, {"width", 4}}}},
                 {{"layout", "channels-last"}, {"accumulate", 2}}});
  all.push_back({"gan_style",
                 "gan",
                 {{"condition", "class"},
                  {"generator", style},
                  {"discriminator", small},
                  {"loss", "relativistic"},
                  {"penalty", "r1-r2"},
                  {"penalty_every", 2},
                  {"augment", {{"color", 1}, {"translation", 0.125}, {"cutout", 0.5}}}},
                 {{"ema_half_life", 100}}});
  all.push_back({"gan_dcgan",
                 "gan",
                 {{"generator", dcgan},
                  {"discriminator", dcgan},
                  {"loss", "non-saturating"},
                  {"penalty", "none"}}});
  all.push_back({"gan_wasserstein",
                 "gan",
                 {{"loss", "wasserstein"}, {"penalty", "gradient"}, {"critic_steps", 3}}});
  all.push_back({"diffusion_vp",
                 "diffusion",
                 {{"process", {{"kind", "vp"}, {"steps", 100}}}, {"prediction", "v"}}});
  all.push_back({"diffusion_flow",
                 "diffusion",
                 {{"process", {{"kind", "flow"}, {"spread", 1}}}, {"prediction", "velocity"}}});
  all.push_back({"transformer_muon",
                 "transformer",
                 {{"positions", "rotary"},
                  {"norm", "rms"},
                  {"mlp", "swiglu"},
                  {"qk_norm", true},
                  {"bigrams", true}},
                 {{"optimizer", "muon"}, {"clip_norm", 1}, {"weight_decay", 0.1}, {"warmup", 2}}});
  all.push_back({"rnn_gru", "rnn", {{"cell", "gru"}}});
  return all;
}

/// LibTorch keeps a place for one device beside the CPU.
bool is_taken() {
  return !device().is_cuda() && at::detail::getCUDAHooks().hasCUDART();
}

class SecondDevice : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (is_taken()) GTEST_SKIP() << "this LibTorch has CUDA, and there is no GPU";
  }
  const Family& family() const { return find_family(GetParam().family); }
  const Dataset& data() const { return family().reads == ItemKind::sequence ? sums() : digits(); }
  Json config(const Json& training) const {
    Settings settings;
    settings.set("model.family", family().name, "test");
    settings.merge({{"model", family().tiny}}, "tiny");
    settings.merge({{"model", GetParam().model}}, "test");
    settings.merge({{"data", {{"source", data().info.source}}}}, "test");
    settings.merge({{"training",
                     {{"batch", 32},
                      {"precision", "float32"},
                      {"threads", 1},
                      {"learning_rate", 1e-3},
                      {"log_every", 1000},
                      {"validate_every", 1000}}}},
                   "test");
    settings.merge({{"training", GetParam().training}}, "test");
    settings.merge({{"training", training}}, "test");
    Json all = settings.resolve({{"model", model_fields(family())},
                                 {"data", data_fields()},
                                 {"training", training_fields()}});
    return all;
  }
  TrainResult run(const std::string& name, Json training, bool resume = false) {
    if (!training.contains("device")) training["device"] = device_name();
    fs::create_directories(folder_ / name);
    TrainRequest request{.family = family(),
                         .config = config(training),
                         .data = &data(),
                         .run = folder_ / name,
                         .preset = "",
                         .resume = std::nullopt,
                         .init = std::nullopt};
    if (resume) request.resume = load_checkpoint(find_checkpoint(request.run, ""), true);
    TrainObserver observer;
    return train(request, observer);
  }
  Checkpoint newest(const std::string& name) const {
    return load_checkpoint(find_checkpoint(folder_ / name, ""), true);
  }
  LoadedModel load(const std::string& name, at::Device where) const {
    return load_model({.folder = folder_ / name, .checkpoint = ""}, where);
  }
  void expect_same(const std::string& found, const std::string& expected) const {
    const Checkpoint a = newest(found), b = newest(expected);
    for (const auto& [name, tensor] : b.weights) {
      ASSERT_TRUE(at::equal(a.weights.at(name), tensor)) << found << " " << name;
    }
    for (const auto& [name, tensor] : b.training) {
      ASSERT_TRUE(at::equal(a.training.at(name), tensor)) << found << " " << name;
    }
  }
  /// An untrained model with weights that are all random, here and there.
  std::pair<LoadedModel, LoadedModel> twins() {
    run("run", {{"steps", 1}});
    return {load("run", at::kCPU), load("run", device())};
  }

  TempFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(All, SecondDevice, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

/// With a large epsilon an update is a smooth function of the gradient: what the orders of sums
/// change by rounding stays that small. Equal data and noise, so nothing else differs.
TEST_P(SecondDevice, TrainsAsTheCpu) {
  const Json settings = {{"steps", 6}, {"epsilon", 1.0}, {"learning_rate", 0.05}};
  Json here = settings;
  here["device"] = "cpu";
  // Some losses are steep: their rounding would show sooner.
  if (GetParam().name == "transformer_muon") here["learning_rate"] = 1e-4;
  if (GetParam().name == "vae_class") here["learning_rate"] = 5e-3;
  Json there = here;
  there["device"] = device_name();
  const TrainResult a = run("here", here), b = run("there", there);
  for (const auto& [name, value] : a.validation.items()) {
    EXPECT_NEAR(b.validation.at(name).get<double>(), value.get<double>(),
                2e-3 * std::abs(value.get<double>()) + 2e-3)
        << name;
  }
  const Checkpoint cpu = newest("here"), other = newest("there");
  for (const auto& [name, tensor] : cpu.weights) {
    const double scale = std::max(1e-2, largest(tensor.to(at::kDouble)));
    EXPECT_LE(distance(other.weights.at(name), tensor), 2e-3 * scale) << name;
  }
}

/// Enough steps for a GPU to record the step and repeat the recording.
TEST_P(SecondDevice, GoesOnBitForBit) {
  std::vector<std::string> precisions{"float32"};
  if (device().is_cuda()) precisions = {"float32", "tf32", "bfloat16"};
  for (const std::string& precision : precisions) {
    const bool gpu = device().is_cuda();
    const Json all = {{"steps", gpu ? 12 : 4}, {"precision", precision}},
               half = {{"steps", gpu ? 5 : 2}, {"precision", precision}};
    run("whole-" + precision, all);
    run("halves-" + precision, half);
    run("halves-" + precision, all, true);
    expect_same("halves-" + precision, "whole-" + precision);
    if (!gpu) continue;
    Json plain = all;
    plain["graph"] = false;
    run("plain-" + precision, plain);
    expect_same("plain-" + precision, "whole-" + precision);
  }
}

TEST_P(SecondDevice, AStepWaitsForNothing) {
  if (device().is_cuda()) GTEST_SKIP() << "a step that waits cannot be recorded there";
  const auto waits_of = [&](const std::string& name, int64_t steps) {
    auto& waits = second_device::waits();
    waits.count = 0;
    waits.names.clear();
    run(name, {{"steps", steps}});
    return waits.names;
  };
  const auto few = waits_of("few", 2), many = waits_of("many", 4);
  EXPECT_EQ(few, many) << "in the steps more";
}

TEST_P(SecondDevice, CheckpointsGoBothWays) {
  run("from-cpu", {{"steps", 2}, {"device", "cpu"}});
  EXPECT_EQ(run("from-cpu", {{"steps", 4}}, true).step, 4);
  run("to-cpu", {{"steps", 2}});
  EXPECT_EQ(run("to-cpu", {{"steps", 4}, {"device", "cpu"}}, true).step, 4);
}

TEST_P(SecondDevice, ModelsAnswerAsOnTheCpu) {
  const auto [here, there] = twins();
  const at::NoGradGuard no_grad;
  const auto agree = [](const Tensor& found, const Tensor& expected, const std::string& what) {
    ASSERT_EQ(found.device(), device()) << what;
    const Tensor a = found.to(at::kCPU);
    ASSERT_EQ(a.sizes(), expected.sizes()) << what;
    EXPECT_LE(distance(a, expected), 2e-3 * largest(expected.to(at::kDouble)) + 1e-4) << what;
  };
  const Batch cpu = items_batch(data().test, data().info, 0, 16, at::kCPU, here.model->inputs()),
              other = items_batch(data().test, data().info, 0, 16, device(), here.model->inputs());
  const auto draw = [&](at::Device where) { return Draw(0, "test", cpu.sample_ids, where); };
  Draw draw_here = draw(at::kCPU), draw_there = draw(device());
  const Tensors validation = here.model->validate(cpu, draw_here);
  for (const auto& [name, value] : there.model->validate(other, draw_there)) {
    agree(value, validation.at(name), name);
  }
  EXPECT_EQ(there.model->health(other).empty(), here.model->health(cpu).empty());
  auto* model = here.model.get();
  auto* twin = there.model.get();
  if (auto* a = dynamic_cast<Generator*>(model)) {
    auto* b = dynamic_cast<Generator*>(twin);
    agree(b->generate(draw(device()), other.conditions, Json::object()),
          a->generate(draw(at::kCPU), cpu.conditions, Json::object()), "generate");
  }
  if (auto* a = dynamic_cast<LatentSpace*>(model)) {
    auto* b = dynamic_cast<LatentSpace*>(twin);
    const Tensor z = a->encode(cpu.input, cpu.conditions);
    const Tensor z_there = b->encode(other.input, other.conditions);
    agree(z_there, z, "encode");
    agree(b->decode(z_there, other.conditions), a->decode(z, cpu.conditions), "decode");
  }
  if (auto* a = dynamic_cast<StyleSpace*>(model)) {
    auto* b = dynamic_cast<StyleSpace*>(twin);
    const Json half = {{"truncation", 0.5}};
    const Tensor styles = a->styles(draw(at::kCPU), cpu.conditions, half);
    const Tensor styles_there = b->styles(draw(device()), other.conditions, half);
    agree(styles_there, styles, "styles");
    const auto layers = [&](const Tensor& s) {
      return s.unsqueeze(1).expand({-1, a->style_layers(), -1});
    };
    agree(b->render(layers(styles_there), draw(device()), other.conditions),
          a->render(layers(styles), draw(at::kCPU), cpu.conditions), "render");
    agree(b->style_matrix(0), a->style_matrix(0), "style_matrix");
  }
  if (auto* a = dynamic_cast<Likelihood*>(model)) {
    auto* b = dynamic_cast<Likelihood*>(twin);
    agree(b->log_likelihood(other, draw(device()), 3), a->log_likelihood(cpu, draw(at::kCPU), 3),
          "log_likelihood");
  }
  if (auto* a = dynamic_cast<Classifier*>(model)) {
    auto* b = dynamic_cast<Classifier*>(twin);
    agree(b->classify(other.input).logits, a->classify(cpu.input).logits, "logits");
    agree(b->classify(other.input).features, a->classify(cpu.input).features, "features");
    agree(b->activations(other.input).back().values, a->activations(cpu.input).back().values,
          "activations");
  }
  if (auto* a = dynamic_cast<NextToken*>(model)) {
    agree(dynamic_cast<NextToken*>(twin)->next_logits(other.input), a->next_logits(cpu.input),
          "next_logits");
    const auto texts = [&](Model& m) {
      return generate_texts(m, {.count = 4, .prompt = "1"}, data().info)[3].tokens;
    };
    EXPECT_EQ(texts(*twin), texts(*model));
  }
}

TEST_P(SecondDevice, PicturesAreThoseOfTheCpu) {
  const auto [here, there] = twins();
  if (!dynamic_cast<Generator*>(here.model.get())) GTEST_SKIP() << "makes no images";
  const auto near = [](const Tensor& found, const Tensor& expected, const std::string& what) {
    ASSERT_TRUE(found.is_cpu()) << what;
    EXPECT_LE(distance(found, expected), 2) << what;
  };
  const auto pixels = [&](const LoadedModel& loaded, const Json& options) {
    return generate_items(loaded, {.first = 5, .count = 20, .options = options});
  };
  near(pixels(there, Json::object()), pixels(here, Json::object()), "sample");
  if (dynamic_cast<StyleSpace*>(here.model.get())) {
    const auto mix = [&](const LoadedModel& loaded) {
      return find_mix(loaded, resolve_request(loaded, MixRequest{.images = {.count = 2}}));
    };
    near(mix(there).cells, mix(here).cells, "mix");
    const auto directions = [&](const LoadedModel& loaded) {
      return find_directions(
                 loaded, resolve_request(
                             loaded, DirectionsRequest{.images = {.count = 1}, .directions = 2}))
          .pictures;
    };
    near(directions(there), directions(here), "directions");
  }
  if (!dynamic_cast<Denoiser*>(here.model.get())) return;
  std::vector<const char*> samplers{"heun", "dpm++2m-sde"};  // of every schedule
  if (GetParam().name == "diffusion") {
    samplers = {"ddpm-large", "ddim", "euler", "heun", "dpm++3m", "dpm++2m-sde", "unipc", "ipndm"};
  }
  for (const char* sampler : samplers) {
    const Json options = {{"sampler", sampler}, {"steps", 4}, {"levels", "karras"}};
    near(pixels(there, options), pixels(here, options), sampler);
  }
  const auto path = [&](const LoadedModel& loaded) {
    PathRequest request{.images = {.count = 2}};
    return find_path(loaded, request).back().clean;
  };
  near(path(there), path(here), "path");
  const Tensor picture = digits().test.grids.narrow(0, 0, 1);
  const Tensor mask = at::zeros({1, 28, 28}, at::kBool).slice(1, 0, 14).fill_(true);
  for (const Edit edit : {Edit::inpaint, Edit::upscale, Edit::vary, Edit::blend}) {
    const auto edited = [&](const LoadedModel& loaded) {
      const Tensor whole = at::zeros({28, 28}, at::kBool);
      whole.narrow(0, 0, 14).fill_(true);
      const Tensor given = edit == Edit::upscale
                               ? at::avg_pool2d(picture.to(at::kFloat), {2, 2}).to(at::kByte)
                               : picture;
      return edit_pixels(loaded, {.edit = edit}, 2, given,
                         edit == Edit::blend ? digits().test.grids.narrow(0, 1, 1) : Tensor(),
                         edit == Edit::inpaint ? whole : Tensor());
    };
    near(edited(there), edited(here), enum_name(kEditNames, edit));
  }
}

TEST_P(SecondDevice, IsMeasuredAsOnTheCpu) {
  auto [here, there] = twins();
  const EvaluationData sets{.own = data(), .whole = data()};
  const bool text = family().reads == ItemKind::sequence;
  const bool likelihood = dynamic_cast<Likelihood*>(here.model.get()) != nullptr;
  const bool classifier = dynamic_cast<Classifier*>(here.model.get()) != nullptr;
  const auto measured = [&](const LoadedModel& loaded) {
    TrainObserver observer;
    EvaluationRequest request{.samples = text ? 4 : 64};
    if (!text) request.draws = 2, request.images = 32;
    if (text || likelihood) request.parts.insert(MetricGroup::likelihood);
    if (classifier) request.parts.insert(MetricGroup::classification);
    if (request.parts.empty()) return Evaluation{};
    Evaluation found = evaluate_model(loaded, sets, request, observer);
    if (text) {
      measure_answers(loaded, data(), request, found);
    } else if (likelihood || classifier) {
      const ScoredSet set{.name = "digits", .images = data().test, .info = data().info};
      measure_scores(loaded, set, nullptr, 2, found);
    }
    return found;
  };
  const Evaluation a = measured(here), b = measured(there);
  ASSERT_EQ(a.metrics.size(), b.metrics.size());
  EXPECT_EQ(a.metrics.empty(), !(text || likelihood || classifier));
  for (size_t i = 0; i < a.metrics.size(); ++i) {
    EXPECT_NEAR(b.metrics[i].value, a.metrics[i].value, 1e-3 * std::abs(a.metrics[i].value) + 1e-3)
        << a.metrics[i].name;
  }
  if (text) {
    const std::vector<std::string> lines{"1+2=3", "12+30=42"};
    const auto c = score_lines(here, lines), d = score_lines(there, lines);
    for (size_t i = 0; i < lines.size(); ++i) EXPECT_NEAR(d[i].nats, c[i].nats, 1e-3) << lines[i];
  }
  if (classifier) {  // what the distances of images are measured by
    const Tensor pictures = data().test.grids.narrow(0, 0, 32);
    const auto c = Extractor(std::move(here), data()).judge(pictures),
               d = Extractor(std::move(there), data()).judge(pictures);
    expect_near(d.features, c.features, 1e-3);
    EXPECT_TRUE(at::equal(d.classes, c.classes));
  }
}

TEST(SecondDeviceDraws, AreTheSameToTheBit) {
  if (is_taken()) GTEST_SKIP() << "this LibTorch has CUDA, and there is no GPU";
  for (const uint64_t seed : {0ull, 7ull}) {
    const Draw here(seed, "test", ids(33, 5)), there(seed, "test", ids(33, 5), device());
    for (const int64_t first : {0, 3}) {
      const Tensor normal = there.normal("n", {7, 9}, first),
                   uniform = there.uniform("u", {5}, first);
      EXPECT_EQ(normal.device(), device());
      EXPECT_TRUE(at::equal(normal.to(at::kCPU), here.normal("n", {7, 9}, first)));
      EXPECT_TRUE(at::equal(uniform.to(at::kCPU), here.uniform("u", {5}, first)));
    }
  }
}

TEST(SecondDeviceEnlarging, IsThatOfTheCpuWithItsGradient) {
  if (is_taken()) GTEST_SKIP() << "this LibTorch has CUDA, and there is no GPU";
  for (const auto& [from, to] : {std::pair(7, 14), {4, 7}, {3, 8}, {1, 5}, {6, 6}}) {
    Tensor here = random("x", {2, 3, from, from + 1});
    Tensor there = here.to(device()).requires_grad_();
    here.requires_grad_();
    const Tensor slopes = random("slopes", {2, 3, to, 2 * to});
    const Tensor a = enlarge(here, to, 2 * to), b = enlarge(there, to, 2 * to);
    expect_near(b.detach().to(at::kCPU), a.detach(), 1e-5);
    a.backward(slopes);
    b.backward(slopes.to(device()));
    expect_near(there.grad().to(at::kCPU), here.grad(), 1e-4);
  }
}

/// What the tests above stand on: such a slip does not go through.
TEST(SecondDeviceItself, TellsTensorsThatMeetThoseOfTheCpu) {
  if (is_taken()) GTEST_SKIP() << "this LibTorch has CUDA, and there is no GPU";
  const Tensor there = at::ones({3}).to(device()), here = at::ones({3});
  EXPECT_THROW(there + here, c10::Error);
  EXPECT_THROW(at::cat({there, here}), c10::Error);
  EXPECT_THROW(there.clone().index_select(0, at::zeros({1}, at::kLong)), c10::Error);
  EXPECT_NO_THROW(there * at::full({}, 2.0));
  if (device().is_cuda()) return;
  auto& waits = second_device::waits();
  const int64_t before = waits.count;
  there.sum().item<float>();
  EXPECT_EQ(waits.count, before + 1);
  there.to(at::kCPU);
  EXPECT_EQ(waits.count, before + 2);
  here.to(device(), /*non_blocking=*/true);
  EXPECT_EQ(waits.count, before + 2);
  here.to(device());
  EXPECT_EQ(waits.count, before + 3);
}

}  // namespace
}  // namespace genai
