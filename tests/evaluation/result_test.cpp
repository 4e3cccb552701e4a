#include "genai/evaluation/result.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "base/temp_folder.h"

namespace genai {
namespace {

Evaluation some_evaluation() {
  Metric nll = mean_metric("nll_iw5@digits-test4/dynbin-seed0/bernoulli",
                           at::tensor({1.0, 2.0, 3.0, 4.0}), "nats");
  Metric kid{.name = "kid@digits-4",
             .value = -1.0 / 3,
             .spread = 0.25,
             .count = 4,
             .better = Better::higher,
             .floor = 0.5,
             .real = 1e-300};
  return {.step = 7,
          .weights_sha256 = "f00d",
          .sampling = {{"first", 0}, {"count", 4}, {"options", {{"temperature", 0.7}}}},
          .metrics = {nll, kid},
          .details = {{"class_shares", {{"0", 0.25}, {"1", 0.75}}}},
          .notes = {"a \"note\"\nof two lines"},
          .pictures = {{"samples", "not really a PNG"}}};
}

TEST(Result, KeepsAndReadsTheSame) {
  TempFolder run;
  EXPECT_TRUE(read_evaluations(run.path()).all.empty());
  const Evaluation kept = some_evaluation();
  keep_evaluation(run.path(), kept);
  keep_evaluation(run.path(), {.step = 8, .weights_sha256 = "beef"});
  const auto all = read_evaluations(run.path()).all;
  ASSERT_EQ(all.size(), 2u);
  const Evaluation& found = all[0];
  EXPECT_EQ(to_json(found), to_json(kept));  // every digit
  EXPECT_EQ(found.metrics[1].floor, kept.metrics[1].floor);
  EXPECT_EQ(found.metrics[1].real, kept.metrics[1].real);
  EXPECT_FALSE(found.metrics[0].floor);
  EXPECT_FALSE(found.metrics[0].items.defined());
  EXPECT_EQ(slurp(run / found.pictures.at("samples")), "not really a PNG");
  EXPECT_EQ(all[1].step, 8);
  EXPECT_TRUE(all[1].sampling.is_null());
  EXPECT_TRUE(all[1].details.is_object());

  const Tensors items = read_items(run.path(), 1);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_TRUE(at::equal(items.at(kept.metrics[0].name), at::tensor({1.0f, 2.0f, 3.0f, 4.0f})));
  EXPECT_TRUE(read_items(run.path(), 2).empty());
}

TEST(Result, TornAndForeignLinesAreNamed) {
  TempFolder run;
  keep_evaluation(run.path(), some_evaluation());
  const std::string good = slurp(run / "evaluations.jsonl");
  const std::vector<std::string> all_bad{
      good.substr(0, good.size() / 2),
      "{\"step\": 1}\n",
      "[1, 2]\n",
      "\n",
      R"({"step": "x", "weights_sha256": "", "metrics": []})",
      R"({"step": 1, "weights_sha256": "", "metrics": [{"name": "a"}]})"};
  for (const std::string& bad : all_bad) {
    put(run / "evaluations.jsonl", good + bad);
    const Evaluations read = read_evaluations(run.path());
    EXPECT_EQ(read.all.size(), 1u) << bad;
    ASSERT_EQ(read.damaged.size(), 1u) << bad;
    EXPECT_NE(read.damaged[0].find("evaluations.jsonl, line 2"), std::string::npos) << bad;
    EXPECT_EQ(read.damaged[0].find("exception"), std::string::npos) << read.damaged[0];
  }
  put(run / "evaluations.jsonl", good);
  std::string items = slurp(run / "evaluations/0001.safetensors");
  put(run / "evaluations/0001.safetensors", items.substr(0, items.size() - 1));
  expect_error(ErrorKind::data, "0001.safetensors", [&] { read_items(run.path(), 1); });
}

TEST(Result, MeansHaveStandardErrors) {
  const Metric metric =
      mean_metric("m", at::tensor({1, 2, 3, 4}, at::kLong), "nats", Better::higher);
  EXPECT_DOUBLE_EQ(metric.value, 2.5);
  EXPECT_DOUBLE_EQ(metric.standard_error, std::sqrt(5.0 / 3) / 2);  // variance 5/3, 4 items
  EXPECT_EQ(metric.count, 4);
  EXPECT_EQ(metric.better, Better::higher);
  EXPECT_EQ(mean_metric("m", at::ones({1})).standard_error, 0);
  EXPECT_EQ(Metric{.name = "a@b@c"}.short_name(), "a");
  EXPECT_EQ(Metric{.name = "a@b@c"}.protocol(), "b@c");
  EXPECT_EQ(Metric{.name = "a"}.protocol(), "");
}

TEST(Result, PairedDifferencesHaveTheErrorOfTheDifferences) {
  const Tensor a = at::tensor({10.0, 200.0, 3000.0, 4.0});
  const Tensor b = a + at::tensor({0.5, 1.5, 0.5, 1.5});
  const Metric first = mean_metric("m@p", a), second = mean_metric("m@p", b);
  const PairedDifference d = paired_difference(first, a, second, b);
  EXPECT_NEAR(d.value, 1, 1e-12);
  EXPECT_NEAR(d.standard_error, std::sqrt(1.0 / 3) / 2, 1e-12);  // variance 4 * 0.25 / 3
  EXPECT_NEAR(paired_difference(second, b, first, a).value, -1, 1e-12);
  EXPECT_EQ(paired_difference(first, a, first, a).standard_error, 0);
  EXPECT_THROW(paired_difference(first, a, mean_metric("m@q", b), b), std::logic_error);
  EXPECT_THROW(paired_difference(first, a, second, b.narrow(0, 0, 3)), std::logic_error);
}

TEST(Result, BarsAreParsedStrictly) {
  const Requirement bar = parse_requirement("nll_iw100@digits/x>=-1.5e2");
  EXPECT_EQ(bar.metric, "nll_iw100@digits/x");
  EXPECT_EQ(bar.bound, -150);
  EXPECT_FALSE(bar.at_most);
  EXPECT_TRUE(bar.met_by(-150));
  EXPECT_FALSE(bar.met_by(-150.1));
  for (const char* text : {"", "nll", "nll<", "nll<=", "<=3", "nll<3", "nll==3", "nll<=x",
                           "nll<=3x", "nll<=inf", "nll<=nan", "nll<= 3"}) {
    expect_error(ErrorKind::usage, "nll<=88", [&] { parse_requirement(text); });
  }
}

TEST(Result, ABarNamesOneMetric) {
  const std::vector<Metric> metrics{{.name = "nll_iw5@p"},  {.name = "bits_per_dim_iw5@p"},
                                    {.name = "kl@p"},       {.name = "kl_weighted@p"},
                                    {.name = "elbo_iw5@p"}, {.name = "elbo_iw50@p"},
                                    {.name = "fd_pca@p"}};
  const auto found = [&](const std::string& name) {
    return required_metric(parse_requirement(name + "<=1"), metrics).name;
  };
  EXPECT_EQ(found("nll"), "nll_iw5@p");
  EXPECT_EQ(found("nll_iw5"), "nll_iw5@p");
  EXPECT_EQ(found("nll_iw5@p"), "nll_iw5@p");
  EXPECT_EQ(found("kl"), "kl@p");  // the whole name goes before the beginning of another
  expect_error(ErrorKind::usage, "more than one", [&] { found("elbo"); });
  expect_error(ErrorKind::usage, "none", [&] { found("fd"); });  // another metric than fd_pca
  expect_error(ErrorKind::usage, "none", [&] { found("fid"); });
  expect_error(ErrorKind::usage, "none", [&] { found("nl"); });
}

TEST(Result, ABarOnWhatWillNotBeMeasuredIsRefusedBefore) {
  const std::vector<std::string> names{"nll_", "kl", "fd_pca"};
  for (const char* good : {"nll<=1", "nll_iw100<=1", "nll_iw100@mnist<=1", "kl<=1", "fd_pca<=1"}) {
    EXPECT_NO_THROW(check_requirement(parse_requirement(good), names)) << good;
  }
  for (const char* bad : {"fd<=1", "k<=1", "nl<=1", "recall<=1"}) {
    expect_error(ErrorKind::usage, "expected one of nll, kl, fd_pca",
                 [&] { check_requirement(parse_requirement(bad), names); });
  }
}

TEST(Result, ADamagedLogKeepsNothingAndSaysWhere) {
  TempFolder run;
  keep_evaluation(run.path(), some_evaluation());
  std::string log = slurp(run / "evaluations.jsonl");
  log[log.find("0.") + 2] ^= 1;
  put(run / "evaluations.jsonl", log);
  expect_error(ErrorKind::data, "evaluations.jsonl, line 1: its checksum does not match",
               [&] { keep_evaluation(run.path(), some_evaluation()); });
  EXPECT_EQ(slurp(run / "evaluations.jsonl"), log);
}

TEST(Result, WhatIsNoNumberIsNotKept) {
  const TempFolder folder;
  expect_error(ErrorKind::failure, "x@p", [&] {
    keep_evaluation(folder.path(), {.metrics = {{.name = "x@p", .value = std::nan("")}}});
  });
  EXPECT_TRUE(read_evaluations(folder.path()).all.empty());
}

TEST(Result, ItemsThatAKilledProcessLeftAreNotTakenForOnesOwn) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "evaluations");
  put(folder / "evaluations/0001.safetensors", "torn");
  keep_evaluation(folder.path(), {.metrics = {{.name = "x@p", .value = 1}}});
  EXPECT_TRUE(read_items(folder.path(), 1).empty());
}

}  // namespace
}  // namespace genai
