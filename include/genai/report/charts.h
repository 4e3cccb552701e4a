// Charts as inline SVG. They fill the width they are given and keep the size of their letters:
// across, everything is placed in percent; colours and strokes are the style sheet's classes.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace genai {

/// The style sheet's class of a colour: "c1" to "c7"; from the eighth on "c1 again", ...: dashed.
std::string colour_class(int colour);

/// Powers of ten from lo to hi; 1, 2 and 5 times them where they are few.
std::vector<double> log_ticks(double lo, double hi);

struct Curve {
  std::vector<std::pair<double, double>> points;  ///< by rising x; a y that is not finite is a gap
  int colour = 0;
  bool strong = false;  ///< thick, with its points
};

/// What of the values is shown. The first twentieth of the way is left out ("cut") when it would
/// press all that follows to one side; the scale is logarithmic when most of a wide range is low.
struct ValueRange {
  double lo = 0, hi = 1;
  bool logarithmic = false, cut = false;
};
ValueRange value_range(const std::vector<Curve>& curves);

/// At most `limit` points that keep every extreme: the lowest and the highest of each interval.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               size_t limit);

/// Curves over a common x axis. @param alt  what is seen, for those who do not see it
std::string curve_chart(const std::vector<Curve>& curves, const std::string& alt, size_t limit);

/// One value with what it is measured against.
struct Mark {
  std::string label;
  std::string text;  ///< the value as it is to be read
  int colour = 0;
  double value = 0, error = 0;  ///< half the length of the bar
  std::optional<double> floor, real;
};
/// A line of text and a strip for each mark, above a common axis.
std::string mark_chart(const std::vector<Mark>& marks, const std::string& alt);

/// A bar that fills a share (0 to 1) of its width.
std::string share_bar(double share, int colour);

}  // namespace genai
