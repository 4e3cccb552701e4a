#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/picture.h"
#include "genai/base/terminal.h"
#include "genai/data/unicode.h"
#include "verbs.h"

namespace genai::tool {
namespace {

std::string error_text(const Json& metric) {
  const double error = metric["standard_error"], spread = metric.value("spread", 0.0);
  const std::string unit = metric["unit"];
  const std::string text = error > 0    ? "+- " + measured_text(metric["value"], error).second
                           : spread > 0 ? "sd " + number_text(spread, 2)
                                        : "";
  return text + (unit.empty() ? "" : " " + unit);
}

/// Metrics with their errors, what a perfect model and real images get, and protocols.
std::string metrics_table(const Json& metrics) {
  const bool samples =
      std::ranges::any_of(metrics, [](const Json& metric) { return metric.contains("real"); });
  std::vector<std::vector<std::string>> rows{{"metric", "value", "", "better", ""}};
  if (samples) rows[0] = {"metric", "value", "", "better", "perfect", "real", ""};
  for (const Json& metric : metrics) {
    const auto optional = [&](const char* key) {
      return metric.contains(key) ? number_text(metric[key].get<double>(), 4) : std::string();
    };
    const double value = metric["value"], error = metric["standard_error"];
    const std::string name = metric["name"], better = metric["better"];
    const size_t at = std::min(name.find('@'), name.size());
    std::vector<std::string> row{
        name.substr(0, at), error > 0 ? measured_text(value, error).first : number_text(value, 4),
        error_text(metric), better == "neither" ? "" : better};
    if (samples) row.insert(row.end(), {optional("floor"), optional("real")});
    row.push_back(at < name.size() ? name.substr(at + 1) : "");
    rows.push_back(row);
  }
  return table(rows);
}

/// Shares by name, as bars.
std::string shares_text(const Json& shares) {
  std::string text;
  for (const auto& [name, share] : shares.items()) {
    text += concat("  ", padded(inert(name), 12), padded(bar(share, 40), 40), " ",
                   number_text(100 * share.get<double>(), 3), " %\n");
  }
  return text;
}

std::string bound_text(const Json& levels) {
  double most = 1e-9;
  for (const Json& range : levels) most = std::max(most, range["nats"].get<double>());
  std::string text;
  for (const Json& range : levels) {
    const double nats = range["nats"];
    text += concat("  ", padded(number_text(range["ratio"].get<double>(), 3), 12),
                   bar(nats / most, 40), " ", number_text(nats, 3), "\n");
  }
  return text;
}

std::string confusion_table(const Json& confusion, const Json& accuracies) {
  std::vector<std::vector<std::string>> rows{{"true \\ taken for"}};
  for (const Json& name : confusion["classes"]) rows[0].push_back(name);
  rows[0].push_back("accuracy");
  for (size_t i = 0; i < confusion["counts"].size(); ++i) {
    const std::string name = confusion["classes"][i];
    rows.push_back({name});
    for (const Json& count : confusion["counts"][i]) rows.back().push_back(count.dump());
    const Json& accuracy = accuracies[name];
    rows.back().push_back(accuracy.is_null() ? "-"
                                             : number_text(100 * accuracy.get<double>(), 4) + " %");
  }
  return table(rows);
}

std::string details_text(const Json& details) {
  std::string text;
  if (details.contains("class_shares")) {
    text += "\nclasses of the samples, as the classifier sees them\n" +
            shares_text(details["class_shares"]);
  }
  if (details.contains("longest_copy")) {
    text += concat("\nthe longest passage that is in the training text too:\n  ",
                   visible_text(details["longest_copy"].get<std::string>()), "\n");
  }
  if (details.contains("bound_by_level")) {
    text += "\nthe bound by the noise that is removed (noise / signal), nats per image\n" +
            bound_text(details["bound_by_level"]);
  }
  if (details.contains("confusion")) {
    text += "\n" + confusion_table(details["confusion"], details["accuracy_by_class"]);
  }
  return text;
}

void print_notes(const Finished& finished) {
  for (const std::string note : finished.result.value("notes", Json::array()))
    std::cout << "note: " << finished.command.with_options(note) << "\n";
}

int print_evaluation(const Finished& finished) {
  const Json& result = finished.result;
  const Json bars = result.value("requirements", Json::array());
  const bool met = std::ranges::all_of(bars, [](const Json& bar) { return bar["met"] == true; });
  const int code = met ? 0 : static_cast<int>(ErrorKind::bar);
  if (finished.json) {
    print_json(result);
    return code;
  }
  std::cout << metrics_table(result["metrics"])
            << details_text(result.value("details", Json::object()));
  print_notes(finished);
  for (const Json& bar : bars) {
    std::cout << (bar["met"] ? "met:    " : "missed: ") << bar["require"].get<std::string>()
              << "  (" << number_text(bar["value"], 6) << ")\n";
  }
  if (result["kept"]) say("kept; see: genai report " + result["run"].get<std::string>());
  return code;
}

// ---- Scores

void print_likelihoods(const Json& lines, int64_t kept) {
  for (const Json& line : lines) {
    std::cout << "  " << padded(line["score"], 26) << " " << number_text(line["value"], 5) << " "
              << line["unit"].get<std::string>() << "; " << line["below"].get<int64_t>() << " of "
              << kept << " test images have less\n";
  }
}

void print_scored_pictures(const Finished& finished) {
  const Json& pictures = finished.result["pictures"];
  for (size_t i = 0; i < pictures.size(); ++i) {
    std::cout << pictures[i]["file"].get<std::string>() << "\n";
    if (is_terminal(STDOUT_FILENO))
      std::cout << half_blocks(finished.events.pictures()[i], colour_allowed(STDOUT_FILENO));
    if (pictures[i].contains("probabilities")) {
      std::cout << shares_text(pictures[i]["probabilities"]);
    } else {
      print_likelihoods(finished.result["scores"][i], finished.result["kept"]);
    }
  }
}

int print_scores(const Finished& finished) {
  const Json& result = finished.result;
  if (finished.json) return print_files(finished);
  if (result.contains("pictures")) {
    print_scored_pictures(finished);
  } else if (result.contains("lines")) {
    for (const Json& line : result["lines"]) {
      std::cout << padded(number_text(line["log_probability"], 5), 10)
                << padded(number_text(line["bits_per_character"], 4), 8)
                << line["line"].get<std::string>() << "\n";
    }
    say("log p(line) in nats, bits a character, line");
  } else {
    print_notes(finished);
    std::cout << metrics_table(result["metrics"])
              << "the least usual images: " << result["worst"].get<std::string>() << "\n";
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_evaluate(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "evaluate",
      .examples = {"genai evaluate last", "genai evaluate 8@best --full --require 'fd<=5'",
                   "genai evaluate path/to/pictures --data mnist"},
      .words = {"run"},
      .computes = true,
      .print = print_evaluation};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_score(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "score",
      .examples = {"genai score last picture.png", "genai score last mnist --against fashion-mnist",
                   "genai score 8 --against mnist:9"},
      .words = {"run", "what"},
      .computes = true,
      .skips_run = [](const Arguments&, bool of_preset) { return of_preset; },
      .print = print_scores};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
