#include <algorithm>
#include <map>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/presets.h"
#include "genai/base/text.h"
#include "genai/data/split_names.h"
#include "genai/report/html.h"
#include "genai/report/tables.h"
#include "genai/training/config.h"
#include "jobs-inl.h"
#include "shared-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

enum class ReportFormat { automatic, table, markdown, csv, html, json };
const EnumNames<ReportFormat> kReportFormatNames = {
    {ReportFormat::automatic, "auto"},    {ReportFormat::table, "table"},
    {ReportFormat::markdown, "markdown"}, {ReportFormat::csv, "csv"},
    {ReportFormat::html, "html"},         {ReportFormat::json, "json"}};

struct ReportRequest {
  std::vector<std::string> runs{"last"};
  ReportFormat format = ReportFormat::automatic;
  std::string out;
};

const FieldTable& report_fields() {
  static const FieldTable table =
      describe<ReportRequest>()
          .field("runs", &ReportRequest::runs,
                 "numbers (8), last, names or paths; 8@2000 and 8@best are checkpoints (that "
                 "evaluated last)")
          .hint("RUN")
          .field("format", &ReportRequest::format,
                 "how it is written (as request.out ends; else table)", kReportFormatNames)
          .field("out", &ReportRequest::out, "file; - is standard output (html: RUN/report.html)")
          .hint("FILE")
          .table();
  return table;
}

/// For a shell: in quotes where it would not be one word of its own.
std::string quoted(const std::string& word) {
  constexpr const char* kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  if (!word.empty() && word.find_first_not_of(kSafe) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// "genai train --model vae --data digits --latent 2": the preset and what differs from it. Empty
/// when this genai knows the preset or the family no more.
std::string train_command(const ReportedRun& run) {
  const std::string& preset = run.manifest.preset;
  if (preset.empty()) return "genai train --config " + run.name + "/config.json";
  try {
    Settings settings;
    settings.merge_document(preset_document(preset), "preset " + preset);
    const auto sections = run_sections(family_of(run.config), run.manifest.data.kind());
    const Json usual = settings.resolve(sections);
    const auto names = option_names(sections);
    std::string text = "genai train --model " + preset;
    for (const Section& section : sections) {
      for (const Field& field : section.table) {
        const std::string path = section.name + "." + field.name;
        const Json *value = find_path(run.config, path), *before = find_path(usual, path);
        if (!value || field.name == "family" || (before && *before == *value)) continue;
        // Every digit of a number counts here.
        text += " " + names.at(path) + " " +
                quoted(value->is_number_float() ? value->dump() : typed_text(*value));
      }
    }
    return text;
  } catch (const Error&) {
    return "";
  }
}

std::string ending_of(ReportFormat format) {
  const std::map<ReportFormat, const char*> endings = {{ReportFormat::table, ".txt"},
                                                       {ReportFormat::markdown, ".md"},
                                                       {ReportFormat::csv, ".csv"},
                                                       {ReportFormat::html, ".html"},
                                                       {ReportFormat::json, ".json"}};
  return endings.at(format);
}

/// As the name of the file says it, where nothing else does.
ReportFormat format_of_file(const fs::path& out) {
  std::string extension = lower_case(out.extension().string());
  if (extension == ".htm") extension = ".html";
  for (const auto& [format, name] : kReportFormatNames) {
    if (format != ReportFormat::automatic && extension == ending_of(format)) return format;
  }
  return ReportFormat::table;
}

std::string formatted(const Report& report, ReportFormat format) {
  switch (format) {
    case ReportFormat::html:
      return report_html(report);
    case ReportFormat::markdown:
      return report_markdown(report);
    case ReportFormat::csv:
      return report_csv(report);
    case ReportFormat::json:
      return to_json(report).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    default:
      return report_table(report);
  }
}

Json run_report(const Settings& given, JobContext& context) {
  auto request = read_request<ReportRequest>(report_fields(), given);
  if (request.format == ReportFormat::automatic) request.format = format_of_file(request.out);
  Report report = collect_report(request.runs, context.runs);
  for (ReportedRun& run : report.runs) run.command = train_command(run);
  const std::string text = formatted(report, request.format);
  fs::path out = request.out;
  if (request.format == ReportFormat::html && out.empty())
    out = find_run(request.runs.at(0), context.runs).folder / "report.html";
  Json files = Json::array();
  if (out.empty() || out == "-") {
    context.events.output(text);
  } else {
    check_writable(out, ending_of(request.format));
    deliver_file(out, text, context);
    files.push_back(out.string());
  }
  for (size_t i = 0; i < report.runs.size(); ++i) {
    if (request.format == ReportFormat::table) continue;  // the table has said it
    if (!report.measured(i)) {
      context.events.noted(concat(report.runs[i].name, ": not evaluated yet; genai evaluate ",
                                  report.runs[i].reference));
    }
  }
  return {{"files", files}};
}

}  // namespace

Job report_job() {
  return {.name = "report",
          .about = "what runs have kept, side by side: a table, or a page to show",
          .page = plain_page(report_fields()),
          .form = plain_form(report_fields()),
          .run = run_report};
}

}  // namespace genai
