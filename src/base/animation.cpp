#include "genai/base/animation.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr size_t kSignatureSize = 8;

void check_frames(const std::vector<Frame>& frames, const char* where) {
  constexpr int64_t kShortest = 20, kLongest = 65535;   // shorter ones are slowed down by browsers
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
  std::string_view type, data, all;   // `all` with length and CRC
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
                           big_endian(static_cast<uint64_t>(image.height), 4) +
                           big_endian(0, 4) + big_endian(0, 4) +   // offsets
                           big_endian(static_cast<uint64_t>(frame.milliseconds), 2) +
                           big_endian(kPerSecond, 2) + std::string(2, '\0'));
}

[[noreturn]] void damaged(const std::string& name, const std::string& why) {
  fail(ErrorKind::data, "cannot read APNG ", name, ": ", why, "; get or make the file again");
}

// ---- GIF (https://www.w3.org/Graphics/GIF/spec-gif89a.txt)

std::string little_endian(int64_t value) {   // 16 bits
  return {static_cast<char>(value & 0xFF), static_cast<char>(value >> 8 & 0xFF)};
}

constexpr int kReds = 6, kGreens = 7, kBlues = 6;

std::string grey_palette() {
  std::string palette;
  for (int value = 0; value < 256; ++value) palette.append(3, static_cast<char>(value));
  return palette;
}

std::string colour_palette() {
  std::string palette;
  const auto level = [](int i, int count) {
    return static_cast<char>((255 * i + (count - 1) / 2) / (count - 1));
  };
  for (int r = 0; r < kReds; ++r) {
    for (int g = 0; g < kGreens; ++g) {
      for (int b = 0; b < kBlues; ++b) {
        palette += {level(r, kReds), level(g, kGreens), level(b, kBlues)};
      }
    }
  }
  palette.resize(3 * 256, '\0');
  return palette;
}

/// Each pixel's place in the palette.
std::vector<uint8_t> palette_indices(const Image& image) {
  if (image.channels == 1) return image.pixels;
  const auto nearest = [](int value, int count) { return (value * (count - 1) + 127) / 255; };
  std::vector<uint8_t> indices(image.pixels.size() / 3);
  for (size_t i = 0; i < indices.size(); ++i) {
    const uint8_t* p = &image.pixels[3 * i];
    indices[i] = static_cast<uint8_t>(
        (nearest(p[0], kReds) * kGreens + nearest(p[1], kGreens)) * kBlues + nearest(p[2], kBlues));
  }
  return indices;
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
      bytes += chunk("acTL", big_endian(frames.size(), 4) + big_endian(0, 4));   // 0: for ever
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

std::vector<Image> decode_apng(std::string_view bytes, const std::string& name,
                               int64_t max_pixels) {
  std::vector<Image> frames{decode_png(bytes, name, max_pixels).image};   // checks every chunk
  const int64_t pixels = frames[0].width * frames[0].height;
  const auto chunks = chunks_of(bytes);
  const std::string start = std::string(bytes.substr(0, kSignatureSize)).append(chunks[0].all);
  const std::string end = chunk("IEND", "");
  uint32_t sequence = 0, expected = 1;
  std::string png;   // the frame that is being gathered
  const auto finish = [&] {
    if (png.empty()) return;
    const std::string frame_name = concat(name, ", frame ", frames.size());
    frames.push_back(decode_png(png + end, frame_name, max_pixels).image);
    png.clear();
  };
  bool moves = false, has_pixels = false;
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
    has_pixels = has_pixels || part.type == "IDAT";
    if (part.type != "fcTL" && part.type != "fdAT") continue;
    if (!moves || part.data.size() < 4 || number(part.data, 0) != sequence++) {
      damaged(name, concat("its frames are not in order at chunk ", sequence));
    }
    if (part.type == "fdAT") {
      if (png.empty()) damaged(name, "pixels before their frame");
      png += chunk("IDAT", part.data.substr(4));
      continue;
    }
    finish();
    const Image& whole = frames[0];
    if (part.data.size() != 26 || number(part.data, 4) != whole.width ||
        number(part.data, 8) != whole.height || number(part.data, 12) != 0 ||
        number(part.data, 16) != 0) {
      damaged(name, "expected whole frames");
    }
    if (has_pixels) {
      if (frames.size() == expected) damaged(name, concat("more than its ", expected, " frames"));
      png = start;
    }
  }
  finish();
  if (frames.size() != expected) {
    damaged(name, concat("expected ", expected, " frames, found ", frames.size()));
  }
  return frames;
}

std::string encode_gif(const std::vector<Frame>& frames) {
  check_frames(frames, "cannot write GIF");
  constexpr int64_t kMaxSide = 65535;
  const auto& [width, height, channels, pixels] = frames[0].image;
  if (width > kMaxSide || height > kMaxSide) {
    fail(ErrorKind::usage, "cannot write GIF: expected at most ", kMaxSide,
         " pixels a side, found ", width, " x ", height);
  }
  const std::string size = little_endian(width) + little_endian(height);
  std::string bytes = "GIF89a" + size;
  bytes += {'\xF7', '\0', '\0'};   // a palette of 256 colours with 8 bits each for all frames
  bytes += channels == 1 ? grey_palette() : colour_palette();
  bytes += std::string("\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0", 19);   // for ever
  for (const auto& [image, milliseconds] : frames) {
    constexpr char kKeep = 1 << 2;   // disposal: the next frame covers this one
    bytes += {'\x21', '\xF9', '\x04', kKeep};
    bytes += little_endian((milliseconds + 5) / 10) + std::string(2, '\0');
    bytes += '\x2C' + little_endian(0) + little_endian(0) + size + '\0';
    bytes += '\x08' + compress(palette_indices(image));   // 8 bits an index
  }
  return bytes + '\x3B';
}

}  // namespace genai
