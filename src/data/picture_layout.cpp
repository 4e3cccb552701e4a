#include "genai/data/picture_layout.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "genai/base/error.h"
#include "genai/data/csv.h"
#include "genai/data/split_names.h"
#include "genai/data/text_file.h"
#include "genai/data/unicode.h"

namespace genai {
namespace {

/// Cuts the first folder off `path`; "" when it has none.
std::string cut_folder(std::string& path) {
  const size_t slash = path.find('/');
  if (slash == std::string::npos) return "";
  std::string folder = path.substr(0, slash);
  path.erase(0, slash + 1);
  return folder;
}

std::string first_folder(const std::string& path) {
  const size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::set<std::string> first_folders(const std::vector<std::string>& paths) {
  std::set<std::string> folders;
  for (const std::string& path : paths) folders.insert(first_folder(path));
  return folders;
}

/// Takes off the folders that hold everything, above the splits or above several class folders.
void descend(std::vector<std::string>& paths, std::vector<std::string>& notes) {
  std::vector<std::string> inner = paths;
  std::string above;
  for (;;) {
    const auto folders = first_folders(inner);
    const bool splits = hold_splits(folders);
    if (splits || folders.size() != 1 || folders.contains("")) {
      const bool classes = folders.size() > 1 && !folders.contains("");
      if (!splits && !classes) return;
      if (!splits && !above.empty()) notes.push_back("classes are the folders below " + above);
      paths = inner;
      return;
    }
    above += *folders.begin() + "/";
    for (std::string& path : inner) cut_folder(path);
  }
}

// ---- Tables of labels

/// Pictures by what a table may call them: path, file name, file name without its ending.
class PictureNames {
 public:
  PictureNames(const std::vector<PictureEntry>& entries, const std::string& split) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (!split.empty() && !entries[i].split.empty() && entries[i].split != split) continue;
      const std::filesystem::path path = entries[i].path;
      for (const std::string& name :
           std::set<std::string>{path.string(), path.filename().string(), path.stem().string()})
        places_[name].push_back(i);
    }
  }
  const std::vector<size_t>* find(const std::string& name) const {
    const auto found = places_.find(name.starts_with("./") ? name.substr(2) : name);
    return found == places_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::string, std::vector<size_t>> places_;
};

struct LabelTable {
  std::vector<std::pair<size_t, std::string>> labels;  // picture, its class
  std::string column;
  std::string why;  // there are none
};

/// Nothing where less than half of the rows name a picture.
LabelTable read_label_table(const std::string& text, const std::string& name,
                            const std::vector<PictureEntry>& entries) {
  LabelTable table{.labels = {}, .column = {}, .why = "fewer than half of its rows name pictures"};
  const Csv csv = parse_csv(plain_text(text, name));
  std::vector<std::vector<std::string>> rows;
  for (const CsvRecord& record : csv.records) rows.push_back(record.fields);
  if (!csv.problem.empty()) table.why = csv.problem;
  if (rows.empty() || rows[0].size() < 2) return table;
  const PictureNames pictures(entries,
                              split_named(lower_case(std::filesystem::path(name).stem().string())
                                              .substr(0, name.find_first_of("_-."))));
  // The column that names most pictures, among the first rows.
  size_t names = 0, most = 0, seen = std::min<size_t>(rows.size(), 200);
  for (size_t column = 0; column < std::min<size_t>(rows[0].size(), 32); ++column) {
    size_t found = 0;
    for (size_t i = 0; i < seen; ++i)
      found += column < rows[i].size() && pictures.find(rows[i][column]);
    if (found > most) {
      most = found;
      names = column;
    }
  }
  const bool header = !pictures.find(rows[0][names]);
  if (most == 0 || 2 * most + (header ? 1 : 0) < seen) return table;
  if (!csv.problem.empty()) fail(ErrorKind::data, name, ": ", csv.problem);
  size_t labels = rows[0].size();
  if (header) {
    constexpr std::array<const char*, 9> kNames = {"label",      "labels",   "class",
                                                   "class_name", "category", "target",
                                                   "species",    "breed",    "diagnosis"};
    for (size_t i = 0; i < rows[0].size(); ++i)
      if (i != names && std::ranges::find(kNames, lower_case(rows[0][i])) != kNames.end())
        labels = std::min(labels, i);
  }
  if (labels == rows[0].size() && rows[0].size() == 2) labels = 1 - names;
  if (labels == rows[0].size())
    fail(ErrorKind::data, name, ": names the pictures, but has ", rows[0].size(),
         " columns and none is called label or class; rename the one that says their class");
  table.column = header ? rows[0][labels] : "";
  std::map<size_t, std::string> known;
  for (size_t i = header ? 1 : 0; i < rows.size(); ++i) {
    const auto* places = pictures.find(rows[i][names]);
    if (!places || rows[i][labels].empty()) continue;
    if (places->size() > 1)
      fail(ErrorKind::data, name, ": '", rows[i][names], "' may be ", entries[places->at(0)].path,
           " or ", entries[places->at(1)].path, "; give the paths of pictures with equal names");
    std::ranges::replace_if(
        rows[i][labels], [](char c) { return c >= 0 && c < ' '; }, ' ');
    const auto [known_label, fresh] = known.emplace(places->front(), rows[i][labels]);
    if (!fresh && known_label->second != rows[i][labels])
      fail(ErrorKind::data, name, ": '", rows[i][names], "' is '", known_label->second,
           "' in one row and '", rows[i][labels], "' in another");
  }
  table.labels.assign(known.begin(), known.end());
  return table;
}

bool is_called_captions(const std::string& path) {
  const std::string name = lower_case(std::filesystem::path(path).filename().string());
  return name == "captions.csv" || name == "captions.tsv" || name == "captions.txt";
}

/// Lines "name, caption" where the caption may hold commas, as captions.txt has them.
std::vector<std::vector<std::string>> name_and_rest(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const size_t mark = line.find_first_of(line.find('\t') == line.npos ? "," : "\t");
    if (mark != line.npos) rows.push_back({line.substr(0, mark), line.substr(mark + 1)});
  }
  return rows;
}

/// Throws Error{data} with the first line that is not.
void check_utf8(const std::string& text, const std::string& name) {
  size_t line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view found = std::string_view(text).substr(at, end - at);
    if (!is_utf8(found))
      fail(ErrorKind::data, name, ", line ", line, ": expected UTF-8, found '", valid_utf8(found),
           "'; save the file as UTF-8");
    at = end + 1;
  }
}

/// The rows of a table of captions, the picture's name first. Throws Error{data}.
std::vector<std::vector<std::string>> caption_rows(const std::string& text,
                                                   const std::string& name) {
  const Csv csv = parse_csv(text);
  if (lower_case(name).ends_with(".txt") || !csv.problem.empty() || csv.records.empty() ||
      csv.records[0].fields.size() < 2)
    return name_and_rest(text);
  const auto& head = csv.records[0].fields;
  size_t column = head.size() == 2 ? 1 : 0;
  for (size_t i = 1; i < head.size(); ++i)
    if (const std::string title = lower_case(head[i]);
        title == "caption" || title == "text" || title == "description")
      column = i;
  if (column == 0)
    fail(ErrorKind::data, name,
         ": expected the pictures' names in the first column and one called ", "caption, found ",
         head.size(), " columns; captions with commas stand in quotes");
  std::vector<std::vector<std::string>> rows;
  for (const CsvRecord& record : csv.records)
    rows.push_back({record.fields[0], record.fields[column]});
  return rows;
}

/// Captions for all pictures that a table beside them names; others are left out.
void caption_by_table(const PictureFiles& files, PictureLayout& layout) {
  constexpr uint64_t kMaxTable = 64 << 20;
  const auto table = std::ranges::find_if(layout.others, is_called_captions);
  if (table == layout.others.end()) return;
  const std::string path = *table;
  const PictureNames pictures(layout.entries, "");
  const std::string text = plain_text(files.read(path, kMaxTable), path);
  check_utf8(text, path);
  size_t more = 0, named = 0;
  for (const auto& row : caption_rows(text, path)) {
    const auto* places = pictures.find(row[0]);
    if (!places) continue;
    ++named;
    for (const size_t place : *places) {
      std::string& caption = layout.entries[place].caption;
      more += !caption.empty();
      if (caption.empty()) caption = row[1];
    }
  }
  std::vector<std::string> without;
  for (const PictureEntry& entry : layout.entries)
    if (entry.caption.empty()) without.push_back(entry.path);
  if (without.size() == layout.entries.size()) {
    layout.notes.push_back(concat("no captions from ", path, ": ",
                                  named > 0 ? "all that it has for the pictures are empty"
                                            : "it names none of the pictures"));
    return;
  }
  layout.captions = true;
  layout.others.erase(table);
  layout.notes.push_back(
      concat("captions from ", path, more > 0 ? "; of several of one picture the first" : ""));
  if (without.empty()) return;
  layout.notes.push_back(concat("left out ", counted(without.size(), "picture"),
                                " without a caption: ", first_names(without)));
  std::erase_if(layout.entries, [](const PictureEntry& entry) { return entry.caption.empty(); });
}

bool is_called_labels(const std::string& path) {
  return lower_case(std::filesystem::path(path).stem().string()).find("label") != std::string::npos;
}

/// Classes for pictures that lie in no class folders; false where no table has them.
bool label_by_table(const PictureFiles& files, PictureLayout& layout) {
  constexpr uint64_t kMaxTable = 64 << 20;
  std::vector<std::string> tables, used;
  for (const std::string& other : layout.others)
    if ((lower_case(other).ends_with(".csv") || lower_case(other).ends_with(".tsv")) &&
        !is_called_captions(other))
      tables.push_back(other);
  std::stable_partition(tables.begin(), tables.end(), is_called_labels);  // it is read first
  if (tables.size() > 8) tables.resize(8);
  for (const std::string& path : tables) {
    const std::string text = files.read(path, kMaxTable);
    const auto [labels, column, why] = read_label_table(text, path, layout.entries);
    if (labels.empty() && is_called_labels(path))
      layout.notes.push_back(concat("no classes from ", path, ": ", why));
    bool fresh = false;
    for (const auto& [place, label] : labels) {
      if (!layout.entries[place].label.empty()) continue;
      layout.entries[place].label = label;
      fresh = true;
    }
    if (!fresh) continue;
    used.push_back(path);
    std::erase(layout.others, path);
    layout.notes.push_back("classes from " + path +
                           (column.empty() ? "" : ", column '" + column + "'"));
  }
  if (used.empty()) return false;
  std::vector<std::string> without;
  for (const PictureEntry& entry : layout.entries)
    if (entry.label.empty()) without.push_back(entry.path);
  if (without.empty()) return true;
  layout.notes.push_back(concat("left out ", counted(without.size(), "picture"),
                                " without a class in ", first_names(used), ": ",
                                first_names(without)));
  std::erase_if(layout.entries, [](const PictureEntry& entry) { return entry.label.empty(); });
  return true;
}

// ---- Splits

size_t count_labelled(const std::vector<PictureEntry>& entries, const std::string& split) {
  return static_cast<size_t>(std::ranges::count_if(entries, [&](const PictureEntry& entry) {
    return entry.split == split && !entry.label.empty();
  }));
}

size_t count_split(const std::vector<PictureEntry>& entries, const std::string& split) {
  return static_cast<size_t>(std::ranges::count(entries, split, &PictureEntry::split));
}

void leave_out_split(PictureLayout& layout, const std::string& split, const std::string& folder,
                     const std::string& why) {
  const size_t count = count_split(layout.entries, split);
  layout.notes.push_back(concat("left out ", folder, "/ (", counted(count, "picture"), "): ", why));
  std::erase_if(layout.entries, [&](const PictureEntry& e) { return e.split == split; });
}

/// Of train, test and val, train and one of the others are left, or none has a split.
void settle_splits(PictureLayout& layout, std::map<std::string, std::string>& folders,
                   const std::string& name) {
  auto& entries = layout.entries;
  const bool labelled = count_labelled(entries, "train") > 0;
  for (const std::string split : {"test", "val"}) {
    if (count_split(entries, split) == 0) continue;
    const bool own = count_labelled(entries, split) > 0;
    if (own && !labelled)
      fail(ErrorKind::data, name, ": expected classes in ", folders["train"], "/ as in ",
           folders[split], "/, or in neither");
    if (!own && labelled) leave_out_split(layout, split, folders[split], "it has no classes");
  }
  if (count_split(entries, "test") > 0 && count_split(entries, "val") > 0)
    leave_out_split(layout, "val", folders["val"],
                    "test pictures come from " + folders["test"] + "/");
  const std::string tests = folders[count_split(entries, "test") > 0 ? "test" : "val"];
  for (PictureEntry& entry : entries)
    if (entry.split == "val") entry.split = "test";
  layout.splits = count_split(entries, "test") > 0 && count_split(entries, "train") > 0;
  if (layout.splits) {
    layout.notes.push_back("splits from " + folders["train"] + "/ and " + tests + "/");
  } else {
    for (PictureEntry& entry : entries) entry.split.clear();
  }
}

}  // namespace

PictureLayout arrange_pictures(const PictureFiles& files, const std::string& name) {
  PictureLayout layout{.entries = {}, .others = files.others, .notes = files.notes};
  std::vector<std::string> rest = files.pictures;
  descend(rest, layout.notes);
  const auto folders = first_folders(rest);
  const bool has_splits = hold_splits(folders);
  std::map<std::string, std::string> named;  // the folder of each split
  std::vector<std::string> outside;
  for (size_t i = 0; i < rest.size(); ++i) {
    PictureEntry entry{.path = files.pictures[i], .split = {}, .label = {}};
    if (has_splits) {
      const std::string folder = cut_folder(rest[i]);
      entry.split = split_named(folder);
      named.emplace(entry.split, folder);
      if (entry.split.empty()) outside.push_back(entry.path);
    }
    layout.entries.push_back(std::move(entry));
  }
  if (!outside.empty()) {
    const std::string other = named.contains("test") ? named["test"] : named["val"];
    fail(ErrorKind::data, name, ": found ", counted(outside.size(), "picture"),
         " beside the folders ", named["train"], " and ", other, " (", first_names(outside),
         "); move them into one of the two or out of the folder");
  }
  for (const std::string split : {"train", "test", "val", ""}) {
    std::vector<size_t> places;
    std::set<std::string> inner;
    for (size_t i = 0; i < rest.size(); ++i) {
      if (layout.entries[i].split != split) continue;
      places.push_back(i);
      inner.insert(first_folder(rest[i]));
    }
    // seg_train/seg_train/CLASS, as archives often have it
    const bool doubled = has_splits && inner.size() == 1 && split_named(*inner.begin()) == split;
    size_t loose = 0;
    for (const size_t i : places) {
      if (doubled) cut_folder(rest[i]);
      layout.entries[i].label = cut_folder(rest[i]);
      loose += layout.entries[i].label.empty();
    }
    if (loose > 0 && loose < places.size())
      fail(ErrorKind::data, name, ": found ", counted(loose, "picture"),
           " beside sub-folders with ", counted(places.size() - loose, "picture"),
           "; expected none in sub-folders (no labels) or all of them (their classes)");
  }
  std::set<std::string> labels;
  for (const PictureEntry& entry : layout.entries) labels.insert(entry.label);
  if (labels.size() == 1) {  // no classes, or a folder that merely holds the pictures
    for (PictureEntry& entry : layout.entries) entry.label.clear();
    if (!label_by_table(files, layout))
      for (PictureEntry& entry : layout.entries) entry.label = *labels.begin();
  }
  if (has_splits) settle_splits(layout, named, name);
  caption_by_table(files, layout);
  return layout;
}

bool natural_less(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return static_cast<uint8_t>(a[i]) < static_cast<uint8_t>(b[j]);
      ++i, ++j;
      continue;
    }
    const auto number = [&](const std::string& text, size_t& at) {  // without leading zeros
      while (at < text.size() && text[at] == '0') ++at;
      const size_t begin = at;
      while (at < text.size() && digit(text[at])) ++at;
      return text.substr(begin, at - begin);
    };
    const std::string x = number(a, i), y = number(b, j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
  }
  if (i < a.size() || j < b.size()) return i == a.size();
  return a < b;  // "01" and "1"
}

std::string counted(size_t count, const std::string& noun) {
  return concat(count, " ", noun, count == 1 ? "" : "s");
}

std::string first_names(const std::vector<std::string>& names, const char* separator) {
  constexpr size_t kNamed = 3;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i)
    text += (i > 0 ? separator : "") + names[i];
  return names.size() > kNamed ? text + separator + "..." : text;
}

}  // namespace genai
