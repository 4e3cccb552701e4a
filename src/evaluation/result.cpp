#include "genai/evaluation/result.h"

#include <ATen/ATen.h>

#include <charconv>
#include <cmath>
#include <cstdio>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/core/safetensors.h"

namespace genai {

const EnumNames<Better> kBetterNames = {
    {Better::lower, "lower"}, {Better::higher, "higher"}, {Better::neither, "neither"}};

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFile = uint64_t{1} << 30;

/// RUN/evaluations/0003 of the third evaluation.
fs::path stem(const fs::path& run, size_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%04zu", number);
  return run / "evaluations" / name;
}

Better better_from(const std::string& text) {
  for (const auto& [value, name] : kBetterNames) {
    if (name == text) return value;
  }
  fail(ErrorKind::data, "expected better to be lower, higher or neither, found '", text, "'");
}

Metric metric_from_json(const Json& json) {
  const auto optional = [&](const char* key) {
    return json.contains(key) ? std::optional<double>(json.at(key).get<double>()) : std::nullopt;
  };
  return {.name = json.at("name"),
          .value = json.at("value"),
          .standard_error = json.value("standard_error", 0.0),
          .spread = json.value("spread", 0.0),
          .count = json.at("count"),
          .unit = json.value("unit", ""),
          .better = better_from(json.value("better", "lower")),
          .floor = optional("floor"),
          .real = optional("real")};
}

CheckedLines evaluation_lines(const fs::path& run) {
  const fs::path path = run / "evaluations.jsonl";
  if (!fs::exists(path)) return {};
  CheckedLines read =
      read_checked_lines(read_file(path, kMaxFile), path.string(), {.bytes = kMaxFile});
  if (read.torn) {  // the file is replaced as a whole
    read.damaged.push_back(concat(path.string(), ", line ",
                                  read.lines.size() + read.damaged.size() + 1,
                                  ": has no end; the file is damaged"));
  }
  return read;
}

/// Throws Json::exception or Error{data} for an object that is none.
Evaluation evaluation_from_json(const Json& json) {
  Evaluation evaluation{.step = json.at("step"),
                        .weights_sha256 = json.at("weights_sha256"),
                        .sampling = json.value("sampling", Json()),
                        .details = json.value("details", Json::object()),
                        .notes = json.value("notes", std::vector<std::string>()),
                        .pictures = json.value("pictures", std::map<std::string, std::string>())};
  for (const Json& metric : json.at("metrics")) {
    evaluation.metrics.push_back(metric_from_json(metric));
  }
  return evaluation;
}

double standard_error(const Tensor& items) {
  const int64_t n = items.numel();
  return n > 1 ? items.std().item<double>() / std::sqrt(static_cast<double>(n)) : 0;
}

}  // namespace

std::string Metric::protocol() const {
  const size_t at = name.find('@');
  return at == std::string::npos ? "" : name.substr(at + 1);
}

Metric mean_metric(const std::string& name, const Tensor& items, const std::string& unit,
                   Better better) {
  const Tensor numbers = items.to(at::kCPU).to(at::kDouble);
  return {.name = name,
          .value = numbers.mean().item<double>(),
          .standard_error = standard_error(numbers),
          .count = numbers.numel(),
          .unit = unit,
          .better = better,
          .items = numbers};
}

Json to_json(const Metric& metric) {
  Json json = {{"name", metric.name},
               {"value", metric.value},
               {"standard_error", metric.standard_error},
               {"count", metric.count},
               {"unit", metric.unit},
               {"better", enum_name(kBetterNames, metric.better)}};
  if (metric.spread > 0) json["spread"] = metric.spread;
  if (metric.floor) json["floor"] = *metric.floor;
  if (metric.real) json["real"] = *metric.real;
  return json;
}

Json to_json(const Evaluation& evaluation) {
  Json json = {{"step", evaluation.step},
               {"weights_sha256", evaluation.weights_sha256},
               {"sampling", evaluation.sampling},
               {"metrics", Json::array()}};
  for (const Metric& metric : evaluation.metrics) json["metrics"].push_back(to_json(metric));
  if (!evaluation.details.empty()) json["details"] = evaluation.details;
  if (!evaluation.notes.empty()) json["notes"] = evaluation.notes;
  return json;
}

Evaluation keep_evaluation(const fs::path& run, const Evaluation& evaluation) {
  for (const Metric& metric : evaluation.metrics) {
    if (!std::isfinite(metric.value)) {
      fail(ErrorKind::failure, metric.name, " is ", metric.value, "; nothing is kept");
    }
  }
  refuse_links(run);
  fs::create_directories(run / "evaluations");
  const FileLock lock = FileLock::acquire(run / "evaluations" / "lock", "the evaluations",
                                          /*wait=*/true);
  const CheckedLines before = evaluation_lines(run);
  if (!before.damaged.empty()) fail(ErrorKind::data, before.damaged.front());
  const fs::path files = stem(run, before.lines.size() + 1);
  // What a killed process left behind is not ours.
  fs::remove(files.string() + ".safetensors");
  Tensors items;
  for (const Metric& metric : evaluation.metrics) {
    if (metric.items.defined()) items[metric.name] = metric.items.to(at::kFloat);
  }
  if (!items.empty()) write_file(files.string() + ".safetensors", write_safetensors(items));
  Evaluation kept = evaluation;
  for (auto& [name, picture] : kept.pictures) {
    const fs::path file = files.string() + "-" + name + ".png";
    write_file(file, picture);
    picture = ("evaluations" / file.filename()).string();
  }
  Json line = to_json(evaluation);
  if (!kept.pictures.empty()) line["pictures"] = kept.pictures;
  const fs::path path = run / "evaluations.jsonl";
  std::string lines;
  for (const NumberedLine& old : before.lines) lines += checked_line(old.object) + "\n";
  write_file(path, lines + checked_line(line) + "\n");
  return kept;
}

Evaluations read_evaluations(const fs::path& run) {
  CheckedLines read = evaluation_lines(run);
  Evaluations evaluations{.all = {}, .damaged = std::move(read.damaged)};
  for (const auto& [number, json] : read.lines) {
    try {
      evaluations.all.push_back(evaluation_from_json(json));
      evaluations.all.back().number = number;
    } catch (const std::exception& error) {
      evaluations.damaged.push_back(concat((run / "evaluations.jsonl").string(), ", line ", number,
                                           ": not an evaluation: ", reason_of(error)));
    }
  }
  return evaluations;
}

Tensors read_items(const fs::path& run, size_t number) {
  const fs::path path = stem(run, number).string() + ".safetensors";
  if (!fs::exists(path)) return {};
  return read_safetensors(read_file(path, kMaxFile), path.string());
}

PairedDifference paired_difference(const Metric& a, const Tensor& a_items, const Metric& b,
                                   const Tensor& b_items) {
  if (a.name != b.name || a_items.sizes() != b_items.sizes()) {
    throw std::logic_error("only equal metrics of equal items have a paired difference");
  }
  const Tensor difference = b_items.to(at::kDouble) - a_items.to(at::kDouble);
  return {.value = b.value - a.value, .standard_error = standard_error(difference)};
}

Requirement parse_requirement(const std::string& text) {
  const size_t sign = text.find_first_of("<>");
  Requirement requirement{.text = text, .metric = text.substr(0, sign)};
  const bool shaped =
      sign != std::string::npos && sign > 0 && sign + 2 < text.size() && text[sign + 1] == '=';
  const char* end = text.data() + text.size();
  std::from_chars_result parsed{end, std::errc::invalid_argument};
  if (shaped) parsed = std::from_chars(text.data() + sign + 2, end, requirement.bound);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(requirement.bound)) {
    fail(ErrorKind::usage,
         "request.require: expected METRIC<=NUMBER or METRIC>=NUMBER (nll<=88), found '", text,
         "'");
  }
  requirement.at_most = text[sign] == '<';
  return requirement;
}

namespace {

/// "nll" for "nll_iw100", whose last word counts draws; never "fd" for "fd_pca", another metric.
bool leaves_out_estimator(const std::string& wanted, const std::string& name) {
  const size_t word = wanted.size() + 1;
  return name.rfind(wanted + "_", 0) == 0 && name.find('_', word) == std::string::npos &&
         name.find_first_of("0123456789", word) != std::string::npos;
}

}  // namespace

void check_requirement(const Requirement& requirement, const std::vector<std::string>& names) {
  const std::string wanted = requirement.metric.substr(0, requirement.metric.find('@'));
  std::string known;
  for (const std::string& name : names) {
    // Of "nll_" the rest, the estimator, is known when it has been measured.
    const bool open = name.back() == '_';
    const std::string stem = open ? name.substr(0, name.size() - 1) : name;
    if (wanted == stem || (open && wanted.rfind(name, 0) == 0) ||
        leaves_out_estimator(wanted, stem)) {
      return;
    }
    known += (known.empty() ? "" : ", ") + stem;
  }
  fail(ErrorKind::usage, "request.require: '", requirement.metric,
       "' will not be measured here; expected ", "one of ", known);
}

const Metric& required_metric(const Requirement& requirement, const std::vector<Metric>& metrics) {
  const Metric* found = nullptr;
  int matches = 0;
  std::string names;
  for (const Metric& metric : metrics) {
    names += (names.empty() ? "" : ", ") + metric.short_name();
    if (metric.name == requirement.metric || metric.short_name() == requirement.metric) {
      return metric;
    }
    if (leaves_out_estimator(requirement.metric, metric.short_name())) {
      found = &metric;
      ++matches;
    }
  }
  if (matches != 1) {
    fail(ErrorKind::usage, "request.require: '", requirement.metric, "' is ",
         matches ? "more than one" : "none", " of the metrics measured: ", names);
  }
  return *found;
}

}  // namespace genai
