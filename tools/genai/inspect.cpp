#include <unistd.h>

#include <iostream>

#include "genai/base/terminal.h"
#include "genai/generation/provenance.h"
#include "verbs.h"

namespace genai::tool {
namespace {

void print_picture(const Json& result) {
  std::cout << result["file"].get<std::string>() << ": " << result["width"] << "x"
            << result["height"] << (result["channels"] == 1 ? " grey" : " colour") << "\n";
  const Json& texts = result["text"];
  if (texts.empty()) std::cout << "it says nothing about how it was made\n";
  for (const auto& [keyword, value] : texts.items()) {
    std::cout << "\n[" << keyword << "]\n"
              << (value.is_string() ? value.get<std::string>() : value.dump(2)) << "\n";
  }
}

void print_told(const Json& result) {
  const std::string file = result["file"];
  std::cout << file << ": "
            << (result["unchanged"] ? "as it was written" : "changed since it was written")
            << "\n\n[" << kProvenanceKeyword << "] of " << sidecar_path(file).string() << "\n"
            << result["text"][kProvenanceKeyword].dump(2) << "\n";
}

void print_run(const Json& result) {
  std::string steps;
  for (const Json& step : result["checkpoints"]) steps += (steps.empty() ? "" : ", ") + step.dump();
  const Json& numerics = result["numerics"];
  const auto text = [&](const char* key) { return numerics[key].get<std::string>(); };
  std::vector<std::vector<std::string>> rows{
      {"step", concat(result["step"], " of ", result["steps"], "; checkpoints: ", steps)},
      {"data", result["describes"]},
      {"weights", concat(result["parameters"], " numbers, SHA-256 ",
                         result["weights_sha256"].get<std::string>())},
      {"computed on", concat(text("device"), ", ", text("precision"), ", ", numerics["threads"],
                             " threads, ", text("cpu"), ", LibTorch ", text("libtorch"))},
      {"test", result["validation"].is_null() ? "-" : result["validation"].dump()}};
  for (const auto& [name, part] : result["parts"].items()) {
    rows.push_back({"part " + name, concat(part["family"].get<std::string>(), " of step ",
                                           part["step"], ", ", part["describes"].get<std::string>(),
                                           ", SHA-256 ", part["sha256"].get<std::string>())});
  }
  if (result["best_step"] >= 0) {
    rows.push_back(
        {"best", concat(result["objective"].get<std::string>(), " ",
                        result["best_value"].get<double>(), " at step ", result["best_step"])});
  }
  std::cout << result["checkpoint"].get<std::string>() << ": whole, all hashes verified\n\n"
            << table(rows) << "\n";
  for (const auto& [name, shape] : result["tensors"].items())
    std::cout << "  " << name << "  " << shape << "\n";
  std::cout << "\nsettings: genai config show " << result["run"].get<std::string>() << "\n";
}

int print_inspected(const Finished& finished) {
  const Json& result = finished.result;
  if (finished.json) return print_files(finished);
  if (result.contains("tensors")) {
    print_run(result);
  } else if (result.contains("unchanged")) {
    print_told(result);
  } else {
    print_picture(result);
  }
  return 0;
}

int print_runs(const Finished& finished) {
  if (finished.json) return print_files(finished);
  std::vector<std::vector<std::string>> rows{{"run", "data", "step", "best", "at step"}};
  for (const Json& run : finished.result) {
    if (run.contains("error")) {
      rows.push_back({run["run"], "-", "-", "-", run["error"]});
      continue;
    }
    const int64_t steps = run["steps"], best = run["best_step"];
    rows.push_back(
        {run["run"], run["data"], concat(run["step"], steps ? concat("/", steps) : std::string()),
         best < 0 ? "-"
                  : run["objective"].get<std::string>() + " " + number_text(run["best_value"], 5),
         best < 0 ? "-" : concat(best)});
  }
  if (rows.size() == 1) {
    std::cout << "no runs in " << finished.runs.string()
              << "/ yet; train one: genai train --model vae --data digits\n";
  } else {
    std::cout << table(rows);
  }
  return 0;
}

int print_doctor(const Finished& finished) {
  Json all = finished.result;
  all["terminal"] = concat(terminal_columns(STDOUT_FILENO), " columns, ",
                           colour_allowed(STDOUT_FILENO) ? "colour" : "no colour");
  if (finished.json) {
    print_json(all);
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : all.items()) {
    const std::string text = typed_text(value);
    rows.push_back({name, text.substr(0, text.find('\n'))});
  }
  std::cout << table(rows);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_inspect(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "inspect",
      .examples = {"genai inspect out.png", "genai inspect last", "genai inspect 8@best --json"},
      .words = {"what"},
      .needed = 1,
      .print = print_inspected};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_runs(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "runs",
      .examples = {"genai runs", "genai runs --json", "genai runs --runs DIR"},
      .print = print_runs,
      .json = "JSON as the result"};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_doctor(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "doctor",
      .examples = {"genai doctor", "genai doctor --json", "GENAI_DATA=/data genai doctor"},
      .runs = false,
      .print = print_doctor};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
