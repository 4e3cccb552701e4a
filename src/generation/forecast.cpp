#include "genai/generation/forecast.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "genai/base/error.h"
#include "genai/base/figure.h"
#include "genai/base/picture.h"
#include "genai/base/text.h"
#include "genai/data/series_set.h"

namespace genai {
namespace {

using Colour = std::array<uint8_t, 3>;
constexpr Colour kPastColour = {220, 220, 220}, kTruthColour = {255, 255, 255},
                 kWideColour = {38, 60, 92}, kNarrowColour = {58, 98, 150},
                 kPathColour = {108, 150, 200}, kMedianColour = {255, 190, 90},
                 kGridColour = {48, 48, 48};

/// Lines and bands over a plane of numbers, drawn larger than they will be seen.
class Plot {
 public:
  static constexpr int64_t kWidth = 960, kHeight = 480, kFine = 2;

  Plot(double left, double right, double low, double high)
      : left_(left), right_(right), low_(low), high_(high) {
    image_ = {.width = kWidth * kFine, .height = kHeight * kFine, .channels = 3, .pixels = {}};
    image_.pixels.assign(static_cast<size_t>(image_.width * image_.height * 3), 16);
  }

  /// Between two curves over x = from, from + 1, ...
  void band(double from, std::span<const double> lower, std::span<const double> upper,
            Colour colour) {
    const double last = from + static_cast<double>(lower.size() - 1);
    for (int64_t px = column(from); px <= column(last); ++px) {
      const double x = std::clamp(value_at(px), from, last) - from;
      vertical(px, row(between(upper, x)), row(between(lower, x)), colour);
    }
  }

  void curve(double from, std::span<const double> values, Colour colour, int64_t width) {
    if (values.empty()) return;
    const double last = from + static_cast<double>(values.size() - 1);
    int64_t before = row(values[0]);
    for (int64_t px = column(from); px <= column(last); ++px) {
      const int64_t now = row(between(values, std::clamp(value_at(px), from, last) - from));
      for (int64_t x = px - width / 2; x <= px + width / 2; ++x) {
        vertical(x, std::max(std::min(before, now) - width / 2, row(high_)),
                 std::min(std::max(before, now) + width / 2, row(low_)), colour);
      }
      before = now;
    }
  }

  /// Lines across with their numbers, a line upwards at x = 0.
  void scale() {
    for (const double tick : linear_ticks(low_, high_, 6)) {
      const int64_t y = row(tick);
      for (int64_t x = column(left_); x <= column(right_); ++x) vertical(x, y, y + 1, kGridColour);
      const std::string text = number_text(tick, 6);
      draw_text(image_, column(left_) - text_width(text, kText) - 12, y - 7, kText, text);
    }
    vertical(column(0), row(high_), row(low_), kGridColour);
    for (const double tick : linear_ticks(left_, right_, 8)) {
      const std::string text = tick > 0 ? "+" + number_text(tick, 6) : number_text(tick, 6);
      draw_text(image_, column(tick) - text_width(text, kText) / 2, row(low_) + 14, kText, text);
    }
  }

  void write(int64_t place, const std::string& text) {
    draw_text(image_, column(left_) + 16, row(high_) + 8 + place * 32, kText, text);
  }

  Image finished() const { return resize_to_fit(image_, kWidth, kHeight); }

 private:
  static constexpr int64_t kText = 3;                                          // letters
  static constexpr int64_t kLeft = 170, kRight = 30, kTop = 30, kBottom = 60;  // margins

  int64_t column(double x) const {
    const auto width = static_cast<double>(image_.width - kLeft - kRight);
    return kLeft + std::llround((x - left_) / (right_ - left_) * width);
  }
  double value_at(int64_t column) const {
    const auto width = static_cast<double>(image_.width - kLeft - kRight);
    return left_ + static_cast<double>(column - kLeft) / width * (right_ - left_);
  }
  int64_t row(double y) const {
    const auto height = static_cast<double>(image_.height - kTop - kBottom);
    return kTop + std::llround((high_ - y) / (high_ - low_) * height);
  }
  static double between(std::span<const double> values, double x) {
    const auto i = std::min(static_cast<size_t>(x), values.size() - 1);
    return i + 1 == values.size() ? values[i]
                                  : std::lerp(values[i], values[i + 1], x - std::floor(x));
  }
  void vertical(int64_t x, int64_t from, int64_t to, Colour colour) {
    if (x < 0 || x >= image_.width) return;
    for (int64_t y = std::max<int64_t>(0, from); y <= std::min(to, image_.height - 1); ++y) {
      std::ranges::copy(colour, image_.pixels.begin() + (y * image_.width + x) * 3);
    }
  }

  double left_, right_, low_, high_;
  Image image_;
};

/// With the last value of the past before it, so that all curves begin there.
std::vector<double> joined(double last, std::span<const double> values) {
  std::vector<double> all{last};
  all.insert(all.end(), values.begin(), values.end());
  return all;
}

}  // namespace

std::vector<double> Forecast::quantiles(double q) const {
  std::vector<double> found, column(paths.size());
  for (size_t step = 0; step < steps(); ++step) {
    std::ranges::transform(paths, column.begin(), [&](const auto& path) { return path[step]; });
    std::ranges::sort(column);
    const double place = q * static_cast<double>(column.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, column.size() - 1);
    found.push_back(std::lerp(column[below], column[above], place - std::floor(place)));
  }
  return found;
}

Forecast forecast(Model& model, TextRequest request, std::span<const double> past,
                  const DataInfo& info, const CheckWanted& check_wanted) {
  const Changes& changes = changes_of(info, "a forecast");
  request.prompt = series_text(past);
  Forecast forecast{.past = {past.begin(), past.end()}, .paths = {}};
  const WatchText watch = [&](const TextSample&, std::string_view) {
    if (check_wanted) check_wanted();
    return true;
  };
  for (const TextSample& sample : generate_texts(model, request, info, watch)) {
    forecast.paths.push_back(changes.follow(past, sample.tokens));
  }
  return forecast;
}

std::string forecast_csv(const Forecast& forecast) {
  std::string text = "step,q05,q25,median,q75,q95";
  for (size_t k = 0; k < forecast.paths.size(); ++k) text += concat(",path", k);
  text += "\n";
  std::vector<std::vector<double>> columns;
  for (const double q : {0.05, 0.25, 0.5, 0.75, 0.95}) columns.push_back(forecast.quantiles(q));
  columns.insert(columns.end(), forecast.paths.begin(), forecast.paths.end());
  for (size_t step = 0; step < forecast.steps(); ++step) {
    text += std::to_string(step + 1);
    for (const auto& column : columns) text += "," + number_text(column[step], 9);
    text += "\n";
  }
  return text;
}

Image draw_forecast(const Forecast& forecast, std::span<const double> truth) {
  const size_t shown = std::min(forecast.past.size(), 2 * forecast.steps() + 1);
  const std::span past = std::span(forecast.past).last(shown);
  const double last = past.back();
  const auto low = joined(last, forecast.quantiles(0.05)),
             high = joined(last, forecast.quantiles(0.95));
  std::vector<double> all(past.begin(), past.end());
  for (const auto* more : {&low, &high}) all.insert(all.end(), more->begin(), more->end());
  all.insert(all.end(), truth.begin(), truth.end());
  const auto [least, most] = std::ranges::minmax(all);
  const double room = most > least ? 0.06 * (most - least) : 1;
  const double from = -static_cast<double>(shown - 1);
  Plot plot(from, static_cast<double>(forecast.steps()), least - room, most + room);
  plot.band(0, low, high, kWideColour);
  plot.band(0, joined(last, forecast.quantiles(0.25)), joined(last, forecast.quantiles(0.75)),
            kNarrowColour);
  plot.scale();
  for (size_t k = 0; k < std::min<size_t>(3, forecast.paths.size()); ++k) {
    plot.curve(0, joined(last, forecast.paths[k]), kPathColour, 1);
  }
  plot.curve(from, past, kPastColour, 3);
  plot.curve(0, joined(last, forecast.quantiles(0.5)), kMedianColour, 3);
  if (!truth.empty()) plot.curve(0, joined(last, truth), kTruthColour, 3);
  plot.write(0, concat("median, 50 % and 90 % of ", forecast.paths.size(), " paths"));
  if (!truth.empty()) plot.write(1, "white: what came");
  return plot.finished();
}

}  // namespace genai
