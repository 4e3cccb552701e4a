#include <algorithm>
#include <iostream>
#include <map>

#include "command.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/presets.h"
#include "genai/data/split_names.h"
#include "genai/models/registry.h"
#include "genai/report/html.h"
#include "genai/report/tables.h"
#include "genai/training/config.h"
#include "output.h"

namespace genai::tool {
namespace {

const std::map<std::string, const char*> kEndings = {
    {"table", ".txt"}, {"markdown", ".md"}, {"csv", ".csv"}, {"html", ".html"}};

struct ReportOptions {
  std::vector<std::string> references{"last"};
  std::string format, out, runs;
  bool json = false;
};

/// "genai train --model vae --data digits --latent 2": the preset and what differs from it. Empty
/// when this genai knows the preset or the family no more.
std::string train_command(const ReportedRun& run) {
  const std::string& preset = run.manifest.preset;
  if (preset.empty()) return "genai train --config " + run.name + "/config.json";
  try {
    Settings settings;
    settings.merge_document(preset_document(preset), "preset " + preset);
    const Family& family = family_of(run.config);
    return "genai train --model " + preset +
           make_train({"--model", preset})
               ->options_between(settings.resolve(run_sections(family)), run.config);
  } catch (const Error&) {
    return "";
  }
}

std::string formatted(const Report& report, const std::string& format) {
  if (format == "html") return report_html(report);
  if (format == "markdown") return report_markdown(report);
  if (format == "csv") return report_csv(report);
  return report_table(report);
}

/// As the name of the file says it, where --format does not.
std::string format_of(const std::filesystem::path& out) {
  const std::string extension = lower_case(out.extension().string());
  for (const auto& [format, ending] : kEndings) {
    if (extension == ending || (format == "html" && extension == ".htm")) return format;
  }
  return "table";
}

int report_verb(ReportOptions options) {
  if (options.format.empty()) {
    options.format = format_of(options.out);
    options.json |= std::filesystem::path(options.out).extension() == ".json";
  }
  const std::filesystem::path runs = runs_folder(options.runs);
  Report report = collect_report(options.references, runs);
  for (ReportedRun& run : report.runs) run.command = train_command(run);
  const bool html = options.format == "html" && !options.json;
  const std::string text =
      options.json ? to_json(report).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"
                   : formatted(report, options.format);
  std::filesystem::path out = options.out;
  if (html && out.empty()) out = find_run(options.references[0], runs).folder / "report.html";
  if (out.empty() || is_standard_output(out)) {
    std::cout << text;
  } else {
    check_writable(out, options.json ? ".json" : kEndings.at(options.format));
    write_output(out, text);
    std::cout << out.string() << "\n";
  }
  for (size_t i = 0; i < report.runs.size(); ++i) {
    if (options.format == "table" && !options.json) continue;  // the table has said it
    if (!report.measured(i)) {
      say(concat(report.runs[i].name, ": not evaluated yet; genai evaluate ",
                 report.runs[i].reference));
    }
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_report(const Arguments&) {
  auto command = std::make_unique<Command>(
      "report", "what runs have kept, side by side: a table, or a page to show",
      std::vector<std::string>{"genai report last", "genai report 7 8@best --format html",
                               "genai report 7 8 9 --format csv --out results.csv"});
  auto options = std::make_shared<ReportOptions>();
  CLI::App& app = command->app;
  app.add_option("RUN", options->references,
                 "numbers (8), last, names or paths; 8@2000 and 8@best are checkpoints (that "
                 "evaluated last)");
  CLI::Option* format = app.add_option("--format", options->format,
                                       "table, markdown, csv or html (as --out ends; else table)")
                            ->type_name("FORMAT")
                            ->check(CLI::IsMember(kEndings));
  app.add_option("--out", options->out, "file; - is standard output (html: RUN/report.html)")
      ->type_name("FILE");
  app.add_option("--runs", options->runs, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
  app.add_flag("--json", options->json, "one JSON object as the result")->excludes(format);
  command->run = [options] { return report_verb(*options); };
  return command;
}

}  // namespace genai::tool
