#include "own_picture.h"

#include "command.h"

namespace genai::tool {

Image own_picture(const std::string& path, const DataInfo& info, bool as_is, Placing placing) {
  const Picture picture = load_picture(path);
  if (as_is) {
    return placing == Placing::fixed ? picture.image
                                     : resize_to_fit(picture.image, info.width, info.height);
  }
  const OwnPicture own = fit_own_picture(picture, info, placing, path);
  if (!own.said.empty()) say(path + ": " + own.said + " (--as-is: not)");
  return own.image;
}

}  // namespace genai::tool
