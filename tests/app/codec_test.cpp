// A trained run as the codec of others: what they learn are its latents.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/temp_folder.h"
#include "genai/app/training_samples.h"
#include "genai/data/batcher.h"
#include "genai/evaluation/evaluate.h"
#include "genai/generation/dream.h"
#include "genai/generation/edit.h"
#include "genai/generation/path.h"
#include "genai/generation/recreate.h"
#include "genai/models/registry.h"
#include "genai/run/latent_codec.h"
#include "genai/training/trainer.h"
#include "tensors.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const Json kGridVae = {{"latent", 3},
                       {"latent_grid", true},
                       {"pixels", "gaussian"},
                       {"encoder", {{"kind", "conv"}, {"width", 4}}},
                       {"decoder", {{"kind", "conv"}, {"width", 4}}}};
/// Of 8 levels: 512 codes at each place.
Json code_vae() {
  Json settings = kGridVae;
  settings["latent_levels"] = 8;
  return settings;
}
const Json kDiffusion = {{"condition", "class,low"},
                         {"network", {{"width", 8}, {"multipliers", {1}}, {"blocks", 1}}}};

class Codecs : public testing::Test {
 protected:
  static const Dataset& digits() {
    static const Dataset data = [] {
      Dataset all = load_dataset({.source = "digits", .limit = 200});
      all.test = all.test.first(64);
      all.info.test_count = 64;
      return all;
    }();
    return data;
  }

  fs::path folder(const std::string& name) const { return folder_ / name; }

  TrainResult train_run(const std::string& name, const std::string& family, Json model,
                        int64_t steps, bool resume = false, const Dataset& data = digits()) {
    model["family"] = family;
    Settings settings;
    settings.merge({{"model", model},
                    {"data", {{"source", "digits"}}},
                    {"training",
                     {{"steps", steps},
                      {"batch", 32},
                      {"device", "cpu"},
                      {"precision", "float32"},
                      {"threads", 1}}}},
                   "test");
    const Family& found = find_family(family);
    Json config = settings.resolve(run_sections(found));
    Parts parts;
    if (!resume) parts = find_parts(model_fields(found), config["model"], folder_.path());
    TrainRequest request{.family = found,
                         .config = config,
                         .data = &data,
                         .run = folder(name),
                         .parts = std::move(parts),
                         .show = show_samples};
    if (resume) {
      request.resume = load_checkpoint(find_checkpoint(request.run, ""), true);
      request.config["model"] = request.resume->manifest.config["model"];
    }
    fs::create_directories(request.run);
    TrainObserver observer;
    return train(request, observer);
  }

  /// On the latents of the run "vae", which is trained first.
  Json on_latents(Json model) {
    if (!fs::exists(folder("vae"))) train_run("vae", "vae", kGridVae, 20);
    model["codec"] = folder("vae").string();
    return model;
  }

  LoadedModel load(const std::string& name) const {
    return load_model({.folder = folder(name), .checkpoint = ""}, at::kCPU);
  }

  TempFolder folder_;
};

TEST_F(Codecs, MakeGridsOfMeanZeroAndDeviationOneHalf) {
  train_run("vae", "vae", kGridVae, 20);
  const LoadedModel vae = load("vae");
  auto& space = vae.as<LatentSpace>("test");
  EXPECT_EQ(space.latent_shape(), (std::vector<int64_t>{3, 7, 7}));
  LatentCodec codec(load("vae"), nullptr);
  const DataInfo info = codec.encoded(digits().info);
  EXPECT_EQ(info.channels, 3);
  EXPECT_EQ(info.height, 7);
  EXPECT_EQ(info.levels, 0);
  EXPECT_EQ(info.classes, digits().info.classes);

  const Json scale = codec.measure(digits());
  const at::NoGradGuard no_grad;
  const Tensor pixels = digits().train.grids.to(at::kFloat) / 255;
  const Tensor latents = codec.encode(pixels);
  expect_near(latents.mean({0, 2, 3}), at::zeros({3}), 1e-4);
  expect_near(latents.std(at::IntArrayRef{0, 2, 3}, 0), at::full({3}, 0.5), 1e-4);
  expect_near(codec.decode(latents), space.decode(space.encode(pixels, {}), {}), 1e-5);
  // What was measured is all that it needs.
  LatentCodec again(load("vae"), scale);
  EXPECT_TRUE(at::equal(again.encode(pixels), latents));
}

TEST_F(Codecs, LetEveryFamilyOfGridsLearnLatentsBitForBit) {
  const std::map<std::string, Json> models = {
      {"diffusion", kDiffusion},
      {"gan",
       {{"latent", 4},
        {"condition", "class,sketch"},
        {"generator", {{"kind", "residual"}, {"width", 4}, {"levels", 0}, {"blocks", 1}}},
        {"discriminator", {{"kind", "residual"}, {"width", 4}, {"levels", 0}, {"blocks", 1}}}}},
      {"vae", {{"latent", 4}, {"pixels", "gaussian"}, {"condition", "class"}}},
      {"classifier", {{"width", 4}, {"shift", 0}}}};
  for (const auto& [family, settings] : models) {
    SCOPED_TRACE(family);
    const std::string whole = family + "-whole", halves = family + "-halves";
    train_run(whole, family, on_latents(settings), 6);
    train_run(halves, family, on_latents(settings), 3);
    // The first run may be gone: its weights are in the run's own folder.
    fs::rename(folder("vae"), folder("gone"));
    train_run(halves, family, settings, 6, /*resume=*/true);
    const LoadedModel a = load(whole), b = load(halves);
    EXPECT_EQ(a.manifest.files, b.manifest.files);
    EXPECT_EQ(a.manifest.parts, b.manifest.parts);
    fs::rename(folder("gone"), folder("vae"));
    if (family == "classifier") {
      expect_error(ErrorKind::usage, "computes on the latents of its codec",
                   [&] { dream(a, {.label = 1}, digits().test.grids[0]); });
      continue;
    }
    const Tensor samples = generate_items(a, {.count = 20});
    EXPECT_EQ(samples.sizes(), (at::IntArrayRef{20, 1, 28, 28}));
    EXPECT_TRUE(at::equal(generate_items(a, {.first = 17, .count = 1})[0], samples[17]));
    const std::string png = render_sheet(a, {.count = 4}, {}, Metadata::full);
    EXPECT_EQ(read_provenance(png, "").at("parts"),
              (Json{{"codec", {{"sha256", load("vae").manifest.weights_sha256()}}}}));
    EXPECT_TRUE(recreate(png, "", a).same);
  }
}

TEST_F(Codecs, TellEveryPixelOfAGrid) {
  train_run("run", "diffusion", on_latents(kDiffusion), 2);
  const LoadedModel loaded = load("run");
  const ConditionSpec& low = *find_condition(loaded.model->conditions(), "low");
  EXPECT_EQ(low.fold, 4);
  EXPECT_EQ(low.channels, 16);
  const Batch batch =
      items_batch(digits().test, digits().info, 0, 3, at::kCPU, loaded.model->inputs());
  EXPECT_EQ(batch.input.sizes(), (at::IntArrayRef{3, 3, 7, 7}));
  const Tensor plain = conditions_of(find_conditions("low", digits().info),
                                     digits().test.grids.narrow(0, 0, 3).to(at::kFloat) / 255, {},
                                     Draw(0, "", ids(3)))
                           .at("low");
  EXPECT_TRUE(at::equal(at::pixel_shuffle(batch.conditions.at("low"), 4), plain));
}

TEST_F(Codecs, AreSeenThroughByPathsAndEdits) {
  train_run("run", "diffusion", on_latents(kDiffusion), 2);
  const LoadedModel loaded = load("run");
  const ImageRequest images{.count = 2};
  const auto path = find_path(loaded, {.images = images, .frames = 3});
  EXPECT_TRUE(at::equal(path.back().clean, generate_items(loaded, images)));
  const Tensor pictures = digits().test.grids.narrow(0, 0, 1);
  const Tensor varied = edit_pixels(loaded, {.edit = Edit::vary}, 2, pictures, {}, {});
  EXPECT_EQ(varied.sizes(), (at::IntArrayRef{2, 1, 28, 28}));
  expect_error(ErrorKind::usage, "inpaint: measures pixels", [&] {
    edit_pixels(loaded, {.edit = Edit::inpaint}, 1, pictures, {},
                at::full({28, 28}, 255, at::kByte));
  });
}

TEST_F(Codecs, GiveNoLikelihoods) {
  train_run("run", "vae", on_latents({{"latent", 2}, {"pixels", "gaussian"}}), 2);
  TrainObserver observer;
  const LoadedModel loaded = load("run");
  expect_error(ErrorKind::usage, "computes on the latents of its codec", [&] {
    evaluate_model(loaded, {.own = digits(), .whole = digits()},
                   {.parts = {MetricGroup::likelihood}}, observer);
  });
}

TEST_F(Codecs, StayWholeOrAreNamed) {
  train_run("run", "diffusion", on_latents(kDiffusion), 2);
  const fs::path part = folder("run") / "parts" / "codec";
  const auto refuses = [&](const std::string& what) {
    expect_error(ErrorKind::data, what, [&] { load("run"); });
    expect_error(ErrorKind::data, what,
                 [&] { train_run("run", "diffusion", kDiffusion, 4, true); });
  };
  fs::copy(part, folder("kept"));
  std::ofstream(part / "model.safetensors", std::ios::app) << "x";
  refuses("the file is damaged");
  fs::remove_all(part);
  refuses("is missing");
  // Another whole run in its place.
  Json other = kGridVae;
  other["kl_warmup"] = 5;
  train_run("other", "vae", other, 21);
  fs::copy(find_checkpoint(folder("other"), ""), part);
  refuses("others than those that the run was trained with");
  fs::remove_all(part);
  fs::rename(folder("kept"), part);
  EXPECT_EQ(load("run").manifest.step, 2);
}

TEST_F(Codecs, ThatDoNotFitAreRefusedBeforeAnythingIsWritten) {
  const auto refuses = [&](const std::string& what, const Json& model, const Dataset& data) {
    expect_error(ErrorKind::usage, what,
                 [&] { train_run("none", "diffusion", model, 2, false, data); });
    EXPECT_TRUE(!fs::exists(folder("none")) || fs::is_empty(folder("none"))) << what;
  };
  const Json good = on_latents(kDiffusion);
  Dataset other = digits();
  other.info.height = 14;
  refuses("model.codec: expected images of 28x28 grey", good, other);
  other = digits();
  other.info.binarize = Binarize::dynamic;
  refuses("data.binarize: a codec encodes images as they are", good, other);

  Json wrong = good;
  wrong["codec"] = (folder_ / "nowhere").string();
  refuses("model.codec: ", wrong, digits());
  train_run("latents", "diffusion", good, 1);
  wrong["codec"] = folder("latents").string();
  refuses("model.codec: a run that has a part itself", wrong, digits());
  train_run("classifier", "classifier", {{"width", 4}, {"shift", 0}}, 1);
  wrong["codec"] = folder("classifier").string();
  refuses("expected a run with a latent space (of a family of: vae), found one of", wrong,
          digits());
  train_run("told", "vae", {{"condition", "class"}, {"latent", 2}}, 1);
  wrong["codec"] = folder("told").string();
  refuses("model.codec: expected a run that is told nothing", wrong, digits());
  expect_error(ErrorKind::usage, "latent_grid: expected an encoder and a decoder of kind conv",
               [&] {
                 train_run("flat", "vae", {{"latent_grid", true}, {"latent", 2}}, 1);
               });
}

TEST_F(Codecs, MakeSequencesOfCodes) {
  train_run("codes", "vae", code_vae(), 20);
  CodeCodec codec(load("codes"));
  const DataInfo seen = codec.encoded(digits().info);
  EXPECT_EQ(seen.kind(), ItemKind::sequence);
  EXPECT_EQ(seen.codes, 512);
  EXPECT_EQ(seen.context, 49);
  const at::NoGradGuard no_grad;
  const Tensor pixels = digits().test.grids.to(at::kFloat) / 255;
  const Tensor tokens = codec.encode(pixels);
  EXPECT_EQ(tokens.sizes(), (at::IntArrayRef{64, 49}));
  const LoadedModel vae = load("codes");
  auto& space = vae.as<LatentSpace>("test");
  expect_near(codec.decode(tokens), space.decode(space.encode(pixels, {}), {}), 1e-5);
}

TEST_F(Codecs, LetFamiliesOfSequencesLearnCodesBitForBit) {
  train_run("codes", "vae", code_vae(), 20);
  const std::map<std::string, Json> models = {
      {"transformer", {{"layers", 1}, {"heads", 2}, {"width", 16}, {"condition", "class"}}},
      {"rnn", {{"layers", 1}, {"width", 8}}}};
  for (auto [family, settings] : models) {
    SCOPED_TRACE(family);
    const std::string whole = family + "-whole", halves = family + "-halves";
    settings["codec"] = folder("codes").string();
    train_run(whole, family, settings, 6);
    train_run(halves, family, settings, 3);
    fs::rename(folder("codes"), folder("gone"));
    train_run(halves, family, settings, 6, /*resume=*/true);
    fs::rename(folder("gone"), folder("codes"));
    const LoadedModel a = load(whole), b = load(halves);
    EXPECT_EQ(a.manifest.files, b.manifest.files);
    const Tensor samples = generate_items(a, {.count = 20});
    EXPECT_EQ(samples.sizes(), (at::IntArrayRef{20, 1, 28, 28}));
    EXPECT_TRUE(at::equal(generate_items(a, {.first = 17, .count = 1})[0], samples[17]));
    EXPECT_TRUE(recreate(render_sheet(a, {.count = 4}, {}, Metadata::full), "", a).same);
    TrainObserver observer;
    expect_error(ErrorKind::usage, "computes on the latents of its codec", [&] {
      evaluate_model(a, {.own = digits(), .whole = digits()}, {.parts = {MetricGroup::likelihood}},
                     observer);
    });
  }
}

TEST_F(Codecs, OfCodesAreGridsForFamiliesOfGrids) {
  train_run("codes", "vae", code_vae(), 80);
  Json model = kDiffusion;
  model["codec"] = folder("codes").string();
  train_run("run", "diffusion", model, 2);
  EXPECT_EQ(generate_items(load("run"), {.count = 2}).sizes(), (at::IntArrayRef{2, 1, 28, 28}));
}

TEST_F(Codecs, OfTheOtherKindAreRefused) {
  const Json transformer = {{"layers", 1}, {"heads", 2}, {"width", 16}};
  const auto refuses = [&](const std::string& what, const Json& changes) {
    Json model = transformer;
    model.update(changes);
    expect_error(ErrorKind::usage, what, [&] { train_run("none", "transformer", model, 2); });
  };
  train_run("vae", "vae", kGridVae, 2);
  refuses("a family of sequences learns latents that are levels", {{"codec", folder("vae")}});
  Json fine = code_vae();
  fine["latent"] = 6;
  train_run("fine", "vae", fine, 2);
  refuses("model.codec: 6 numbers of 8 levels make more than 65536", {{"codec", folder("fine")}});
  train_run("codes", "vae", code_vae(), 2);
  refuses("model.levels: the codec makes the tokens", {{"codec", folder("codes")}, {"levels", 16}});
  // Pixels as a sequence are for families that read sequences.
  expect_error(ErrorKind::usage, "levels", [&] {
    train_run("none", "diffusion", {{"levels", 4}, {"patch", 2}}, 2);
  });
}

TEST_F(Codecs, OfPixelsGiveExactLikelihoods) {
  train_run("run", "transformer",
            {{"layers", 1}, {"heads", 2}, {"width", 16}, {"condition", "class"}}, 4);
  const LoadedModel loaded = load("run");
  TrainObserver observer;
  const Evaluation found = evaluate_model(loaded, {.own = digits(), .whole = digits()},
                                          {.parts = {MetricGroup::likelihood}}, observer);
  const auto metric = [&](const std::string& name) {
    for (const Metric& one : found.metrics)
      if (one.name == name) return one.value;
    ADD_FAILURE() << name;
    return 0.0;
  };
  const double nll = metric("nll_exact@digits-test64/grey/levels4");
  EXPECT_NEAR(metric("bits_per_dim_exact@digits-test64/grey/levels4"), nll / (784 * std::log(2.0)),
              1e-6);
  // The loss that is told in training is of a token, also of those that begin an image.
  EXPECT_NEAR(nll / 196, loaded.manifest.validation.at("loss").get<double>(), 0.05);
}

}  // namespace
}  // namespace genai
