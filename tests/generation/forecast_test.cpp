#include "genai/generation/forecast.h"

#include <gtest/gtest.h>

#include "genai/base/error.h"
#include "genai/data/series.h"
#include "models/text_runs.h"

namespace genai {
namespace {

DataInfo series_info(int64_t season = 0) {
  std::vector<double> values{10};
  for (int i = 0; i < 60; ++i) values.push_back(values.back() + (i * 7) % 11 - 4.5);
  return {.modality = &series_modality(),
          .source = "series",
          .train_count = 10,
          .test_count = 10,
          .fingerprint = "f",
          .tokenizer = std::make_shared<Changes>(
              Changes::learn(TokenizerKind::differences, values, 9, season, "")),
          .context = 12};
}

TEST(Forecast, PathsAreTextsFollowedFromTheLastValue) {
  const DataInfo info = series_info();
  const auto model = random_text_model("transformer", info);
  const std::vector<double> past{1, 3, 2, 5};
  const Forecast fan = forecast(
      *model, {.first = 5, .count = 4, .length = 20, .options = {{"temperature", 1}}}, past, info);
  ASSERT_EQ(fan.paths.size(), 4u);
  EXPECT_EQ(fan.past, past);
  const auto texts = generate_texts(*model,
                                    {.first = 5,
                                     .count = 4,
                                     .prompt = series_text(past),
                                     .length = 20,
                                     .options = {{"temperature", 1}}},
                                    info);
  for (size_t k = 0; k < 4; ++k) {
    ASSERT_EQ(fan.paths[k].size(), 20u);
    EXPECT_EQ(fan.paths[k], info.tokenizer->changes()->follow(past, texts[k].tokens));
  }
  // A path's number is all it depends on.
  const Forecast one =
      forecast(*model, {.first = 7, .length = 20, .options = {{"temperature", 1}}}, past, info);
  EXPECT_EQ(one.paths[0], fan.paths[2]);
}

TEST(Forecast, QuantilesAreThoseOfTheSteps) {
  Forecast fan;
  for (const double x : {4, 1, 3, 2, 5}) fan.paths.push_back({x, 10 * x});
  EXPECT_EQ(fan.quantiles(0), (std::vector<double>{1, 10}));
  EXPECT_EQ(fan.quantiles(0.5), (std::vector<double>{3, 30}));
  EXPECT_EQ(fan.quantiles(0.625), (std::vector<double>{3.5, 35}));
  EXPECT_EQ(fan.quantiles(1), (std::vector<double>{5, 50}));
  EXPECT_EQ(forecast_csv(fan),
            "step,q05,q25,median,q75,q95,path0,path1,path2,path3,path4\n"
            "1,1.2,2,3,4,4.8,4,1,3,2,5\n2,12,20,30,40,48,40,10,30,20,50\n");
}

TEST(Forecast, IsDrawn) {
  Forecast fan{.past = {1, 2, 3}, .paths = {{4, 5}, {2, 1}}};
  const Image plain = draw_forecast(fan), told = draw_forecast(fan, std::vector<double>{3, 3.5});
  EXPECT_EQ(plain.width, 960);
  EXPECT_EQ(plain.height, 480);
  EXPECT_EQ(plain.channels, 3);
  EXPECT_NE(plain.pixels, told.pixels);
  // A flat past and flat paths have a picture, too.
  EXPECT_NO_THROW(draw_forecast({.past = {2, 2}, .paths = {{2}}}));
}

TEST(Forecast, RefusesWhatDoesNotFit) {
  const DataInfo series = series_info(5), text = text_info(12);
  const auto model = random_text_model("rnn", series), writer = random_text_model("rnn", text);
  EXPECT_THROW(forecast(*writer, {}, std::vector<double>{1, 2, 3}, text), Error);
  // A season and two values are needed.
  EXPECT_THROW(forecast(*model, {.length = 3}, std::vector<double>{1, 2, 3, 4, 5, 6}, series),
               Error);
  EXPECT_NO_THROW(
      forecast(*model, {.length = 3}, std::vector<double>{1, 2, 3, 4, 5, 6, 7}, series));
  EXPECT_THROW(generate_texts(*model, {.length = 3}, series), Error);
}

}  // namespace
}  // namespace genai
