#include "genai/evaluation/series.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <fstream>

#include "base/temp_folder.h"
#include "genai/core/numerics.h"
#include "genai/evaluation/language.h"
#include "models/text_runs.h"

namespace genai {
namespace {

TEST(Crps, IsTheAbsoluteErrorOfOneDraw) {
  EXPECT_DOUBLE_EQ(crps({3}, 5), 2);
  EXPECT_DOUBLE_EQ(crps({5}, 5), 0);
}

TEST(Crps, IsTheSumOverPairs) {
  const std::vector<double> draws{0.5, -1, 4, 2, 2, 7};
  double distance = 0, spread = 0;
  for (const double a : draws) {
    distance += std::abs(a - 1.5) / 6;
    for (const double b : draws) spread += std::abs(a - b) / (6 * 5);
  }
  EXPECT_NEAR(crps(draws, 1.5), distance - spread / 2, 1e-12);
}

TEST(Crps, OfANormalDistributionIsItsClosedForm) {
  // Gneiting and Raftery 2007, equation 21, of N(0, 1) at 0: (sqrt(2) - 1) / sqrt(pi).
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(1);
  const Tensor draws = at::randn({20'000}, generator, at::kDouble);
  const auto* first = draws.const_data_ptr<double>();
  EXPECT_NEAR(crps({first, first + draws.numel()}, 0), (std::sqrt(2.0) - 1) / std::sqrt(M_PI),
              0.01);
}

TEST(Baselines, RepeatWhatTheyShould) {
  const std::vector<double> past{1, 2, 3, 11, 12, 13};
  using Values = std::vector<double>;
  EXPECT_EQ(last_value(past, 3), (Values{13, 13, 13}));
  EXPECT_EQ(seasonal(past, 3, 5, false), (Values{11, 12, 13, 11, 12}));
  EXPECT_EQ(seasonal(past, 3, 5, true), (Values{21, 22, 23, 31, 32}));
}

TEST(SeriesEvaluation, MeasuresForecastsBesideBaselines) {
  TempFolder folder;
  std::ofstream csv(folder / "s.csv");
  for (int t = 0; t < 300; ++t)
    csv << std::sin(t * 2 * M_PI / 6) + 0.1 * t + 0.3 * (t * 7919 % 13) << "\n";
  csv.close();
  const EvaluationData data = load_evaluation_data(
      {.source = (folder / "s.csv").string(),
       .own = {{"tokenizer", "differences"}, {"vocabulary", 8}, {"context", 16}, {"season", 6}}});
  LoadedModel loaded;
  loaded.family = &find_family("transformer");
  loaded.model = random_text_model("transformer", data.own.info, Json::object(), 0.01);
  loaded.manifest.step = 1;
  loaded.manifest.data = data.own.info;
  loaded.manifest.config = {{"training", {{"batch", 4}}}};
  loaded.manifest.files = {{"model.safetensors", {{"sha256", "0"}}}};
  EvaluationRequest request{.samples = 50, .options = {{"temperature", 1}}};
  const Evaluation result = evaluate_sequences(loaded, data, request);
  std::map<std::string, Metric> metrics;
  for (const Metric& metric : result.metrics) metrics[metric.short_name()] = metric;
  ASSERT_EQ(metrics.size(), 7u);
  EXPECT_NE(metrics.at("mae").name.find("-test30/steps12x19/n50"), std::string::npos);
  EXPECT_EQ(metrics.at("mae").count, 19);
  // The weights say next to nothing, so paths take steps of the past at random around season and
  // trend: better than no trend, and most of what comes is within them.
  EXPECT_LT(metrics.at("mae").value, metrics.at("mae_last").value);
  EXPECT_LT(metrics.at("crps").value, metrics.at("mae").value);
  EXPECT_GT(metrics.at("coverage_80").value, 0.5);
  EXPECT_NEAR(metrics.at("loss").value, std::log(data.own.info.vocabulary()), 0.02);
  EXPECT_TRUE(result.pictures.count("forecast"));

  request.parts = {MetricGroup::memorization};
  EXPECT_THROW(evaluate_sequences(loaded, data, request), Error);
  request.parts = {};
  request.images = 5;
  EXPECT_THROW(evaluate_sequences(loaded, data, request), Error);
}

}  // namespace
}  // namespace genai
