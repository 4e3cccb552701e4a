#include <algorithm>
#include <array>
#include <cmath>

#include "genai/data/scenes.h"

namespace genai {
namespace {

constexpr int64_t kSamples = 4;  // a pixel's side, for soft edges

struct Point {
  double x, y;
};

/// Is a point within a shape about 0 of radius 1?
using Inside = bool (*)(Point);

bool in_circle(Point p) {
  return p.x * p.x + p.y * p.y <= 1;
}

bool in_ring(Point p) {
  const double square = p.x * p.x + p.y * p.y;
  return square >= 0.3 && square <= 1;
}

bool in_square(Point p) {
  return std::abs(p.x) <= 0.75 && std::abs(p.y) <= 0.75;
}

bool in_triangle(Point p) {
  return p.y <= 0.6 && std::abs(p.x) <= 0.58 * (p.y + 1);
}

/// Of a five-pointed star: corners at 1 and 0.42, by even-odd crossings.
bool in_star(Point p) {
  static constexpr std::array<Point, 10> corners = {{{0, -1},
                                                     {0.2469, -0.3398},
                                                     {0.9511, -0.3090},
                                                     {0.3994, 0.1298},
                                                     {0.5878, 0.8090},
                                                     {0, 0.42},
                                                     {-0.5878, 0.8090},
                                                     {-0.3994, 0.1298},
                                                     {-0.9511, -0.3090},
                                                     {-0.2469, -0.3398}}};
  bool inside = false;
  for (size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Point a = corners[i], b = corners[j];
    if ((a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x)
      inside = !inside;
  }
  return inside;
}

struct Shape {
  const char* name;
  Inside inside;
};
constexpr Shape kShapes[] = {{"circle", in_circle},
                             {"square", in_square},
                             {"triangle", in_triangle},
                             {"star", in_star},
                             {"ring", in_ring}};

struct Colour {
  const char* name;
  std::array<double, 3> rgb;
};
constexpr Colour kColours[] = {{"red", {215, 40, 40}},     {"orange", {240, 140, 30}},
                               {"yellow", {235, 205, 40}}, {"green", {50, 160, 70}},
                               {"blue", {45, 90, 205}},    {"purple", {140, 60, 170}}};

struct Size {
  const char* word;
  double smallest, largest;  // radius in pixels
};
constexpr Size kSizes[] = {{"small ", 5, 6.5}, {"", 8, 9.5}, {"large ", 11, 12.5}};

std::vector<std::string> all_kinds() {
  std::vector<std::string> kinds;
  for (const Colour& colour : kColours)
    for (const Shape& shape : kShapes) kinds.push_back(std::string(colour.name) + " " + shape.name);
  return kinds;
}

/// A light ground with a tint.
void draw_ground(UniformStream& numbers, Canvas canvas) {
  for (int64_t channel = 0; channel < canvas.channels; ++channel) {
    const auto value = static_cast<uint8_t>(numbers.between(225, 256));
    std::fill_n(&canvas.at(channel, 0, 0), canvas.side * canvas.side, value);
  }
}

/// Pixels are as much of the colour as the shape covers them.
void fill(const Shape& shape, Point centre, double radius, Point turn,
          const std::array<uint8_t, 3>& colour, Canvas canvas) {
  const auto first = [&](double at) { return static_cast<int64_t>(at - radius); };
  const auto last = [&](double at) {
    return std::min(canvas.side - 1, static_cast<int64_t>(at + radius));
  };
  for (int64_t y = first(centre.y); y <= last(centre.y); ++y) {
    for (int64_t x = first(centre.x); x <= last(centre.x); ++x) {
      int64_t covered = 0;
      for (int64_t sample = 0; sample < kSamples * kSamples; ++sample) {
        const double dx = (static_cast<double>(x) +
                           (static_cast<double>(sample % kSamples) + 0.5) / kSamples - centre.x) /
                          radius,
                     dy = (static_cast<double>(y) +
                           (static_cast<double>(sample / kSamples) + 0.5) / kSamples - centre.y) /
                          radius;
        covered += shape.inside({turn.x * dx + turn.y * dy, turn.x * dy - turn.y * dx});
      }
      constexpr int64_t kAll = kSamples * kSamples;
      for (int64_t channel = 0; channel < canvas.channels; ++channel) {
        uint8_t& pixel = canvas.at(channel, y, x);
        pixel = static_cast<uint8_t>(
            (pixel * (kAll - covered) + colour[static_cast<size_t>(channel)] * covered + kAll / 2) /
            kAll);
      }
    }
  }
}

std::string draw_shape(int64_t kind, bool, UniformStream& numbers, Window window, Canvas canvas) {
  constexpr double kMiddle = kWindowSide / 2.0, kMove = 3;
  const auto shapes = static_cast<int64_t>(std::size(kShapes));
  const Colour& colour = kColours[kind / shapes];
  const Size& size = kSizes[numbers.below(std::size(kSizes))];
  const double radius = numbers.between(size.smallest, size.largest);
  const Point centre{static_cast<double>(window.x) + kMiddle + numbers.between(-kMove, kMove),
                     static_cast<double>(window.y) + kMiddle + numbers.between(-kMove, kMove)};
  // Turned a little, by a direction near (1, 0): of square roots, which are the same everywhere.
  const double slope = numbers.between(-0.25, 0.25), length = std::sqrt(1 + slope * slope);
  std::array<uint8_t, 3> rgb{};
  for (size_t channel = 0; channel < 3; ++channel)
    rgb[channel] = static_cast<uint8_t>(
        std::clamp(colour.rgb[channel] + numbers.between(-12, 12), 0.0, 255.0));
  fill(kShapes[kind % shapes], centre, radius, {1 / length, slope / length}, rgb, canvas);
  return size.word;
}

}  // namespace

SceneKinds shape_kinds() {
  return {.name = "shapes",
          .channels = 3,
          .kinds = all_kinds(),
          .alone = 0.2,
          .fingerprint = "shapes 1",
          .ground = draw_ground,
          .draw = draw_shape};
}

}  // namespace genai
