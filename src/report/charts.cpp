#include "genai/report/charts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>

#include "genai/base/error.h"
#include "genai/base/figure.h"
#include "genai/base/html.h"
#include "genai/base/text.h"

namespace genai {
namespace {

using Points = std::vector<std::pair<double, double>>;

constexpr int kColours = 7;
constexpr double kStart = 0.05;  // share of the way that may be left out
constexpr double kWide = 20;     // ratio of values that asks for a logarithmic scale
constexpr size_t kMostDots = 60;

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}
std::string percent(double share) {
  return fixed(100 * share, 2) + "%";
}

/// 0 at lo, 1 at hi.
struct Scale {
  double lo, hi;
  bool logarithmic = false;

  double at(double x) const {
    return logarithmic ? std::log(x / lo) / std::log(hi / lo) : (x - lo) / (hi - lo);
  }
};

/// An axis label: "20,000", "0.05".
std::string tick_text(double value) {
  const bool whole = value == std::round(value) && std::abs(value) < 1e9;
  const double size = std::abs(value);
  return (value < 0 ? "\u2212" : "") +
         (whole ? count_text(static_cast<int64_t>(size)) : number_text(size, 4));
}

/// lo and hi with some room around them. What cannot be negative is given none below zero.
std::pair<double, double> with_room(double lo, double hi) {
  if (lo == 0 && hi == 0) return {0, 1};
  const double room = 0.06 * (hi > lo ? hi - lo : std::abs(hi));
  return {lo >= 0 ? std::max(0.0, lo - room) : lo - room, hi + room};
}

std::string line(const std::string& x1, const std::string& y1, const std::string& x2,
                 const std::string& y2, const std::string& style) {
  return element("line", {{"x1", x1}, {"y1", y1}, {"x2", x2}, {"y2", y2}, {"class", style}});
}

/// The line through the points, in pieces between gaps; it may be stretched in both directions.
std::string polylines(const Points& points, const Scale& across, const Scale& up,
                      const std::string& style) {
  std::string text, piece;
  const auto end = [&] {
    if (!piece.empty()) text += element("polyline", {{"points", piece}, {"class", style}});
    piece.clear();
  };
  for (const auto& [x, y] : points) {
    if (!std::isfinite(y) || (up.logarithmic && y <= 0)) {
      end();
      continue;
    }
    piece += (piece.empty() ? "" : " ") + fixed(1000 * across.at(x), 1) + "," +
             fixed(1000 * (1 - up.at(y)), 1);
  }
  end();
  return text;
}

/// Its smallest and largest finite y from x on.
std::pair<double, double> extremes(const std::vector<Curve>& curves, double from) {
  double lo = INFINITY, hi = -INFINITY;
  for (const Curve& curve : curves) {
    for (const auto& [x, y] : curve.points) {
      if (x < from || !std::isfinite(y)) continue;
      lo = std::min(lo, y);
      hi = std::max(hi, y);
    }
  }
  return {lo, hi};
}

double last_x(const std::vector<Curve>& curves) {
  double last = 0;
  for (const Curve& curve : curves) {
    if (!curve.points.empty()) last = std::max(last, curve.points.back().first);
  }
  return last;
}

/// Is the middle value in the lowest fifth?
bool mostly_low(const std::vector<Curve>& curves, double lo, double hi) {
  std::vector<double> values;
  for (const Curve& curve : curves) {
    for (const auto& [x, y] : curve.points) {
      if (y >= lo && y <= hi) values.push_back(y);
    }
  }
  if (values.empty()) return false;
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2] < lo + 0.2 * (hi - lo);
}

}  // namespace

std::string colour_class(int colour) {
  return concat("c", colour % kColours + 1, colour < kColours ? "" : " again");
}

std::vector<double> log_ticks(double lo, double hi) {
  std::vector<double> all, powers;
  for (int n = static_cast<int>(std::floor(std::log10(lo))); std::pow(10, n) <= hi; ++n) {
    for (const int factor : {1, 2, 5}) {
      const double tick = factor * std::pow(10, n);
      if (tick < lo * (1 - 1e-9) || tick > hi * (1 + 1e-9)) continue;
      all.push_back(tick);
      if (factor == 1) powers.push_back(tick);
    }
  }
  return powers.size() > 2 ? powers : all;
}

ValueRange value_range(const std::vector<Curve>& curves) {
  ValueRange range;
  const double start = kStart * last_x(curves);
  auto [lo, hi] = extremes(curves, -INFINITY);
  const auto [later_lo, later_hi] = extremes(curves, start);
  if (later_hi > later_lo && hi - lo > 1.5 * (later_hi - later_lo)) {
    range.cut = true;
    lo = later_lo;
    hi = later_hi;
  }
  if (!(hi >= lo)) return range;  // nothing to show
  range.logarithmic = lo > 0 && hi / lo > kWide && mostly_low(curves, lo, hi);
  if (range.logarithmic) {
    const double room = std::pow(hi / lo, 0.06);
    range.lo = lo / room;
    range.hi = hi * room;
  } else {
    std::tie(range.lo, range.hi) = with_room(lo, hi);
  }
  return range;
}

Points thinned(const Points& points, size_t limit) {
  if (points.size() <= limit || limit < 4) return points;
  const size_t intervals = (limit - 2) / 2;
  Points kept{points.front()};
  for (size_t i = 0; i < intervals; ++i) {
    const size_t first = 1 + i * (points.size() - 2) / intervals;
    const size_t end = 1 + (i + 1) * (points.size() - 2) / intervals;
    size_t lowest = first, highest = first;
    for (size_t k = first; k < end; ++k) {
      // A gap wins over both, so that it stays one.
      if (!std::isfinite(points[k].second)) lowest = highest = k;
      if (!std::isfinite(points[lowest].second)) break;
      if (points[k].second < points[lowest].second) lowest = k;
      if (points[k].second > points[highest].second) highest = k;
    }
    kept.push_back(points[std::min(lowest, highest)]);
    if (lowest != highest) kept.push_back(points[std::max(lowest, highest)]);
  }
  kept.push_back(points.back());
  return kept;
}

std::string curve_chart(const std::vector<Curve>& curves, const std::string& alt, size_t limit) {
  const ValueRange range = value_range(curves);
  const Scale up{range.lo, range.hi, range.logarithmic};
  const double last = last_x(curves);
  const Scale across{0, std::max(1.0, last)};
  std::string inside, lines, dots;
  for (const double tick :
       range.logarithmic ? log_ticks(up.lo, up.hi) : linear_ticks(up.lo, up.hi, 5)) {
    const std::string y = percent(1 - up.at(tick));
    inside += line("0", y, "100%", y, "grid") +
              element("text",
                      {{"x", "0"}, {"y", y}, {"dx", "-.5em"}, {"dy", ".35em"}, {"class", "ylabel"}},
                      escape_html(tick_text(tick)));
  }
  for (const double tick : linear_ticks(0, across.hi, 4)) {
    const std::string x = percent(across.at(tick));
    inside += line(x, "100%", x, "101.5%", "axis") +
              element("text", {{"x", x}, {"y", "100%"}, {"dy", "1.5em"}, {"class", "xlabel"}},
                      escape_html(tick_text(tick)));
  }
  inside += line("0", "100%", "100%", "100%", "axis");
  for (const Curve& curve : curves) {
    Points points = curve.points;
    if (range.cut) std::erase_if(points, [&](const auto& p) { return p.first < kStart * last; });
    points = thinned(points, limit);
    const std::string style = (curve.strong ? "strong " : "faint ") + colour_class(curve.colour);
    lines += polylines(points, across, up, style);
    if (!curve.strong || points.size() > kMostDots) continue;
    for (const auto& [x, y] : points) {
      if (!std::isfinite(y)) continue;
      dots += element("circle", {{"cx", percent(across.at(x))},
                                 {"cy", percent(1 - up.at(y))},
                                 {"r", ".27em"},
                                 {"class", "dot " + colour_class(curve.colour)}});
    }
  }
  inside += element("svg",
                    {{"viewBox", "0 0 1000 1000"},
                     {"preserveAspectRatio", "none"},
                     {"width", "100%"},
                     {"height", "100%"}},
                    lines);
  return element("svg", {{"class", "curves"}, {"role", "img"}, {"aria-label", alt}}, inside + dots);
}

std::string mark_chart(const std::vector<Mark>& marks, const std::string& alt) {
  double lo = INFINITY, hi = -INFINITY;
  const auto cover = [&](double value) {
    if (!std::isfinite(value)) return;
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  };
  for (const Mark& mark : marks) {
    cover(mark.value - mark.error);
    cover(mark.value + mark.error);
    for (const auto& reference : {mark.floor, mark.real}) cover(reference.value_or(NAN));
  }
  if (!(hi >= lo)) return "";
  std::tie(lo, hi) = with_room(lo, hi);
  const Scale across{lo, hi};
  std::string grid, scale = line("0", "0", "100%", "0", "axis");
  for (const double tick : linear_ticks(lo, hi, 3)) {
    const double share = across.at(tick);
    const std::string x = percent(share);
    // A number at an end must not leave the page.
    const char* style = share < 0.05 ? "xlabel first" : share > 0.95 ? "xlabel last" : "xlabel";
    grid += line(x, "0", x, "100%", "grid");
    scale +=
        element("text", {{"x", x}, {"y", "1.2em"}, {"class", style}}, escape_html(tick_text(tick)));
  }
  std::string text;
  for (const Mark& mark : marks) {
    const std::string colour = " " + colour_class(mark.colour);
    const auto place = [&](double value) { return percent(across.at(value)); };
    const auto dot = [&](double value, const char* radius, const std::string& style) {
      return element("circle",
                     {{"cx", place(value)}, {"cy", "50%"}, {"r", radius}, {"class", style}});
    };
    std::string strip = grid;
    if (mark.floor) {
      strip += line(place(*mark.floor), "0", place(*mark.floor), "100%", "floor");
    }
    if (mark.real) strip += dot(*mark.real, ".32em", "real");
    if (std::isfinite(mark.value)) {
      if (mark.error > 0) {
        strip += line(place(mark.value - mark.error), "50%", place(mark.value + mark.error), "50%",
                      "error" + colour);
      }
      strip += dot(mark.value, ".3em", "dot" + colour);
    }
    text += element("div", {{"class", "mark"}},
                    element("span", {}, escape_html(mark.label)) +
                        element("span", {}, escape_html(mark.text))) +
            element("svg", {{"class", "strip"}}, strip) + "\n";
  }
  return element("div", {{"class", "marks"}, {"role", "img"}, {"aria-label", alt}},
                 text + element("svg", {{"class", "scale"}}, scale));
}

std::string share_bar(double share, int colour) {
  return element("svg", {{"class", "bar"}, {"aria-hidden", "true"}},
                 element("rect", {{"width", percent(std::clamp(share, 0.0, 1.0))},
                                  {"height", "100%"},
                                  {"class", "fill " + colour_class(colour)}}));
}

}  // namespace genai
