#include "genai/training/config.h"

#include <cmath>

#include "base/temp_folder.h"
#include "genai/training/trainer.h"

namespace genai {
namespace {

template <class Set>
TrainingConfig with(Set set) {
  TrainingConfig config;
  set(config);
  return config;
}

TEST(TrainingFields, RoundTrip) {
  TrainingConfig config;
  config.epochs = 2.5;
  config.budget = "3m";
  config.seed = 5;
  config.schedule = Schedule::cosine;
  config.optimizer = Optimizer::muon;
  config.final_rate = 0.1;
  config.numerics = {.device = "cpu",
                     .precision = Precision::bfloat16,
                     .layout = Layout::channels_last,
                     .threads = 3};
  const Json json = write_fields(training_fields(), &config);
  EXPECT_EQ(json["device"], "cpu");  // not under "numerics"
  EXPECT_EQ(json["layout"], "channels-last");
  EXPECT_EQ(json["schedule"], "cosine");
  const auto read = from_json<TrainingConfig>(training_fields(), json, "x");
  EXPECT_EQ(write_fields(training_fields(), &read), json);
  EXPECT_EQ(read.numerics.threads, 3);
  EXPECT_EQ(read.epochs, 2.5);
  EXPECT_EQ(json["optimizer"], "muon");
  EXPECT_EQ(read.optimizer, Optimizer::muon);
  EXPECT_EQ(read.final_rate, 0.1);
  EXPECT_EQ(TrainingConfig().optimizer, Optimizer::adamw);
}

TEST(TrainingFields, RejectWhatCannotWork) {
  for (const Json& wrong : {Json{{"epochs", 0}},          Json{{"epochs", -1}},
                            Json{{"steps", -1}},          Json{{"batch", 0}},
                            Json{{"batch", 1.5}},         Json{{"accumulate", 0}},
                            Json{{"learning_rate", 0}},   Json{{"learning_rate", "fast"}},
                            Json{{"beta1", 1}},           Json{{"beta2", -0.1}},
                            Json{{"epsilon", 0}},         Json{{"weight_decay", -1}},
                            Json{{"clip_norm", -1}},      Json{{"seed", -1}},
                            Json{{"seed", 1.0}},          Json{{"log_every", 0}},
                            Json{{"threads", -1}},        Json{{"precision", "half"}},
                            Json{{"schedule", "cos"}},    Json{{"optimizer", "sgd"}},
                            Json{{"final_rate", -0.1}},   Json{{"final_rate", 1.1}},
                            Json{{"final_rate", NAN}},    Json{{"muon_momentum", 1}},
                            Json{{"muon_momentum", -0.1}}}) {
    expect_error(ErrorKind::usage, wrong.begin().key(),
                 [&] { from_json<TrainingConfig>(training_fields(), wrong, "x"); });
  }
}

TrainingConfig scheduled(Schedule schedule, int64_t warmup) {
  return with([=](TrainingConfig& c) {
    c.schedule = schedule;
    c.warmup = warmup;
  });
}

TEST(LearningRate, Constant) {
  const TrainingConfig config = scheduled(Schedule::constant, 0);
  for (const int64_t step : {0, 1, 99, 100}) EXPECT_EQ(learning_rate_factor(config, step, 100), 1);
}

TEST(LearningRate, WarmsUpLinearly) {
  for (const Schedule schedule : {Schedule::constant, Schedule::linear, Schedule::cosine}) {
    const TrainingConfig config = scheduled(schedule, 4);
    const double expected[] = {0.25, 0.5, 0.75, 1, 1};
    for (int64_t step = 0; step < 5; ++step) {
      EXPECT_EQ(learning_rate_factor(config, step, 100), expected[step]);
    }
  }
}

TEST(LearningRate, Linear) {
  const TrainingConfig config = scheduled(Schedule::linear, 0),
                       warm = scheduled(Schedule::linear, 20);
  EXPECT_EQ(learning_rate_factor(config, 0, 100), 1);
  EXPECT_DOUBLE_EQ(learning_rate_factor(config, 25, 100), 0.75);
  EXPECT_NEAR(learning_rate_factor(config, 99, 100), 0.01, 1e-15);
  EXPECT_EQ(learning_rate_factor(config, 100, 100), 0);
  EXPECT_EQ(learning_rate_factor(config, 150, 100), 0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(warm, 60, 100), 0.5);
}

TEST(LearningRate, Cosine) {  // (1 + cos(pi t)) / 2
  const TrainingConfig config = scheduled(Schedule::cosine, 0),
                       warm = scheduled(Schedule::cosine, 10);
  EXPECT_EQ(learning_rate_factor(config, 0, 120), 1);
  EXPECT_NEAR(learning_rate_factor(config, 20, 120), (2 + std::sqrt(3)) / 4, 1e-15);
  EXPECT_NEAR(learning_rate_factor(config, 40, 120), 0.75, 1e-15);
  EXPECT_NEAR(learning_rate_factor(config, 60, 120), 0.5, 1e-15);
  EXPECT_NEAR(learning_rate_factor(config, 80, 120), 0.25, 1e-15);
  EXPECT_EQ(learning_rate_factor(config, 120, 120), 0);
  EXPECT_EQ(learning_rate_factor(config, 200, 120), 0);
  EXPECT_NEAR(learning_rate_factor(warm, 60, 110), 0.5, 1e-15);
}

TEST(LearningRate, EndsAtTheFinalRate) {  // f + (1 - f) * what it would be with f = 0
  for (const double final_rate : {0.1, 0.25, 1.0}) {
    for (const Schedule schedule : {Schedule::constant, Schedule::linear, Schedule::cosine}) {
      const TrainingConfig to_zero = scheduled(schedule, 10);
      TrainingConfig config = to_zero;
      config.final_rate = final_rate;
      const auto factor = [&](int64_t step) { return learning_rate_factor(config, step, 110); };
      EXPECT_EQ(factor(4), 0.5);  // the warm-up as ever
      EXPECT_EQ(factor(10), 1);
      const double end = schedule == Schedule::constant ? 1 : final_rate;
      EXPECT_EQ(factor(110), end);
      EXPECT_EQ(factor(1000), end);
      EXPECT_NEAR(factor(60), schedule == Schedule::constant ? 1 : (1 + final_rate) / 2, 1e-15);
      for (int64_t step = 10; step < 120; ++step) {
        const double share = learning_rate_factor(to_zero, step, 110);
        EXPECT_NEAR(factor(step), final_rate + (1 - final_rate) * share, 1e-15);
      }
      EXPECT_EQ(learning_rate_factor(config, 1000, 0), 1);
    }
  }
}

TEST(LearningRate, StaysUpWhileTheStepsAreUnknown) {
  for (const Schedule schedule : {Schedule::constant, Schedule::linear, Schedule::cosine}) {
    EXPECT_EQ(learning_rate_factor(scheduled(schedule, 10), 4, 0), 0.5);
    EXPECT_EQ(learning_rate_factor(scheduled(schedule, 10), 10, 0), 1);
    EXPECT_EQ(learning_rate_factor(scheduled(schedule, 10), 1000, 0), 1);
    EXPECT_EQ(learning_rate_factor(scheduled(schedule, 10), 9, 10), 1);  // warm-up to the last step
  }
}

TEST(ParseDuration, KnowsSecondsMinutesAndHours) {
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("90"), 90);
  EXPECT_EQ(parse_duration("3m"), 180);
  EXPECT_EQ(parse_duration("1.5h"), 5400);
  EXPECT_EQ(parse_duration("0.25s"), 0.25);
  EXPECT_EQ(parse_duration("1e2s"), 100);
}

TEST(ParseDuration, RejectsWhatIsNoTime) {
  for (const char* text :
       {"",   "s",   "m",    "3x",  "3 m",  " 3m",    "3m ",    "3ms",   "3mm",   "-3m", "0",
        "0s", "nan", "nans", "inf", "infh", "1e400s", "1e308h", "three", "3m30s", "+3m", "3,5m"}) {
    expect_error(ErrorKind::usage,
                 concat("expected a time such as 90s, 3m or 1h, found '", text, "'"),
                 [&] { parse_duration(text); });
  }
}

TEST(PlannedSteps, FromEpochsRoundsUp) {
  const auto steps = [](double epochs, int64_t batch, int64_t images) {
    return planned_steps(with([=](TrainingConfig& c) {
                           c.epochs = epochs;
                           c.batch = batch;
                         }),
                         images);
  };
  EXPECT_EQ(steps(10, 128, 60'000), 4688);  // 4687.5
  EXPECT_EQ(steps(1, 100, 60'000), 600);
  EXPECT_EQ(steps(0.5, 100, 60'000), 300);
  EXPECT_EQ(steps(1e-9, 100, 60'000), 1);
  EXPECT_EQ(steps(3, 7, 7), 3);
}

TEST(PlannedSteps, StepsWinOverEpochs) {
  EXPECT_EQ(planned_steps(with([](TrainingConfig& c) { c.steps = 3; }), 60'000), 3);
}

TEST(PlannedSteps, ABudgetLeavesThemOpen) {
  TrainingConfig config = with([](TrainingConfig& c) { c.budget = "3m"; });
  EXPECT_EQ(planned_steps(config, 60'000), 0);
  config.steps = 3;
  expect_error(ErrorKind::usage, "exclude each other", [&] { planned_steps(config, 60'000); });
  config.budget = "soon";
  expect_error(ErrorKind::usage, "training.budget", [&] { planned_steps(config, 60'000); });
}

TEST(PlannedSteps, RejectsMoreThanCanBeCounted) {
  for (const double epochs : {1e14, 1e30, 1e308}) {
    const TrainingConfig config = with([=](TrainingConfig& c) { c.epochs = epochs; });
    expect_error(ErrorKind::usage, "training.epochs", [&] { planned_steps(config, 60'000); });
  }
}

}  // namespace
}  // namespace genai
