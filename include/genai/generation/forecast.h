// How a series of numbers may go on: many paths, and what they say together.
#pragma once
#include <span>

#include "genai/base/image.h"
#include "genai/generation/text_samples.h"

namespace genai {

struct Forecast {
  std::vector<double> past;                ///< the values it goes on from
  std::vector<std::vector<double>> paths;  ///< [samples][steps]: draws from the model

  size_t steps() const { return paths.at(0).size(); }
  /// Of the paths at each step, q from 0 to 1, by linear interpolation between neighbours.
  std::vector<double> quantiles(double q) const;
};

/// Path k is text number `first` + k of generate_texts: request.length values each, drawn at the
/// temperature of the options (1: the model's own distribution). request.prompt is not used.
/// @param past  more values than Changes::lead(); the model sees as many of the
///              last ones as a text's prompt
/// Throws what generate_texts throws, Error{usage} for a model of texts.
/// @param check_wanted  asked from token to token
Forecast forecast(Model& model, TextRequest request, std::span<const double> past,
                  const DataInfo& info, const CheckWanted& check_wanted = {});

/// "step,q05,q25,median,q75,q95,path0,path1,...", a line a step.
std::string forecast_csv(const Forecast& forecast);

/// A fan: the last values of the past, bands from the 5 % to the 95 % and from the 25 % to the 75 %
/// quantile, the median, three of the paths; and `truth` where it is known. RGB, 960 x 480.
Image draw_forecast(const Forecast& forecast, std::span<const double> truth = {});

}  // namespace genai
