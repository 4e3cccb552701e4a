// Which split and class each picture of a folder or ZIP belongs to.
#pragma once
#include <string>
#include <vector>

#include "genai/data/picture_files.h"

namespace genai {

struct PictureEntry {
  std::string path;   ///< as PictureFiles has it
  std::string split;  ///< "train", "test", or empty: to be decided
  std::string label;  ///< the class's name; empty without labels
  std::string caption{};
};

struct PictureLayout {
  std::vector<PictureEntry> entries;  ///< in the order of their paths
  bool splits = false;                ///< every entry has one
  std::vector<std::string> others;    ///< files that nothing was read from
  bool captions = false;              ///< every entry has one
  std::vector<std::string> notes;     ///< what was decided, what was left out and why
};

/// Splits: folders train and test, or train and val, under any of their usual names ("Train",
/// "validation", "training_set", "seg_test"); with both test and val, val is left out. Classes: the
/// first folder below that. Folders that hold all splits, or all of several class folders, count
/// for nothing. Where no picture lies in a class folder, or all in one, a table of names and labels
/// beside them (labels.csv, train.csv) gives the classes. A test split without classes beside a
/// train split with them is left out. A table captions.csv or captions.txt beside the pictures
/// gives captions; of several of one picture the first counts, pictures without one are left out.
/// Throws Error{data}: pictures beside split folders or class folders, a table that contradicts
/// itself or does not say which column is the class.
PictureLayout arrange_pictures(const PictureFiles& files, const std::string& name);

/// As people sort: 2 before 10, "img2" before "img10"; other characters by their bytes.
bool natural_less(const std::string& a, const std::string& b);

/// "1 picture", "2 pictures".
std::string counted(size_t count, const std::string& noun);
/// "a, b, c" of the first three, "a, b, c, ..." of more.
std::string first_names(const std::vector<std::string>& names, const char* separator = ", ");

}  // namespace genai
