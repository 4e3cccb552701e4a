// What the jobs share that measure.
#pragma once
#include <optional>

#include "genai/app/job.h"
#include "genai/evaluation/result.h"

namespace genai {

/// keep_evaluation, or a warning: what was measured is not lost where it cannot be kept, in a run
/// that one may not write to or beside a log that is damaged.
std::optional<Evaluation> keep_where_possible(const std::filesystem::path& run,
                                              const Evaluation& result, JobContext& context);

}  // namespace genai
