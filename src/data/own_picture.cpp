#include "genai/data/own_picture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr int kLeastContrast = 32;  // of 255, between a drawing and its ground

/// Is each block of factor x factor pixels of one value?
bool has_blocks(const Image& image, int64_t factor) {
  const int64_t row = image.width * image.channels;
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      for (int64_t c = 0; c < image.channels; ++c) {
        const auto value = [&](int64_t v, int64_t u) {
          return image.pixels[static_cast<size_t>(v * row + u * image.channels + c)];
        };
        if (value(y, x) != value(y / factor * factor, x / factor * factor)) return false;
      }
    }
  }
  return true;
}

/// The first pixel of each block.
Image shrink(const Image& image, int64_t factor) {
  Image small{image.width / factor, image.height / factor, image.channels, {}};
  for (int64_t y = 0; y < small.height; ++y) {
    for (int64_t x = 0; x < small.width; ++x) {
      const auto from =
          image.pixels.begin() + (y * factor * image.width + x * factor) * image.channels;
      small.pixels.insert(small.pixels.end(), from, from + image.channels);
    }
  }
  return small;
}

/// How many times larger than an item of the set the picture is, in whole pixels; 1: not at all.
int64_t whole_scale(const Image& image, const DataInfo& info) {
  const int64_t factor = image.width / info.width;
  const bool whole = image.width == factor * info.width && image.height == factor * info.height;
  return whole ? std::max<int64_t>(1, factor) : 1;
}

/// As grid() lays out items of the set, 2 black pixels around each; perhaps scaled up.
bool is_sheet(const Image& image, const DataInfo& info, int64_t& rows, int64_t& columns) {
  constexpr int64_t kPadding = 2;
  const int64_t common = std::gcd(image.width, image.height);
  for (int64_t factor = 1; factor <= std::min<int64_t>(common, 64); ++factor) {
    if (common % factor != 0) continue;
    const int64_t w = image.width / factor - kPadding, h = image.height / factor - kPadding;
    rows = h / (info.height + kPadding);
    columns = w / (info.width + kPadding);
    if (w % (info.width + kPadding) != 0 || h % (info.height + kPadding) != 0 || w <= 0 || h <= 0 ||
        rows * columns < 2 || !has_blocks(image, factor)) {
      continue;
    }
    const Image sheet = factor == 1 ? image : shrink(image, factor);
    bool black = true;
    for (int64_t y = 0; y < sheet.height && black; ++y) {
      for (int64_t x = 0; x < sheet.width && black; ++x) {
        if (y % (info.height + kPadding) >= kPadding && x % (info.width + kPadding) >= kPadding) {
          continue;
        }
        for (int64_t c = 0; c < sheet.channels; ++c) {
          black =
              black &&
              sheet.pixels[static_cast<size_t>((y * sheet.width + x) * sheet.channels + c)] == 0;
        }
      }
    }
    if (black) return true;
  }
  return false;
}

int contrast(const Image& image) {
  const auto [low, high] = std::ranges::minmax(image.pixels);
  return high - low;
}

/// Over black what was put over white.
Image over_black(const Image& image, const Image& alpha) {
  Image out = image;
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    const int opaque = alpha.pixels[i / static_cast<size_t>(image.channels)];
    out.pixels[i] = static_cast<uint8_t>(std::max(0, out.pixels[i] - (255 - opaque)));
  }
  return out;
}

/// The middle one of the values at the edge.
int ground_of(const Image& grey) {
  std::vector<uint8_t> edge;
  for (int64_t y = 0; y < grey.height; ++y) {
    for (int64_t x = 0; x < grey.width; ++x) {
      if (y > 0 && y + 1 < grey.height && x > 0 && x + 1 < grey.width) continue;
      edge.push_back(grey.pixels[static_cast<size_t>(y * grey.width + x)]);
    }
  }
  std::ranges::nth_element(edge, edge.begin() + static_cast<std::ptrdiff_t>(edge.size() / 2));
  return edge[edge.size() / 2];
}

struct Box {
  int64_t left, top, right, bottom;  // the last two lie outside
};

/// Of the pixels that are bright enough to be of the pen.
Box pen_box(const Image& grey) {
  const int least = std::ranges::max(grey.pixels) / 4;
  Box box{grey.width, grey.height, 0, 0};
  for (int64_t y = 0; y < grey.height; ++y) {
    for (int64_t x = 0; x < grey.width; ++x) {
      if (grey.pixels[static_cast<size_t>(y * grey.width + x)] <= least) continue;
      box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x + 1),
             std::max(box.bottom, y + 1)};
    }
  }
  return box;
}

/// The centre of mass, in pixels from the left and top edge.
std::pair<double, double> mass_centre(const Image& grey) {
  double sum = 0, across = 0, down = 0;
  for (int64_t y = 0; y < grey.height; ++y) {
    for (int64_t x = 0; x < grey.width; ++x) {
      const double value = grey.pixels[static_cast<size_t>(y * grey.width + x)];
      sum += value;
      across += value * (static_cast<double>(x) + 0.5);
      down += value * (static_cast<double>(y) + 0.5);
    }
  }
  if (sum == 0) return {static_cast<double>(grey.width) / 2, static_cast<double>(grey.height) / 2};
  return {across / sum, down / sum};
}

/// The pen in 20 of 28 pixels, its mass in the middle.
Image centred(const Image& grey, int64_t side) {
  const Box box = pen_box(grey);
  Image pen{box.right - box.left, box.bottom - box.top, 1, {}};
  for (int64_t y = box.top; y < box.bottom; ++y) {
    const auto row = grey.pixels.begin() + y * grey.width;
    pen.pixels.insert(pen.pixels.end(), row + box.left, row + box.right);
  }
  const double longest = static_cast<double>(std::max(pen.width, pen.height));
  const double scale = static_cast<double>(side) * 20 / 28 / longest;
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, std::lround(static_cast<double>(length) * scale));
  };
  pen = resize_to_fit(pen, scaled(pen.width), scaled(pen.height));
  const auto [across, down] = mass_centre(pen);
  const auto place = [&](double mass, int64_t length) {  // as near as the pen fits in
    return std::clamp<int64_t>(std::lround(static_cast<double>(side) / 2 - mass), 0, side - length);
  };
  const int64_t left = place(across, pen.width), top = place(down, pen.height);
  Image out{side, side, 1, std::vector<uint8_t>(static_cast<size_t>(side * side))};
  for (int64_t y = 0; y < pen.height; ++y) {
    std::copy_n(pen.pixels.begin() + y * pen.width, pen.width,
                out.pixels.begin() + (top + y) * side + left);
  }
  return out;
}

/// A drawing as MNIST has them.
void follow_pen_convention(const DataInfo& info, Placing placing, OwnPicture& own) {
  Image grey = to_grey(own.image);
  const int ground = ground_of(grey);
  const bool light = ground > 127;
  if (contrast(grey) < kLeastContrast) return;
  if (light) {
    const int pen = std::ranges::min(grey.pixels);
    if (ground - pen < kLeastContrast) return;
    for (uint8_t& value : grey.pixels) {
      value = static_cast<uint8_t>(std::clamp((ground - value) * 255 / (ground - pen), 0, 255));
    }
    own.said += (own.said.empty() ? "" : ", ") + std::string("inverted to a white pen on black");
    own.image = grey;
  }
  if (placing == Placing::fixed) return;
  const int64_t side = info.width;
  const auto [across, down] = mass_centre(grey);
  const double middle = static_cast<double>(side) / 2;
  const bool fits = grey.width == side && grey.height == side;
  // The samples of a set that is not centred as strictly stay as they are.
  const bool near =
      fits && std::abs(across - middle) <= middle * 0.3 && std::abs(down - middle) <= middle * 0.3;
  if (near && !light) return;
  own.image = centred(grey, side);
  own.said += (own.said.empty() ? "" : ", ") +
              concat("scaled to ", side * 20 / 28, " of ", side, " pixels and centred by mass");
}

/// To the set's size.
void fit(const DataInfo& info, OwnPicture& own) {
  if (const std::string kept = kept_by_fit(own.image, info.width, info.height); !kept.empty())
    own.said += (own.said.empty() ? "" : ", ") + kept;
  own.image = resize_to_fit(own.image, info.width, info.height);
}

}  // namespace

bool has_pen_convention(const DataInfo& info) {
  std::string name = info.source;
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  const auto starts = [&](const char* start) { return name.starts_with(start); };
  return info.channels == 1 && info.width == info.height && !info.captions &&
         (starts("mnist") || starts("digits") || starts("emnist") || starts("qmnist"));
}

OwnPicture fit_own_picture(const Picture& picture, const DataInfo& info, Placing placing,
                           const std::string& name) {
  OwnPicture own{.image = picture.image, .said = {}};
  if (picture.samples > 1) {
    fail(ErrorKind::data, name, ": is a sheet of ", picture.samples, " samples, expected one ",
         "picture; `genai sample RUN --seed NUMBER -n 1` makes one of them");
  }
  if (!picture.alpha.pixels.empty()) {
    if (contrast(own.image) < kLeastContrast) {
      own.image = over_black(own.image, picture.alpha);
      own.said = "put over black where it is transparent";
    } else {
      own.said = "put over white where it is transparent";
    }
  }
  const int64_t factor = whole_scale(own.image, info);
  const bool exact = factor > 1 && has_blocks(own.image, factor);
  if (exact || (factor > 1 && placing == Placing::fixed)) {
    own.image =
        exact ? shrink(own.image, factor) : resize_to_fit(own.image, info.width, info.height);
    own.said += (own.said.empty() ? "" : ", ") +
                concat("scaled down ", factor, " times", exact ? ", exactly" : "");
  }
  int64_t rows = 0, columns = 0;
  if (contrast(own.image) > 0 && is_sheet(own.image, info, rows, columns)) {
    fail(ErrorKind::data, name, ": is a sheet of ", rows, " x ", columns,
         " pictures, expected one; ", "`genai sample RUN --seed NUMBER -n 1` makes one of them");
  }
  if (has_pen_convention(info)) follow_pen_convention(info, placing, own);
  if (placing == Placing::free) fit(info, own);
  return own;
}

OwnPicture fit_own_drawing(const Picture& picture, const DataInfo& info, const std::string& name) {
  OwnPicture own{.image = to_grey(picture.image), .said = {}};
  if (!picture.alpha.pixels.empty() && contrast(own.image) < kLeastContrast)
    own.image = over_black(own.image, picture.alpha);
  if (contrast(own.image) < kLeastContrast)
    fail(ErrorKind::data, name, ": expected dark lines on white, found nothing but one tone");
  if (ground_of(own.image) < 128) {
    for (uint8_t& value : own.image.pixels) value = static_cast<uint8_t>(255 - value);
    own.said = "inverted to dark lines on white";
  }
  fit(info, own);
  return own;
}

Image read_mask(const Picture& picture, const DataInfo& info) {
  const Image& image = picture.image;
  Image mask{image.width, image.height, 1, {}};
  const auto channels = static_cast<size_t>(image.channels);
  const int least = picture.lossy ? 128 : 1;
  for (size_t i = 0; i < image.pixels.size() / channels; ++i) {
    const auto pixel = image.pixels.begin() + static_cast<std::ptrdiff_t>(i * channels);
    const bool fill = picture.alpha.pixels.empty()
                          ? std::any_of(pixel, pixel + image.channels,
                                        [&](uint8_t value) { return value >= least; })
                          : picture.alpha.pixels[i] < 128;
    mask.pixels.push_back(fill ? 255 : 0);
  }
  const int64_t factor = whole_scale(mask, info);
  if (factor == 1) return mask;
  Image small{info.width, info.height, 1,
              std::vector<uint8_t>(static_cast<size_t>(info.width * info.height))};
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      uint8_t& value = small.pixels[static_cast<size_t>(y / factor * info.width + x / factor)];
      value = std::max(value, mask.pixels[static_cast<size_t>(y * mask.width + x)]);
    }
  }
  return small;
}

}  // namespace genai
