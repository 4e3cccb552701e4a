#include <iostream>

#include "verbs.h"

namespace genai::tool {
namespace {

/// Whether other programs can have the model.
std::string export_line(const Json& result, const std::string& name) {
  if (!result.contains("gpt2_obstacles")) return "";
  std::string settings;
  for (const std::string obstacle : result["gpt2_obstacles"]) {
    settings += (settings.empty() ? "" : ", ") + obstacle.substr(0, obstacle.find(':'));
  }
  if (settings.empty())
    return concat("for transformers (Python): genai export ", name, " --out DIR\n");
  return concat("cannot be exported to GPT-2's form, which lacks its ", settings, "\n");
}

std::string test_line(const Json& result, const std::string& name) {
  if (!result["validation"].is_object()) return "";
  std::string text = "test";
  for (const auto& [key, value] : result["validation"].items()) {
    text += concat("  ", key, " ", number_text(value, 5));
  }
  if (const Json& range = result["expected"]; !range.is_null()) {
    text += concat(" (this preset usually reaches ", range[0].dump(), " to ", range[1].dump(), ")");
  }
  text += "\n";
  if (result["best_step"] == result["step"]) return text;
  return text + concat("best ", result["objective"].get<std::string>(), " ",
                       number_text(result["best_value"], 5), " at step ",
                       result["best_step"].get<int64_t>(), " (", name, "@best)\n");
}

/// What the run came to and what to do next.
void print_summary(const Json& result, const std::string& name, const Command& command) {
  std::string text = concat("\ntrained ", result["step"].get<int64_t>(), " steps in ",
                            duration_text(result["seconds"]), "\n", test_line(result, name));
  if (const std::string health = result["health"]; !health.empty())
    text += command.with_options(health) + "\n";
  std::string look = result["look"];
  look.replace(look.find("RUN"), 3, name);
  const std::string longer =
      result.contains("epochs")
          ? concat(" --epochs ", number_text(2 * result["epochs"].get<double>(), 6))
          : concat(" --steps ", 2 * result["step"].get<int64_t>());
  say(text + export_line(result, name) +
      concat("\nnext:\n  genai ", look, "\n  genai evaluate ", name, "\n  genai train --resume ",
             name, longer));
}

int print_train(const Finished& finished) {
  const Json& result = finished.result;
  if (!result.contains("run")) {
    std::cout << result.dump(2) << "\n";
    return 0;
  }
  const std::string run = result["run"];
  if (const int signal = result["signal"]) {
    say(concat("interrupted at step ", result["step"].get<int64_t>(),
               "; saved. Continue with: genai train --resume ", run));
    return 128 + signal;
  }
  const bool newest = !finished.given("--out") && !finished.given("--resume");
  print_summary(result, newest ? "last" : run, finished.command);
  if (!finished.json) {
    std::cout << run << "\n";
    return 0;
  }
  Json told;
  for (const char* key : {"run", "step", "seconds", "validation", "best_step", "weights_sha256"}) {
    told[key] = result[key];
  }
  print_json(told);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_train(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "train",
      .examples = {"genai train --model vae --data mnist",
                   "genai train --model vae --data digits --latent 2 --budget 1m",
                   "genai train --resume last --epochs 80"},
      .any_options = true,
      .print = print_train};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
