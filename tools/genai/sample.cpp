#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/log.h"
#include "genai/base/picture.h"
#include "genai/base/terminal.h"
#include "verbs.h"

namespace genai::tool {
namespace {

constexpr const char* kSteps[] = {"0.05", "0.25", "0.5", "0.75", "0.95"};

/// What the paths say at up to twelve steps, the last one among them.
std::string quantiles_table(const Json& quantiles) {
  constexpr size_t kShownSteps = 12;
  std::vector<std::vector<std::string>> rows{{"step", "5 %", "25 %", "median", "75 %", "95 %"}};
  const size_t steps = quantiles.begin()->size();
  const size_t lines = std::min(kShownSteps, steps);
  for (size_t line = 1; line <= lines; ++line) {
    const size_t step = line * steps / lines;
    rows.push_back({concat("+", step)});
    for (const char* q : kSteps) {
      rows.back().push_back(number_text(quantiles.at(q)[step - 1].get<double>(), 5));
    }
  }
  return table(rows);
}

/// The first two rows that fit.
void preview_samples(const Finished& finished) {
  const std::vector<Image>& all = finished.events.pictures();
  if (all.empty() || !finished.shows_pictures()) return;
  const int64_t columns = std::max<int64_t>(
      1, std::min<int64_t>(8, (terminal_columns(STDOUT_FILENO) - 2) / (all[0].width + 2)));
  const auto samples = static_cast<int64_t>(all.size()), count = std::min(samples, 2 * columns);
  if (count < samples) {
    say(concat("the first ", count, " of ", samples, "; all are in ",
               finished.result["files"][0].get<std::string>()));
  }
  const std::vector<Image> first(all.begin(), all.begin() + count);
  std::cout << half_blocks(grid(first, (count + columns - 1) / columns, columns),
                           colour_allowed(STDOUT_FILENO));
}

int print_texts(const Finished& finished) {
  const Json& result = finished.result;
  if (!result["files"].empty()) {
    std::cout << result["files"][0].get<std::string>() << "\n";
  } else if (finished.json) {
    // One text is an object, several are a list.
    const Json& samples = result["samples"];
    std::string all;
    for (const Json& sample : samples) all += (all.empty() ? "" : ",\n") + sample.dump();
    std::cout << (samples.size() == 1 ? all : "[" + all + "]") << "\n" << std::flush;
  } else if (result["streamed"]) {
    std::cout << "\n" << std::flush;
  } else {
    std::cout << shown_text(result["text"].get<std::string>()) << std::flush;
  }
  size_t tokens = 0;
  for (const Json& sample : result["samples"]) tokens += sample["tokens"].size();
  const double seconds = result["seconds"];
  say(concat(tokens, " tokens in ", duration_text(seconds), ", ",
             number_text(static_cast<double>(tokens) / std::max(1e-9, seconds), 3), " a second"));
  return 0;
}

int print_sample(const Finished& finished) {
  const Json& result = finished.result;
  if (result.contains("refused")) {  // a conversation; who sits at a terminal has seen it
    const bool seen = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    return seen || result["refused"].empty() ? 0 : result["refused"].back()["exit_code"].get<int>();
  }
  if (result.contains("samples")) return print_texts(finished);
  if (result["files"].empty()) return 0;  // it went to standard output
  preview_samples(finished);
  if (finished.json) return print_files(finished);
  if (result.contains("quantiles")) {
    std::cout << quantiles_table(result["quantiles"]);
    return print_files(finished);
  }
  const std::filesystem::path first = result["files"][0].get<std::string>();
  std::cout << (finished.given("--separate") ? first.parent_path() : first).string() << "\n";
  return 0;
}

/// An answer of a conversation.
void print_answer(const Json& answer, bool json) {
  if (json) return print_json(answer);
  if (answer.contains("error")) return log_error(answer["error"].get<std::string>());
  std::cout << "\n" << std::flush;
}

void print_checked(const Json& file, bool json) {
  if (json) return;
  const std::string name = file["file"];
  if (file.contains("skipped")) {
    std::cout << "skipped " << name << "  (" << file["skipped"].get<std::string>() << ")\n";
    return;
  }
  std::cout << (file["same"] ? "ok      " : "DIFFERS ") << name;
  const int64_t differing = file["differing"];
  if (differing > 0 && file["unit"] == "bytes") {
    std::cout << "  (its last " << differing << " bytes differ)";
  } else if (differing > 0) {
    std::cout << "  (" << differing << " values differ, by up to " << file["worst"].get<double>()
              << " of 255; allowed: " << file["allowed"].get<std::string>() << ")";
  }
  std::cout << "\n";
}

}  // namespace

std::unique_ptr<Command> make_sample(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "sample",
      .examples = {"genai sample last -n 64", "genai sample 8 --seed 17 -n 1 --out 17.png",
                   "genai sample 12 --prompt 'ROMEO:' --temperature 0.7"},
      .words = {"run"},
      .computes = true,
      .exact = true,
      .preview = true,
      .print = print_sample,
      .print_part = print_answer};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_edit(const Arguments& arguments) {
  static const JobVerb verb{.name = "edit",
                            .examples = {"genai edit last inpaint seven.png --mask lower",
                                         "genai edit 8 vary seven.png --strength 0.4 -n 16",
                                         "genai edit 8 blend three.png eight.png --out blend.png",
                                         "genai edit 9 dream four.png --class 9 --out way.gif"},
                            .words = {"run", "what", "files"},
                            .computes = true,
                            .preview = true,
                            .skips_run = [](const Arguments&, bool of_preset) { return of_preset; },
                            .print =
                                [](const Finished& finished) {
                                  if (finished.result["files"].empty()) return 0;
                                  if (finished.shows_pictures())
                                    std::cout << half_blocks(finished.events.pictures()[0],
                                                             colour_allowed(STDOUT_FILENO));
                                  return print_files(finished);
                                }};
  return make_verb(verb, arguments);
}

std::unique_ptr<Command> make_check(const Arguments& arguments) {
  static const JobVerb verb{
      .name = "check",
      .examples = {"genai check runs/008-vae-mnist/out", "genai check golden.png",
                   "genai check goldens/ --runs goldens/runs --exact"},
      .words = {"path"},
      .needed = 1,
      .computes = true,
      .exact = true,
      .print =
          [](const Finished& finished) {
            if (finished.json) print_json(finished.result);
            const int64_t checked = finished.result["checked"], bad = finished.result["bad"],
                          skipped = finished.result["skipped"];
            say(concat(checked - bad, " of ", checked, " files are what their own request gives",
                       skipped ? concat("; ", skipped, " skipped") : ""));
            return bad ? static_cast<int>(ErrorKind::bar) : 0;
          },
      .print_part = print_checked};
  return make_verb(verb, arguments);
}

}  // namespace genai::tool
