#include "genai/models/vae.h"

#include <cmath>
#include <numbers>

#include "genai/nn/patches.h"

namespace genai {

Tensor kl_to_standard_normal(const Tensor& mean, const Tensor& log_variance) {
  return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1);
}

Tensor bernoulli_log_likelihood(const Tensor& logits, const Tensor& x) {
  // x log sigmoid(l) + (1 - x) log(1 - sigmoid(l)) = x l - softplus(l), stable for any l.
  const Tensor cross_entropy = at::binary_cross_entropy_with_logits(logits, x.expand_as(logits), {},
                                                                    {}, at::Reduction::None);
  return -cross_entropy.flatten(-3).sum(-1);
}

Tensor gaussian_log_likelihood(const Tensor& x, const Tensor& mean, const Tensor& log_std) {
  const double log_root_two_pi = 0.5 * std::log(2 * std::numbers::pi);
  return (-0.5 * ((x - mean) * (-log_std).exp()).square() - log_std - log_root_two_pi).sum(-1);
}

Tensor quantize_to_levels(const Tensor& z, int64_t levels) {
  const double half = static_cast<double>(levels - 1) / 2;
  const Tensor bounded = (z.tanh() + 1) * half;  // 0 to levels - 1
  const Tensor rounded = bounded + (bounded.round() - bounded).detach();
  return rounded / half - 1;
}

namespace {

const EnumNames<PixelModel> kPixelModelNames = {{PixelModel::bernoulli, "bernoulli"},
                                                {PixelModel::gaussian, "gaussian"}};

const FieldTable& vae_fields() {
  static const FieldTable table =
      describe<VaeConfig>()
          .field("latent", &VaeConfig::latent, "dimensions of the latent space", between(1, 4096))
          .field("latent_grid", &VaeConfig::latent_grid,
                 "conv: the latent space is a grid of the lowest resolution, --latent numbers at "
                 "each place; what other models learn as a codec's")
          .field(
              "latent_levels", &VaeConfig::latent_levels,
              "values that each number of the latent space is rounded to, which makes codes that "
              "a model of sequences can learn; 0: real numbers",
              between(0, 256))
          .nest("encoder", &VaeConfig::encoder, network_fields())
          .nest("decoder", &VaeConfig::decoder, network_fields())
          .field("pixels", &VaeConfig::pixels, "distribution of a pixel given the latent point",
                 kPixelModelNames)
          .field("pixel_std", &VaeConfig::pixel_std,
                 "gaussian: standard deviation of a pixel in 0..1; 0: learned", between(0, 1))
          .field("beta", &VaeConfig::beta, "weight of the KL term (1: the ELBO)", at_least(0))
          .field("kl_warmup", &VaeConfig::kl_warmup,
                 "steps over which the weight of the KL term rises from 0", at_least(0))
          .table();
  return table;
}

struct VaeSampling {
  double temperature = 1;
  bool binary = false;
};

const FieldTable& vae_sampling_fields() {
  static const FieldTable table =
      describe<VaeSampling>()
          .field("temperature", &VaeSampling::temperature,
                 "standard deviation of the latent points; below 1: safer, less varied",
                 between(0, 10))
          .field("binary", &VaeSampling::binary,
                 "draw each pixel as 0 or 1 instead of showing its mean")
          .table();
  return table;
}

/// The reparameterized draw of section 2.4: z = mean + std * noise.
Tensor point_of(const LatentSpace::Posterior& q, const Tensor& noise) {
  return q.log_variance.defined() ? q.mean + (0.5 * q.log_variance).exp() * noise : q.mean;
}

class Vae : public torch::nn::Module,
            public Model,
            public Generator,
            public LatentSpace,
            public Likelihood {
 public:
  Vae(const VaeConfig& config, const ModelContext& context)
      : Model(context.inputs),
        config_(config),
        info_(context.info),
        classes_(classes_of(conditions())) {
    const DataInfo& info = info_;
    const int64_t grids = grid_channels(conditions());
    if (config.latent_grid) {
      make_convolutional(grids);
    } else {
      latent_shape_ = {config.latent, 1, 1};
      encoder_ = register_module("encoder", ImageEncoder(config.encoder, info.channels + grids,
                                                         info.height, info.width, classes_));
      posterior_ =
          register_module("posterior", torch::nn::Linear(encoder_->out, posterior_numbers()));
      decoder_ =
          register_module("decoder", ImageDecoder(config.decoder, config.latent + classes_,
                                                  info.channels, info.height, info.width, grids));
    }
    if (config.latent_levels > 0) {
      // Codes begin spread over their levels, whatever the images: else all are one, and stay so.
      const int64_t features = posterior_grid_ ? posterior_grid_->options.in_channels()
                                               : posterior_->options.in_features();
      norm_ = register_module("norm", torch::nn::GroupNorm(1, features));
    }
    if (config.pixels == PixelModel::gaussian) {
      // 0.1 of the grey range: where a first, blurry reconstruction stands.
      const double start = config.pixel_std > 0 ? config.pixel_std : 0.1;
      pixel_log_std_ = config.pixel_std > 0
                           ? register_buffer("pixel_log_std", at::full({}, std::log(start)))
                           : register_parameter("pixel_log_std", at::full({}, std::log(start)));
    }
  }

  torch::nn::Module& module() override { return *this; }

  std::vector<ParameterSet> parameter_sets() override {
    return {all_parameters(*this, is_hidden_convolution)};
  }

  std::vector<Phase> phases() override {
    return {{.name = "elbo",
             .updates = "all",
             .draw = [this](const Batch&, Draw& draw) { return make_draws(draw); },
             .loss = [this](LossInput& in) { return loss(in); }}};
  }

  std::map<std::string, double> scheduled(const Progress& progress) const override {
    const double warm = config_.kl_warmup > 0
                            ? std::min(1.0, static_cast<double>(progress.step) /
                                                static_cast<double>(config_.kl_warmup))
                            : 1.0;
    return {{"kl_weight", config_.beta * warm}};
  }

  Tensors validate(const Batch& batch, Draw& draw) override {
    const Tensors draws = make_draws(draw);
    if (classes_ > 0 && !labels_among(batch.conditions).defined()) {
      // Of unknown class, all equally likely: log p(x) >= log 1/C sum_y exp(bound given y).
      std::vector<Tensor> bounds, likelihoods;
      for (int64_t label = 0; label < classes_; ++label) {
        const Terms terms = bound(of_class(batch, label), draws);
        bounds.push_back(terms.log_likelihood - terms.kl);
        likelihoods.push_back(terms.log_likelihood);
      }
      const Tensor each = at::stack(bounds);  // [C, B]
      const Tensor nelbo = std::log(static_cast<double>(classes_)) - each.logsumexp(0);
      const Tensor reconstruction = -(each.softmax(0) * at::stack(likelihoods)).sum(0);
      return {{"nelbo", nelbo}, {"reconstruction", reconstruction}, {"kl", nelbo - reconstruction}};
    }
    const Terms terms = bound(batch, draws);
    return {{"nelbo", terms.kl - terms.log_likelihood},
            {"reconstruction", -terms.log_likelihood},
            {"kl", terms.kl}};
  }

  std::string objective() const override { return "nelbo"; }

  /// Active units: Y. Burda et al., "Importance weighted autoencoders", 2016, section 5.2.
  std::string health(const Batch& batch) override {
    const Tensor variance = posterior(observe(batch.input, {}), batch.conditions).mean.var(0);
    const int64_t active = variance.gt(0.01).sum().item<int64_t>();
    std::string text = concat(active, " of ", latent_size(), " latent dimensions are in use");
    if (2 * active < latent_size()) {
      text +=
          "; the others ignore the image (a smaller model.latent or model.beta, or a "
          "model.kl_warmup)";
    }
    return text;
  }

  Tensor generate(const Draw& draw, const Tensors& told, const Json& options) override {
    const auto sampling = from_json<VaeSampling>(vae_sampling_fields(), options, "sampling");
    const Tensor images = decode(draw_prior(draw, sampling.temperature), told);
    if (!sampling.binary) return images;
    return draw.uniform("pixels", images.sizes().slice(1)).lt(images).to(at::kFloat);
  }

  int64_t latent_size() const override {
    return latent_shape_[0] * latent_shape_[1] * latent_shape_[2];
  }

  std::vector<int64_t> latent_shape() const override { return latent_shape_; }

  int64_t latent_levels() const override { return config_.latent_levels; }

  Tensor encode(const Tensor& images, const Tensors& told) override {
    return posterior(images, told).mean;
  }

  Tensor decode(const Tensor& points, const Tensors& told) override {
    const Tensor pixels = pixel_parameters(points, told);
    if (info_.levels == 0) return pixels;
    return config_.pixels == PixelModel::bernoulli ? pixels.sigmoid() : pixels.clamp(0, 1);
  }

  Posterior posterior(const Tensor& images, const Tensors& told) override {
    const Tensor x = joined(images, grids_among(conditions(), told));
    if (posterior_grid_) {
      const Tensor features =
          encoder_->forward(joined(x, everywhere(class_numbers(told, x), x)), {})
              .view({x.size(0), -1, latent_shape_[1], latent_shape_[2]});
      return posterior_of(posterior_grid_->forward(normed(features)).to(at::kFloat));
    }
    const Tensor features = encoder_->forward(x, class_numbers(told, x));
    return posterior_of(posterior_->forward(normed(features)).to(at::kFloat));
  }

  Tensor pixel_parameters(const Tensor& z, const Tensors& told) override {
    const Tensor numbers = class_numbers(told, z), grids = grids_among(conditions(), told);
    if (!posterior_grid_) return decoder_->forward(joined(z, numbers), grids);
    const Tensor grid = z.view({-1, latent_shape_[0], latent_shape_[1], latent_shape_[2]});
    return decoder_->forward(joined(grid, everywhere(numbers, grid)), grids);
  }

  double pixel_log_deviation() const override {
    return pixel_log_std_.defined() ? pixel_log_std_.item<double>() : 0;
  }

  /// Of codes the bound is one number, whatever is drawn.
  std::string estimator(int64_t samples) const override {
    return config_.latent_levels > 0 ? "elbo" : concat("iw", samples);
  }

  int64_t usual_draws(bool full) const override {
    return config_.latent_levels > 0 ? 1 : full ? 5000 : 100;
  }

  std::vector<std::string> parts() const override { return {"nelbo", "reconstruction", "kl"}; }

  std::string pixel_model() const override {
    if (info_.levels == 0) return "gaussian";
    return config_.pixels == PixelModel::bernoulli ? "bernoulli" : "gaussian-dequantized";
  }

  /// Of images without a label: over all classes, p(x) = 1/C sum_y p(x|y).
  /// log 1/k sum_i p(x, z_i) / q(z_i | x), z_i ~ q: Burda et al. 2016, equation 8; as a running
  /// log-sum-exp over chunks of draws.
  Tensor log_likelihood(const Batch& batch, const Draw& draw, int64_t samples) override {
    if (classes_ > 0 && !labels_among(batch.conditions).defined()) {
      std::vector<Tensor> each;
      for (int64_t label = 0; label < classes_; ++label) {
        each.push_back(log_likelihood(of_class(batch, label), draw, samples));
      }
      return at::stack(each).logsumexp(0) - std::log(static_cast<double>(classes_));
    }
    if (config_.latent_levels > 0) {
      const Terms terms = bound(batch, make_draws(draw));
      return (terms.log_likelihood - terms.kl).to(at::kDouble);
    }
    const int64_t images = batch.input.size(0), latent = latent_size();
    const int64_t chunk = std::clamp<int64_t>(kRowsAtOnce / images, 1, samples);
    const Tensor x = observe(batch.input, make_draws(draw));
    const Posterior q = posterior(x, batch.conditions);
    Tensor total;  // [B], log of the sum so far, in double
    for (int64_t first = 0; first < samples; first += chunk) {
      const int64_t k = std::min(chunk, samples - first);
      const Tensor noise =
          draw.normal("importance", {k, latent}, first * latent);  // [B, k, latent]
      const Tensor std = (0.5 * q.log_variance).exp().unsqueeze(1);
      const Tensor z = q.mean.unsqueeze(1) + std * noise;
      const Tensor zero = at::zeros({}, z.options());
      const Tensor log_prior = gaussian_log_likelihood(z, zero, zero);
      const Tensor log_q = gaussian_log_likelihood(noise, zero, zero) - std.log().sum(-1);
      Tensors told;
      for (const auto& [name, tensor] : batch.conditions)
        told[name] = tensor.repeat_interleave(k, 0);
      const Tensor rows = x.unsqueeze(1).expand({images, k, -1, -1, -1}).flatten(0, 1);
      const Tensor log_pixels = pixel_log_likelihood(z.flatten(0, 1), told, rows).view({images, k});
      const Tensor part = (log_pixels + log_prior - log_q).to(at::kDouble).logsumexp(1);
      total = total.defined() ? at::logaddexp(total, part) : part;
    }
    return total - std::log(static_cast<double>(samples));
  }

 private:
  /// Means and log variances, or codes.
  int64_t posterior_numbers() const {
    return config_.latent_levels > 0 ? config_.latent : 2 * config_.latent;
  }

  /// Points [B, latent] of p(z).
  Tensor draw_prior(const Draw& draw, double temperature) const {
    const int64_t levels = config_.latent_levels;
    if (levels == 0) return draw.normal("z", {latent_size()}) * temperature;
    if (temperature != 1) {
      fail(ErrorKind::usage, "sampling.temperature: the codes of this run are all equally likely; ",
           "expected 1, found ", temperature);
    }
    const Tensor level = (draw.uniform("z", {latent_size()}) * levels).floor();
    return level * (2.0 / static_cast<double>(levels - 1)) - 1;
  }

  Posterior posterior_of(const Tensor& numbers) const {
    if (config_.latent_levels > 0)
      return {.mean = quantize_to_levels(numbers, config_.latent_levels).flatten(1)};
    const auto halves = numbers.chunk(2, 1);
    return {.mean = halves[0].flatten(1), .log_variance = halves[1].flatten(1)};
  }

  /// Convolutions alone: what is told is told each place.
  void make_convolutional(int64_t grids) {
    const DataInfo& info = info_;
    NetworkConfig down = config_.encoder, up = config_.decoder;
    down.hidden = up.hidden = {};
    encoder_ = register_module("encoder", ImageEncoder(down, info.channels + grids + classes_,
                                                       info.height, info.width, 0));
    const int64_t h = lowest_resolution(down, info.height), w = lowest_resolution(down, info.width);
    latent_shape_ = {config_.latent, h, w};
    posterior_grid_ =
        register_module("posterior", torch::nn::Conv2d(torch::nn::Conv2dOptions(
                                         encoder_->out / (h * w), posterior_numbers(), 1)));
    decoder_ = register_module(
        "decoder", ImageDecoder(up, config_.latent + classes_, info.channels, info.height,
                                info.width, grids, /*from_grid=*/true));
  }

  /// Decoded images at once: bounds the memory of the importance-weighted estimate.
  static constexpr int64_t kRowsAtOnce = 2048;

  struct Terms {
    Tensor log_likelihood, kl;  // [B]
  };

  static Batch of_class(Batch batch, int64_t label) {
    batch.conditions[kClass] =
        at::full({batch.input.size(0)}, label, at::device(batch.input.device()).dtype(at::kLong));
    return batch;
  }

  Tensors make_draws(const Draw& draw) const {
    Tensors draws{{"z", draw.normal("z", {latent_size()})}};
    if (config_.pixels == PixelModel::gaussian && info_.levels > 0) {
      draws["dequantize"] = draw.uniform("dequantize", {info_.channels, info_.height, info_.width});
    }
    return draws;
  }

  /// What the pixel model models: dequantized grey values for a density, else the pixels.
  Tensor observe(const Tensor& images, const Tensors& draws) const {
    const auto noise = draws.find("dequantize");
    return noise == draws.end() ? images
                                : (images * (info_.levels - 1) + noise->second) / info_.levels;
  }

  /// The class as numbers [B, classes]; undefined where it is not told.
  Tensor class_numbers(const Tensors& told, const Tensor& like) const {
    return classes_ ? at::one_hot(labels_among(told), classes_).to(like.dtype()) : Tensor();
  }

  static Tensor joined(const Tensor& x, const Tensor& more) {
    return more.defined() ? at::cat({x, more}, 1) : x;
  }

  /// Numbers [B, n] as channels of grids like x [B, C, H, W]; undefined stays so.
  static Tensor everywhere(const Tensor& numbers, const Tensor& x) {
    if (!numbers.defined()) return numbers;
    return numbers.view({x.size(0), -1, 1, 1}).expand({-1, -1, x.size(2), x.size(3)});
  }

  Tensor normed(const Tensor& features) { return norm_ ? norm_->forward(features) : features; }

  /// log p(x|z), [B]
  Tensor pixel_log_likelihood(const Tensor& z, const Tensors& told, const Tensor& x) {
    const Tensor pixels = pixel_parameters(z, told).to(at::kFloat);  // [B, C, H, W]
    if (config_.pixels == PixelModel::bernoulli) return bernoulli_log_likelihood(pixels, x);
    const Tensor density = gaussian_log_likelihood(x.flatten(1), pixels.flatten(1), pixel_log_std_);
    if (info_.levels == 0) return density;
    // That of 8-bit steps 1/256 wide turned into a probability: - D log 256.
    return density -
           static_cast<double>(info_.pixels()) * std::log(static_cast<double>(info_.levels));
  }

  Terms bound(const Batch& batch, const Tensors& draws) {
    const Tensor x = observe(batch.input, draws);
    const Posterior q = posterior(x, batch.conditions);
    return {.log_likelihood = pixel_log_likelihood(point_of(q, draws.at("z")), batch.conditions, x),
            .kl = q.log_variance.defined() ? kl_to_standard_normal(q.mean, q.log_variance)
                                           : at::full({x.size(0)}, kl_of_codes(), x.options())};
  }

  /// Of one of levels^latent codes to all of them, equally likely.
  double kl_of_codes() const {
    return static_cast<double>(latent_size()) *
           std::log(static_cast<double>(config_.latent_levels));
  }

  Loss loss(LossInput& in) {
    const Terms terms = bound(in.batch, in.draws);
    const Tensor reconstruction = -terms.log_likelihood.mean(), kl = terms.kl.mean();
    return {.value = reconstruction + in.scheduled.at("kl_weight") * kl,
            .logs = {{"nelbo", (reconstruction + kl).detach()},
                     {"reconstruction", reconstruction.detach()},
                     {"kl", kl.detach()}}};
  }

  VaeConfig config_;
  DataInfo info_;
  int64_t classes_;
  std::vector<int64_t> latent_shape_;  // [c, h, w]
  ImageEncoder encoder_{nullptr};
  torch::nn::Linear posterior_{nullptr};
  torch::nn::Conv2d posterior_grid_{nullptr};  // in its place, where the latent space is a grid
  torch::nn::GroupNorm norm_{nullptr};         // before them, where the latent space is of codes
  ImageDecoder decoder_{nullptr};
  Tensor pixel_log_std_;
};

std::unique_ptr<Model> make_vae(const Json& settings, const ModelContext& context) {
  const DataInfo& info = context.info;
  const auto config = from_json<VaeConfig>(vae_fields(), settings, "model");
  if (config.pixels == PixelModel::gaussian && info.binarize != Binarize::none) {
    fail(ErrorKind::usage, "model.pixels: gaussian pixels are grey, but data.binarize is '",
         enum_name(kBinarizeNames, info.binarize),
         "'; use data.binarize none or model.pixels bernoulli");
  }
  if (config.pixels == PixelModel::bernoulli && info.levels == 0) {
    fail(ErrorKind::usage, "model.pixels: bernoulli is of numbers from 0 to 1, which ",
         context.inputs.codec ? "latents" : info.modality->name(), " are not; expected gaussian");
  }
  const auto lowest = [&](const NetworkConfig& network) {
    return std::pair(lowest_resolution(network, info.height),
                     lowest_resolution(network, info.width));
  };
  if (config.latent_grid &&
      (config.encoder.kind != Architecture::conv || config.decoder.kind != Architecture::conv ||
       lowest(config.encoder) != lowest(config.decoder))) {
    fail(ErrorKind::usage,
         "model.latent_grid: expected an encoder and a decoder of kind conv with ",
         "equally many levels and equal patches");
  }
  if (config.latent_levels == 1) {
    fail(ErrorKind::usage, "model.latent_levels: 1 level tells nothing; expected 0 (real numbers) ",
         "or 2 at least");
  }
  for (const auto& [name, network] :
       {std::pair("encoder", config.encoder), std::pair("decoder", config.decoder)}) {
    if (network.kind != Architecture::conv) continue;
    check_levels(name, network.levels, network.patch, info.height, info.width);
  }
  return std::make_unique<Vae>(config, context);
}

}  // namespace

Family vae_family() {
  return {
      .name = "vae",
      .summary = "variational autoencoder: encodes images to a smooth latent space and back",
      .offers = {{Capability::generator}, {Capability::latent_space}, {Capability::likelihood}},
      .conditions = {ConditionKind::label, ConditionKind::grid},
      .settings = vae_fields(),
      .sampling = vae_sampling_fields(),
      .make = make_vae,
      .tiny = {{"latent", 4}, {"encoder", {{"hidden", {32}}}}, {"decoder", {{"hidden", {32}}}}}};
}

}  // namespace genai
