#include "genai/models/classifier.h"

#include "genai/nn/augment.h"
#include "genai/nn/modules.h"

namespace genai {

Tensor smoothed_cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing) {
  const Tensor log_p = logits.to(at::kFloat).log_softmax(1);  // [B, classes]
  const Tensor exact = -log_p.gather(1, labels.unsqueeze(1)).squeeze(1);
  return smoothing > 0 ? (1 - smoothing) * exact - smoothing * log_p.mean(1) : exact;
}

namespace {

/// Images are halved until they are at most this wide; a dense layer reads what is left.
constexpr int64_t kSmallest = 8;

const FieldTable& classifier_fields() {
  static const FieldTable table =
      describe<ClassifierConfig>()
          .field("width", &ClassifierConfig::width,
                 "channels of the first convolution; doubled with each halving of the image",
                 between(1, 1024))
          .field("features", &ClassifierConfig::features,
                 "numbers that the last layer sees: the features of an image", between(2, 4096))
          .field("dropout", &ClassifierConfig::dropout, "share of features dropped in training",
                 from_below(0, 1))
          .field("label_smoothing", &ClassifierConfig::label_smoothing,
                 "weight of the uniform distribution in the target", from_below(0, 1))
          .field("shift", &ClassifierConfig::shift,
                 "training images are moved by up to this many pixels", between(0, 64))
          .field("flip", &ClassifierConfig::flip, "training images are mirrored half of the time")
          .table();
  return table;
}

struct NoSampling {};

/// Convolution 3x3, halving by the largest of 2x2, ReLU.
struct StageImpl : torch::nn::Module {
  StageImpl(int64_t in, int64_t out, bool halve) : halve_(halve) {
    convolution_ = register_module(
        "convolution", torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1)));
  }
  Tensor forward(const Tensor& x) { return halved(convolution_->forward(x)).relu(); }
  /// In the size of its input. The next stage sees it halved: the largest of 2x2 and ReLU commute.
  Tensor activation(const Tensor& x) { return convolution_->forward(x).relu(); }
  Tensor halved(const Tensor& y) const { return halve_ ? at::max_pool2d(y, 2) : y; }

 private:
  bool halve_;
  torch::nn::Conv2d convolution_{nullptr};
};
TORCH_MODULE(Stage);

class ClassifierModel : public torch::nn::Module, public Model, public Classifier {
 public:
  ClassifierModel(const ClassifierConfig& config, const ModelContext& context)
      : Model(context.inputs), config_(config), info_(context.info) {
    const DataInfo& info = info_;
    int64_t channels = info.channels, width = config.width, height = info.height,
            breadth = info.width;
    stages_ = register_module("stages", torch::nn::ModuleList());
    for (bool halve = true; halve; width *= 2) {
      halve = std::max(height, breadth) > kSmallest && std::min(height, breadth) > 1;
      stages_->push_back(Stage(channels, width, halve));
      channels = width;
      if (halve) {
        height /= 2;
        breadth /= 2;
      }
    }
    features_ = register_module("features",
                                torch::nn::Linear(channels * height * breadth, config.features));
    classes_ = register_module("classes", torch::nn::Linear(config.features, info.class_count()));
    initialize();
  }

  torch::nn::Module& module() override { return *this; }

  std::vector<ParameterSet> parameter_sets() override { return {all_parameters(*this)}; }

  std::vector<Phase> phases() override {
    return {{.name = "classify",
             .updates = "all",
             .draw =
                 [this](const Batch&, Draw& draw) {
                   return Tensors{{"shift", draw.uniform("shift", {2})},
                                  {"flip", draw.uniform("flip", {})},
                                  {"dropout", draw.uniform("dropout", {config_.features})}};
                 },
             .loss = [this](LossInput& in) { return loss(in); }}};
  }

  Judgement classify(const Tensor& images) override {
    const Tensor features = features_of(images);
    return {.logits = classes_->forward(features), .features = features};
  }

  std::vector<Activation> activations(const Tensor& images) override {
    std::vector<Activation> found;
    Tensor x = normalized(images);
    for (const auto& stage : stages_->named_children()) {
      auto* layer = stage.value()->as<Stage>();
      found.push_back({concat("stages.", stage.key()), layer->activation(x)});
      x = layer->halved(found.back().values);
    }
    return found;
  }

  Tensors validate(const Batch& batch, Draw&) override {
    const Tensor logits = classify(batch.input).logits;
    return {{"cross_entropy", smoothed_cross_entropy(logits, batch.target, 0)},
            {"error", logits.argmax(1).ne(batch.target).to(at::kFloat)}};
  }

  std::string objective() const override { return "cross_entropy"; }

  std::string health(const Batch& batch) override {
    const Tensor wrong = classify(batch.input).logits.argmax(1).ne(batch.target);
    std::string worst;
    double most = 0;
    for (int64_t label = 0; label < info_.class_count(); ++label) {
      const Tensor own = batch.target.eq(label);
      const double all = own.sum().item<double>(), bad = (own & wrong).sum().item<double>();
      if (all == 0 || bad / all <= most) continue;
      most = bad / all;
      worst = concat("; hardest class: ", info_.classes[static_cast<size_t>(label)], " (", bad,
                     " of ", all, " wrong)");
    }
    return concat(wrong.sum().item<int64_t>(), " of ", batch.target.size(0),
                  " test images taken for another class", worst);
  }

 private:
  /// K. He et al., "Delving deep into rectifiers", 2015, equation 10; the last layer starts near 0,
  /// that is, at equal probabilities.
  void initialize() {
    for (auto& parameter : named_parameters()) {
      if (parameter.value().dim() == 1) {
        torch::nn::init::zeros_(parameter.value());
      } else {
        torch::nn::init::kaiming_normal_(parameter.value(), 0, torch::kFanIn, torch::kReLU);
      }
    }
    torch::nn::init::normal_(classes_->weight, 0, 0.01);
  }

  /// Grey levels about the mean of dark pictures of one bright thing, to unit size.
  static Tensor normalized(const Tensor& images) { return (images - 0.2) * 3; }

  /// [B, F]
  Tensor features_of(const Tensor& images) {
    Tensor x = normalized(images);
    for (const auto& stage : *stages_) x = stage->as<Stage>()->forward(x);
    return features_->forward(x.flatten(1)).relu();
  }

  Tensor augment(const Tensor& images, const Tensors& draws) const {
    Tensor x = images;
    if (config_.flip) {
      const Tensor mirrored = draws.at("flip").lt(0.5).view({-1, 1, 1, 1});
      x = at::where(mirrored, x.flip(3), x);
    }
    if (config_.shift == 0) return x;
    const Tensor offsets = (draws.at("shift") * (2 * config_.shift + 1)).floor().to(at::kLong);
    return shift_images(x, offsets - config_.shift, config_.shift);
  }

  Loss loss(LossInput& in) {
    Tensor features = features_of(augment(in.batch.input, in.draws));
    if (config_.dropout > 0) {
      features = features * in.draws.at("dropout").ge(config_.dropout) / (1 - config_.dropout);
    }
    const Tensor logits = classes_->forward(features);
    const Tensor wrong = logits.argmax(1).ne(in.batch.target).to(at::kFloat).mean();
    return {
        .value = smoothed_cross_entropy(logits, in.batch.target, config_.label_smoothing).mean(),
        .logs = {{"error", wrong}}};
  }

  ClassifierConfig config_;
  DataInfo info_;
  torch::nn::ModuleList stages_{nullptr};
  torch::nn::Linear features_{nullptr}, classes_{nullptr};
};

std::unique_ptr<Model> make_classifier(const Json& settings, const ModelContext& context) {
  const DataInfo& info = context.info;
  const auto config = from_json<ClassifierConfig>(classifier_fields(), settings, "model");
  if (info.class_count() < 2) {
    fail(ErrorKind::usage, "a classifier needs a data set with two or more classes; '", info.source,
         "' has ", info.classes.empty() ? "no labels" : "one class");
  }
  const int64_t side = std::min(info.height, info.width);
  if (config.shift >= side) {
    fail(ErrorKind::usage, "model.shift: expected less than the image's side of ", side,
         " pixels, found ", config.shift);
  }
  return std::make_unique<ClassifierModel>(config, context);
}

}  // namespace

Family classifier_family() {
  return {.name = "classifier",
          .summary = "convolutional classifier: says which class an image shows, judges samples",
          .offers = {{Capability::classifier}},
          .settings = classifier_fields(),
          .sampling = describe<NoSampling>().table(),
          .make = make_classifier,
          .tiny = {{"width", 2}, {"features", 8}, {"dropout", 0.1}}};
}

}  // namespace genai
