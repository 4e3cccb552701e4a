#include "genai/models/gan.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <numeric>

#include "base/temp_folder.h"
#include "data/small_digits.h"
#include "genai/core/numerics.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"
#include "tensors.h"

namespace genai {
namespace {

double number(const Tensor& t) {
  return t.item<double>();
}

/// Softplus of the opposite.
double surprise(double score) {
  return std::log1p(std::exp(-score));
}

// ---- Losses

TEST(GanLosses, AreThoseOfThePapers) {
  const double r = 0.8, m = -0.3;
  const Tensor real = numbers({r}), fake = numbers({m});
  const auto d = [&](AdversarialLoss loss, double smoothing = 0) {
    return number(discriminator_loss(loss, real, fake, smoothing));
  };
  const auto g = [&](AdversarialLoss loss) { return number(generator_loss(loss, fake, real)); };
  using L = AdversarialLoss;
  EXPECT_NEAR(d(L::non_saturating), surprise(r) + surprise(-m), 1e-12);
  EXPECT_NEAR(g(L::non_saturating), surprise(m), 1e-12);
  EXPECT_NEAR(d(L::non_saturating, 0.1), 0.9 * surprise(r) + 0.1 * surprise(-r) + surprise(-m),
              1e-12);
  EXPECT_NEAR(d(L::hinge), (1 - r) + (1 + m), 1e-12);
  EXPECT_NEAR(g(L::hinge), -m, 1e-12);
  EXPECT_EQ(number(discriminator_loss(L::hinge, numbers({1.5}), numbers({-2}))), 0);
  EXPECT_NEAR(d(L::least_squares), 0.5 * ((r - 1) * (r - 1) + m * m), 1e-12);
  EXPECT_NEAR(g(L::least_squares), 0.5 * (m - 1) * (m - 1), 1e-12);
  EXPECT_NEAR(d(L::wasserstein), m - r, 1e-12);
  EXPECT_NEAR(g(L::wasserstein), -m, 1e-12);
  EXPECT_NEAR(d(L::relativistic), surprise(r - m), 1e-12);
  EXPECT_NEAR(g(L::relativistic), surprise(m - r), 1e-12);
}

TEST(GanLosses, AreMeansOverTheBatch) {
  const Tensor real = numbers({0.5, -1, 2}), fake = numbers({0.1, 0.7, -0.4});
  for (const auto loss :
       {AdversarialLoss::non_saturating, AdversarialLoss::hinge, AdversarialLoss::least_squares,
        AdversarialLoss::wasserstein, AdversarialLoss::relativistic}) {
    double d = 0, g = 0;
    for (int64_t i = 0; i < 3; ++i) {
      d += number(discriminator_loss(loss, real.narrow(0, i, 1), fake.narrow(0, i, 1))) / 3;
      g += number(generator_loss(loss, fake.narrow(0, i, 1), real.narrow(0, i, 1))) / 3;
    }
    EXPECT_NEAR(number(discriminator_loss(loss, real, fake)), d, 1e-12);
    EXPECT_NEAR(number(generator_loss(loss, fake, real)), g, 1e-12);
  }
}

// ---- Penalties

TEST(Penalties, OfAKnownFunctionAreTheClosedForm) {
  // D(x) = s |x|^2 / 2 has the gradient s x.
  const Tensor x = Draw(1, "x", ids(6)).normal("x", {1, 2, 2}).to(at::kDouble);
  const Tensor lengths = x.square().sum({1, 2, 3});
  const Tensor s = numbers({0.7}).requires_grad_();
  const Tensor leaf = x.clone().requires_grad_();
  const Tensor scores = 0.5 * s * leaf.square().sum({1, 2, 3});
  EXPECT_TRUE(at::allclose(squared_gradient_norm(scores, leaf), 0.49 * lengths, 1e-5, 1e-6));
  const Tensor both = zero_centred_penalty(scores, leaf, true);
  const Tensor r1 = zero_centred_penalty(scores, leaf, false);
  const double all = number(lengths.sum()), real = number(lengths.narrow(0, 0, 3).sum());
  EXPECT_NEAR(number(both), 0.5 * 0.49 * all / 3, 1e-6);
  EXPECT_NEAR(number(r1), 0.5 * 0.49 * real / 3, 1e-6);
  // and the slope s |x|^2 in s
  EXPECT_NEAR(number(torch::autograd::grad({both}, {s})[0]), 0.7 * all / 3, 1e-5);
}

TEST(Penalties, OfALinearFunctionKnowItsLength) {
  const Tensor w = numbers({3, 0, 0, 4}).view({1, 1, 2, 2}).requires_grad_();
  const auto score = [&](const Tensor& x) { return (w * x).sum({1, 2, 3}); };
  const auto random = [&](const char* name) {
    return Draw(2, name, ids(4)).normal("x", {1, 2, 2}).to(at::kDouble);
  };
  const Tensor penalty =
      gradient_penalty(score, random("real"), random("fake"), numbers({0, 0.3, 0.6, 1}));
  EXPECT_NEAR(number(penalty), 16, 1e-5);  // (5 - 1)^2
  // 2 (|w| - 1) w / |w|
  const Tensor slope = torch::autograd::grad({penalty}, {w})[0];
  EXPECT_TRUE(at::allclose(slope, 2 * 4 * w / 5, 1e-5, 1e-6));
}

TEST(Penalties, AreTakenBetweenTheImages) {
  std::vector<Tensor> seen;
  const auto score = [&](const Tensor& x) {
    seen.push_back(x.detach());
    return x.sum({1, 2, 3});
  };
  const Tensor real = at::zeros({2, 1, 1, 1}, at::kDouble), fake = at::ones_like(real);
  gradient_penalty(score, real, fake, numbers({0.25, 0.75}));
  EXPECT_EQ(number(seen.at(0)[0]), 0.25);
  EXPECT_EQ(number(seen.at(0)[1]), 0.75);
}

/// A penalty of a discriminator as a function of its weights, and its derivative along a direction.
class PenaltyOfNetwork : public testing::TestWithParam<std::string> {
 protected:
  /// @param wide  channels that the fast convolutions take
  static Discriminator network(bool dcgan, bool wide) {
    torch::manual_seed(4);
    return Discriminator(
        DiscriminatorConfig{.kind = dcgan ? DiscriminatorKind::dcgan : DiscriminatorKind::residual,
                            .width = wide ? 16 : 4,
                            .levels = 1,
                            .patch = 1,
                            .head = 8},
        1, 12, 12, 0);
  }
  static Tensor penalty(Discriminator& d, const Tensor& real, const Tensor& fake) {
    const auto score = [&](const Tensor& x) { return d->forward(x, {}); };
    if (GetParam() == "gradient") {
      return gradient_penalty(score, real, fake, at::full({real.size(0)}, 0.4, real.options()));
    }
    const Tensor both = at::cat({real, fake}).requires_grad_();
    return zero_centred_penalty(score(both), both, GetParam() == "r1-r2");
  }
  static Tensor images(const char* name, at::ScalarType type) {
    return (Draw(3, name, ids(4)).uniform("x", {1, 12, 12}) * 2 - 1).to(type);
  }
};

INSTANTIATE_TEST_SUITE_P(All, PenaltyOfNetwork, testing::Values("r1", "r1-r2", "gradient"),
                         [](const auto& info) {
                           return info.param == "r1-r2" ? std::string("r1_r2") : info.param;
                         });

TEST_P(PenaltyOfNetwork, HasTheSlopesOfFiniteDifferences) {
  for (const bool dcgan : {true, false}) {
    Discriminator d = network(dcgan, false);
    d->to(at::kDouble);
    const Tensor real = images("real", at::kDouble), fake = images("fake", at::kDouble);
    std::vector<Tensor> parameters;
    for (const auto& item : d->named_parameters()) {
      if (item.value().dim() > 1) parameters.push_back(item.value());  // biases hardly matter
    }
    const auto slopes = torch::autograd::grad({penalty(d, real, fake)}, parameters);
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Tensor direction = slopes[i].sign();  // where the penalty changes most
      const auto moved = [&](double t) {
        const auto move = [&](double by) {
          const at::NoGradGuard no_grad;
          parameters[i].add_(direction, by);
        };
        move(t);
        const double value = number(penalty(d, real, fake));
        move(-t);
        return value;
      };
      // A long step would cross the kinks of leaky(), where the penalty jumps.
      const double expected = number((slopes[i] * direction).sum()), step = 1e-7;
      const double found = (moved(step) - moved(-step)) / (2 * step);
      EXPECT_NEAR(found, expected, 1e-5 * std::abs(expected)) << dcgan << " " << i;
    }
  }
}

TEST_P(PenaltyOfNetwork, IsTheSameByFastConvolutions) {
  Discriminator fast = network(false, true), exact = network(false, true);
  exact->to(at::kDouble);
  const auto evaluate = [&](Discriminator& d, at::ScalarType type) {
    const Tensor value = penalty(d, images("real", type), images("fake", type));
    std::vector<Tensor> parameters = d->parameters();
    auto slopes = torch::autograd::grad({value}, parameters, {}, true, false, true);
    slopes.push_back(value.detach());
    return slopes;
  };
  const auto found = evaluate(fast, at::kFloat), expected = evaluate(exact, at::kDouble);
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].defined(), expected[i].defined());
    if (!expected[i].defined()) continue;
    const double scale = number(expected[i].abs().max());
    EXPECT_LE(number((found[i].to(at::kDouble) - expected[i]).abs().max()), 2e-4 * scale + 1e-9)
        << i;
  }
}

// ---- Energy distance

TEST(EnergyTerms, HaveTheMeanOfTheirDefinition) {
  const Tensor real = at::tensor({0.0, 2.0}).view({2, 1}),
               fake = at::tensor({1.0, 5.0}).view({2, 1});
  // 2 E|x - y| = 2 (1 + 1 + 5 + 3) / 4; E|x - x'| = 2; E|y - y'| = 4
  EXPECT_NEAR(number(energy_terms(real, fake).mean()), 5 - 2 - 4, 1e-6);
}

TEST(EnergyTerms, VanishForEqualDistributionsAndGrowWithTheirDistance) {
  const auto normal = [](const char* name) { return Draw(6, name, ids(2000)).normal("x", {3}); };
  const auto distance = [&](double shift) {
    return number(energy_terms(normal("a"), normal("b") + shift).mean());
  };
  EXPECT_NEAR(distance(0), 0, 0.01);
  EXPECT_GT(distance(0.3), 0.05);
  EXPECT_GT(distance(1), 5 * distance(0.3));
}

// ---- The family

const DataInfo kDigits = {.source = "digits",
                          .channels = 1,
                          .height = 28,
                          .width = 28,
                          .classes = std::vector<std::string>(10)};

Json with(Json settings, const Json& more) {
  settings.merge_patch(more);
  return settings;
}

std::unique_ptr<Model> make_gan(const Json& settings, const DataInfo& info = kDigits) {
  torch::manual_seed(2);
  return make_model(find_family("gan"), settings, info);
}

const Json kSmallGan = {{"latent", 8},
                        {"generator", {{"width", 8}, {"patch", 4}}},
                        {"discriminator", {{"width", 8}, {"patch", 4}, {"head", 32}}}};
const Json kDcgan = {
    {"latent", 8},
    {"loss", "non-saturating"},
    {"penalty", "none"},
    {"generator", {{"kind", "dcgan"}, {"width", 8}, {"levels", 2}, {"norm", "batch"}}},
    {"discriminator", {{"kind", "dcgan"}, {"width", 8}, {"levels", 2}, {"norm", "batch"}}}};

TEST(GanSettings, MustFitTheDataAndEachOther) {
  const DataInfo unlabelled{.source = "x", .classes = {}};
  const std::vector<std::pair<Json, std::string>> wrong = {
      {{{"latent", 0}}, "latent"},
      {{{"critic_steps", 0}}, "critic_steps"},
      {{{"penalty_every", 0}}, "penalty_every"},
      {{{"loss", "wasserstein"}}, "expected gradient"},
      {{{"loss", "wasserstein"}, {"penalty", "r1"}}, "expected gradient"},
      {{{"loss", "wasserstein"}, {"penalty", "none"}}, "expected gradient"},
      {{{"loss", "wasserstein"}, {"penalty", "gradient"}, {"penalty_weight", 0}}, "above 0"},
      {{{"loss", "hinge"}, {"penalty", "gradient"}}, "expected none, r1 or r1-r2"},
      {{{"label_smoothing", 0.1}}, "label_smoothing"},
      {{{"loss", "dice"}}, "relativistic"},
      {{{"generator", {{"levels", 5}}}}, "generator.levels"},
      {{{"discriminator", {{"levels", 5}}}}, "discriminator.levels"},
      {{{"generator", {{"kind", "dcgan"}, {"levels", 0}}}}, "generator.levels"},
      {{{"generator", {{"norm", "batch"}}}}, "generator.norm"},
      {{{"discriminator", {{"norm", "batch"}}}}, "discriminator.norm"},
      {{{"discriminator", {{"kind", "dcgan"}, {"norm", "batch"}, {"levels", 2}}}}, "penalty none"},
      {{{"augment", {{"cutout", 2}}}}, "cutout"},
      {{{"discriminator_rate", 0}}, "discriminator_rate"},
  };
  for (const auto& [settings, part] : wrong) {
    expect_error(ErrorKind::usage, part, [&given = settings] { make_gan(given); });
  }
  expect_error(ErrorKind::usage, "no labels", [&] {
    make_gan({{"condition", "class"}}, unlabelled);
  });
  DataInfo binary = kDigits;
  binary.binarize = Binarize::dynamic;
  expect_error(ErrorKind::usage, "binarize", [&] { make_gan(Json::object(), binary); });
  EXPECT_NO_THROW(make_gan(
      {{"loss", "wasserstein"}, {"penalty", "none"}, {"discriminator", {{"spectral", true}}}}));
}

TEST(GanPhases, FollowTheSettings) {
  const auto names = [](const Json& settings) {
    std::string all;
    for (const Phase& phase : make_gan(settings)->phases()) {
      all += concat(phase.name, " ", phase.updates, " ", phase.repeat, " ", phase.every, "; ");
    }
    return all;
  };
  EXPECT_EQ(names(kSmallGan), "discriminator discriminator 1 1; generator generator 1 1; ");
  EXPECT_EQ(
      names(with(kSmallGan, {{"critic_steps", 5}, {"penalty_every", 4}})),
      "discriminator discriminator 5 1; penalty discriminator 1 4; generator generator 1 1; ");
  EXPECT_EQ(names(with(kDcgan, {{"penalty_every", 4}})),
            "discriminator discriminator 1 1; generator generator 1 1; ");
}

TEST(GanPhases, OfAReconstructionAloneHaveNoDiscriminator) {
  const Json settings = {{"condition", "low"},
                         {"latent", 2},
                         {"adversarial", 0},
                         {"reconstruction", 2},
                         {"generator", {{"kind", "unet"}, {"width", 4}, {"levels", 1}}}};
  const auto model = make_model(find_family("gan"), settings, kDigits);
  ASSERT_EQ(model->phases().size(), 1u);
  EXPECT_EQ(model->phases()[0].updates, "generator");
  EXPECT_EQ(model->parameter_sets().size(), 1u);
  for (const auto& parameter : model->module().named_parameters())
    EXPECT_EQ(parameter.key().rfind("generator.", 0), 0u) << parameter.key();
  EXPECT_EQ(model->objective(), "l1");
}

TEST(GanSettings, OfGridsNeedOne) {
  expect_error(ErrorKind::usage, "model.generator.kind: unet is of models that are told a grid",
               [&] {
                 make_gan({{"generator", {{"kind", "unet"}}}});
               });
  expect_error(ErrorKind::usage, "model.reconstruction is of models that are told a grid", [&] {
    make_gan({{"reconstruction", 1}});
  });
  expect_error(ErrorKind::usage, "model.adversarial: 0 and no model.reconstruction", [&] {
    make_gan({{"adversarial", 0}});
  });
}

TEST(Penalties, OfPatchesAreOfTheMeanOfTheirScores) {
  const Tensor x = random("x", {2, 1, 4, 4}).requires_grad_();
  const Tensor one = x.flatten(1).sum(1), many = at::stack({one, 3 * one}, 1);
  expect_near(squared_gradient_norm(many, x), 4 * squared_gradient_norm(one, x), 1e-2);
}

class GanTraining : public testing::Test {
 protected:
  const Dataset& data() {
    static const Dataset all = small_digits(256, 64);
    return all;
  }
  struct Watch : TrainObserver {
    void progress(const StepReport& report) override { reports.push_back(report.values); }
    void warned(const std::string& text) override { warnings.push_back(text); }
    std::vector<Json> reports;
    std::vector<std::string> warnings;
  };
  TrainResult run(const std::string& name, const Json& model, const Json& training,
                  bool resume = false) {
    Settings settings;
    settings.set("model.family", "gan", "test");
    settings.merge({{"model", model}}, "test");
    settings.merge({{"data", {{"source", "digits"}}}}, "test");
    settings.merge({{"training",
                     {{"batch", 32},
                      {"device", "cpu"},
                      {"precision", "float32"},
                      {"threads", 1},
                      {"learning_rate", 1e-3},
                      {"beta1", 0},
                      {"beta2", 0.99}}}},
                   "test");
    settings.merge({{"training", training}}, "test");
    const Json config = settings.resolve(run_sections(find_family("gan")));
    std::filesystem::create_directories(folder_ / name);
    TrainRequest request{.family = find_family("gan"),
                         .config = config,
                         .data = &data(),
                         .run = folder_ / name,
                         .preset = "",
                         .resume = std::nullopt,
                         .init = std::nullopt};
    if (resume) request.resume = load_checkpoint(find_checkpoint(request.run, ""), true);
    watch_ = {};
    return train(request, watch_);
  }
  Checkpoint checkpoint(const std::string& name, const std::string& step = "") const {
    return load_checkpoint(find_checkpoint(folder_ / name, step), true);
  }

  TempFolder folder_;
  Watch watch_;
};

TEST_F(GanTraining, ContinuesBitForBitWithEveryKindOfNetworkAndLoss) {
  const Json spectral = {
      {"loss", "hinge"}, {"penalty", "none"}, {"discriminator", {{"spectral", true}}}};
  const Json wasserstein = {{"loss", "wasserstein"},
                            {"penalty", "gradient"},
                            {"critic_steps", 3},
                            {"condition", "class"}};
  const Json lazy = {{"loss", "least-squares"}, {"penalty", "r1"}, {"penalty_every", 2}};
  const Json style = {{"generator", {{"kind", "style"}, {"style", 8}, {"mapping", 2}}}};
  int number = 0;
  for (const Json& model : {kDcgan, with(kSmallGan, spectral), with(kSmallGan, wasserstein),
                            with(kSmallGan, lazy), with(kSmallGan, style)}) {
    const std::string whole = concat("whole", number), halves = concat("halves", number++);
    const auto steps = [](int64_t n) { return Json{{"steps", n}, {"ema_half_life", 100}}; };
    run(whole, model, steps(4));
    run(halves, model, steps(2));
    run(halves, model, steps(4), true);
    const Checkpoint a = checkpoint(halves), b = checkpoint(whole);
    ASSERT_EQ(a.weights.size(), b.weights.size());
    for (const auto& [name, tensor] : b.weights) {
      EXPECT_TRUE(at::equal(a.weights.at(name), tensor)) << model << name;
    }
    for (const auto& [name, tensor] : b.training) {
      EXPECT_TRUE(at::equal(a.training.at(name), tensor)) << model << name;
    }
  }
}

TEST_F(GanTraining, MovesTheDiscriminatorAtItsOwnRate) {
  // Adam's first step is as long as the learning rate.
  run("run", with(kSmallGan, {{"discriminator_rate", 0.25}}), {{"steps", 1}, {"epsilon", 1e-12}});
  const Checkpoint before = checkpoint("run", "0"), after = checkpoint("run", "1");
  const auto moved = [&](const char* name) {
    return number((after.weights.at(name) - before.weights.at(name)).abs().median());
  };
  EXPECT_NEAR(moved("generator.blocks.0.convolution1.weight"), 1e-3, 2e-5);
  EXPECT_NEAR(moved("discriminator.blocks.0.convolution1.weight"), 2.5e-4, 5e-6);
}

TEST_F(GanTraining, AveragesTheGeneratorAlone) {
  run("run", kSmallGan, {{"steps", 3}, {"ema_half_life", 10000}});
  const Checkpoint end = checkpoint("run");
  EXPECT_TRUE(end.training.count("raw/generator.pixels.weight"));
  EXPECT_FALSE(end.training.count("raw/discriminator.score.weight"));
}

TEST_F(GanTraining, ReportsTheHealthOfBoth) {
  run("run", kSmallGan, {{"steps", 4}, {"log_every", 2}});
  ASSERT_EQ(watch_.reports.size(), 2u);
  for (const char* name : {"d_real", "d_fake", "ranked_right", "score_spread", "diversity",
                           "d_loss", "penalty", "loss/discriminator", "loss/generator",
                           "gradient_norm/generator", "gradient_norm/discriminator"}) {
    EXPECT_TRUE(watch_.reports[1].contains(name)) << name;
  }
}

TEST_F(GanTraining, MakesLazyPenaltiesAsHeavyAsTheUpdatesTheyStandFor) {
  run("run", with(kSmallGan, {{"penalty_every", 2}, {"critic_steps", 3}, {"penalty_weight", 0.5}}),
      {{"steps", 2}, {"log_every", 1}});
  const Json& first = watch_.reports.at(0);
  EXPECT_GT(first.at("penalty"), 0);
  EXPECT_NEAR(first.at("loss/penalty"), 6 * first.at("penalty").get<double>(), 1e-5);
  EXPECT_FALSE(watch_.reports.at(1).contains("penalty"));
}

TEST_F(GanTraining, LearnsBuiltInDigits) {
  const TrainResult result = run(
      "run", with(kSmallGan, {{"generator", {{"width", 16}}}, {"discriminator", {{"width", 16}}}}),
      {{"steps", 250}, {"learning_rate", 2e-3}, {"validate_every", 1000}});
  const Checkpoint start = checkpoint("run", "0");
  const double before = start.manifest.validation.at("energy_distance");
  const double after = result.validation.at("energy_distance");
  EXPECT_GT(before, 4);
  EXPECT_LT(after, 0.15 * before);
  EXPECT_TRUE(watch_.warnings.empty()) << watch_.warnings[0];
  const std::string health = result.health;
  EXPECT_GT(std::stod(health.substr(health.find("lie ") + 4)), 50) << health;
}

TEST_F(GanTraining, WarnsOnceOfACollapse) {
  // A generator that is not allowed to learn makes one grey image.
  const Json model = with(kDcgan, {{"discriminator_rate", 1e-3}});
  run("run", model, {{"steps", 40}, {"log_every", 5}, {"learning_rate", 1e-9}});
  ASSERT_EQ(watch_.warnings.size(), 1u);
  EXPECT_NE(watch_.warnings[0].find("the generator collapses"), std::string::npos)
      << watch_.warnings[0];
  EXPECT_NE(watch_.warnings[0].find("model.penalty r1-r2"), std::string::npos);
}

TEST(GanWarnings, FollowTheirRules) {
  const auto model = make_gan(kSmallGan);
  const auto warning = [&](double diversity, double loss, double spread, int64_t step = 500) {
    return model->warning({.step = step, .steps = 2000},
                          {{"diversity", diversity}, {"d_loss", loss}, {"score_spread", spread}});
  };
  EXPECT_EQ(warning(0.95, 0.5, 0.5), "");
  EXPECT_EQ(warning(0.1, 0.5, 0.5, 100), "");  // too early to tell
  EXPECT_NE(warning(0.39, 0.5, 0.5).find("collapses"), std::string::npos);
  EXPECT_NE(warning(0.95, 0.005, 5).find("has won"), std::string::npos);
  EXPECT_NE(warning(0.95, 0.69, 1e-4).find("dead"), std::string::npos);
  // A Wasserstein loss has no end: it may be as low as it likes.
  const auto wasserstein =
      make_gan(with(kSmallGan, {{"loss", "wasserstein"}, {"penalty", "gradient"}}));
  EXPECT_EQ(wasserstein->warning({.step = 500, .steps = 2000},
                                 {{"diversity", 0.9}, {"d_loss", -7}, {"score_spread", 3}}),
            "");
}

TEST(GanClasses, AreToldToBoth) {
  const auto model = make_gan(with(kSmallGan, {{"condition", "class"}}));
  const at::NoGradGuard no_grad;
  auto& generator = dynamic_cast<Generator&>(*model);
  ASSERT_EQ(classes_of(model->conditions()), 10);
  const Draw draw(0, "generate", ids(4));
  const auto fake = [&](int64_t label) {
    return generator.generate(draw, told_class(at::full({4}, label, at::kLong)), Json::object());
  };
  EXPECT_FALSE(at::allclose(fake(1), fake(2)));
  EXPECT_TRUE(at::equal(fake(1), fake(1)));
}

TEST(GanClasses, AreThoseOfTheMadeImagesInLaterPhases) {
  // With several critic steps the generator's phase sees another batch than the images it learns
  // by.
  const auto model = make_gan(with(kSmallGan, {{"condition", "class"}, {"critic_steps", 2}}));
  const auto batch = [](int64_t first, int64_t label) {
    return Batch{.input = Draw(7, "images", ids(4, first)).uniform("x", {1, 28, 28}),
                 .target = {},
                 .conditions = told_class(at::full({4}, label, at::kLong)),
                 .sample_ids = ids(4, first),
                 .weight = 4};
  };
  const Batch ones = batch(0, 1), twos = batch(4, 2);
  const auto phases = model->phases();
  const auto loss_beside = [&](const Batch& beside) {
    Tensors carry, shared;
    const auto run = [&](const Phase& phase, const Batch& of) {
      Draw draw(1, "train/" + phase.name, of.sample_ids);
      const Tensors draws = phase.draw(of, draw);
      LossInput input{
          .batch = of, .draws = draws, .scheduled = {}, .carry = carry, .shared = shared};
      return number(phase.loss(input).value);
    };
    run(phases.at(0), ones);
    run(phases.at(0), twos);
    return run(phases.at(1), beside);
  };
  EXPECT_EQ(loss_beside(ones), loss_beside(twos));
}

TEST(GanPrecision, LossesAndSlopesAreNearlyTheSameInBfloat16) {
  const Json gradient = {{"loss", "wasserstein"}, {"penalty", "gradient"}};
  const Json style = {{"generator", {{"kind", "style"}, {"style", 8}, {"mapping", 2}}}};
  for (const Json& settings : {kSmallGan, with(kSmallGan, gradient), with(kSmallGan, style)}) {
    const auto model = make_gan(settings);
    const Batch batch{.input = Draw(7, "images", ids(8)).uniform("x", {1, 28, 28}),
                      .target = {},
                      .sample_ids = ids(8),
                      .weight = 8};
    const auto step = [&](Precision precision) {
      Tensors carry, shared;
      std::vector<double> found;
      for (const Phase& phase : model->phases()) {
        Draw draw(1, "train/" + phase.name, batch.sample_ids);
        const Tensors draws = phase.draw(batch, draw);
        LossInput input{
            .batch = batch, .draws = draws, .scheduled = {}, .carry = carry, .shared = shared};
        Loss loss;
        {
          const MixedPrecision mixed(precision, at::kCPU);
          loss = phase.loss(input);
        }
        std::vector<Tensor> parameters;
        for (const auto& item : model->module().named_parameters()) {
          if (item.key().rfind(phase.updates, 0) == 0) parameters.push_back(item.value());
        }
        double length = 0;
        for (const Tensor& slope : torch::autograd::grad({loss.value}, parameters, {},
                                                         /*retain_graph=*/true, false, true)) {
          if (slope.defined()) length += number(slope.to(at::kDouble).square().sum());
        }
        found.push_back(number(loss.value));
        found.push_back(std::sqrt(length));
      }
      return found;
    };
    const auto exact = step(Precision::float32), rounded = step(Precision::bfloat16);
    for (size_t i = 0; i < exact.size(); ++i) {
      EXPECT_NEAR(rounded[i], exact[i], 0.06 * std::abs(exact[i]) + 0.02) << settings << " " << i;
    }
  }
}

TEST(GanSampling, IsPulledToTheMeanByTruncation) {
  const Json style = {{"generator", {{"kind", "style"}, {"style", 8}, {"mapping", 2}}}};
  for (const Json& settings : {kSmallGan, kDcgan, with(kSmallGan, style)}) {
    const auto model = make_gan(settings);
    model->module().eval();
    const at::NoGradGuard no_grad;
    auto& generator = dynamic_cast<Generator&>(*model);
    const Draw draw(0, "generate", ids(8));
    const auto spread = [&](double truncation) {
      return number(generator.generate(draw, {}, {{"truncation", truncation}}).std(0).mean());
    };
    const Tensor plain = generator.generate(draw, {}, Json::object());
    EXPECT_TRUE(at::equal(generator.generate(draw, {}, {{"truncation", 1}}), plain));
    EXPECT_LT(spread(0.3), 0.7 * spread(1));
    EXPECT_LT(spread(0), 1e-6);  // the noise of fresh style layers counts nothing
  }
}

TEST(GanStyles, AreWhatGenerateTakes) {
  const Json style = {{"condition", "class"},
                      {"generator", {{"kind", "style"}, {"style", 8}, {"mapping", 2}}}};
  const auto model = make_gan(with(kSmallGan, style));
  model->module().eval();
  const at::NoGradGuard no_grad;
  auto& space = dynamic_cast<StyleSpace&>(*model);
  auto& generator = dynamic_cast<Generator&>(*model);
  const Draw draw(0, "generate", ids(4));
  const Tensor labels = at::tensor({0, 3, 5, 3}, at::kLong);
  for (const double truncation : {1.0, 0.6}) {
    const Json options = {{"truncation", truncation}};
    const Tensor styles = space.styles(draw, told_class(labels), options);
    const Tensor all = styles.unsqueeze(1).expand({-1, space.style_layers(), -1});
    EXPECT_TRUE(at::equal(space.render(all, draw, {}),
                          generator.generate(draw, told_class(labels), options)));
  }
  EXPECT_EQ(dynamic_cast<StyleSpace*>(make_gan(kSmallGan).get()), nullptr);
}

}  // namespace
}  // namespace genai
