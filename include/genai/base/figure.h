// Pictures in rows and columns that explain themselves: enlarged, with words beside them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "genai/base/image.h"

namespace genai {

/// What is around the cells of a figure.
struct Figure {
  int64_t rows = 1, columns = 1;
  int64_t scale = 1;                      ///< whole-pixel enlargement of the cells
  std::string title;                      ///< in the corner at the upper left
  std::vector<std::string> row_names;     ///< to the left of each row; empty: no such margin
  std::vector<std::string> column_names;  ///< above each column; not drawn where there is no room
};

/// @param cells  row by row, all of one size and channel count, at most rows * columns of them
/// Throws ErrorKind::usage for other cells, names that are not as many as rows or columns, or a
/// result larger than 2^30 bytes.
Image draw_figure(const Figure& figure, const std::vector<Image>& cells);

/// Draws one line of letters (as capitals), digits and . , : % + - = / ( ) ' in light grey, 5 x 7
/// pixels each times `scale`, with its upper left corner at (x, y). Other characters are drawn as
/// '?'; what is outside of the image is not drawn.
void draw_text(Image& image, int64_t x, int64_t y, int64_t scale, std::string_view text);

/// Width of such a line.
int64_t text_width(std::string_view text, int64_t scale);

/// Round numbers from lo to hi, about `count` of them: steps of 1, 2 or 5 times a power of ten.
std::vector<double> linear_ticks(double lo, double hi, int count);

}  // namespace genai
