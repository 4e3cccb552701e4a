#include <algorithm>
#include <filesystem>
#include <set>

#include "genai/base/error.h"
#include "genai/base/text.h"
#include "genai/data/unicode.h"
#include "picture_notes-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTwelveBits = 4095;
constexpr int kLeastSeen = 8;  // of 255

}  // namespace

std::string size_text(const std::pair<int64_t, int64_t>& size) {
  return concat(size.first, "x", size.second);
}

std::string pictures_not_read(const std::vector<std::string>& others) {
  static const std::set<std::string> endings{".tif", ".tiff", ".gif",  ".heic", ".heif", ".avif",
                                             ".jp2", ".svg",  ".jfif", ".psd",  ".ico"};
  size_t count = 0;
  std::string first;
  for (const std::string& other : others) {
    const std::string ending = lower_case(fs::path(other).extension().string());
    if (!endings.contains(ending)) continue;
    if (count++ == 0) first = ending;
  }
  if (count == 0) return "";
  return concat("; ", count, count == 1 ? " is a picture" : " are pictures",
                " of a kind that is not read (", first,
                "): convert to PNG, as mogrify -format png *", first, " does");
}

void note_sizes(const Findings& findings, const Extent& size, std::vector<std::string>& notes) {
  if (findings.sizes.empty()) return;
  const auto most = std::ranges::max_element(findings.sizes, {},
                                             [](const auto& entry) { return entry.second.size(); });
  const std::string fitted = concat(size.width, "x", size.height);
  const int64_t width = most->first.first, height = most->first.second;
  if (findings.sizes.size() == 1) {
    if (width * size.height != height * size.width)
      notes.push_back(concat("pictures of ", size_text(most->first), ": their middle in ", fitted));
    return;
  }
  std::vector<std::string> odd;
  for (const auto& [other, names] : findings.sizes)
    for (const std::string& name : names)
      if (other != most->first) odd.push_back(name + " " + size_text(other));
  notes.push_back(concat("scaled to ", fitted, ": ", counted(most->second.size(), "picture"),
                         " of ", size_text(most->first), ", ", odd.size(),
                         odd.size() == 1 ? " other: " : " others: ", first_names(odd)));
}

void note_transparency(const Findings& findings, Ground ground, std::vector<std::string>& notes) {
  const bool white = ground == Ground::white;
  const char* name = white ? "white" : "black";
  if (!findings.transparent.empty())
    notes.push_back(concat("transparent: ", counted(findings.transparent.size(), "picture"),
                           ", put over ", name, ": ", first_names(findings.transparent)));
  if (!findings.blank.empty())
    notes.push_back(concat("transparent: ", counted(findings.blank.size(), "picture"),
                           ", of which nothing is seen over ", name, " (data.ground ",
                           white ? "black" : "white", "?): ", first_names(findings.blank)));
}

void note_unseen_classes(const ImageSet& set, std::vector<std::string>& notes) {
  std::vector<std::string> unseen;
  for (size_t label = 0; label < set.classes.size(); ++label)
    if (std::ranges::find(set.train.labels, static_cast<int64_t>(label)) == set.train.labels.end())
      unseen.push_back("'" + set.classes[label] + "'");
  if (!unseen.empty())
    notes.push_back(concat(unseen.size() == 1 ? "class " : "classes ", first_names(unseen),
                           " only among the test pictures: the model never sees ",
                           unseen.size() == 1 ? "it" : "them"));
}

void note_odd_kinds(const Findings& findings, std::vector<std::string>& notes) {
  if (!findings.sheets.empty())
    notes.push_back(concat(
        counted(findings.sheets.size(), "picture"),
        " of ours with several samples, read as one picture each: ", first_names(findings.sheets),
        " (`genai sample --separate` writes single ones)"));
  if (!findings.dark.empty())
    notes.push_back(concat(
        counted(findings.dark.size(), "picture"), " with at most ", kTwelveBits,
        " of 65535 in 16 bits, nearly black (12-bit values?): ", first_names(findings.dark)));
}

void note_picture(const Picture& found, const std::string& path, Findings& findings) {
  findings.sizes[{found.image.width, found.image.height}].push_back(path);
  if (!found.alpha.pixels.empty()) {
    const auto [low, high] = std::ranges::minmax(found.image.pixels);
    (high - low < kLeastSeen ? findings.blank : findings.transparent).push_back(path);
  }
  if (found.samples > 1) findings.sheets.push_back(concat(path, " of ", found.samples));
  if (found.highest > 0 && found.highest <= kTwelveBits) findings.dark.push_back(path);
}

std::string unreadable_text(const Findings& findings) {
  if (findings.failures.empty()) return "";
  return concat("could not read ", counted(findings.failures.size(), "picture"), ": ",
                first_names(findings.failures, "; "));
}

std::string skipped_text(const PictureLayout& layout) {
  return concat("skipped ", counted(layout.others.size(), "other file"), ": ",
                first_names(layout.others), pictures_not_read(layout.others));
}

}  // namespace genai
