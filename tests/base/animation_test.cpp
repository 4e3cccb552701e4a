#include "genai/base/animation.h"

#include <zlib.h>

#include <map>

#include "temp_folder.h"

namespace genai {
namespace {

using Pixels = std::vector<uint8_t>;

/// Noise, with long runs of one value where `smooth`.
Image picture(int64_t width, int64_t height, int64_t channels, uint32_t seed, bool smooth = false) {
  Image image{width, height, channels, Pixels(static_cast<size_t>(width * height * channels))};
  for (uint8_t& value : image.pixels) {
    seed = seed * 1664525 + 1013904223;
    value = smooth && seed >> 28 ? (&value > image.pixels.data() ? *(&value - 1) : uint8_t{7})
                                 : static_cast<uint8_t>(seed >> 24);
  }
  return image;
}

std::vector<Frame> film(int64_t width, int64_t height, int64_t channels, int count) {
  std::vector<Frame> frames;
  for (int i = 0; i < count; ++i) {
    const bool smooth = i % 2 == 1;
    frames.push_back({.image = picture(width, height, channels, static_cast<uint32_t>(i), smooth),
                      .milliseconds = 100 + 10 * i});
  }
  return frames;
}

const std::vector<PngText> kTexts = {{"parameters", "steps 10", false}, {"genai", "{}", true}};

// ---- APNG, read without any of our code

uint32_t number(const std::string& bytes, size_t at, size_t size = 4) {
  uint32_t value = 0;
  for (size_t i = at; i < at + size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

struct Chunk {
  std::string type, data;
};

std::vector<Chunk> chunks_of(const std::string& file) {
  std::vector<Chunk> chunks;
  for (size_t at = 8; at < file.size();) {
    const size_t length = number(file, at);
    const std::string body = file.substr(at + 4, length + 4);
    EXPECT_EQ(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())),
              number(file, at + 8 + length))
        << body.substr(0, 4);
    chunks.push_back({body.substr(0, 4), body.substr(4)});
    at += length + 12;
  }
  return chunks;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const uLong crc =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  std::string bytes;
  for (const uLong value : {static_cast<uLong>(data.size()), crc}) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  }
  return bytes.substr(0, 4) + body + bytes.substr(4);
}

/// A frame's pixels from its stream: rows of filter none (grey) or Paeth (colour).
Pixels unpack(const std::string& stream, const Image& like) {
  const auto row = static_cast<size_t>(like.width * like.channels);
  std::string raw(static_cast<size_t>(like.height) * (row + 1), '\0');
  uLongf size = raw.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(raw.data()), &size,
                       reinterpret_cast<const Bytef*>(stream.data()), stream.size()),
            Z_OK);
  EXPECT_EQ(size, raw.size());
  const auto step = static_cast<size_t>(like.channels);
  Pixels pixels;
  for (size_t y = 0; y < static_cast<size_t>(like.height); ++y) {
    const int filter = static_cast<unsigned char>(raw[y * (row + 1)]);
    EXPECT_TRUE(filter == 0 || filter == 4) << filter;
    for (size_t x = 0; x < row; ++x) {
      const auto found = [&](size_t back, size_t up) {
        return x < back || y < up ? 0 : int{pixels[(y - up) * row + x - back]};
      };
      const int a = found(step, 0), b = found(0, 1), c = found(step, 1), p = a + b - c;
      int base = std::abs(p - a) <= std::abs(p - b) && std::abs(p - a) <= std::abs(p - c) ? a
                 : std::abs(p - b) <= std::abs(p - c)                                     ? b
                                                                                          : c;
      if (filter == 0) base = 0;
      pixels.push_back(static_cast<uint8_t>(raw[y * (row + 1) + 1 + x] + base));
    }
  }
  return pixels;
}

TEST(Apng, HoldsEveryFrame) {
  for (const int64_t channels : {1, 3}) {
    for (const auto& [w, h] : {std::pair<int64_t, int64_t>{1, 1}, {7, 5}, {150, 110}}) {
      const auto frames = film(w, h, channels, 4);
      const auto chunks = chunks_of(encode_apng(frames, kTexts));
      std::string order, stream;
      uint32_t sequence = 0;
      std::vector<Pixels> found;
      std::vector<uint32_t> times;
      const auto finish = [&] {
        if (!stream.empty()) found.push_back(unpack(stream, frames[0].image));
        stream.clear();
      };
      for (const auto& [type, data] : chunks) {
        if (order.size() < 4 || order.substr(order.size() - 4) != type) order += type;
        if (type == "acTL") {
          EXPECT_EQ(number(data, 0), 4u);
          EXPECT_EQ(number(data, 4), 0u);  // for ever
        }
        if (type == "fcTL" || type == "fdAT") {
          EXPECT_EQ(number(data, 0), sequence++);
        }
        if (type == "fcTL") {
          finish();
          ASSERT_EQ(data.size(), 26u);
          EXPECT_EQ(number(data, 4), w);
          EXPECT_EQ(number(data, 8), h);
          EXPECT_EQ(number(data, 12), 0u);
          EXPECT_EQ(number(data, 16), 0u);
          EXPECT_EQ(number(data, 22, 2), 1000u);
          times.push_back(number(data, 20, 2));
        }
        if (type == "IDAT") stream += data;
        if (type == "fdAT") stream += data.substr(4);
      }
      finish();
      EXPECT_EQ(order, "IHDRtEXtiTXtacTLfcTLIDATfcTLfdATfcTLfdATfcTLfdATIEND");
      ASSERT_EQ(found.size(), 4u);
      for (size_t i = 0; i < 4; ++i) EXPECT_EQ(found[i], frames[i].image.pixels) << i;
      EXPECT_EQ(times, (std::vector<uint32_t>{100, 110, 120, 130}));
    }
  }
}

TEST(Apng, IsAPngOfItsFirstFrame) {
  const auto frames = film(9, 4, 3, 3);
  const Png png = decode_png(encode_apng(frames, kTexts), "x");
  EXPECT_EQ(png.image, frames[0].image);
  EXPECT_EQ(png.text, kTexts);
}

TEST(Apng, RoundTrip) {
  for (const int64_t channels : {1, 3}) {
    const auto frames = film(120, 90, channels, 5);
    const auto found = decode_apng(encode_apng(frames), "x.png");
    ASSERT_EQ(found.size(), 5u);
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(found[i], frames[i].image);
  }
  const Image still = picture(5, 6, 1, 1);
  EXPECT_EQ(decode_apng(encode_apng({{still}}), "x"), std::vector<Image>{still});
  EXPECT_EQ(decode_apng(encode_png(still), "x"), std::vector<Image>{still});
  EXPECT_EQ(encode_apng(film(20, 20, 3, 3), kTexts), encode_apng(film(20, 20, 3, 3), kTexts));
}

TEST(Apng, ADamagedOneGivesNoPictures) {
  const std::string file = encode_apng(film(4, 3, 1, 3));
  const auto refuse = [](const std::string& bytes, const char* part, int64_t max_pixels = 1000,
                         int line = __builtin_LINE()) {
    SCOPED_TRACE(line);
    expect_error(ErrorKind::data, part, [&] { decode_apng(bytes, "x.png", max_pixels); });
  };
  for (size_t size = 0; size < file.size(); ++size) refuse(file.substr(0, size), "x.png");
  for (size_t byte = 0; byte < file.size(); ++byte) {
    std::string broken = file;
    broken[byte] = static_cast<char>(broken[byte] ^ 4);
    refuse(broken, "x.png");
  }
  refuse(file, "expected 1 to 2 frames", 35);
  // Chunks that are right one by one.
  const auto chunks = chunks_of(file);  // IHDR acTL fcTL IDAT fcTL fdAT fcTL fdAT IEND
  ASSERT_EQ(chunks.size(), 9u);
  const auto with = [&](const std::vector<size_t>& order,
                        const std::map<size_t, std::string>& changed = {}) {
    std::string bytes = file.substr(0, 8);
    for (const size_t i : order) {
      bytes += chunk(chunks[i].type, changed.count(i) ? changed.at(i) : chunks[i].data);
    }
    return bytes;
  };
  const std::vector<size_t> all{0, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(decode_apng(with(all), "x").size(), 3u);
  refuse(with({0, 1, 2, 3, 4, 5, 8}), "expected 3 frames, found 2");
  refuse(with({0, 1, 2, 3, 6, 7, 4, 5, 8}), "not in order");
  refuse(with({0, 2, 3, 4, 5, 6, 7, 8}), "not in order");  // no acTL
  refuse(with(all, {{1, std::string(8, '\0')}}), "found 0");
  refuse(with(all, {{1, std::string("\0\0\0\2\0\0\0\0", 8)}}), "more than its 2 frames");
  refuse(with(all, {{1, "x"}}), "acTL");
  std::string part = chunks[4].data;
  part[7] = 5;  // wider
  refuse(with(all, {{4, part}}), "within the picture");
  part[7] = 3;  // narrower than its pixels
  refuse(with(all, {{4, part}}), "frame 1");
  part = chunks[2].data;
  part[7] = 3;
  refuse(with(all, {{2, part}}), "first frame of the picture's size");
  refuse(with(all, {{5, chunks[5].data.substr(0, 9)}}), "frame 1");
}

/// Frames that are parts of the picture, put over or in the place of what was there, and taken away
/// again or not: what browsers show (https://www.w3.org/TR/png-3/#11fcTL).
TEST(Apng, PartsArePutTogether) {
  struct Part {
    int64_t x, y;
    uint8_t value;
    char disposal, blend;
  };
  const auto words = [](std::initializer_list<int64_t> numbers) {
    std::string bytes;
    for (const int64_t n : numbers) bytes += std::string{0, 0, 0, static_cast<char>(n)};
    return bytes;
  };
  const auto film_of = [&](const std::vector<Part>& parts) {
    const std::string still = encode_png(Image{4, 2, 1, Pixels(8, 100)});
    std::string bytes = still.substr(0, 8);
    int64_t sequence = 0;
    const auto control = [&](int64_t w, int64_t h, int64_t x, int64_t y, char disposal,
                             char blend) {
      return chunk("fcTL", words({sequence++, w, h, x, y}) + std::string{0, 1, 0, 10} +
                               std::string{disposal, blend});
    };
    for (const auto& [type, data] : chunks_of(still)) {
      if (type == "IEND") break;
      if (type == "IDAT") {
        bytes += chunk("acTL", words({static_cast<int64_t>(parts.size()) + 1, 0}));
        bytes += control(4, 2, 0, 0, 0, 0);
      }
      bytes += chunk(type, data);
    }
    for (const Part& part : parts) {
      bytes += control(1, 1, part.x, part.y, part.disposal, part.blend);
      for (const auto& [type, data] : chunks_of(encode_png(Image{1, 1, 1, {part.value}})))
        if (type == "IDAT") bytes += chunk("fdAT", words({sequence++}) + data);
    }
    return bytes + chunk("IEND", "");
  };
  const auto found = decode_apng(
      film_of({{1, 0, 10, 0, 0}, {2, 1, 20, 1, 1}, {3, 0, 30, 2, 0}, {0, 0, 40, 0, 0}}), "x");
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0].pixels, Pixels(8, 100));
  EXPECT_EQ(found[1].pixels, (Pixels{100, 10, 100, 100, 100, 100, 100, 100}));
  EXPECT_EQ(found[2].pixels, (Pixels{100, 10, 100, 100, 100, 100, 20, 100}));
  EXPECT_EQ(found[3].pixels, (Pixels{100, 10, 100, 30, 100, 100, 255, 100}));  // 20: cleared
  EXPECT_EQ(found[4].pixels, (Pixels{40, 10, 100, 100, 100, 100, 255, 100}));  // 30: as before
}

// ---- GIF, read by a decoder of its own

struct Gif {
  int64_t width = 0, height = 0;
  std::string palette;
  bool loops = false;
  std::vector<Pixels> frames;         // indices
  std::vector<std::string> palettes;  // of each frame: its own, or that of all
  std::vector<int> times;             // 1/100 s
};

class GifReader {
 public:
  explicit GifReader(std::string bytes) : bytes_(std::move(bytes)) {}

  Gif read() {
    Gif gif;
    EXPECT_EQ(take(6), "GIF89a");
    gif.width = word();
    gif.height = word();
    const int flags = byte();
    EXPECT_EQ(flags & 0x77, flags & 0x80 ? 0x77 : 0x70);
    take(2);
    if (flags & 0x80) gif.palette = take(3 * 256);
    for (;;) {
      const int kind = byte();
      if (kind == 0x3B) break;
      if (kind == 0x21) {
        const int label = byte();
        const std::string content = blocks();
        if (label == 0xFF) gif.loops = content == std::string("NETSCAPE2.0\x01\0\0", 14);
        if (label == 0xF9) {
          EXPECT_EQ(content.size(), 4u);
          EXPECT_EQ(content[0] & 1, 0);  // no transparency
          gif.times.push_back(static_cast<unsigned char>(content[1]) |
                              static_cast<unsigned char>(content[2]) << 8);
        }
        continue;
      }
      EXPECT_EQ(kind, 0x2C);
      if (kind != 0x2C) break;
      EXPECT_EQ(word() + word(), 0);
      EXPECT_EQ(word(), gif.width);
      EXPECT_EQ(word(), gif.height);
      const int own = byte();
      EXPECT_EQ(own, gif.palette.empty() ? 0x87 : 0);
      gif.palettes.push_back(own ? take(3 * 256) : gif.palette);
      const int bits = byte();
      gif.frames.push_back(unpack(blocks(), bits));
    }
    EXPECT_EQ(at_, bytes_.size());
    return gif;
  }

 private:
  std::string take(size_t size) { return bytes_.substr(std::exchange(at_, at_ + size), size); }
  int byte() { return static_cast<unsigned char>(bytes_.at(at_++)); }
  int word() {
    const int low = byte();
    return low | byte() << 8;
  }
  std::string blocks() {
    std::string text;
    while (const int size = byte()) text += take(static_cast<size_t>(size));
    return text;
  }

  /// As the GIF89a specification's appendix F tells it, with strings for the table.
  static Pixels unpack(const std::string& data, int bits) {
    const int clear = 1 << bits, end = clear + 1;
    std::vector<std::string> table;
    const auto reset = [&] {
      table.clear();
      for (int i = 0; i < clear; ++i) table.emplace_back(1, static_cast<char>(i));
      table.resize(static_cast<size_t>(clear) + 2);
    };
    std::string pixels, last;
    int width = bits + 1;
    size_t position = 0;
    for (;;) {
      int code = 0;
      for (int i = 0; i < width; ++i, ++position) {
        if (position / 8 >= data.size()) {
          ADD_FAILURE() << "no end code";
          return {};
        }
        code |= (data[position / 8] >> position % 8 & 1) << i;
      }
      if (code == end) break;
      if (code == clear) {
        reset();
        width = bits + 1;
        last.clear();
        continue;
      }
      const auto place = static_cast<size_t>(code);
      std::string found;
      if (place < table.size()) {
        found = table[place];
      } else if (place == table.size() && !last.empty()) {
        found = last + last[0];
      } else {
        ADD_FAILURE() << "code " << code << " of " << table.size();
        return {};
      }
      pixels += found;
      if (!last.empty() && table.size() < 4096) {
        table.push_back(last + found[0]);
        if (table.size() == size_t{1} << width && width < 12) ++width;
      }
      last = found;
    }
    EXPECT_LE(data.size() * 8 - position, 7u);
    return {pixels.begin(), pixels.end()};
  }

  std::string bytes_;
  size_t at_ = 0;
};

TEST(Gif, KeepsGreyPictures) {
  // Sizes around those where codes grow by a bit, and beyond those where the table is full.
  std::vector<int64_t> widths{1, 2, 3, 7, 300, 5000, 40000};
  for (int64_t w = 250; w < 260; ++w) widths.push_back(w);
  for (int64_t w = 764; w < 772; ++w) widths.push_back(w);
  for (int64_t w = 3830; w < 3850; ++w) widths.push_back(w);
  for (const int64_t w : widths) {
    const auto frames = film(w, 1, 1, 2);
    const Gif gif = GifReader(encode_gif(frames)).read();
    ASSERT_EQ(gif.frames.size(), 2u);
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(gif.frames[i], frames[i].image.pixels) << w;
  }
  const Image flat{400, 300, 1, Pixels(400 * 300, 9)};
  EXPECT_EQ(GifReader(encode_gif({{flat}})).read().frames[0], flat.pixels);
}

TEST(Gif, PlaysForEverWithItsTimes) {
  auto frames = film(6, 5, 1, 3);
  frames[0].milliseconds = 20;
  frames[1].milliseconds = 146;
  frames[2].milliseconds = 65535;
  const Gif gif = GifReader(encode_gif(frames)).read();
  EXPECT_EQ(gif.width, 6);
  EXPECT_EQ(gif.height, 5);
  EXPECT_TRUE(gif.loops);
  EXPECT_EQ(gif.times, (std::vector<int>{2, 15, 6554}));
  for (size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(static_cast<unsigned char>(gif.palette[3 * i]), i);
    EXPECT_EQ(gif.palette[3 * i], gif.palette[3 * i + 2]);
  }
  EXPECT_EQ(encode_gif(frames), encode_gif(frames));
}

/// What a program shows of a frame.
Pixels shown(const Gif& gif, size_t frame) {
  Pixels pixels;
  for (const size_t index : gif.frames.at(frame)) {
    for (size_t c = 0; c < 3; ++c) {
      pixels.push_back(static_cast<uint8_t>(gif.palettes.at(frame).at(3 * index + c)));
    }
  }
  return pixels;
}

/// 40 x 30: a ramp of greys above, a plane of colours below.
Image ramps(int blue) {
  Image image{40, 30, 3, {}};
  for (int y = 0; y < 30; ++y) {
    for (int x = 0; x < 40; ++x) {
      const auto grey = static_cast<uint8_t>(6 * x);
      if (y < 15) image.pixels.insert(image.pixels.end(), 3, grey);
      if (y >= 15) {
        image.pixels.insert(image.pixels.end(),
                            {grey, static_cast<uint8_t>(8 * y), static_cast<uint8_t>(blue)});
      }
    }
  }
  return image;
}

TEST(Gif, FewColoursAreExact) {
  const Image corners{4, 1, 3, {0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 255}};
  const Image others{4, 1, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9, 128, 128, 128}};
  const Gif both = GifReader(encode_gif({{corners}, {others}})).read();
  EXPECT_FALSE(both.palette.empty());
  EXPECT_EQ(shown(both, 0), corners.pixels);
  EXPECT_EQ(shown(both, 1), others.pixels);
  // 200 colours in each of two frames: a palette each.
  std::vector<Frame> frames(2);
  for (size_t f = 0; f < 2; ++f) {
    frames[f].image = {200, 1, 3, {}};
    for (int i = 0; i < 200; ++i) {
      const auto value = static_cast<uint8_t>(i);
      frames[f].image.pixels.insert(frames[f].image.pixels.end(),
                                    {value, 10, f == 0 ? value : uint8_t{77}});
    }
  }
  const Gif own = GifReader(encode_gif(frames)).read();
  EXPECT_TRUE(own.palette.empty());
  for (size_t f = 0; f < 2; ++f) EXPECT_EQ(shown(own, f), frames[f].image.pixels);
}

TEST(Gif, ManyColoursAreNearAndGreysStayGrey) {
  const std::vector<Frame> frames{{ramps(200)}, {ramps(0)}, {picture(60, 50, 3, 4)}};
  for (const Frame& frame : frames) {
    const std::string file = encode_gif({frame});
    EXPECT_EQ(encode_gif({frame}), file);
    const Pixels seen = shown(GifReader(file).read(), 0), &wanted = frame.image.pixels;
    ASSERT_EQ(seen.size(), wanted.size());
    const bool noise = frame.image.width == 60;
    double sum = 0;
    for (size_t i = 0; i < wanted.size(); i += 3) {
      for (size_t c = 0; c < 3; ++c) {
        const int difference = std::abs(seen[i + c] - wanted[i + c]);
        EXPECT_LE(difference, noise ? 90 : 25) << i;
        sum += difference;
      }
      if (wanted[i] != wanted[i + 1] || wanted[i] != wanted[i + 2]) continue;
      EXPECT_EQ(seen[i], seen[i + 1]) << i;
      EXPECT_EQ(seen[i], seen[i + 2]) << i;
      EXPECT_LE(std::abs(seen[i] - wanted[i]), 4) << i;
    }
    EXPECT_LE(sum / static_cast<double>(wanted.size()), noise ? 20 : 5);
  }
}

TEST(Animations, RefuseTheImpossible) {
  const auto refuse = [](const std::vector<Frame>& frames, const char* part) {
    expect_error(ErrorKind::usage, part, [&] { encode_apng(frames); });
    expect_error(ErrorKind::usage, part, [&] { encode_gif(frames); });
  };
  const Image image = picture(3, 2, 1, 1);
  refuse({}, "at least one frame");
  refuse({{image}, {picture(2, 3, 1, 1)}}, "one size");
  refuse({{image}, {picture(3, 2, 3, 1)}}, "one size");
  refuse({{image}, {Image{3, 2, 1, Pixels(5)}}}, "expected a grey or RGB image");
  refuse({{image, 19}}, "found 19");
  refuse({{image, 65536}}, "found 65536");
  refuse({{image, -5}}, "found -5");
  expect_error(ErrorKind::usage, "65535 pixels a side", [] {
    encode_gif({{Image{65536, 1, 1, Pixels(65536)}}});
  });
  expect_error(ErrorKind::usage, "keyword", [&] { encode_apng({{image}}, {{"", "v", false}}); });
}

TEST(Gif, HoldsAComment) {
  const Image image{.width = 3, .height = 2, .channels = 3, .pixels = std::vector<uint8_t>(18, 99)};
  const std::string comment = std::string(700, 'c') + "end";
  const std::string gif = encode_gif({{image}, {image}}, comment);
  EXPECT_EQ(read_gif_comment(gif), comment);
  EXPECT_EQ(GifReader(gif).read().frames.size(), 2u);
  EXPECT_EQ(read_gif_comment(encode_gif({{image}})), "");
  for (size_t length = 0; length < gif.size(); ++length) {
    EXPECT_LE(read_gif_comment(std::string_view(gif).substr(0, length)).size(), comment.size());
  }
}

}  // namespace
}  // namespace genai
