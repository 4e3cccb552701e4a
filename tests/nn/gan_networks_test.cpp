#include "genai/nn/gan_networks.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "genai/core/draw.h"
#include "genai/nn/style_generator.h"

namespace genai {
namespace {

int64_t count_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

Tensor points(int64_t count, int64_t size) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(i);
  return Draw(1, "points", ids).normal("z", {size});
}

Tensor images(int64_t count, int64_t c, int64_t h, int64_t w) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(i);
  return Draw(2, "images", ids).uniform("x", {c, h, w}) * 2 - 1;
}

std::vector<Tensor> noise_for(const GeneratorNetwork& network, int64_t count) {
  std::vector<Tensor> noise;
  for (const auto& size : network.noise_sizes()) {
    noise.push_back(points(count, size[0] * size[1]).view({count, 1, size[0], size[1]}));
  }
  return noise;
}

std::shared_ptr<GeneratorNetwork> make(const GeneratorConfig& config, int64_t in, int64_t c,
                                       int64_t h, int64_t w) {
  if (config.kind == GeneratorKind::style) {
    return std::make_shared<StyleGenerator>(config, in, c, h, w);
  }
  return make_plain_generator(config, in, c, h, w);
}

TEST(GanNetworks, HaveTheParametersOfTheExamplesDcgan) {
  // pytorch/examples, cpp/dcgan (28x28) and dcgan (64x64, one channel).
  GeneratorConfig g{
      .kind = GeneratorKind::dcgan, .width = 64, .levels = 3, .norm = Normalization::batch};
  DiscriminatorConfig d{
      .kind = DiscriminatorKind::dcgan, .width = 64, .levels = 3, .norm = Normalization::batch};
  EXPECT_EQ(count_parameters(*make(g, 100, 1, 28, 28)), 837'504);
  EXPECT_EQ(count_parameters(*Discriminator(d, 1, 28, 28, 0)), 659'456);
  g.levels = d.levels = 4;
  EXPECT_EQ(count_parameters(*make(g, 100, 1, 64, 64)), 3'574'656);
  EXPECT_EQ(count_parameters(*Discriminator(d, 1, 64, 64, 0)), 2'763'520);
}

TEST(GanNetworks, TakeAnySizeAndNumberOfChannels) {
  const std::vector<std::array<int64_t, 3>> shapes = {
      {1, 28, 28}, {3, 32, 32}, {1, 17, 23}, {3, 9, 8}, {2, 64, 40}};
  for (const auto& [c, h, w] : shapes) {
    for (const GeneratorKind kind :
         {GeneratorKind::dcgan, GeneratorKind::residual, GeneratorKind::style}) {
      for (const int64_t patch : {1, 2, 3}) {
        const auto network = make({.kind = kind,
                                   .width = 4,
                                   .levels = patch == 1 ? 3 : 1,
                                   .patch = patch,
                                   .style = 8,
                                   .mapping = 2},
                                  6, c, h, w);
        const Tensor made = network->forward(points(2, 6), noise_for(*network, 2));
        ASSERT_EQ(made.sizes(), (at::IntArrayRef{2, c, h, w}));
        if (kind == GeneratorKind::dcgan) {
          EXPECT_LE(made.abs().max().item<float>(), 1);
        }
      }
    }
    for (const DiscriminatorKind kind : {DiscriminatorKind::dcgan, DiscriminatorKind::residual}) {
      Discriminator network(
          DiscriminatorConfig{.kind = kind, .width = 4, .levels = 2, .patch = 1, .head = 8}, c, h,
          w, 3);
      EXPECT_EQ(network->forward(images(2, c, h, w), at::tensor({0, 2}, at::kLong)).sizes(),
                (at::IntArrayRef{2}));
    }
  }
}

TEST(GanNetworks, ComputeEachImageByItself) {
  for (const GeneratorKind kind :
       {GeneratorKind::dcgan, GeneratorKind::residual, GeneratorKind::style}) {
    const auto network = make({.kind = kind, .width = 16, .levels = 1, .patch = 2}, 6, 1, 28, 28);
    const Tensor z = points(4, 6);
    const auto noise = noise_for(*network, 4);
    const Tensor all = network->forward(z, noise);
    std::vector<Tensor> own;
    for (const Tensor& n : noise) own.push_back(n.narrow(0, 2, 1));
    EXPECT_TRUE(at::allclose(network->forward(z.narrow(0, 2, 1), own)[0], all[2], 1e-4, 1e-5));
  }
}

TEST(GanNetworks, DrawFromAGrid) {
  torch::manual_seed(1);
  const GeneratorConfig config{.kind = GeneratorKind::unet, .width = 8, .levels = 2, .patch = 2};
  const auto network = make_plain_generator(config, 4, 3, 20, 28, /*grids=*/2);
  const Tensor grid = images(2, 2, 20, 28), z = points(2, 4);
  const Tensor made = network->forward(z, {}, grid);
  EXPECT_EQ(made.sizes(), (at::IntArrayRef{2, 3, 20, 28}));
  EXPECT_FALSE(at::equal(network->forward(z, {}, grid.flip({3})), made));
  EXPECT_FALSE(at::equal(network->forward(z.flip({0}), {}, grid), made));
}

TEST(Discriminator, OfPatchesScoresEachPlaceByWhatIsNearIt) {
  torch::manual_seed(1);
  for (const DiscriminatorKind kind : {DiscriminatorKind::dcgan, DiscriminatorKind::residual}) {
    Discriminator network(
        DiscriminatorConfig{
            .kind = kind, .width = 4, .levels = 2, .patch = 1, .head = 8, .patches = true},
        1, 64, 64, 3);
    const Tensor x = images(2, 1, 64, 64), labels = at::tensor({0, 2}, at::kLong);
    const Tensor scores = network->forward(x, labels);
    ASSERT_EQ(scores.sizes(), (at::IntArrayRef{2, 16 * 16}));
    Tensor other = x.clone();
    other.narrow(2, 60, 4).narrow(3, 60, 4).fill_(1);
    const Tensor changed = network->forward(other, labels).ne(scores).view({2, 16, 16});
    EXPECT_TRUE(changed[0][15][15].item<bool>());
    EXPECT_FALSE(changed.narrow(1, 0, 8).narrow(2, 0, 8).any().item<bool>());
    EXPECT_FALSE(at::equal(network->forward(x, labels.flip({0})), scores));
  }
}

TEST(Discriminator, IsToldTheClassByProjection) {
  Discriminator network(DiscriminatorConfig{.width = 4, .head = 8}, 1, 12, 12, 3);
  const Tensor x = images(2, 1, 12, 12);
  const auto score = [&](int64_t label) {
    return network->forward(x, at::full({2}, label, at::kLong));
  };
  EXPECT_FALSE(at::allclose(score(0), score(1)));
  // Equation 4: the class adds its embedding times the features, here none.
  const at::NoGradGuard no_grad;
  network->named_parameters()["classes.weight"][1].zero_();
  Discriminator plain(DiscriminatorConfig{.width = 4, .head = 8}, 1, 12, 12, 0);
  for (auto& parameter : plain->named_parameters()) {
    parameter.value().copy_(network->named_parameters()[parameter.key()]);
  }
  EXPECT_TRUE(at::allclose(score(1), plain->forward(x, {}), 1e-5, 1e-6));
}

TEST(SpectralNorm, DividesByTheLargestSingularValue) {
  const Tensor weight = points(6, 4 * 9).view({6, 4, 3, 3});
  SpectralNorm norm(weight);
  for (int i = 0; i < 200; ++i) norm->forward(weight);
  const Tensor found = norm->forward(weight);
  const double largest = at::linalg_svdvals(weight.flatten(1)).max().item<double>();
  EXPECT_TRUE(at::allclose(found, weight / largest, 1e-4, 1e-6));
  // In evaluation nothing moves.
  norm->eval();
  const Tensor u = norm->named_buffers()["u"].clone();
  norm->forward(weight * 2 + 1);
  EXPECT_TRUE(at::equal(norm->named_buffers()["u"], u));
}

TEST(SpectralNorm, HasTheSlopesOfFiniteDifferences) {
  // d (W / sigma(W)) with u and v held, which at the singular vectors is the true derivative.
  const Tensor weight = points(5, 7).to(at::kDouble);
  const Tensor direction = points(5, 7).flip(0).to(at::kDouble), read = points(5, 7).flip(1);
  SpectralNorm norm(weight);
  for (int i = 0; i < 500; ++i) norm->forward(weight);
  norm->eval();
  const auto value = [&](double t) {
    return (norm->forward(weight + t * direction) * read).sum().item<double>();
  };
  const Tensor leaf = weight.clone().requires_grad_();
  (norm->forward(leaf) * read).sum().backward();
  const double slope = (leaf.grad() * direction).sum().item<double>();
  EXPECT_NEAR((value(1e-5) - value(-1e-5)) / 2e-5, slope, 1e-5 * std::abs(slope) + 1e-7);
}

TEST(StyledConvolution, EqualsWeightsModulatedForEachImage) {
  // Karras et al. 2020, equations 1 and 3, image by image.
  StyledConvolution layer(8, 6, 5);
  const Tensor x = images(3, 8, 7, 7), style = points(3, 5), noise = images(3, 1, 7, 7);
  const at::NoGradGuard no_grad;
  layer->noise_strength.fill_(0.3);
  layer->bias.copy_(points(1, 6)[0]);
  const Tensor found = layer->forward(x, style, noise);
  const Tensor scales = layer->affine->forward(style);
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor modulated = layer->weight * scales[i].view({1, -1, 1, 1});
    const Tensor length = (modulated.square().sum({1, 2, 3}, true) + 1e-8).sqrt();
    const Tensor y = at::conv2d(x.narrow(0, i, 1), modulated / length, {}, 1, 1) + 0.3 * noise[i] +
                     layer->bias.view({1, -1, 1, 1});
    EXPECT_TRUE(at::allclose(found[i], at::leaky_relu(y, 0.2)[0] * std::sqrt(2.0), 1e-4, 1e-5));
  }
}

TEST(StyleGenerator, TellsEachLayerItsOwnStyle) {
  StyleGenerator network(
      {.kind = GeneratorKind::style, .width = 4, .levels = 2, .patch = 1, .style = 8}, 6, 1, 16,
      16);
  ASSERT_EQ(network.layers(), 5);
  const auto noise = noise_for(network, 2);
  const Tensor a = network.map(points(2, 6)), b = network.map(points(2, 6).flip(1));
  const Tensor base = network.forward(points(2, 6), noise);
  EXPECT_TRUE(at::equal(network.render(std::vector<Tensor>(5, a), noise), base));
  for (size_t layer = 0; layer < 5; ++layer) {
    std::vector<Tensor> styles(5, a);
    styles[layer] = b;
    EXPECT_FALSE(at::allclose(network.render(styles, noise), base)) << layer;
    EXPECT_EQ(network.style_matrix(static_cast<int64_t>(layer)).size(1), 8);
  }
}

TEST(StyleGenerator, MapsPointsByTheirDirectionAlone) {
  StyleGenerator network({.kind = GeneratorKind::style, .width = 4, .style = 8}, 6, 1, 16, 16);
  const Tensor z = points(3, 6);
  EXPECT_TRUE(at::allclose(network.map(z), network.map(z * 7), 1e-4, 1e-5));
}

}  // namespace
}  // namespace genai
