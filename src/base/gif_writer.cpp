// GIF89a: https://www.w3.org/Graphics/GIF/spec-gif89a.txt
#include <algorithm>
#include <array>
#include <climits>
#include <map>
#include <optional>

#include "frames-inl.h"

namespace genai {
namespace {

/// In blocks of up to 255 bytes, each after its length, ended by an empty one.
std::string in_blocks(std::string_view bytes) {
  constexpr size_t kLargest = 255;
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += kLargest) {
    const std::string_view block = bytes.substr(at, kLargest);
    text += static_cast<char>(block.size());
    text += block;
  }
  return text + '\0';
}

std::string little_endian(int64_t value) {  // 16 bits
  return {static_cast<char>(value & 0xFF), static_cast<char>(value >> 8 & 0xFF)};
}

constexpr size_t kPaletteSize = 256;

uint32_t packed_colour(const uint8_t* pixel, int64_t channels) {
  return channels == 1 ? 0x010101u * pixel[0]
                       : uint32_t{pixel[0]} << 16 | uint32_t{pixel[1]} << 8 | pixel[2];
}
int part_of(uint32_t colour, int channel) {
  return static_cast<int>(colour >> (16 - 8 * channel) & 0xFF);
}
bool is_grey(uint32_t colour) {
  return part_of(colour, 0) == part_of(colour, 1) && part_of(colour, 1) == part_of(colour, 2);
}

/// Colours, each with the number of its pixels; ordered by their value.
using ColourCounts = std::vector<std::pair<uint32_t, int64_t>>;

ColourCounts count_colours(const Image& image) {
  std::vector<uint32_t> all;
  all.reserve(image.pixels.size() / static_cast<size_t>(image.channels));
  for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels)) {
    all.push_back(packed_colour(&image.pixels[i], image.channels));
  }
  std::sort(all.begin(), all.end());
  ColourCounts counts;
  for (const uint32_t colour : all) {
    if (counts.empty() || counts.back().first != colour) counts.emplace_back(colour, 0);
    ++counts.back().second;
  }
  return counts;
}

/// A colour of 5 bits a channel: few enough to look at each of them.
uint32_t bin_of(uint32_t colour) {
  return (colour >> 9 & 0x7C00) | (colour >> 6 & 0x3E0) | (colour >> 3 & 0x1F);
}
constexpr size_t kBins = 1 << 15;

/// The mean colour of each bin that is not empty, in the order of the bins.
ColourCounts merge_bins(const ColourCounts& counts) {
  std::vector<std::array<int64_t, 4>> sums(kBins);  // of three channels, pixels
  for (const auto& [colour, count] : counts) {
    auto& sum = sums[bin_of(colour)];
    for (int c = 0; c < 3; ++c) sum[static_cast<size_t>(c)] += part_of(colour, c) * count;
    sum[3] += count;
  }
  ColourCounts merged;
  for (const auto& [red, green, blue, count] : sums) {
    if (count == 0) continue;
    const auto mean = [n = count](int64_t sum) { return static_cast<uint32_t>((sum + n / 2) / n); };
    merged.emplace_back(mean(red) << 16 | mean(green) << 8 | mean(blue), count);
  }
  return merged;
}

/// At most `size` colours for those of `counts`: P. Heckbert, "Color image quantization for frame
/// buffer display", SIGGRAPH 1982. The box whose pixels are spread most is cut at their median,
/// again and again; a box stands for its mean. Of greys alone it is a grey.
std::vector<uint32_t> median_cut(ColourCounts counts, size_t size) {
  struct Box {
    size_t begin, end;
    int channel = 0;
    int64_t spread = 0;  // largest side times pixels
  };
  const auto measured = [&](size_t begin, size_t end) {
    Box box{.begin = begin, .end = end};
    int64_t pixels = 0;
    for (size_t i = begin; i < end; ++i) pixels += counts[i].second;
    for (int c = 0; c < 3; ++c) {
      int low = 255, high = 0;
      for (size_t i = begin; i < end; ++i) {
        low = std::min(low, part_of(counts[i].first, c));
        high = std::max(high, part_of(counts[i].first, c));
      }
      if ((high - low) * pixels > box.spread) {
        box.spread = (high - low) * pixels;
        box.channel = c;
      }
    }
    return box;
  };
  std::vector<Box> boxes;
  if (!counts.empty()) boxes.push_back(measured(0, counts.size()));
  while (boxes.size() < size) {
    const auto widest = std::max_element(
        boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.spread < b.spread; });
    if (widest == boxes.end() || widest->spread == 0) break;
    const Box box = *widest;
    const auto at = [&](size_t i) { return counts.begin() + static_cast<std::ptrdiff_t>(i); };
    std::sort(at(box.begin), at(box.end), [&](const auto& a, const auto& b) {
      const int x = part_of(a.first, box.channel), y = part_of(b.first, box.channel);
      return x != y ? x < y : a.first < b.first;
    });
    int64_t pixels = 0, below = 0;
    for (size_t i = box.begin; i < box.end; ++i) pixels += counts[i].second;
    size_t cut = box.begin;
    while (cut + 1 < box.end && (cut == box.begin || below + counts[cut].second <= pixels / 2)) {
      below += counts[cut++].second;
    }
    *widest = measured(box.begin, cut);
    boxes.push_back(measured(cut, box.end));
  }
  std::vector<uint32_t> palette;
  for (const Box& box : boxes) {
    uint32_t colour = 0;
    int64_t pixels = 0;
    for (size_t i = box.begin; i < box.end; ++i) pixels += counts[i].second;
    for (int c = 0; c < 3; ++c) {
      int64_t sum = 0;
      for (size_t i = box.begin; i < box.end; ++i) {
        sum += part_of(counts[i].first, c) * counts[i].second;
      }
      colour = colour << 8 | static_cast<uint32_t>((sum + pixels / 2) / pixels);
    }
    palette.push_back(colour);
  }
  std::sort(palette.begin(), palette.end());
  return palette;
}

/// Up to 256 colours for the pixels of one or more pictures, and the place of each pixel's.
class Palette {
 public:
  explicit Palette(const ColourCounts& counts) {
    if (counts.size() <= kPaletteSize) {
      exact_ = true;
      for (const auto& [colour, count] : counts) colours_.push_back(colour);
      return;
    }
    // Grey has colours of its own: the mean of almost grey ones would be tinted.
    ColourCounts greys, others;
    int64_t grey = 0, all = 0;
    for (const auto& entry : counts) {
      (is_grey(entry.first) ? greys : others).push_back(entry);
      grey += is_grey(entry.first) ? entry.second : 0;
      all += entry.second;
    }
    constexpr int64_t kFewest = 32, kMost = 192;
    const size_t wanted = static_cast<size_t>(
        std::clamp(grey * static_cast<int64_t>(kPaletteSize) / all, kFewest, kMost));
    colours_ = median_cut(greys, std::min(wanted, greys.size()));
    greys_ = colours_.size();
    const auto rest = median_cut(merge_bins(others), kPaletteSize - greys_);
    colours_.insert(colours_.end(), rest.begin(), rest.end());
    nearest_bin_.assign(kBins, -1);
    for (uint32_t value = 0; value < 256; ++value) {
      nearest_grey_.push_back(greys_ ? nearest(0x010101u * value, 0, greys_) : 0);
    }
  }

  /// 256 times red, green, blue.
  std::string table() const {
    std::string bytes;
    for (const uint32_t colour : colours_) {
      for (int c = 0; c < 3; ++c) bytes += static_cast<char>(part_of(colour, c));
    }
    bytes.resize(3 * kPaletteSize, '\0');
    return bytes;
  }

  std::vector<uint8_t> indices(const Image& image) {
    std::vector<uint8_t> places;
    places.reserve(image.pixels.size() / static_cast<size_t>(image.channels));
    for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels)) {
      places.push_back(place(packed_colour(&image.pixels[i], image.channels)));
    }
    return places;
  }

 private:
  uint8_t place(uint32_t colour) {
    if (exact_) {
      const auto found = std::lower_bound(colours_.begin(), colours_.end(), colour);
      return static_cast<uint8_t>(found - colours_.begin());
    }
    if (is_grey(colour)) return nearest_grey_[colour & 0xFF];
    int16_t& known = nearest_bin_[bin_of(colour)];
    if (known < 0) known = nearest(middle_of_bin(colour), greys_, colours_.size());
    return static_cast<uint8_t>(known);
  }

  static uint32_t middle_of_bin(uint32_t colour) { return (colour & 0xF8F8F8) | 0x040404; }

  uint8_t nearest(uint32_t colour, size_t begin, size_t end) const {
    int best = INT_MAX;
    size_t found = begin;
    for (size_t i = begin; i < end; ++i) {
      int distance = 0;
      for (int c = 0; c < 3; ++c) {
        const int difference = part_of(colour, c) - part_of(colours_[i], c);
        distance += difference * difference;
      }
      if (distance < best) {
        best = distance;
        found = i;
      }
    }
    return static_cast<uint8_t>(found);
  }

  std::vector<uint32_t> colours_;  // exact: ordered; else first the greys
  bool exact_ = false;
  size_t greys_ = 0;
  std::vector<uint8_t> nearest_grey_;
  std::vector<int16_t> nearest_bin_;
};

/// The colours of all frames, as far as one palette may hold them exactly; else none. Grey frames
/// have all greys, so that an index is a value.
std::optional<ColourCounts> common_colours(const std::vector<Frame>& frames) {
  std::map<uint32_t, int64_t> all;
  if (frames[0].image.channels == 1) {
    for (uint32_t value = 0; value < 256; ++value) all[0x010101u * value] = 1;
    return ColourCounts(all.begin(), all.end());
  }
  for (const Frame& frame : frames) {
    for (const auto& [colour, count] : count_colours(frame.image)) all[colour] += count;
    if (all.size() > kPaletteSize) return std::nullopt;
  }
  return ColourCounts(all.begin(), all.end());
}

/// Codes of growing width, lowest bit first.
class BitWriter {
 public:
  void write(uint32_t code, int width) {
    pending_ |= uint64_t{code} << bits_;
    for (bits_ += width; bits_ >= 8; bits_ -= 8, pending_ >>= 8) {
      bytes_ += static_cast<char>(pending_ & 0xFF);
    }
  }
  std::string blocks() {
    if (bits_ > 0) write(0, 8 - bits_);
    return in_blocks(bytes_);
  }

 private:
  std::string bytes_;
  uint64_t pending_ = 0;
  int bits_ = 0;
};

/// Lempel, Ziv and Welch's compression with codes of up to 12 bits.
std::string compress(const std::vector<uint8_t>& indices) {
  constexpr uint32_t kClear = 256, kEnd = 257, kFirst = 258, kCodes = 4096;
  constexpr int kFewestBits = 9;
  // after[256 * code + index]: the code of what `code` stands for with `index` behind it; 0: none.
  std::vector<uint16_t> after(kCodes * 256);
  uint32_t next = kFirst;
  int width = kFewestBits;
  BitWriter out;
  out.write(kClear, width);
  uint32_t prefix = indices[0];
  for (size_t i = 1; i < indices.size(); ++i) {
    uint16_t& longer = after[256 * prefix + indices[i]];
    if (longer != 0) {
      prefix = longer;
      continue;
    }
    out.write(prefix, width);
    prefix = indices[i];
    if (next == kCodes) {
      out.write(kClear, width);
      std::fill(after.begin(), after.end(), 0);
      next = kFirst;
      width = kFewestBits;
      continue;
    }
    // A reader knows a new code one step later, so the first that needs another bit is this one's
    // successor.
    if (next == uint32_t{1} << width) ++width;
    longer = static_cast<uint16_t>(next++);
  }
  out.write(prefix, width);
  if (next == uint32_t{1} << width && next < kCodes) ++width;
  out.write(kEnd, width);
  return out.blocks();
}

}  // namespace

std::string encode_gif(const std::vector<Frame>& frames, const std::string& comment) {
  check_frames(frames, "cannot write GIF");
  constexpr int64_t kMaxSide = 65535;
  const int64_t width = frames[0].image.width, height = frames[0].image.height;
  if (width > kMaxSide || height > kMaxSide) {
    fail(ErrorKind::usage, "cannot write GIF: expected at most ", kMaxSide,
         " pixels a side, found ", width, " x ", height);
  }
  const std::string size = little_endian(width) + little_endian(height);
  constexpr char kTable = '\x87';  // of 256 colours
  const auto common = common_colours(frames);
  std::optional<Palette> shared;
  if (common) shared.emplace(*common);
  std::string bytes = "GIF89a" + size;
  bytes += {static_cast<char>((shared ? kTable : 0) | 0x70), '\0', '\0'};  // 8 bits a channel
  if (shared) bytes += shared->table();
  bytes += std::string("\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0", 19);  // for ever
  for (const auto& [image, milliseconds] : frames) {
    constexpr char kKeep = 1 << 2;  // disposal: the next frame covers this one
    bytes += {'\x21', '\xF9', '\x04', kKeep};
    bytes += little_endian((milliseconds + 5) / 10) + std::string(2, '\0');
    bytes += '\x2C' + little_endian(0) + little_endian(0) + size;
    std::optional<Palette> own;
    if (!shared) own.emplace(count_colours(image));
    bytes += shared ? '\0' : kTable;
    if (own) bytes += own->table();
    bytes += '\x08' + compress((own ? *own : *shared).indices(image));  // 8 bits an index
  }
  if (!comment.empty()) bytes += "\x21\xFE" + in_blocks(comment);
  return bytes + '\x3B';
}

}  // namespace genai
