#include "genai/base/settings.h"

#include "genai/base/presets.h"
#include "temp_folder.h"

namespace genai {

// Presets of this test's own: the object file with those of configs/ is then not linked.
extern const std::pair<const char*, const char*> kEmbeddedPresets[] = {
    {"base", R"({"about": "all of it", "expected": {"loss": [1, 2]},
                 "model": {"latent": 8, "encoder": {"hidden": [64, 32]}},
                 "data": {"source": "a"}})"},
    {"child", R"({"extends": "base", "model": {"latent": 16}})"},
    {"grandchild", R"({"extends": "child", "data": {"source": "b"}})"},
    {"loop-a", R"({"extends": "loop-b"})"},
    {"loop-b", R"({"extends": "loop-a"})"},
    {"orphan", R"({"extends": "bas"})"},
    {"self", R"({"extends": "self", "model": {"latent": 2}})"}};
extern const size_t kEmbeddedPresetCount = std::size(kEmbeddedPresets);

namespace {

struct Encoder {
  int64_t width = 32;
  std::vector<int64_t> hidden = {400};
};
struct ModelConfig {
  int64_t latent = 20;
  Encoder encoder;
};
struct Data {
  std::string source = "mnist";
  double share = 0.1;
};

std::vector<Section> sections() {
  const FieldTable encoder = describe<Encoder>()
                                 .field("width", &Encoder::width, "channels", at_least(1))
                                 .field("hidden", &Encoder::hidden, "layers", at_least(1))
                                 .table();
  return {{"model", describe<ModelConfig>()
                        .field("latent", &ModelConfig::latent, "size of z", at_least(1))
                        .nest("encoder", &ModelConfig::encoder, encoder)
                        .table()},
          {"data", describe<Data>()
                       .field("source", &Data::source, "where from")
                       .field("share", &Data::share, "for testing", between(0, 1))
                       .table()}};
}

void expect_problems(const Settings& settings, const std::string& expected) {
  try {
    ADD_FAILURE() << "accepted: " << settings.resolve(sections()).dump();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(std::string(error.what()), expected);
  }
}

TEST(Settings, DefaultsFillWhatIsNotSet) {
  EXPECT_EQ(Settings().resolve(sections()).dump(),
            R"({"model":{"latent":20,"encoder":{"width":32,"hidden":[400]}},)"
            R"("data":{"source":"mnist","share":0.1}})");
  EXPECT_EQ(Settings().find("model.latent"), nullptr);
  EXPECT_EQ(Settings().origin("model.latent"), "default");
  EXPECT_TRUE(Settings().expected().is_null());
}

TEST(Settings, LaterLayersReplaceEarlierOnes) {
  Settings settings;
  settings.merge_document(preset_document("base"), "preset base");
  settings.merge_document({{"model", {{"latent", 9}, {"encoder", {{"width", 4}}}}}}, "my.json");
  settings.set("model.encoder.width", 5, "--width");
  EXPECT_EQ(settings.resolve(sections()).dump(),
            R"({"model":{"latent":9,"encoder":{"width":5,"hidden":[64,32]}},)"
            R"("data":{"source":"a","share":0.1}})");
  EXPECT_EQ(settings.origin("model.latent"), "my.json");
  EXPECT_EQ(settings.origin("model.encoder.width"), "--width");
  EXPECT_EQ(settings.origin("model.encoder.hidden"), "preset base");
  EXPECT_EQ(settings.origin("data.share"), "default");
  EXPECT_EQ(*settings.find("model.encoder.width"), 5);
}

TEST(Settings, ThatWereRenamedKeepTheirOldNames) {
  ASSERT_FALSE(renamed_settings().empty());
  for (const auto& [before, now, of_true] : renamed_settings()) {
    Settings settings;
    settings.set(now, 1, "preset");
    settings.set(before, 2, "file");
    ASSERT_TRUE(settings.find(now)) << now;
    EXPECT_EQ(*settings.find(now), 2) << now;
    EXPECT_FALSE(settings.find(before)) << before;
    Json stored, expected;
    set_path(stored, before, "x");
    set_path(expected, now, "x");
    EXPECT_EQ(with_current_names(stored), expected);
    EXPECT_EQ(with_current_names(expected), expected);
  }
  EXPECT_EQ(with_current_names({{"model", 3}}), (Json{{"model", 3}}));
}

TEST(Settings, OfOtherConfigurationsArePassedOverWhereTheyChangeNothing) {
  std::vector<Section> some = sections();
  some[1].others = describe<ModelConfig>().field("latent", &ModelConfig::latent, "x").table();
  some[1].why_not = "is for models";
  Settings settings;
  settings.set("data.latent", 20, "a run");
  EXPECT_FALSE(settings.resolve(some)["data"].contains("latent"));
  settings.set("data.latent", 21, "a file");
  expect_error(ErrorKind::usage, "a file: data.latent: is for models",
               [&] { settings.resolve(some); });
}

TEST(Settings, AListIsReplacedAsAWhole) {
  Settings settings;
  settings.merge({{"model", {{"encoder", {{"hidden", {1, 2, 3}}}}}}}, "first");
  settings.merge({{"model", {{"encoder", {{"hidden", Json::array()}}}}}}, "second");
  EXPECT_EQ(settings.resolve(sections())["model"]["encoder"]["hidden"], Json::array());
}

TEST(Settings, TellAllProblemsWithOriginAndPath) {
  Settings settings;
  settings.merge_document({{"model", {{"latnt", 3}, {"latent", 1.5}, {"encoder", {{"hidden", 4}}}}},
                           {"dta", {{"source", "x"}}},
                           {"zebra", true}},
                          "my.json");
  settings.set("data.share", "much", "--share");
  expect_problems(settings,
                  "--share: data.share: expected number >= 0 and <= 1, found \"much\"\n"
                  "my.json: dta.source: unknown setting; did you mean 'data.source'?\n"
                  "my.json: model.encoder.hidden: expected list of integers >= 1, found 4\n"
                  "my.json: model.latent: expected integer >= 1, found 1.5\n"
                  "my.json: model.latnt: unknown setting; did you mean 'model.latent'?\n"
                  "my.json: zebra: unknown setting");
}

TEST(Settings, AnErrorThatIsReplacedIsNone) {
  Settings settings;
  settings.merge({{"model", {{"latent", "many"}}}}, "my.json");
  settings.set("model.latent", 3, "--latent");
  EXPECT_EQ(settings.resolve(sections())["model"]["latent"], 3);
}

TEST(Settings, RejectValuesInPlaceOfObjects) {
  Settings settings;
  settings.merge({{"model", {{"latent", 3}, {"encoder", 7}}}, {"data", "mnist"}}, "my.json");
  EXPECT_THROW(settings.resolve(sections()), Error);
  Settings inside;
  inside.merge({{"model", {{"latent", {{"size", 3}}}}}}, "my.json");
  EXPECT_THROW(inside.resolve(sections()), Error);
}

TEST(Settings, AnEmptyObjectIsNoValue) {
  Settings settings;
  settings.merge_document({{"model", {{"encoder", Json::object()}}}, {"data", Json::object()}},
                          "my.json");
  EXPECT_EQ(settings.resolve(sections()), Settings().resolve(sections()));
  settings.merge({{"model", {{"latent", Json::object()}}}, {"trainig", Json::object()}}, "b.json");
  expect_problems(settings,
                  "b.json: model.latent: expected integer >= 1, found {}\n"
                  "b.json: trainig: unknown setting");
}

TEST(Extends, MergesTheParentsFirst) {
  Settings settings;
  settings.merge_document({{"extends", "grandchild"}, {"data", {{"share", 0.5}}}}, "my.json");
  EXPECT_EQ(settings.resolve(sections()).dump(),
            R"({"model":{"latent":16,"encoder":{"width":32,"hidden":[64,32]}},)"
            R"("data":{"source":"b","share":0.5}})");
  EXPECT_EQ(settings.origin("model.encoder.hidden"), "preset base");
  EXPECT_EQ(settings.origin("model.latent"), "preset child");
  EXPECT_EQ(settings.origin("data.source"), "preset grandchild");
  EXPECT_EQ(settings.origin("data.share"), "my.json");
}

TEST(Extends, ExpectedIsNotInherited) {
  Settings settings;
  settings.merge_document(preset_document("base"), "preset base");
  EXPECT_EQ(settings.expected(), Json({{"loss", {1, 2}}}));
  settings.merge_document(preset_document("child"), "preset child");
  EXPECT_TRUE(settings.expected().is_null());
}

TEST(Extends, UnknownOrCircularIsAnError) {
  const auto merge = [](const Json& document) { Settings().merge_document(document, "my.json"); };
  expect_error(ErrorKind::usage, "no preset 'chld'; did you mean 'child'?", [&] {
    merge({{"extends", "chld"}});
  });
  expect_error(ErrorKind::usage, "no preset 'bas'; did you mean 'base'?", [&] {
    merge({{"extends", "orphan"}});
  });
  expect_error(ErrorKind::usage, "preset self: extends: 'self' extends itself",
               [&] { merge(preset_document("self")); });
  expect_error(ErrorKind::usage, "extends itself", [&] { merge({{"extends", "loop-a"}}); });
  expect_error(ErrorKind::usage, "my.json: extends: expected the name of a preset, found 3", [&] {
    merge({{"extends", 3}});
  });
  expect_error(ErrorKind::usage, "found null", [&] { merge({{"extends", nullptr}}); });
}

TEST(Settings, ADocumentIsAnObject) {
  for (const Json& document : {Json::array(), Json(3), Json(), Json("vae")}) {
    expect_error(ErrorKind::usage, "my.json: expected a JSON object of settings",
                 [&] { Settings().merge_document(document, "my.json"); });
  }
}

TEST(Settings, ADocumentMayNameItsSchema) {
  Settings settings;
  settings.merge_document({{"$schema", "genai.schema.json"}, {"about", "x"}}, "my.json");
  EXPECT_EQ(settings.resolve(sections()), Settings().resolve(sections()));
  settings.merge({{"about", "x"}}, "options");  // elsewhere it is a setting like any other
  EXPECT_THROW(settings.resolve(sections()), Error);
}

TEST(SettingsDiff, ListsWhatDiffers) {
  const Json before = {{"model", {{"latent", 2}, {"encoder", {{"hidden", {4}}}}}}, {"seed", 1}};
  Json after = before;
  EXPECT_TRUE(settings_diff(before, after).empty());
  after["seed"] = 2;
  after["model"]["encoder"]["hidden"] = {4, 5};
  after["model"].erase("latent");
  after["data"] = Json::object();
  after["training"]["batch"] = 7;
  EXPECT_EQ(
      settings_diff(before, after),
      (std::vector<std::string>{"  model.encoder.hidden: [4] -> [4,5]", "  model.latent: 2 -> null",
                                "  seed: 1 -> 2", "  training.batch: null -> 7"}));
}

TEST(Presets, AreFoundByName) {
  EXPECT_EQ(preset_names(), (std::vector<std::string>{"base", "child", "grandchild", "loop-a",
                                                      "loop-b", "orphan", "self"}));
  EXPECT_EQ(preset_document("child")["extends"], "base");
  expect_error(ErrorKind::usage, "no preset 'zzzzzz' (", [] { preset_document("zzzzzz"); });
}

}  // namespace
}  // namespace genai
