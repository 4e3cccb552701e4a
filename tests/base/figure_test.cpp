#include "genai/base/figure.h"

#include <numeric>

#include "temp_folder.h"

namespace genai {
namespace {

using Pixels = std::vector<uint8_t>;

std::vector<Image> cells(int count, int64_t width, int64_t height, int64_t channels = 1) {
  std::vector<Image> all;
  for (int i = 0; i < count; ++i) {
    Image cell{width, height, channels, Pixels(static_cast<size_t>(width * height * channels))};
    std::iota(cell.pixels.begin(), cell.pixels.end(), static_cast<uint8_t>(40 * i + 1));
    all.push_back(cell);
  }
  return all;
}

/// Sum of a part; 0 is black.
int64_t light(const Image& image, int64_t x0, int64_t y0, int64_t width, int64_t height) {
  int64_t sum = 0;
  for (int64_t y = y0; y < y0 + height; ++y) {
    for (int64_t i = x0 * image.channels; i < (x0 + width) * image.channels; ++i) {
      sum += image.pixels.at(static_cast<size_t>(y * image.width * image.channels + i));
    }
  }
  return sum;
}

std::string drawn_text(std::string_view text) {
  Image image{text_width(text, 1), 7, 1, {}};
  image.pixels.resize(static_cast<size_t>(image.width * 7));
  draw_text(image, 0, 0, 1, text);
  std::string shown;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    shown += image.pixels[i] ? '#' : '.';
    if (static_cast<int64_t>(i + 1) % image.width == 0) shown += '\n';
  }
  return shown;
}

TEST(Text, IsLegible) {
  EXPECT_EQ(drawn_text("7x"),
            "#####.#...#\n"
            "....#.#...#\n"
            "...#...#.#.\n"
            "..#.....#..\n"
            ".#.....#.#.\n"
            ".#....#...#\n"
            ".#....#...#\n");
  EXPECT_EQ(drawn_text("a"), drawn_text("A"));
  EXPECT_EQ(drawn_text("\xE4"), drawn_text("?"));
  // All characters are different.
  const std::string known = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:%+-=/()'? ";
  std::vector<std::string> seen;
  for (const char c : known) seen.push_back(drawn_text(std::string(1, c)));
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ(text_width("", 3), 0);
  EXPECT_EQ(text_width("ab", 3), 33);
}

TEST(Text, StaysInsideOfTheImage) {
  for (const int64_t channels : {1, 3}) {
    Image image{6, 5, channels, Pixels(static_cast<size_t>(30 * channels))};
    for (const auto& [x, y] : {std::pair<int64_t, int64_t>{-3, -4}, {4, 3}, {100, 0}, {0, -100}}) {
      draw_text(image, x, y, 2, "MW");
    }
    EXPECT_EQ(image.pixels.size(), static_cast<size_t>(30 * channels));
  }
}

TEST(Figures, PlaceCellsAndWords) {
  for (const int64_t channels : {1, 3}) {
    const Figure figure{.rows = 2,
                        .columns = 3,
                        .scale = 4,
                        .title = "noise",
                        .row_names = {"a", "longer"},
                        .column_names = {"1%", "2%", "much too long"}};
    const auto images = cells(6, 20, 10, channels);
    const Image drawn = draw_figure(figure, images);
    const int64_t left = 8 + text_width("longer", 2), top = 8 + 14;
    EXPECT_EQ(drawn.width, left + 3 * 88 + 8);
    EXPECT_EQ(drawn.height, top + 2 * 48 + 8);
    EXPECT_EQ(drawn.channels, channels);
    for (int64_t i = 0; i < 6; ++i) {  // the upper left block of each pixel
      const int64_t x0 = left + 8 + i % 3 * 88, y0 = top + 8 + i / 3 * 48;
      const Image& cell = images[static_cast<size_t>(i)];
      for (int64_t y = 0; y < 10; ++y) {
        for (int64_t x = 0; x < 20; ++x) {
          const int64_t from = light(cell, x, y, 1, 1);
          EXPECT_EQ(light(drawn, x0 + 4 * x, y0 + 4 * y, 4, 4), 16 * from);
        }
      }
      EXPECT_EQ(light(drawn, x0 + 80, y0, 8, 40), 0);
    }
    EXPECT_GT(light(drawn, 8, 8, text_width("noise", 2), 14), 0);
    EXPECT_GT(light(drawn, 8, top + 8, left - 8, 40), 0);
    EXPECT_GT(light(drawn, 8, top + 56, left - 8, 40), 0);
    EXPECT_GT(light(drawn, left + 8, 0, 80, top), 0);
    EXPECT_EQ(light(drawn, left + 8 + 2 * 88, 0, 80, top), 0);  // no room for it
    EXPECT_EQ(light(drawn, 0, 0, 8, drawn.height), 0);
  }
}

TEST(Figures, WithoutWordsAreGrids) {
  const Image drawn = draw_figure({.rows = 1, .columns = 2, .scale = 3}, cells(2, 5, 4));
  EXPECT_EQ(drawn.width, 3 * (2 * 5 + 3 * 2));
  EXPECT_EQ(drawn.height, 3 * (4 + 2 * 2));
}

TEST(Figures, WrongInput) {
  const auto refuse = [](const Figure& figure, const std::vector<Image>& images, const char* part) {
    expect_error(ErrorKind::usage, part, [&] { draw_figure(figure, images); });
  };
  refuse({.rows = 2, .row_names = {"a"}}, cells(2, 3, 3), "names for 1 rows");
  refuse({.columns = 2, .column_names = {"a", "b", "c"}}, cells(2, 3, 3), "3 columns");
  refuse({}, {}, "found 0");
  refuse({}, cells(2, 3, 3), "found 2");
  refuse({.scale = 0}, cells(1, 3, 3), "factor");
  refuse({.scale = 60000}, cells(1, 100, 100), "too many");
  refuse({.columns = 2}, {cells(1, 3, 3)[0], cells(1, 3, 4)[0]}, "one size");
}

}  // namespace
}  // namespace genai
