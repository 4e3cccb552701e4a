#include "genai/models/diffusion.h"

#include <cmath>
#include <numbers>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/core/device.h"
#include "genai/data/value_range.h"
#include "genai/sampling/bound.h"
#include "genai/sampling/from_noise.h"

namespace genai {

Preconditioning precondition(Prediction prediction, double data_std, const NoiseLevels& level) {
  const Tensor alpha = level.alpha.to(at::kDouble), sigma = level.sigma.to(at::kDouble);
  const Tensor square = alpha.square() + sigma.square(), length = square.sqrt();
  Preconditioning c{.skip = {}, .out = {}, .in = 1 / length, .target_x0 = {}, .target_noise = {}};
  switch (prediction) {
    case Prediction::epsilon:
      c.skip = 1 / alpha;
      c.out = -sigma / alpha;
      break;
    case Prediction::x0:
      c.skip = at::zeros_like(alpha);
      c.out = at::ones_like(alpha);
      break;
    case Prediction::v:
      c.skip = alpha / square;
      c.out = -sigma / length;
      break;
    case Prediction::edm: {
      const Tensor variance = alpha.square() * (data_std * data_std) + sigma.square();  // of x
      c.skip = alpha * (data_std * data_std) / variance;
      c.out = sigma * data_std / variance.sqrt();
      c.in = 1 / variance.sqrt();
      break;
    }
    case Prediction::velocity:
      c.skip = 1 / (alpha + sigma);
      c.out = -sigma / (alpha + sigma);
      break;
  }
  // D = x0 solved for F.
  c.target_x0 = (1 - c.skip * alpha) / c.out;
  c.target_noise = -c.skip * sigma / c.out;
  return c;
}

Tensor loss_weights(const DiffusionConfig& config, const NoiseLevels& level) {
  const double data_std = config.process.data_std;
  const Tensor snr = (level.alpha.to(at::kDouble) / level.sigma.to(at::kDouble)).square();
  const Tensor out = precondition(config.prediction, data_std, level).out;
  switch (config.loss_weight) {
    case LossWeight::uniform:
      return at::ones_like(snr);
    case LossWeight::min_snr:
      return snr.clamp_max(config.snr_limit) * out.square();
    case LossWeight::edm:
      return (snr + 1 / (data_std * data_std)) * out.square();
  }
  throw std::logic_error("a loss weight without a formula");
}

namespace {

const EnumNames<Prediction> kPredictionNames = {{Prediction::epsilon, "epsilon"},
                                                {Prediction::x0, "x0"},
                                                {Prediction::v, "v"},
                                                {Prediction::edm, "edm"},
                                                {Prediction::velocity, "velocity"}};
const EnumNames<LossWeight> kLossWeightNames = {
    {LossWeight::uniform, "uniform"}, {LossWeight::min_snr, "min-snr"}, {LossWeight::edm, "edm"}};

const FieldTable& diffusion_fields() {
  static const FieldTable table =
      describe<DiffusionConfig>()
          .nest("process", &DiffusionConfig::process, process_fields())
          .field("prediction", &DiffusionConfig::prediction, "what the network's output stands for",
                 kPredictionNames)
          .field("loss_weight", &DiffusionConfig::loss_weight,
                 "what errors at different levels of noise count", kLossWeightNames)
          .field("snr_limit", &DiffusionConfig::snr_limit,
                 "min-snr: signal-to-noise ratio from which on errors count the same", above(0))
          .field("self_conditioning", &DiffusionConfig::self_conditioning,
                 "the network sees its own earlier prediction")
          .field("condition_dropout", &DiffusionConfig::condition_dropout,
                 "share of images whose conditions it is not told, for guidance", between(0, 1))
          .nest("network", &DiffusionConfig::network, unet_fields())
          .table();
  return table;
}

struct DiffusionSampling {
  Solver sampler = Solver::dpmpp_2m;
  int64_t steps = 10;
  Spacing levels = Spacing::karras;
  double guidance = 0;
  double eta = 0;
  double churn = 0;
  bool clip = true;
};

const FieldTable& diffusion_sampling_fields() {
  static const FieldTable table =
      describe<DiffusionSampling>()
          .field("sampler", &DiffusionSampling::sampler, "how a step is made", kSolverNames)
          .field("steps", &DiffusionSampling::steps, "steps from noise to image",
                 between(0, 100000))
          .field("levels", &DiffusionSampling::levels, "spacing of the levels of noise",
                 kSpacingNames)
          .field("guidance", &DiffusionSampling::guidance,
                 "how much more of the condition than it has by itself; -1: without",
                 between(-1, 100))
          .field("eta", &DiffusionSampling::eta, "ddim: share of fresh noise; 1: as ddpm",
                 between(0, 1))
          .field("churn", &DiffusionSampling::churn,
                 "euler, heun: noise added on the way, summed over the steps", between(0, 1000))
          .field("clip", &DiffusionSampling::clip,
                 "predicted images are held to the range of pixels")
          .table();
  return table;
}

/// Numbers in [0, 1), one for each item, that any run of consecutive items spreads evenly:
/// multiples of the golden ratio (H. Weyl 1916). Levels of noise drawn so make the gradient less
/// noisy.
Tensor evenly_spread(const std::vector<int64_t>& items, at::Device device) {
  constexpr uint64_t kGoldenRatio = 0x9E3779B97F4A7C15;
  const Tensor numbers =
      at::empty({static_cast<int64_t>(items.size())}, host_options(at::kFloat, device));
  auto* number = numbers.mutable_data_ptr<float>();
  for (const int64_t item : items) {
    *number++ = static_cast<float>((static_cast<uint64_t>(item) * kGoldenRatio) >> 40) * 0x1p-24f;
  }
  return numbers.to(device, /*non_blocking=*/true);
}

/// The option of `sample` that says it.
std::string option_of(const ConditionSpec& spec) {
  switch (spec.kind) {
    case ConditionKind::label:
      return "request.class";
    case ConditionKind::grid:
      return "request.condition";
    case ConditionKind::sequence:
      return "request.prompt";
  }
  return "";
}

/// [B] along the images of x.
Tensor rows(const Tensor& values, const Tensor& x) {
  return values.to(x.dtype()).view({-1, 1, 1, 1});
}

class Diffusion : public torch::nn::Module,
                  public Model,
                  public Generator,
                  public Denoiser,
                  public Likelihood {
 public:
  Diffusion(const DiffusionConfig& config, const ModelContext& context)
      : Model(context.inputs),
        config_(config),
        info_(context.info),
        range_(info_),
        classes_(classes_of(conditions())),
        process_(config.process) {
    const int64_t channels = info_.channels;
    const int64_t in = channels * (config.self_conditioning ? 2 : 1) + grid_channels(conditions());
    const ConditionSpec* words = sequence_of(conditions());
    network_ =
        register_module("network", UNet(config.network, in, channels, classes_,
                                        words ? words->vocabulary : 0, words ? words->length : 0));
  }

  torch::nn::Module& module() override { return *this; }
  std::vector<ParameterSet> parameter_sets() override {
    return {all_parameters(*this, is_hidden_matrix)};
  }

  std::vector<Phase> phases() override {
    return {{.name = "denoise",
             .updates = "all",
             .draw = [this](const Batch& batch, Draw& draw) { return make_draws(batch, draw); },
             .loss =
                 [this](LossInput& in) {
                   return Loss{.value = errors(in.batch, in.draws).mean(), .logs = {}};
                 }}};
  }

  Tensors validate(const Batch& batch, Draw& draw) override {
    return {{"loss", errors(batch, make_draws(batch, draw))}};
  }

  std::string objective() const override { return "loss"; }

  std::string health(const Batch& batch) override {
    const Tensor x0 = range_.centred(batch.input);
    const Draw draw(0, "health", batch.sample_ids, x0.device());
    const Tensor one = at::full({x0.size(0)}, std::numbers::sqrt2 / 2, x0.options());
    const Tensor x = rows(one, x0) * (x0 + draw.normal("noise", x0.sizes().slice(1)));
    const Tensor clean = predict(x, {.alpha = one, .sigma = one}, batch.conditions);
    const double differences = x0.var(0, false).mean().item<double>();
    if (!(differences > 1e-12)) return "";  // images that are all alike
    const double unexplained = (clean - x0).square().mean().item<double>() / differences;
    return concat("under as much noise as signal the network finds ",
                  number_text(100 * (1 - unexplained), 3), " % of what images differ in");
  }

  Tensor generate(const Draw& draw, const Tensors& told, const Json& options) override {
    const SamplingPlan plan = sampling_plan(told, options);
    const std::vector<int64_t> shape{info_.channels, info_.height, info_.width};
    return range_.items(solve_from_noise(draw, shape, plan.levels, plan.denoise, plan.solver));
  }

  SamplingPlan sampling_plan(const Tensors& told, const Json& options) override {
    const auto sampling =
        from_json<DiffusionSampling>(diffusion_sampling_fields(), options, "sampling");
    const auto levels = process_.sampling_levels(sampling.levels, sampling.steps);
    check(sampling, levels.front());
    const double guidance = sampling.guidance;
    const bool informed = told.size() == conditions().size();
    if (!informed && config_.condition_dropout == 0) {
      fail(ErrorKind::usage, "this model always knew the ", conditions()[0].name,
           " (condition_dropout 0); expected ", option_of(conditions()[0]));
    }
    if (guidance != 0 && guidance != -1 && !informed) {
      fail(ErrorKind::usage, "sampling.guidance: towards which ", conditions()[0].name,
           "? expected ", option_of(conditions()[0]), " beside it");
    }
    const auto earlier = std::make_shared<Tensor>();  // for self-conditioning
    return {.levels = levels,
            .denoise =
                [=, this](const Tensor& x, const NoiseLevel& at) {
                  Tensor clean = guided(x, at, told, guidance, *earlier);
                  if (sampling.clip) clean = range_.held(clean);
                  if (config_.self_conditioning) *earlier = clean.detach();
                  return clean;
                },
            .solver = {.solver = sampling.sampler, .eta = sampling.eta, .churn = sampling.churn}};
  }

  std::vector<NoiseLevel> bound_levels() const override {
    return process_.steps() > 0 ? process_.sampling_levels(Spacing::uniform, process_.steps())
                                : process_.sampling_levels(Spacing::log_snr, kBoundLevels);
  }

  Tensor predict(const Tensor& x, const NoiseLevels& level, const Tensors& told) override {
    return range_.held(prediction(x, level, known(told, x), {}));
  }

  Tensor log_likelihood(const Batch& batch, const Draw& draw, int64_t samples) override {
    const auto predictions = [&](const Tensor& x, const NoiseLevels& level) {
      return predict(x, level, batch.conditions);
    };
    return -variational_bound(range_.centred(batch.input), bound_levels(), predictions, draw,
                              samples)
                .total();
  }

  std::string estimator(int64_t samples) const override {
    const auto levels = static_cast<int64_t>(bound_levels().size()) - 1;
    return concat("vlb", levels, samples < levels - 1 ? concat("x", samples) : "");
  }

  int64_t usual_draws(bool full) const override { return full ? 100 : 8; }

  std::string pixel_model() const override { return "8-bit"; }

 private:
  /// Levels of the bound where training knows a continuum of them.
  static constexpr int64_t kBoundLevels = 1000;

  void check(const DiffusionSampling& sampling, const NoiseLevel& begin) const {
    const SolverOptions solver{
        .solver = sampling.sampler, .eta = sampling.eta, .churn = sampling.churn};
    if (sampling.guidance != 0 && conditions().empty()) {
      fail(ErrorKind::usage, "sampling.guidance: this model was trained without a condition; ",
           "expected 0, found ", sampling.guidance, " (train one with model.condition class)");
    }
    if (sampling.guidance != 0 && config_.condition_dropout == 0) {
      fail(ErrorKind::usage, "sampling.guidance: this model always knew the ", conditions()[0].name,
           " (condition_dropout 0); expected 0, found ", sampling.guidance);
    }
    if (begin.alpha == 0 && needs_signal(solver)) {
      fail(ErrorKind::usage, "sampling.sampler: a flow begins without any signal; expected ",
           "sampling.levels karras or log-snr, or ipndm, or euler, heun or ddim without "
           "sampling.churn and "
           "sampling.eta, found ",
           enum_name(kSolverNames, sampling.sampler),
           sampling.sampler == Solver::ddim ? " with eta"
           : sampling.churn > 0             ? " with churn"
                                            : "");
    }
    if (sampling.eta > 0 && sampling.sampler != Solver::ddim) {
      fail(ErrorKind::usage, "sampling.eta: only ddim has it, found ",
           enum_name(kSolverNames, sampling.sampler));
    }
    if (sampling.churn > 0 && sampling.sampler != Solver::euler &&
        sampling.sampler != Solver::heun) {
      fail(ErrorKind::usage, "sampling.churn: only euler and heun have it, found ",
           enum_name(kSolverNames, sampling.sampler));
    }
  }

  Tensors make_draws(const Batch& batch, const Draw& draw) const {
    Tensors draws{{"level", evenly_spread(batch.sample_ids, draw.device())},
                  {"noise", draw.normal("noise", batch.input.sizes().slice(1))}};
    if (!conditions().empty()) draws["class"] = draw.uniform("class", {});  // its name since 0.1
    if (config_.self_conditioning) draws["self"] = draw.uniform("self", {});
    return draws;
  }

  /// What the network is told: the class `classes_`, a grid of zeros and no words mean "unknown".
  struct Known {
    Tensor labels, grid, words;
  };

  /// Of x [B, C, H, W]; without some of the conditions nothing is known.
  Known known(const Tensors& told, const Tensor& x) const {
    if (told.size() == conditions().size()) {
      const Tensor grid = grids_among(conditions(), told);
      return {labels_among(told), grid.defined() ? told_range_.centred(grid) : grid,
              sequence_among(told)};
    }
    Known none;
    const int64_t count = x.size(0), channels = grid_channels(conditions());
    if (classes_ > 0) none.labels = at::full({count}, classes_, x.options().dtype(at::kLong));
    if (const ConditionSpec* words = sequence_of(conditions())) {
      none.words =
          at::full({count, words->length}, words->vocabulary - 1, x.options().dtype(at::kLong));
    }
    if (channels > 0) none.grid = at::zeros({count, channels, x.size(2), x.size(3)}, x.options());
    return none;
  }

  /// F of the U-Net at x [B, C, H, W].
  Tensor network(const Tensor& x, const NoiseLevels& level, const Preconditioning& c,
                 const Known& known, const Tensor& earlier) {
    Tensor input = x * rows(c.in, x);
    if (config_.self_conditioning) {
      input = at::cat({input, earlier.defined() ? earlier : at::zeros_like(x)}, 1);
    }
    if (known.grid.defined()) input = at::cat({input, known.grid}, 1);
    // The angle between signal and noise: 0 without noise, 1000 without signal. For the cosine
    // schedule it is the time.
    const Tensor time = at::atan2(level.sigma, level.alpha) * (2000 / std::numbers::pi);
    return network_->forward(input, time, known.labels, known.words);
  }

  /// D
  Tensor prediction(const Tensor& x, const NoiseLevels& level, const Known& known,
                    const Tensor& earlier) {
    const Preconditioning c = precondition(config_.prediction, config_.process.data_std, level);
    return rows(c.skip, x) * x + rows(c.out, x) * network(x, level, c, known, earlier);
  }

  /// D with classifier-free guidance: J. Ho, T. Salimans 2022, equation 6.
  Tensor guided(const Tensor& x, const NoiseLevel& at, const Tensors& told, double guidance,
                const Tensor& earlier) {
    const int64_t count = x.size(0);
    const auto level = [&](int64_t n) {
      return NoiseLevels{.alpha = at::full({n}, at.alpha, x.options()),
                         .sigma = at::full({n}, at.sigma, x.options())};
    };
    const auto predict = [this](const Tensor& at, const NoiseLevels& level, const Known& known,
                                const Tensor& before) {
      return recorded_(
          {at, level.alpha, level.sigma, known.labels, known.grid, known.words, before},
          [this](const auto& in) {
            return prediction(in[0], {.alpha = in[1], .sigma = in[2]},
                              {.labels = in[3], .grid = in[4], .words = in[5]}, in[6]);
          });
    };
    if (guidance == 0) return predict(x, level(count), known(told, x), earlier);
    // One that is told nothing at all knows nothing.
    const Known none = conditions().empty() ? Known() : known({}, x);
    if (guidance == -1) return predict(x, level(count), none, earlier);
    const Known all = known(told, x);
    const auto both_of = [](const Tensor& a, const Tensor& b) {
      return a.defined() ? at::cat({a, b}) : a;
    };
    const Known pair{both_of(all.labels, none.labels), both_of(all.grid, none.grid),
                     both_of(all.words, none.words)};
    const auto both =
        predict(both_of(x, x), level(2 * count), pair, both_of(earlier, earlier)).chunk(2);
    return both[0] + guidance * (both[0] - both[1]);
  }

  /// The weighted squared error of F, a mean over pixels: [B].
  Tensor errors(const Batch& batch, const Tensors& draws) {
    const Tensor x0 = range_.centred(batch.input), noise = draws.at("noise");
    const NoiseLevels level = process_.training_levels(draws.at("level"));
    const Preconditioning c = precondition(config_.prediction, config_.process.data_std, level);
    const Tensor x = rows(level.alpha, x0) * x0 + rows(level.sigma, x0) * noise;
    Known told = known(batch.conditions, x);
    if (!conditions().empty()) {
      const Tensor drop = draws.at("class").lt(config_.condition_dropout);  // [B]
      const Known none = known({}, x);
      if (classes_ > 0) told.labels = at::where(drop, none.labels, told.labels);
      if (told.grid.defined())
        told.grid = at::where(drop.view({-1, 1, 1, 1}), none.grid, told.grid);
      if (told.words.defined()) told.words = at::where(drop.unsqueeze(1), none.words, told.words);
    }
    Tensor earlier;
    if (config_.self_conditioning) {
      // Half of the images see what a first look would have told (T. Chen et al., "Analog bits",
      // 2023).
      const at::NoGradGuard no_grad;
      earlier = range_.held(prediction(x, level, told, {})) * rows(draws.at("self").lt(0.5), x);
    }
    const Tensor target = rows(c.target_x0, x0) * x0 + rows(c.target_noise, x0) * noise;
    const Tensor found = network(x, level, c, told, earlier).to(at::kFloat);
    return loss_weights(config_, level).to(at::kFloat) *
           (found - target).square().flatten(1).mean(1);
  }

  DiffusionConfig config_;
  DataInfo info_;
  ValueRange range_, told_range_{DataInfo()};  // conditions are derived from pixels
  int64_t classes_;
  NoiseProcess process_;
  UNet network_{nullptr};
  RepeatedFunction recorded_;  // predictions of sampling
};

std::unique_ptr<Model> make_diffusion(const Json& settings, const ModelContext& context) {
  const DataInfo& info = context.info;
  const auto config = from_json<DiffusionConfig>(diffusion_fields(), settings, "model");
  check_unet(config.network, info.height, info.width);
  if (info.binarize != Binarize::none) {
    fail(ErrorKind::usage,
         "data.binarize: diffusion models grey or coloured pixels; expected none, found ",
         enum_name(kBinarizeNames, info.binarize));
  }
  if (config.process.kind == Process::flow && config.prediction == Prediction::epsilon) {
    fail(ErrorKind::usage, "model.prediction: a flow begins without any signal, where noise tells ",
         "nothing of the image; expected velocity, x0, v or edm, found epsilon");
  }
  return std::make_unique<Diffusion>(config, context);
}

}  // namespace

Family diffusion_family() {
  return {
      .name = "diffusion",
      .summary = "diffusion and rectified flow: removes noise step by step until an image is left",
      .offers = {{Capability::generator}, {Capability::denoiser}, {Capability::likelihood}},
      .conditions = {ConditionKind::label, ConditionKind::grid, ConditionKind::sequence},
      .settings = diffusion_fields(),
      .sampling = diffusion_sampling_fields(),
      .make = make_diffusion,
      .tiny = {{"condition", "class,low"},
               {"self_conditioning", true},
               {"network",
                {{"width", 8},
                 {"multipliers", {1, 2}},
                 {"blocks", 1},
                 {"attention", {1}},
                 {"head_width", 8},
                 {"patch", 4}}}}};
}

}  // namespace genai
