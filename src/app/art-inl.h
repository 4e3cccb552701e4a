// The edits that a classifier makes: dream and style.
#pragma once
#include "genai/generation/edit.h"
#include "shared-inl.h"

namespace genai {

/// Their own options; 0: as is usual for the edit.
struct ArtWish {
  std::string layer, of;
  int64_t octaves = 0, steps = 0, size = 0;
  double rate = 0, keep = 1, weight = 100;
};
const FieldTable& art_fields();

bool makes_art(Edit what);
/// Throws Error{usage} for their options beside another edit.
void refuse_art_options(const Settings& given, Edit what);

struct ArtRequest {
  const RunRequest& run;
  Edit what;
  std::vector<std::string> files;
  std::string of_class, out;
  int64_t seed = 0, scale = 0;
  bool as_is = false;
  ArtWish own;
  const Settings& given;
  JobContext& context;
};
/// Makes and writes the picture, or its way; returns the result.
Json make_art(const ArtRequest& request);

}  // namespace genai
