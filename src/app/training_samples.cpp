#include "genai/app/training_samples.h"

#include <torch/nn/module.h>

#include "genai/data/series_set.h"
#include "genai/generation/forecast.h"
#include "genai/generation/generate.h"
#include "genai/generation/text_samples.h"
#include "items-inl.h"

namespace genai {

void show_pictures(Model& model, const Dataset& data, at::Device device, int64_t step,
                   TrainObserver& observer) {
  constexpr int64_t kPictures = 16;
  if (!dynamic_cast<Generator*>(&model)) return;
  model.module().eval();
  observer.sampled(
      step,
      data.info.modality->pictures(generate_items(
          model, {.count = kPictures, .condition = {.items = data.test}}, data.info, device)),
      {{"first", 0}, {"count", kPictures}, {"class", -1}, {"options", Json::object()}});
}

void show_texts(Model& model, const Dataset& data, at::Device, int64_t step,
                TrainObserver& observer) {
  constexpr int64_t kLines = 8, kTokens = 240;  // lines, or one running text of so many tokens
  if (!dynamic_cast<NextToken*>(&model)) return;
  std::vector<std::string> texts;
  for (TextSample& sample : generate_texts(
           model, {.count = data.info.lines ? kLines : 1, .length = kTokens}, data.info)) {
    texts.push_back(std::move(sample.text));
  }
  observer.wrote(step, texts);
}

void show_forecast(Model& model, const Dataset& data, at::Device, int64_t step,
                   TrainObserver& observer) {
  constexpr int64_t kPaths = 64, kValues = 60;  // ways that it may go on, so many values at most
  if (!dynamic_cast<NextToken*>(&model)) return;
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

void show_samples(Model& model, const Dataset& data, at::Device device, int64_t step,
                  TrainObserver& observer) {
  work_on(*data.info.modality).show(model, data, device, step, observer);
}

}  // namespace genai
