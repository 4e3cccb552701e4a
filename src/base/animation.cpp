#include "genai/base/animation.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <climits>
#include <map>
#include <optional>
#include <utility>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr size_t kSignatureSize = 8;

void check_frames(const std::vector<Frame>& frames, const char* where) {
  constexpr int64_t kShortest = 20, kLongest = 65535;  // shorter ones are slowed down by browsers
  if (frames.empty()) fail(ErrorKind::usage, where, ": expected at least one frame");
  const Image& first = frames[0].image;
  for (const auto& [image, milliseconds] : frames) {
    check_image(image, where);
    if (image.width != first.width || image.height != first.height ||
        image.channels != first.channels) {
      fail(ErrorKind::usage, where, ": expected frames of one size, ", first.width, " x ",
           first.height, " x ", first.channels, ", found ", image.width, " x ", image.height, " x ",
           image.channels);
    }
    if (milliseconds < kShortest || milliseconds > kLongest) {
      fail(ErrorKind::usage, where, ": expected ", kShortest, " to ", kLongest,
           " milliseconds a frame, found ", milliseconds);
    }
  }
}

// ---- APNG (https://www.w3.org/TR/png-3/#apng-frame-based-animation)

std::string big_endian(uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text += static_cast<char>(value >> shift);
  }
  return text;
}

uint32_t number(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string chunk(const std::string& type, std::string_view data) {
  std::string body = type;
  body += data;
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size());
  return big_endian(data.size(), 4) + body + big_endian(crc, 4);
}

struct Chunk {
  std::string_view type, data, all;  // `all` with length and CRC
};

/// Of a file whose structure is known to be right.
std::vector<Chunk> chunks_of(std::string_view png) {
  std::vector<Chunk> chunks;
  for (size_t at = kSignatureSize; at < png.size();) {
    const size_t length = number(png, at);
    chunks.push_back({.type = png.substr(at + 4, 4),
                      .data = png.substr(at + 8, length),
                      .all = png.substr(at, length + 12)});
    at += length + 12;
  }
  return chunks;
}

/// fcTL: the whole canvas, replaced.
std::string frame_control(uint32_t sequence, const Frame& frame) {
  const Image& image = frame.image;
  constexpr int kPerSecond = 1000;
  return chunk("fcTL", big_endian(sequence, 4) + big_endian(static_cast<uint64_t>(image.width), 4) +
                           big_endian(static_cast<uint64_t>(image.height), 4) + big_endian(0, 4) +
                           big_endian(0, 4) +  // offsets
                           big_endian(static_cast<uint64_t>(frame.milliseconds), 2) +
                           big_endian(kPerSecond, 2) + std::string(2, '\0'));
}

[[noreturn]] void damaged(const std::string& name, const std::string& why) {
  fail(ErrorKind::data, "cannot read APNG ", name, ": ", why, "; get or make the file again");
}

// ---- GIF (https://www.w3.org/Graphics/GIF/spec-gif89a.txt)

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
    for (const uint32_t colour : colours_) bytes += big_endian(colour, 3);
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
  /// In blocks of up to 255 bytes, each after its length, ended by an empty one.
  std::string blocks() {
    if (bits_ > 0) write(0, 8 - bits_);
    constexpr size_t kLargest = 255;
    std::string text;
    for (size_t at = 0; at < bytes_.size(); at += kLargest) {
      const std::string block = bytes_.substr(at, kLargest);
      text += static_cast<char>(block.size()) + block;
    }
    return text + '\0';
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

std::string encode_apng(const std::vector<Frame>& frames, const std::vector<PngText>& text) {
  check_frames(frames, "cannot write APNG");
  const std::string first = encode_png(frames[0].image, text);
  std::string bytes = first.substr(0, kSignatureSize);
  uint32_t sequence = 0;
  bool has_pixels = false;
  for (const Chunk& part : chunks_of(first)) {
    if (part.type == "IEND") break;
    if (part.type == "IDAT" && !std::exchange(has_pixels, true)) {
      bytes += chunk("acTL", big_endian(frames.size(), 4) + big_endian(0, 4));  // 0: for ever
      bytes += frame_control(sequence++, frames[0]);
    }
    bytes += part.all;
  }
  for (size_t i = 1; i < frames.size(); ++i) {
    bytes += frame_control(sequence++, frames[i]);
    const std::string png = encode_png(frames[i].image);
    for (const Chunk& part : chunks_of(png)) {
      if (part.type != "IDAT") continue;
      bytes += chunk("fdAT", big_endian(sequence++, 4).append(part.data));
    }
  }
  return bytes + chunk("IEND", "");
}

namespace {

/// fcTL: where a frame stands on the canvas, and what becomes of it.
struct FrameControl {
  int64_t width, height, x, y;
  enum Disposal : uint8_t { none, background, previous } disposal;
  bool over;  // what is transparent shows what was there; else it replaces it
};

FrameControl read_control(std::string_view data, const Image& canvas, const std::string& name) {
  if (data.size() != 26) damaged(name, "expected 26 bytes of fcTL");
  const auto disposal = static_cast<uint8_t>(data[24]), blend = static_cast<uint8_t>(data[25]);
  const FrameControl control{.width = number(data, 4),
                             .height = number(data, 8),
                             .x = number(data, 12),
                             .y = number(data, 16),
                             .disposal = static_cast<FrameControl::Disposal>(disposal),
                             .over = blend == 1};
  if (control.width < 1 || control.height < 1 || control.x + control.width > canvas.width ||
      control.y + control.height > canvas.height || disposal > 2 || blend > 1) {
    damaged(name, "a frame does not lie within the picture");
  }
  return control;
}

/// Puts frames over each other, over white as decode_png does.
class Canvas {
 public:
  explicit Canvas(const Image& size) : image_(size) {
    std::ranges::fill(image_.pixels, uint8_t{255});
  }

  /// What is seen with the frame on it.
  Image put(const Png& frame, FrameControl control) {
    const Image before = image_;
    const auto channels = static_cast<size_t>(image_.channels);
    each_pixel(control, [&](size_t at, size_t from) {
      const int through =  // of what was there, where the frame has white already
          control.over && !frame.alpha.pixels.empty() ? 255 - frame.alpha.pixels[from] : 0;
      for (size_t c = 0; c < channels; ++c) {
        uint8_t& value = image_.pixels[at * channels + c];
        const int darker = (through * (255 - value) + 127) / 255;
        value = static_cast<uint8_t>(std::max(0, frame.image.pixels[from * channels + c] - darker));
      }
    });
    Image seen = image_;
    if (control.disposal == FrameControl::previous) image_ = before;
    if (control.disposal == FrameControl::background) {
      each_pixel(control, [&](size_t at, size_t) {
        std::fill_n(image_.pixels.begin() + static_cast<std::ptrdiff_t>(at * channels), channels,
                    uint8_t{255});
      });
    }
    return seen;
  }

 private:
  /// Of a frame: places on the canvas and in the frame.
  template <class Use>
  void each_pixel(const FrameControl& control, Use use) const {
    for (int64_t y = 0; y < control.height; ++y) {
      for (int64_t x = 0; x < control.width; ++x) {
        use(static_cast<size_t>((control.y + y) * image_.width + control.x + x),
            static_cast<size_t>(y * control.width + x));
      }
    }
  }

  Image image_;
};

}  // namespace

std::vector<Image> decode_apng(std::string_view bytes, const std::string& name,
                               int64_t max_pixels) {
  const Png still = decode_png(bytes, name, max_pixels);  // checks every chunk
  const int64_t pixels = still.image.width * still.image.height;
  const auto chunks = chunks_of(bytes);
  std::string shared;  // by all frames: what their numbers mean
  const std::string end = chunk("IEND", "");
  uint32_t sequence = 0, expected = 0;
  Canvas canvas(still.image);
  std::vector<Image> frames;
  std::optional<FrameControl> control;  // of the frame that is being gathered
  std::string data;                     // its pixels; of the first frame those of the still
  bool is_still = false, moves = false, has_pixels = false;
  const auto finish = [&] {
    if (!control) return;
    const std::string size = big_endian(static_cast<uint64_t>(control->width), 4) +
                             big_endian(static_cast<uint64_t>(control->height), 4);
    const std::string png = std::string(bytes.substr(0, kSignatureSize)) +
                            chunk("IHDR", size + std::string(chunks[0].data.substr(8))) + shared +
                            data + end;
    frames.push_back(canvas.put(
        is_still ? still : decode_png(png, concat(name, ", frame ", frames.size()), max_pixels),
        *control));
    control.reset();
    data.clear();
  };
  for (const Chunk& part : chunks) {
    if (part.type == "acTL") {
      if (part.data.size() != 8) damaged(name, "expected 8 bytes of acTL");
      moves = true;
      expected = number(part.data, 0);
      if (expected < 1 || expected > max_pixels / pixels) {
        damaged(name, concat("expected 1 to ", max_pixels / pixels, " frames of ", pixels,
                             " pixels, found ", expected));
      }
    }
    if (part.type == "PLTE" || part.type == "tRNS") shared += part.all;
    has_pixels = has_pixels || part.type == "IDAT";
    if (part.type != "fcTL" && part.type != "fdAT") continue;
    if (!moves || part.data.size() < 4 || number(part.data, 0) != sequence++) {
      damaged(name, concat("its frames are not in order at chunk ", sequence));
    }
    if (part.type == "fdAT") {
      if (!control || is_still) damaged(name, "pixels before their frame");
      data += chunk("IDAT", part.data.substr(4));
      continue;
    }
    finish();
    if (frames.size() == expected) damaged(name, concat("more than its ", expected, " frames"));
    control = read_control(part.data, still.image, name);
    is_still = !has_pixels;
    if (is_still && (control->width != still.image.width || control->height != still.image.height))
      damaged(name, "expected a first frame of the picture's size");
  }
  if (!moves) return {still.image};
  finish();
  if (frames.size() != expected) {
    damaged(name, concat("expected ", expected, " frames, found ", frames.size()));
  }
  return frames;
}

namespace {

constexpr size_t kGifBlock = 255;  // bytes of a sub-block at most

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
  if (!comment.empty()) {
    bytes += "\x21\xFE";
    for (size_t at = 0; at < comment.size(); at += kGifBlock) {
      const std::string block = comment.substr(at, kGifBlock);
      bytes += static_cast<char>(block.size()) + block;
    }
    bytes += '\0';
  }
  return bytes + '\x3B';
}

std::string read_gif_comment(std::string_view gif) {
  if (!gif.starts_with("GIF89a")) return "";
  std::string_view rest = gif;
  const auto take = [&](size_t count) {  // nothing where the file ends before
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(std::min(count, rest.size()));
    return taken.size() == count ? taken : std::string_view();
  };
  const auto skip_table = [&](std::string_view flags) {
    if (!flags.empty() && flags[0] & 0x80) take(size_t{3} << ((flags[0] & 7) + 1));
  };
  const auto take_blocks = [&] {
    std::string all;
    for (std::string_view size = take(1); !size.empty() && size[0] != 0; size = take(1)) {
      all += take(static_cast<uint8_t>(size[0]));
    }
    return all;
  };
  take(10);  // signature, width, height
  skip_table(take(1));
  take(2);
  std::string comment;
  for (std::string_view kind = take(1); !kind.empty() && kind[0] != '\x3B'; kind = take(1)) {
    if (kind[0] == '\x21') {
      const std::string_view label = take(1);
      const std::string blocks = take_blocks();
      if (label == "\xFE") comment += blocks;
    } else {
      take(8);  // place and size of a frame
      skip_table(take(1));
      take(1);  // bits of the smallest codes
      take_blocks();
    }
  }
  return comment;
}

}  // namespace genai
