#include "genai/base/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace genai {
namespace {

/// In characters: bytes that continue one are not counted.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string number_text(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  if (std::abs(value) >= std::pow(10, digits) && std::abs(value) < 1e9) {
    std::snprintf(text, sizeof text, "%.0f", value);
  }
  return text;
}

std::string count_text(int64_t count) {
  std::string text = std::to_string(count);
  const size_t first = text[0] == '-' ? 1 : 0;
  for (size_t at = text.size(); at > first + 3;) text.insert(at -= 3, ",");
  return text;
}

std::pair<std::string, std::string> measured_text(double value, double error) {
  if (!(error > 0) || !std::isfinite(error)) return {number_text(value, 5), ""};
  if (error < 1e-8 || std::abs(value) >= 1e9) return {number_text(value, 6), number_text(error, 2)};
  const int decimals = std::max(0, 1 - static_cast<int>(std::floor(std::log10(error))));
  char texts[2][64];
  std::snprintf(texts[0], sizeof texts[0], "%.*f", decimals, value);
  std::snprintf(texts[1], sizeof texts[1], "%.*f", decimals, error);
  return {texts[0], texts[1]};
}

std::string duration_text(double seconds) {
  char text[64];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%d min %02d s", static_cast<int>(seconds) / 60,
                  static_cast<int>(seconds) % 60);
  } else {
    std::snprintf(text, sizeof text, "%d h %02d min", static_cast<int>(seconds) / 3600,
                  static_cast<int>(seconds) / 60 % 60);
  }
  return text;
}

std::string inert(std::string_view text, bool keep_lines) {
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool kept = keep_lines && (byte == '\n' || byte == '\t');
    // U+0080 to U+009F are controls too: \xC2 and one of these.
    const bool second = i > 0 && text[i - 1] == '\xC2' && byte >= 0x80 && byte < 0xA0;
    if ((byte < 0x20 && !kept) || byte == 0x7F || second) {
      char code[8];
      std::snprintf(code, sizeof code, "\\x%02X", byte);
      shown += code;
    } else {
      shown += text[i];
    }
  }
  return shown;
}

std::string padded(const std::string& text, size_t width) {
  const size_t used = width_of(text);
  return text + std::string(used < width ? width - used : 0, ' ');
}

std::string table(std::vector<std::vector<std::string>> rows) {
  for (auto& row : rows) {
    for (std::string& cell : row) cell = inert(cell);
  }
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    if (row.size() == 1) continue;
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i + 1 == row.size() ? row[i] : padded(row[i], widths[i] + 2);
    }
    text += line + "\n";
  }
  return text;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "" : i + 1 < words.size() ? ", " : " and ") + words[i];
  }
  return text;
}

}  // namespace genai
