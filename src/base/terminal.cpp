#include "genai/base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "genai/base/error.h"
#include "genai/base/png.h"

namespace genai {
namespace {

struct Colour {
  int red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

Colour colour_at(const Image& image, int64_t x, int64_t y) {
  const uint8_t* p = &image.pixels[static_cast<size_t>((y * image.width + x) * image.channels)];
  return image.channels == 1 ? Colour{p[0], p[0], p[0]} : Colour{p[0], p[1], p[2]};
}

int luma(const Colour& c) {
  return (299 * c.red + 587 * c.green + 114 * c.blue + 500) / 1000;
}

std::string parameters(const Colour& c) {
  return concat("2;", c.red, ";", c.green, ";", c.blue);
}

std::string colour_line(const Image& image, int64_t y) {
  const bool has_lower = y + 1 < image.height;
  std::string line, last;
  for (int64_t x = 0; x < image.width; ++x) {
    const std::string colours =
        "\x1b[38;" + parameters(colour_at(image, x, y)) +
        (has_lower ? ";48;" + parameters(colour_at(image, x, y + 1)) : ";49") + "m";
    if (colours != last) line += last = colours;
    line += "▀";
  }
  return line + "\x1b[0m\n";
}

std::string plain_line(const Image& image, int64_t y) {
  constexpr std::string_view kRamp = " .:-=+*#%@";
  std::string line;
  for (int64_t x = 0; x < image.width; ++x) {
    const int upper = luma(colour_at(image, x, y));
    const int lower = y + 1 < image.height ? luma(colour_at(image, x, y + 1)) : upper;
    line += kRamp[static_cast<size_t>((upper + lower) * 10 / 512)];
  }
  return line + "\n";
}

int size_from_environment(const char* name, int usual) {
  const char* text = std::getenv(name);
  if (!text) return usual;
  char* end = nullptr;
  const long size = std::strtol(text, &end, 10);
  return end != text && *end == '\0' && size >= 1 && size <= 10000 ? static_cast<int>(size) : usual;
}

}  // namespace

bool is_terminal(int fd) {
  return ::isatty(fd) == 1;
}

int terminal_columns(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return size_from_environment("COLUMNS", 80);
}

int terminal_lines(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) return size.ws_row;
  return size_from_environment("LINES", 24);
}

bool colour_allowed(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return is_terminal(fd) && (!no_color || *no_color == '\0') && term && *term != '\0' &&
         std::string_view(term) != "dumb";
}

std::string half_blocks(const Image& image, bool colour) {
  check_image(image, "cannot show");
  std::string text;
  for (int64_t y = 0; y < image.height; y += 2)
    text += colour ? colour_line(image, y) : plain_line(image, y);
  return text;
}

std::string bar(double fraction, int width) {
  constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (width <= 0) return "";
  if (!(fraction > 0)) fraction = 0;  // NaN too
  const auto eighths = static_cast<int64_t>(std::min(fraction, 1.0) * width * 8);
  const int64_t full = eighths / 8, part = eighths % 8;
  std::string text;
  for (int64_t i = 0; i < full; ++i) text += "█";
  text += kEighths[part];
  text.append(static_cast<size_t>(width - full - (part > 0 ? 1 : 0)), ' ');
  return text;
}

}  // namespace genai
