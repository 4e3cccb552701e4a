// Measured values that say how they were measured, kept with the run.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "genai/base/json.h"

namespace genai {

/// The name holds the whole protocol: "nll_iw100@mnist-test10000/dynbin-seed0/bernoulli".
/// Values whose names differ are never compared.
struct Metric {
  std::string name;
  double value = 0;
  double standard_error = 0;   ///< of the mean over items
  int64_t count = 0;           ///< items
  std::string unit;            ///< "nats", "bits/dim"

  /// "nll_iw100": the name up to the protocol
  std::string short_name() const { return name.substr(0, name.find('@')); }
};

Json to_json(const Metric& metric);

/// Appends one line to RUN/evaluations.jsonl: step, weights and metrics.
void keep_metrics(const std::filesystem::path& run, int64_t step, const std::string& weights_sha256,
                  const std::vector<Metric>& metrics);

/// A bar that a metric must reach: "nll<=88".
struct Requirement {
  std::string text, metric;
  bool at_most = true;
  double bound = 0;

  bool met_by(double value) const { return at_most ? value <= bound : value >= bound; }
};

/// Throws Error{usage} unless the text is METRIC<=NUMBER or METRIC>=NUMBER.
Requirement parse_requirement(const std::string& text);

/// The metric whose name, short name, or beginning of the short name ("nll" of "nll_iw100") is the
/// requirement's; throws Error{usage} naming those measured when none or several are.
const Metric& required_metric(const Requirement& requirement, const std::vector<Metric>& metrics);

}  // namespace genai
