#include "genai/base/figure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "genai/base/error.h"
#include "genai/base/picture.h"

namespace genai {
namespace {

constexpr int64_t kLetterWidth = 5, kLetterHeight = 7, kLetterStep = 6;
constexpr int64_t kPadding = 2;  // of the grid, before it is enlarged
constexpr uint8_t kTextValue = 200;

/// Rows of 5 bits from the top, the leftmost the highest.
using Letter = std::array<uint8_t, kLetterHeight>;

const std::map<char, Letter> kLetters = {{'A', {0x0E, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11}},
                                         {'B', {0x1E, 0x11, 0x11, 0x1E, 0x11, 0x11, 0x1E}},
                                         {'C', {0x0E, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0E}},
                                         {'D', {0x1E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1E}},
                                         {'E', {0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x1F}},
                                         {'F', {0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x10}},
                                         {'G', {0x0E, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0F}},
                                         {'H', {0x11, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11}},
                                         {'I', {0x0E, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E}},
                                         {'J', {0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0C}},
                                         {'K', {0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11}},
                                         {'L', {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F}},
                                         {'M', {0x11, 0x1B, 0x15, 0x15, 0x11, 0x11, 0x11}},
                                         {'N', {0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11}},
                                         {'O', {0x0E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E}},
                                         {'P', {0x1E, 0x11, 0x11, 0x1E, 0x10, 0x10, 0x10}},
                                         {'Q', {0x0E, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0D}},
                                         {'R', {0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11}},
                                         {'S', {0x0F, 0x10, 0x10, 0x0E, 0x01, 0x01, 0x1E}},
                                         {'T', {0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04}},
                                         {'U', {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E}},
                                         {'V', {0x11, 0x11, 0x11, 0x11, 0x11, 0x0A, 0x04}},
                                         {'W', {0x11, 0x11, 0x11, 0x15, 0x15, 0x15, 0x0A}},
                                         {'X', {0x11, 0x11, 0x0A, 0x04, 0x0A, 0x11, 0x11}},
                                         {'Y', {0x11, 0x11, 0x0A, 0x04, 0x04, 0x04, 0x04}},
                                         {'Z', {0x1F, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1F}},
                                         {'0', {0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E}},
                                         {'1', {0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E}},
                                         {'2', {0x0E, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1F}},
                                         {'3', {0x0E, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0E}},
                                         {'4', {0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02}},
                                         {'5', {0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E}},
                                         {'6', {0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E}},
                                         {'7', {0x1F, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08}},
                                         {'8', {0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E}},
                                         {'9', {0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C}},
                                         {' ', {}},
                                         {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0C, 0x0C}},
                                         {',', {0x00, 0x00, 0x00, 0x00, 0x0C, 0x04, 0x08}},
                                         {':', {0x00, 0x0C, 0x0C, 0x00, 0x0C, 0x0C, 0x00}},
                                         {'%', {0x18, 0x19, 0x02, 0x04, 0x08, 0x13, 0x03}},
                                         {'+', {0x00, 0x04, 0x04, 0x1F, 0x04, 0x04, 0x00}},
                                         {'-', {0x00, 0x00, 0x00, 0x1F, 0x00, 0x00, 0x00}},
                                         {'=', {0x00, 0x00, 0x1F, 0x00, 0x1F, 0x00, 0x00}},
                                         {'/', {0x01, 0x01, 0x02, 0x04, 0x08, 0x10, 0x10}},
                                         {'(', {0x02, 0x04, 0x08, 0x08, 0x08, 0x04, 0x02}},
                                         {')', {0x08, 0x04, 0x02, 0x02, 0x02, 0x04, 0x08}},
                                         {'\'', {0x0C, 0x04, 0x08, 0x00, 0x00, 0x00, 0x00}},
                                         {'?', {0x0E, 0x11, 0x01, 0x02, 0x04, 0x00, 0x04}}};

/// Where things are, in pixels of the drawn figure.
struct Layout {
  int64_t scale, text_scale, padding;  // padding also parts words from what is beside them
  int64_t left = 0, top = 0;           // margins of words
  int64_t step_x, step_y;              // from a cell to the next
  int64_t width, height;
};

Layout layout_of(const Figure& figure, int64_t width, int64_t height) {
  constexpr int64_t kLargestText = 3;
  Layout layout{.scale = figure.scale,
                .text_scale = std::clamp<int64_t>(figure.scale / 2, 1, kLargestText),
                .padding = kPadding * figure.scale,
                .step_x = (width + kPadding) * figure.scale,
                .step_y = (height + kPadding) * figure.scale,
                .width = 0,
                .height = 0};
  for (const std::string& name : figure.row_names) {
    layout.left = std::max(layout.left, layout.padding + text_width(name, layout.text_scale));
  }
  if (!figure.title.empty() || !figure.column_names.empty()) {
    layout.top = layout.padding + kLetterHeight * layout.text_scale;
  }
  layout.width = layout.left + figure.columns * layout.step_x + layout.padding;
  layout.height = layout.top + figure.rows * layout.step_y + layout.padding;
  return layout;
}

void copy_into(Image& to, int64_t x, int64_t y, const Image& from) {
  for (int64_t row = 0; row < from.height; ++row) {
    std::copy_n(from.pixels.data() + row * from.width * from.channels, from.width * from.channels,
                to.pixels.data() + ((y + row) * to.width + x) * to.channels);
  }
}

}  // namespace

int64_t text_width(std::string_view text, int64_t scale) {
  const auto count = static_cast<int64_t>(text.size());
  return std::max<int64_t>(0, count * kLetterStep - (kLetterStep - kLetterWidth)) * scale;
}

void draw_text(Image& image, int64_t x, int64_t y, int64_t scale, std::string_view text) {
  for (const char c : text) {
    const char capital = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    const auto found = kLetters.find(capital);
    const Letter& letter = found != kLetters.end() ? found->second : kLetters.at('?');
    for (int64_t j = 0; j < kLetterHeight * scale; ++j) {
      for (int64_t i = 0; i < kLetterWidth * scale; ++i) {
        const bool set = letter[static_cast<size_t>(j / scale)] >> (4 - i / scale) & 1;
        const int64_t px = x + i, py = y + j;
        if (!set || px < 0 || py < 0 || px >= image.width || py >= image.height) continue;
        std::fill_n(image.pixels.data() + (py * image.width + px) * image.channels, image.channels,
                    kTextValue);
      }
    }
    x += kLetterStep * scale;
  }
}

Image draw_figure(const Figure& figure, const std::vector<Image>& cells) {
  const auto count_is = [](const std::vector<std::string>& names, int64_t count) {
    return names.empty() || static_cast<int64_t>(names.size()) == count;
  };
  if (!count_is(figure.row_names, figure.rows) || !count_is(figure.column_names, figure.columns)) {
    fail(ErrorKind::usage, "cannot draw a figure of ", figure.rows, " x ", figure.columns,
         " cells with names for ", figure.row_names.size(), " rows and ",
         figure.column_names.size(), " columns");
  }
  const Image body = scale_up(grid(cells, figure.rows, figure.columns, kPadding), figure.scale);
  const Layout layout = layout_of(figure, cells[0].width, cells[0].height);
  if (layout.left == 0 && layout.top == 0) return body;
  Image drawn{layout.width, layout.height, body.channels, {}};
  drawn.pixels.resize(static_cast<size_t>(layout.width * layout.height * body.channels));
  copy_into(drawn, layout.left, layout.top, body);
  draw_text(drawn, layout.padding, layout.padding, layout.text_scale, figure.title);
  const int64_t text_height = kLetterHeight * layout.text_scale;
  for (size_t r = 0; r < figure.row_names.size(); ++r) {
    const int64_t middle = layout.top + layout.padding / 2 + layout.step_y / 2 +
                           static_cast<int64_t>(r) * layout.step_y;
    draw_text(drawn, layout.padding, middle - text_height / 2, layout.text_scale,
              figure.row_names[r]);
  }
  for (size_t c = 0; c < figure.column_names.size(); ++c) {
    const int64_t width = text_width(figure.column_names[c], layout.text_scale);
    if (width + layout.text_scale > layout.step_x) continue;
    const int64_t middle = layout.left + layout.padding / 2 + layout.step_x / 2 +
                           static_cast<int64_t>(c) * layout.step_x;
    draw_text(drawn, middle - width / 2, layout.padding, layout.text_scale, figure.column_names[c]);
  }
  return drawn;
}

std::vector<double> linear_ticks(double lo, double hi, int count) {
  if (!(hi > lo) || !std::isfinite(hi - lo)) return {};
  const double rough = (hi - lo) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double ratio = rough / power;
  const double step = power * (ratio < 1.5 ? 1 : ratio < 3.5 ? 2 : ratio < 7.5 ? 5 : 10);
  std::vector<double> ticks;
  for (double n = std::ceil(lo / step - 1e-9); n * step <= hi + 1e-9 * step; ++n) {
    ticks.push_back(n == 0 ? 0 : n * step);
  }
  return ticks;
}

}  // namespace genai
