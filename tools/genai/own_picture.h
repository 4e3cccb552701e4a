// The user's pictures, and a line that says what was done with each.
#pragma once
#include <string>

#include "genai/data/own_picture.h"

namespace genai::tool {

/// The picture in the set's size, as fit_own_picture has it, or with `as_is` scaled and cropped
/// alone. Placing::fixed: in its own size.
Image own_picture(const std::string& path, const DataInfo& info, bool as_is,
                  Placing placing = Placing::free);

}  // namespace genai::tool
