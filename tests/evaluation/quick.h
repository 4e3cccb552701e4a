// A feature extractor that is trained in seconds.
#pragma once
#include "base/temp_folder.h"
#include "data/small_digits.h"
#include "genai/evaluation/extractor.h"
#include "genai/evaluation/result.h"

namespace genai {

inline Json quick_recipe() {
  Json recipe = extractor_recipe();
  recipe["model"]["width"] = 4;
  recipe["model"]["features"] = 16;
  recipe["training"]["steps"] = 150;
  recipe["training"]["batch"] = 64;
  recipe["training"]["warmup"] = 10;
  recipe["training"]["threads"] = 1;
  return recipe;
}

inline const Dataset& quick_digits() {
  static const Dataset data = small_digits(2000, 600);
  return data;
}

/// Trained once for all tests of a process.
inline const Extractor& quick_extractor() {
  static TempFolder cache;
  static TrainObserver observer;
  static const Extractor extractor =
      load_extractor(quick_digits(), observer, quick_recipe(), cache.path());
  return extractor;
}

inline const Metric& find_metric(const Evaluation& evaluation, const std::string& short_name) {
  for (const Metric& metric : evaluation.metrics) {
    if (metric.short_name() == short_name) return metric;
  }
  throw std::logic_error("no metric " + short_name);
}

}  // namespace genai
