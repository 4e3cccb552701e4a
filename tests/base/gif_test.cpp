#include <gif_lib.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "genai/base/animation.h"
#include "genai/base/error.h"

namespace genai {
namespace {

Image speckled(int64_t width, int64_t height, int64_t channels, int seed) {
  Image image{width, height, channels, {}};
  for (int64_t i = 0; i < width * height * channels; ++i)
    image.pixels.push_back(static_cast<uint8_t>((i * 31 + seed * 17) % 64 * 4));
  return image;
}

/// One frame of a GIF that another program wrote: a rectangle of one colour.
struct Rectangle {
  int left, top, width, height, colour;
  int disposal = DISPOSAL_UNSPECIFIED;
  bool interlaced = false;
  std::vector<GifPixelType> pixels = {};  // in the place of the one colour
};

/// 4x4, colours: black, red, and number 2, which is transparent.
std::string gif_of(const std::vector<Rectangle>& frames) {
  std::string bytes;
  int error = 0;
  GifFileType* gif = EGifOpen(
      &bytes,
      [](GifFileType* file, const GifByteType* data, int size) {
        static_cast<std::string*>(file->UserData)
            ->append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
        return size;
      },
      &error);
  EGifSetGifVersion(gif, true);
  const GifColorType colours[4] = {{0, 0, 0}, {250, 10, 20}, {0, 255, 0}, {0, 0, 0}};
  ColorMapObject* map = GifMakeMapObject(4, colours);
  EGifPutScreenDesc(gif, 4, 4, 2, 0, map);
  for (const Rectangle& frame : frames) {
    const GraphicsControlBlock control{frame.disposal, false, 10, 2};
    GifByteType extension[4];
    EGifGCBToExtension(&control, extension);
    EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, extension);
    EGifPutImageDesc(gif, frame.left, frame.top, frame.width, frame.height, frame.interlaced,
                     nullptr);
    std::vector<GifPixelType> pixels = frame.pixels;
    pixels.resize(static_cast<size_t>(frame.width * frame.height),
                  static_cast<GifPixelType>(frame.colour));
    for (int y = 0; y < frame.height; ++y)
      EGifPutLine(gif, pixels.data() + y * frame.width, frame.width);
  }
  GifFreeMapObject(map);
  EGifCloseFile(gif, &error);
  return bytes;
}

/// The red channel of a frame, row by row.
std::vector<int> reds(const Image& image) {
  std::vector<int> values;
  for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels))
    values.push_back(image.pixels[i]);
  return values;
}

TEST(GifFrames, AreThoseThatWereWritten) {
  for (const int64_t channels : {1, 3}) {
    std::vector<Frame> frames;
    for (int i = 0; i < 3; ++i) frames.push_back({.image = speckled(7, 5, channels, i)});
    const auto found = decode_gif(encode_gif(frames), "x");
    ASSERT_EQ(found.size(), 3u);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(found[i], frames[i].image);
    EXPECT_EQ(decode_frames(encode_gif(frames), "x"), found);
    EXPECT_EQ(decode_frames(encode_apng(frames), "x"), found);
  }
}

TEST(GifFrames, ShowWhatLiesBelowThem) {
  // Over white; a part in red that goes again, the ground where it was; then back to before.
  const auto found = decode_gif(gif_of({{0, 0, 4, 4, 0},
                                        {1, 1, 2, 2, 1, DISPOSE_PREVIOUS},
                                        {0, 0, 1, 1, 1, DISPOSE_BACKGROUND},
                                        {3, 3, 1, 1, 2}}),
                                "x");
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].channels, 3);
  EXPECT_EQ(reds(found[0]), std::vector<int>(16, 0));
  EXPECT_EQ(reds(found[1]),
            (std::vector<int>{0, 0, 0, 0, 0, 250, 250, 0, 0, 250, 250, 0, 0, 0, 0, 0}));
  EXPECT_EQ(reds(found[2]), (std::vector<int>{250, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  // The last one is transparent.
  EXPECT_EQ(reds(found[3]), (std::vector<int>{255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(GifFrames, AreReadInterlaced) {
  // Rows 0, 2, 1, 3 in the file.
  const std::vector<GifPixelType> rows{0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1};
  const auto found = decode_gif(gif_of({{0, 0, 4, 4, 0, DISPOSAL_UNSPECIFIED, true, rows}}), "x");
  EXPECT_EQ(reds(found[0]),
            (std::vector<int>{0, 0, 0, 0, 0, 0, 0, 0, 250, 250, 250, 250, 250, 250, 250, 250}));
}

TEST(GifFrames, OfADamagedFileAreRefused) {
  const std::string whole = encode_gif({{speckled(9, 9, 3, 0)}, {speckled(9, 9, 3, 1)}});
  for (size_t size = 0; size + 1 < whole.size(); ++size) {
    SCOPED_TRACE(size);
    try {
      decode_gif(whole.substr(0, size), "x.gif");
      ADD_FAILURE() << "read a file that ends too early";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_NE(std::string(error.what()).find("x.gif"), std::string::npos);
    }
  }
  for (size_t at = 0; at < whole.size(); ++at) {  // no crash, nothing larger than it may be
    std::string other = whole;
    other[at] = static_cast<char>(other[at] ^ 0x55);
    try {
      for (const Image& frame : decode_gif(other, "x.gif", 1 << 16))
        EXPECT_LE(frame.width * frame.height, 1 << 16);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
    }
  }
}

TEST(GifFrames, AreBoundedBeforeTheyAreMade) {
  const std::string many = gif_of(std::vector<Rectangle>(5, {0, 0, 4, 4, 1}));
  EXPECT_EQ(decode_gif(many, "x", 5 * 16).size(), 5u);
  EXPECT_THROW(decode_gif(many, "x", 4 * 16), Error);
  EXPECT_THROW(decode_gif(gif_of({{2, 2, 4, 4, 1}}), "x"), Error);  // beyond the edge
}

}  // namespace
}  // namespace genai
