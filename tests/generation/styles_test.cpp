#include "genai/generation/styles.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "genai/base/animation.h"
#include "genai/base/png.h"
#include "genai/generation/recreate.h"
#include "generation/random_runs.h"

namespace genai {
namespace {

const Json kAsTiny = Json::object(), kUnconditional = {{"condition", ""}},
           kClassAlone = {{"condition", "class"}};

/// Strengths of noise are random too.
class Styles : public RandomRuns {
 protected:
  LoadedModel load(const Json& changes = kAsTiny, int64_t channels = 1,
                   const std::string& name = "gan") {
    return RandomRuns::load(name, changes, channels, /*strength=*/0.5);
  }
};

int64_t layers_of(const LoadedModel& loaded) {
  return loaded.as<StyleSpace>("").style_layers();
}

/// Layers that are not told a noise: only styles make a difference.
void silence(const LoadedModel& loaded) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : loaded.model->module().named_parameters()) {
    if (parameter.key().find("noise_strength") != std::string::npos) parameter.value().zero_();
  }
}

// ---- Mixing

TEST_F(Styles, MixesHaveTheSamplesInTheirMargins) {
  const LoadedModel plain = load(kUnconditional), taught = load(), colour = load(kAsTiny, 3);
  struct Case {
    const LoadedModel& model;
    ImageRequest request;
  };
  const Case cases[] = {{plain, {.first = 0, .count = 4}},
                        {plain, {.first = 14, .count = 5}},  // over the edge of a chunk
                        {plain, {.first = 3, .count = 1, .options = {{"truncation", 0.5}}}},
                        {taught, {.first = 15, .count = 20}},
                        {taught, {.first = 2, .count = 3, .label = 1}},
                        {colour, {.first = 9, .count = 4, .options = {{"truncation", 0.7}}}}};
  for (const auto& [model, request] : cases) {
    SCOPED_TRACE(concat(request.first, " ", request.count));
    const Mix mix = find_mix(model, {.images = request});
    ImageRequest after = request;
    after.first += after.count;
    EXPECT_TRUE(at::equal(mix.rows, samples(model, request)));
    EXPECT_TRUE(at::equal(mix.columns, samples(model, after)));
    const int64_t n = request.count, c = model.manifest.data.channels;
    EXPECT_EQ(mix.cells.sizes(), (std::vector<int64_t>{n, n, c, 8, 8}));
  }
}

TEST_F(Styles, MixesGoFromTheColumnToTheRow) {
  const LoadedModel loaded = load(kClassAlone);
  const int64_t layers = layers_of(loaded);
  ASSERT_EQ(layers, 3);
  const ImageRequest images{.first = 15, .count = 3};
  const auto mix = [&](int64_t from) { return find_mix(loaded, {.images = images, .from = from}); };
  // From the last layer on nothing is the column's.
  const Mix last = mix(layers);
  for (int64_t j = 0; j < 3; ++j) EXPECT_TRUE(at::equal(last.cells.select(1, j), last.rows));
  // Each layer makes a difference; half of them is usual.
  for (int64_t from = 0; from < layers; ++from) {
    EXPECT_FALSE(at::equal(mix(from).cells, mix(from + 1).cells)) << from;
  }
  EXPECT_TRUE(at::equal(mix(-1).cells, mix(1).cells));
  // The noise is the row's: where there is none, all styles of the column make its image.
  EXPECT_FALSE(at::equal(mix(0).cells[0], mix(0).cells[1]));
  silence(loaded);
  const Mix first = mix(0);
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor difference = first.cells[i].to(at::kInt) - first.columns.to(at::kInt);
    EXPECT_LE(difference.abs().max().item<int>(), 1);  // it stands in another row of its chunk
  }
}

TEST_F(Styles, AMixedImageIsOfTheLayersStyles) {
  const LoadedModel loaded = load(kUnconditional);
  auto& space = loaded.as<StyleSpace>("");
  const Mix mix = find_mix(loaded, {.images = {.first = 4, .count = 2}, .from = 2});
  // Rows 4 and 5, columns 6 and 7, each cell on its own.
  const at::NoGradGuard no_grad;
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      const Draw a(kGenerationSeed, "generate", {4 + i}), b(kGenerationSeed, "generate", {6 + j});
      const Tensor coarse = space.styles(a, {}, Json::object()),
                   fine = space.styles(b, {}, Json::object());
      const Tensor image = space.render(at::stack({coarse, coarse, fine}, 1), a, {})[0];
      const Tensor difference = quantized(image).to(at::kInt) - mix.cells[i][j].to(at::kInt);
      EXPECT_LE(difference.abs().max().item<int>(), 1) << i << " " << j;
    }
  }
}

TEST_F(Styles, AMixDoesNotDependOnItsOtherRows) {
  const LoadedModel loaded = load();
  // Rows 0 to 19 with columns 20 to 39, rows 10 to 19 with columns 20 to 29.
  const Mix all = find_mix(loaded, {.images = {.first = 0, .count = 20}});
  const Mix part = find_mix(loaded, {.images = {.first = 10, .count = 10}});
  EXPECT_TRUE(at::equal(part.cells, all.cells.narrow(0, 10, 10).narrow(1, 0, 10)));
}

// ---- Directions

TEST(Factorizations, AreThoseOfAMatrixMadeByHand) {
  // A = U S V^T of known V: a rotation by 0.3 in the first two axes, the third on its own.
  const double c = std::cos(0.3), s = std::sin(0.3);
  const Tensor v = at::tensor({c, s, 0.0, -s, c, 0.0, 0.0, 0.0, -1.0}, at::kDouble).view({3, 3});
  const Tensor strengths = at::tensor({1.0, 2.0, 5.0}, at::kDouble);
  const Tensor a =
      at::cat({strengths.diag().matmul(v), at::zeros({4, 3}, at::kDouble)}).roll(2, 0);  // [7, 3]
  const Factorization found = factorize(a);
  EXPECT_TRUE(at::allclose(found.eigenvalues, at::tensor({25.0, 4.0, 1.0}, at::kDouble)));
  // Falling, and the largest number of each positive.
  const Tensor expected =
      at::tensor({0.0, 0.0, 1.0, -s, c, 0.0, c, s, 0.0}, at::kDouble).view({3, 3});
  EXPECT_TRUE(at::allclose(found.directions, expected)) << found.directions;
  EXPECT_TRUE(at::equal(factorize(-a).directions, found.directions));
}

TEST(Factorizations, AreOrthonormalAndSorted) {
  torch::manual_seed(3);
  for (const int64_t channels : {2, 5, 40}) {  // fewer than numbers of a style, and more
    const Tensor a = at::randn({channels, 5}).requires_grad_();
    const Factorization found = factorize(a);
    EXPECT_TRUE(at::allclose(found.directions.matmul(found.directions.t()), at::eye(5, at::kDouble),
                             0, 1e-12));
    EXPECT_TRUE((found.eigenvalues.diff() <= 0).all().item<bool>());
    // |A n|^2 of each is its eigenvalue: equation 4.
    const Tensor lengths = a.detach().to(at::kDouble).matmul(found.directions.t()).square().sum(0);
    EXPECT_TRUE(at::allclose(lengths, found.eigenvalues, 1e-9, 1e-9));
    const Tensor largest =
        found.directions.gather(1, found.directions.abs().argmax(1, /*keepdim=*/true));
    EXPECT_TRUE((largest > 0).all().item<bool>());
  }
}

TEST_F(Styles, DirectionsHaveTheSampleInTheMiddle) {
  const LoadedModel plain = load(kUnconditional), taught = load(), colour = load(kAsTiny, 3);
  struct Case {
    const LoadedModel& model;
    ImageRequest request;
  };
  const Case cases[] = {{plain, {.first = 0, .count = 1}},
                        {taught, {.first = 17, .count = 1}},
                        {taught, {.first = 31, .count = 1, .label = 2}},
                        {colour, {.first = 9, .count = 1, .options = {{"truncation", 0.7}}}}};
  for (const auto& [model, request] : cases) {
    SCOPED_TRACE(request.first);
    const Tensor sample = samples(model, request)[0];
    for (const int64_t moments : {3, 7}) {
      const Directions found =
          find_directions(model, {.images = request, .directions = 2, .frames = moments});
      ASSERT_EQ(found.pictures.size(1), moments);
      for (int64_t i = 0; i < 2; ++i) {
        EXPECT_TRUE(at::equal(found.pictures[i][moments / 2], sample));
        EXPECT_FALSE(at::equal(found.pictures[i][0], sample));
        EXPECT_FALSE(at::equal(found.pictures[i][0], found.pictures[i][moments - 1]));
      }
      EXPECT_GT(found.shares[0].item<double>(), found.shares[1].item<double>());
      EXPECT_LT(found.shares.sum().item<double>(), 1);
    }
  }
}

TEST_F(Styles, DirectionsMoveByStandardDeviations) {
  const LoadedModel loaded = load(kClassAlone);
  auto& space = loaded.as<StyleSpace>("");
  const at::NoGradGuard no_grad;
  const DirectionsRequest request{.images = {.first = 4, .count = 1},
                                  .directions = 3,
                                  .strength = 2,
                                  .frames = 5,
                                  .first_layer = 1,
                                  .last_layer = 2};
  const Directions found = find_directions(loaded, request);
  const Factorization factors = factorize(at::cat({space.style_matrix(1), space.style_matrix(2)}));
  const Tensor n = factors.directions.narrow(0, 0, 3).to(at::kFloat);
  EXPECT_TRUE(at::allclose(found.shares,
                           (factors.eigenvalues / factors.eigenvalues.sum()).narrow(0, 0, 3)));
  // The unit: the spread of styles of the sample's class (4 modulo 3 classes).
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < 1024; ++i) numbers.push_back(i);
  const auto styles_of = [&](const Draw& draw, int64_t label) {
    return space.styles(draw, told_class(at::full({draw.items()}, label, at::kLong)),
                        Json::object());
  };
  const Tensor along =
      styles_of(Draw(kGenerationSeed, "styles", numbers), 1).matmul(n.t());  // [1024, 3]
  EXPECT_TRUE(at::allclose(found.deviations, along.std(0)));
  const Draw draw(kGenerationSeed, "generate", {4});
  const Tensor style = styles_of(draw, 1);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t moment = 0; moment < 5; ++moment) {
      const Tensor moved =
          style + static_cast<double>(moment - 2) * found.deviations[i] * n[i];  // -2 .. 2
      const Tensor image = space.render(at::stack({style, moved, moved}, 1), draw, {})[0];
      const Tensor difference =
          quantized(image).to(at::kInt) - found.pictures[i][moment].to(at::kInt);
      EXPECT_LE(difference.abs().max().item<int>(), 1) << i << " " << moment;
    }
  }
  // Sampling options move the sample, not the unit.
  DirectionsRequest truncated = request;
  truncated.images.options = {{"truncation", 0.2}};
  EXPECT_TRUE(at::equal(find_directions(loaded, truncated).deviations, found.deviations));
  // Other layers, other directions.
  DirectionsRequest coarse = request;
  coarse.first_layer = coarse.last_layer = 0;
  EXPECT_FALSE(at::equal(find_directions(loaded, coarse).shares, found.shares));
}

TEST_F(Styles, DirectionsDoNotDependOnHowManyAreShown) {
  const LoadedModel loaded = load();
  const ImageRequest images{.first = 5, .count = 1};
  const Directions few = find_directions(loaded, {.images = images, .directions = 2}),
                   all = find_directions(loaded, {.images = images, .directions = 8});
  EXPECT_TRUE(at::allclose(all.deviations.narrow(0, 0, 2), few.deviations));
  const Tensor difference = all.pictures.narrow(0, 0, 2).to(at::kInt) - few.pictures.to(at::kInt);
  EXPECT_LE(difference.abs().max().item<int>(), 1);
}

// ---- Both

TEST_F(Styles, WithoutThemIsAUsageError) {
  for (const char* kind : {"residual", "dcgan"}) {
    Json changes = {{"generator", {{"kind", kind}, {"patch", 2}}}};
    const LoadedModel plain = load(changes);
    const std::string part =
        concat("a gan does when model.generator.kind is style; that of this run is ", kind);
    expect_error(ErrorKind::usage, part, [&] { find_mix(plain, {}); });
    expect_error(ErrorKind::usage, part, [&] { find_directions(plain, {}); });
  }
  for (const Family& family : families()) {
    if (family.reads != ItemKind::grid) continue;
    if (offers(family, Capability::style_space)) {
      EXPECT_EQ(find_mix(load(kAsTiny, 1, family.name), {.images = {.count = 2}}).rows.size(0), 2);
      continue;
    }
    const LoadedModel other = load(kAsTiny, 1, family.name);
    expect_error(ErrorKind::usage, "to these it does: gan", [&] { find_mix(other, {}); });
    expect_error(ErrorKind::usage, "to these it does: gan", [&] { find_directions(other, {}); });
  }
}

TEST_F(Styles, ImpossibleRequestsAreUsageErrors) {
  const LoadedModel loaded = load(kUnconditional);
  const auto refuse_mix = [&](const MixRequest& request, const char* part) {
    expect_error(ErrorKind::usage, part, [&] { find_mix(loaded, request); });
  };
  refuse_mix({.images = {.count = 0}}, "request.count: expected 1 to 64");
  refuse_mix({.images = {.count = 65}}, "request.count: expected 1 to 64");
  refuse_mix({.images = {.first = -1, .count = 2}}, "request.seed");
  refuse_mix({.images = {.first = INT64_MAX - 3, .count = 2}}, "request.seed");
  refuse_mix({.images = {.count = 2, .label = 1}}, "request.class");
  refuse_mix({.images = {.count = 2, .options = {{"truncation", 9}}}}, "truncation");
  refuse_mix({.images = {.count = 2, .options = {{"nonsense", 9}}}}, "nonsense");
  refuse_mix({.images = {.count = 2}, .from = 4}, "to 3 (none is), found 4");
  refuse_mix({.images = {.count = 2}, .from = -2}, "found -2");
  const auto refuse = [&](const char* part, const std::function<void(DirectionsRequest&)>& spoil) {
    DirectionsRequest request{.images = {.first = 2, .count = 1}};
    spoil(request);
    expect_error(ErrorKind::usage, part, [&] { find_directions(loaded, request); });
  };
  using R = DirectionsRequest;
  refuse("request.count", [](R& r) { r.images.count = 2; });
  refuse("request.seed", [](R& r) { r.images.first = -1; });
  refuse("request.class", [](R& r) { r.images.label = 0; });
  refuse("truncation", [](R& r) { r.images.options = {{"truncation", 9}}; });
  refuse("request.directions: expected 1 to 8", [](R& r) { r.directions = 0; });
  refuse("request.directions: expected 1 to 8", [](R& r) { r.directions = 9; });
  for (const double strength : {0.0, -1.0, 1e4, std::nan("")}) {
    refuse("request.strength", [&](R& r) { r.strength = strength; });
  }
  for (const int64_t moments : {-1, 0, 1, 2, 6, 1001}) {
    refuse("request.frames: expected an odd number", [&](R& r) { r.frames = moments; });
  }
  refuse("request.layers: expected layers within 0-2, found 0-3", [](R& r) { r.last_layer = 3; });
  refuse("request.layers", [](R& r) { r.first_layer = -1; });
  refuse("request.layers", [](R& r) { r.first_layer = 2, r.last_layer = 1; });
  refuse("request.layers", [](R& r) { r.last_layer = -2; });
}

TEST_F(Styles, PixelsThatAreNoNumbersAreFailures) {
  const LoadedModel loaded = load(kUnconditional);
  const at::NoGradGuard no_grad;
  loaded.model->module().named_parameters()["generator.constant"].fill_(std::nanf(""));
  expect_error(ErrorKind::failure, "not numbers",
               [&] { find_mix(loaded, {.images = {.count = 1}}); });
  expect_error(ErrorKind::failure, "not numbers",
               [&] { find_directions(loaded, {.images = {.count = 1}}); });
}

TEST_F(Styles, AreDrawnInRowsAndColumns) {
  const LoadedModel loaded = load();
  const DataInfo& info = loaded.manifest.data;
  const MixRequest mix{.images = {.first = 0, .count = 3}, .from = 1};
  const Image grid = draw_mix(find_mix(loaded, mix), mix, 3);
  EXPECT_EQ(grid.height, 6 + 7 + 4 * 30 + 6);
  EXPECT_EQ(grid.width, 6 + 17 + 4 * 30 + 6);  // "a 0" to the left
  EXPECT_GT(mix_scale(mix, 0, info), 3);
  EXPECT_EQ(mix_scale(mix, 2, info), 2);

  const DirectionsRequest request = resolve_request(
      loaded, DirectionsRequest{.images = {.first = 1, .count = 1}, .directions = 3, .frames = 5});
  EXPECT_EQ(request.last_layer, 2);
  const Directions found = find_directions(loaded, request);
  const auto strip = draw_directions(found, request, {.strip = true, .scale = 3});
  ASSERT_EQ(strip.size(), 1u);
  EXPECT_EQ(strip[0].height, 6 + 7 + 3 * 30 + 6);
  const auto film = draw_directions(found, request, {.strip = false, .scale = 3});
  ASSERT_EQ(film.size(), 8u);  // there and back
  for (const Image& image : film) EXPECT_EQ(image.height, 6 + 7 + 2 * 30 + 6);
  EXPECT_NE(film[0], film[4]);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(film[i], film[8 - i]);
    EXPECT_NE(film[i], film[i + 1]);
  }
  for (const bool kind : {true, false}) {
    EXPECT_GT(resolve_layout(DirectionsLayout{.strip = kind}, request, info).scale, 1);
    EXPECT_EQ(resolve_layout(DirectionsLayout{.strip = kind, .scale = 2}, request, info).scale, 2);
  }
}

/// The same picture with another value in its request.
std::string with_request(const std::string& png, const std::string& key, const Json& value) {
  Png odd = decode_png(png, "x");
  for (PngText& text : odd.text) {
    if (text.keyword != "genai") continue;
    Json json = parse_json(text.text, "x", ErrorKind::data);
    json["request"][key] = value;
    text.text = json.dump();
  }
  return encode_png(odd.image, odd.text);
}

using Changes = std::vector<std::pair<const char*, Json>>;

TEST_F(Styles, MixesAreMadeAgainFromTheirProvenance) {
  const LoadedModel loaded = load(kAsTiny, 3);
  const MixRequest request = resolve_request(
      loaded, MixRequest{.images = {.first = 14, .count = 3, .options = {{"truncation", 0.8}}}});
  const Image picture = draw_mix(find_mix(loaded, request), request, 2);
  const Json told = mix_json(loaded, request, 2);
  EXPECT_EQ(told.at("from"), 1);
  const std::string png = encode_png(picture, provenance(loaded, told, picture));
  EXPECT_NE(decode_png(png, "x").text.at(0).text.find("Seed: 14-19"), std::string::npos);
  const Recreation again = recreate(png, "x.png", loaded);
  EXPECT_TRUE(again.same);
  EXPECT_EQ(again.impossible, "");
  EXPECT_EQ(again.tolerance, "equal pixels");
  Image changed = picture;
  changed.pixels[2000] ^= 1;
  const std::string other = encode_png(changed, provenance(loaded, told, picture));
  EXPECT_EQ(recreate(other, "x", loaded).differing, 1);
  EXPECT_FALSE(recreate(with_request(png, "from", 2), "x", loaded).same);
  EXPECT_FALSE(recreate(with_request(png, "count", 4), "x", loaded).same);
  for (const auto& [key, value] : Changes{{"show", "blend"},
                                          {"show", "directions"},
                                          {"show", 3},
                                          {"from", -1},
                                          {"from", 4},
                                          {"count", 5},
                                          {"count", 0},
                                          {"count", -2},
                                          {"count", 1 << 30},
                                          {"count", "two"},
                                          {"scale", 0},
                                          {"scale", 1 << 30},
                                          {"options", 3},
                                          {"class", 3},
                                          {"first", -1}}) {
    EXPECT_THROW(recreate(with_request(png, key, value), "x", loaded), Error)
        << key << " " << value;
  }
}

TEST_F(Styles, DirectionsAreMadeAgainFromTheirProvenance) {
  const LoadedModel loaded = load(kAsTiny, 3);
  const DirectionsRequest request =
      resolve_request(loaded, DirectionsRequest{.images = {.first = 18, .count = 1},
                                                .directions = 3,
                                                .strength = 1.3,
                                                .frames = 5,
                                                .first_layer = 1});
  const Directions found = find_directions(loaded, request);
  const DirectionsLayout strip{.strip = true, .scale = 2}, moves{.strip = false, .scale = 1};
  const Image still = draw_directions(found, request, strip)[0];
  const auto film = draw_directions(found, request, moves);
  std::vector<Frame> frames;
  for (const Image& image : film) frames.push_back({.image = image});
  const auto texts = [&](const DirectionsLayout& layout, int64_t frame = -1) {
    return provenance(loaded, directions_json(loaded, request, layout, frame), still);
  };
  const std::string png = encode_png(still, texts(strip));
  for (const std::string& made :
       {png, encode_apng(frames, texts(moves)), encode_png(film[6], texts(moves, 6))}) {
    const Recreation again = recreate(made, "x.png", loaded);
    EXPECT_TRUE(again.same);
    EXPECT_EQ(again.tolerance, "equal pixels");
  }
  EXPECT_FALSE(recreate(encode_png(film[1], texts(moves, 6)), "x", loaded).same);
  frames.pop_back();
  EXPECT_FALSE(recreate(encode_apng(frames, texts(moves)), "x", loaded).same);
  EXPECT_FALSE(recreate(with_request(png, "strength", 1.2), "x", loaded).same);
  for (const auto& [key, value] : Changes{{"show", "mix"},
                                          {"count", 2},
                                          {"directions", 0},
                                          {"directions", 9},
                                          {"strength", 0},
                                          {"strength", "much"},
                                          {"moments", 4},
                                          {"moments", 1 << 30},
                                          {"layers", {0, 3}},
                                          {"layers", {0, -1}},
                                          {"layers", {1}},
                                          {"layers", 1},
                                          {"scale", 0},
                                          {"scale", 1 << 30},
                                          {"frame", 8},
                                          {"frame", -1}}) {
    EXPECT_THROW(recreate(with_request(png, key, value), "x", loaded), Error)
        << key << " " << value;
  }
}

}  // namespace
}  // namespace genai
