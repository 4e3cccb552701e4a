// What runs have kept, side by side. Nothing is computed anew: no model, no data set is loaded.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "genai/evaluation/result.h"
#include "genai/run/checkpoint.h"

namespace genai {

/// A run as it was at one of its steps.
struct ReportedRun {
  std::string name;       ///< of its folder; longer where two would be alike
  std::string reference;  ///< as the user named it
  std::filesystem::path folder;
  int64_t step = 0;            ///< that is reported on
  Manifest manifest;           ///< of that checkpoint; the newest if that one is no longer kept
  Json config;                 ///< settings, without the places where data lay
  int64_t weights = 0;         ///< numbers in them; 0: unknown
  double seconds = 0;          ///< of training up to the step; 0: unknown
  std::vector<Json> log;       ///< metrics.jsonl
  std::string weights_sha256;  ///< of those evaluated, else of the checkpoint
  std::string command;         ///< that trains it again; empty unless the caller fills it in
};

/// All that was measured of one run at one step with one choice of sampling settings. What was
/// measured without samples stands in each column of its run; a later value replaces an earlier.
struct ReportColumn {
  size_t run = 0;               ///< in Report::runs
  std::string label;            ///< "008-vae-mnist@17000, guidance 2"
  Json sampling;                ///< or null
  std::vector<Metric> metrics;  ///< with their items where they are kept and can be compared
  std::vector<size_t> sources;  ///< numbers of the evaluations that the metrics are from
  Json details = Json::object();
  std::vector<std::string> notes;
  std::map<std::string, std::string> pictures;  ///< files inside the run's folder, by name
};

/// One metric, protocol and all. Values under different protocols never share a row.
struct ReportRow {
  std::string name;
  std::vector<std::optional<Metric>> values;  ///< one a column
  /// The column that is ahead of every other by more than two standard errors of the difference (in
  /// pairs where both kept their items, else as if independent); none when that is not so or the
  /// errors are unknown.
  std::optional<size_t> best;
  /// Of exactly two columns with values: the second less the first, in pairs.
  std::optional<PairedDifference> difference;
  std::string unpaired;  ///< of two columns: why there is no difference

  const Metric& any() const;  ///< one of the values: they share name, unit and direction
};

struct Report {
  std::vector<ReportedRun> runs;
  std::vector<ReportColumn> columns;  ///< none for a run without evaluations
  std::vector<ReportRow> rows;        ///< those of one protocol together, else as measured
  std::vector<std::string> notes;     ///< what the reader must know, saying of which run

  bool measured(size_t run) const;  ///< has the run a column?
};

/// Runs named as everywhere (`8`, `last`, `8@2000`, `8@best`); without a step: that evaluated last.
/// Throws what find_run, read_manifest, read_evaluations and read_items throw.
Report collect_report(const std::vector<std::string>& references,
                      const std::filesystem::path& runs);

/// "97.31 +- 0.12", "0.0031 (sd 0.0004)"
std::string value_text(const Metric& metric, const std::string& plus_minus = " +- ");

/// Leaves of nested settings with their paths, in order: {"training.seed", 1}.
std::vector<std::pair<std::string, Json>> setting_leaves(const Json& settings);

}  // namespace genai
