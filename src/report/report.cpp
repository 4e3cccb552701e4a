#include "genai/report/report.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>

#include "genai/base/error.h"
#include "genai/base/settings.h"
#include "genai/base/text.h"
#include "genai/models/registry.h"
#include "genai/run/folder.h"
#include "genai/training/config.h"
#include "genai/training/metrics_log.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr double kClear = 2;  // standard errors of a difference that counts

void append_leaves(const Json& value, const std::string& path,
                   std::vector<std::pair<std::string, Json>>& into) {
  if (!value.is_object()) {
    into.emplace_back(path, value);
    return;
  }
  for (const auto& [key, child] : value.items()) {
    append_leaves(child, path.empty() ? key : path + "." + key, into);
  }
}

/// Numbers in a checkpoint's weights, told by the header of the file; 0 when it does not tell.
int64_t count_weights(const fs::path& checkpoint) {
  constexpr uint64_t kMaxHeader = 100 << 20;  // as the format says
  const fs::path path = checkpoint / "model.safetensors";
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  unsigned char bytes[8] = {};
  file.read(reinterpret_cast<char*>(bytes), sizeof bytes);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | bytes[i];
  if (!file || length > std::min(kMaxHeader, size)) return 0;
  std::string header(length, ' ');
  file.read(header.data(), static_cast<std::streamsize>(length));
  if (!file) return 0;
  Json tensors;
  try {
    tensors = parse_json(header, path.string(), ErrorKind::data,
                         {.bytes = kMaxHeader, .depth = 4, .comments = false});
  } catch (const Error&) {
    return 0;
  }
  double count = 0;  // a damaged file may say anything
  for (const auto& [name, tensor] : tensors.items()) {
    if (!tensor.contains("shape")) continue;
    double numbers = 1;
    for (const Json& size : tensor["shape"]) numbers *= size.is_number() ? size.get<double>() : 0;
    count += numbers;
  }
  return count >= 0 && count < 1e15 ? static_cast<int64_t>(count) : 0;
}

/// Where somebody's data lay is nobody else's business.
Json without_places(Json config, const DataInfo& data) {
  if (config.contains("data")) {
    config["data"].erase("dir");
    config["data"]["source"] = data.source;
  }
  return config;
}

/// With all settings of today and no others, where the family is known: runs of other times
/// compare.
Json settings_of(const Manifest& manifest) {
  try {
    Settings settings;
    settings.merge(manifest.config, "the run");
    return settings.resolve(run_sections(family_of(manifest.config), manifest.data.kind()));
  } catch (const Error&) {
    return manifest.config;
  }
}

int64_t step_of(const fs::path& run, const std::string& which,
                const std::vector<Evaluation>& evaluations) {
  if (which.empty() && !evaluations.empty()) return evaluations.back().step;
  for (const Evaluation& evaluation : evaluations) {
    if (std::to_string(evaluation.step) == which) return evaluation.step;
  }
  return read_manifest(find_checkpoint(run, which)).step;
}

/// Adds what the evaluation measured, replacing what was measured before.
void merge(ReportColumn& column, const Evaluation& evaluation) {
  for (const Metric& metric : evaluation.metrics) {
    const auto same = std::find_if(column.metrics.begin(), column.metrics.end(),
                                   [&](const Metric& m) { return m.name == metric.name; });
    if (same == column.metrics.end()) {
      column.metrics.push_back(metric);
      column.sources.push_back(evaluation.number);
    } else {
      *same = metric;
      column.sources[static_cast<size_t>(same - column.metrics.begin())] = evaluation.number;
    }
  }
  if (evaluation.details.is_object()) column.details.update(evaluation.details);
  for (const auto& [name, file] : evaluation.pictures) column.pictures[name] = file;
}

/// The notes of those evaluations of which something is left.
void take_notes(ReportColumn& column, const std::vector<Evaluation>& evaluations) {
  const std::set<size_t> sources(column.sources.begin(), column.sources.end());
  for (const Evaluation& evaluation : evaluations) {
    if (!sources.contains(evaluation.number)) continue;
    for (const std::string& note : evaluation.notes) {
      if (std::find(column.notes.begin(), column.notes.end(), note) == column.notes.end()) {
        column.notes.push_back(note);
      }
    }
  }
}

/// The columns of one run: one for each choice of sampling settings, or one when nothing that was
/// measured needed samples.
std::vector<ReportColumn> columns_of(size_t run, const ReportedRun& reported,
                                     const std::vector<Evaluation>& evaluations) {
  std::vector<ReportColumn> columns;
  const auto ours = [&](const Evaluation& evaluation) {
    return evaluation.step == reported.step && evaluation.weights_sha256 == reported.weights_sha256;
  };
  for (const Evaluation& evaluation : evaluations) {
    if (!ours(evaluation) || evaluation.sampling.is_null()) continue;
    const bool known = std::any_of(columns.begin(), columns.end(), [&](const ReportColumn& column) {
      return column.sampling == evaluation.sampling;
    });
    if (!known) columns.push_back({.run = run, .sampling = evaluation.sampling});
  }
  if (columns.empty() && std::any_of(evaluations.begin(), evaluations.end(), ours)) {
    columns.push_back({.run = run});
  }
  for (const Evaluation& evaluation : evaluations) {
    if (!ours(evaluation)) continue;
    for (ReportColumn& column : columns) {
      const Json& sampling = evaluation.sampling;
      if (sampling.is_null() || sampling == column.sampling) merge(column, evaluation);
    }
  }
  for (ReportColumn& column : columns) take_notes(column, evaluations);
  return columns;
}

/// The checkpoint of a step, or empty when it is no longer kept.
fs::path kept_checkpoint(const fs::path& run, int64_t step) {
  for (const fs::path& checkpoint : list_checkpoints(run)) {
    if (std::atoll(checkpoint.filename().string().c_str() + 5) == step) return checkpoint;
  }
  return {};
}

ReportedRun describe_run(const RunReference& reference, const std::vector<Evaluation>& evaluations,
                         std::vector<std::string>& notes) {
  const fs::path folder = fs::weakly_canonical(reference.folder);
  ReportedRun run{.name = folder.filename().string(),
                  .folder = folder,
                  .step = step_of(folder, reference.checkpoint, evaluations)};
  const fs::path checkpoint = kept_checkpoint(folder, run.step);
  run.manifest = read_manifest(checkpoint.empty() ? find_checkpoint(folder, "") : checkpoint);
  run.config = without_places(settings_of(run.manifest), run.manifest.data);
  run.weights = checkpoint.empty() ? 0 : count_weights(checkpoint);
  Metrics log = read_metrics(folder);
  for (const std::string& line : log.damaged) notes.push_back(line + "; it is left out");
  run.log = std::move(log.lines);
  for (const Json& line : run.log) {
    const Json* seconds = find_path(line, "seconds");
    if (line["step"].get<int64_t>() > run.step || !seconds || !seconds->is_number()) continue;
    run.seconds = std::max(run.seconds, seconds->get<double>());
  }

  // A run that was continued from an earlier checkpoint may come to the same step with other
  // weights. Those that are there count; else those evaluated last.
  const std::string there = checkpoint.empty() ? "" : run.manifest.weights_sha256();
  run.weights_sha256 = there;
  for (const Evaluation& evaluation : evaluations) {
    if (evaluation.step != run.step) continue;
    run.weights_sha256 = evaluation.weights_sha256;
    if (evaluation.weights_sha256 == there) break;
  }
  const std::string name = concat(run.name, "@", run.step);
  if (checkpoint.empty()) {
    notes.push_back(name + ": the checkpoint is no longer kept; the settings are the newest one's");
  } else if (run.weights_sha256 != there) {
    notes.push_back(name +
                    ": the weights that were evaluated are no longer kept; the run was "
                    "trained again from an earlier step");
  }
  return run;
}

/// Longer where two are alike: by the step where the folder is the same, else by the folder above.
void make_names_differ(std::vector<ReportedRun>& runs) {
  std::map<std::string, std::set<fs::path>> folders;
  std::map<fs::path, int> uses;
  for (const ReportedRun& run : runs) {
    folders[run.name].insert(run.folder);
    ++uses[run.folder];
  }
  for (ReportedRun& run : runs) {
    if (folders[run.name].size() > 1) {
      run.name = (run.folder.parent_path().filename() / run.name).string();
    }
    if (uses[run.folder] > 1) run.name += concat("@", run.step);
  }
}

std::string plain(const Json& value) {
  if (value.is_number_float()) return number_text(value.get<double>(), 6);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// "008-vae-mnist@17000, guidance 2": of the sampling settings those that differ within the report.
void label_columns(Report& report) {
  std::map<std::string, std::vector<std::string>> values;
  size_t sampled = 0;
  for (const ReportColumn& column : report.columns) {
    if (!column.sampling.is_null()) ++sampled;
    for (const auto& [path, value] : setting_leaves(column.sampling)) {
      values[path].push_back(value.dump());
    }
  }
  const auto differs = [&](const std::string& path) {
    const auto& all = values[path];
    return all.size() < sampled || std::set<std::string>(all.begin(), all.end()).size() > 1;
  };
  for (ReportColumn& column : report.columns) {
    const ReportedRun& run = report.runs[column.run];
    const std::string step = concat("@", run.step);
    column.label = run.name.ends_with(step) ? run.name : run.name + step;
    if (column.sampling.is_null()) continue;
    for (const auto& [path, value] : setting_leaves(column.sampling)) {
      if (differs(path)) column.label += ", " + last_part(path) + " " + plain(value);
    }
  }
}

/// "a@400; b@400: the extractor was trained anew": what several columns say is said once.
void gather_notes(Report& report) {
  std::vector<std::string> texts;
  std::map<std::string, std::string> labels;
  for (const ReportColumn& column : report.columns) {
    for (const std::string& note : column.notes) {
      if (labels[note].empty()) texts.push_back(note);
      labels[note] += (labels[note].empty() ? "" : "; ") + column.label;
    }
  }
  for (const std::string& text : texts) report.notes.push_back(labels[text] + ": " + text);
}

/// Items are read only where there is something to compare.
void attach_items(Report& report) {
  if (report.columns.size() < 2) return;
  std::map<std::pair<fs::path, size_t>, Tensors> read;
  for (ReportColumn& column : report.columns) {
    const fs::path& folder = report.runs[column.run].folder;
    for (size_t i = 0; i < column.metrics.size(); ++i) {
      const auto key = std::make_pair(folder, column.sources[i]);
      if (!read.count(key)) read[key] = read_items(folder, column.sources[i]);
      const auto items = read[key].find(column.metrics[i].name);
      if (items != read[key].end()) column.metrics[i].items = items->second;
    }
  }
}

/// Two values of a row, each with the evaluation that it is from.
struct Sourced {
  const Metric* metric;
  fs::path folder;
  size_t evaluation;
};

/// Why two values have no paired difference, or empty.
std::string why_unpaired(const Sourced& a, const Sourced& b) {
  if (a.folder == b.folder && a.evaluation == b.evaluation) return "same measurement";
  if (!a.metric->items.defined() || !b.metric->items.defined()) return "not paired (no items)";
  if (a.metric->items.sizes() != b.metric->items.sizes()) return "not paired (other items)";
  return "";
}

/// Is b ahead of a by more than two standard errors?
bool clearly_ahead(const Sourced& b, const Sourced& a) {
  if (a.metric->better == Better::neither) return false;
  const double gain =
      (b.metric->value - a.metric->value) * (a.metric->better == Better::higher ? 1 : -1);
  if (why_unpaired(a, b).empty()) {
    const auto paired = paired_difference(*a.metric, a.metric->items, *b.metric, b.metric->items);
    return gain > kClear * paired.standard_error;
  }
  const double error_a = a.metric->standard_error, error_b = b.metric->standard_error;
  return error_a > 0 && error_b > 0 && gain > kClear * std::hypot(error_a, error_b);
}

void compare(ReportRow& row, const std::vector<std::optional<Sourced>>& values) {
  std::vector<size_t> there;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i]) there.push_back(i);
  }
  for (const size_t i : there) {
    const bool ahead = std::all_of(there.begin(), there.end(), [&](size_t j) {
      return i == j || clearly_ahead(*values[i], *values[j]);
    });
    if (ahead && there.size() > 1) row.best = i;
  }
  if (values.size() != 2 || there.size() != 2) return;
  row.unpaired = why_unpaired(*values[0], *values[1]);
  if (row.unpaired.empty()) {
    const Metric &a = *values[0]->metric, &b = *values[1]->metric;
    row.difference = paired_difference(a, a.items, b, b.items);
  }
}

void make_rows(Report& report) {
  std::vector<std::string> names, protocols;
  const auto add = [](std::vector<std::string>& to, const std::string& text) {
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
  };
  for (const ReportColumn& column : report.columns) {
    for (const Metric& metric : column.metrics) {
      add(names, metric.name);
      add(protocols, metric.protocol());
    }
  }
  const auto place = [&](const std::string& name) {
    return std::find(protocols.begin(), protocols.end(), Metric{.name = name}.protocol());
  };
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return place(a) < place(b); });
  for (const std::string& name : names) {
    ReportRow row{.name = name};
    std::vector<std::optional<Sourced>> sourced;
    for (const ReportColumn& column : report.columns) {
      row.values.emplace_back();
      sourced.emplace_back();
      for (size_t i = 0; i < column.metrics.size(); ++i) {
        if (column.metrics[i].name != name) continue;
        row.values.back() = column.metrics[i];
        sourced.back() =
            Sourced{&column.metrics[i], report.runs[column.run].folder, column.sources[i]};
      }
    }
    compare(row, sourced);
    report.rows.push_back(std::move(row));
  }
}

}  // namespace

const Metric& ReportRow::any() const {
  return **std::find_if(values.begin(), values.end(),
                        [](const auto& value) { return value.has_value(); });
}

bool Report::measured(size_t run) const {
  return std::any_of(columns.begin(), columns.end(),
                     [&](const ReportColumn& column) { return column.run == run; });
}

std::string value_text(const Metric& metric, const std::string& plus_minus) {
  const double scale = metric.standard_error > 0 ? metric.standard_error : metric.spread;
  auto [value, error] = measured_text(metric.value, scale);
  if (metric.standard_error > 0) value += plus_minus + error;
  if (metric.spread > 0) value += " (sd " + measured_text(0, metric.spread).second + ")";
  return value;
}

std::vector<std::pair<std::string, Json>> setting_leaves(const Json& settings) {
  std::vector<std::pair<std::string, Json>> leaves;
  append_leaves(settings, "", leaves);
  return leaves;
}

Report collect_report(const std::vector<std::string>& references, const fs::path& runs) {
  Report report;
  for (const std::string& text : references) {
    const RunReference reference = find_run(text, runs);
    const auto [evaluations, damaged] = read_evaluations(reference.folder);
    std::vector<std::string> notes;
    for (const std::string& line : damaged) notes.push_back(line + "; it is left out");
    ReportedRun run = describe_run(reference, evaluations, notes);
    run.reference = text.substr(0, text.find('@', text.rfind('/') + 1));
    const bool known = std::any_of(report.runs.begin(), report.runs.end(), [&](const auto& other) {
      return other.folder == run.folder && other.step == run.step;
    });
    if (known) continue;
    for (ReportColumn& column : columns_of(report.runs.size(), run, evaluations)) {
      report.columns.push_back(std::move(column));
    }
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
    report.runs.push_back(std::move(run));
  }
  make_names_differ(report.runs);
  label_columns(report);
  gather_notes(report);
  attach_items(report);
  make_rows(report);
  return report;
}

}  // namespace genai
