#include "genai/report/html.h"

#include "genai/base/hash.h"
#include "genai/base/html.h"
#include "genai/base/text.h"
#include "genai/report/sections.h"

namespace genai {
namespace {

using namespace report_page;

std::string commands(const Report& report) {
  std::string text;
  for (const ReportedRun& run : report.runs) {
    if (run.command.empty()) continue;
    if (report.runs.size() > 1) text += heading("h3", run.name);
    text += element("pre", {}, element("code", {}, escape_html(run.command))) + "\n";
  }
  return text;
}

std::string section(const std::string& id, const std::string& title, const std::string& content) {
  if (content.empty()) return "";
  return element("section", {{"id", id}}, heading("h2", title) + content) + "\n";
}

std::string bytes_from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// Nothing but this style sheet and pictures inside the page; scripts and requests of any kind are
/// forbidden to whatever got into it.
std::string policy() {
  return "default-src 'none'; img-src data:; style-src 'sha256-" +
         base64(bytes_from_hex(sha256(kReportStyle))) + "'; base-uri 'none'; form-action 'none'";
}

std::string title(const Report& report) {
  if (report.runs.size() > 3) return concat(report.runs.size(), " runs");
  std::vector<std::string> names;
  for (const ReportedRun& run : report.runs) names.push_back(run.name);
  return joined(names, report.runs.size() > 1 ? " and " : "");
}

}  // namespace

std::string report_html(const Report& report) {
  struct PageSection {
    const char* id;
    const char* title;
    std::string content;
  };
  std::vector<PageSection> sections{
      {"runs", report.runs.size() > 1 ? "Runs" : "Run", overview(report)},
      {"results", "Results", results(report)},
      {"pictures", "Pictures", ""},
      {"training", "Training", training(report)},
      {"details", "Details", details(report)},
      {"settings", "Settings", report_page::settings(report)},
      {"repeat", "To train again", commands(report)}};
  const std::string name = title(report);
  const std::string head =
      element("meta", {{"charset", "utf-8"}}) + "\n" +
      element("meta", {{"http-equiv", "Content-Security-Policy"}, {"content", policy()}}) + "\n" +
      element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}) +
      "\n" + element("meta", {{"name", "color-scheme"}, {"content", "light dark"}}) + "\n" +
      element("title", {}, escape_html(name)) + "\n" + element("style", {}, kReportStyle) + "\n";
  const std::string footer =
      element("footer", {},
              escape_html(concat("Made by genai ", GENAI_VERSION,
                                 " from what the runs have kept; nothing was computed anew.")));

  size_t used = head.size() + footer.size() + 4096;  // 4096: the frame around it
  for (const PageSection& each : sections) used += each.content.size();
  sections[2].content = pictures(report, used < kMaxPage ? kMaxPage - used : 0);
  std::string links, body;
  for (const PageSection& each : sections) {
    if (each.content.empty()) continue;
    links += element("a", {{"href", std::string("#") + each.id}}, each.title) + "\n";
    body += section(each.id, each.title, each.content);
  }
  const std::string header =
      element("header", {},
              heading("h1", name) + element("nav", {{"aria-label", "Parts of this page"}}, links));
  return "<!doctype html>\n" +
         element("html", {{"lang", "en"}},
                 "\n" + element("head", {}, "\n" + head) + "\n" +
                     element("body", {},
                             "\n" + header + "\n" + element("main", {}, "\n" + body) + "\n" +
                                 footer + "\n") +
                     "\n") +
         "\n";
}

}  // namespace genai
