#include "genai/base/picture.h"

#include "genai/base/png.h"
#include "png_file.h"
#include "temp_folder.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#include <webp/encode.h>
#pragma GCC diagnostic pop

namespace genai {
namespace {

using Pixels = std::vector<uint8_t>;

void append(void* text, void* data, int size) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(data),
                                          static_cast<size_t>(size));
}

std::string jpeg(const Image& image) {
  std::string bytes;
  stbi_write_jpg_to_func(append, &bytes, static_cast<int>(image.width),
                         static_cast<int>(image.height), static_cast<int>(image.channels),
                         image.pixels.data(), 100);
  return bytes;
}

std::string bmp(const Image& image) {
  std::string bytes;
  stbi_write_bmp_to_func(append, &bytes, static_cast<int>(image.width),
                         static_cast<int>(image.height), static_cast<int>(image.channels),
                         image.pixels.data());
  return bytes;
}

/// 8 x 8, one channel, all 128: each code table has one symbol (0) of one bit.
std::string grey_jpeg() {
  std::string text = bytes({0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0}) + std::string(64, '\1');
  text += bytes({0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0});
  for (const int table : {0x00, 0x10})
    text += bytes({0xFF, 0xC4, 0, 20, table, 1}) + std::string(15, '\0') + std::string(1, '\0');
  return text + bytes({0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x3F, 0xFF, 0xD9});
}

/// An APP1 segment after the start of the image.
std::string with_exif(const std::string& file, const std::string& tiff) {
  const std::string content = std::string("Exif\0\0", 6) + tiff;
  const int length = static_cast<int>(content.size()) + 2;
  return file.substr(0, 2) + bytes({0xFF, 0xE1, length >> 8, length & 255}) + content +
         file.substr(2);
}

std::string little_tiff(int orientation) {
  return "II" +
         bytes({42,        0, 8, 0, 0, 0, 2, 0, /**/ 0,      1, 4, 0, 1,      0, 0, 0, 9, 0, 0, 0,
                /**/ 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, /**/ 0, 0, 0, 0});
}

std::string big_tiff(int orientation) {
  return "MM" + bytes({0, 42, 0, 0, 0, 8,           0, 1, /**/ 1, 0x12, 0, 3,
                       0, 0,  0, 1, 0, orientation, 0, 0, /**/ 0, 0,    0, 0});
}

/// Six flat blocks of 16 x 16 pixels, so that JPEG keeps them: a b / c d / e f.
Image blocks() {
  Image image{32, 48, 3, {}};
  const uint8_t colours[6] = {20, 60, 100, 140, 180, 220};
  for (int y = 0; y < 48; ++y)
    for (int x = 0; x < 32; ++x)
      image.pixels.insert(image.pixels.end(), 3, colours[y / 16 * 2 + x / 16]);
  return image;
}

/// The letters of the blocks, row by row.
std::string letters(const Image& image) {
  std::string text;
  for (int64_t y = 8; y < image.height; y += 16) {
    for (int64_t x = 8; x < image.width; x += 16)
      text += static_cast<char>(
          'a' + image.pixels[static_cast<size_t>((y * image.width + x) * image.channels)] / 40);
    text += ' ';
  }
  return text;
}

Image grey(int64_t width, int64_t height, Pixels pixels) {
  return {width, height, 1, std::move(pixels)};
}

TEST(ReadPicture, TellsByContentNotByName) {
  TempFolder folder;
  put(folder / "a.jpg", encode_png(grey(2, 1, {3, 4})));
  EXPECT_EQ(read_picture(folder / "a.jpg"), grey(2, 1, {3, 4}));
  put(folder / "b.png", jpeg(blocks()));
  EXPECT_EQ(letters(read_picture(folder / "b.png")), "ab cd ef ");
  const Image image{3, 2, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}};
  put(folder / "c", bmp(image));
  EXPECT_EQ(read_picture(folder / "c"), image);
}

TEST(ReadPicture, GreyJpegKeepsOneChannel) {
  TempFolder folder;
  put(folder / "x.jpg", grey_jpeg());
  EXPECT_EQ(read_picture(folder / "x.jpg"), grey(8, 8, Pixels(64, 128)));
}

TEST(ReadPicture, ExifOrientation) {
  const char* upright[9] = {"",         "ab cd ef ", "ba dc fe ", "fe dc ba ", "ef cd ab ",
                            "ace bdf ", "eca fdb ",  "fdb eca ",  "bdf ace "};
  TempFolder folder;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const std::string& tiff : {little_tiff(orientation), big_tiff(orientation)}) {
      put(folder / "x.jpg", with_exif(jpeg(blocks()), tiff));
      EXPECT_EQ(letters(read_picture(folder / "x.jpg")), upright[orientation]) << orientation;
    }
  }
}

TEST(ReadPicture, ExifOrientationOfWebP) {
  const Image image = blocks();
  uint8_t* made = nullptr;
  const size_t size = WebPEncodeLosslessRGB(image.pixels.data(), static_cast<int>(image.width),
                                            static_cast<int>(image.height),
                                            static_cast<int>(image.width * 3), &made);
  const std::string plain(reinterpret_cast<const char*>(made), size);
  WebPFree(made);
  EXPECT_EQ(letters(decode_picture(plain, "x").image), "ab cd ef ");
  for (const std::string& head : {std::string(), std::string("Exif\0\0", 6)}) {
    const std::string exif = head + little_tiff(6);
    std::string file = plain + "EXIF" + bytes({static_cast<int>(exif.size()), 0, 0, 0}) + exif;
    const size_t riff = file.size() - 8;
    file.replace(4, 2, bytes({static_cast<int>(riff & 255), static_cast<int>(riff >> 8)}));
    EXPECT_EQ(letters(decode_picture(file, "x").image), "eca fdb ");
    for (size_t cut = plain.size(); cut < file.size(); ++cut) {
      try {
        decode_picture(file.substr(0, cut), "x");
      } catch (const Error&) {
        // All that counts is that nothing behind the end is read.
      }
    }
  }
}

TEST(ReadPicture, DamagedExifIsIgnored) {
  TempFolder folder;
  const std::string good = little_tiff(6);
  std::vector<std::string> broken = {little_tiff(0),
                                     little_tiff(9),
                                     "II",
                                     "",
                                     "MM" + bytes({0, 42, 255, 255, 255, 255}),
                                     "II" + bytes({42, 0, 8, 0, 0, 0, 255, 255})};
  for (size_t size = 0; size < 28; ++size) broken.push_back(good.substr(0, size));
  for (const std::string& tiff : broken) {
    put(folder / "x.jpg", with_exif(jpeg(blocks()), tiff));
    EXPECT_EQ(letters(read_picture(folder / "x.jpg")), "ab cd ef ");
  }
}

TEST(ReadPicture, EveryTruncationIsFound) {
  TempFolder folder;
  // The thumbnail's own end marker must not count.
  const std::string with_thumbnail = with_exif(grey_jpeg(), big_tiff(1) + grey_jpeg());
  const Image small{3, 2, 3, Pixels(18, 9)};
  for (const std::string& file : {grey_jpeg(), with_thumbnail, bmp(small)}) {
    put(folder / "x", file);
    EXPECT_NO_THROW(read_picture(folder / "x"));
    for (size_t size = 0; size < file.size(); ++size) {
      put(folder / "x", file.substr(0, size));
      expect_error(ErrorKind::data, "\"", [&] { read_picture(folder / "x"); });
    }
  }
  put(folder / "x", grey_jpeg() + "a trailer, as some cameras write");
  EXPECT_NO_THROW(read_picture(folder / "x"));
}

TEST(ReadPicture, BitFlipsNeverCrash) {
  TempFolder folder;
  for (const std::string& file :
       {with_exif(grey_jpeg(), little_tiff(6)), bmp(Image{3, 2, 3, Pixels(18, 9)})}) {
    for (size_t bit = 0; bit < file.size() * 8; bit += 9) {  // one of each byte
      std::string broken = file;
      broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
      put(folder / "x", broken);
      try {
        read_picture(folder / "x", 1 << 20);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data);
      }
    }
  }
}

/// Expects that a JPEG is refused for what it holds.
void expect_damaged(const std::string& file, const std::string& why) {
  expect_error(ErrorKind::data, why, [&] { decode_picture(file, "x.jpg"); });
}

std::string replaced(std::string file, const std::string& old, const std::string& fresh) {
  return file.replace(file.find(old), old.size(), fresh);
}

TEST(ReadPicture, JpegTablesMustBeThere) {
  const std::string file = grey_jpeg(), scan = bytes({0xFF, 0xDA, 0, 8, 1, 1});
  for (const int tables : {0x11, 0x22, 0x33, 0x01, 0x10, 0x77})
    expect_damaged(replaced(file, scan + bytes({0}), scan + bytes({tables})), "Huffman table");
  // libjpeg would take the tables of the standard's example.
  const size_t tables = file.find(bytes({0xFF, 0xC4})), end = file.find(bytes({0xFF, 0xDA}));
  expect_damaged(file.substr(0, tables) + file.substr(end), "Huffman table");
  const size_t quantization = file.find(bytes({0xFF, 0xDB}));
  expect_damaged(file.substr(0, quantization) + file.substr(quantization + 69), "uantization");
  const std::string table = bytes({0xFF, 0xC4, 0, 20, 0x10});
  std::string broken = file;
  broken.replace(broken.find(table), table.size() + 17,
                 bytes({0xFF, 0xC4, 0x08, 0x13, 0x10}) + std::string(8, '\xFF') +
                     std::string(8 + 8 * 255, '\0'));
  expect_damaged(broken, "Huffman");
}

TEST(ReadPicture, CorruptJpegDataIsNoPicture) {
  const std::string file = jpeg(blocks()), end = bytes({0xFF, 0xD9});
  const size_t data = file.rfind(bytes({0xFF, 0xDA})) + 14;
  EXPECT_NO_THROW(decode_picture(file, "x.jpg"));
  for (size_t size = data; size + 8 < file.size(); size += 7)  // ends early, but with its marker
    expect_damaged(file.substr(0, size) + end, "Corrupt JPEG data");
  expect_damaged(replaced(grey_jpeg(), bytes({0x3F, 0xFF, 0xD9}), bytes({0xFF, 0, 0xFF, 0xD9})),
                 "Corrupt JPEG data");  // a code that is none
  // Filling bytes before the end, as some cameras write them, harm nothing.
  EXPECT_NO_THROW(decode_picture(file.substr(0, file.size() - 2) + bytes({0, 0, 0xFF, 0xD9}), "x"));
}

TEST(ReadPicture, ScansOfAJpegAreBounded) {
  // 8 x 8, progressive; the tables have one symbol, so that each scan has one bit.
  const std::string start = replaced(grey_jpeg(), bytes({0xFF, 0xC0}), bytes({0xFF, 0xC2}));
  const auto scan = [](int first, int last, int approximation) {
    return bytes({0xFF, 0xDA, 0, 8, 1, 1, 0, first, last, approximation, 0x7F});
  };
  const std::string head = start.substr(0, start.find(bytes({0xFF, 0xDA}))) + scan(0, 0, 0);
  const std::string end = bytes({0xFF, 0xD9});
  const Picture few = decode_picture(head + scan(1, 63, 0) + end, "x.jpg");
  EXPECT_EQ(few.image, grey(8, 8, Pixels(64, 128)));
  EXPECT_TRUE(few.lossy);
  std::string many = head;
  for (const int approximation : {1, 0x10})
    for (int k = 1; k < 64; ++k) many += scan(k, k, approximation);
  expect_damaged(many + end, "more than 100 scans");
  const std::string no_dc = start.substr(0, start.find(bytes({0xFF, 0xDA}))) + scan(1, 63, 0);
  expect_damaged(no_dc + end, "");
}

TEST(ReadPicture, PngAndAlphaAreTurnedUpright) {
  const std::string exif("MM" +
                         bytes({0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0}));
  std::string file = encode_png(grey(2, 1, {3, 4}));
  file.insert(33, png_chunk("eXIf", exif));  // behind the header
  EXPECT_EQ(decode_picture(file, "x").image, grey(1, 2, {3, 4}));
}

TEST(ReadPicture, SizesAreReadFromHeaders) {
  using Size = std::pair<int64_t, int64_t>;
  EXPECT_EQ(picture_size(encode_png(grey(7, 3, Pixels(21)))), Size(7, 3));
  EXPECT_EQ(picture_size(jpeg(blocks())), Size(32, 48));
  EXPECT_EQ(picture_size(with_exif(grey_jpeg(), little_tiff(1))), Size(8, 8));
  EXPECT_EQ(picture_size(bmp(Image{3, 2, 3, Pixels(18, 9)})), Size(3, 2));
  const std::string file = jpeg(blocks());
  for (const std::string& odd : {bytes({0xFF, 0xEF, 0, 0}), bytes({0xFF, 0xFF, 0xFF, 0xEF, 0, 2}),
                                 bytes({0xFF, 0x01}), bytes({0xFF, 0xD3})}) {
    const std::string with = jpeg(blocks()).insert(2, odd);
    EXPECT_EQ(decode_picture(with, "odd").image.height, 48);
    EXPECT_EQ(picture_size(with), Size(32, 48));
  }
  for (size_t size = 0; size < file.size(); ++size) picture_size(file.substr(0, size));
  EXPECT_FALSE(picture_size("text").has_value());
}

TEST(ReadPicture, KindsOfBinaryFiles) {
  EXPECT_EQ(binary_kind(encode_png(grey(1, 1, {1}))), "a PNG");
  EXPECT_EQ(binary_kind(jpeg(blocks())), "a JPEG");
  EXPECT_EQ(binary_kind(bytes({'P', 'K', 3, 4, 0, 0})), "a ZIP");
  EXPECT_EQ(binary_kind("BMW makes cars"), "");
  EXPECT_EQ(binary_kind("once upon a time"), "");
}

TEST(ReadPicture, SizeIsCheckedBeforeDecoding) {
  TempFolder folder;
  put(folder / "x.jpg", grey_jpeg());
  expect_error(ErrorKind::data, "expected 1 to 63 pixels, found 8 x 8",
               [&] { read_picture(folder / "x.jpg", 63); });
  put(folder / "x.png", encode_png(grey(8, 8, Pixels(64))));
  expect_error(ErrorKind::data, "found 8 x 8", [&] { read_picture(folder / "x.png", 63); });
  put(folder / "x.bmp", bmp(grey(8, 8, Pixels(64))));
  expect_error(ErrorKind::data, "found 8 x 8", [&] { read_picture(folder / "x.bmp", 63); });
  std::string huge = grey_jpeg();  // the frame header says 65535 x 65535
  huge.replace(huge.find(bytes({8, 0, 8, 0, 8, 1})) + 1, 4, 4, '\xFF');
  put(folder / "x.jpg", huge);
  expect_error(ErrorKind::data, "65500", [&] { read_picture(folder / "x.jpg"); });
}

TEST(ReadPicture, SaysWhatItFound) {
  TempFolder folder;
  const auto expect_found = [&](const std::string& file, const std::string& what) {
    put(folder / "x.png", file);
    expect_error(ErrorKind::data, "found " + what, [&] { read_picture(folder / "x.png"); });
  };
  expect_found("", "an empty file");
  expect_found("GIF89a...", "a GIF");
  expect_found("hello, I am no picture\n", "text");
  expect_found("%PDF-1.4", "a PDF");
  expect_found(bytes({1, 2, 0xAB, 4, 5}), "unknown bytes 01 02 ab 04");
  std::string flipped = encode_png(grey(1, 1, {1}));
  flipped[6] = '\x1B';
  expect_found(flipped, "a damaged PNG signature");
  expect_error(ErrorKind::data, "No such file", [&] { read_picture(folder / "none.png"); });
}

TEST(Resize, SameSizeIsTheSameImage) {
  const Image image = grey(3, 2, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(resize_to_fit(image, 3, 2), image);
  EXPECT_EQ(kept_by_fit(image, 3, 2), "");
  EXPECT_EQ(kept_by_fit(grey(6, 2, Pixels(12)), 3, 3), "the middle 2x2 of 6x2");
  EXPECT_EQ(kept_by_fit(grey(6, 2, Pixels(12)), 3, 1), "");
  EXPECT_EQ(kept_by_fit(grey(2, 9, Pixels(18)), 4, 2), "the middle 2x1 of 2x9");
}

TEST(Resize, ShrinkingAveragesTheArea) {
  EXPECT_EQ(resize_to_fit(grey(4, 2, {0, 10, 100, 100, 20, 30, 100, 103}), 2, 1),
            grey(2, 1, {15, 101}));  // 15, 100.75
  // 3 -> 2: each target pixel covers one and a half
  EXPECT_EQ(resize_to_fit(grey(3, 3, {0, 90, 180, 0, 90, 180, 0, 90, 180}), 2, 2),
            grey(2, 2, {30, 150, 30, 150}));
  // A checkerboard becomes even grey; a single white pixel is not lost between samples.
  Pixels board;
  for (int i = 0; i < 64; ++i) board.push_back((i / 8 + i) % 2 ? 255 : 0);
  EXPECT_EQ(resize_to_fit(grey(8, 8, board), 2, 2), grey(2, 2, Pixels(4, 128)));
  Image colour{2, 2, 3, {10, 0, 1, 20, 0, 1, 30, 0, 1, 40, 4, 1}};
  EXPECT_EQ(resize_to_fit(colour, 1, 1), (Image{1, 1, 3, {25, 1, 1}}));
}

TEST(Resize, EnlargingIsBilinear) {
  EXPECT_EQ(resize_to_fit(grey(2, 2, {0, 80, 0, 80}), 4, 4).pixels,
            (Pixels{0, 20, 60, 80, 0, 20, 60, 80, 0, 20, 60, 80, 0, 20, 60, 80}));
  EXPECT_EQ(resize_to_fit(grey(1, 1, {7}), 3, 3), grey(3, 3, Pixels(9, 7)));
}

TEST(Resize, CropsTheCentre) {
  EXPECT_EQ(resize_to_fit(grey(4, 2, {1, 2, 3, 4, 5, 6, 7, 8}), 2, 2), grey(2, 2, {2, 3, 6, 7}));
  EXPECT_EQ(resize_to_fit(grey(1, 5, {1, 2, 3, 4, 5}), 1, 1), grey(1, 1, {3}));
  // Half pixels at both ends: 3 columns to 2 of the same size.
  EXPECT_EQ(resize_to_fit(grey(3, 2, {0, 10, 20, 0, 10, 20}), 2, 2), grey(2, 2, {5, 15, 5, 15}));
}

TEST(Resize, MeanAndFlatImagesSurviveOddSizes) {
  for (const int64_t size : {1, 2, 3, 7, 28, 29, 101}) {
    const Image flat = resize_to_fit(grey(31, 17, Pixels(31 * 17, 200)), size, size);
    EXPECT_EQ(flat, grey(size, size, Pixels(static_cast<size_t>(size * size), 200)));
  }
}

TEST(Resize, WrongInput) {
  const Image image = grey(1, 1, {1});
  for (const auto& [w, h] : {std::pair{0, 1}, std::pair{1, -1}, std::pair{65537, 1}})
    expect_error(ErrorKind::usage, "cannot resize",
                 [&, w = w, h = h] { resize_to_fit(image, w, h); });
  expect_error(ErrorKind::usage, "too many", [&] { resize_to_fit(image, 65536, 65536); });
  expect_error(ErrorKind::usage, "cannot resize", [&] { resize_to_fit({}, 1, 1); });
}

TEST(Channels, GreyAndRgb) {
  const Image colour{4, 1, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}};
  EXPECT_EQ(to_grey(colour), grey(4, 1, {76, 150, 29, 255}));
  EXPECT_EQ(to_rgb(grey(2, 1, {5, 6})), (Image{2, 1, 3, {5, 5, 5, 6, 6, 6}}));
  EXPECT_EQ(to_grey(grey(1, 1, {5})), grey(1, 1, {5}));
  EXPECT_EQ(to_rgb(colour), colour);
  expect_error(ErrorKind::usage, "cannot convert", [] { to_grey({1, 1, 3, {1}}); });
  expect_error(ErrorKind::usage, "cannot convert", [] { to_rgb({1, 1, 2, {1, 2}}); });
}

TEST(ScaleUp, WholePixels) {
  EXPECT_EQ(scale_up(grey(2, 1, {1, 2}), 2), grey(4, 2, {1, 1, 2, 2, 1, 1, 2, 2}));
  EXPECT_EQ(scale_up(Image{1, 1, 3, {1, 2, 3}}, 2).pixels,
            (Pixels{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}));
  expect_error(ErrorKind::usage, "factor", [] { scale_up(grey(1, 1, {1}), 0); });
  expect_error(ErrorKind::usage, "too many", [] { scale_up(grey(1, 1, {1}), 60000); });
  expect_error(ErrorKind::usage, "cannot scale", [] { scale_up({}, 1); });
}

TEST(Grid, CellsPaddingAndMissingOnes) {
  const Image a = grey(1, 1, {1}), b = grey(1, 1, {2}), c = grey(1, 1, {3});
  EXPECT_EQ(grid({a, b, c}, 2, 2, 0), grey(2, 2, {1, 2, 3, 0}));
  EXPECT_EQ(grid({a, b}, 1, 2, 1), grey(5, 3, {0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0}));
  const Image all = grid({Image{2, 3, 3, Pixels(18, 9)}}, 3, 4);
  EXPECT_EQ(all.width, 4 * 2 + 5 * 2);
  EXPECT_EQ(all.height, 3 * 3 + 4 * 2);
  EXPECT_EQ(all.channels, 3);
}

TEST(Grid, WrongInput) {
  const Image a = grey(1, 1, {1});
  expect_error(ErrorKind::usage, "one size", [&] { grid({a, grey(2, 1, {1, 2})}, 1, 2); });
  expect_error(ErrorKind::usage, "one size", [&] { grid({a, to_rgb(a)}, 1, 2); });
  expect_error(ErrorKind::usage, "expected 1 to 1 images, found 2", [&] { grid({a, a}, 1, 1); });
  expect_error(ErrorKind::usage, "found 0", [] { grid({}, 1, 1); });
  expect_error(ErrorKind::usage, "grid", [&] { grid({a}, 0, 1); });
  expect_error(ErrorKind::usage, "grid", [&] { grid({a}, 1, 1, -1); });
  expect_error(ErrorKind::usage, "too many", [&] { grid({a}, 1 << 20, 1 << 20); });
}

}  // namespace
}  // namespace genai
