#include "genai/app/training_samples.h"

#include <torch/nn/module.h>

#include "genai/data/series_set.h"
#include "genai/generation/forecast.h"
#include "genai/generation/generate.h"
#include "genai/generation/text_samples.h"

namespace genai {
namespace {

constexpr int64_t kPictures = 16;
/// Lines, or one running text of so many tokens.
constexpr int64_t kLines = 8, kTokens = 240;
/// Ways that a series may go on, so many values at most.
constexpr int64_t kPaths = 64, kValues = 60;

void show_texts(Model& model, const DataInfo& info, int64_t step, TrainObserver& observer) {
  std::vector<std::string> texts;
  for (TextSample& sample :
       generate_texts(model, {.count = info.lines ? kLines : 1, .length = kTokens}, info)) {
    texts.push_back(std::move(sample.text));
  }
  observer.wrote(step, texts);
}

void show_forecast(Model& model, const Dataset& data, int64_t step, TrainObserver& observer) {
  const int64_t length = std::min(kValues, data.test.tokens.numel());
  std::vector<double> truth = values_of(data.test);
  truth.resize(static_cast<size_t>(length));
  const Forecast fan =
      forecast(model, {.count = kPaths, .length = length, .options = {{"temperature", 1}}},
               values_of(data.train, true), data.info);
  observer.sampled(
      step, {draw_forecast(fan, truth)},
      {{"forecast", length}, {"first", 0}, {"count", kPaths}, {"options", {{"temperature", 1}}}});
}

}  // namespace

void show_samples(Model& model, const Dataset& data, at::Device device, int64_t step,
                  TrainObserver& observer) {
  if (dynamic_cast<NextToken*>(&model) && data.info.modality == &series_modality()) {
    show_forecast(model, data, step, observer);
  } else if (dynamic_cast<NextToken*>(&model)) {
    show_texts(model, data.info, step, observer);
  }
  if (!dynamic_cast<Generator*>(&model)) return;
  model.module().eval();
  observer.sampled(
      step,
      data.info.modality->pictures(generate_items(
          model, {.count = kPictures, .condition = {.items = data.test}}, data.info, device)),
      {{"first", 0}, {"count", kPictures}, {"class", -1}, {"options", Json::object()}});
}

}  // namespace genai
