// What reading a folder of pictures had to decide and to leave out, said in a line each.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "genai/base/picture.h"
#include "genai/data/image_set.h"
#include "genai/data/picture_layout.h"

namespace genai {

/// What was seen while reading, for the notes.
struct Findings {
  std::map<std::pair<int64_t, int64_t>, std::vector<std::string>> sizes;  // upright, with pictures
  std::vector<std::string> failures, transparent, blank, dark, sheets;    // blank: nothing is seen
  std::vector<std::string> unpaired;
};

void note_picture(const Picture& found, const std::string& path, Findings& findings);
/// Of pictures of several sizes, or of another shape than the set's.
void note_sizes(const Findings& findings, const Extent& size, std::vector<std::string>& notes);
void note_transparency(const Findings& findings, Ground ground, std::vector<std::string>& notes);
/// Sheets of ours, and values of 12 bits in 16.
void note_odd_kinds(const Findings& findings, std::vector<std::string>& notes);
/// Classes that no training picture has.
void note_unseen_classes(const ImageSet& set, std::vector<std::string>& notes);
std::string unreadable_text(const Findings& findings);
/// What to do about files that are pictures and yet none for us.
std::string pictures_not_read(const std::vector<std::string>& others);
std::string skipped_text(const PictureLayout& layout);
std::string size_text(const std::pair<int64_t, int64_t>& size);

}  // namespace genai
