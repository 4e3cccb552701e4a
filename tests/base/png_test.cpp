#include "genai/base/png.h"

#include "png_file.h"
#include "temp_folder.h"

namespace genai {
namespace {

std::vector<uint8_t> pixels(const std::string& file, Ground ground = Ground::black) {
  return decode_png(file, "x", 1000, ground).image.pixels;
}
using Pixels = std::vector<uint8_t>;

Image sample(int64_t width, int64_t height, int64_t channels) {
  Image image{width, height, channels, Pixels(static_cast<size_t>(width * height * channels))};
  uint32_t state = 7;
  for (uint8_t& value : image.pixels)
    value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return image;
}

const std::vector<PngText> kPngTexts = {{"parameters", "steps 10, caf\xE9", false},
                                        {"genai", "{\"name\": \"café\"}", true},
                                        {"empty", "", false},
                                        {"empty too", "", true}};

TEST(Png, RoundTrip) {
  for (const int64_t channels : {1, 3}) {
    const std::pair<int, int> sizes[] = {{1, 1}, {7, 5}, {300, 2}, {1, 200}};
    for (const auto& [w, h] : sizes) {
      const Image image = sample(w, h, channels);
      const Png found = decode_png(encode_png(image, kPngTexts), "x.png");
      EXPECT_EQ(found.image, image);
      EXPECT_EQ(found.text, kPngTexts);
    }
  }
  EXPECT_TRUE(decode_png(encode_png(sample(2, 2, 1)), "x").text.empty());
}

TEST(Png, EqualInputsGiveEqualBytes) {
  const Image image = sample(20, 20, 3);
  EXPECT_EQ(encode_png(image, kPngTexts), encode_png(image, kPngTexts));
  EXPECT_EQ(encode_png(image).find("tIME"), std::string::npos);
  const std::string file = encode_png(image, kPngTexts);
  EXPECT_LT(file.find("iTXt"), file.find("IDAT"));
}

TEST(Png, EveryBitFlipIsFound) {
  const std::string file = encode_png(sample(5, 4, 3), kPngTexts);
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string broken = file;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    EXPECT_THROW(decode_png(broken, "x.png"), Error) << "bit " << bit;
  }
}

TEST(Png, EveryTruncationAndExtensionIsFound) {
  const std::string file = encode_png(sample(5, 4, 1), kPngTexts);
  for (size_t size = 0; size < file.size(); ++size)
    expect_error(ErrorKind::data, "x.png", [&] { decode_png(file.substr(0, size), "x.png"); });
  expect_error(ErrorKind::data, "1 more bytes", [&] { decode_png(file + "x", "x.png"); });
  expect_error(ErrorKind::data, "more bytes", [&] { decode_png(file + file, "x.png"); });
}

TEST(Png, SmallDepthsAndSixteenBits) {
  EXPECT_EQ(pixels(png_file(png_header(8, 1, 1, 0), bytes({0, 0b10100101}))),
            (Pixels{255, 0, 255, 0, 0, 255, 0, 255}));
  EXPECT_EQ(pixels(png_file(png_header(4, 1, 2, 0), bytes({0, 0b00011011}))),
            (Pixels{0, 85, 170, 255}));
  EXPECT_EQ(pixels(png_file(png_header(2, 1, 4, 0), bytes({0, 0x1F}))), (Pixels{17, 255}));
  const Png deep =
      decode_png(png_file(png_header(2, 1, 16, 0), bytes({0, 0x80, 0x80, 0x00, 0xFF})), "x");
  EXPECT_EQ(deep.image.channels, 1);
  EXPECT_EQ(deep.image.pixels, (Pixels{0x80, 1}));  // 0x00FF * 255 / 65535, rounded
  EXPECT_EQ(pixels(png_file(png_header(1, 1, 16, 2), bytes({0, 255, 255, 0, 0, 128, 128}))),
            (Pixels{255, 0, 128}));
}

TEST(Png, PaletteAndTransparency) {
  const std::string palette = png_chunk("PLTE", bytes({10, 20, 30, 200, 100, 50}));
  EXPECT_EQ(pixels(png_file(png_header(2, 1, 1, 3), bytes({0, 0b01000000}), palette)),
            (Pixels{10, 20, 30, 200, 100, 50}));
  EXPECT_EQ(pixels(png_file(png_header(2, 1, 8, 3), bytes({0, 1, 2}), palette)),  // outside: black
            (Pixels{200, 100, 50, 0, 0, 0}));
  EXPECT_EQ(pixels(png_file(png_header(2, 1, 1, 3), bytes({0, 0b01000000}),
                            palette + png_chunk("tRNS", bytes({255, 128})))),
            (Pixels{10, 20, 30, 100, 50, 25}));
  EXPECT_EQ(pixels(png_file(png_header(2, 1, 8, 4), bytes({0, 200, 255, 200, 0}))),
            (Pixels{200, 0}));
  EXPECT_EQ(pixels(png_file(png_header(1, 1, 8, 6), bytes({0, 255, 100, 0, 51}))),
            (Pixels{51, 20, 0}));
  EXPECT_EQ(
      pixels(png_file(png_header(2, 1, 8, 0), bytes({0, 9, 8}), png_chunk("tRNS", bytes({0, 9})))),
      (Pixels{0, 8}));
}

TEST(Png, TransparencyOverWhiteIsKeptBesideThePicture) {
  const std::string file =
      png_file(png_header(3, 1, 8, 6), bytes({0, 0, 0, 0, 255, 0, 0, 0, 0, 200, 100, 50, 128}));
  EXPECT_EQ(pixels(file, Ground::white), (Pixels{0, 0, 0, 255, 255, 255, 227, 177, 152}));
  const Png found = decode_png(file, "x");
  EXPECT_EQ(found.image.pixels, pixels(file, Ground::white));
  EXPECT_EQ(found.alpha, (Image{3, 1, 1, {255, 0, 128}}));
  EXPECT_TRUE(
      decode_png(png_file(png_header(1, 1, 8, 4), bytes({0, 9, 255})), "x").alpha.pixels.empty());
}

TEST(Png, SaysHighestValueAndOrientation) {
  EXPECT_EQ(
      decode_png(png_file(png_header(2, 1, 16, 0), bytes({0, 0x0F, 0xFF, 0, 1})), "x").highest,
      4095);
  EXPECT_EQ(
      decode_png(png_file(png_header(1, 1, 16, 4), bytes({0, 0, 9, 0xFF, 0xFF})), "x").highest, 9);
  EXPECT_EQ(decode_png(png_file(png_header(1, 1, 8, 0), bytes({0, 255})), "x").highest, -1);
  const std::string exif = png_chunk(
      "eXIf", "MM" + bytes({0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0}));
  EXPECT_EQ(decode_png(png_file(png_header(1, 1, 8, 0), bytes({0, 255}), exif), "x").orientation,
            6);
  EXPECT_EQ(decode_png(png_file(png_header(1, 1, 8, 0), bytes({0, 255})), "x").orientation, 1);
}

TEST(Png, Interlaced) {  // Adam7: pixels (x, y) = 16 y + x
  std::string raw;
  const int start_x[] = {0, 4, 0, 2, 0, 1, 0}, step_x[] = {8, 8, 4, 4, 2, 2, 1};
  const int start_y[] = {0, 0, 4, 0, 2, 0, 1}, step_y[] = {8, 8, 8, 4, 4, 2, 2};
  for (int pass = 0; pass < 7; ++pass) {
    for (int y = start_y[pass]; y < 9; y += step_y[pass]) {
      raw += '\0';
      for (int x = start_x[pass]; x < 10; x += step_x[pass]) raw += static_cast<char>(16 * y + x);
    }
  }
  const Pixels found = pixels(png_file(png_header(10, 9, 8, 0, 1), raw));
  ASSERT_EQ(found.size(), 90u);
  for (int i = 0; i < 90; ++i) EXPECT_EQ(found[static_cast<size_t>(i)], 16 * (i / 10) + i % 10);
}

TEST(Png, SizeIsCheckedBeforeAllocating) {
  const std::string raw = bytes({0, 1});
  expect_error(ErrorKind::data, "found 16777216 x 16777216",
               [&] { decode_png(png_file(png_header(1 << 24, 1 << 24, 8, 0), raw), "x.png"); });
  expect_error(ErrorKind::data, "expected 1 to 99 pixels, found 10 x 10",
               [&] { decode_png(encode_png(sample(10, 10, 1)), "x.png", 99); });
  EXPECT_EQ(decode_png(encode_png(sample(10, 10, 1)), "x.png", 100).image.width, 10);
  expect_error(ErrorKind::data, "found 0 x 1",
               [&] { decode_png(png_file(png_header(0, 1, 8, 0), raw), "x.png"); });
  expect_error(ErrorKind::data, "found 4294967295 x 1",
               [&] { decode_png(png_file(png_header(0xFFFFFFFF, 1, 8, 0), raw), "x.png"); });
  expect_error(ErrorKind::data, "expected 256008000 bytes of pixel data, found 2",
               [&] { decode_png(png_file(png_header(8000, 8000, 8, 6), raw), "x.png"); });
}

TEST(Png, WrongPixelStream) {  // chunk CRCs are right in all of these
  const std::string head = png_header(2, 2, 8, 0), end = png_chunk("IEND", "");
  const std::string raw = bytes({0, 1, 2, 0, 3, 4}), good = deflated(raw);
  EXPECT_EQ(pixels(kPngSignature + head + png_chunk("IDAT", good) + end), (Pixels{1, 2, 3, 4}));
  const auto expect_bad = [&](const std::string& file, int line = __builtin_LINE()) {
    SCOPED_TRACE(line);
    expect_error(ErrorKind::data, "x.png", [&] { decode_png(file, "x.png"); });
  };
  std::string adler = good;
  adler.back() = static_cast<char>(adler.back() ^ 1);
  expect_bad(kPngSignature + head + png_chunk("IDAT", adler) + end);
  expect_bad(kPngSignature + head + png_chunk("IDAT", good.substr(0, good.size() - 4)) + end);
  expect_bad(kPngSignature + head + png_chunk("IDAT", good + "x") + end);
  expect_bad(kPngSignature + head + png_chunk("IDAT", good) + png_chunk("IDAT", "x") + end);
  expect_bad(png_file(head, raw.substr(0, 5)));
  expect_bad(png_file(head, raw + "x"));
  expect_bad(png_file(head, bytes({9, 1, 2, 0, 3, 4})));  // no such filter
  expect_bad(kPngSignature + head + end);
  expect_bad(png_file(head, raw, png_chunk("CRIT", "unknown critical chunk")));
  expect_bad(png_file(head, raw, head));
  expect_bad(png_file(png_header(2, 2, 3, 0), raw));
  expect_bad(png_file(png_header(2, 2, 8, 5), raw));
  expect_bad(png_file(png_header(2, 2, 8, 3), raw));  // no palette
  expect_bad(kPngSignature + head + png_chunk("IDAT", good.substr(0, 5)) + png_chunk("tEXt", "") +
             png_chunk("IDAT", good.substr(5)) + end);
  expect_bad(kPngSignature + png_chunk("IDAT", good) + end);
  expect_bad("");
}

TEST(Png, PixelStreamMayBeCutAnywhere) {
  const std::string good = deflated(bytes({0, 1, 2, 0, 3, 4})), head = png_header(2, 2, 8, 0);
  std::string single;
  for (size_t i = 0; i <= good.size(); ++i) {
    const std::string parts =
        png_chunk("IDAT", good.substr(0, i)) + png_chunk("IDAT", good.substr(i));
    EXPECT_EQ(pixels(kPngSignature + head + parts + png_chunk("IEND", "")), (Pixels{1, 2, 3, 4}))
        << i;
    if (i < good.size()) single += png_chunk("IDAT", good.substr(i, 1));
  }
  EXPECT_EQ(pixels(kPngSignature + head + single + png_chunk("IEND", "")), (Pixels{1, 2, 3, 4}));
  std::string adler = good;
  adler.back() = static_cast<char>(adler.back() ^ 1);
  for (size_t i = 0; i <= adler.size(); ++i)
    expect_error(ErrorKind::data, "x.png: damaged pixel data", [&] {
      decode_png(kPngSignature + head + png_chunk("IDAT", adler.substr(0, i)) +
                     png_chunk("IDAT", adler.substr(i)) + png_chunk("IEND", ""),
                 "x.png");
    });
}

TEST(Png, TextOfOthers) {
  const std::string head = png_header(1, 1, 8, 0), raw = bytes({0, 5});
  const auto texts = [&](const std::string& extra) {
    return decode_png(png_file(head, raw, extra), "x").text;
  };
  EXPECT_EQ(texts(png_chunk("iTXt", std::string("key\0\0\0de\0Titel\0text", 19))),
            (std::vector<PngText>{{"key", "text", true}}));
  EXPECT_TRUE(texts(png_chunk("iTXt", std::string("key\0\1\0\0\0packed", 14))).empty());
  EXPECT_TRUE(texts(png_chunk("zTXt", std::string("key\0\0packed", 11))).empty());
  EXPECT_TRUE(texts(png_chunk("tEXt", "no separator") + png_chunk("iTXt", std::string("k\0\0", 3)) +
                    png_chunk("iTXt", std::string("k\0\0\0no", 6)) + png_chunk("tEXt", ""))
                  .empty());
  std::string many;
  for (int i = 0; i < 1001; ++i) many += png_chunk("tEXt", std::string("k\0v", 3));
  expect_error(ErrorKind::data, "at most 1000 texts", [&] { texts(many); });
  expect_error(ErrorKind::data, "at most 1000 texts", [&] {
    texts(png_chunk("tEXt", std::string("k\0", 2) + std::string(17 << 20, 'x')));
  });
  EXPECT_TRUE(texts(png_chunk("iCCP", std::string("n\0\0broken profile", 17))).empty());
}

TEST(Png, EncodeRefusesTheImpossible) {
  const auto refuse = [](const Image& image) {
    expect_error(ErrorKind::usage, "cannot write PNG: expected", [&] { encode_png(image); });
  };
  refuse({});
  refuse({2, 2, 1, Pixels(3)});
  refuse({2, 2, 2, Pixels(8)});
  refuse({-2, -2, 1, Pixels(4)});
  refuse({int64_t{1} << 32, int64_t{1} << 32, 1, {}});
  const Image image = sample(1, 1, 1);
  for (const std::string& key : {std::string(), std::string(80, 'k'), std::string(" k"),
                                 std::string("k\n"), std::string("a  b"), std::string("\xFF")})
    expect_error(ErrorKind::usage, "keyword", [&] { encode_png(image, {{key, "v", false}}); });
  expect_error(ErrorKind::usage, "NUL", [&] {
    encode_png(image, {{"k", std::string("a\0b", 3), true}});
  });
}

}  // namespace
}  // namespace genai
