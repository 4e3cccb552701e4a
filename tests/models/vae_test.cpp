#include "genai/models/vae.h"

#include <ATen/ATen.h>
#include <torch/nn.h>
#include <torch/optim/adamw.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "base/temp_folder.h"
#include "genai/data/batcher.h"
#include "genai/data/digits.h"
#include "genai/models/registry.h"
#include "tensors.h"

namespace genai {
namespace {

const Json kNoOptions = Json::object();  // no sampling options

DataInfo make_info(int64_t channels, int64_t height, int64_t width) {
  DataInfo info;
  info.source = "test";
  info.channels = channels;
  info.height = height;
  info.width = width;
  return info;
}

/// A family's Model together with its capabilities.
struct Vae {
  Vae(const Json& settings, const DataInfo& info) {
    torch::manual_seed(1);
    model = make_model(vae_family(), settings, info);
    likelihood = dynamic_cast<Likelihood*>(model.get());
    latent = dynamic_cast<LatentSpace*>(model.get());
    generator = dynamic_cast<Generator*>(model.get());
  }
  Tensor parameter(const std::string& name) { return model->module().named_parameters()[name]; }
  void set(const std::string& name, const Tensor& value) {
    const at::NoGradGuard guard;
    ASSERT_EQ(parameter(name).sizes(), value.sizes()) << name;
    parameter(name).copy_(value);
  }

  std::unique_ptr<Model> model;
  Likelihood* likelihood;
  LatentSpace* latent;
  Generator* generator;
};

Batch make_batch(const Tensor& images, int64_t first = 0) {
  Batch batch;
  batch.input = images;
  batch.sample_ids = ids(images.size(0), first);
  batch.weight = static_cast<double>(images.size(0));
  return batch;
}

Draw make_draw(const Batch& batch) {
  return Draw(1, "test", batch.sample_ids);
}

/// Images of 0 and 1.
Tensor binary_images(int64_t count, const DataInfo& info, int64_t first = 0) {
  return Draw(3, "images", ids(count, first))
      .uniform("x", {info.channels, info.height, info.width})
      .lt(0.3)
      .to(at::kFloat);
}

// Closed forms

TEST(KlToStandardNormal, ReferenceValues) {
  const Tensor mean = at::tensor({0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0, -4.0}).view({4, 2});
  const Tensor variance = at::tensor({1.0, 1.0, 1.0, 1.0, 4.0, 1.0, 0.25, 2.0}).view({4, 2});
  const Tensor kl = kl_to_standard_normal(mean, variance.log());
  // (m^2 + v - 1 - ln v) / 2, summed
  expect_near(kl, at::tensor({0.0, 0.5, 1.5 - std::log(2), 12.625 - 0.5 * std::log(0.5)}), 1e-12);
}

TEST(KlToStandardNormal, IsTheIntegral) {
  for (const double mean : {-2.0, 0.0, 0.7}) {
    for (const double log_variance : {-3.0, 0.0, 1.5}) {
      const double std = std::exp(0.5 * log_variance);
      const auto log_normal = [](double x, double m, double s) {
        return -0.5 * (x - m) * (x - m) / (s * s) - std::log(s) -
               0.5 * std::log(2 * std::numbers::pi);
      };
      double integral = 0;
      const double h = 1e-3 * std;
      for (double x = mean - 12 * std; x < mean + 12 * std; x += h) {
        const double log_q = log_normal(x, mean, std);
        integral += h * std::exp(log_q) * (log_q - log_normal(x, 0, 1));
      }
      const Tensor kl = kl_to_standard_normal(at::full({1, 1}, mean, at::kDouble),
                                              at::full({1, 1}, log_variance, at::kDouble));
      EXPECT_NEAR(kl.item<double>(), integral, 1e-8);
    }
  }
}

TEST(BernoulliLogLikelihood, ClosedForm) {
  for (const double logit : {-1000.0, -50.0, -2.0, 0.0, 0.3, 20.0, 1000.0}) {
    for (const double x : {0.0, 0.25, 1.0}) {
      const auto log_sigmoid = [](double l) {
        return l < 0 ? l - std::log1p(std::exp(l)) : -std::log1p(std::exp(-l));
      };
      const double expected = x * log_sigmoid(logit) + (1 - x) * log_sigmoid(-logit);
      for (const auto type : {at::kFloat, at::kDouble}) {
        const Tensor found = bernoulli_log_likelihood(at::full({1, 1, 1}, logit, type),
                                                      at::full({1, 1, 1}, x, type));
        EXPECT_NEAR(found.item<double>(), expected, 1e-6 * (1 + std::abs(expected)))
            << logit << " " << x;
      }
    }
  }
}

TEST(BernoulliLogLikelihood, SumsOverPixelsOnly) {
  const Tensor x = at::ones({2, 3, 1, 4, 5}), logits = at::zeros({2, 3, 1, 4, 5});
  expect_near(bernoulli_log_likelihood(logits, x), at::full({2, 3}, -20 * std::log(2)), 1e-5);
  EXPECT_EQ(bernoulli_log_likelihood(logits, x[0][0]).sizes(), (std::vector<int64_t>{2, 3}));
}

TEST(GaussianLogLikelihood, ReferenceValues) {
  const Tensor x = at::tensor({1.0, 2.0, -3.0, 0.5}).view({2, 2});
  const Tensor mean = at::tensor({1.0, 0.0, 0.0, 0.0}).view({2, 2});
  const double s = 0.5, log_root = 0.5 * std::log(2 * std::numbers::pi);
  const Tensor found = gaussian_log_likelihood(x, mean, at::full({}, std::log(s), at::kDouble));
  const double constant = -2 * (std::log(s) + log_root);
  expect_near(found, at::tensor({constant - 8, constant - 18.5}), 1e-12);
}

// A model whose likelihood is known

constexpr int64_t kLatent = 2;
constexpr double kStd = 0.2;

/// y = W z + b + kStd * noise, with orthogonal columns of W, so that p(z|y) has a diagonal
/// covariance and the encoder can be exact.
struct LinearGaussian {
  explicit LinearGaussian(double shift = 0, double log_variance_shift = 0)
      : info(make_info(1, 2, 3)),
        vae({{"latent", kLatent},
             {"encoder", {{"hidden", Json::array()}}},
             {"decoder", {{"hidden", Json::array()}}},
             {"pixels", "gaussian"},
             {"pixel_std", kStd}},
            info) {
    const int64_t pixels = info.pixels();
    const Tensor random = Draw(5, "weights", ids(pixels)).normal("w", {kLatent}).to(at::kDouble);
    w = std::get<0>(at::linalg_qr(random)) * at::tensor({0.5, 0.3}, at::kDouble);
    b = at::linspace(0.2, 0.7, pixels, at::kDouble);
    const Tensor variance = 1 / (1 + w.square().sum(0) / (kStd * kStd));  // [latent]
    const Tensor gain = variance.unsqueeze(1) * w.t() / (kStd * kStd);    // [latent, pixels]
    vae.set("decoder.spread.weight", w);
    vae.set("decoder.spread.bias", b);
    vae.set("posterior.weight", at::cat({gain, at::zeros_like(gain)}));
    vae.set("posterior.bias", at::cat({-gain.mv(b) + shift, variance.log() + log_variance_shift}));
  }

  /// Grey images of the model itself, rounded to 8 bits.
  Batch sample(int64_t count) const {
    const Draw draw(7, "sample", ids(count));
    const Tensor y = draw.normal("z", {kLatent}).to(at::kDouble).matmul(w.t()) + b +
                     kStd * draw.normal("noise", {info.pixels()});
    return make_batch(y.mul(255).round().clamp(0, 255).div(255).to(at::kFloat).view({-1, 1, 2, 3}));
  }

  /// log N(y; b, W W^T + kStd^2 I) - D log 256 of the dequantized images.
  Tensor exact(const Batch& batch) const {
    const Tensor noise = make_draw(batch).uniform("dequantize", {1, 2, 3});
    const Tensor y = ((batch.input * 255).to(at::kDouble) + noise).div(256).flatten(1);
    const auto d = static_cast<double>(info.pixels());
    const Tensor covariance = w.mm(w.t()) + kStd * kStd * at::eye(info.pixels(), at::kDouble);
    const Tensor distance = (y - b).mm(covariance.inverse()).mul(y - b).sum(1);
    return -0.5 * (distance + covariance.logdet() + d * std::log(2 * std::numbers::pi)) -
           d * std::log(256.0);
  }

  Tensor estimate(const Batch& batch, int64_t samples) {
    const at::NoGradGuard guard;
    return vae.likelihood->log_likelihood(batch, make_draw(batch), samples);
  }

  DataInfo info;
  Vae vae;
  Tensor w, b;
};

TEST(LinearGaussianVae, WithTheExactPosteriorEveryDrawGivesTheExactLikelihood) {
  LinearGaussian model;
  const Batch batch = model.sample(20);
  const Tensor exact = model.exact(batch);
  for (const int64_t samples : {1, 3, 100, 3000}) {
    expect_near(model.estimate(batch, samples), exact, 2e-4);
  }
}

TEST(LinearGaussianVae, WithAWrongPosteriorTheBoundRisesToTheLikelihood) {
  LinearGaussian model(0.4, 0.7);
  const Batch batch = model.sample(500);
  const double exact = model.exact(batch).mean().item<double>();
  double last = -1e9;
  for (const int64_t samples : {1, 4, 16, 256}) {
    const double bound = model.estimate(batch, samples).mean().item<double>();
    EXPECT_GT(bound, last) << samples;
    EXPECT_LT(bound, exact) << samples;
    last = bound;
  }
  EXPECT_NEAR(last, exact, 0.05);
  // One draw misses KL(q || posterior) of shift 0.4 and variance ratio e^0.7 on average.
  const Tensor precision = 1 + model.w.square().sum(0) / (kStd * kStd);
  const double gap = 0.5 * (0.16 * precision + std::exp(0.7) - 1 - 0.7).sum().item<double>();
  EXPECT_NEAR(model.estimate(batch, 1).mean().item<double>(), exact - gap, 0.1 * gap);
}

TEST(LinearGaussianVae, ValidationIsTheEvidenceLowerBound) {
  LinearGaussian model;
  const Batch batch = model.sample(2000);
  Draw draw = make_draw(batch);
  const at::NoGradGuard guard;
  Tensors means = model.vae.model->validate(batch, draw);
  for (auto& [name, values] : means) {
    ASSERT_EQ(values.sizes(), (at::IntArrayRef{2000})) << name;
    values = values.mean();
  }
  const double nelbo = means.at("nelbo").item<double>();
  EXPECT_NEAR(nelbo, -model.exact(batch).mean().item<double>(), 0.15);  // exact posterior: no gap
  EXPECT_NEAR(nelbo, means.at("reconstruction").item<double>() + means.at("kl").item<double>(),
              1e-4);
  EXPECT_TRUE(means.count(model.vae.model->objective()));
}

/// A Bernoulli VAE of single linear layers, small enough to be written out by hand.
struct LinearBernoulli {
  LinearBernoulli()
      : info(make_info(1, 3, 3)),
        vae({{"latent", 2},
             {"encoder", {{"hidden", Json::array()}}},
             {"decoder", {{"hidden", Json::array()}}}},
            info) {}
  Tensor weight(const std::string& name) { return vae.parameter(name).detach().to(at::kDouble); }

  DataInfo info;
  Vae vae;
};

TEST(LogLikelihood, OfOneDrawIsTheSingleSampleBound) {
  LinearBernoulli model;
  const Batch batch = make_batch(binary_images(5, model.info));
  const at::NoGradGuard guard;
  const Tensor found = model.vae.likelihood->log_likelihood(batch, make_draw(batch), 1);
  const Tensor noise = make_draw(batch).normal("importance", {2}).to(at::kDouble);
  const Tensor x = batch.input.flatten(1).to(at::kDouble);
  const Tensor q = x.mm(model.weight("posterior.weight").t()) + model.weight("posterior.bias");
  const Tensor mean = q.narrow(1, 0, 2), variance = q.narrow(1, 2, 2).exp();
  const Tensor z = mean + variance.sqrt() * noise;
  const Tensor logits =
      z.mm(model.weight("decoder.spread.weight").t()) + model.weight("decoder.spread.bias");
  const Tensor p = logits.sigmoid();
  const Tensor log_px = (x * p.log() + (1 - x) * (1 - p).log()).sum(1);
  const Tensor log_pz = -0.5 * z.square().sum(1);  // the constants of p and q cancel
  const Tensor log_qz = -0.5 * ((z - mean).square() / variance + variance.log()).sum(1);
  expect_near(found, log_px + log_pz - log_qz, 1e-5);
}

// log p(x) by integration over the two latent dimensions
TEST(LogLikelihood, OfManyDrawsIsTheIntegral) {
  LinearBernoulli model;
  const Batch batch = make_batch(binary_images(4, model.info));
  const at::NoGradGuard guard;
  const double h = 0.05;
  const Tensor axis = at::arange(-8.0, 8.0, h, at::kDouble);
  const auto grid = at::meshgrid({axis, axis}, "ij");
  const Tensor z = at::stack({grid[0].flatten(), grid[1].flatten()}, 1);
  const Tensor logits =
      z.mm(model.weight("decoder.spread.weight").t()) + model.weight("decoder.spread.bias");
  const Tensor x = batch.input.flatten(1).to(at::kDouble);
  const Tensor log_px = x.mm(logits.t()) - at::softplus(logits).sum(1);  // [B, grid]
  const Tensor log_pz = -0.5 * z.square().sum(1) - std::log(2 * std::numbers::pi);
  const Tensor exact = (log_px + log_pz).logsumexp(1) + 2 * std::log(h);
  expect_near(model.vae.likelihood->log_likelihood(batch, make_draw(batch), 20'000), exact, 0.02);
}

TEST(LogLikelihood, DoesNotDependOnTheBatch) {  // nor on the chunks that it is computed in
  const DataInfo info = make_info(1, 4, 4);
  Vae vae({{"latent", 3}, {"encoder", {{"hidden", {8}}}}, {"decoder", {{"hidden", {8}}}}}, info);
  const at::NoGradGuard guard;
  const Batch many = make_batch(binary_images(64, info));
  const Batch one = make_batch(binary_images(1, info, 17), 17);
  ASSERT_TRUE(one.input[0].equal(many.input[17]));
  for (const int64_t samples : {1, 33, 2500}) {
    const Tensor all = vae.likelihood->log_likelihood(many, make_draw(many), samples);
    const Tensor alone = vae.likelihood->log_likelihood(one, make_draw(one), samples);
    EXPECT_EQ(all.sizes(), (std::vector<int64_t>{64}));
    EXPECT_NEAR(alone.item<double>(), all[17].item<double>(), 1e-4) << samples;
  }
}

// Training

TEST(VaeLoss, WeighsTheKlTerm) {
  const DataInfo info = make_info(1, 4, 4);
  Vae vae({{"latent", 3}, {"beta", 2}, {"kl_warmup", 10}}, info);
  const auto weight = [&](int64_t step) {
    return vae.model->scheduled({.step = step, .steps = 100}).at("kl_weight");
  };
  EXPECT_EQ(weight(0), 0);
  EXPECT_DOUBLE_EQ(weight(5), 1);
  EXPECT_EQ(weight(10), 2);
  EXPECT_EQ(weight(99), 2);

  const Batch batch = make_batch(binary_images(6, info));
  Draw draw = make_draw(batch);
  const auto phases = vae.model->phases();
  ASSERT_EQ(phases.size(), 1u);
  const Tensors draws = phases[0].draw(batch, draw);
  Tensors carry, shared;
  for (const float kl_weight : {0.f, 0.3f, 1.f}) {
    const Tensors scheduled{{"kl_weight", at::full({}, kl_weight)}};
    LossInput in{batch, draws, scheduled, carry, shared};
    const Loss loss = phases[0].loss(in);
    const double kl = loss.logs.at("kl").item<double>();
    const double reconstruction = loss.logs.at("reconstruction").item<double>();
    EXPECT_GT(kl, 0);
    EXPECT_NEAR(loss.value.item<double>(), reconstruction + kl_weight * kl, 1e-4);
    EXPECT_NEAR(loss.logs.at("nelbo").item<double>(), reconstruction + kl, 1e-4);
    EXPECT_TRUE(loss.value.requires_grad());
    for (const auto& [name, log] : loss.logs) EXPECT_FALSE(log.requires_grad()) << name;
  }
}

TEST(VaeLoss, ReachesEveryParameter) {
  for (const char* kind : {"mlp", "conv"}) {
    const DataInfo info = make_info(1, 8, 8);
    const Json network = {{"kind", kind}, {"hidden", {8}}, {"width", 4}, {"levels", 1}};
    Vae vae({{"latent", 3}, {"encoder", network}, {"decoder", network}, {"pixels", "gaussian"}},
            info);
    const auto sets = vae.model->parameter_sets();
    ASSERT_EQ(sets.size(), 1u);
    EXPECT_EQ(sets[0].parameters.size(), vae.model->module().named_parameters().size());
    const Batch batch = make_batch(binary_images(6, info));
    Draw draw = make_draw(batch);
    const auto phases = vae.model->phases();
    const Tensors draws = phases[0].draw(batch, draw), scheduled{{"kl_weight", at::ones({})}};
    Tensors carry, shared;
    LossInput in{batch, draws, scheduled, carry, shared};
    phases[0].loss(in).value.backward();
    for (const std::string& name : sets[0].parameters) {
      const Tensor gradient = vae.parameter(name).grad();
      ASSERT_TRUE(gradient.defined()) << name;
      EXPECT_GT(gradient.abs().sum().item<double>(), 0) << name;
    }
  }
}

TEST(Vae, Learns) {
  const ImageSet digits = make_digits(1, 64, 1);
  Dataset data;
  data.train.grids = to_tensor(digits.train);
  data.info = make_info(1, 28, 28);
  data.info.binarize = Binarize::threshold;
  const Batch batch = items_batch(data.train, data.info, 0, 64, at::kCPU);
  Vae vae({{"latent", 8}, {"encoder", {{"hidden", {64}}}}, {"decoder", {{"hidden", {64}}}}},
          data.info);
  torch::optim::AdamW optimizer(vae.model->module().parameters(),
                                torch::optim::AdamWOptions(1e-2).weight_decay(0));
  const Phase phase = vae.model->phases().at(0);
  const Tensors scheduled{{"kl_weight", at::ones({})}};
  Tensors carry, shared;
  std::vector<double> nelbo;
  for (int64_t step = 0; step < 200; ++step) {
    Draw draw(1, "train", ids(64, 64 * step));
    const Tensors draws = phase.draw(batch, draw);
    LossInput in{batch, draws, scheduled, carry, shared};
    const Loss loss = phase.loss(in);
    optimizer.zero_grad();
    loss.value.backward();
    optimizer.step();
    nelbo.push_back(loss.logs.at("nelbo").item<double>());
  }
  EXPECT_NEAR(nelbo.front(), 784 * std::log(2), 60);  // knows nothing: a coin for each pixel
  EXPECT_LT(nelbo.back(), 60);
}

// Settings and shapes

TEST(VaeSettings, MustFitTheData) {
  const auto make = [](const Json& settings, const DataInfo& info) {
    make_model(vae_family(), settings, info);
  };
  const DataInfo plain = make_info(1, 8, 8);
  expect_error(ErrorKind::usage, "model.condition: class: the data set 'test' has no labels", [&] {
    make({{"condition", "class"}}, plain);
  });
  for (const Binarize binarize : {Binarize::dynamic, Binarize::fixed, Binarize::threshold}) {
    DataInfo binary = plain;
    binary.binarize = binarize;
    expect_error(ErrorKind::usage, "model.pixels: gaussian pixels are grey", [&] {
      make({{"pixels", "gaussian"}}, binary);
    });
    EXPECT_NO_THROW(make({{"pixels", "bernoulli"}}, binary));
  }
  EXPECT_NO_THROW(make({{"pixels", "gaussian"}}, plain));
}

TEST(VaeSettings, TooManyLevelsForTheImage) {
  for (const char* network : {"encoder", "decoder"}) {
    const auto make = [&](int64_t levels, int64_t height, int64_t width) {
      make_model(vae_family(), {{network, {{"kind", "conv"}, {"width", 2}, {"levels", levels}}}},
                 make_info(1, height, width));
    };
    EXPECT_NO_THROW(make(3, 8, 8));
    EXPECT_NO_THROW(make(0, 1, 1));
    expect_error(ErrorKind::usage, "levels: 4 halvings leave nothing of 8 positions (an image 8x8",
                 [&] { make(4, 8, 8); });
    expect_error(ErrorKind::usage, "8x100", [&] { make(4, 100, 8); });
  }
}

TEST(VaeSettings, UnknownOrWrong) {
  for (const Json& wrong :
       {Json{{"latnt", 3}}, Json{{"latent", 0}}, Json{{"latent", 2.0}},
        Json{{"encoder", {{"kind", "resnet"}}}}, Json{{"encoder", {{"hidden", {0}}}}},
        Json{{"pixel_std", -1}}, Json{{"beta", -1}}, Json{{"pixels", "poisson"}}}) {
    expect_error(ErrorKind::usage, wrong.begin().key(),
                 [&] { make_model(vae_family(), wrong, make_info(1, 8, 8)); });
  }
}

TEST(VaeShapes, AnySizeAndNumberOfChannels) {
  for (const char* kind : {"mlp", "conv"}) {
    for (const int64_t levels : {0, 1, 2, 4}) {
      const DataInfo info = make_info(3, 29, 31);
      const int64_t patch = levels == 2 ? 3 : 1;
      const Json network = {{"kind", kind},        {"hidden", {8}},  {"width", 2},
                            {"blocks", patch - 1}, {"patch", patch}, {"levels", levels}};
      Vae vae({{"latent", 5}, {"encoder", network}, {"decoder", network}}, info);
      const at::NoGradGuard guard;
      const Batch batch = make_batch(binary_images(2, info));
      const Tensor points = vae.latent->encode(batch.input, {});
      EXPECT_EQ(points.sizes(), (std::vector<int64_t>{2, 5}));
      EXPECT_EQ(vae.latent->latent_size(), 5);
      const std::vector<int64_t> expected{2, 3, 29, 31};
      EXPECT_EQ(vae.latent->decode(points, {}).sizes(), expected) << kind << levels;
      EXPECT_EQ(vae.generator->generate(Draw(0, "generate", {4, 5}), {}, kNoOptions).sizes(),
                expected);
      EXPECT_EQ(vae.likelihood->log_likelihood(batch, make_draw(batch), 3).sizes(),
                (std::vector<int64_t>{2}));
    }
  }
}

TEST(VaeShapes, HalvingsRoundUp) {
  EXPECT_EQ(halvings(28, 2), (std::vector<int64_t>{28, 14, 7}));
  EXPECT_EQ(halvings(29, 5), (std::vector<int64_t>{29, 15, 8, 4, 2, 1}));
  EXPECT_EQ(halvings(1, 0), (std::vector<int64_t>{1}));
}

// Capabilities

TEST(VaeConditional, TellsNetworksTheClass) {
  DataInfo info = make_info(1, 4, 4);
  info.classes = {"a", "b", "c"};
  Vae vae({{"latent", 2}, {"condition", "class"}}, info);
  ASSERT_EQ(classes_of(vae.model->conditions()), 3);
  const at::NoGradGuard guard;
  const Tensor x = binary_images(1, info).expand({3, 1, 4, 4}),
               labels = at::tensor({0, 1, 2}, at::kLong);
  const auto all_differ = [](const Tensor& rows) {
    return !rows[0].equal(rows[1]) && !rows[1].equal(rows[2]) && !rows[0].equal(rows[2]);
  };
  EXPECT_TRUE(all_differ(vae.latent->encode(x, told_class(labels))));
  EXPECT_TRUE(all_differ(vae.latent->decode(at::ones({3, 2}), told_class(labels))));
  EXPECT_TRUE(
      all_differ(vae.generator->generate(Draw(0, "g", {7, 7, 7}), told_class(labels), kNoOptions)));
  Batch batch = make_batch(x);
  batch.conditions = told_class(labels);
  const Draw draw(1, "test", {7, 7, 7});
  EXPECT_TRUE(all_differ(vae.likelihood->log_likelihood(batch, draw, 10)));

  Vae plain({{"latent", 2}}, info);
  EXPECT_TRUE(plain.model->conditions().empty());
  EXPECT_TRUE(plain.likelihood->log_likelihood(batch, draw, 2)[0].equal(
      plain.likelihood->log_likelihood(batch, draw, 2)[1]));
}

TEST(VaeConditional, TellsNetworksAGrid) {
  const DataInfo info = make_info(1, 8, 8);
  const at::NoGradGuard guard;
  for (const char* kind : {"mlp", "conv"}) {
    const Json network = {{"kind", kind}, {"hidden", {16}}, {"width", 4}, {"levels", 2}};
    Vae vae({{"latent", 2}, {"condition", "low-4"}, {"encoder", network}, {"decoder", network}},
            info);
    const Tensor x = binary_images(2, info), points = at::ones({2, 2});
    const auto told = [&](double value) {
      return Tensors{{"low-4", at::full({2, 1, 8, 8}, value)}};
    };
    EXPECT_FALSE(vae.latent->encode(x, told(0)).equal(vae.latent->encode(x, told(1)))) << kind;
    EXPECT_FALSE(vae.latent->decode(points, told(0)).equal(vae.latent->decode(points, told(1))))
        << kind;
    EXPECT_THROW(vae.latent->decode(points, {}), std::logic_error);
  }
}

TEST(VaeConditional, WithoutALabelMeasuresAllClasses) {
  DataInfo info = make_info(1, 4, 4);
  info.classes = {"a", "b", "c"};
  Vae vae({{"latent", 2}, {"condition", "class"}}, info);
  const at::NoGradGuard guard;
  Batch batch = make_batch(binary_images(5, info));
  Draw draw(1, "test", ids(5));
  const Tensor unknown = vae.likelihood->log_likelihood(batch, draw, 20);
  const Tensors bound = vae.model->validate(batch, draw);
  std::vector<Tensor> likelihoods, bounds;
  for (int64_t label = 0; label < 3; ++label) {
    batch.conditions = told_class(at::full({5}, label, at::kLong));
    likelihoods.push_back(vae.likelihood->log_likelihood(batch, draw, 20));
    bounds.push_back(-vae.model->validate(batch, draw).at("nelbo"));
  }
  // p(x) = 1/3 sum_y p(x|y), and so for bounds of it.
  expect_near(unknown.exp(), at::stack(likelihoods).exp().mean(0), 1e-9);
  expect_near(bound.at("nelbo").neg().exp(), at::stack(bounds).exp().mean(0), 1e-6);
  expect_near(bound.at("reconstruction") + bound.at("kl"), bound.at("nelbo"), 1e-5);
}

TEST(VaeGenerate, TheSameNumberGivesTheSameImage) {
  const DataInfo info = make_info(1, 8, 8);
  Vae vae({{"latent", 3}}, info);
  const at::NoGradGuard guard;
  const Tensor all = vae.generator->generate(Draw(0, "g", ids(40)), {}, kNoOptions);
  const Tensor one = vae.generator->generate(Draw(0, "g", {23}), {}, kNoOptions);
  const Tensor mixed = vae.generator->generate(Draw(0, "g", {39, 23, 0, 23}), {}, kNoOptions);
  expect_near(one[0], all[23], 1e-6);
  expect_near(mixed, all.index_select(0, at::tensor({39, 23, 0, 23}, at::kLong)), 1e-6);
  EXPECT_TRUE(mixed[1].equal(mixed[3]));
  EXPECT_FALSE(all[0].allclose(all[1], 0, 1e-3));
  EXPECT_GE(all.min().item<double>(), 0);
  EXPECT_LE(all.max().item<double>(), 1);
}

TEST(VaeGenerate, TemperatureScalesTheLatentPoints) {
  const DataInfo info = make_info(1, 8, 8);
  Vae vae({{"latent", 3}}, info);
  const at::NoGradGuard guard;
  const Draw draw(0, "g", ids(5));
  const auto at_temperature = [&](double t) {
    return vae.generator->generate(draw, {}, {{"temperature", t}});
  };
  const Tensor z = draw.normal("z", {3});
  expect_near(at_temperature(0), vae.latent->decode(at::zeros({5, 3}), {}), 1e-6);
  expect_near(at_temperature(1), vae.latent->decode(z, {}), 1e-6);
  expect_near(at_temperature(2.5), vae.latent->decode(2.5 * z, {}), 1e-6);
  EXPECT_TRUE(at_temperature(1).equal(vae.generator->generate(draw, {}, Json::object())));
}

TEST(VaeGenerate, BinaryDrawsPixelsByTheirMeans) {
  const DataInfo info = make_info(1, 8, 8);
  Vae vae({{"latent", 3}}, info);
  vae.set("decoder.spread.bias", at::linspace(-4, 4, 64));
  const at::NoGradGuard guard;
  const Draw draw(0, "g", ids(2000));
  const Tensor means = vae.generator->generate(draw, {}, kNoOptions);
  const Tensor drawn = vae.generator->generate(draw, {}, {{"binary", true}});
  EXPECT_TRUE(drawn.eq(0).logical_or(drawn.eq(1)).all().item<bool>());
  expect_near(drawn.mean(0), means.mean(0), 5 * 0.5 / std::sqrt(2000));
}

TEST(VaeGenerate, RejectsWrongOptions) {
  Vae vae({{"latent", 3}}, make_info(1, 8, 8));
  for (const Json& wrong : {Json{{"temprature", 1}}, Json{{"temperature", -1}},
                            Json{{"temperature", "hot"}}, Json{{"binary", 1}}}) {
    expect_error(ErrorKind::usage, wrong.begin().key(),
                 [&] { vae.generator->generate(Draw(0, "g", {0}), {}, wrong); });
  }
}

TEST(VaeHealth, CountsLatentDimensionsInUse) {
  LinearGaussian model;
  const Batch batch = model.sample(200);
  const at::NoGradGuard guard;
  EXPECT_EQ(model.vae.model->health(batch), "2 of 2 latent dimensions are in use");
  Tensor weight = model.vae.parameter("posterior.weight");
  weight.zero_();
  EXPECT_EQ(model.vae.model->health(batch).find("0 of 2 latent dimensions are in use; "), 0u);
}

// Codes

TEST(QuantizeToLevels, RoundsWhatTanhBounds) {
  const Tensor z = at::tensor({-9.0, -0.4, 0.1, 0.6, 9.0}).view({1, 5});
  // tanh: -1, -0.38, 0.10, 0.54, 1
  expect_near(quantize_to_levels(z, 3), at::tensor({-1.0, 0.0, 0.0, 1.0, 1.0}).view({1, 5}), 1e-12);
  expect_near(quantize_to_levels(z, 2), at::tensor({-1.0, -1.0, 1.0, 1.0, 1.0}).view({1, 5}),
              1e-12);
  expect_near(quantize_to_levels(z, 5), at::tensor({-1.0, -0.5, 0.0, 0.5, 1.0}).view({1, 5}),
              1e-12);
}

TEST(QuantizeToLevels, PassesTheGradientOfTanhThrough) {
  Tensor z = at::tensor({-1.0, 0.2, 2.0}).view({1, 3}).requires_grad_();
  quantize_to_levels(z, 4).sum().backward();
  expect_near(z.grad(), 1 - z.detach().tanh().square(), 1e-12);
}

TEST(VaeOfCodes, HasTheBoundOfAUniformPrior) {
  const DataInfo info = make_info(1, 4, 4);
  Vae vae({{"latent", 3}, {"latent_levels", 5}, {"encoder", {{"hidden", {8}}}}}, info);
  EXPECT_EQ(vae.latent->latent_levels(), 5);
  const Batch batch = make_batch(binary_images(6, info));
  Draw draw = make_draw(batch);
  const at::NoGradGuard no_grad;
  const Tensors terms = vae.model->validate(batch, draw);
  expect_near(terms.at("kl"), at::full({6}, 3 * std::log(5.0)), 1e-5);
  // log p(x | z) p(z) of the one code, whatever is drawn.
  const Tensor code = vae.latent->encode(batch.input, {});
  EXPECT_TRUE(at::equal((code * 2).round(), code * 2));
  const Tensor pixels = vae.latent->decode(code, {}).logit();
  const Tensor expected = bernoulli_log_likelihood(pixels, batch.input) - 3 * std::log(5.0);
  for (const int64_t draws : {1, 50}) {
    expect_near(vae.likelihood->log_likelihood(batch, make_draw(batch), draws),
                expected.to(at::kDouble), 1e-4);
  }
  EXPECT_EQ(vae.likelihood->estimator(50), "elbo");
}

TEST(VaeOfCodes, DrawsAllCodesEquallyOften) {
  const DataInfo info = make_info(1, 4, 4);
  Vae vae({{"latent", 1}, {"latent_levels", 3}, {"decoder", {{"hidden", {8}}}}}, info);
  const at::NoGradGuard no_grad;
  const Tensor made = vae.generator->generate(Draw(1, "test", ids(900)), {}, kNoOptions);
  for (const double code : {-1.0, 0.0, 1.0}) {
    const Tensor image = vae.latent->decode(at::full({1, 1}, code), {});
    const Tensor same = (made - image).abs().flatten(1).amax(1).lt(1e-5);
    EXPECT_NEAR(same.sum().item<double>(), 300, 60) << code;
  }
  expect_error(ErrorKind::usage, "sampling.temperature", [&] {
    vae.generator->generate(Draw(1, "test", ids(2)), {}, {{"temperature", 0.5}});
  });
}

TEST(VaeOfCodes, NeedTwoLevels) {
  expect_error(ErrorKind::usage, "model.latent_levels: 1 level tells nothing", [] {
    Vae({{"latent_levels", 1}}, make_info(1, 4, 4));
  });
}

}  // namespace
}  // namespace genai
