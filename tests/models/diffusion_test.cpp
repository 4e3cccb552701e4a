#include "genai/models/diffusion.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <numeric>

#include "base/temp_folder.h"
#include "data/small_digits.h"
#include "genai/core/numerics.h"
#include "genai/data/batcher.h"
#include "genai/models/registry.h"
#include "genai/sampling/bound.h"
#include "tensors.h"

namespace genai {
namespace {

const Json kPlain = Json::object();  // no sampling options

Tensor labels_of(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

// Preconditioning and weights.

constexpr Prediction kPredictions[] = {Prediction::epsilon, Prediction::x0, Prediction::v,
                                       Prediction::edm, Prediction::velocity};

/// Amounts of noise of each process, from hardly any to nothing else.
NoiseLevels levels_of(Process process) {
  std::vector<double> alpha, sigma;
  for (const double t : {1e-6, 1e-3, 0.1, 0.5, 0.75, 0.99, 0.9999}) {
    const double angle = t * std::acos(0.0), ratio = std::tan(angle);
    alpha.push_back(process == Process::vp ? std::cos(angle) : process == Process::edm ? 1 : 1 - t);
    sigma.push_back(process == Process::vp ? std::sin(angle) : process == Process::edm ? ratio : t);
  }
  return {.alpha = numbers(alpha), .sigma = numbers(sigma)};
}

constexpr Process kProcesses[] = {Process::vp, Process::edm, Process::flow};

TEST(Precondition, OfTheRightOutputIsTheImage) {
  const double x0 = 0.7, noise = -1.3;
  for (const Process process : kProcesses) {
    const NoiseLevels level = levels_of(process);
    const Tensor x = level.alpha * x0 + level.sigma * noise;
    for (const Prediction prediction : kPredictions) {
      const Preconditioning c = precondition(prediction, 0.5, level);
      const Tensor right = c.target_x0 * x0 + c.target_noise * noise;
      expect_near(c.skip * x + c.out * right, at::full_like(x, x0), 1e-9,
                  concat(static_cast<int>(process), " ", static_cast<int>(prediction)));
    }
  }
  const NoiseLevels only_noise{.alpha = numbers({0}),
                               .sigma = numbers({1})};  // where a flow begins
  for (const Prediction prediction : kPredictions) {
    if (prediction == Prediction::epsilon) continue;
    const Preconditioning c = precondition(prediction, 0.5, only_noise);
    expect_near(c.skip * noise + c.out * (c.target_x0 * x0 + c.target_noise * noise), numbers({x0}),
                1e-12, concat(static_cast<int>(prediction)));
  }
}

TEST(Precondition, AsksForWhatThePapersAskFor) {
  const auto targets = [](Prediction prediction, const NoiseLevels& level, const Tensor& x0,
                          const Tensor& noise) {
    const Preconditioning c = precondition(prediction, 0.5, level);
    expect_near(c.target_x0, x0, 1e-6);
    expect_near(c.target_noise, noise, 1e-6);
  };
  for (const Process process : kProcesses) {
    const NoiseLevels level = levels_of(process);
    const Tensor zero = at::zeros_like(level.alpha), one = at::ones_like(zero);
    targets(Prediction::epsilon, level, zero, one);
    targets(Prediction::x0, level, one, zero);
    targets(Prediction::velocity, level, -one, one);
  }
  const NoiseLevels vp = levels_of(Process::vp);
  targets(Prediction::v, vp, -vp.sigma, vp.alpha);
  for (const double data_std : {0.5, 1.1}) {  // Karras et al. 2022, table 1
    const NoiseLevels edm = levels_of(Process::edm);
    const Tensor variance = edm.sigma.square() + data_std * data_std;
    const Preconditioning c = precondition(Prediction::edm, data_std, edm);
    expect_near(c.skip, data_std * data_std / variance, 1e-12);
    expect_near(c.out, edm.sigma * data_std / variance.sqrt(), 1e-12);
    expect_near(c.in, 1 / variance.sqrt(), 1e-12);
  }
}

TEST(Precondition, KeepsInputsAtUnitVarianceAndForEdmOutputsToo) {
  for (const Process process : kProcesses) {
    const NoiseLevels level = levels_of(process);
    for (const Prediction prediction : kPredictions) {
      const double std = prediction == Prediction::edm ? 0.3 : 1;  // of the images
      const Preconditioning c = precondition(prediction, 0.3, level);
      const Tensor variance = level.alpha.square() * (std * std) + level.sigma.square();
      const Tensor one = at::ones_like(variance);
      expect_near(c.in.square() * variance, one, 1e-9);
      if (prediction != Prediction::edm) continue;
      expect_near(c.target_x0.square() * (std * std) + c.target_noise.square(), one, 1e-6);
    }
  }
}

TEST(Precondition, IsTheSamePredictionWhateverItIsWrittenAs) {
  const double guess = -0.2, observed = 0.6;  // of x0; x
  for (const Process process : kProcesses) {
    const NoiseLevels level = levels_of(process);
    const Tensor x = at::full_like(level.alpha, observed);
    const Tensor noise = (x - level.alpha * guess) / level.sigma;
    const Tensor size = (level.alpha.square() + level.sigma.square()).sqrt();
    const auto predicted = [&](Prediction prediction, const Tensor& output) {
      const Preconditioning c = precondition(prediction, 0.5, level);
      expect_near(c.skip * x + c.out * output, at::full_like(x, guess), 1e-6);
    };
    predicted(Prediction::epsilon, noise);
    predicted(Prediction::x0, at::full_like(x, guess));
    predicted(Prediction::velocity, noise - guess);
    predicted(Prediction::v, (level.alpha * noise - level.sigma * guess) / size);
  }
}

TEST(LossWeights, AreThoseOfThePapers) {
  const NoiseLevels vp = levels_of(Process::vp);
  const Tensor snr = (vp.alpha / vp.sigma).square();
  const auto check = [](LossWeight weight, Prediction prediction, const NoiseLevels& level,
                        const Tensor& expected, double snr_limit = 5, double data_std = 0.5) {
    DiffusionConfig config{.prediction = prediction, .loss_weight = weight, .snr_limit = snr_limit};
    config.process.data_std = data_std;
    const Tensor found = loss_weights(config, level);
    expect_near(found / expected, at::ones_like(expected), 1e-9,
                concat(static_cast<int>(weight), " ", static_cast<int>(prediction)));
  };
  for (const Process process : kProcesses) {
    const NoiseLevels level = levels_of(process);
    for (const Prediction prediction : kPredictions) {
      check(LossWeight::uniform, prediction, level, at::ones_like(snr));
    }
  }
  // Hang et al. 2023, section 3.4.
  for (const double limit : {5.0, 1.5}) {
    const Tensor least = snr.clamp_max(limit);
    check(LossWeight::min_snr, Prediction::x0, vp, least, limit);
    check(LossWeight::min_snr, Prediction::epsilon, vp, least / snr, limit);
    check(LossWeight::min_snr, Prediction::v, vp, least / (snr + 1), limit);
  }
  // Karras et al. 2022, table 1.
  const NoiseLevels edm = levels_of(Process::edm);
  for (const double std : {0.5, 1.1}) {
    check(LossWeight::edm, Prediction::edm, edm, at::ones_like(edm.sigma), 5, std);
    check(LossWeight::edm, Prediction::x0, edm,
          (edm.sigma.square() + std * std) / (edm.sigma * std).square(), 5, std);
  }
}

// Models.

DataInfo info_of(int64_t channels, int64_t height, int64_t width, size_t classes = 0) {
  DataInfo info;
  info.source = "made";
  info.channels = channels;
  info.height = height;
  info.width = width;
  for (size_t i = 0; i < classes; ++i) info.classes.push_back(concat("class ", i));
  return info;
}

const DataInfo kSmall = info_of(1, 8, 8);
const Json kNetwork = {{"width", 8}, {"multipliers", {1, 2}}, {"blocks", 1}, {"head_width", 8}};
const Json kEdm = {{"kind", "edm"}, {"center", -1.2}, {"spread", 1.2}};

/// A family's Model together with its capabilities.
struct Diffusion {
  Diffusion(Json settings, const DataInfo& data) : info(data) {
    if (!settings.contains("network")) settings["network"] = kNetwork;
    torch::manual_seed(1);
    model = make_model(find_family("diffusion"), settings, info);
    generator = dynamic_cast<Generator*>(model.get());
    denoiser = dynamic_cast<Denoiser*>(model.get());
    likelihood = dynamic_cast<Likelihood*>(model.get());
  }

  Tensor parameter(const std::string& name) const {
    return model->module().named_parameters()[name];
  }
  /// The output of the network becomes a constant.
  void make_constant(double value) const {
    const at::NoGradGuard no_grad;
    parameter("network.out.weight").zero_();
    parameter("network.out.bias").fill_(value);
  }
  /// A fresh network says nearly nothing; this one speaks up.
  void make_loud() const {
    const at::NoGradGuard no_grad;
    for (const auto& item : model->module().named_parameters()) {
      const std::string& name = item.key();
      for (const char* quiet : {"network.out.weight", "convolution2.weight"}) {
        if (name.find(quiet) != std::string::npos) item.value().mul_(100);
      }
    }
  }
  Tensors draws(const Batch& batch) const {
    Draw draw(1, "test", batch.sample_ids);
    return model->phases().at(0).draw(batch, draw);
  }
  Tensor loss(const Batch& batch, const Tensors& draws) const {
    Tensors carry, shared;
    const Tensors scheduled;
    LossInput in{batch, draws, scheduled, carry, shared};
    return model->phases().at(0).loss(in).value;
  }
  double loss_value(const Batch& batch, const Tensors& draws) const {
    const at::NoGradGuard no_grad;
    return loss(batch, draws).item<double>();
  }
  Tensor generate(int64_t count, const Json& options = kPlain, const Tensor& labels = {}) const {
    const at::NoGradGuard no_grad;
    return generator->generate(Draw(0, "generate", ids(count)), told_class(labels), options);
  }
  Tensor log_likelihood(const Batch& batch, int64_t samples) const {
    const at::NoGradGuard no_grad;
    return likelihood->log_likelihood(batch, Draw(0, "evaluate", batch.sample_ids), samples);
  }

  DataInfo info;
  std::unique_ptr<Model> model;
  Generator* generator;
  Denoiser* denoiser;
  Likelihood* likelihood;
};

/// Images of 8-bit noise.
Batch noise_batch(int64_t count, const DataInfo& info, int64_t first = 0) {
  Batch batch;
  batch.sample_ids = ids(count, first);
  batch.input = Draw(3, "images", batch.sample_ids)
                    .uniform("x", {info.channels, info.height, info.width})
                    .mul(255)
                    .round()
                    .div(255);
  batch.weight = static_cast<double>(count);
  if (!info.classes.empty())
    batch.conditions = told_class(at::arange(count, at::kLong) % info.class_count());
  return batch;
}

/// Images in -1..1, not all of them.
Tensor some_x(int64_t count, double sigma) {
  return sigma * Draw(4, "x", ids(count)).normal("x", {1, 8, 8});
}

// Losses.

TEST(DiffusionLoss, IsTheErrorOfTheOutput) {
  // Of a network that says 0.25 to everything the error is known.
  const auto check = [](const Json& process, const char* prediction, auto&& target,
                        bool min_snr = false) {
    const Diffusion d({{"process", process},
                       {"prediction", prediction},
                       {"loss_weight", min_snr ? "min-snr" : "uniform"}},
                      kSmall);
    d.make_constant(0.25);
    const Batch batch = noise_batch(6, d.info);
    Draw draw(1, "test", batch.sample_ids);
    const Tensors draws = d.draws(batch);
    const Tensor x0 = batch.input * 2 - 1, noise = draws.at("noise");
    EXPECT_EQ(noise.sizes(), x0.sizes());
    const NoiseLevels level =
        NoiseProcess(from_json<ProcessConfig>(process_fields(), process, "process"))
            .training_levels(draws.at("level"));
    const auto rows = [](const Tensor& v) { return v.view({-1, 1, 1, 1}); };
    const Tensor right = target(x0, noise, rows(level.alpha), rows(level.sigma));
    Tensor expected = (right - 0.25).square().flatten(1).mean(1);
    const Tensor snr = (level.alpha / level.sigma).square();
    if (min_snr) expected = expected * snr.clamp_max(5) / snr;  // of epsilon
    const at::NoGradGuard no_grad;
    expect_near(d.model->validate(batch, draw).at(d.model->objective()), expected, 1e-5);
    EXPECT_NEAR(d.loss_value(batch, draws), expected.mean().item<double>(), 1e-5);
  };
  const Json vp = {{"schedule", "linear"}, {"steps", 1000}}, flow = {{"kind", "flow"}};
  const auto noise_alone = [](const Tensor&, const Tensor& noise, const Tensor&, const Tensor&) {
    return noise;
  };
  check(vp, "epsilon", noise_alone);
  check(vp, "epsilon", noise_alone, true);
  check(kEdm, "epsilon", noise_alone);
  check(vp, "x0", [](const Tensor& x0, const Tensor&, const Tensor&, const Tensor&) { return x0; });
  check(vp, "v",
        [](const Tensor& x0, const Tensor& noise, const Tensor& alpha, const Tensor& sigma) {
          return alpha * noise - sigma * x0;
        });
  check(flow, "velocity", [](const Tensor& x0, const Tensor& noise, const Tensor&, const Tensor&) {
    return noise - x0;
  });
}

TEST(DiffusionLoss, IsANumberForAllSettings) {
  const std::vector<Json> processes = {{{"schedule", "linear"}, {"steps", 1000}},
                                       {{"schedule", "linear"}},
                                       {{"schedule", "cosine"}},
                                       {{"schedule", "sigmoid"}},
                                       kEdm,
                                       {{"kind", "flow"}},
                                       {{"kind", "flow"}, {"spread", 1}}};
  for (const Json& process : processes) {
    for (const char* prediction : {"epsilon", "x0", "v", "edm", "velocity"}) {
      const bool flow = process.value("kind", "vp") == "flow";
      if (flow && std::string(prediction) == "epsilon") continue;
      for (const char* weight : {"uniform", "min-snr", "edm"}) {
        const Json settings = {
            {"process", process}, {"prediction", prediction}, {"loss_weight", weight}};
        const Diffusion d(settings, kSmall);
        const Batch batch = noise_batch(4, d.info);  // with item 0: the least that can be drawn
        const Tensor loss = d.loss(batch, d.draws(batch));
        EXPECT_TRUE(std::isfinite(loss.item<double>())) << settings;
        loss.backward();
        for (const auto& item : d.model->module().named_parameters()) {
          EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>())
              << settings << " " << item.key();
        }
      }
    }
  }
}

TEST(DiffusionLoss, SeesAllLevelsInAnyRunOfImages) {
  const Diffusion d(kPlain, kSmall);
  for (const int64_t first : {0, 1, 12'345, 987'654'321}) {
    const Tensor level = d.draws(noise_batch(100, d.info, first)).at("level");
    EXPECT_GE(level.min().item<double>(), 0);
    EXPECT_LT(level.max().item<double>(), 1);
    const Tensor counts = at::histc(level, 10, 0, 1);
    EXPECT_GE(counts.min().item<double>(), 8) << counts;  // by chance 7 to 13 or worse
    EXPECT_LE(counts.max().item<double>(), 12) << counts;
  }
}

TEST(DiffusionLoss, HasTheSameGradientsInMixedPrecision) {
  for (const bool self_conditioning : {false, true}) {
    const auto gradients = [&](Precision precision) {
      const Diffusion d({{"self_conditioning", self_conditioning}}, kSmall);
      d.make_loud();
      const Batch batch = noise_batch(16, d.info);
      const Tensors draws = d.draws(batch);
      Tensor loss;
      {
        const MixedPrecision mixed(precision, at::kCPU);
        loss = d.loss(batch, draws);
      }
      loss.backward();
      Tensors found;
      for (const auto& item : d.model->module().named_parameters()) {
        found[item.key()] = item.value().grad();
      }
      return found;
    };
    const Tensors exact = gradients(Precision::float32);
    double largest = 0;
    for (const auto& [name, found] : gradients(Precision::bfloat16)) {
      ASSERT_TRUE(found.defined()) << name << ", self-conditioning: " << self_conditioning;
      const double error = ((found - exact.at(name)).norm() / exact.at(name).norm()).item<double>();
      largest = std::max(largest, error);
      EXPECT_LT(error, 0.2) << name << ", self-conditioning: " << self_conditioning;
    }
    EXPECT_GT(largest, 1e-3);  // it was less precise
  }
}

TEST(DiffusionPrediction, DependsOnTheLevel) {
  // The output of the network in v = (alpha x - x0) / sigma, where its input is x at all levels.
  const Diffusion d({{"prediction", "v"}}, kSmall);
  d.make_loud();
  const at::NoGradGuard no_grad;
  const Tensor x = some_x(3, 1);
  const auto output = [&](double angle) {
    const NoiseLevel level{std::cos(angle), std::sin(angle)};
    const Tensor x0 = d.denoiser->sampling_plan({}, {{"clip", false}}).denoise(x, level);
    return (level.alpha * x - x0) / level.sigma;
  };
  EXPECT_FALSE(output(0.3).allclose(output(0.4), 0, 1e-2));
  EXPECT_FALSE(output(1.5).allclose(output(1.55), 0, 1e-2));
}

// Classes.

TEST(DiffusionClasses, AreForgottenAsOftenAsAsked) {
  const DataInfo info = info_of(1, 8, 8, 3);
  const auto make = [&](double dropout) {
    Diffusion d({{"condition", "class"}, {"condition_dropout", dropout}}, info);
    d.make_loud();
    return d;
  };
  const Batch batch = noise_batch(300, info);
  Batch none = batch;
  none.conditions[kClass] = at::full_like(batch.conditions.at(kClass), 3);
  const Diffusion never = make(0), third = make(0.3), always = make(1);
  const Tensors draws = never.draws(batch);
  const double known = never.loss_value(batch, draws), unknown = never.loss_value(none, draws);
  ASSERT_GT(std::abs(known - unknown), 1e-3);
  EXPECT_NEAR(always.loss_value(batch, draws), unknown, 1e-6);
  EXPECT_NEAR(third.loss_value(none, draws), unknown, 1e-6);
  // Image by image the class was either known or not.
  const at::NoGradGuard no_grad;
  const auto each = [&](const Diffusion& d, const Batch& b) {
    Draw draw(1, "test", b.sample_ids);
    return d.model->validate(b, draw).at("loss");
  };
  const Tensor mixed = each(third, batch);
  const Tensor as_known = each(never, batch), as_none = each(never, none);
  const Tensor forgotten = (mixed - as_none).abs().lt((mixed - as_known).abs());
  expect_near(mixed, at::where(forgotten, as_none, as_known), 1e-5);
  EXPECT_NEAR(forgotten.to(at::kDouble).mean().item<double>(), 0.3, 4 * std::sqrt(0.21 / 300));
}

TEST(DiffusionClasses, ChangeThePrediction) {
  const Diffusion d({{"condition", "class"}}, info_of(1, 8, 8, 3));
  d.make_loud();
  EXPECT_EQ(classes_of(d.model->conditions()), 3);
  EXPECT_TRUE(Diffusion(kPlain, info_of(1, 8, 8, 3)).model->conditions().empty());
  const at::NoGradGuard no_grad;
  const Tensor x = some_x(1, 1).expand({4, 1, 8, 8});
  const NoiseLevels level{.alpha = at::ones({4}), .sigma = at::ones({4})};
  const Tensor found = d.denoiser->predict(x, level, told_class(labels_of({0, 1, 2, 3})));
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < i; ++j) EXPECT_FALSE(found[i].allclose(found[j], 0, 1e-3)) << i << j;
  }
  // Without labels: as with none.
  expect_near(d.denoiser->predict(x, level, {})[0], found[3], 1e-5);
}

TEST(DiffusionGuidance, IsLinearFromNoClassOverTheClassAndOn) {
  const Diffusion d({{"condition", "class"}}, info_of(1, 8, 8, 3));
  d.make_loud();
  const at::NoGradGuard no_grad;
  const NoiseLevel at{1, 2};
  const Tensor x = some_x(3, 2), labels = labels_of({0, 1, 2});
  const auto guided = [&](double guidance) {
    return d.denoiser->sampling_plan(told_class(labels), {{"guidance", guidance}, {"clip", false}})
        .denoise(x, at);
  };
  const Tensor with = guided(0), without = guided(-1);
  const NoiseLevels level{.alpha = at::full({3}, 1.0f), .sigma = at::full({3}, 2.0f)};
  const auto held = [](const Tensor& t) { return t.clamp(-1, 1); };
  expect_near(held(with), held(d.denoiser->predict(x, level, told_class(labels))), 1e-5);
  expect_near(held(without), held(d.denoiser->predict(x, level, {})), 1e-5);
  ASSERT_FALSE(with.allclose(without, 0, 1e-2));
  const Json unknown = {{"guidance", -1}, {"clip", false}};  // needs no labels
  EXPECT_TRUE(at::equal(d.denoiser->sampling_plan({}, unknown).denoise(x, at), without));
  for (const double w : {-0.5, 0.5, 2.0, 7.0}) {
    expect_near(guided(w), with + w * (with - without), 1e-4 * (1 + w), concat(w));
  }
}

TEST(DiffusionGuidance, NeedsAModelThatKnowsClassesAndTheirAbsence) {
  const DataInfo info = info_of(1, 8, 8, 3);
  const auto ask = [&](const Json& settings, const Tensor& labels, double guidance) {
    const Diffusion d(settings, info);
    d.denoiser->sampling_plan(told_class(labels), {{"guidance", guidance}});
  };
  for (const double guidance : {-1.0, 2.0}) {
    expect_error(ErrorKind::usage, "sampling.guidance: this model was trained without a condition",
                 [&] { ask(kPlain, {}, guidance); });
    expect_error(ErrorKind::usage, "condition_dropout 0", [&] {
      ask({{"condition", "class"}, {"condition_dropout", 0}}, labels_of({1}), guidance);
    });
  }
  expect_error(ErrorKind::usage, "sampling.guidance: towards which class", [&] {
    ask({{"condition", "class"}}, {}, 2);
  });
  // A class it was never without.
  expect_error(ErrorKind::usage, "expected request.class", [&] {
    ask({{"condition", "class"}, {"condition_dropout", 0}}, {}, 0);
  });
  EXPECT_NO_THROW(ask({{"condition", "class"}}, {}, -1));
  EXPECT_NO_THROW(ask({{"condition", "class"}}, labels_of({1}), 2));
  EXPECT_NO_THROW(ask({{"condition", "class"}, {"condition_dropout", 0}}, labels_of({1}), 0));
}

// Self-conditioning.

TEST(DiffusionSelfConditioning, ShowsTheNetworkItsEarlierPrediction) {
  const at::NoGradGuard no_grad;
  Diffusion d({{"self_conditioning", true}}, kSmall);
  d.make_loud();
  const NoiseLevel first{1, 3}, second{1, 1};
  const Tensor x1 = some_x(2, 3), x2 = some_x(2, 1);
  const auto plans = [&] { return d.denoiser->sampling_plan({}, kPlain); };
  const auto fresh = plans();
  const Tensor alone = fresh.denoise(x2, second);
  const auto run = plans();
  run.denoise(x1, first);
  const Tensor after = run.denoise(x2, second);
  EXPECT_FALSE(after.allclose(alone, 0, 1e-3));
  EXPECT_TRUE(at::equal(plans().denoise(x2, second), alone));  // each plan starts anew
  // A network that does not look at it says the same.
  d.parameter("network.in.weight").narrow(1, 1, 1).zero_();
  const auto blind = plans();
  blind.denoise(x1, first);
  const Tensor after_blind = blind.denoise(x2, second);
  EXPECT_TRUE(at::equal(after_blind, plans().denoise(x2, second)));
  expect_near(after_blind, alone, 1e-5);  // alone, the earlier prediction is zeros
}

TEST(DiffusionSelfConditioning, IsTrainedOnHalfOfTheImages) {
  Diffusion d({{"self_conditioning", true}}, kSmall);
  d.make_loud();
  const Batch batch = noise_batch(400, d.info);
  Tensors draws = d.draws(batch);
  const auto each = [&] {
    const at::NoGradGuard no_grad;
    Draw draw(1, "test", batch.sample_ids);
    return d.model->validate(batch, draw).at("loss");
  };
  const Tensor seeing = each();
  {
    const at::NoGradGuard no_grad;
    d.parameter("network.in.weight").narrow(1, 1, 1).zero_();
  }
  const double same = (each() - seeing).abs().lt(1e-6).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(same, 0.5, 4 * 0.5 / std::sqrt(400));
}

TEST(DiffusionSelfConditioning, TakesTheEarlierPredictionAsGiven) {  // no gradient goes through it
  const Diffusion d({{"self_conditioning", true}, {"prediction", "x0"}}, kSmall);
  d.make_loud();
  const Batch batch = noise_batch(8, d.info);
  Tensors draws = d.draws(batch);
  const Tensor weight = d.parameter("network.out.weight"), before = weight.detach().clone();
  const auto ratio = [&](double self) {  // of the gradient to the slope of the loss
    draws["self"] = at::full({8}, self);
    const Tensor gradient = torch::autograd::grad({d.loss(batch, draws)}, {weight})[0];
    const auto loss_at = [&](double factor) {
      const at::NoGradGuard no_grad;
      weight.copy_(before * factor);
      const double value = d.loss_value(batch, draws);
      weight.copy_(before);
      return value;
    };
    return (gradient * before).sum().item<double>() / ((loss_at(1.01) - loss_at(0.99)) / 0.02);
  };
  EXPECT_NEAR(ratio(0.9), 1, 0.005);          // not shown
  EXPECT_GT(std::abs(ratio(0.1) - 1), 0.02);  // shown: it changes with the weights too
}

// Sampling.

TEST(DiffusionSampling, GivesImagesBySamplersOfEveryKind) {
  for (const Json& process : {Json{{"schedule", "linear"}, {"steps", 100}}, Json{{"kind", "vp"}},
                              kEdm, Json{{"kind", "flow"}}}) {
    const Diffusion d({{"process", process}}, kSmall);
    const bool flow = process.value("kind", "vp") == "flow";
    for (const auto& [solver, name] : kSolverNames) {
      for (const auto& [spacing, levels] : kSpacingNames) {
        const Json options = {{"sampler", name}, {"levels", levels}, {"steps", 4}};
        const bool begins_with_signal = spacing == Spacing::karras || spacing == Spacing::log_snr;
        if (flow && needs_signal({.solver = solver}) && !begins_with_signal) {
          expect_error(ErrorKind::usage, "euler", [&] { d.generate(3, options); });
          continue;
        }
        const Tensor images = d.generate(3, options);
        EXPECT_EQ(images.sizes(), (at::IntArrayRef{3, 1, 8, 8}));
        // A step to no noise ends in the prediction, which is held to the range.
        EXPECT_GE(images.min().item<double>(), 0) << process << options;
        EXPECT_LE(images.max().item<double>(), 1) << process << options;
      }
    }
  }
}

TEST(DiffusionSampling, HoldsToTheRangeWhereAsked) {
  const Diffusion d({{"prediction", "x0"}}, kSmall);
  d.make_constant(3);
  expect_near(d.generate(2), at::ones({2, 1, 8, 8}), 1e-6);
  expect_near(d.generate(2, {{"clip", false}}), at::full({2, 1, 8, 8}, 2.0), 1e-6);
}

TEST(DiffusionSampling, OptionsChangeThePicture) {
  const Diffusion d({{"process", kEdm}, {"prediction", "edm"}}, kSmall);
  d.make_loud();
  EXPECT_TRUE(at::equal(d.generate(2), d.generate(2)));
  const std::pair<Json, Json> pairs[] = {
      {kPlain, {{"steps", 7}}},
      {kPlain, {{"levels", "log-snr"}}},
      {kPlain, {{"sampler", "heun"}}},
      {{{"sampler", "ddim"}}, {{"sampler", "ddim"}, {"eta", 0.5}}},
      {{{"sampler", "ddim"}, {"eta", 0.5}}, {{"sampler", "ddim"}, {"eta", 1}}},
      {{{"sampler", "euler"}}, {{"sampler", "euler"}, {"churn", 3}}}};
  for (const auto& [one, other] : pairs) {
    EXPECT_FALSE(d.generate(2, one).allclose(d.generate(2, other), 0, 1e-3)) << one << other;
  }
}

TEST(DiffusionSampling, RefusesOptionsThatDoNotFit) {
  const Diffusion ddpm({{"process", {{"schedule", "linear"}, {"steps", 100}}}}, kSmall);
  const Diffusion flow({{"process", {{"kind", "flow"}}}, {"prediction", "velocity"}}, kSmall);
  const auto refuses = [](const Diffusion& d, const Json& options, std::string_view part) {
    expect_error(ErrorKind::usage, part, [&] { d.generate(1, options); });
  };
  refuses(ddpm, {{"steps", 0}}, "sampling.steps: expected at least 1, found 0");
  refuses(ddpm, {{"steps", 101}}, "knows 100 noise levels");
  refuses(ddpm, {{"eta", 0.5}}, "sampling.eta: only ddim has it, found dpm++2m");
  refuses(ddpm, {{"sampler", "heun"}, {"eta", 0.5}}, "sampling.eta: only ddim has it, found heun");
  refuses(ddpm, {{"churn", 1}}, "sampling.churn: only euler and heun have it, found dpm++2m");
  refuses(ddpm, {{"sampler", "ddim"}, {"churn", 1}}, "sampling.churn");
  for (const char* sampler : {"ddpm", "ddpm-large", "dpm++2m", "dpm++3m", "dpm++2m-sde", "unipc"}) {
    const Json unlike = {{"sampler", sampler}, {"levels", "uniform"}};
    for (const char* named : {sampler, "euler", "heun", "ipndm", "ddim", "karras"}) {
      refuses(flow, unlike, named);
    }
    EXPECT_NO_THROW(flow.generate(1, {{"sampler", sampler}, {"steps", 2}}));
    EXPECT_NO_THROW(ddpm.generate(1, {{"sampler", sampler}, {"steps", 2}}));
  }
  refuses(flow, {{"sampler", "ddim"}, {"eta", 0.5}, {"levels", "uniform"}}, "ddim with eta");
  refuses(flow, {{"sampler", "euler"}, {"churn", 1}, {"levels", "quadratic"}}, "euler with churn");
  for (const Json& wrong :
       {Json{{"sampler", "rk4"}}, Json{{"levels", "cubic"}}, Json{{"eta", 2}}, Json{{"churn", -1}},
        Json{{"guidance", -2}}, Json{{"clip", 1}}, Json{{"step", 3}}}) {
    refuses(ddpm, wrong, wrong.begin().key());
  }
}

TEST(DiffusionSettings, MustFitTheDataAndEachOther) {
  const auto refuses = [](const Json& settings, const DataInfo& info, std::string_view part) {
    expect_error(ErrorKind::usage, part, [&] { Diffusion(settings, info); });
  };
  const DataInfo plain = info_of(1, 8, 8);
  for (const Binarize binarize : {Binarize::dynamic, Binarize::fixed, Binarize::threshold}) {
    DataInfo binary = plain;
    binary.binarize = binarize;
    refuses(kPlain, binary, "data.binarize: diffusion models grey or coloured pixels");
  }
  refuses({{"condition", "class"}}, plain,
          "model.condition: class: the data set 'made' has no labels");
  refuses({{"process", {{"kind", "flow"}}}, {"prediction", "epsilon"}}, plain,
          "expected velocity, x0, v or edm, found epsilon");
  refuses({{"process", {{"kind", "edm"}}}}, plain, "process.spread");
  refuses({{"process", {{"kind", "flow"}, {"steps", 10}}}}, plain, "process.steps");
  refuses({{"network", {{"multipliers", {1, 1, 1, 1, 1}}}}}, plain, "network.multipliers");
  for (const Json& wrong :
       {Json{{"prediction", "score"}}, Json{{"loss_weight", "p2"}}, Json{{"snr_limit", 0}},
        Json{{"condition_dropout", 1.5}}, Json{{"width", 8}}}) {
    refuses(wrong, plain, wrong.begin().key());
  }
}

TEST(DiffusionShapes, AreOfAnySizeAndNumberOfChannels) {
  const DataInfo info = info_of(3, 27, 35, 2);
  Json network = kNetwork;
  network["patch"] = 4;
  network["attention"] = {1};
  const Diffusion d({{"network", network}, {"condition", "class"}, {"self_conditioning", true}},
                    info);
  const Batch batch = noise_batch(2, info);
  const at::NoGradGuard no_grad;
  Draw draw(1, "test", batch.sample_ids);
  EXPECT_EQ(d.model->validate(batch, draw).at("loss").sizes(), (at::IntArrayRef{2}));
  EXPECT_EQ(d.generate(2, {{"steps", 2}}, batch.conditions.at(kClass)).sizes(),
            (at::IntArrayRef{2, 3, 27, 35}));
  EXPECT_EQ(d.log_likelihood(batch, 2).sizes(), (at::IntArrayRef{2}));
  EXPECT_NE(d.model->health(batch).find("% of what images differ in"), std::string::npos);
}

// Likelihood.

TEST(DiffusionLikelihood, OfAConstantPredictionIsTheClosedForm) {
  // Where the prediction is 0.5 at all levels the gains in signal-to-noise ratio add up.
  for (const Json& process : {Json{{"schedule", "linear"}, {"steps", 20}}, kEdm}) {
    const Diffusion d({{"process", process}, {"prediction", "x0"}}, kSmall);
    d.make_constant(0.5);
    const Batch batch = noise_batch(5, d.info);
    const Tensor x0 = batch.input * 2 - 1, guess = at::full_like(x0, 0.5);
    const std::vector<NoiseLevel> levels = d.denoiser->bound_levels();
    ASSERT_EQ(levels.back().sigma, 0);
    const NoiseLevel& most = levels.front();
    const NoiseLevel& least = levels[levels.size() - 2];
    const Tensor expected = prior_divergence(x0, most) + step_divergence(x0, guess, most, least) -
                            discretized_log_likelihood(x0, guess, least.ratio());
    const Tensor found = -d.log_likelihood(batch, 100000);  // all steps
    expect_near(found / expected, at::ones({5}), 1e-5);
    // With fewer draws: about.
    expect_near((-d.log_likelihood(batch, 10) / expected).mean(), at::ones({}), 0.5);
  }
}

TEST(DiffusionLikelihood, KnowsItsLevelsAndItsName) {
  const Diffusion ddpm({{"process", {{"schedule", "linear"}, {"steps", 20}}}}, kSmall);
  const std::vector<NoiseLevel> levels = ddpm.denoiser->bound_levels();
  ASSERT_EQ(levels.size(), 21u);  // all of training's, and no noise
  const NoiseProcess process({.schedule = NoiseSchedule::linear, .steps = 20});
  for (size_t i = 0; i < 20; ++i) {
    const NoiseLevel expected = process.level(1 - static_cast<double>(i) / 20);
    EXPECT_NEAR(levels[i].ratio() / expected.ratio(), 1, 1e-9);
  }
  const Likelihood& likelihood = *ddpm.likelihood;
  EXPECT_NE(likelihood.estimator(5), likelihood.estimator(6));
  EXPECT_NE(likelihood.estimator(5), likelihood.estimator(100));
  EXPECT_EQ(likelihood.estimator(19), likelihood.estimator(100));  // there are no more
  EXPECT_LT(likelihood.usual_draws(false), likelihood.usual_draws(true));
}

TEST(DiffusionLikelihood, DoesNotDependOnTheBatch) {
  const Diffusion d({{"process", kEdm}, {"prediction", "edm"}}, kSmall);
  const Batch many = noise_batch(8, d.info), one = noise_batch(1, d.info, 5);
  ASSERT_TRUE(one.input[0].equal(many.input[5]));
  const Tensor all = d.log_likelihood(many, 3), alone = d.log_likelihood(one, 3);
  EXPECT_NEAR(alone.item<double>() / all[5].item<double>(), 1, 1e-4);
}

// Learning.

/// Two pictures, half of the images each.
Tensor templates() {
  const Tensor y = at::arange(8).view({8, 1}).expand({8, 8}), x = y.t();
  const Tensor stripes = (y % 4).lt(2), corner = (x + y).lt(7);
  return at::stack({stripes, corner}).to(at::kFloat).unsqueeze(1);  // [2, 1, 8, 8]
}

Batch template_batch(int64_t count, int64_t first) {
  Batch batch;
  batch.sample_ids = ids(count, first);
  const Tensor which =
      Draw(9, "template", batch.sample_ids).uniform("which", {}).ge(0.5).to(at::kLong);
  batch.conditions = told_class(which);
  batch.input = templates().index_select(0, which);
  batch.weight = static_cast<double>(count);
  return batch;
}

/// The mean loss of the last fifty steps.
double train(const Diffusion& d, int64_t steps) {
  constexpr int64_t kBatch = 32;
  constexpr double kRate = 8e-3;  // falls to 0
  torch::optim::AdamW optimizer(d.model->module().parameters(),
                                torch::optim::AdamWOptions(kRate).weight_decay(0));
  double sum = 0;
  for (int64_t step = 0; step < steps; ++step) {
    const Batch batch = template_batch(kBatch, kBatch * step);
    const Tensor loss = d.loss(batch, d.draws(batch));
    const double left = 1 - static_cast<double>(step) / static_cast<double>(steps);
    optimizer.param_groups()[0].options().set_lr(kRate * left);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step >= steps - 50) sum += loss.item<double>() / 50;
  }
  return sum;
}

struct Nearest {
  Tensor which, distance;  // [B]; mean absolute difference of pixels
};

Nearest nearest(const Tensor& images) {
  const Tensor distances = (images.unsqueeze(1) - templates()).abs().flatten(2).mean(2);  // [B, 2]
  const auto [distance, which] = distances.min(1);
  return {which, distance};
}

/// @param loss  to be reached; without any learning it is the variance of what is predicted
void expect_to_learn(const Json& settings, const Json& options, double loss) {
  const Diffusion d(settings, kSmall);
  const Batch batch = template_batch(32, 1'000'000);
  const auto bound = [&] { return -d.log_likelihood(batch, 10).mean().item<double>(); };
  const auto distance = [&] {
    return nearest(d.generate(64, options)).distance.mean().item<double>();
  };
  const double bound_before = bound();
  EXPECT_GT(distance(), 0.25);
  EXPECT_LT(train(d, 200), loss);
  EXPECT_LT(distance(), 0.08);
  const double second =
      nearest(d.generate(64, options)).which.to(at::kDouble).mean().item<double>();
  EXPECT_GT(second, 0.2);
  EXPECT_LT(second, 0.8);
  EXPECT_LT(bound(), 0.7 * bound_before);
  EXPECT_GT(bound(), std::log(2));  // which of the two: no bound can be below
  const at::NoGradGuard no_grad;
  const std::string health = d.model->health(batch);
  EXPECT_GT(std::stod(health.substr(health.find("finds ") + 6)), 90) << health;
}

const Json kEdmOfTemplates = {{"kind", "edm"}, {"center", -1.2}, {"spread", 1.2}, {"data_std", 1}};

TEST(DiffusionLearns, WithTheVarianceKept) {
  expect_to_learn({{"process", {{"schedule", "cosine"}}}, {"prediction", "v"}}, kPlain, 0.2);
}

TEST(DiffusionLearns, TheNoiseOfDdpm) {
  expect_to_learn(
      {{"process", {{"schedule", "linear"}, {"steps", 1000}}}, {"prediction", "epsilon"}},
      {{"sampler", "ddpm"}, {"steps", 50}, {"levels", "uniform"}}, 0.06);
}

TEST(DiffusionLearns, WithThePreconditioningOfEdm) {
  expect_to_learn({{"process", kEdmOfTemplates}, {"prediction", "edm"}}, {{"sampler", "heun"}},
                  0.15);
}

TEST(DiffusionLearns, TheVelocityOfAFlow) {
  expect_to_learn({{"process", {{"kind", "flow"}}}, {"prediction", "velocity"}},
                  {{"sampler", "euler"}, {"steps", 20}, {"levels", "uniform"}}, 0.35);
}

TEST(DiffusionLearns, WhichClassIsWhich) {
  const Diffusion d({{"process", kEdmOfTemplates},
                     {"prediction", "edm"},
                     {"condition", "class"},
                     {"self_conditioning", true}},
                    info_of(1, 8, 8, 2));
  train(d, 120);
  const Tensor labels = at::arange(32, at::kLong) % 2;
  for (const double guidance : {0.0, 1.0}) {
    const Nearest found = nearest(d.generate(32, {{"guidance", guidance}}, labels));
    EXPECT_GE(found.which.eq(labels).sum().item<int64_t>(), 31) << guidance;
    EXPECT_LT(found.distance.mean().item<double>(), 0.15) << guidance;
  }
  // Without the class both come, whatever the label.
  const Nearest any = nearest(d.generate(64, {{"guidance", -1}}, at::zeros({64}, at::kLong)));
  EXPECT_GT(any.which.sum().item<int64_t>(), 12);
  EXPECT_LT(any.which.sum().item<int64_t>(), 52);
}

}  // namespace
}  // namespace genai
