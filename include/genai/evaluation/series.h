// How near forecasts of a series of numbers come to what came, and how honest their spread is.
#pragma once
#include <span>

#include "genai/evaluation/evaluate.h"
#include "genai/generation/forecast.h"

namespace genai {

/// Forecasts of the next two seasons (24 values where there are none) from up to 48 places in the
/// test part, each from all that came before it:
///   mae                  |median - truth|, mean over the steps
///   crps                 continuous ranked probability score (T. Gneiting, A. Raftery, "Strictly
///                        proper scoring rules", 2007, equation 21); of one path alone it is the
///                        mae
///   coverage_80          share of the truth between the 10 % and the 90 % quantile
///   mae_last             of the last value, as a forecast
///   mae_seasonal         of the value of the same season, one season ago
///   mae_seasonal_drift   of that and what the last season's change adds each season
/// and a picture "forecast", from the first of the places.
/// The seasonal baselines need a season. request.samples is the number of paths; 0: 100.
void measure_forecasts(const LoadedModel& loaded, const Dataset& data,
                       const EvaluationRequest& request, Evaluation& into,
                       const StageProgress& progress = {});

/// CRPS of equally likely `draws`, unbiased in their number (C. Ferro, "Fair scores for ensemble
/// forecasts", 2014); of one draw the absolute error.
double crps(std::vector<double> draws, double truth);

/// The baselines' forecasts, `steps` of them; the past has at least a season and one value more.
std::vector<double> last_value(std::span<const double> past, size_t steps);
std::vector<double> seasonal(std::span<const double> past, size_t season, size_t steps, bool drift);

}  // namespace genai
