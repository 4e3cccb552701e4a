#include "genai/models/gan.h"

#include <torch/torch.h>

#include <cmath>
#include <numeric>

#include "genai/data/value_range.h"
#include "genai/nn/style_generator.h"
#include "genai/nn/unet.h"

namespace genai {
namespace {

struct GanSampling {
  double truncation = 1;
};

const FieldTable& gan_sampling_fields() {
  static const FieldTable table =
      describe<GanSampling>()
          .field("truncation", &GanSampling::truncation,
                 "latent points (style generators: styles) are pulled to their mean; below 1: "
                 "safer, less varied",
                 between(0, 2))
          .table();
  return table;
}

class Gan : public torch::nn::Module, public Model, public Generator {
 public:
  Gan(const GanConfig& config, const ModelContext& context)
      : Model(context.inputs),
        config_(config),
        info_(context.info),
        range_(info_),
        classes_(classes_of(conditions())) {
    const DataInfo& info = info_;
    const int64_t in = config.latent + classes_, grids = grid_channels(conditions());
    if (config.generator.kind == GeneratorKind::style) {
      generator_ = style_ = std::make_shared<StyleGenerator>(config.generator, in, info.channels,
                                                             info.height, info.width, grids);
    } else {
      generator_ =
          make_plain_generator(config.generator, in, info.channels, info.height, info.width, grids);
    }
    register_module("generator", generator_);
    if (!plays()) return;
    discriminator_ =
        register_module("discriminator", Discriminator(config.discriminator, info.channels + grids,
                                                       info.height, info.width, classes_));
  }

  torch::nn::Module& module() override { return *this; }

  /// Only the generator samples, so only it is averaged.
  std::vector<ParameterSet> parameter_sets() override {
    ParameterSet generator{.name = "generator", .parameters = {}};
    ParameterSet discriminator{.name = "discriminator",
                               .parameters = {},
                               .ema = false,
                               .rate = config_.discriminator_rate};
    for (const auto& parameter : named_parameters()) {
      const bool fake = parameter.key().rfind("generator.", 0) == 0;
      (fake ? generator : discriminator).parameters.push_back(parameter.key());
      if (fake && parameter.value().dim() >= 2 && is_hidden_matrix(parameter.key()))
        generator.matrices.push_back(parameter.key());
    }
    if (!plays()) return {generator};
    return {generator, discriminator};
  }

  std::vector<Phase> phases() override {
    if (!plays()) {
      return {{.name = "generator",
               .updates = "generator",
               .draw = [this](const Batch&, Draw& draw) { return generator_draws(draw); },
               .loss = [this](LossInput& in) { return reconstruction_loss(in); }}};
    }
    std::vector<Phase> phases;
    phases.push_back({.name = "discriminator",
                      .updates = "discriminator",
                      .repeat = config_.critic_steps,
                      .draw = [this](const Batch&, Draw& draw) { return critic_draws(draw); },
                      .loss = [this](LossInput& in) { return critic_loss(in); }});
    if (config_.penalty != Penalty::none && config_.penalty_every > 1) {
      phases.push_back({.name = "penalty",
                        .updates = "discriminator",
                        .every = config_.penalty_every,
                        .draw = [this](const Batch&, Draw& draw) { return views(draw); },
                        .loss = [this](LossInput& in) { return lazy_penalty(in); }});
    }
    phases.push_back({.name = "generator",
                      .updates = "generator",
                      .draw = [this](const Batch&, Draw& draw) { return views(draw); },
                      .loss = [this](LossInput& in) { return generator_loss_of(in); }});
    return phases;
  }

  Tensors validate(const Batch& batch, Draw& draw) override {
    const Told told = known(batch.conditions);
    const Tensor real = paired(range_.centred(batch.input), told);
    const Tensors draws = latent_draws(draw);
    const Tensor fake = make(draws, told);
    Tensors values{
        {"energy_distance", energy_terms(batch.input.flatten(1), shown(fake).flatten(1))}};
    if (plays()) {
      const Tensor right = discriminator_->forward(real, told.labels)
                               .gt(discriminator_->forward(paired(fake, told), told.labels))
                               .to(at::kFloat);
      values["ranked_right"] = right.dim() > 1 ? right.mean(1) : right;
    }
    if (config_.reconstruction > 0) {
      values[difference_name()] = difference_ahead(fake, told, batch, draws);
    }
    return values;
  }

  bool learns_ahead() const override {
    const ConditionSpec* past = find_condition(conditions(), kPast);
    return !plays() && config_.generator.kind == GeneratorKind::unet && past &&
           past->channels == grid_channels(conditions());
  }

  std::string objective() const override { return plays() ? "energy_distance" : difference_name(); }

  std::string health(const Batch& batch) override {
    const Draw draw(0, "health", batch.sample_ids, batch.input.device());
    const Tensor fake = make(latent_draws(draw), known(batch.conditions));
    const double share = diversity(range_.centred(batch.input), fake).item<double>();
    return health_of_play(share);
  }

  std::string warning(const Progress& progress, const Json& means) const override {
    return plays() ? warning_of_play(config_, progress, means) : "";
  }

  Tensor generate(const Draw& draw, const Tensors& conditions, const Json& options) override {
    return shown(make(latent_draws(draw), known(conditions), sampling(options).truncation));
  }

 protected:
  /// Is there a discriminator to play against?
  bool plays() const { return config_.adversarial > 0; }

  /// What both networks are told; undefined what they are not.
  struct Told {
    Tensor labels, grid;
  };
  Told known(const Tensors& told) const {
    const Tensor grid = grids_among(conditions(), told);
    return {labels_among(told), grid.defined() ? range_.centred(grid) : grid};
  }
  /// Images beside the grid that they belong to: P. Isola et al., "Image-to-image translation with
  /// conditional adversarial networks" (pix2pix), 2017, figure 2.
  static Tensor paired(const Tensor& images, const Told& told) {
    return told.grid.defined() ? at::cat({images, told.grid}, 1) : images;
  }

  Tensor images_of(const Tensor& pairs) const { return pairs.narrow(1, 0, info_.channels); }

  /// What the generator made, as items in their range.
  Tensor shown(const Tensor& made) const { return range_.items(range_.held(made)); }

  static GanSampling sampling(const Json& options) {
    return from_json<GanSampling>(gan_sampling_fields(), options, "sampling");
  }

  // ---- The generator

  static std::string noise_name(size_t layer) { return concat("noise ", layer); }

  /// The latent points and what is random beside them.
  Tensors latent_draws(const Draw& draw) const {
    Tensors draws{{"z", draw.normal("z", {config_.latent})}};
    const auto noise = noise_draws(draw);
    for (size_t i = 0; i < noise.size(); ++i) draws[noise_name(i)] = noise[i];
    return draws;
  }

  std::vector<Tensor> noise_draws(const Draw& draw) const {
    std::vector<Tensor> noise;
    for (const auto& size : generator_->noise_sizes()) {
      noise.push_back(draw.normal(noise_name(noise.size()), size).unsqueeze(1));
    }
    return noise;
  }

  std::vector<Tensor> noise_of(const Tensors& draws) const {
    std::vector<Tensor> noise;
    for (size_t i = 0; i < generator_->noise_sizes().size(); ++i) {
      noise.push_back(draws.at(noise_name(i)));
    }
    return noise;
  }

  /// What the generator reads: [B, latent + classes]; the class counts as much as z.
  Tensor points(const Tensor& z, const Tensor& labels) const {
    if (!classes_) return z;
    const double length = std::sqrt(static_cast<double>(config_.latent));
    return at::cat({z, at::one_hot(labels, classes_).to(z.dtype()) * length}, 1);
  }

  /// Images [B, C, H, W], black at -1 and white at 1.
  Tensor make(const Tensors& draws, const Told& told, double truncation = 1) {
    const Tensor& z = draws.at("z");
    if (!style_) {
      return generator_->forward(points(z * truncation, told.labels), noise_of(draws), told.grid);
    }
    const std::vector<Tensor> styles(static_cast<size_t>(style_->layers()),
                                     truncated_styles(z, told.labels, truncation));
    return style_->render(styles, noise_of(draws), told.grid);
  }

  // ---- Styles

  /// T. Karras et al. 2019, appendix B: mean + truncation (style - mean).
  Tensor truncated_styles(const Tensor& z, const Tensor& labels, double truncation) {
    const Tensor style = style_->map(points(z, labels));
    if (truncation == 1) return style;
    return at::lerp(mean_style(labels, z.device()), style, truncation);
  }

  /// The mean over latent points, [1, style]; of each class for itself, [B, style].
  Tensor mean_style(const Tensor& labels, at::Device device) {
    constexpr int64_t kPoints = 4096;
    std::vector<int64_t> numbers(kPoints);
    std::iota(numbers.begin(), numbers.end(), 0);
    const Tensor z = Draw(0, "mean style", numbers, device).normal("z", {config_.latent});
    if (!classes_) return style_->map(z).mean(0, true);
    const auto [present, rows] = at::_unique(labels, /*sorted=*/true, /*return_inverse=*/true);
    std::vector<Tensor> means;
    for (const Tensor& label : present.unbind()) {
      means.push_back(style_->map(points(z, label.expand({kPoints}))).mean(0));
    }
    return at::stack(means).index_select(0, rows);
  }

  /// In training some images are of two styles, so that layers do not rely on each other (Karras et
  /// al. 2019, section 3.1).
  Tensor make_mixed(const Tensors& draws, const Told& told) {
    if (!style_ || config_.generator.mixing == 0) return make(draws, told);
    const Tensor a = style_->map(points(draws.at("z"), told.labels));
    const Tensor b = style_->map(points(draws.at("z2"), told.labels));
    // The layer from which b rules; all are a's where it is none.
    const int64_t layers = style_->layers();
    const Tensor u = draws.at("mix");  // [B, 2]
    const Tensor from =
        at::where(u.select(1, 0).lt(config_.generator.mixing),
                  1 + (u.select(1, 1) * static_cast<double>(layers - 1)).floor(), layers);
    std::vector<Tensor> styles;
    for (int64_t i = 0; i < layers; ++i) {
      styles.push_back(at::where(from.gt(i).unsqueeze(1), a, b));
    }
    return style_->render(styles, noise_of(draws), told.grid);
  }

  // ---- The discriminator

  /// How a pair is shown to the discriminator, and where between the two it is asked for its slope.
  Tensors views(const Draw& draw) const {
    Tensors draws;
    if (config_.augment.any()) {
      draws["view real"] = draw.uniform("view real", {kAugmentDraws});
      draws["view fake"] = draw.uniform("view made", {kAugmentDraws});  // its name since 0.1
    }
    if (config_.penalty == Penalty::gradient) draws["between"] = draw.uniform("between", {});
    return draws;
  }

  Tensors critic_draws(const Draw& draw) const {
    Tensors draws = generator_draws(draw);
    draws.merge(views(draw));
    return draws;
  }

  Tensors generator_draws(const Draw& draw) const {
    Tensors draws = latent_draws(draw);
    if (style_ && config_.generator.mixing > 0) {
      draws["z2"] = draw.normal("z2", {config_.latent});
      draws["mix"] = draw.uniform("mix", {2});
    }
    return draws;
  }

  Tensor seen(const Tensor& images, const Tensors& draws, const std::string& which) const {
    if (!config_.augment.any()) return images;
    return augment_images(images, config_.augment, draws.at("view " + which));
  }

  /// Real and fake images as the discriminator sees them.
  struct Pair {
    Tensor real, fake, labels;
    Tensor images{};  // both, [2 B, ...], where they are scored in one pass
    Tensor real_scores{}, fake_scores{};
  };

  Tensor twice(const Tensor& labels) const {
    return classes_ ? at::cat({labels, labels}) : Tensor();
  }

  /// @param slopes  the images' gradients will be asked for
  Pair judge(const Tensor& real, const Tensor& fake, const Tensor& labels, bool slopes) {
    // Batch normalization tells real batches from fake ones by their statistics: apart, as in
    // DCGAN.
    Pair pair{.real = real, .fake = fake, .labels = labels};
    if (config_.discriminator.norm == Normalization::batch) {
      pair.real_scores = discriminator_->forward(real, labels);
      pair.fake_scores = discriminator_->forward(fake, labels);
      return pair;
    }
    pair.images = at::cat({real, fake});
    if (slopes) pair.images.requires_grad_();
    const auto scores = discriminator_->forward(pair.images, twice(labels)).chunk(2);
    pair.real_scores = scores[0];
    pair.fake_scores = scores[1];
    return pair;
  }

  /// The penalty on a pair that was judged with slopes.
  Tensor penalty(const Pair& pair, const Tensors& draws) {
    if (config_.penalty == Penalty::gradient) {
      const auto score = [&](const Tensor& x) { return discriminator_->forward(x, pair.labels); };
      return config_.penalty_weight *
             gradient_penalty(score, pair.real, pair.fake, draws.at("between"));
    }
    return config_.penalty_weight *
           zero_centred_penalty(at::cat({pair.real_scores, pair.fake_scores}), pair.images,
                                config_.penalty == Penalty::r1_r2);
  }

  bool zero_centred() const {
    return config_.penalty == Penalty::r1 || config_.penalty == Penalty::r1_r2;
  }

  // ---- Phases

  Loss critic_loss(LossInput& in) {
    const Told told = known(in.batch.conditions);
    const Tensor real = paired(range_.centred(in.batch.input), told);
    // With its graph: the generator learns by it.
    const Tensor fake = paired(make_mixed(in.draws, told), told);
    // Later phases go on with these pairs, which show the same classes, whatever their batch is.
    in.shared["fake"] = fake;
    in.shared["real"] = real;
    if (classes_) in.shared["labels"] = told.labels;
    const bool penalized = config_.penalty != Penalty::none && config_.penalty_every == 1;
    const Pair pair = judge(seen(real, in.draws, "real"), seen(fake.detach(), in.draws, "fake"),
                            told.labels, penalized && zero_centred());
    Loss loss{.value = discriminator_loss(config_.loss, pair.real_scores, pair.fake_scores,
                                          config_.label_smoothing),
              .logs = {}};
    {
      const at::NoGradGuard no_grad;
      const bool chance = config_.loss == AdversarialLoss::non_saturating;
      const auto shown = [&](const Tensor& s) { return (chance ? s.sigmoid() : s).mean(); };
      loss.logs = {{"d_loss", loss.value.detach()},
                   {"d_real", shown(pair.real_scores)},
                   {"d_fake", shown(pair.fake_scores)},
                   {"ranked_right", pair.real_scores.gt(pair.fake_scores).to(at::kFloat).mean()},
                   {"score_spread", at::cat({pair.real_scores, pair.fake_scores}).std(false)},
                   {"diversity", diversity(images_of(real), images_of(fake))}};
    }
    if (penalized) {
      const Tensor extra = penalty(pair, in.draws);
      loss.value = loss.value + extra;
      loss.logs["penalty"] = extra.detach();
    }
    return loss;
  }

  /// As heavy as if it had been in every update that the discriminator made since the last one.
  Loss lazy_penalty(LossInput& in) {
    const Tensor real = seen(in.shared.at("real"), in.draws, "real");
    const Tensor fake = seen(in.shared.at("fake").detach(), in.draws, "fake");
    const Tensor value =
        penalty(zero_centred() ? judge(real, fake, label_of(in), true)
                               : Pair{.real = real, .fake = fake, .labels = label_of(in)},
                in.draws);
    return {.value = value * static_cast<double>(config_.penalty_every * config_.critic_steps),
            .logs = {{"penalty", value.detach()}}};
  }

  Loss generator_loss_of(LossInput& in) {
    const Tensor labels = label_of(in);
    const Tensor fake =
        discriminator_->forward(seen(in.shared.at("fake"), in.draws, "fake"), labels);
    Tensor real;
    if (config_.loss == AdversarialLoss::relativistic) {
      const at::NoGradGuard no_grad;
      real = discriminator_->forward(seen(in.shared.at("real"), in.draws, "real"), labels);
    }
    Loss loss{.value = config_.adversarial * generator_loss(config_.loss, fake, real), .logs = {}};
    if (config_.reconstruction > 0) {
      const Tensor far =
          difference(images_of(in.shared.at("fake")), images_of(in.shared.at("real"))).mean();
      loss.value = loss.value + config_.reconstruction * far;
      loss.logs[difference_name()] = far.detach();
    }
    return loss;
  }

  /// Of a generator that plays against nobody.
  Loss reconstruction_loss(LossInput& in) {
    const Told told = known(in.batch.conditions);
    const Tensor far =
        difference_ahead(make_mixed(in.draws, told), told, in.batch, in.draws).mean();
    return {.value = config_.reconstruction * far, .logs = {{difference_name(), far.detach()}}};
  }

  std::string difference_name() const { return enum_name(kDifferenceNames, config_.difference); }

  /// Of each image, [B].
  Tensor difference(const Tensor& fake, const Tensor& real) const {
    const Tensor apart = fake.to(at::kFloat) - real.to(at::kFloat);
    return (config_.difference == Difference::l1 ? apart.abs() : apart.square()).flatten(1).mean(1);
  }

  /// The same, the mean over data.ahead frames: each is made of those before, of which the first
  /// ones are made too, as they will be when a clip goes on. A model that has only seen true frames
  /// does not know its own errors, which grow from frame to frame (M. Ranzato et al., "Sequence
  /// level training with recurrent neural networks", 2016, section 3).
  Tensor difference_ahead(Tensor fake, Told told, const Batch& batch, const Tensors& draws) {
    if (!batch.ahead.defined()) return difference(fake, range_.centred(batch.input));
    const int64_t channels = info_.channels, older = told.grid.size(1) - channels;
    Tensor sum;
    for (const Tensor& real : range_.centred(batch.ahead).split(channels, 1)) {
      if (sum.defined()) {
        told.grid = at::cat({told.grid.narrow(1, channels, older), range_.held(fake)}, 1);
        fake = make(draws, told);
      }
      const Tensor far = difference(fake, real);
      sum = sum.defined() ? sum + far : far;
    }
    return sum / static_cast<double>(info_.ahead);
  }

  /// The classes of the pairs at hand.
  Tensor label_of(const LossInput& in) const {
    return classes_ ? in.shared.at("labels") : Tensor();
  }

  GanConfig config_;
  DataInfo info_;
  ValueRange range_;
  int64_t classes_;
  std::shared_ptr<GeneratorNetwork> generator_;
  std::shared_ptr<StyleGenerator> style_;  // the generator, if it is one of styles
  Discriminator discriminator_{nullptr};   // null: see plays()
};

/// A GAN whose generator is told styles.
class StyleGan : public Gan, public StyleSpace {
 public:
  using Gan::Gan;

  int64_t style_layers() const override { return style_->layers(); }

  Tensor styles(const Draw& draw, const Tensors& told, const Json& options) override {
    return truncated_styles(draw.normal("z", {config_.latent}), labels_among(told),
                            sampling(options).truncation);
  }

  Tensor render(const Tensor& styles, const Draw& draw, const Tensors& told) override {
    return shown(style_->render(styles.unbind(1), noise_draws(draw), known(told).grid));
  }

  Tensor style_matrix(int64_t layer) override { return style_->style_matrix(layer); }
};

std::unique_ptr<Model> make_gan(const Json& settings, const ModelContext& context) {
  const auto config = from_json<GanConfig>(gan_fields(), settings, "model");
  check_settings(config, context.info, grid_channels(context.inputs.conditions) > 0);
  if (config.generator.kind == GeneratorKind::style) {
    return std::make_unique<StyleGan>(config, context);
  }
  return std::make_unique<Gan>(config, context);
}

}  // namespace

Family gan_family() {
  return {.name = "gan",
          .summary = "generator and discriminator that learn from each other: sharp images at once",
          .offers = {{Capability::generator}, {Capability::style_space, "generator.kind", "style"}},
          .conditions = {ConditionKind::label, ConditionKind::grid},
          .settings = gan_fields(),
          .sampling = gan_sampling_fields(),
          .make = make_gan,
          .tiny = {{"latent", 8},
                   {"condition", "class,sketch"},
                   {"penalty_every", 2},
                   {"augment", {{"translation", 0.1}, {"cutout", 0.2}, {"color", 0.5}}},
                   {"generator",
                    {{"kind", "style"}, {"width", 4}, {"patch", 4}, {"style", 8}, {"mapping", 2}}},
                   {"discriminator", {{"width", 4}, {"patch", 4}, {"head", 16}}}}};
}

}  // namespace genai
