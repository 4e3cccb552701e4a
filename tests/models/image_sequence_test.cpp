#include "genai/models/image_sequence.h"

#include <ATen/ATen.h>
#include <torch/torch.h>

#include <cmath>

#include "base/temp_folder.h"
#include "genai/base/settings.h"
#include "genai/data/batcher.h"
#include "genai/generation/generate.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"
#include "tensors.h"

namespace genai {
namespace {

/// All 16 images of 2x2 pixels that are black or white.
Tensor all_images() {
  const Tensor number = at::arange(16, at::kLong).view({16, 1});
  return number.div(at::tensor({1, 2, 4, 8}, at::kLong), "floor")
      .remainder(2)
      .view({16, 1, 2, 2})
      .to(at::kFloat);
}

const DataInfo kTiny = {.source = "tiny",
                        .channels = 1,
                        .height = 2,
                        .width = 2,
                        .classes = {"a", "b"},
                        .train_count = 16,
                        .test_count = 16};

/// With random weights.
std::unique_ptr<Model> random_model(const std::string& family, const std::string& condition) {
  Json settings = find_family(family).tiny;
  settings.update({{"levels", 2}, {"patch", 1}, {"condition", condition}});
  torch::manual_seed(1);
  auto model = make_model(find_family(family), settings, kTiny);
  const at::NoGradGuard no_grad;
  for (Tensor& parameter : model->module().parameters()) parameter.normal_(0, 0.7);
  model->module().eval();
  return model;
}

Batch batch_of(const Model& model, const Tensor& labels = {}) {
  const Split split{.grids = (all_images() * 255).to(at::kByte), .labels = labels};
  return items_batch(split, kTiny, 0, 16, at::kCPU, model.inputs());
}

/// p(x) of all images, [16].
Tensor probabilities(Model& model, const Tensor& labels = {}) {
  const at::NoGradGuard no_grad;
  const Batch batch = batch_of(model, labels);
  return dynamic_cast<Likelihood&>(model)
      .log_likelihood(batch, Draw(0, "evaluate", batch.sample_ids), 1)
      .exp();
}

Tensor label(int64_t of_class) {
  return at::full({16}, of_class, at::kLong);
}

TEST(ImageSequence, GivesAllImagesTogetherProbabilityOne) {
  for (const char* family : {"transformer", "rnn"}) {
    EXPECT_NEAR(probabilities(*random_model(family, "")).sum().item<double>(), 1, 1e-5) << family;
    const auto told = random_model(family, "class");
    EXPECT_NEAR(probabilities(*told, label(0)).sum().item<double>(), 1, 1e-5) << family;
    EXPECT_GT(distance(probabilities(*told, label(0)), probabilities(*told, label(1))), 1e-3);
  }
}

TEST(ImageSequence, OfUnknownClassIsTheMeanOfAllClasses) {
  const auto model = random_model("transformer", "class");
  expect_near(probabilities(*model),
              (probabilities(*model, label(0)) + probabilities(*model, label(1))) / 2, 1e-7);
}

TEST(ImageSequence, DrawsImagesAsOftenAsItSays) {
  for (const char* family : {"transformer", "rnn"}) {
    for (const int64_t of_class : {-1, 1}) {
      const auto model = random_model(family, of_class < 0 ? "" : "class");
      constexpr int64_t kSamples = 8000;
      const Tensor made =
          generate_items(*model, {.count = kSamples, .label = of_class}, kTiny, at::kCPU);
      const Tensor number =
          made.div(255).to(at::kLong).flatten(1).mul(at::tensor({1, 2, 4, 8}, at::kLong)).sum(1);
      const Tensor share = number.bincount({}, 16).to(at::kDouble) / kSamples;
      const Tensor p = probabilities(*model, of_class < 0 ? Tensor() : label(of_class));
      const Tensor deviation = (p * (1 - p) / kSamples).sqrt();
      EXPECT_LE(largest((share - p) / (deviation + 1e-4)), 4.5) << family << of_class;
    }
  }
}

TEST(ImageSequence, TakesTheMostLikelyImageAtTemperatureZero) {
  const auto model = random_model("transformer", "");
  const Tensor made =
      generate_items(*model, {.count = 5, .options = {{"temperature", 0}}}, kTiny, at::kCPU);
  for (int64_t i = 1; i < 5; ++i) EXPECT_TRUE(at::equal(made[i], made[0]));
}

TEST(ImageSequence, IsToldClassesAlone) {
  const auto refuses = [](const std::string& what, const std::string& condition) {
    expect_error(ErrorKind::usage, what, [&] { random_model("transformer", condition); });
  };
  refuses("models of the family transformer cannot be told 'sketch'", "sketch");
  refuses("'nonsense' is none", "nonsense");
}

/// Stripes along or across, beginning dark or bright.
Dataset stripes() {
  std::vector<Tensor> grids, labels;
  for (int64_t i = 0; i < 64; ++i) {
    const Tensor line = at::arange(8).add(i / 2).remainder(2).to(at::kByte).mul(255);
    const Tensor image = line.view({1, 8}).expand({8, 8});
    grids.push_back((i % 2 ? image.t() : image).reshape({1, 8, 8}));
    labels.push_back(at::full({}, i % 2, at::kLong));
  }
  const Split split{.grids = at::stack(grids), .labels = at::stack(labels)};
  return {.info = {.source = "stripes",
                   .channels = 1,
                   .height = 8,
                   .width = 8,
                   .classes = {"across", "along"},
                   .train_count = 64,
                   .test_count = 64,
                   .fingerprint = "stripes"},
          .train = split,
          .test = split,
          .notes = {}};
}

TEST(ImageSequence, LearnsToDrawWhatItSees) {
  const Dataset data = stripes();
  const TempFolder folder;
  const Family& family = find_family("transformer");
  Settings settings;
  settings.merge({{"model",
                   {{"family", "transformer"},
                    {"condition", "class"},
                    {"layers", 1},
                    {"heads", 2},
                    {"width", 32},
                    {"levels", 2},
                    {"patch", 2}}},
                  {"data", {{"source", "stripes"}}},
                  {"training",
                   {{"steps", 150},
                    {"batch", 16},
                    {"learning_rate", 0.01},
                    {"device", "cpu"},
                    {"precision", "float32"},
                    {"threads", 1}}}},
                 "test");
  TrainObserver observer;
  const TrainResult result = train({.family = family,
                                    .config = settings.resolve(run_sections(family)),
                                    .data = &data,
                                    .run = folder.path()},
                                   observer);
  // One bit an image says where its stripes begin: spread over 16 tokens.
  EXPECT_NEAR(result.validation.at("loss").get<double>(), std::log(2.0) / 16, 0.02);
  const LoadedModel loaded = load_model({.folder = folder.path(), .checkpoint = ""}, at::kCPU);
  for (const int64_t of_class : {0, 1}) {
    const Tensor made = generate_items(loaded, {.count = 32, .label = of_class}).squeeze(1);
    const Tensor line = of_class == 0 ? made.narrow(1, 0, 1) : made.narrow(2, 0, 1);
    const Tensor good =
        made.eq(line).flatten(1).all(1).logical_and(line.flatten(1).diff().ne(0).all(1));
    EXPECT_GE(good.sum().item<int64_t>(), 29) << of_class;
    const double bright = made.select(1, 0).select(1, 0).gt(0).to(at::kFloat).mean().item<double>();
    EXPECT_NEAR(bright, 0.5, 0.35) << of_class;
  }
}

}  // namespace
}  // namespace genai
