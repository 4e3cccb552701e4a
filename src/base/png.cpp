#include "genai/base/png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "genai/base/error.h"
#include "genai/base/jpeg.h"

namespace genai {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);
constexpr size_t kMaxTexts = 1000, kMaxTextBytes = 16 << 20;

[[noreturn]] void damaged_png(const std::string& name, const std::string& why) {
  fail(ErrorKind::data, "cannot read PNG ", name, ": ", why, "; get or make the file again");
}

uint32_t big_endian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// Adds the chunk's text, unless it is compressed or malformed.
void add_text(std::string_view type, std::string_view data, std::vector<PngText>& texts) {
  const size_t end = data.find('\0');
  if (end == 0 || end == std::string_view::npos || end > 79) return;
  PngText text{std::string(data.substr(0, end)), {}, type == "iTXt"};
  data.remove_prefix(end + 1);
  if (text.international) {  // compression flag and method, language NUL, translated keyword NUL
    if (data.size() < 2 || data[0] != 0) return;
    data.remove_prefix(2);
    for (int skipped = 0; skipped < 2; ++skipped) {
      const size_t nul = data.find('\0');
      if (nul == std::string_view::npos) return;
      data.remove_prefix(nul + 1);
    }
  }
  text.text = data;
  texts.push_back(std::move(text));
}

/// Bytes of all rows with their filter bytes, of a header that may be nonsense otherwise.
uint64_t unpacked_size(std::string_view header, uint64_t width, uint64_t height) {
  const unsigned bits = static_cast<unsigned char>(header[8]);
  const unsigned colour = static_cast<unsigned char>(header[9]);
  const unsigned channels = (colour & 1 ? 1 : colour & 2 ? 3 : 1) + (colour & 4 ? 1 : 0);
  const auto rows = [&](uint64_t w, uint64_t h) {
    return w == 0 ? 0 : h * (1 + (w * bits * channels + 7) / 8);
  };
  if (header[12] == 0) return rows(width, height);
  constexpr unsigned kPasses[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8},  // Adam7:
                                      {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2},  // x, y, dx, dy
                                      {0, 1, 1, 2}};
  uint64_t size = 0;
  for (const auto& [x, y, dx, dy] : kPasses)
    size += rows((width - x + dx - 1) / dx, (height - y + dy - 1) / dy);
  return size;
}

/// Inflates the IDAT chunks for nothing but their end: exactly `size` bytes, the right Adler sum,
/// no data after it. libpng is not sure to read the sum and drops chunks that follow it.
class StreamCheck {
 public:
  explicit StreamCheck(const std::string& name) : name_(name) {
    if (inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
  }
  StreamCheck(const StreamCheck&) = delete;
  StreamCheck& operator=(const StreamCheck&) = delete;
  ~StreamCheck() { inflateEnd(&stream_); }

  void feed(std::string_view data, uint64_t size) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream_.avail_in = static_cast<uInt>(data.size());  // a chunk's length has 32 bits
    do {
      if (ended_ && !data.empty()) damaged_png(name_, "more pixel data than its size says");
      stream_.next_out = reinterpret_cast<Bytef*>(piece_.data());
      stream_.avail_out = static_cast<uInt>(piece_.size());
      const int state = inflate(&stream_, Z_NO_FLUSH);
      if (state == Z_MEM_ERROR) throw std::bad_alloc();
      if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
        damaged_png(name_, concat("damaged pixel data (", stream_.msg ? stream_.msg : "?", ")"));
      ended_ = state == Z_STREAM_END;
      found_ += piece_.size() - stream_.avail_out;
      if (found_ > size) damaged_png(name_, "more pixel data than its size says");
    } while (stream_.avail_in > 0 || stream_.avail_out == 0);
  }
  void finish(uint64_t size) {
    if (!ended_ || found_ != size)
      damaged_png(name_, concat("expected ", size, " bytes of pixel data, found ", found_));
  }

 private:
  const std::string& name_;
  z_stream stream_{};
  std::string piece_ = std::string(64 * 1024, '\0');
  uint64_t found_ = 0;
  bool ended_ = false;
};

/// Walks all chunks, verifies structure, CRCs, size and pixel stream, and takes texts and
/// orientation. libpng alone would accept bytes after IEND, wrong CRCs in chunks that it skips and
/// wrong Adler sums.
void check_structure(std::string_view bytes, const std::string& name, int64_t max_pixels,
                     Png& result) {
  if (bytes.substr(0, 8) != kSignature) damaged_png(name, "expected the PNG signature");
  size_t text_bytes = 0, text_chunks = 0;
  uint64_t size = 0;  // of the pixel data
  StreamCheck stream(name);
  std::string_view last;
  bool has_pixels = false;
  for (size_t at = 8;;) {
    if (bytes.size() - at < 12) damaged_png(name, concat("truncated at byte ", bytes.size()));
    const uint32_t length = big_endian(bytes, at);
    if (length > bytes.size() - at - 12)
      damaged_png(name, concat("the chunk at byte ", at, " says ", length, " bytes, found ",
                               bytes.size() - at - 12));
    const std::string_view type = bytes.substr(at + 4, 4), data = bytes.substr(at + 8, length);
    const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(type.data()), length + size_t{4});
    if (crc != big_endian(bytes, at + 8 + length))
      damaged_png(name, concat("wrong CRC of the chunk at byte ", at));
    if (at == 8) {
      if (type != "IHDR" || length != 13) damaged_png(name, "expected IHDR first");
      const uint64_t width = big_endian(data, 0), height = big_endian(data, 4);
      if (width == 0 || height == 0 || width > PNG_UINT_31_MAX || height > PNG_UINT_31_MAX ||
          width * height > static_cast<uint64_t>(std::max<int64_t>(max_pixels, 0)))
        damaged_png(name,
                    concat("expected 1 to ", max_pixels, " pixels, found ", width, " x ", height));
      size = unpacked_size(data, width, height);
    } else if (type == "IDAT") {
      if (has_pixels && last != type) damaged_png(name, "its IDAT chunks are not in a row");
      has_pixels = true;
      stream.feed(data, size);
    } else if (type == "tEXt" || type == "iTXt") {
      text_bytes += length;
      if (++text_chunks > kMaxTexts || text_bytes > kMaxTextBytes)
        damaged_png(name, concat("expected at most ", kMaxTexts, " texts of ", kMaxTextBytes,
                                 " bytes together"));
      add_text(type, data, result.text);
    } else if (type == "eXIf") {
      result.orientation = exif_orientation(data);
    }
    last = type;
    at += size_t{12} + length;
    if (type != "IEND") continue;
    if (length != 0) damaged_png(name, "expected an empty IEND");
    if (at != bytes.size())
      damaged_png(name, concat("expected its end at byte ", at, ", found ", bytes.size() - at,
                               " more bytes"));
    stream.finish(size);
    return;
  }
}

// libpng reports errors by longjmp. The functions that call it after setjmp hold no object with a
// destructor and change no variable that is used after the jump; their callers own the memory.

struct Session {
  std::string_view unread;
  std::string* written = nullptr;
  char message[120] = {};
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* session = static_cast<Session*>(png_get_error_ptr(png));
  std::snprintf(session->message, sizeof session->message, "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep bytes, size_t size) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  if (size > session->unread.size()) png_error(png, "truncated");
  std::memcpy(bytes, session->unread.data(), size);
  session->unread.remove_prefix(size);
}

void on_write(png_structp png, png_bytep bytes, size_t size) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  bool ok = true;
  try {
    session->written->append(reinterpret_cast<const char*>(bytes), size);
  } catch (...) {
    ok = false;
  }
  if (!ok) png_error(png, "out of memory");
}

void on_flush(png_structp) {}

struct Reader {
  explicit Reader(Session* session)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, session, on_error, on_warning)),
        info(png ? png_create_info_struct(png) : nullptr) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  png_structp png;
  png_infop info;
};

struct Writer {
  explicit Writer(Session* session)
      : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, session, on_error, on_warning)),
        info(png ? png_create_info_struct(png) : nullptr) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }
  png_structp png;
  png_infop info;
};

bool read_header(png_structp png, png_infop info, Session* session) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_read_fn(png, session, on_read);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // checked by pixels already
  // Everything but IHDR, PLTE, tRNS, IDAT, IEND is skipped, so nothing there can be inflated.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, info);
  png_set_expand(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool read_pixels(png_structp png, png_infop info, png_bytep pixels) {
  if (setjmp(png_jmpbuf(png))) return false;
  const int passes = png_get_interlace_type(png, info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
  for (int pass = 0; pass < passes; ++pass)
    for (size_t y = 0; y < png_get_image_height(png, info); ++y)
      png_read_row(png, pixels + y * png_get_rowbytes(png, info), nullptr);
  png_read_end(png, nullptr);
  return true;
}

bool write_all(png_structp png, png_infop info, Session* session, const Image& image,
               const png_text* texts, int text_count) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, session, on_write, on_flush);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_compression_level(png, 6);
  // Digits on black shrink best unfiltered, colours by Paeth.
  png_set_filter(png, PNG_FILTER_TYPE_BASE,
                 image.channels == 1 ? PNG_FILTER_NONE : PNG_FILTER_PAETH);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8,
               image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (text_count > 0) png_set_text(png, info, texts, text_count);
  png_write_info(png, info);
  for (int64_t y = 0; y < image.height; ++y)
    png_write_row(png, image.pixels.data() + y * image.width * image.channels);
  png_write_end(png, info);
  return true;
}

void check_text(const PngText& text) {
  const std::string& key = text.keyword;
  const bool printable =
      std::all_of(key.begin(), key.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (key.empty() || key.size() > 79 || !printable || key.front() == ' ' || key.back() == ' ' ||
      key.find("  ") != std::string::npos)
    fail(ErrorKind::usage,
         "cannot write PNG: expected a keyword of 1 to 79 printable ASCII "
         "characters without spaces at the ends or in a row, found \"",
         key, "\"");
  if (text.text.find('\0') != std::string::npos)
    fail(ErrorKind::usage, "cannot write PNG: the text for \"", key, "\" holds a NUL; remove it");
}

}  // namespace

void check_image(const Image& image, const char* where) {
  constexpr int64_t kMaxSide = 0x7FFFFFFF;
  const auto side = [](int64_t n) { return n >= 1 && n <= kMaxSide; };
  if (!side(image.width) || !side(image.height) || (image.channels != 1 && image.channels != 3) ||
      static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height) >
          image.pixels.size() ||
      static_cast<uint64_t>(image.width * image.height * image.channels) != image.pixels.size())
    fail(ErrorKind::usage, where, ": expected a grey or RGB image, found ", image.width, " x ",
         image.height, " x ", image.channels, " with ", image.pixels.size(), " bytes");
}

std::string encode_png(const Image& image, const std::vector<PngText>& text) {
  check_image(image, "cannot write PNG");
  std::vector<png_text> texts;
  for (const PngText& entry : text) {
    check_text(entry);
    png_text chunk{};
    chunk.compression = entry.international ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(entry.keyword.c_str());
    chunk.text = const_cast<char*>(entry.text.c_str());
    (entry.international ? chunk.itxt_length : chunk.text_length) = entry.text.size();
    texts.push_back(chunk);
  }
  std::string bytes;
  Session session;
  session.written = &bytes;
  Writer writer(&session);
  if (!writer.info) throw std::bad_alloc();
  if (!write_all(writer.png, writer.info, &session, image, texts.data(),
                 static_cast<int>(texts.size())))
    fail(ErrorKind::failure, "cannot write PNG: ", session.message);
  return bytes;
}

Png decode_png(std::string_view bytes, const std::string& name, int64_t max_pixels, Ground ground) {
  Png result;
  check_structure(bytes, name, max_pixels, result);

  Session session;
  session.unread = bytes;
  Reader reader(&session);
  if (!reader.info) throw std::bad_alloc();
  if (!read_header(reader.png, reader.info, &session)) damaged_png(name, session.message);
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  const int64_t found = png_get_channels(reader.png, reader.info);  // 1 to 4
  const bool deep = png_get_bit_depth(reader.png, reader.info) == 16;
  std::vector<uint8_t> pixels(
      static_cast<size_t>(width * height * found * (deep ? 2 : 1)));  // [H, W, found]
  if (!read_pixels(reader.png, reader.info, pixels.data())) damaged_png(name, session.message);

  // In place from here on, since fewer bytes are written than were read.
  const int64_t kept = found <= 2 ? 1 : 3;
  if (deep) {
    for (int64_t i = 0; i < width * height * found; ++i) {
      const int64_t value =
          pixels[static_cast<size_t>(2 * i)] << 8 | pixels[static_cast<size_t>(2 * i + 1)];
      if (i % found < kept) result.highest = std::max(result.highest, value);
      pixels[static_cast<size_t>(i)] = static_cast<uint8_t>((value * 255 + 32767) / 65535);
    }
    pixels.resize(static_cast<size_t>(width * height * found));
  }
  if (found != kept) {  // the last channel is alpha
    const int behind = ground == Ground::white ? 255 : 0;
    Image alpha{width, height, 1, {}};
    alpha.pixels.reserve(static_cast<size_t>(width * height));
    uint8_t* to = pixels.data();
    for (const uint8_t* from = to; from != pixels.data() + pixels.size(); from += found) {
      const int opaque = from[kept];
      for (int64_t c = 0; c < kept; ++c)
        *to++ = static_cast<uint8_t>((from[c] * opaque + behind * (255 - opaque) + 127) / 255);
      alpha.pixels.push_back(static_cast<uint8_t>(opaque));
    }
    pixels.resize(static_cast<size_t>(width * height * kept));
    const auto is_opaque = [](uint8_t value) { return value == 255; };
    if (!std::all_of(alpha.pixels.begin(), alpha.pixels.end(), is_opaque))
      result.alpha = std::move(alpha);
  }
  result.image = Image{width, height, kept, std::move(pixels)};
  return result;
}

}  // namespace genai
