// Measured values that say how they were measured, kept with the run.
//
//   RUN/evaluations.jsonl               one line for each evaluation
//   RUN/evaluations/0003.safetensors    values of single items behind the metrics of the third
//   RUN/evaluations/0003-samples.png    its pictures
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "genai/base/fields.h"
#include "genai/core/tensors.h"

namespace genai {

/// Which of two values of a metric is the better one.
enum class Better { lower, higher, neither };
extern const EnumNames<Better> kBetterNames;

/// The name holds the whole protocol: "nll_iw100@mnist-test10000/dynbin-seed0/bernoulli".
/// Values whose names differ are never compared.
struct Metric {
  std::string name;
  double value = 0;
  double standard_error = 0;  ///< over items; 0: unknown
  double spread = 0;          ///< standard deviation over subsets, where that is customary (KID)
  int64_t count = 0;          ///< items
  std::string unit;           ///< "nats", "bits/dim"
  Better better = Better::lower;
  std::optional<double> floor;  ///< what a perfect model is expected to get with as many samples
  std::optional<double> real;   ///< what real training images get in the place of samples
  /// One number an item, [count]: their standard deviation / sqrt(count) is the standard error, and
  /// for the same items and draws two models' may be subtracted in pairs. May be undefined.
  Tensor items{};

  /// "nll_iw100": the name up to the protocol
  std::string short_name() const { return name.substr(0, name.find('@')); }
  std::string protocol() const;
};

/// The mean of per-item values with its standard error.
Metric mean_metric(const std::string& name, const Tensor& items, const std::string& unit = "",
                   Better better = Better::lower);

/// Without the items.
Json to_json(const Metric& metric);

/// All that one `evaluate` measured.
struct Evaluation {
  size_t number = 0;  ///< among the run's, from 1 on; set when read
  int64_t step = 0;
  std::string weights_sha256;
  Json sampling;  ///< {"first": 0, "count": 10000, "options": {...}}, or null
  std::vector<Metric> metrics;
  Json details = Json::object();   ///< tables: {"class_shares": {...}, "confusion": [[...]]}
  std::vector<std::string> notes;  ///< what the reader must know: fallbacks, warnings
  std::map<std::string, std::string> pictures;  ///< by name ("samples"); PNG bytes when keeping,
                                                ///< file names inside RUN when read
};
Json to_json(const Evaluation& evaluation);

/// Writes items and pictures, then adds the line to RUN/evaluations.jsonl; each file atomically,
/// one process at a time. Returns it as it would be read: pictures are file names now. Throws
/// Error{failure} for a metric that is not a finite number or a folder that cannot be written,
/// Error{data} beside lines that are damaged: nothing is kept then.
Evaluation keep_evaluation(const std::filesystem::path& run, const Evaluation& evaluation);

/// What RUN/evaluations.jsonl holds, oldest first, without items; no file: nothing.
struct Evaluations {
  std::vector<Evaluation> all;
  std::vector<std::string> damaged;  ///< a message for each line that cannot be used
};
Evaluations read_evaluations(const std::filesystem::path& run);

/// The items behind an evaluation by its number, by the metrics' names; empty when it kept none.
/// Throws Error{data} when they are damaged.
Tensors read_items(const std::filesystem::path& run, size_t number);

/// b - a with its standard error over pairs of items.
struct PairedDifference {
  double value = 0, standard_error = 0;
};
/// @param a_items, b_items   of the same items and draws, equally many
PairedDifference paired_difference(const Metric& a, const Tensor& a_items, const Metric& b,
                                   const Tensor& b_items);

/// A bar that a metric must reach: "nll<=88".
struct Requirement {
  std::string text, metric;
  bool at_most = true;
  double bound = 0;

  bool met_by(double value) const { return at_most ? value <= bound : value >= bound; }
};

/// Throws Error{usage} unless the text is METRIC<=NUMBER or METRIC>=NUMBER.
Requirement parse_requirement(const std::string& text);

/// Throws Error{usage} when none of the metrics that will be measured can be the one required.
/// @param names  short names; one that ends in "_" goes on with an estimator: "nll_"
void check_requirement(const Requirement& requirement, const std::vector<std::string>& names);

/// The metric whose name, short name, or short name without its estimator ("nll" of "nll_iw100") is
/// the requirement's; throws Error{usage} naming those measured when none or several are.
const Metric& required_metric(const Requirement& requirement, const std::vector<Metric>& metrics);

}  // namespace genai
