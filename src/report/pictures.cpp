#include <algorithm>
#include <set>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/html.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/base/text.h"
#include "genai/report/sections.h"

namespace genai::report_page {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostPixels = 1024;  // width of a picture
constexpr uint64_t kMaxPicture = 64 << 20;

struct Picture {
  std::string group, caption, alt;
  fs::path run;
  std::string file;       ///< inside the run
  std::string png{};      ///< as it goes into the page; empty: not shown
  std::string problem{};  ///< why not
};

std::string latest_samples(const fs::path& run) {
  std::string latest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / "samples", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".png")) latest = std::max(latest, name);
  }
  return latest;
}

std::vector<Picture> find_pictures(const Report& report) {
  std::vector<Picture> pictures;
  std::vector<std::string> names;
  for (const ReportColumn& column : report.columns) {
    for (const auto& [name, file] : column.pictures) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  for (const std::string& name : names) {
    for (const ReportColumn& column : report.columns) {
      const auto found = column.pictures.find(name);
      if (found == column.pictures.end()) continue;
      pictures.push_back({.group = title_of(name),
                          .caption = column.label,
                          .alt = title_of(name) + ", " + column.label,
                          .run = report.runs[column.run].folder,
                          .file = found->second});
    }
  }
  std::set<fs::path> seen;
  for (const ReportedRun& run : report.runs) {
    const std::string latest = latest_samples(run.folder);
    if (latest.empty() || !seen.insert(run.folder).second) continue;
    const std::string step = latest.substr(5, latest.size() - 9);  // "step-0000400.png"
    const size_t digits = std::min(step.find_first_not_of('0'), step.size() - 1);
    pictures.push_back(
        {.group = "Samples while training",
         .caption = run.name + ", step " + step.substr(digits),
         .alt = "Generated samples of " + run.name + " at step " + step.substr(digits),
         .run = run.folder,
         .file = "samples/" + latest});
  }
  return pictures;
}

/// Reads a picture; one wider than a page is made smaller.
void load(Picture& picture) {
  const fs::path file = fs::path(picture.file).lexically_normal();
  if (file.is_absolute() || file.empty() || *file.begin() == "..") {
    picture.problem = "not a file of the run";
    return;
  }
  try {
    const std::string bytes = read_file(picture.run / file, kMaxPicture);
    const Image image = decode_png(bytes, picture.file).image;
    if (image.width > kMostPixels) {
      const int64_t height = std::max<int64_t>(1, image.height * kMostPixels / image.width);
      picture.png = encode_png(resize_to_fit(image, kMostPixels, height));
    } else {
      picture.png = bytes;
    }
  } catch (const Error&) {
    picture.problem = "missing or damaged";
  }
}

size_t bytes_in_page(const Picture& picture) {
  return (picture.png.size() + 2) / 3 * 4 + 400;
}

}  // namespace

std::string pictures(const Report& report, size_t room) {
  std::vector<Picture> all = find_pictures(report);
  for (Picture& picture : all) load(picture);
  size_t total = 0;
  for (const Picture& picture : all) total += bytes_in_page(picture);
  while (total > room) {
    const auto largest = std::max_element(
        all.begin(), all.end(),
        [](const Picture& a, const Picture& b) { return a.png.size() < b.png.size(); });
    if (largest == all.end() || largest->png.empty()) break;
    total -= bytes_in_page(*largest);
    largest->problem = "left out to keep the page small";
    largest->png.clear();
  }
  std::string text, group, grid;
  size_t count = 0;
  const auto end_group = [&] {
    if (count) {
      text +=
          element("h3", {{"class", "group"}}, escape_html(group)) + grid_of("pictures", 0, grid);
    }
    grid.clear();
    count = 0;
  };
  for (const Picture& picture : all) {
    if (picture.group != group) end_group();
    group = picture.group;
    ++count;
    const std::string caption = element("figcaption", {}, escape_html(picture.caption));
    grid +=
        element(
            "figure", {},
            picture.problem.empty()
                ? element("img", {{"alt", picture.alt},
                                  {"src", "data:image/png;base64," + base64(picture.png)}}) +
                      caption
                : caption + p("soft small", escape_html(picture.file + ": " + picture.problem))) +
        "\n";
  }
  end_group();
  return text;
}

}  // namespace genai::report_page
