#include "genai/training/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "base/temp_folder.h"
#include "genai/base/files.h"
#include "genai/training/metrics_log.h"
#include "training/toy_family.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// Notes what it is told; asks for a stop or a checkpoint after given steps.
class Recorder : public TrainObserver {
 public:
  int64_t stop_at = -1;
  std::vector<int64_t> save_at;
  std::function<void()> on_validation;

  TrainStart start;
  std::vector<std::string> warnings;
  std::vector<Json> reports;

  void started(const TrainStart& s) override {
    start = s;
    step_ = s.first_step;
  }
  void progress(const StepReport& report) override { reports.push_back(report.values); }
  void validated(int64_t, const Json&, bool) override {
    if (on_validation) on_validation();
  }
  void warned(const std::string& text) override { warnings.push_back(text); }
  int stop_requested() override { return ++step_ == stop_at ? 15 : 0; }
  bool save_requested() override {
    return std::find(save_at.begin(), save_at.end(), step_) != save_at.end();
  }

 private:
  int64_t step_ = 0;
};

/// Settings of a run without interludes: checkpoints at its start and end alone.
Json toy_config(const Json& model, const Json& training) {  // {}: as it is
  Json config = {{"model", {{"family", "toy"}}}, {"data", {{"source", "toy"}}}};
  if (model.is_object()) config["model"].update(model);
  config["training"] = {{"steps", 4},
                        {"batch", 8},
                        {"learning_rate", 0.01},
                        {"seed", 5},
                        {"validate_every", 1000},
                        {"checkpoint_every", 1000},
                        {"sample_every", 1000},
                        {"device", "cpu"},
                        {"precision", "float32"},
                        {"threads", 1}};
  if (training.is_object()) config["training"].update(training);
  return config;
}

class Trainer : public testing::Test {
 protected:
  TrainRequest request(const fs::path& run, const Json& config) {
    fs::create_directories(run);
    return {.family = family_,
            .config = config,
            .data = &data_,
            .run = run,
            .preset = "",
            .resume = std::nullopt,
            .init = std::nullopt};
  }
  TrainResult start(const fs::path& run, const Json& config) {
    return train(request(run, config), recorder_);
  }
  TrainResult resume(const fs::path& run, const Json& config) {
    TrainRequest again = request(run, config);
    std::string warning;
    again.resume = load_newest_checkpoint(run, warning);
    EXPECT_EQ(warning, "");
    return train(again, recorder_);
  }
  static Checkpoint newest(const fs::path& run) {
    return load_checkpoint(find_checkpoint(run, ""), true);
  }
  static Checkpoint at_step(const fs::path& run, int64_t step) {
    return load_checkpoint(find_checkpoint(run, std::to_string(step)), true);
  }

  TempFolder folder_;
  Family family_ = toy_family();
  Dataset data_ = toy_dataset();
  Recorder recorder_;
};

/// Largest difference, relative to the largest number.
double difference(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  const Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  const double scale = std::max(1e-12, y.abs().max().item<double>());
  return (x - y).abs().max().item<double>() / scale;
}

void expect_near(const Tensors& found, const Tensors& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    const auto it = found.find(name);
    ASSERT_NE(it, found.end()) << name;
    EXPECT_LE(difference(it->second, tensor), tolerance) << name;
  }
}

/// Equal types, shapes and bits.
void expect_same(const Tensors& found, const Tensors& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    const auto it = found.find(name);
    ASSERT_NE(it, found.end()) << name;
    EXPECT_EQ(it->second.dtype(), tensor.dtype()) << name;
    EXPECT_TRUE(at::equal(it->second, tensor)) << name;
  }
}

void expect_same_checkpoint(const Checkpoint& found, const Checkpoint& expected) {
  EXPECT_EQ(found.manifest.step, expected.manifest.step);
  EXPECT_EQ(found.manifest.validation, expected.manifest.validation);
  EXPECT_EQ(found.manifest.best_step, expected.manifest.best_step);
  EXPECT_EQ(found.manifest.files, expected.manifest.files);  // SHA-256 of both
  expect_same(found.weights, expected.weights);
  expect_same(found.training, expected.training);
}

// ---- The same training, written out by hand with torch::optim.

struct Plain {
  Tensors weights, training;  // as the checkpoint's files
};

/// One optimizer of torch::optim for a set: matrices decay, the rest does not.
class PlainOptimizer {
 public:
  PlainOptimizer(ToyGan& model, const std::vector<std::string>& names, const TrainingConfig& config)
      : config_(config) {
    const auto named = model.named_parameters();
    std::vector<torch::optim::OptimizerParamGroup> groups;
    for (const bool matrices : {true, false}) {
      std::vector<Tensor> group;
      for (const std::string& name : names) {
        if ((named[name].dim() > 1) != matrices) continue;
        group.push_back(named[name]);
        names_.push_back(name);
        parameters_.push_back(named[name]);
      }
      auto options = std::make_unique<torch::optim::AdamWOptions>(config.learning_rate);
      options->betas({config.beta1, config.beta2})
          .eps(config.epsilon)
          .weight_decay(matrices ? config.weight_decay : 0);
      groups.emplace_back(group, std::move(options));
    }
    optimizer_ = std::make_unique<torch::optim::AdamW>(
        groups, torch::optim::AdamWOptions(config.learning_rate));
  }

  /// One update from the mean of the losses; none when a number is not finite.
  void update(const std::vector<std::function<Tensor()>>& losses) {
    std::vector<Tensor> gradients(parameters_.size());
    for (const auto& loss : losses) {
      const auto part = torch::autograd::grad({loss()}, parameters_, {}, false, false, true);
      for (size_t i = 0; i < part.size(); ++i) {
        if (!part[i].defined()) continue;
        const Tensor share = part[i] / static_cast<double>(losses.size());
        gradients[i] = gradients[i].defined() ? gradients[i] + share : share;
      }
    }
    double squares = 0;
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) gradients[i] = at::zeros_like(parameters_[i]);
      squares += gradients[i].square().sum().item<double>();
    }
    if (!std::isfinite(squares)) return;
    const double limit = config_.clip_norm > 0 ? config_.clip_norm : INFINITY;
    const double scale = std::min(1.0, limit / (std::sqrt(squares) + 1e-6));
    for (size_t i = 0; i < gradients.size(); ++i) {
      parameters_[i].mutable_grad() = gradients[i] * scale;
    }
    optimizer_->step();
  }

  void state(const std::string& set, Tensors& into) const {
    int64_t updates = 0;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto it = optimizer_->state().find(parameters_[i].unsafeGetTensorImpl());
      if (it == optimizer_->state().end()) continue;
      const auto& adam = static_cast<torch::optim::AdamWParamState&>(*it->second);
      into["m/" + names_[i]] = adam.exp_avg();
      into["v/" + names_[i]] = adam.exp_avg_sq();
      updates = adam.step();
    }
    into["updates/" + set] = at::scalar_tensor(static_cast<double>(updates));
  }

 private:
  const TrainingConfig& config_;
  std::vector<std::string> names_;
  std::vector<Tensor> parameters_;
  std::unique_ptr<torch::optim::AdamW> optimizer_;
};

Plain plain_loop(const Dataset& data, const Json& config) {
  Json settings = config.at("model");
  settings.erase("family");
  const auto toy = from_json<ToyConfig>(toy_fields(), settings, "model");
  const auto training =
      from_json<TrainingConfig>(training_fields(), config.at("training"), "training");
  torch::manual_seed(static_cast<uint64_t>(training.seed));
  ToyGan model(toy);
  const std::vector<std::string> critic_names{"conv.weight", "conv.bias", "score.weight",
                                              "score.bias"};
  const std::vector<std::string> generator_names{"gain", "hidden.weight", "hidden.bias",
                                                 "pixels.weight", "pixels.bias"};
  PlainOptimizer critic(model, critic_names, training);
  PlainOptimizer generator(model, generator_names, training);
  const Batcher batcher(data, static_cast<uint64_t>(training.seed), training.batch,
                        training.accumulate, ToyGan::kCriticRepeat, at::kCPU);
  const auto parts = static_cast<size_t>(training.accumulate);
  std::vector<Tensor> carry(parts, at::zeros({}, model.level.options())), fakes(parts);
  const auto noise = [&](const char* purpose, const Batch& batch) {
    return Draw(static_cast<uint64_t>(training.seed), purpose, batch.sample_ids)
        .normal("noise", {ToyGan::kNoise});
  };
  const auto each_part = [&](const std::function<Tensor(size_t)>& loss) {
    std::vector<std::function<Tensor()>> losses;
    for (size_t i = 0; i < parts; ++i) losses.push_back([=] { return loss(i); });
    return losses;
  };
  Tensors average;
  for (const std::string& name : generator_names) {
    average[name] = model.named_parameters()[name].detach().clone();
  }

  for (int64_t step = 0; step < training.steps; ++step) {
    const Tensor r1_weight =
        at::full({}, ToyGan::r1_weight({.step = step, .steps = training.steps}));
    const auto bad = [&](int64_t from, int64_t to) { return step >= from && step < to; };
    for (int64_t repeat = 0; repeat < 2; ++repeat) {
      critic.update(each_part([&](size_t i) {
        const Batch batch = batcher.at(step, repeat, static_cast<int64_t>(i));
        fakes[i] = model.make(noise("train/critic", batch));
        const Tensor loss = model.critic_loss(batch.input, fakes[i], r1_weight, carry[i]);
        return bad(toy.critic_nan_from, toy.critic_nan_to) ? loss * std::nan("") : loss;
      }));
    }
    if (!bad(toy.generator_nan_from, toy.generator_nan_to)) {
      generator.update(each_part([&](size_t i) { return model.generator_loss(fakes[i]); }));
    }
    if (step % 3 == 0) {
      generator.update(each_part([&](size_t i) {
        const Batch batch = batcher.at(step, 0, static_cast<int64_t>(i));
        return model.smooth_loss(noise("train/smooth", batch));
      }));
    }
    const double seen = static_cast<double>((step + 1) * training.batch);
    const double half_life = std::min(training.ema_half_life, 0.05 * seen);
    const double decay = std::pow(0.5, static_cast<double>(training.batch) / half_life);
    for (const std::string& name : generator_names) {
      average[name] = decay * average[name] + (1 - decay) * model.named_parameters()[name].detach();
    }
  }

  Plain result;
  for (const auto& item : model.named_parameters()) {
    result.weights[item.key()] = item.value().detach();
  }
  result.weights["level"] = model.level;
  critic.state("critic", result.training);
  generator.state("generator", result.training);
  if (training.ema_half_life > 0) {
    for (const std::string& name : generator_names) {
      result.training["raw/" + name] = std::exchange(result.weights[name], average[name]);
    }
  }
  result.training["state/path_mean"] = model.path_mean;
  for (size_t i = 0; i < parts; ++i) {
    result.training[concat("carry/", i, "/mean_score")] = carry[i];
  }
  return result;
}

struct LoopCase {
  const char* name;
  Json model, training;
  double tolerance;
};
void PrintTo(const LoopCase& c, std::ostream* out) {
  *out << c.name;
}

class TrainerLoop : public Trainer, public testing::WithParamInterface<LoopCase> {};

TEST_P(TrainerLoop, EqualsTheLoopWrittenByHand) {
  const LoopCase& c = GetParam();
  const Json config = toy_config(c.model, c.training);
  start(folder_ / "run", config);
  const Plain expected = plain_loop(data_, config);
  const Checkpoint found = newest(folder_ / "run");
  expect_near(found.weights, expected.weights, c.tolerance);
  expect_near(found.training, expected.training, c.tolerance);
}

// In float64 nothing but the trainer's own arithmetic can differ; the last one shows float32.
INSTANTIATE_TEST_SUITE_P(
    All, TrainerLoop,
    testing::Values(
        LoopCase{"Whole", {{"precise", true}}, {{"steps", 7}}, 1e-9},
        LoopCase{"Accumulated", {{"precise", true}}, {{"steps", 7}, {"accumulate", 2}}, 1e-9},
        LoopCase{"Decayed",
                 {{"precise", true}},
                 {{"steps", 5}, {"weight_decay", 0.3}, {"beta1", 0.5}, {"beta2", 0.9}},
                 1e-9},
        LoopCase{"Clipped",
                 {{"precise", true}},
                 {{"steps", 5}, {"clip_norm", 0.05}, {"epsilon", 0.01}, {"accumulate", 4}},
                 1e-9},
        LoopCase{"Averaged",
                 {{"precise", true}},
                 {{"steps", 9}, {"ema_half_life", 2.5}, {"weight_decay", 0.1}},
                 1e-9},
        LoopCase{"AverageStillRamping",
                 {{"precise", true}},
                 {{"steps", 5}, {"ema_half_life", 1e9}},
                 1e-9},
        LoopCase{"CriticSkipsTwoSteps",
                 {{"precise", true}, {"critic_nan_from", 2}, {"critic_nan_to", 4}},
                 {{"steps", 7}, {"weight_decay", 0.1}, {"clip_norm", 1}},
                 1e-9},
        LoopCase{"GeneratorSkipsOneStep",
                 {{"precise", true}, {"generator_nan_from", 3}, {"generator_nan_to", 4}},
                 {{"steps", 6}, {"ema_half_life", 2}, {"accumulate", 2}},
                 1e-9},
        LoopCase{"Float32",
                 Json::object(),
                 {{"steps", 7},
                  {"accumulate", 2},
                  {"weight_decay", 0.1},
                  {"ema_half_life", 8},
                  {"clip_norm", 1},
                  {"epsilon", 1e-3}},
                 2e-5}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(Trainer, LearningRateFollowsTheSchedule) {
  // Without momentum's history the first update is learning_rate * factor in each number, whatever
  // the gradient: its size tells the factor.
  for (const auto& [schedule, warmup, factor] :
       std::vector<std::tuple<std::string, int64_t, double>>{
           {"constant", 0, 1}, {"linear", 4, 0.25}, {"cosine", 0, 1}}) {
    const fs::path run = folder_ / schedule;
    recorder_.stop_at = 1;
    start(run, toy_config(
                   {{"stateful", false}},
                   {{"steps", 8}, {"schedule", schedule}, {"warmup", warmup}, {"epsilon", 1e-20}}));
    const Tensor before = at_step(run, 0).weights.at("pixels.bias");
    const Tensor after = at_step(run, 1).weights.at("pixels.bias");
    // Two updates at step 0: generator and smooth.
    EXPECT_LE((after - before).abs().max().item<double>(), 2 * 0.01 * factor * 1.001) << schedule;
    EXPECT_GE((after - before).abs().max().item<double>(), 0.01 * factor * 0.5) << schedule;
  }
}

TEST_F(Trainer, MicroBatchesAddUpToTheBatch) {
  const Json model = {{"stateful", false}};
  const auto weights = [&](int64_t accumulate) {
    const fs::path run = folder_ / concat("run-", accumulate);
    start(run, toy_config(model, {{"steps", 5}, {"accumulate", accumulate}, {"epsilon", 1e-3}}));
    return newest(run).weights;
  };
  const Tensors whole = weights(1);
  for (const int64_t accumulate : {2, 8}) expect_near(weights(accumulate), whole, 1e-5);
}

TEST_F(Trainer, OtherSeedsGiveOtherWeights) {
  start(folder_ / "5", toy_config({}, {{"steps", 1}}));
  start(folder_ / "6", toy_config({}, {{"steps", 1}, {"seed", 6}}));
  EXPECT_FALSE(at::equal(at_step(folder_ / "5", 0).weights.at("pixels.weight"),
                         at_step(folder_ / "6", 0).weights.at("pixels.weight")));
}

// ---- Resuming

struct ResumeCase {
  const char* name;
  const char* precision;
  Json training;
};
void PrintTo(const ResumeCase& c, std::ostream* out) {
  *out << c.name;
}

class TrainerResume : public Trainer, public testing::WithParamInterface<ResumeCase> {
 protected:
  Json config(int64_t steps, Json training = Json::object()) const {
    training.update(GetParam().training);
    training["steps"] = steps;
    training["precision"] = GetParam().precision;
    return toy_config({{"dropout", 0.3}}, training);
  }
};

TEST_P(TrainerResume, ContinuesBitForBit) {
  start(folder_ / "whole", config(8));
  start(folder_ / "halves", config(4));
  resume(folder_ / "halves", config(8));
  EXPECT_EQ(recorder_.start.first_step, 4);
  Checkpoint whole = newest(folder_ / "whole");
  const Checkpoint halves = newest(folder_ / "halves");
  // The run of halves validated at its first end too.
  whole.manifest.best_step = halves.manifest.best_step;
  expect_same_checkpoint(halves, whole);
}

TEST_P(TrainerResume, ContinuesBitForBitAfterAnInterruptionAnywhere) {
  // With a schedule that depends on the steps, and interludes that must leave no trace.
  const Json all = config(9, {{"schedule", "cosine"}, {"warmup", 3}});
  const Json interludes = config(9, {{"schedule", "cosine"},
                                     {"warmup", 3},
                                     {"validate_every", 3},
                                     {"sample_every", 2},
                                     {"checkpoint_every", 4},
                                     {"log_every", 1}});
  start(folder_ / "whole", all);
  const Checkpoint whole = newest(folder_ / "whole");
  for (const int64_t stop : {1, 2, 5, 8}) {
    const fs::path run = folder_ / concat("stop-", stop);
    recorder_.stop_at = stop;
    const TrainResult first = start(run, stop % 2 ? interludes : all);
    EXPECT_EQ(first.signal, 15);
    EXPECT_EQ(first.step, stop);
    EXPECT_EQ(first.steps, 9);
    recorder_.stop_at = -1;
    const TrainResult second = resume(run, stop == 5 ? all : interludes);
    EXPECT_EQ(second.signal, 0);
    EXPECT_EQ(second.step, 9);
    const Checkpoint found = newest(run);
    EXPECT_EQ(found.manifest.files, whole.manifest.files) << "stopped after " << stop;
    EXPECT_EQ(found.manifest.validation, whole.manifest.validation);
    expect_same(found.weights, whole.weights);
    expect_same(found.training, whole.training);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, TrainerResume,
    testing::Values(
        ResumeCase{"Float32", "float32", Json::object()},
        ResumeCase{
            "Float32AccumulatedAveraged",
            "float32",
            {{"accumulate", 2}, {"ema_half_life", 8}, {"clip_norm", 0.5}, {"weight_decay", 0.1}}},
        ResumeCase{
            "Bfloat16AccumulatedAveraged", "bfloat16", {{"accumulate", 2}, {"ema_half_life", 8}}},
        ResumeCase{
            "Float32ChannelsLast", "float32", {{"layout", "channels-last"}, {"ema_half_life", 8}}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(Trainer, ExtraCheckpointsAndSamplesChangeNothing) {
  start(folder_ / "quiet", toy_config({{"dropout", 0.2}}, {{"steps", 6}, {"ema_half_life", 4}}));
  recorder_.save_at = {1, 2, 4};
  start(folder_ / "busy", toy_config({{"dropout", 0.2}}, {{"steps", 6},
                                                          {"ema_half_life", 4},
                                                          {"validate_every", 1},
                                                          {"sample_every", 1},
                                                          {"log_every", 1}}));
  EXPECT_EQ(newest(folder_ / "busy").manifest.files, newest(folder_ / "quiet").manifest.files);
}

/// Buffers belong to the weights that sample, whether or not a validation came before the save.
TEST_F(Trainer, CheckpointsOfAveragedRunsHoldTheBuffersOfTheirStep) {
  const Json plain = {{"steps", 3}}, averaged = {{"steps", 3}, {"ema_half_life", 4}};
  recorder_.save_at = {2};
  start(folder_ / "plain", toy_config({}, plain));
  start(folder_ / "averaged", toy_config({}, averaged));
  const Tensor level = at_step(folder_ / "plain", 2).weights.at("level");
  EXPECT_GT(level.item<double>(), 0);
  EXPECT_EQ(at_step(folder_ / "averaged", 2).weights.at("level").item<double>(),
            level.item<double>());
}

TEST_F(Trainer, ResumingAFinishedRunTrainsNothing) {
  const Json config = toy_config({}, {{"steps", 2}});
  start(folder_ / "run", config);
  const Checkpoint before = newest(folder_ / "run");
  const TrainResult result = resume(folder_ / "run", config);
  EXPECT_EQ(result.step, 2);
  EXPECT_EQ(result.signal, 0);
  expect_same_checkpoint(newest(folder_ / "run"), before);
}

TEST_F(Trainer, ResumingFromAnOlderCheckpointLeavesTheLaterOnes) {
  const Json config = toy_config({}, {{"steps", 8}, {"checkpoint_every", 2}});
  start(folder_ / "run", config);  // keeps 6 and 8, and the best
  TrainRequest again = request(folder_ / "run", config);
  again.resume = at_step(folder_ / "run", 6);
  recorder_.stop_at = 7;
  train(again, recorder_);
  // What was trained last is what the next resume or sample takes up.
  EXPECT_EQ(newest(folder_ / "run").manifest.step, 7);
}

TEST_F(Trainer, StartsFromTheWeightsOfAnotherRun) {
  start(folder_ / "first", toy_config({}, {{"steps", 3}, {"ema_half_life", 4}}));
  const Checkpoint first = newest(folder_ / "first");
  TrainRequest again = request(folder_ / "second",
                               toy_config({}, {{"steps", 2}, {"ema_half_life", 4}, {"seed", 9}}));
  again.init = first;
  train(again, recorder_);
  EXPECT_EQ(recorder_.start.first_step, 0);
  const Checkpoint second = at_step(folder_ / "second", 0);
  for (const auto& [name, tensor] : first.weights) {
    EXPECT_TRUE(at::equal(second.weights.at(name), tensor)) << name;
  }
  // The optimizer starts anew, and the average at the weights.
  EXPECT_EQ(second.training.at("updates/generator").item<double>(), 0);
  EXPECT_EQ(second.training.at("m/gain").item<double>(), 0);
  EXPECT_TRUE(at::equal(second.training.at("raw/gain"), first.weights.at("gain")));
}

// ---- Sets

TEST_F(Trainer, PhasesChangeTheirOwnSetAlone) {
  // Every critic loss is NaN: its updates are skipped while the generator's gradients, which flow
  // through the critic, must not arrive there; then the other way round.
  const std::vector<std::string> critic{"conv.weight", "conv.bias", "score.weight", "score.bias"};
  const std::vector<std::string> generator{"gain", "hidden.weight", "hidden.bias", "pixels.weight",
                                           "pixels.bias"};
  const auto check = [&](const Json& model, const std::vector<std::string>& still,
                         const std::string& still_set, const std::vector<std::string>& moving) {
    const fs::path run = folder_ / still_set;
    start(run, toy_config(model, {{"steps", 2}, {"weight_decay", 0.1}}));
    const Checkpoint before = at_step(run, 0), after = at_step(run, 2);
    for (const std::string& name : still) {
      EXPECT_TRUE(at::equal(after.weights.at(name), before.weights.at(name))) << name;
      EXPECT_EQ(after.training.at("m/" + name).abs().max().item<double>(), 0) << name;
      EXPECT_EQ(after.training.at("v/" + name).abs().max().item<double>(), 0) << name;
    }
    EXPECT_EQ(after.training.at("updates/" + still_set).item<double>(), 0);
    for (const std::string& name : moving) {
      EXPECT_FALSE(at::equal(after.weights.at(name), before.weights.at(name))) << name;
    }
  };
  check({{"critic_nan_from", 0}, {"critic_nan_to", 9}}, critic, "critic", generator);
  // Step 0 has a smooth phase, which updates the generator; so look at one without.
  const fs::path run = folder_ / "generator";
  recorder_.save_at = {1};
  start(run, toy_config({{"generator_nan_from", 1}, {"generator_nan_to", 9}}, {{"steps", 2}}));
  const Checkpoint before = at_step(run, 1), after = at_step(run, 2);
  for (const std::string& name : generator) {
    EXPECT_TRUE(at::equal(after.weights.at(name), before.weights.at(name))) << name;
    EXPECT_TRUE(at::equal(after.training.at("m/" + name), before.training.at("m/" + name)));
  }
  for (const std::string& name : critic) {
    EXPECT_FALSE(at::equal(after.weights.at(name), before.weights.at(name))) << name;
  }
}

TEST_F(Trainer, ReportsEachPhaseAndTheNormsOfEachSet) {
  start(folder_ / "run", toy_config({}, {{"steps", 4}, {"log_every", 4}}));
  ASSERT_EQ(recorder_.reports.size(), 1u);
  for (const char* name : {"loss/critic", "loss/generator", "loss/smooth", "fooled",
                           "gradient_norm/critic", "gradient_norm/generator", "learning_rate"}) {
    ASSERT_TRUE(recorder_.reports[0].contains(name)) << name;
    EXPECT_TRUE(std::isfinite(recorder_.reports[0][name].get<double>())) << name;
  }
  EXPECT_EQ(recorder_.reports[0]["fooled"], recorder_.reports[0]["loss/generator"]);
  EXPECT_EQ(recorder_.reports[0]["learning_rate"], 0.01);
}

// ---- Numbers that are not finite

TEST_F(Trainer, WarnsOnceOfSkippedUpdatesAndGoesOn) {
  const TrainResult result =
      start(folder_ / "run", toy_config({{"generator_nan_from", 2}, {"generator_nan_to", 4}},
                                        {{"steps", 8}, {"log_every", 1}}));
  EXPECT_EQ(result.step, 8);
  ASSERT_EQ(recorder_.warnings.size(), 1u);
  EXPECT_NE(recorder_.warnings[0].find("step 3 "), std::string::npos) << recorder_.warnings[0];
  // 8 generator and 3 smooth phases (steps 0, 3, 6), less two.
  EXPECT_EQ(newest(folder_ / "run").training.at("updates/generator").item<double>(), 9);
  EXPECT_EQ(newest(folder_ / "run").training.at("updates/critic").item<double>(), 16);
}

TEST_F(Trainer, CountsSkippedStepsInARowOnly) {
  // Four bad steps of the critic, a good one, and four bad ones of the generator.
  const Json model = {{"critic_nan_from", 1},
                      {"critic_nan_to", 5},
                      {"generator_nan_from", 6},
                      {"generator_nan_to", 10}};
  EXPECT_EQ(start(folder_ / "run", toy_config(model, {{"steps", 12}})).step, 12);
  EXPECT_EQ(recorder_.warnings.size(), 2u);
}

TEST_F(Trainer, StopsWhenTheGradientStaysNotFinite) {
  static_assert(kMaxSkipped == 5);
  // However often checkpoints are written: a save looks at the flags too.
  for (const int64_t checkpoint_every : {1, 2, 3, 1000}) {
    const fs::path run = folder_ / concat("every-", checkpoint_every);
    const Json config = toy_config({{"critic_nan_from", 3}, {"critic_nan_to", 1000}},
                                   {{"steps", 40}, {"checkpoint_every", checkpoint_every}});
    recorder_.warnings.clear();
    expect_error(ErrorKind::diverged, "training diverged", [&] { start(run, config); });
    EXPECT_EQ(recorder_.warnings.size(), 1u);
    const auto kept = list_checkpoints(run);
    ASSERT_FALSE(kept.empty());
    for (const fs::path& checkpoint : kept) {
      const Checkpoint whole = load_checkpoint(checkpoint, true);
      EXPECT_LT(whole.manifest.step, 3 + kMaxSkipped);
      for (const auto& [name, tensor] : whole.weights) {
        EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
      }
    }
    EXPECT_GE(newest(run).manifest.step, checkpoint_every == 1000 ? 0 : 3 / checkpoint_every);
    // The message names a checkpoint that is there.
    try {
      resume(run, config);
      ADD_FAILURE() << "went on";
    } catch (const Error& error) {
      const std::string text = error.what(), words = "the checkpoint of step ";
      const size_t at = text.find(words);
      ASSERT_NE(at, std::string::npos) << text;
      EXPECT_EQ(std::stoll(text.substr(at + words.size())), newest(run).manifest.step) << text;
    }
  }
}

TEST_F(Trainer, StopsWhenAValidationIsNotFinite) {
  const Json config = toy_config({{"validation_nan_from", 2}},
                                 {{"steps", 9}, {"validate_every", 2}, {"checkpoint_every", 1}});
  // Validation 0 at step 0, 1 at step 2, 2 at step 4.
  expect_error(ErrorKind::diverged, "after step 4", [&] { start(folder_ / "run", config); });
  EXPECT_EQ(newest(folder_ / "run").manifest.step, 3);
}

TEST_F(Trainer, NeverSavesWeightsThatAreNotFinite) {
  // One finite gradient, but a step beyond float32.
  const Json config = toy_config(
      {}, {{"steps", 9}, {"learning_rate", 1e39}, {"log_every", 1}, {"checkpoint_every", 1}});
  expect_error(ErrorKind::diverged, "step 0 is kept", [&] { start(folder_ / "run", config); });
  EXPECT_EQ(newest(folder_ / "run").manifest.step, 0);
  EXPECT_EQ(list_checkpoints(folder_ / "run").size(), 1u);
}

TEST_F(Trainer, ValidatesASmallSetNoMoreOftenThanItsStepsAreWorth) {
  // An epoch of three steps; 0 asks for a validation each epoch.
  const Json config = toy_config({}, {{"steps", 120}, {"validate_every", 0}});
  int validations = 0;
  recorder_.on_validation = [&] { ++validations; };
  start(folder_ / "run", config);
  EXPECT_EQ(validations, 4);  // before the first step, after 50, 100 and 120
}

// ---- The run's folder

TEST_F(Trainer, WritesEachStepOfTheMetricsOnce) {
  const Json config = toy_config({}, {{"steps", 12}, {"log_every", 2}, {"validate_every", 3}});
  const fs::path run = folder_ / "run", file = run / "metrics.jsonl";
  recorder_.stop_at = 7;
  start(run, config);
  // Left by a process that was killed later: a whole line of a step to come, and half a line.
  const std::string before = slurp(file);
  put(file, before + "{\"step\":8,\"seconds\":1.0,\"train\":{\"loss\":1.0}}\n{\"step\":9,\"sec");
  recorder_.stop_at = -1;
  resume(run, config);
  const std::string text = slurp(file);
  EXPECT_EQ(text.substr(0, before.size()), before);
  EXPECT_EQ(text.back(), '\n');
  std::vector<std::string> found;
  std::istringstream lines(text);
  double seconds = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line);
    found.push_back(concat(json.at("step"), json.contains("train") ? " train" : " test"));
    EXPECT_GE(json.at("seconds").get<double>(), seconds);
    seconds = json.at("seconds");
  }
  EXPECT_EQ(found,
            (std::vector<std::string>{"0 test", "2 train", "3 test", "4 train", "6 train", "6 test",
                                      "8 train", "9 test", "10 train", "12 train", "12 test"}));
  EXPECT_EQ(read_metrics(run).lines.size(), found.size());
}

TEST_F(Trainer, KeepsTestItemsForReports) {
  start(folder_ / "run", toy_config({}, {{"steps", 1}}));
  const Split kept = load_kept(folder_ / "run", newest(folder_ / "run").manifest);
  EXPECT_TRUE(at::equal(kept.grids, data_.test.grids));
  EXPECT_TRUE(at::equal(kept.labels, data_.test.labels));
}

TEST_F(Trainer, RefusesARunThatIsBeingTrained) {
  const fs::path run = folder_ / "run";
  const Json config = toy_config({}, {{"steps", 2}});
  int tries = 0;
  recorder_.on_validation = [&] {
    if (tries++) return;
    const auto before = slurp(run / "metrics.jsonl");
    put(run / "checkpoints" / ".tmp-step-0000001-1" / "x", "");
    Recorder other;
    expect_error(ErrorKind::failure, std::to_string(::getpid()),
                 [&] { train(request(run, config), other); });
    EXPECT_EQ(other.start.run, "");
    EXPECT_EQ(slurp(run / "metrics.jsonl"), before);
  };
  EXPECT_EQ(start(run, config).step, 2);
  EXPECT_GT(tries, 0);
  // The lock ends with the training.
  EXPECT_EQ(resume(run, toy_config({}, {{"steps", 3}})).step, 3);
}

TEST_F(Trainer, RefusesWrongRequestsBeforeAnythingIsWritten) {
  const auto refuse = [&](ErrorKind kind, const char* part, const Json& model,
                          const Json& training) {
    TempFolder empty;
    expect_error(kind, part, [&] { start(empty.path(), toy_config(model, training)); });
    EXPECT_EQ(empty.file_count(), 0u) << part;
  };
  refuse(ErrorKind::usage, "training.batch: 25", {}, {{"batch", 25}});
  refuse(ErrorKind::usage, "training.accumulate: 3", {}, {{"accumulate", 3}});
  refuse(ErrorKind::usage, "training.accumulate: 16", {}, {{"accumulate", 16}});
  refuse(ErrorKind::usage, "training.budget", {}, {{"budget", "2 weeks"}, {"steps", 0}});
  refuse(ErrorKind::usage, "exclude each other", {}, {{"budget", "2s"}, {"steps", 4}});
  refuse(ErrorKind::usage, "learning_rate", {}, {{"learning_rate", -1}});
  refuse(ErrorKind::usage, "nonsense", {}, {{"nonsense", 1}});
  refuse(ErrorKind::usage, "dropout", {{"dropout", 1}}, {});
  refuse(ErrorKind::device, "cuda:99", {}, {{"device", "cuda:99"}});
}

TEST_F(Trainer, RefusesToResumeWithOtherData) {
  start(folder_ / "run", toy_config({}, {{"steps", 1}}));
  data_.info.fingerprint = "other";
  expect_error(ErrorKind::data, "fingerprint", [&] {
    resume(folder_ / "run", toy_config({}, {{"steps", 2}}));
  });
}

TEST_F(Trainer, RefusesACheckpointWithoutItsState) {
  const Json config = toy_config({}, {{"steps", 1}});
  start(folder_ / "run", config);
  for (const char* name : {"m/gain", "updates/critic", "state/path_mean"}) {
    TrainRequest again = request(folder_ / "run", config);
    again.resume = newest(folder_ / "run");
    again.resume->training.erase(name);
    expect_error(ErrorKind::data, name, [&] { train(again, recorder_); });
  }
}

TEST_F(Trainer, TrainsWithoutTestImages) {
  data_.test = {};
  const TrainResult result = start(folder_ / "run", toy_config({}, {{"steps", 2}}));
  EXPECT_EQ(result.step, 2);
  EXPECT_TRUE(result.validation.is_null());
  EXPECT_EQ(newest(folder_ / "run").manifest.best_step, -1);
}

TEST_F(Trainer, RemembersTheBestValidation) {
  const TrainResult result =
      start(folder_ / "run",
            toy_config({}, {{"steps", 9}, {"validate_every", 1}, {"checkpoint_every", 0}}));
  double best = INFINITY;
  int64_t best_step = -1;
  for (const Json& line : read_metrics(folder_ / "run").lines) {
    if (!line.contains("test")) continue;
    const double value = line["test"]["distance"];
    if (value < best) {
      best = value;
      best_step = line["step"];
    }
  }
  EXPECT_EQ(result.best_step, best_step);
  EXPECT_EQ(result.best_value, best);
  EXPECT_EQ(load_checkpoint(find_checkpoint(folder_ / "run", "best"), false).manifest.step,
            best_step);
}

TEST_F(Trainer, RemembersTheBestValidationAcrossAResume) {
  const Json config = toy_config({{"stateful", false}}, {{"steps", 6}, {"validate_every", 1}});
  const TrainResult whole = start(folder_ / "whole", config);
  ASSERT_LT(whole.best_step, 4);
  recorder_.stop_at = 4;
  start(folder_ / "run", config);
  recorder_.stop_at = -1;
  const TrainResult result = resume(folder_ / "run", config);
  EXPECT_EQ(result.best_step, whole.best_step);
  EXPECT_EQ(result.best_value, whole.best_value);
  EXPECT_EQ(newest(folder_ / "run").manifest.best_step, whole.best_step);
  EXPECT_EQ(newest(folder_ / "run").manifest.best_value, whole.best_value);
}

TEST_F(Trainer, ABudgetBecomesANumberOfStepsThatIsKept) {
  const Json config = toy_config({}, {{"steps", 0}, {"budget", "2s"}});
  const TrainResult result = start(folder_ / "run", config);
  EXPECT_GT(result.steps, 0);
  EXPECT_EQ(result.step, result.steps);
  EXPECT_EQ(newest(folder_ / "run").manifest.steps, result.steps);
  EXPECT_EQ(at_step(folder_ / "run", 0).manifest.steps, 0);
  const TrainResult again = resume(folder_ / "run", config);
  EXPECT_EQ(again.step, result.step);
  EXPECT_EQ(again.steps, result.steps);
}

}  // namespace
}  // namespace genai
