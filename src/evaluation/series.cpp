#include "genai/evaluation/series.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "genai/base/png.h"
#include "genai/data/series_set.h"

namespace genai {
namespace {

constexpr int64_t kPlaces = 48, kPaths = 100, kSteps = 24, kSeasons = 2;

double mean_error(std::span<const double> forecast, std::span<const double> truth) {
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) sum += std::abs(forecast[i] - truth[i]);
  return sum / static_cast<double>(truth.size());
}

using Baseline = std::function<std::vector<double>(std::span<const double> past, size_t steps)>;

/// What a forecast has to beat, by the names of their metrics.
std::vector<std::pair<std::string, Baseline>> baselines_of(int64_t season) {
  std::vector<std::pair<std::string, Baseline>> baselines{{"mae_last", last_value}};
  if (season == 0) return baselines;
  for (const bool drift : {false, true}) {
    baselines.emplace_back(
        drift ? "mae_seasonal_drift" : "mae_seasonal",
        [=, s = static_cast<size_t>(season)](std::span<const double> past, size_t steps) {
          return seasonal(past, s, steps, drift);
        });
  }
  return baselines;
}

/// How good a fan of paths is: means over its steps.
struct FanScore {
  double error = 0, crps = 0, covered = 0;
};

FanScore score_fan(const Forecast& fan, std::span<const double> truth) {
  const auto low = fan.quantiles(0.1), high = fan.quantiles(0.9);
  double score = 0, inside = 0;
  for (size_t step = 0; step < truth.size(); ++step) {
    std::vector<double> draws;
    for (const auto& path : fan.paths) draws.push_back(path[step]);
    score += crps(std::move(draws), truth[step]);
    inside += truth[step] >= low[step] && truth[step] <= high[step];
  }
  const auto steps = static_cast<double>(truth.size());
  return {.error = mean_error(fan.quantiles(0.5), truth),
          .crps = score / steps,
          .covered = inside / steps};
}

}  // namespace

double crps(std::vector<double> draws, double truth) {
  std::ranges::sort(draws);
  const auto m = static_cast<double>(draws.size());
  double distance = 0, spread = 0;  // spread: sum of |x_i - x_j| over pairs i < j
  for (size_t i = 0; i < draws.size(); ++i) {
    distance += std::abs(draws[i] - truth);
    spread += draws[i] * (2 * static_cast<double>(i) - m + 1);
  }
  return distance / m - (draws.size() > 1 ? spread / (m * (m - 1)) : 0);
}

std::vector<double> last_value(std::span<const double> past, size_t steps) {
  return std::vector<double>(steps, past.back());
}

std::vector<double> seasonal(std::span<const double> past, size_t season, size_t steps,
                             bool drift) {
  const double change = drift ? past.back() - past[past.size() - 1 - season] : 0;
  std::vector<double> forecast;
  for (size_t step = 0; step < steps; ++step) {
    const size_t seasons = step / season + 1;
    forecast.push_back(past[past.size() - season + step % season] +
                       change * static_cast<double>(seasons));
  }
  return forecast;
}

void measure_forecasts(const LoadedModel& loaded, const Dataset& data,
                       const EvaluationRequest& request, Evaluation& into,
                       const StageProgress& progress) {
  const int64_t season = data.info.tokenizer->changes()->season();
  std::vector<double> values = values_of(data.train, true);
  const auto known = static_cast<int64_t>(values.size());
  const std::vector<double> test = values_of(data.test);
  values.insert(values.end(), test.begin(), test.end());
  const int64_t tested = data.test.tokens.numel();
  const int64_t steps = std::min(season > 0 ? kSeasons * season : kSteps, tested);
  const int64_t room = tested - steps + 1, places = std::min(kPlaces, room);
  const int64_t paths = request.samples > 0 ? request.samples : kPaths;

  const auto baselines = baselines_of(season);
  std::vector<double> errors, scores, covered;
  std::vector<std::vector<double>> baseline_errors(baselines.size());
  for (int64_t i = 0; i < places; ++i) {
    // The same distance from each to the next, the first and the last possible one included.
    const int64_t place = known + (places > 1 ? i * (room - 1) / (places - 1) : 0);
    const auto past = std::span(values).first(static_cast<size_t>(place));
    const auto truth =
        std::span(values).subspan(static_cast<size_t>(place), static_cast<size_t>(steps));
    const Forecast fan = forecast(*loaded.model,
                                  {.first = request.first + i * paths,
                                   .count = paths,
                                   .length = steps,
                                   .weights = request.weights,
                                   .options = request.options},
                                  past, data.info);
    const FanScore score = score_fan(fan, truth);
    errors.push_back(score.error);
    scores.push_back(score.crps);
    covered.push_back(score.covered);
    for (size_t b = 0; b < baselines.size(); ++b) {
      baseline_errors[b].push_back(mean_error(baselines[b].second(past, truth.size()), truth));
    }
    if (i == 0) into.pictures["forecast"] = encode_png(draw_forecast(fan, truth));
    if (progress) {
      progress("forecasts", static_cast<double>(i + 1) / static_cast<double>(places));
    }
  }
  const std::string where =
      concat("@", data.info.source, "-test", tested, "/steps", steps, "x", places);
  const auto add = [&](const std::string& name, const std::vector<double>& items, Better better) {
    into.metrics.push_back(mean_metric(name, at::tensor(items, at::kDouble), "", better));
  };
  const std::string own = concat(where, "/n", paths, request.suffix());
  add("mae" + own, errors, Better::lower);
  add("crps" + own, scores, Better::lower);
  add("coverage_80" + own, covered, Better::neither);
  for (size_t b = 0; b < baselines.size(); ++b) {
    add(baselines[b].first + where, baseline_errors[b], Better::neither);
  }
  if (places > 1) {
    into.notes.push_back(
        "forecasts from neighbouring places overlap in time: their means are less "
        "certain than the standard errors say");
  }
  into.sampling = {{"first", request.first}, {"count", paths}, {"options", request.options}};
}

}  // namespace genai
