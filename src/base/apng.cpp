// APNG: https://www.w3.org/TR/png-3/#apng-frame-based-animation
#include <zlib.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "frames-inl.h"

namespace genai {
namespace {

constexpr size_t kSignatureSize = 8;

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

}  // namespace genai
