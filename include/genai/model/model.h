// What a model family offers to the trainer, and what it can do once trained.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "genai/base/json.h"
#include "genai/core/draw.h"
#include "genai/core/tensors.h"
#include "genai/data/batch.h"
#include "genai/data/codec.h"
#include "genai/sampling/solvers.h"

namespace torch::nn {
class Module;
}

namespace genai {

class Decoder;  // decode/decoder.h
enum class WeightFormat;

/// All that a loss may depend on: device tensors of fixed shape, no host number that changes.
struct LossInput {
  const Batch& batch;
  const Tensors& draws;      ///< random numbers, made by Phase::draw outside the loss
  const Tensors& scheduled;  ///< 0-d, from Model::scheduled; refilled each step
  Tensors& carry;            ///< lives across steps, checkpointed: the state of an RNN
  Tensors& shared;           ///< lives one step, between phases: fakes with their graph
};

struct Loss {
  Tensor value;  ///< 0-d: the mean over batch.weight
  Tensors logs;  ///< 0-d means, detached, left on the device
};

/// Parameters with one optimizer. The sets of a model are disjoint and hold every parameter.
struct ParameterSet {
  std::string name;
  std::vector<std::string> parameters;     ///< names of Module::named_parameters
  bool ema = true;                         ///< averaged when the run asks for an average
  double rate = 1;                         ///< its learning rate as a multiple of the run's
  std::vector<std::string> matrices = {};  ///< those of them that Muon updates when the run asks
                                           ///< for it: hidden matrices
};

/// One set of them all, for models with one optimizer.
/// @param matrices  Is a parameter of two or more dimensions a hidden matrix?
ParameterSet all_parameters(const torch::nn::Module& module,
                            const std::function<bool(const std::string& name)>& matrices = nullptr);

/// One kind of update within a step.
struct Phase {
  std::string name;
  std::string updates;  ///< the ParameterSet
  int64_t repeat = 1;   ///< updates a step, each on its own batch (n_critic)
  int64_t every = 1;    ///< only in steps divisible by this (lazy regularization)
  std::function<Tensors(const Batch&, Draw&)> draw;
  std::function<Loss(LossInput&)> loss;
};

/// Where training stands.
struct Progress {
  int64_t step = 0, steps = 0;
};

class Model {
 public:
  explicit Model(ModelInputs inputs = {}) : inputs_(std::move(inputs)) {}
  virtual ~Model() = default;
  const ModelInputs& inputs() const { return inputs_; }
  const ConditionSpecs& conditions() const { return inputs_.conditions; }
  virtual torch::nn::Module& module() = 0;
  virtual std::vector<ParameterSet> parameter_sets() = 0;
  virtual std::vector<Phase> phases() = 0;
  /// One number for each item of the batch, [B], in evaluation mode (of texts: means over tokens);
  /// objective() is among them.
  virtual Tensors validate(const Batch& batch, Draw& draw) = 0;
  /// The entry of validate() whose mean tells a better checkpoint; lower is better.
  virtual std::string objective() const = 0;
  /// Does it learn from Batch::ahead?
  virtual bool learns_ahead() const { return false; }
  /// Values that change from step to step, by name: {"kl_weight", 0.3}.
  virtual std::map<std::string, double> scheduled(const Progress&) const { return {}; }
  /// One line on what tends to go wrong with this family, measured on some images: "17 of 20 latent
  /// dimensions are in use". Empty when there is nothing to say.
  virtual std::string health(const Batch&) { return ""; }
  /// What is going wrong by the means of the losses' logs since the last report, and what to
  /// change; empty while all is well. The trainer passes on the first one.
  virtual std::string warning(const Progress&, const Json& /*means*/) const { return ""; }
  /// State of training that is neither parameter nor buffer, for the checkpoint.
  virtual Tensors training_state() { return {}; }

 private:
  ModelInputs inputs_;
};

// Capabilities: a Model may also be any of these (found by dynamic_cast). Verbs and applications
// ask for them, never for a family, which says in the registry what its models are.

enum class Capability {
  generator,
  latent_space,
  style_space,
  denoiser,
  classifier,
  next_token,
  likelihood,
};

/// Makes grids (images) from random numbers.
struct Generator {
  static constexpr auto kCapability = Capability::generator;
  virtual ~Generator() = default;
  /// Grids [B, C, H, W], of images in [0, 1], for the items of `draw`.
  /// @param conditions  Model::conditions of these items, by name
  /// @param options     fields of the family's sampling table, checked
  virtual Tensor generate(const Draw& draw, const Tensors& conditions, const Json& options) = 0;
};

/// Encodes images to points of a latent space and back.
struct LatentSpace {
  static constexpr auto kCapability = Capability::latent_space;
  virtual ~LatentSpace() = default;
  virtual int64_t latent_size() const = 0;
  /// [c, h, w]: points as grids, in that order.
  virtual std::vector<int64_t> latent_shape() const { return {latent_size(), 1, 1}; }
  /// The values that each number of a point has, evenly spaced from -1 to 1; 0: any.
  virtual int64_t latent_levels() const { return 0; }
  /// The most likely point [B, latent] of images [B, C, H, W].
  virtual Tensor encode(const Tensor& images, const Tensors& conditions) = 0;
  /// Images [B, C, H, W] in [0, 1] (means, not draws) of points [B, latent].
  virtual Tensor decode(const Tensor& points, const Tensors& conditions) = 0;

  // The distributions behind both, for lossless coding (compression/latent_coder.h).

  /// q(z|x) = N(mean, exp(log_variance)), [B, latent]; of codes the mean is all there is.
  struct Posterior {
    Tensor mean, log_variance{};
  };
  virtual Posterior posterior(const Tensor& images, const Tensors& conditions) = 0;
  /// p(x|z) by what Likelihood::pixel_model says, [B, C, H, W]: the logits of pixels that are 0 or
  /// 1, or the means of Gaussian ones.
  virtual Tensor pixel_parameters(const Tensor& points, const Tensors& conditions) = 0;
  /// The logarithm of the standard deviation of Gaussian pixels.
  virtual double pixel_log_deviation() const = 0;
};

/// Makes images from a style for each of its layers: coarse layers set shapes, fine ones strokes.
struct StyleSpace {
  static constexpr auto kCapability = Capability::style_space;
  virtual ~StyleSpace() = default;
  /// Layers that see a style, coarse to fine.
  virtual int64_t style_layers() const = 0;
  /// The styles [B, width] of the items of `draw`, as `generate` takes them for all layers.
  /// @param conditions, options  as of Generator::generate
  virtual Tensor styles(const Draw& draw, const Tensors& conditions, const Json& options) = 0;
  /// Images [B, C, H, W] in [0, 1] of styles [B, layers, width]; what is random beside them (noise
  /// of the layers) comes from `draw`, of B items.
  virtual Tensor render(const Tensor& styles, const Draw& draw, const Tensors& conditions) = 0;
  /// The matrix [channels, width] by which a layer's channels depend on its style.
  virtual Tensor style_matrix(int64_t layer) = 0;
};

/// Predicts the image behind a noisy one: what diffusion sampling, its pictures and editing are
/// made of. Images are centred (data/value_range.h).
struct Denoiser {
  static constexpr auto kCapability = Capability::denoiser;
  virtual ~Denoiser() = default;
  /// From noise to images.
  struct SamplingPlan {
    std::vector<NoiseLevel> levels;  ///< most noise first, none last
    Denoise denoise;                 ///< told the class, guided and held to the range as asked;
                                     ///< for one path: it may look at what it predicted before
    SolverOptions solver;
  };
  /// @param conditions  Model::conditions; where some are missing, as if the model knew none
  /// @param options     fields of the family's sampling table, checked
  /// Throws Error{usage} for options that do not fit the model or each other.
  virtual SamplingPlan sampling_plan(const Tensors& conditions, const Json& options) = 0;
  /// The levels of the variational bound of log p(x): most noise first, none last.
  virtual std::vector<NoiseLevel> bound_levels() const = 0;
  /// The plain prediction of x0 from x [B, C, H, W], each row at a level of its own.
  virtual Tensor predict(const Tensor& x, const NoiseLevels& level, const Tensors& conditions) = 0;
};

/// Says which class an image shows.
struct Classifier {
  static constexpr auto kCapability = Capability::classifier;
  virtual ~Classifier() = default;
  struct Judgement {
    Tensor logits;    ///< [B, classes]: log-probabilities before normalization
    Tensor features;  ///< [B, F]: what the last layer sees
  };
  virtual Judgement classify(const Tensor& images) = 0;
  /// What a layer makes of images.
  struct Activation {
    std::string layer;  ///< as the weights are called: "stages.0"
    Tensor values;      ///< [B, c, h, w], after the layer's nonlinearity
  };
  /// Of the convolutional layers, first to last; differentiable. The images may be larger than
  /// those that the model was trained on.
  virtual std::vector<Activation> activations(const Tensor& images) = 0;
};

/// Says what comes next in a text.
struct NextToken {
  static constexpr auto kCapability = Capability::next_token;
  virtual ~NextToken() = default;
  /// Logits [B, T, V] of the token after each of `tokens`, int64 [B, T], which begin a text.
  virtual Tensor next_logits(const Tensor& tokens) = 0;
  /// Reads and writes token by token, with a copy of the weights on the CPU.
  virtual std::unique_ptr<Decoder> decoder(int64_t streams, WeightFormat format, int threads) = 0;
};

/// Says how likely images are.
struct Likelihood {
  static constexpr auto kCapability = Capability::likelihood;
  virtual ~Likelihood() = default;
  /// An unbiased-in-expectation bound of log p(x) in nats for each image, [B], by `samples` draws:
  /// the evidence lower bound for 1, tighter for more. A model that is told the class takes
  /// images without labels too.
  virtual Tensor log_likelihood(const Batch& batch, const Draw& draw, int64_t samples) = 0;
  /// The estimate by so many draws, for the name of a metric: "iw100".
  virtual std::string estimator(int64_t samples) const = 0;
  /// Draws that are worth their time when nobody says how many; `full`: for numbers to publish.
  virtual int64_t usual_draws(bool full) const = 0;
  /// The entries of Model::validate that are nats as well: the bound by one draw and its parts.
  virtual std::vector<std::string> parts() const { return {}; }
  /// How pixels are modelled: "bernoulli", "gaussian-dequantized"; part of a metric's name.
  virtual std::string pixel_model() const = 0;
};

}  // namespace genai
