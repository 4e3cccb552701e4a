// What every family must pass, so that none of it can be forgotten.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <regex>
#include <set>

#include "base/temp_folder.h"
#include "data/small_digits.h"
#include "data/small_sums.h"
#include "genai/base/settings.h"
#include "genai/generation/recreate.h"
#include "genai/generation/text_samples.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const Dataset& digits() {
  static const Dataset data = small_digits(256, 64);
  return data;
}

const Dataset& sums() {
  static const Dataset data = small_sums(256, 64);
  return data;
}

/// A family and what it learns from: those of sequences learn from images, too.
struct Learner {
  std::string family;
  ItemKind items;
};

void PrintTo(const Learner& learner, std::ostream* out) {
  *out << learner.family << (learner.items == ItemKind::grid ? " of grids" : " of sequences");
}

std::vector<Learner> learners() {
  std::vector<Learner> all;
  for (const Family& family : families()) {
    all.push_back({family.name, family.reads});
    if (family.reads == ItemKind::sequence) all.push_back({family.name, ItemKind::grid});
  }
  return all;
}

class Families : public testing::TestWithParam<Learner> {
 protected:
  const Family& family() const { return find_family(GetParam().family); }
  const Dataset& data() const { return GetParam().items == ItemKind::sequence ? sums() : digits(); }
  std::vector<Section> sections() const {
    return {{"model", model_fields(family())},
            {"data", data_fields()},
            {"training", training_fields()}};
  }
  Json config(const Json& training = Json::object()) const {
    Settings settings;
    settings.set("model.family", GetParam().family, "test");
    settings.merge({{"model", family().tiny}}, "tiny");
    settings.merge({{"data", {{"source", data().info.source}}}}, "test");
    settings.merge({{"training",
                     {{"batch", 32},
                      {"device", "cpu"},
                      {"precision", "float32"},
                      {"threads", 1},
                      {"learning_rate", 1e-3}}}},
                   "test");
    settings.merge({{"training", training}}, "test");
    return settings.resolve(sections());
  }
  TrainResult run(const std::string& name, const Json& training, bool resume = false) {
    fs::create_directories(folder_ / name);
    TrainRequest request{.family = family(),
                         .config = config(training),
                         .data = &data(),
                         .run = folder_ / name,
                         .preset = "",
                         .resume = std::nullopt,
                         .init = std::nullopt};
    if (resume) request.resume = load_checkpoint(find_checkpoint(request.run, ""), true);
    TrainObserver observer;
    return train(request, observer);
  }
  Checkpoint newest(const std::string& name) const {
    return load_checkpoint(find_checkpoint(folder_ / name, ""), true);
  }
  LoadedModel load(const std::string& name) const {
    return load_model({.folder = folder_ / name, .checkpoint = ""}, at::kCPU);
  }

  TempFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(learners()), [](const auto& info) {
  const Learner& learner = info.param;
  const bool own = find_family(learner.family).reads == learner.items;
  return learner.family + (own ? "" : "_of_images");
});

/// Is the model what its family offers with these settings? Sequences of images are images.
void expect_as_declared(const Family& family, ItemKind items, const Json& settings, Model& model) {
  const auto expect = [&](Capability capability, bool found) {
    EXPECT_EQ(items == family.reads ? offers(family, settings, capability)
                                    : offers(family, items, capability),
              found)
        << family.name << " " << settings << " " << static_cast<int>(capability);
  };
  expect(Capability::generator, dynamic_cast<Generator*>(&model) != nullptr);
  expect(Capability::latent_space, dynamic_cast<LatentSpace*>(&model) != nullptr);
  expect(Capability::style_space, dynamic_cast<StyleSpace*>(&model) != nullptr);
  expect(Capability::denoiser, dynamic_cast<Denoiser*>(&model) != nullptr);
  expect(Capability::classifier, dynamic_cast<Classifier*>(&model) != nullptr);
  expect(Capability::next_token, dynamic_cast<NextToken*>(&model) != nullptr);
  expect(Capability::likelihood, dynamic_cast<Likelihood*>(&model) != nullptr);
}

TEST_P(Families, CapabilitiesAreThoseDeclaredWhateverIsChosen) {
  Json settings = config()["model"];
  expect_as_declared(family(), GetParam().items, settings,
                     *make_model(family(), settings, data().info));
  for (const Field& field : family().settings) {
    for (const std::string& choice : field.choices) {
      Json changed = settings;
      set_path(changed, field.name, choice);
      try {
        expect_as_declared(family(), GetParam().items, changed,
                           *make_model(family(), changed, data().info));
      } catch (const Error&) {
        // A choice that the smallest model cannot follow by itself.
      }
    }
  }
  for (const Offer& offer : family().offers) {
    if (offer.setting.empty()) continue;
    const Field* field = find_field(family().settings, offer.setting);
    ASSERT_TRUE(field) << offer.setting;
    EXPECT_EQ(std::ranges::count(field->choices, offer.value), 1) << offer.value;
  }
}

TEST_P(Families, TrainSaveLoadAndContinueBitForBit) {
  for (const char* precision : {"float32", "bfloat16"}) {
    const std::string whole = concat("whole-", precision), halves = concat("halves-", precision);
    const Json settings = {{"precision", precision}, {"ema_half_life", 100}};
    const auto steps = [&](int64_t n) {
      Json all = settings;
      all["steps"] = n;
      return all;
    };
    run(whole, steps(4));
    const TrainResult two = run(halves, steps(2));
    EXPECT_EQ(two.step, 2);
    const TrainResult four = run(halves, steps(4), true);
    EXPECT_EQ(four.step, 4);
    const Checkpoint a = newest(halves), b = newest(whole);
    EXPECT_EQ(a.manifest.files, b.manifest.files) << precision;
    for (const auto& [name, tensor] : b.weights) {
      EXPECT_TRUE(at::equal(a.weights.at(name), tensor)) << precision << " " << name;
    }
    for (const auto& [name, tensor] : b.training) {
      EXPECT_TRUE(at::equal(a.training.at(name), tensor)) << precision << " " << name;
    }
  }
}

TEST_P(Families, TrainingMovesEveryParameter) {
  run("run", {{"steps", 2}});
  const Checkpoint before = load_checkpoint(find_checkpoint(folder_ / "run", "0"), false);
  const Checkpoint after = load_checkpoint(find_checkpoint(folder_ / "run", "2"), false);
  const auto model = make_model(family(), config()["model"], data().info);
  for (const auto& item : model->module().named_parameters()) {
    EXPECT_FALSE(at::equal(before.weights.at(item.key()), after.weights.at(item.key())))
        << item.key();
  }
}

TEST_P(Families, ParameterSetsHoldEveryParameterOnce) {
  const auto model = make_model(family(), config()["model"], data().info);
  std::map<std::string, int> times;
  std::vector<std::string> sets;
  for (const ParameterSet& set : model->parameter_sets()) {
    sets.push_back(set.name);
    for (const std::string& name : set.parameters) ++times[name];
  }
  for (const auto& item : model->module().named_parameters()) {
    EXPECT_EQ(times[item.key()], 1) << item.key();
  }
  EXPECT_EQ(times.size(), model->module().named_parameters().size());
  for (const Phase& phase : model->phases()) {
    EXPECT_EQ(std::count(sets.begin(), sets.end(), phase.updates), 1) << phase.name;
    EXPECT_GE(phase.repeat, 1);
    EXPECT_GE(phase.every, 1);
  }
}

TEST_P(Families, MicroBatchesAddUpToTheBatch) {
  // With a large epsilon an update is a smooth function of the gradient: differences of rounding
  // stay what they are. Moments are sums of gradients.
  const Json settings = {{"steps", 2}, {"epsilon", 1.0}, {"learning_rate", 0.1}};
  Json halves = settings;
  halves["accumulate"] = 2;
  run("whole", settings);
  run("halves", halves);
  const Checkpoint a = newest("halves"), b = newest("whole");
  const auto compare = [](const Tensors& found, const Tensors& expected) {
    for (const auto& [name, tensor] : expected) {
      if (name.rfind("carry/", 0) == 0) continue;  // one for each micro-batch
      ASSERT_TRUE(found.count(name)) << name;
      const Tensor difference = (found.at(name) - tensor).to(at::kDouble).abs();
      const double scale = tensor.to(at::kDouble).abs().max().item<double>();
      EXPECT_LE(difference.max().item<double>(), 1e-4 * scale + 1e-9) << name;
    }
  };
  compare(a.weights, b.weights);
  compare(a.training, b.training);
}

TEST_P(Families, ValidateWithOneFiniteNumberForEachItem) {
  const TrainResult result = run("run", {{"steps", 2}});
  const LoadedModel loaded = load("run");
  const at::NoGradGuard no_grad;
  const Batch batch =
      items_batch(data().test, data().info, 0, 64, at::kCPU, loaded.model->inputs());
  Draw draw(0, "validate", batch.sample_ids);
  const Tensors values = loaded.model->validate(batch, draw);
  ASSERT_TRUE(values.count(loaded.model->objective()));
  for (const auto& [name, value] : values) {
    EXPECT_EQ(value.sizes(), (at::IntArrayRef{64})) << name;
    EXPECT_TRUE(value.isfinite().all().item<bool>()) << name;
    // What was trained and what was loaded judge alike.
    const Tensor counts = batch.counts.defined() ? batch.counts : at::ones({64});
    const double mean = (value * counts).sum().item<double>() / batch.weight;
    EXPECT_NEAR(mean, result.validation.at(name).get<double>(), 1e-5 * std::abs(mean) + 1e-7)
        << name;
  }
  EXPECT_EQ(loaded.manifest.objective, loaded.model->objective());
}

TEST_P(Families, SampleThePictureOfANumberWhateverElseIsAskedFor) {
  run("run", {{"steps", 2}});
  const LoadedModel loaded = load("run");
  if (!dynamic_cast<Generator*>(loaded.model.get())) GTEST_SKIP() << "makes no images";
  const auto pixels = [&](int64_t first, int64_t count) {
    return generate_items(loaded, {.first = first, .count = count});
  };
  const Tensor all = pixels(0, 64);
  EXPECT_EQ(all.sizes(), (at::IntArrayRef{64, 1, 28, 28}));
  EXPECT_TRUE(at::equal(pixels(0, 16), all.narrow(0, 0, 16)));
  EXPECT_TRUE(at::equal(pixels(17, 1), all.narrow(0, 17, 1)));
  EXPECT_TRUE(at::equal(pixels(13, 7), all.narrow(0, 13, 7)));
  EXPECT_FALSE(at::equal(all[0], all[1]));
  const std::string png = render_sheet(loaded, {.first = 3, .count = 5}, {}, Metadata::full);
  EXPECT_TRUE(recreate(png, "test", loaded).same);
  expect_error(ErrorKind::usage, "nonsense", [&] {
    generate_items(loaded, {.options = {{"nonsense", 1}}});
  });
}

TEST_P(Families, WriteTheTextOfANumberWhateverElseIsAskedFor) {
  run("run", {{"steps", 2}});
  const LoadedModel loaded = load("run");
  if (!dynamic_cast<NextToken*>(loaded.model.get())) GTEST_SKIP() << "writes no texts";
  const auto texts = [&](int64_t first, int64_t count) {
    return generate_texts(*loaded.model, {.first = first, .count = count, .prompt = "1"},
                          loaded.manifest.data);
  };
  const auto all = texts(0, 40), one = texts(37, 1);
  EXPECT_EQ(one[0].tokens, all[37].tokens);
  EXPECT_NE(all[0].tokens, all[1].tokens);
  Json options = Json::object();
  for (const Field& field : family().sampling) set_path(options, field.name, field.default_value);
  EXPECT_EQ(generate_texts(*loaded.model, {.count = 1, .prompt = "1", .options = options},
                           loaded.manifest.data)[0]
                .tokens,
            all[0].tokens);
}

TEST_P(Families, RefuseTheOtherKindOfData) {
  if (family().reads == ItemKind::sequence) GTEST_SKIP() << "learns from all of them";
  expect_error(ErrorKind::usage, "learns from",
               [&] { make_model(family(), config()["model"], sums().info); });
}

TEST_P(Families, SamplingOptionsAcceptTheirOwnDefaults) {
  run("run", {{"steps", 1}});
  const LoadedModel loaded = load("run");
  if (!dynamic_cast<Generator*>(loaded.model.get())) GTEST_SKIP() << "makes no images";
  Json options = Json::object();
  for (const Field& field : family().sampling) set_path(options, field.name, field.default_value);
  // Of images they are drawn as the model has them, of texts sharper.
  if (family().reads != GetParam().items) options["temperature"] = 1.0;
  const auto pixels = [&](const Json& o) {
    return generate_items(loaded, {.count = 2, .options = o});
  };
  EXPECT_TRUE(at::equal(pixels(options), pixels(Json::object())));
}

TEST_P(Families, LikelihoodIsFiniteForEachImage) {
  run("run", {{"steps", 1}});
  const LoadedModel loaded = load("run");
  auto* likelihood = dynamic_cast<Likelihood*>(loaded.model.get());
  if (!likelihood) GTEST_SKIP() << "has no likelihood";
  const at::NoGradGuard no_grad;
  const Batch batch =
      items_batch(digits().test, digits().info, 0, 8, at::kCPU, loaded.model->inputs());
  const Tensor found = likelihood->log_likelihood(batch, Draw(0, "evaluate", batch.sample_ids), 3);
  EXPECT_EQ(found.sizes(), (at::IntArrayRef{8}));
  EXPECT_TRUE(found.isfinite().all().item<bool>());
}

TEST_P(Families, NameTheirLayersAndDifferentiateThemInAnySize) {
  const auto model = make_model(family(), config()["model"], data().info);
  auto* classifier = dynamic_cast<Classifier*>(model.get());
  if (!classifier) GTEST_SKIP() << "does not classify";
  const Tensor images = at::rand({2, 1, 40, 56}).requires_grad_();
  std::set<std::string> names;
  for (const auto& [layer, values] : classifier->activations(images)) {
    EXPECT_TRUE(names.insert(layer).second) << layer;
    EXPECT_TRUE(model->module().named_modules("", false).contains(layer)) << layer;
    EXPECT_EQ(values.dim(), 4) << layer;
    EXPECT_EQ(values.size(0), 2) << layer;
    const Tensor gradient = torch::autograd::grad({values.sum()}, {images}, {}, true)[0];
    EXPECT_GT(gradient.abs().sum().item<double>(), 0) << layer;
  }
  EXPECT_FALSE(names.empty());
}

TEST_P(Families, PrintASchemaOfAllSettings) {
  for (const FieldTable& table : {model_fields(family()), family().sampling}) {
    const Json schema = json_schema(table);
    EXPECT_EQ(schema.at("type"), "object");
    for (const Field& field : table) {
      // "encoder.width": properties.encoder.properties.width
      const std::string path =
          "properties." + std::regex_replace(field.name, std::regex("\\."), ".properties.");
      const Json* entry = find_path(schema, path);
      ASSERT_TRUE(entry) << path;
      EXPECT_EQ(entry->at("default"), field.default_value) << field.name;
      EXPECT_EQ(entry->at("description"), field.doc) << field.name;
      EXPECT_FALSE(field.doc.empty()) << field.name;
    }
  }
}

TEST_P(Families, SettingsRoundTrip) {
  const Json resolved = config();
  // Through a file ...
  Settings again;
  again.merge(parse_json(resolved.dump(), "file", ErrorKind::usage), "file");
  EXPECT_EQ(again.resolve(sections()), resolved);
  // ... and each default through the command line.
  for (const FieldTable& table : {model_fields(family()), family().sampling}) {
    for (const Field& field : table) {
      EXPECT_EQ(check_value(field, field.default_value), "") << field.name;
      std::string text;
      if (field.default_value.is_array()) {
        for (const Json& value : field.default_value) {
          text += concat(text.empty() ? "" : ",", value.dump());
        }
      } else {
        text = field.default_value.is_string() ? field.default_value.get<std::string>()
                                               : field.default_value.dump();
      }
      EXPECT_EQ(value_from_text(field, text), field.default_value) << field.name;
    }
  }
}

TEST_P(Families, RefuseUnknownAndImpossibleSettings) {
  Json unknown = config()["model"];
  unknown["nonsense"] = 1;
  expect_error(ErrorKind::usage, "nonsense", [&] { make_model(family(), unknown, data().info); });
  for (const Field& field : family().settings) {
    Json wrong = config()["model"];
    set_path(wrong, field.name, Json::object({{"x", 1}}));
    expect_error(ErrorKind::usage, field.name, [&] { make_model(family(), wrong, data().info); });
  }
}

TEST(FamilyTable, HasNamesOnceAndSummaries) {
  std::vector<std::string> names;
  for (const Family& family : families()) names.push_back(family.name);
  for (const Family& family : families()) {
    EXPECT_EQ(std::count(names.begin(), names.end(), family.name), 1);
    EXPECT_FALSE(family.summary.empty()) << family.name;
  }
  expect_error(ErrorKind::usage, "expected one of: " + names[0], [] { find_family("none"); });
}

// ---- Random numbers come as draws

/// The first call in `text` that draws random numbers by itself, or empty. LibTorch's own
/// initialization of weights (torch::nn::init) may: the trainer seeds around it.
std::string drawn_by_itself(const std::string& text) {
  static const std::regex call(
      R"((\w+::)*\b(rand|randn|randint|randperm|rand_like|randn_like|randint_like|bernoulli|)"
      R"(bernoulli_|multinomial|poisson|normal_|uniform_|random_|exponential_|cauchy_|)"
      R"(geometric_|log_normal_)\()");
  static const std::regex comment(R"(//[^\n]*)");
  const std::string code = std::regex_replace(text, comment, "");
  for (std::sregex_iterator it(code.begin(), code.end(), call), end; it != end; ++it) {
    if (it->str().find("init::") == std::string::npos) return it->str();
  }
  const std::regex engines(R"(std::(mt19937|random_device|\w+_distribution))");
  std::smatch match;
  return std::regex_search(code, match, engines) ? match.str() : "";
}

TEST(Draws, AreToldFromCallsThatDrawByThemselves) {
  for (const char* bad : {"x = at::randn({3});", "torch::rand(3)", "x.bernoulli_(0.5)",
                          "at::bernoulli(p)", "p.multinomial(1)", "w.normal_()",
                          "z = torch::randn_like(mean)", "randperm(n)", "std::mt19937 r(1);"}) {
    EXPECT_NE(drawn_by_itself(bad), "") << bad;
  }
  for (const char* good :
       {"bernoulli_log_likelihood(logits, x)", "draw.normal(\"z\", {3})", "draw.uniform(\"u\", {})",
        "kl_to_standard_normal(m, v)", "torch::nn::init::normal_(w, 0, 0.02)", "operand(3)",
        "// not torch::randn(3)", "PixelModel::bernoulli"}) {
    EXPECT_EQ(drawn_by_itself(good), "") << good;
  }
}

TEST(Draws, AreTheOnlyRandomNumbersOfFamiliesAndTheirParts) {
  int files = 0;
  for (const char* folder : {"include/genai/models", "src/models", "include/genai/model",
                             "include/genai/nn", "src/nn"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(GENAI_SOURCE_DIR) / folder)) {
      if (!entry.is_regular_file()) continue;
      EXPECT_EQ(drawn_by_itself(slurp(entry.path())), "") << entry.path();
      ++files;
    }
  }
  EXPECT_GE(files, 8);
}

}  // namespace
}  // namespace genai
