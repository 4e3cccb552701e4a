#include "genai/evaluation/result.h"

#include <charconv>
#include <cmath>
#include <fstream>

#include "genai/base/error.h"

namespace genai {

Json to_json(const Metric& metric) {
  return {{"name", metric.name},
          {"value", metric.value},
          {"standard_error", metric.standard_error},
          {"count", metric.count},
          {"unit", metric.unit}};
}

void keep_metrics(const std::filesystem::path& run, int64_t step, const std::string& weights_sha256,
                  const std::vector<Metric>& metrics) {
  Json line = {{"step", step}, {"weights_sha256", weights_sha256}, {"metrics", Json::array()}};
  for (const Metric& metric : metrics) line["metrics"].push_back(to_json(metric));
  const std::filesystem::path path = run / "evaluations.jsonl";
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << line.dump() << "\n" << std::flush;
  if (!file) fail(ErrorKind::failure, "cannot write to ", path.string(), "; the results are above");
}

Requirement parse_requirement(const std::string& text) {
  const size_t sign = text.find_first_of("<>");
  Requirement requirement{.text = text, .metric = text.substr(0, sign)};
  const bool shaped = sign != std::string::npos && sign > 0 && sign + 2 < text.size() &&
                      text[sign + 1] == '=';
  const char* end = text.data() + text.size();
  std::from_chars_result parsed{end, std::errc::invalid_argument};
  if (shaped) parsed = std::from_chars(text.data() + sign + 2, end, requirement.bound);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(requirement.bound)) {
    fail(ErrorKind::usage, "--require: expected METRIC<=NUMBER or METRIC>=NUMBER (nll<=88), found '",
         text, "'");
  }
  requirement.at_most = text[sign] == '<';
  return requirement;
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
    if (metric.short_name().rfind(requirement.metric + "_", 0) == 0) {
      found = &metric;
      ++matches;
    }
  }
  if (matches != 1) {
    fail(ErrorKind::usage, "--require: '", requirement.metric, "' is ",
         matches ? "more than one" : "none", " of the metrics measured: ", names);
  }
  return *found;
}

}  // namespace genai
