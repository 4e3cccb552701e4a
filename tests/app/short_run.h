// A short training that tests of jobs begin with.
#pragma once
#include "genai/app/training_samples.h"
#include "genai/models/registry.h"
#include "genai/training/trainer.h"

namespace genai {

/// Trains in one thread, in batches of 16. @param model  its settings, "family" among them
inline LoadedModel short_run(const std::filesystem::path& run, const Dataset& data,
                             const Json& model, int64_t steps, bool resume = false) {
  Settings settings;
  settings.merge({{"model", model},
                  {"data", {{"source", "test"}}},
                  {"training",
                   {{"steps", steps},
                    {"batch", 16},
                    {"learning_rate", 3e-3},
                    {"device", "cpu"},
                    {"precision", "float32"},
                    {"threads", 1}}}},
                 "test");
  const Family& family = find_family(model.at("family"));
  std::filesystem::create_directories(run);
  TrainRequest request{.family = family,
                       .config = settings.resolve(run_sections(family)),
                       .data = &data,
                       .run = run,
                       .show = show_samples};
  if (resume) request.resume = load_checkpoint(find_checkpoint(run, ""), true);
  TrainObserver observer;
  train(request, observer);
  return load_model({.folder = run, .checkpoint = ""}, at::kCPU);
}

/// A diffusion of 8x8 pixels, small enough to learn in seconds.
inline Json small_diffusion(const std::string& condition) {
  return {{"family", "diffusion"},
          {"condition", condition},
          {"network", {{"width", 16}, {"multipliers", {1}}, {"blocks", 1}}}};
}

}  // namespace genai
