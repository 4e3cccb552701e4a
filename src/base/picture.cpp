#include "genai/base/picture.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "genai/base/bytes.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/gzip.h"
#include "genai/base/jpeg.h"
#include "genai/base/json.h"
#include "genai/base/png.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 65536
#include <stb/stb_image.h>
#pragma GCC diagnostic pop
#include <webp/decode.h>

namespace genai {
namespace {

constexpr uint64_t kMaxFileBytes = 512 << 20;
constexpr int64_t kMaxImageBytes = 1 << 30;

[[noreturn]] void damaged(const std::string& kind, const std::string& name,
                          const std::string& why) {
  fail(ErrorKind::data, "cannot read ", kind, " ", name, ": ", why, "; get or make the file again");
}

/// stb reads zeros after the end of the file, so the size of the pixels is checked here.
void check_bmp(std::string_view bytes, const std::string& name) {
  const auto header = read_number(bytes, 14, 4, true);
  const bool core = header == 12u;  // the OS/2 header has 16-bit sizes
  const auto width = read_number(bytes, 18, core ? 2 : 4, true);
  const auto height = read_number(bytes, core ? 20 : 22, core ? 2 : 4, true);
  const auto bits = read_number(bytes, core ? 24 : 28, 2, true);
  if (!header || !width || !height || !bits) damaged("BMP", name, "truncated in its header");
  const uint64_t rows =
      core ? *height : static_cast<uint64_t>(std::abs(int64_t{static_cast<int32_t>(*height)}));
  const uint64_t row_bytes = (uint64_t{*width} * *bits + 31) / 32 * 4;  // < 2^46
  const uint64_t start = *read_number(bytes, 10, 4, true);
  if (start < uint64_t{14} + *header || start > bytes.size() ||
      (row_bytes > 0 && rows > (bytes.size() - start) / row_bytes))
    damaged("BMP", name,
            concat("expected ", rows, " rows of ", row_bytes, " bytes from byte ", start,
                   ", found a file of ", bytes.size()));
}

Image new_image(int64_t width, int64_t height, int64_t channels, const char* where) {
  int64_t size = 0;
  if (__builtin_mul_overflow(width, height, &size) ||
      __builtin_mul_overflow(size, channels, &size) || size > kMaxImageBytes)
    fail(ErrorKind::usage, where, ": ", width, " x ", height, " pixels are too many; expected ",
         kMaxImageBytes / channels, " at most");
  return Image{width, height, channels, std::vector<uint8_t>(static_cast<size_t>(size))};
}

/// EXIF orientation: 2 mirrored, 3 upside down, 4 both, 5 to 8 the same with the axes swapped.
Image turn_upright(Image image, int orientation) {
  if (orientation == 1 || image.pixels.empty()) return image;
  const bool swap = orientation >= 5;
  const int64_t w = image.width, h = image.height, channels = image.channels;
  Image out{swap ? h : w, swap ? w : h, channels, std::vector<uint8_t>(image.pixels.size())};
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      int64_t from_x = swap ? y : x, from_y = swap ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        from_x = w - 1 - from_x;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        from_y = h - 1 - from_y;
      const uint8_t* from = &image.pixels[static_cast<size_t>((from_y * w + from_x) * channels)];
      to = std::copy(from, from + channels, to);
    }
  }
  return out;
}

Image decode_bmp(std::string_view bytes, const std::string& name, int64_t max_pixels) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());  // kMaxFileBytes fits
  int width = 0, height = 0, found = 0;
  if (!stbi_info_from_memory(data, size, &width, &height, &found))
    damaged("BMP", name, stbi_failure_reason());
  if (width < 1 || height < 1 || int64_t{width} * height > max_pixels)
    damaged("BMP", name,
            concat("expected 1 to ", max_pixels, " pixels, found ", width, " x ", height));
  const int channels = found == 1 ? 1 : 3;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &width, &height, &found, channels), stbi_image_free);
  if (!pixels) damaged("BMP", name, stbi_failure_reason());
  return Image{
      width, height, channels,
      std::vector<uint8_t>(pixels.get(), pixels.get() + size_t{1} * width * height * channels)};
}

/// libwebp allocates what the header says; max_pixels bounds it.
Picture decode_webp(std::string_view bytes, const std::string& name, int64_t max_pixels,
                    Ground ground) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK)
    damaged("WebP", name, "its header is damaged");
  const int64_t width = features.width, height = features.height;
  if (width < 1 || height < 1 || width * height > max_pixels)
    damaged("WebP", name,
            concat("expected 1 to ", max_pixels, " pixels, found ", width, " x ", height));
  if (features.has_animation) damaged("WebP", name, "it is an animation, expected one picture");
  std::vector<uint8_t> rgba(static_cast<size_t>(width * height * 4));
  if (!WebPDecodeRGBAInto(data, bytes.size(), rgba.data(), rgba.size(),
                          static_cast<int>(width * 4)))
    damaged("WebP", name, "damaged or truncated");
  Picture picture{.image = {width, height, 3, {}},
                  .alpha = {width, height, 1, {}},
                  .lossy = features.format != 2};  // 2: lossless
  const int behind = ground == Ground::white ? 255 : 0;
  bool opaque = true;
  for (size_t i = 0; i < rgba.size(); i += 4) {
    const int alpha = rgba[i + 3];
    for (size_t c = 0; c < 3; ++c)
      picture.image.pixels.push_back(
          static_cast<uint8_t>((rgba[i + c] * alpha + behind * (255 - alpha) + 127) / 255));
    picture.alpha.pixels.push_back(rgba[i + 3]);
    opaque = opaque && alpha == 255;
  }
  if (opaque) picture.alpha = {};
  return picture;
}

bool is_webp(std::string_view bytes) {
  return bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP");
}

/// What EXIF says in a WebP's container (RIFF: fourcc, size, content filled to an even size).
int webp_orientation(std::string_view bytes) {
  for (uint64_t at = 12;;) {
    const auto size = read_number(bytes, at + 4, 4, true);
    if (!size || at + 8 > bytes.size()) return 1;
    if (bytes.substr(at, 4) == "EXIF") {
      std::string_view content = bytes.substr(at + 8, *size);
      const std::string_view exif("Exif\0\0", 6);  // some write JPEG's head too
      if (content.starts_with(exif)) content.remove_prefix(exif.size());
      return exif_orientation(content);
    }
    at += 8 + uint64_t{*size} + *size % 2;
  }
}

/// A text may begin with BM too; of a bitmap the four bytes after its size are 0.
bool is_bmp(std::string_view bytes) {
  return bytes.starts_with("BM") && read_number(bytes, 6, 4, true) == 0u;
}

/// "count" of the request in the "genai" text of our pictures; 0: there is none.
int64_t samples_shown(const Png& png) {
  for (const PngText& text : png.text) {
    if (text.keyword != "genai") continue;
    try {
      const Json made = parse_json(text.text, text.keyword, ErrorKind::data);
      return made.at("request").at("count").get<int64_t>();
    } catch (const std::exception&) {
      // Others may use the word.
    }
  }
  return 0;
}

/// What a file that is no picture for us starts like.
std::string describe(std::string_view bytes) {
  if (bytes.empty()) return "an empty file";
  if (const std::string kind = binary_kind(bytes); !kind.empty()) return kind;
  if (bytes.starts_with("\x89PNG")) return "a damaged PNG signature";
  if (is_gzip(bytes)) return "a gzip file";
  const std::string_view start = bytes.substr(0, 256);
  if (std::all_of(start.begin(), start.end(), [](char c) {
        return static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\r' || c == '\t';
      }))
    return "text";
  std::string hex = "unknown bytes";
  for (const char c : bytes.substr(0, 4)) {
    char digits[4];
    std::snprintf(digits, sizeof digits, " %02x", static_cast<unsigned char>(c));
    hex += digits;
  }
  return hex;
}

/// Of the frame header (SOF) of a JPEG.
std::optional<std::pair<int64_t, int64_t>> jpeg_size(std::string_view bytes) {
  for (size_t at = 2; at + 4 <= bytes.size();) {
    const auto code = static_cast<unsigned char>(bytes[at + 1]);
    if (bytes[at] != '\xFF') return std::nullopt;
    if (code == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (code == 0x01 || (code >= 0xD0 && code <= 0xD7)) {  // nothing follows these
      at += 2;
      continue;
    }
    if (code >= 0xC0 && code <= 0xCF && code != 0xC4 && code != 0xC8 && code != 0xCC) {
      const auto height = read_number(bytes, at + 5, 2, false),
                 width = read_number(bytes, at + 7, 2, false);
      if (!height || !width) return std::nullopt;
      return std::pair<int64_t, int64_t>(*width, *height);
    }
    // A length holds its own two bytes; of less than that libjpeg reads as much.
    at += 2 + std::max(*read_number(bytes, at + 2, 2, false), 2u);
  }
  return std::nullopt;
}

/// The source pixels that one target pixel is made of, with weights of sum 1.
struct Taps {
  int64_t first = 0;
  std::vector<double> weights;
};

/// For each of `target` pixels, over the part [start, start + length) of an axis of `size` pixels.
std::vector<Taps> make_taps(int64_t size, double start, double length, int64_t target) {
  std::vector<Taps> taps(static_cast<size_t>(target));
  const double step = length / static_cast<double>(target);  // source pixels per target pixel
  for (int64_t i = 0; i < target; ++i) {
    Taps& tap = taps[static_cast<size_t>(i)];
    if (step >= 1) {
      const double from = start + static_cast<double>(i) * step, to = from + step;
      tap.first = std::clamp(static_cast<int64_t>(from), int64_t{0}, size - 1);
      for (int64_t j = tap.first; j < size && static_cast<double>(j) < to; ++j) {
        const double overlap =
            std::min(to, static_cast<double>(j + 1)) - std::max(from, static_cast<double>(j));
        tap.weights.push_back(std::max(overlap, 0.0) / step);
      }
    } else {
      const double centre = start + (static_cast<double>(i) + 0.5) * step - 0.5;
      const double at = std::clamp(centre, 0.0, static_cast<double>(size - 1));
      tap.first = static_cast<int64_t>(at);
      const double fraction = at - static_cast<double>(tap.first);
      tap.weights = {1 - fraction};
      if (fraction > 0) tap.weights.push_back(fraction);
    }
  }
  return taps;
}

}  // namespace

Picture decode_picture(std::string_view bytes, const std::string& name, int64_t max_pixels,
                       Ground ground) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) {
    Png png = decode_png(bytes, name, max_pixels, ground);
    return {.image = turn_upright(std::move(png.image), png.orientation),
            .alpha = turn_upright(std::move(png.alpha), png.orientation),
            .highest = png.highest,
            .samples = samples_shown(png)};
  }
  if (bytes.starts_with("\xFF\xD8\xFF")) {
    int orientation = 1;
    Image stored = decode_jpeg(bytes, name, max_pixels, &orientation);
    return {.image = turn_upright(std::move(stored), orientation), .alpha = {}, .lossy = true};
  }
  if (is_webp(bytes)) {
    Picture stored = decode_webp(bytes, name, max_pixels, ground);
    const int orientation = webp_orientation(bytes);
    stored.image = turn_upright(std::move(stored.image), orientation);
    stored.alpha = turn_upright(std::move(stored.alpha), orientation);
    return stored;
  }
  if (is_bmp(bytes)) {
    check_bmp(bytes, name);
    return {.image = decode_bmp(bytes, name, max_pixels), .alpha = {}};
  }
  fail(ErrorKind::data, "cannot read picture ", name, ": expected PNG, JPEG, WebP or BMP, found ",
       describe(bytes), "; convert it to PNG");
}

Picture load_picture(const std::filesystem::path& path, int64_t max_pixels, Ground ground) {
  return decode_picture(read_file(path, kMaxFileBytes), concat(path), max_pixels, ground);
}

Image read_picture(const std::filesystem::path& path, int64_t max_pixels, Ground ground) {
  return load_picture(path, max_pixels, ground).image;
}

std::optional<std::pair<int64_t, int64_t>> picture_size(std::string_view bytes) {
  const auto pair = [&](uint64_t width_at, uint64_t height_at, int size,
                        bool little) -> std::optional<std::pair<int64_t, int64_t>> {
    const auto width = read_number(bytes, width_at, size, little);
    const auto height = read_number(bytes, height_at, size, little);
    if (!width || !height) return std::nullopt;
    return std::pair<int64_t, int64_t>(*width, std::abs(int64_t{static_cast<int32_t>(*height)}));
  };
  if (bytes.starts_with("\x89PNG")) return pair(16, 20, 4, false);
  if (bytes.starts_with("\xFF\xD8\xFF")) return jpeg_size(bytes);
  if (is_bmp(bytes))
    return read_number(bytes, 14, 4, true) == 12u ? pair(18, 20, 2, true) : pair(18, 22, 4, true);
  WebPBitstreamFeatures features;
  if (is_webp(bytes) && WebPGetFeatures(reinterpret_cast<const uint8_t*>(bytes.data()),
                                        bytes.size(), &features) == VP8_STATUS_OK)
    return std::pair<int64_t, int64_t>(features.width, features.height);
  return std::nullopt;
}

std::string binary_kind(std::string_view bytes) {
  using namespace std::string_view_literals;
  struct Magic {
    std::string_view start;
    const char* what;
  };
  static constexpr Magic kMagics[] = {{"\x89PNG\r\n\x1a\n"sv, "a PNG"},
                                      {"\xFF\xD8\xFF"sv, "a JPEG"},
                                      {"GIF87a"sv, "a GIF"},
                                      {"GIF89a"sv, "a GIF"},
                                      {"II*\0"sv, "a TIFF"},
                                      {"MM\0*"sv, "a TIFF"},
                                      {"%PDF-"sv, "a PDF"},
                                      {"PK\3\4"sv, "a ZIP"},
                                      {"PK\5\6"sv, "a ZIP"},
                                      {"\0\0\1\0"sv, "an icon"},
                                      {"7z\xBC\xAF"sv, "a 7z"},
                                      {"Rar!\x1a"sv, "a RAR"}};
  for (const Magic& magic : kMagics)
    if (bytes.starts_with(magic.start)) return magic.what;
  if (is_webp(bytes)) return "a WebP";
  if (is_bmp(bytes)) return "a BMP";
  if (bytes.substr(0, 8).ends_with("ftyp")) return "an MP4, HEIC or AVIF";
  return "";
}

std::string read_start(const std::filesystem::path& path, size_t most) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(most, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(most));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

std::string kept_by_fit(const Image& image, int64_t width, int64_t height) {
  const int64_t kept_w = std::min(image.width, (image.height * width + height / 2) / height),
                kept_h = std::min(image.height, (image.width * height + width / 2) / width);
  if (image.width - kept_w <= 1 && image.height - kept_h <= 1) return "";
  return concat("the middle ", kept_w, "x", kept_h, " of ", image.width, "x", image.height);
}

Image resize_to_fit(const Image& image, int64_t width, int64_t height) {
  check_image(image, "cannot resize");
  constexpr int64_t kMaxSide = 65536;
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide)
    fail(ErrorKind::usage, "cannot resize: expected 1 to ", kMaxSide, " pixels a side, found ",
         width, " x ", height);
  if (image.width == width && image.height == height) return image;
  Image out = new_image(width, height, image.channels, "cannot resize");

  const auto w = static_cast<double>(image.width), h = static_cast<double>(image.height);
  const auto target_w = static_cast<double>(width), target_h = static_cast<double>(height);
  const double part_w = std::min(w, h * target_w / target_h);
  const double part_h = std::min(h, w * target_h / target_w);
  const auto columns = make_taps(image.width, (w - part_w) / 2, part_w, width);
  const auto rows = make_taps(image.height, (h - part_h) / 2, part_h, height);

  const auto channels = static_cast<size_t>(image.channels);
  const size_t row_size = static_cast<size_t>(width) * channels;
  std::vector<double> row(row_size), sum(row_size);  // [width, channels]
  int64_t row_at = -1;  // which source row `row` holds; two target rows may share one
  const auto load_row = [&](int64_t y) {
    if (row_at == y) return;
    row_at = y;
    const uint8_t* source = image.pixels.data() + y * image.width * image.channels;
    for (size_t x = 0; x < columns.size(); ++x) {
      for (size_t c = 0; c < channels; ++c) {
        double value = 0;
        const uint8_t* from = source + static_cast<size_t>(columns[x].first) * channels + c;
        for (const double weight : columns[x].weights) {
          value += weight * *from;
          from += channels;
        }
        row[x * channels + c] = value;
      }
    }
  };
  for (int64_t y = 0; y < height; ++y) {
    const Taps& tap = rows[static_cast<size_t>(y)];
    std::fill(sum.begin(), sum.end(), 0.0);
    for (size_t j = 0; j < tap.weights.size(); ++j) {
      load_row(tap.first + static_cast<int64_t>(j));
      for (size_t i = 0; i < row_size; ++i) sum[i] += tap.weights[j] * row[i];
    }
    uint8_t* to = out.pixels.data() + static_cast<size_t>(y) * row_size;
    for (size_t i = 0; i < row_size; ++i)
      to[i] = static_cast<uint8_t>(std::clamp(std::floor(sum[i] + 0.5), 0.0, 255.0));
  }
  return out;
}

Image to_grey(const Image& image) {
  check_image(image, "cannot convert to grey");
  if (image.channels == 1) return image;
  Image out = new_image(image.width, image.height, 1, "cannot convert to grey");
  const uint8_t* from = image.pixels.data();
  for (uint8_t& value : out.pixels) {
    value = static_cast<uint8_t>((299 * from[0] + 587 * from[1] + 114 * from[2] + 500) / 1000);
    from += 3;
  }
  return out;
}

Image to_rgb(const Image& image) {
  check_image(image, "cannot convert to RGB");
  if (image.channels == 3) return image;
  Image out = new_image(image.width, image.height, 3, "cannot convert to RGB");
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = image.pixels[i / 3];
  return out;
}

Image scale_up(const Image& image, int64_t factor) {
  check_image(image, "cannot scale");
  if (factor < 1 || factor > 65536)
    fail(ErrorKind::usage, "cannot scale: expected a factor of 1 to 65536, found ", factor);
  Image out =
      new_image(image.width * factor, image.height * factor, image.channels, "cannot scale");
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < out.height; ++y) {
    const uint8_t* row = image.pixels.data() + y / factor * image.width * image.channels;
    for (int64_t x = 0; x < out.width; ++x) {
      const uint8_t* from = row + x / factor * image.channels;
      to = std::copy(from, from + image.channels, to);
    }
  }
  return out;
}

Image grid(const std::vector<Image>& images, int64_t rows, int64_t columns, int64_t padding) {
  constexpr int64_t kMaxCells = 1 << 20;
  if (rows < 1 || columns < 1 || padding < 0 || rows > kMaxCells || columns > kMaxCells ||
      padding > kMaxCells)
    fail(ErrorKind::usage, "cannot make a grid of ", rows, " x ", columns, " with padding ",
         padding, ": expected 1 to ", kMaxCells, " rows and columns");
  const auto count = static_cast<int64_t>(images.size());
  if (count < 1 || count > rows * columns)
    fail(ErrorKind::usage, "cannot make a grid of ", rows, " x ", columns, ": expected 1 to ",
         rows * columns, " images, found ", count);
  const Image& first = images[0];
  for (const Image& image : images) {
    check_image(image, "cannot make a grid");
    if (image.width != first.width || image.height != first.height ||
        image.channels != first.channels)
      fail(ErrorKind::usage, "cannot make a grid: expected images of one size, ", first.width,
           " x ", first.height, " x ", first.channels, ", found ", image.width, " x ", image.height,
           " x ", image.channels);
  }
  const int64_t step_x = first.width + padding, step_y = first.height + padding;
  Image out = new_image(columns * step_x + padding, rows * step_y + padding, first.channels,
                        "cannot make a grid");
  const int64_t row_bytes = first.width * first.channels;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t left = padding + i % columns * step_x, top = padding + i / columns * step_y;
    const uint8_t* from = images[static_cast<size_t>(i)].pixels.data();
    for (int64_t y = 0; y < first.height; ++y)
      std::copy_n(from + y * row_bytes, row_bytes,
                  out.pixels.data() + ((top + y) * out.width + left) * first.channels);
  }
  return out;
}

}  // namespace genai
