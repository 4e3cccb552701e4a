#include "genai/app/job.h"

#include <algorithm>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/core/numerics.h"
#include "jobs-inl.h"

namespace genai {

void JobContext::check_wanted() const {
  if (events.cancelled()) throw Cancelled();
}

StageProgress JobContext::progress() const {
  return [this](const std::string& stage, double done) {
    check_wanted();
    events.stage(stage, done);
  };
}

at::Device JobContext::device(int64_t stored_threads) const {
  const Numerics numerics =
      resolve_numerics({.device = compute.device,
                        .precision = Precision::float32,
                        .threads = compute.threads > 0 ? compute.threads : stored_threads});
  if (compute.device == "auto" && numerics.device != "cpu")
    events.noted("computing on " + numerics.device);
  return numerics.torch_device();
}

std::map<std::string, std::string> option_names(const std::vector<Section>& sections) {
  std::map<std::string, int> uses;
  for (const Section& section : sections) {
    for (const Field& field : section.table) ++uses[last_part(field.name)];
  }
  std::map<std::string, std::string> names;
  for (const Section& section : sections) {
    for (const Field& field : section.table) {
      const std::string last = last_part(field.name);
      std::string name = !field.option.empty() ? field.option : uses[last] == 1 ? last : field.name;
      std::ranges::replace(name, '_', '-');
      names[section.name + "." + field.name] = (name.size() == 1 ? "-" : "--") + name;
    }
  }
  return names;
}

std::string typed_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return number_text(value.get<double>(), 6);
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& item : value) text += (text.empty() ? "" : ",") + typed_text(item);
  return text;
}

const std::vector<Job>& jobs() {
  static const std::vector<Job> all = {
      train_job(),    sample_job(),     show_job(),   edit_job(),   evaluate_job(), score_job(),
      compress_job(), decompress_job(), report_job(), check_job(),  inspect_job(),  runs_job(),
      export_job(),   import_job(),     data_job(),   config_job(), doctor_job()};
  return all;
}

const Job& find_job(const std::string& name) {
  std::string names;
  for (const Job& job : jobs()) {
    if (job.name == name) return job;
    names += (names.empty() ? "" : ", ") + job.name;
  }
  fail(ErrorKind::usage, "no job '", name, "'; expected one of: ", names);
}

Json run_job(const std::string& name, const Json& request, JobContext& context) {
  if (!request.is_object()) {
    fail(ErrorKind::usage, name, ": expected a JSON object as the request, found ",
         request.type_name());
  }
  Settings given;
  given.merge(request, "");
  return run_job(find_job(name), given, context);
}

Json run_job(const Job& job, const Settings& given, JobContext& context) {
  const KeepThreads keep;
  context.check_wanted();
  return job.run(given, context);
}

}  // namespace genai
