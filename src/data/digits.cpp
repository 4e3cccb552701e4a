#include "genai/data/digits.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <string>
#include <vector>

#include "genai/base/error.h"
#include "genai/base/hash.h"

namespace genai {
namespace {

constexpr int kVersion = 1;  // raise it with every change of the pixels: it is in the fingerprint
constexpr int kSide = kDigitSide;

// ---- random numbers: splitmix64 (Steele, Lea, Flood 2014), a counter hashed well ----

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

class Random {
 public:
  Random(uint64_t seed, uint64_t stream, int64_t index)
      : state_(mix(mix(seed + kGolden) ^ mix(static_cast<uint64_t>(index) * 4 + stream))) {}

  uint64_t bits() { return mix(state_ += kGolden); }
  /// [0, 1), a multiple of 2^-24: exact in float.
  float uniform() { return static_cast<float>(bits() >> 40) * (1.0f / 16777216.0f); }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// Bell-shaped, mean 0, deviation 1, never beyond 3.5: the sum of four 16-bit uniforms.
  float bell() {
    const uint64_t b = bits();
    const auto sum =
        static_cast<int>((b & 0xFFFF) + (b >> 16 & 0xFFFF) + (b >> 32 & 0xFFFF) + (b >> 48));
    return static_cast<float>(sum - 2 * 65535) * (1.7320508f / 65536.0f);
  }
  int below(int n) { return static_cast<int>((bits() >> 32) * static_cast<uint64_t>(n) >> 32); }

 private:
  uint64_t state_;
};

/// sin(2 pi turns) within 0.001, by a parabola and one correction. std::sin differs in the last
/// bit between C libraries.
float sine(float turns) {
  turns -= static_cast<float>(static_cast<int>(turns));
  if (turns < 0) turns += 1;
  const float sign = turns < 0.5f ? 1.0f : -1.0f;
  const float x = turns < 0.5f ? turns : turns - 0.5f;  // half a wave
  const float parabola = 16 * x * (0.5f - x);
  return sign * parabola * (0.775f + 0.225f * parabola);
}

// ---- how the digits are written ----

struct Point {
  float x, y;                                       // the digit's box is [0,1] x [0,1], y downwards
  enum Kind { smooth, corner, end } kind = smooth;  // `end` closes a stroke
};

struct Style {
  int digit;
  int weight;  // how often, among the styles of its digit
  std::vector<Point> points;
};

// A stroke a line or two.
// clang-format off
const std::vector<Style>& styles() {
  constexpr auto C = Point::corner, E = Point::end;
  static const std::vector<Style> all = {
      // 0: closed, narrow, with an overlapping end
      {0, 3, {{.5f, 0}, {.22f, .14f}, {.1f, .5f}, {.22f, .87f}, {.5f, 1}, {.78f, .86f},
              {.9f, .5f}, {.78f, .13f}, {.5f, 0, E}}},
      {0, 2, {{.62f, .03f}, {.38f, .08f}, {.2f, .36f}, {.16f, .7f}, {.32f, .97f}, {.56f, .96f},
              {.76f, .7f}, {.82f, .34f}, {.68f, .06f}, {.56f, .02f, E}}},
      {0, 2, {{.74f, .14f}, {.48f, .02f}, {.2f, .22f}, {.1f, .58f}, {.28f, .94f}, {.56f, .98f},
              {.84f, .7f}, {.86f, .3f}, {.62f, .04f}, {.42f, .09f, E}}},
      // 1: a bar; with a flag; with flag and foot
      {1, 5, {{.5f, 0}, {.5f, .5f}, {.5f, 1, E}}},
      {1, 3, {{.3f, .22f}, {.53f, 0, C}, {.53f, .5f}, {.53f, 1, E}}},
      {1, 2, {{.3f, .22f}, {.52f, 0, C}, {.52f, .5f}, {.52f, 1, E}, {.26f, 1}, {.78f, .99f, E}}},
      // 2: pointed; with a loop below; with a wavy foot; nearly a Z
      {2, 4, {{.12f, .22f}, {.3f, .04f}, {.6f, .01f}, {.8f, .19f}, {.7f, .46f}, {.4f, .75f},
              {.08f, 1, C}, {.5f, .99f}, {.92f, .97f, E}}},
      {2, 3, {{.14f, .2f}, {.4f, .01f}, {.72f, .1f}, {.76f, .38f}, {.5f, .72f}, {.2f, .96f},
              {.04f, .9f}, {.16f, .75f}, {.42f, .85f}, {.7f, .98f}, {.95f, .9f, E}}},
      {2, 2, {{.1f, .16f}, {.42f, 0}, {.76f, .12f}, {.72f, .42f}, {.42f, .7f}, {.1f, .97f, C},
              {.34f, .88f}, {.62f, .98f}, {.92f, .92f, E}}},
      {2, 1, {{.14f, .06f}, {.5f, .01f}, {.84f, .08f, C}, {.5f, .52f}, {.1f, .97f, C}, {.5f, .96f},
              {.9f, .98f, E}}},
      // 3: two bows; flat top; with a loop in the waist
      {3, 5, {{.14f, .13f}, {.44f, 0}, {.77f, .14f}, {.7f, .37f}, {.38f, .48f, C}, {.72f, .55f},
              {.86f, .77f}, {.56f, 1}, {.1f, .9f, E}}},
      {3, 2, {{.12f, .03f}, {.46f, .02f}, {.8f, .01f, C}, {.6f, .2f}, {.4f, .39f, C}, {.76f, .49f},
              {.87f, .75f}, {.55f, 1}, {.1f, .9f, E}}},
      {3, 2, {{.16f, .1f}, {.48f, 0}, {.76f, .16f}, {.62f, .4f}, {.42f, .5f}, {.38f, .43f},
              {.52f, .43f}, {.8f, .58f}, {.8f, .86f}, {.48f, 1}, {.12f, .88f, E}}},
      // 4: open with two strokes; closed triangle; bowl; open in one stroke
      {4, 4, {{.2f, .02f}, {.13f, .3f}, {.1f, .54f, C}, {.46f, .54f}, {.86f, .5f, E},
              {.76f, 0}, {.72f, .5f}, {.68f, 1, E}}},
      {4, 2, {{.64f, 0}, {.34f, .32f}, {.04f, .63f, C}, {.46f, .63f}, {.94f, .61f, E},
              {.66f, 0}, {.65f, .5f}, {.63f, 1, E}}},
      {4, 3, {{.14f, .06f}, {.08f, .32f}, {.2f, .5f}, {.5f, .5f}, {.8f, .32f, E},
              {.86f, .02f}, {.8f, .5f}, {.74f, 1, E}}},
      {4, 2, {{.3f, .02f}, {.2f, .28f}, {.08f, .55f, C}, {.44f, .55f}, {.82f, .53f, E},
              {.62f, .28f}, {.58f, .66f}, {.54f, 1, E}}},
      // 5: body, then roof; all in one; soft like an S
      {5, 4, {{.22f, .03f}, {.18f, .22f}, {.15f, .42f, C}, {.46f, .35f}, {.8f, .5f}, {.8f, .8f},
              {.48f, 1}, {.08f, .9f, E}, {.22f, .03f}, {.54f, .02f}, {.88f, 0, E}}},
      {5, 3, {{.86f, .02f}, {.58f, .03f}, {.3f, .04f, C}, {.24f, .24f}, {.2f, .43f, C},
              {.52f, .37f}, {.82f, .54f}, {.76f, .84f}, {.42f, 1}, {.08f, .92f, E}}},
      {5, 2, {{.88f, .03f}, {.56f, .02f}, {.3f, .1f}, {.22f, .32f}, {.46f, .45f}, {.72f, .6f},
              {.7f, .86f}, {.42f, 1}, {.08f, .9f, E}}},
      // 6: bent stem; straight stem, small bowl; wide bowl
      {6, 4, {{.68f, 0}, {.36f, .24f}, {.15f, .6f}, {.24f, .92f}, {.54f, 1}, {.82f, .82f},
              {.74f, .58f}, {.46f, .54f}, {.19f, .76f, E}}},
      {6, 2, {{.52f, 0}, {.32f, .32f}, {.2f, .68f}, {.28f, .94f}, {.52f, 1}, {.74f, .86f},
              {.68f, .66f}, {.46f, .62f}, {.22f, .8f, E}}},
      {6, 2, {{.8f, .06f}, {.52f, .02f}, {.24f, .26f}, {.1f, .62f}, {.26f, .95f}, {.62f, .98f},
              {.88f, .76f}, {.76f, .5f}, {.44f, .48f}, {.14f, .7f, E}}},
      // 7: plain; with a bar; with a serif; soft shoulder
      {7, 4, {{.1f, .04f}, {.5f, .03f}, {.88f, .01f, C}, {.64f, .44f}, {.42f, 1, E}}},
      {7, 2, {{.1f, .05f}, {.5f, .04f}, {.88f, .01f, C}, {.66f, .44f}, {.44f, 1, E},
              {.3f, .52f}, {.84f, .46f, E}}},
      {7, 2, {{.1f, .22f}, {.12f, .04f, C}, {.5f, .04f}, {.88f, .01f, C}, {.62f, .46f},
              {.48f, 1, E}}},
      {7, 2, {{.08f, .14f}, {.36f, .03f}, {.68f, .03f}, {.82f, .16f}, {.66f, .52f},
              {.5f, 1, E}}},
      // 8: one stroke crossing itself; two rings; open at the top
      {8, 4, {{.5f, 0}, {.22f, .12f}, {.26f, .34f}, {.5f, .48f}, {.78f, .68f}, {.74f, .92f},
              {.46f, 1}, {.2f, .88f}, {.24f, .66f}, {.5f, .48f}, {.74f, .32f}, {.76f, .11f},
              {.5f, 0, E}}},
      {8, 2, {{.5f, .46f}, {.27f, .35f}, {.27f, .11f}, {.5f, 0}, {.73f, .11f}, {.73f, .35f},
              {.5f, .46f, E}, {.5f, .46f}, {.2f, .6f}, {.2f, .88f}, {.5f, 1}, {.8f, .88f},
              {.8f, .6f}, {.5f, .46f, E}}},
      {8, 2, {{.8f, .1f}, {.52f, 0}, {.24f, .14f}, {.3f, .36f}, {.58f, .54f}, {.74f, .76f},
              {.6f, .97f}, {.34f, .98f}, {.22f, .78f}, {.4f, .56f}, {.64f, .38f}, {.86f, .04f, E}}},
      // 9: straight leg; hooked leg; leg from the ring's top
      {9, 4, {{.78f, .16f}, {.54f, .01f}, {.24f, .12f}, {.2f, .36f}, {.44f, .48f}, {.7f, .34f},
              {.8f, .12f, C}, {.74f, .55f}, {.68f, 1, E}}},
      {9, 2, {{.78f, .16f}, {.52f, 0}, {.22f, .14f}, {.24f, .4f}, {.54f, .47f}, {.8f, .24f, C},
              {.84f, .58f}, {.68f, .93f}, {.42f, 1}, {.18f, .9f, E}}},
      {9, 3, {{.8f, .06f}, {.5f, .01f}, {.2f, .18f}, {.22f, .42f}, {.48f, .46f}, {.74f, .26f},
              {.84f, .06f, C}, {.66f, .54f}, {.46f, 1, E}}},
  };
  return all;
}
// clang-format on

const Style& choose_style(int digit, Random& random) {
  int total = 0;
  for (const Style& style : styles())
    if (style.digit == digit) total += style.weight;
  int left = random.below(total);
  const Style* chosen = nullptr;
  for (const Style& style : styles()) {
    if (style.digit != digit) continue;
    chosen = &style;
    if ((left -= style.weight) < 0) break;
  }
  return *chosen;
}

// ---- from a style to a polyline ----

constexpr int kSteps = 5;  // pieces of line between two control points
constexpr int kMaxVertices = 160;

struct Vertex {
  float x, y;
  bool joined;  // a line runs from the vertex before to this one
};

struct Line {
  std::array<Vertex, kMaxVertices> vertices;
  int count = 0;
};

/// Adds the cubic from b to c whose tangents follow a -> c and b -> d (Catmull-Rom).
void add_curve(const Point& a, const Point& b, const Point& c, const Point& d, Line& line) {
  for (int step = 1; step <= kSteps; ++step) {
    const float t = static_cast<float>(step) / kSteps, t2 = t * t, t3 = t2 * t;
    const float wa = 0.5f * (2 * t2 - t3 - t), wb = 0.5f * (3 * t3 - 5 * t2 + 2);
    const float wc = 0.5f * (4 * t2 - 3 * t3 + t), wd = 0.5f * (t3 - t2);
    line.vertices[line.count++] = {wa * a.x + wb * b.x + wc * c.x + wd * d.x,
                                   wa * a.y + wb * b.y + wc * c.y + wd * d.y, true};
  }
}

Line trace(const Style& style, Random& random) {
  // A ring shows its dents more than any other form.
  const float jitter = random.uniform(0.015f, 0.06f) * (style.digit == 0 ? 0.6f : 1.0f);
  std::vector<Point> points = style.points;
  for (Point& point : points) {
    point.x += jitter * random.bell();
    point.y += jitter * random.bell();
  }
  Line line;
  const size_t n = points.size();
  for (size_t i = 0; i < n; ++i) {
    const bool first = i == 0 || points[i - 1].kind == Point::end;
    if (first) line.vertices[line.count++] = {points[i].x, points[i].y, false};
    if (points[i].kind == Point::end) continue;
    // A corner or an end has no neighbour beyond it: the curve leaves it along the chord.
    const bool starts = first || points[i].kind == Point::corner;
    const bool stops = points[i + 1].kind != Point::smooth;
    add_curve(starts ? points[i] : points[i - 1], points[i], points[i + 1],
              stops ? points[i + 1] : points[i + 2], line);
  }
  return line;
}

/// A smooth bend of the plane, then aspect, slant and rotation: a writer's hand.
void bend(Line& line, int digit, float radius, Random& random) {
  const float wave = random.uniform(0, 0.065f);
  const float fx = random.uniform(0.3f, 0.9f), fy = random.uniform(0.3f, 0.9f);
  const float px = random.uniform(), py = random.uniform();
  // A thick pen needs a wide digit, or the loops of 4, 6, 8, 9 fill with ink.
  const float aspect = std::max(0.84f + 0.16f * random.bell(), 0.4f + 0.2f * radius);
  const float slant = 0.14f + 0.22f * random.bell();
  const float turn = (digit == 1 ? 0.018f : 0.014f) * random.bell();  // in turns
  const float s = sine(turn), c = sine(turn + 0.25f);
  for (int i = 0; i < line.count; ++i) {
    Vertex& v = line.vertices[i];
    const float x = v.x - 0.5f + wave * sine(fx * v.y + px);
    const float y = v.y - 0.5f + wave * sine(fy * v.x + py);
    const float sx = x * aspect - slant * y;
    v.x = c * sx - s * y;
    v.y = s * sx + c * y;
  }
}

/// Scales the line to the pen's free room in pixels and puts its centre of mass near the middle,
/// as MNIST does, but never closer than 2 pixels to the border.
void place(Line& line, float radius, Random& random) {
  float low_x = 9, high_x = -9, low_y = 9, high_y = -9, mass = 0, mean_x = 0, mean_y = 0;
  for (int i = 0; i < line.count; ++i) {
    const Vertex& v = line.vertices[i];
    low_x = std::min(low_x, v.x), high_x = std::max(high_x, v.x);
    low_y = std::min(low_y, v.y), high_y = std::max(high_y, v.y);
    if (!v.joined) continue;
    const Vertex& u = line.vertices[i - 1];
    const float length = std::sqrt((v.x - u.x) * (v.x - u.x) + (v.y - u.y) * (v.y - u.y));
    mass += length;
    mean_x += length * 0.5f * (u.x + v.x);
    mean_y += length * 0.5f * (u.y + v.y);
  }
  const float room = random.uniform(18.0f, 21.0f) - 2 * radius;
  const float scale = std::min(room / (high_y - low_y), room / (high_x - low_x));
  const float margin = 2.0f + radius, far = kSide - margin;
  const auto shift = [&](float mean, float low, float high, float offset) {
    const float wanted = 0.5f * kSide + offset - scale * mean;
    return std::clamp(wanted, margin - scale * low, far - scale * high);
  };
  const float x = shift(mean_x / mass, low_x, high_x, 0.6f * random.bell());
  const float y = shift(mean_y / mass, low_y, high_y, 0.6f * random.bell());
  for (int i = 0; i < line.count; ++i) {
    line.vertices[i].x = scale * line.vertices[i].x + x;
    line.vertices[i].y = scale * line.vertices[i].y + y;
  }
}

// ---- from a polyline to pixels ----

struct Pen {
  float radius;    // pixels
  float pressure;  // the radius runs from (1 - pressure) to (1 + pressure) of it
  float soft;      // width of the edge, pixels
  float ink;       // brightness of a full stroke, 0 .. 1
  float grain;     // noise on the ink
};

void render(const Line& line, const Pen& pen, Random& random, uint8_t* pixels) {
  // nearest[p]: least squared distance to the line, in units of the pen's squared radius there.
  std::array<float, kSide * kSide> nearest;
  nearest.fill(1e9f);
  for (int i = 1; i < line.count; ++i) {
    if (!line.vertices[i].joined) continue;
    const Vertex &a = line.vertices[i - 1], &b = line.vertices[i];
    const float along = static_cast<float>(i) / static_cast<float>(line.count);
    const float radius = pen.radius * (1 + pen.pressure * (2 * along - 1));
    const float inverse = 1 / (radius * radius), reach = radius + pen.soft;
    const float dx = b.x - a.x, dy = b.y - a.y;
    const float scale = 1 / std::max(dx * dx + dy * dy, 1e-12f);
    const auto first = [&](float low) { return std::max(0, static_cast<int>(low - reach)); };
    const auto last = [&](float high) {
      return std::min(kSide - 1, static_cast<int>(high + reach));
    };
    const int x0 = first(std::min(a.x, b.x)), x1 = last(std::max(a.x, b.x));
    const int y0 = first(std::min(a.y, b.y)), y1 = last(std::max(a.y, b.y));
    for (int y = y0; y <= y1; ++y) {
      const float qy = static_cast<float>(y) + 0.5f - a.y;
      for (int x = x0; x <= x1; ++x) {
        const float qx = static_cast<float>(x) + 0.5f - a.x;
        const float t = std::min(1.0f, std::max(0.0f, (qx * dx + qy * dy) * scale));
        const float ex = qx - t * dx, ey = qy - t * dy;
        float& best = nearest[y * kSide + x];
        best = std::min(best, (ex * ex + ey * ey) * inverse);
      }
    }
  }
  for (int p = 0; p < kSide * kSide; ++p) {
    pixels[p] = 0;
    if (nearest[p] > 1e8f) continue;
    const float outside = (std::sqrt(nearest[p]) - 1) * pen.radius;  // pixels from the pen's rim
    const float cover = std::min(1.0f, 0.5f - outside / pen.soft);
    if (cover <= 0) continue;
    const float grain = random.uniform();
    const float level = cover * (pen.ink - pen.grain * grain * grain);
    // NOLINTNEXTLINE(bugprone-incorrect-roundings): the set's bytes are promised, and none is
    // negative
    pixels[p] = static_cast<uint8_t>(std::clamp(level, 0.0f, 1.0f) * 255.0f + 0.5f);
  }
}

int label_of(uint64_t seed, int64_t index) {
  Random random(seed, 1, index / 10);
  std::array<int, 10> order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (int i = 9; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order[index % 10];
}

LabelledImages draw(uint64_t seed, int64_t first, int64_t count) {
  LabelledImages images;
  images.count = count;
  images.height = images.width = kSide;
  images.pixels.resize(count * kSide * kSide);
  images.labels.resize(count);
  for (int64_t i = 0; i < count; ++i)
    draw_digit(seed, first + i, &images.pixels[i * kSide * kSide], &images.labels[i]);
  return images;
}

}  // namespace

void draw_digit(uint64_t seed, int64_t index, uint8_t* pixels, int64_t* label) {
  assert(index >= 0);
  const int digit = label_of(seed, index);
  Random random(seed, 2, index);
  Line line = trace(choose_style(digit, random), random);
  Pen pen;
  pen.radius = std::clamp(1.28f + 0.32f * random.bell(), 0.8f, 2.1f);
  pen.pressure = 0.12f * random.bell();
  pen.soft = random.uniform(1.1f, 1.7f);
  pen.ink = random.uniform(0.97f, 1.14f);
  pen.grain = random.uniform(0, 0.25f);
  bend(line, digit, pen.radius, random);
  place(line, pen.radius, random);
  render(line, pen, random, pixels);
  *label = digit;
}

ImageSet make_digits(uint64_t seed, int64_t train, int64_t test) {
  if (train < 1 || train > kTrainDigits || test < 1 || test > kTestDigits)
    fail(ErrorKind::usage, "digits: expected 1 to ", kTrainDigits, " training and 1 to ",
         kTestDigits, " test pictures, found ", train, " and ", test);
  ImageSet set;
  set.name = "digits";
  for (int digit = 0; digit < 10; ++digit) set.classes.push_back(std::to_string(digit));
  set.train = draw(seed, 0, train);
  set.test = draw(seed, kTrainDigits, test);
  set.fingerprint =
      sha256(concat("genai digits ", kVersion, " seed ", seed, " train ", train, " test ", test));
  return set;
}

}  // namespace genai
