#include "genai/base/presets.h"

#include <gtest/gtest.h>

#include <set>

#include "genai/base/settings.h"
#include "genai/data/dataset.h"
#include "genai/models/registry.h"
#include "genai/training/config.h"

namespace genai {
namespace {

TEST(ConfigsFolder, HasAPresetOfEveryFamily) {
  for (const Family& family : families()) {
    EXPECT_NO_THROW(preset_document(family.name)) << family.name;
  }
}

TEST(ConfigsFolder, EveryPresetResolves) {
  ASSERT_FALSE(preset_names().empty());
  for (const std::string& name : preset_names()) {
    SCOPED_TRACE(name);
    Settings settings;
    ASSERT_NO_THROW(settings.merge_document(preset_document(name), "preset " + name));
    const Json* family = settings.find("model.family");
    ASSERT_NE(family, nullptr);
    try {
      const Json resolved = settings.resolve({{"model", model_fields(find_family(*family))},
                                              {"data", data_fields()},
                                              {"training", training_fields()}});
      EXPECT_EQ(resolved["model"]["family"], *family);
      from_json<TrainingConfig>(training_fields(), resolved["training"], name);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
    EXPECT_TRUE(preset_document(name).contains("about"));
  }
}

TEST(ConfigsFolder, TheTinyModelOfEveryFamilyResolves) {
  for (const Family& family : families()) {
    Settings settings;
    settings.merge({{"model", family.tiny}}, "tiny");
    EXPECT_NO_THROW(settings.resolve({{"model", model_fields(family)}})) << family.name;
  }
}

TEST(FieldTables, AreSound) {
  for (const Family& family : families()) {
    for (const auto& table :
         {model_fields(family), family.sampling, data_fields(), training_fields()}) {
      std::set<std::string> names;
      for (const Field& field : table) {
        EXPECT_FALSE(field.doc.empty()) << field.name;
        EXPECT_EQ(check_value(field, field.default_value), "") << field.name;
        EXPECT_TRUE(names.insert(field.name).second) << field.name << " is described twice";
      }
    }
  }
}

}  // namespace
}  // namespace genai
