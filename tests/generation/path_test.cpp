#include "genai/generation/path.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "genai/base/animation.h"
#include "genai/base/png.h"
#include "genai/data/batcher.h"
#include "genai/generation/recreate.h"
#include "generation/random_runs.h"

namespace genai {
namespace {

/// Six test images that differ everywhere.
Split kept_items(const DataInfo& info) {
  const Tensor images = (at::arange(6 * info.pixels()) * 37 % 256).to(at::kByte);
  return {.grids = images.view({6, info.channels, info.height, info.width}).contiguous(),
          .labels = at::tensor({2, 0, 1, 2, 0, 1}, at::kLong)};
}

class Paths : public RandomRuns {
 protected:
  LoadedModel load(const std::string& name, const Json& changes = Json::object(),
                   int64_t channels = 1, bool keeps = true) {
    return RandomRuns::load(name, changes, channels, /*strength=*/0.2,
                            keeps ? kept_items(small_info(channels)) : Split());
  }
};

/// Of a picture's bytes from images in 0..1 (or beyond); half a step is rounding.
double distance(const Tensor& bytes, const Tensor& images) {
  return (bytes.to(at::kFloat) - images.clamp(0, 1) * 255).abs().max().item<double>();
}

const Json kPlain = {{"condition", ""}, {"self_conditioning", false}};

TEST_F(Paths, EndInTheSamplesBitForBit) {
  const LoadedModel plain = load("diffusion", kPlain), taught = load("diffusion");
  const LoadedModel flow =
      load("diffusion", {{"process", {{"kind", "flow"}}}, {"prediction", "velocity"}}, 3);
  struct Case {
    const LoadedModel& model;
    ImageRequest request;
  };
  const Case cases[] = {
      {plain, {.first = 0, .count = 4}},
      {plain, {.first = 13, .count = 7, .options = {{"sampler", "ddpm"}, {"steps", 7}}}},
      {plain,
       {.first = 30, .count = 1, .options = {{"sampler", "ddpm-large"}, {"levels", "uniform"}}}},
      {plain,
       {.first = 5, .count = 2, .options = {{"sampler", "ddim"}, {"eta", 0.7}, {"steps", 5}}}},
      {plain,
       {.first = 5, .count = 2, .options = {{"sampler", "heun"}, {"churn", 9}, {"steps", 4}}}},
      {plain, {.first = 14, .count = 40, .options = {{"sampler", "unipc"}, {"clip", false}}}},
      {plain, {.first = 1, .count = 3, .options = {{"steps", 1}}}},
      {taught, {.first = 15, .count = 2, .options = {{"sampler", "dpm++2m-sde"}, {"guidance", 2}}}},
      {taught, {.first = 2, .count = 5, .label = 1}},
      {flow, {.first = 9, .count = 9, .options = {{"sampler", "euler"}, {"levels", "uniform"}}}},
  };
  for (const auto& [model, request] : cases) {
    SCOPED_TRACE(concat(request.first, " ", request.options.dump()));
    const Tensor expected = samples(model, request);
    for (const int64_t most : {0, 2, 3}) {
      int64_t told = 0;
      const auto path = find_path(model, {.images = request, .frames = most},
                                  [&, count = request.count](const PathFrame& frame) {
                                    EXPECT_LE(frame.noisy.size(0), count);
                                    ++told;
                                  });
      const int64_t steps = request.options.value("steps", int64_t{10});
      EXPECT_EQ(static_cast<int64_t>(path.size()), most ? std::min(most, steps + 1) : steps + 1);
      EXPECT_EQ(told, static_cast<int64_t>(path.size()));
      EXPECT_TRUE(at::equal(path.back().noisy, expected));
      EXPECT_TRUE(at::equal(path.back().clean, expected));
      EXPECT_EQ(path.back().level.sigma, 0);
    }
    EXPECT_TRUE(at::equal(samples(model, request), expected));
  }
}

TEST_F(Paths, OfEveryFamilyThatHasThemEndInItsSamples) {
  int found = 0;
  for (const Family& family : families()) {
    if (family.reads != ItemKind::grid) continue;
    const LoadedModel loaded = load(family.name);
    if (!offers(family, Capability::denoiser)) {
      expect_error(ErrorKind::usage, "to these it does: diffusion",
                   [&] { find_path(loaded, {.images = {.count = 1}}); });
      continue;
    }
    ++found;
    const ImageRequest request{.first = 3, .count = 2};
    EXPECT_TRUE(
        at::equal(find_path(loaded, {.images = request}).back().noisy, samples(loaded, request)));
  }
  EXPECT_GT(found, 0);
}

TEST_F(Paths, BeginWithNoiseAndLoseIt) {
  const LoadedModel loaded = load("diffusion", kPlain);
  const ImageRequest request{.first = 0, .count = 16, .options = {{"steps", 20}}};
  const auto path = find_path(loaded, {.images = request});
  ASSERT_EQ(path.size(), 21u);
  for (size_t i = 1; i < path.size(); ++i) {
    EXPECT_LT(path[i].level.ratio(), path[i - 1].level.ratio());
    EXPECT_LT(noise_share(path[i].level), noise_share(path[i - 1].level));
  }
  // x there is sigma times the draw that `generate` makes, shown at unit variance.
  std::vector<int64_t> numbers(16);
  for (int64_t i = 0; i < 16; ++i) numbers[static_cast<size_t>(i)] = i;
  const NoiseLevel& most = path[0].level;
  const Tensor noise = Draw(0, "generate", numbers).normal("noise", {1, 8, 8}) *
                       (most.sigma / std::hypot(most.alpha, most.sigma));
  EXPECT_LE(distance(path[0].noisy, (noise + 1) / 2), 0.51);
  // Chosen frames are those of the whole, both ends and evenly between.
  const auto few = find_path(loaded, {.images = request, .frames = 5});
  ASSERT_EQ(few.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(few[i].level.sigma, path[5 * i].level.sigma);
    EXPECT_TRUE(at::equal(few[i].noisy, path[5 * i].noisy));
    EXPECT_TRUE(at::equal(few[i].clean, path[5 * i].clean));
  }
  EXPECT_FALSE(at::equal(path[10].noisy, path[10].clean));
}

TEST_F(Paths, DoNotDependOnWhatElseIsShown) {
  const LoadedModel loaded = load("diffusion");
  const auto all = find_path(loaded, {.images = {.first = 0, .count = 40}, .frames = 4});
  const auto part = find_path(loaded, {.images = {.first = 14, .count = 5}, .frames = 4});
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(at::equal(part[i].noisy, all[i].noisy.narrow(0, 14, 5)));
    EXPECT_TRUE(at::equal(part[i].clean, all[i].clean.narrow(0, 14, 5)));
  }
}

TEST_F(Paths, OfPicturesBeginWithThemAndEndInNoise) {
  for (const int64_t channels : {1, 3}) {
    for (const char* kind : {"vp", "edm", "flow"}) {
      SCOPED_TRACE(concat(kind, channels));
      Json changes = {{"process", {{"kind", kind}}}, {"prediction", "v"}};
      if (std::string(kind) == "edm") changes["process"]["spread"] = 1.2;
      const LoadedModel loaded = load("diffusion", changes, channels);
      PathRequest request{.images = {.first = 7, .count = 3, .options = {{"steps", 6}}}, .test = 2};
      take_test_pictures(loaded, request);
      const Split kept = kept_items(loaded.manifest.data);
      EXPECT_TRUE(at::equal(request.pictures.grids, kept.grids.narrow(0, 2, 3)));
      EXPECT_TRUE(at::equal(request.pictures.labels, kept.labels.narrow(0, 2, 3)));
      const auto path = find_path(loaded, request);
      ASSERT_EQ(path.size(), 7u);
      EXPECT_EQ(path[0].level.sigma, 0);
      EXPECT_TRUE(at::equal(path[0].noisy, request.pictures.grids));
      EXPECT_TRUE(at::equal(path[0].clean, request.pictures.grids));
      // Everywhere the mixture with one and the same noise, at unit variance.
      const Tensor noise = Draw(0, "forward", {7, 8, 9}).normal("noise", {channels, 8, 8});
      const Tensor x0 = request.pictures.grids.to(at::kFloat) / 255 * 2 - 1;
      auto& denoiser = loaded.as<Denoiser>("test");
      const c10::InferenceMode no_autograd;
      for (size_t i = 1; i < path.size(); ++i) {
        const NoiseLevel& level = path[i].level;
        EXPECT_GT(level.ratio(), path[i - 1].level.ratio());
        const Tensor x = level.alpha * x0 + level.sigma * noise;
        const Tensor shown = (x / std::hypot(level.alpha, level.sigma) + 1) / 2;
        EXPECT_LE(distance(path[i].noisy, shown), 0.51);
        const NoiseLevels mixture{.alpha = at::full({3}, level.alpha),
                                  .sigma = at::full({3}, level.sigma)};
        const Tensors told = test_conditions(loaded.model->conditions(), request.pictures,
                                             loaded.manifest.data, {0, 1, 2}, at::kCPU);
        const Tensor clean = (denoiser.predict(x, mixture, told) + 1) / 2;
        EXPECT_LE(distance(path[i].clean, clean), 0.51);
      }
      EXPECT_GT(noise_share(path.back().level), 0.9);
    }
  }
}

TEST_F(Paths, OfPicturesTellTheModelTheClass) {
  const LoadedModel loaded = load("diffusion");
  PathRequest request{.images = {.count = 2, .options = {{"steps", 3}}}, .test = 0};
  take_test_pictures(loaded, request);  // classes c and a
  const auto clean = [&](int64_t label, bool labelled) {
    PathRequest other = request;
    other.images.label = label;
    if (!labelled) other.pictures.labels = Tensor();
    return find_path(loaded, other)[2].clean;
  };
  const Tensor own = clean(-1, true), none = clean(-1, false), c = clean(2, true);
  EXPECT_TRUE(at::equal(own[0], c[0]));
  EXPECT_FALSE(at::equal(own[1], c[1]));
  EXPECT_FALSE(at::equal(own, none));
  EXPECT_TRUE(at::equal(clean(0, false)[1], own[1]));
  // Without classes labels are nobody's business.
  const LoadedModel plain = load("diffusion", kPlain);
  EXPECT_EQ(find_path(plain, request).size(), 4u);
}

TEST_F(Paths, ImpossibleRequestsAreUsageErrors) {
  const LoadedModel loaded = load("diffusion", kPlain);
  const auto refuse = [&](const PathRequest& request, const char* part) {
    expect_error(ErrorKind::usage, part, [&] { find_path(loaded, request); });
  };
  refuse({.images = {.count = 0}}, "request.count");
  refuse({.images = {.count = 1}, .frames = 1}, "request.frames");
  refuse({.images = {.count = 1}, .frames = -3}, "request.frames");
  refuse({.images = {.count = 1, .label = 1}}, "request.class");
  refuse({.images = {.count = 1, .options = {{"steps", 0}}}}, "steps");
  refuse({.images = {.count = 1, .options = {{"nonsense", 0}}}}, "nonsense");
  PathRequest forward{.images = {.count = 1}, .test = 5};
  take_test_pictures(loaded, forward);
  PathRequest wrong = forward;
  wrong.images.label = 1;
  refuse(wrong, "request.class");
  wrong = forward;
  wrong.frames = 1;
  refuse(wrong, "request.frames");
  wrong.images.count = 2;
  EXPECT_THROW(find_path(loaded, wrong), std::logic_error);
  for (const auto& [test, count] : {std::pair<int64_t, int64_t>{6, 1},
                                    {5, 2},
                                    {0, 7},
                                    {-1, 1},
                                    {INT64_MAX, 1},
                                    {1, INT64_MAX}}) {
    PathRequest request{.images = {.count = count}, .test = test};
    expect_error(ErrorKind::usage, "6 test images, 0 to 5",
                 [&] { take_test_pictures(loaded, request); });
  }
  const LoadedModel forgetful = load("diffusion", kPlain, 1, /*keeps=*/false);
  expect_error(ErrorKind::data, "keeps no test images",
               [&] { take_test_pictures(forgetful, forward); });
}

TEST_F(Paths, AreDrawnAsStripsAndAsMoments) {
  const LoadedModel loaded = load("diffusion", kPlain);
  const DataInfo& info = loaded.manifest.data;
  const auto path = find_path(loaded, {.images = {.count = 10, .options = {{"steps", 4}}}});
  const auto layout = resolve_layout(PathLayout{.scale = 3}, 10, 5, info);
  const Image strip = draw_path(path, layout).at(0);
  EXPECT_EQ(draw_path(path, layout).size(), 1u);
  EXPECT_EQ(strip.height, 6 + 7 + 20 * 30 + 6);  // two rows an image, words above
  EXPECT_EQ(strip.width, 6 + 53 + 5 * 30 + 6);   // "predicted" to the left
  const auto moments = draw_path(path, {.strip = false, .scale = 3});
  ASSERT_EQ(moments.size(), 5u);
  for (const Image& moment : moments) {
    EXPECT_EQ(moment.width, 6 + 53 + 8 * 30 + 6);  // eight side by side
    EXPECT_EQ(moment.height, 6 + 7 + 4 * 30 + 6);
  }
  EXPECT_NE(moments[0], moments[4]);
  const auto noisy = draw_path(path, {.view = PathView::noisy, .strip = false, .scale = 1});
  EXPECT_EQ(noisy[0].height, 2 + 7 + 2 * 10 + 2);
  const auto clean = draw_path(path, {.view = PathView::clean, .strip = false, .scale = 1});
  EXPECT_EQ(clean[0].width, 2 + 53 + 8 * 10 + 2);
  EXPECT_GT(resolve_layout(PathLayout{}, 4, 11, info).scale, 1);
  EXPECT_EQ(resolve_layout(PathLayout{}, 64, 1000, info).scale, 1);
}

TEST_F(Paths, AreMadeAgainFromTheirProvenance) {
  const LoadedModel loaded = load("diffusion", Json::object(), 3);
  const Json options = {{"sampler", "ddpm"}, {"steps", 5}};
  PathRequest reverse{.images = {.first = 3, .count = 2, .options = options}, .frames = 4};
  PathRequest forward = reverse;
  forward.test = 1;
  take_test_pictures(loaded, forward);
  for (const PathRequest& request : {reverse, forward}) {
    const auto path = find_path(loaded, request);
    const PathLayout strip{.view = PathView::both, .strip = true, .scale = 2};
    const PathLayout moments{.view = PathView::clean, .strip = false, .scale = 1};
    const ToldPictures seen = told_on_path(loaded, request);
    const Image whole = draw_path(path, strip, seen)[0];
    const auto single = draw_path(path, moments, seen);
    std::vector<Frame> frames;
    for (const Image& image : single) frames.push_back({.image = image});
    const auto texts = [&](const PathLayout& layout, int64_t frame = -1) {
      return provenance(loaded, path_json(loaded, request, layout, frame), whole,
                        request.test >= 0 ? Origin::mixed : Origin::model);
    };
    const std::string still = encode_png(whole, texts(strip));
    const std::string film = encode_apng(frames, texts(moments));
    const std::string third = encode_png(single[2], texts(moments, 2));
    for (const std::string& png : {still, film, third}) {
      const Recreation again = recreate(png, "x.png", loaded);
      EXPECT_TRUE(again.same);
      EXPECT_EQ(again.impossible, "");
      EXPECT_EQ(again.tolerance, "equal pixels");
    }
    // One changed pixel, in any frame.
    for (size_t i = 0; i < frames.size(); ++i) {
      auto changed = frames;
      changed[i].image.pixels[500] ^= 1;
      EXPECT_EQ(recreate(encode_apng(changed, texts(moments)), "x", loaded).differing, 1) << i;
    }
    frames.pop_back();
    EXPECT_FALSE(recreate(encode_apng(frames, texts(moments)), "x", loaded).same);
    EXPECT_FALSE(recreate(encode_png(single[1], texts(moments, 2)), "x", loaded).same);

    const Json told = read_provenance(still, "x").at("request");
    // Version 0.1 called frames moments.
    Json older = told;
    older["moments"] = older.at("frames");
    older.erase("frames");
    EXPECT_EQ(draw_path_again(loaded, older), std::vector<Image>{whole});
    EXPECT_EQ(told.at("show"), "path");
    EXPECT_EQ(told.at("direction"), request.test >= 0 ? "forward" : "reverse");
    const std::string source = decode_png(still, "x").text.at(2).text;
    EXPECT_NE(source.find(request.test >= 0 ? "/compositeWithTrained" : "/trained"),
              std::string::npos);
    // Requests that are not ours.
    for (const auto& [key, value] : std::vector<std::pair<const char*, Json>>{{"show", "walk"},
                                                                              {"view", "inside"},
                                                                              {"scale", 0},
                                                                              {"moments", 1},
                                                                              {"count", 0},
                                                                              {"count", "two"},
                                                                              {"options", 3},
                                                                              {"frame", 77},
                                                                              {"frame", -1},
                                                                              {"scale", 1 << 30}}) {
      Png odd = decode_png(still, "x");
      for (PngText& text : odd.text) {
        if (text.keyword != "genai") continue;
        Json json = parse_json(text.text, "x", ErrorKind::data);
        json["request"][key] = value;
        text.text = json.dump();
      }
      EXPECT_THROW(recreate(encode_png(odd.image, odd.text), "x", loaded), Error)
          << key << " " << value;
    }
  }
  // The user's picture is not in the file.
  forward.test = -1;
  const std::string own =
      encode_png(draw_path(find_path(loaded, forward), {.scale = 1})[0],
                 provenance(loaded, path_json(loaded, forward, {.scale = 1}), Image{}));
  EXPECT_NE(recreate(own, "x", loaded).impossible, "");
}

}  // namespace
}  // namespace genai
