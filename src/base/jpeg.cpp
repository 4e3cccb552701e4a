#include "genai/base/jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include "genai/base/bytes.h"
#include "genai/base/error.h"

extern "C" {
#include <jerror.h>
#include <jpeglib.h>
}

namespace genai {
namespace {

/// Real files have some ten; each scan walks over the whole picture, even an empty one.
constexpr int kMaxScans = 100;

[[noreturn]] void damaged_jpeg(const std::string& name, const std::string& why) {
  fail(ErrorKind::data, "cannot read JPEG ", name, ": ", why, "; get or make the file again");
}

// libjpeg reports errors by a call that must not return. As with libpng, the functions that call
// it after setjmp hold no object with a destructor and change no variable that is used after the
// jump; their callers own the memory.

struct JpegErrors {
  jpeg_error_mgr manager;  // first: the library knows it by this address
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_jpeg_error(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  (*jpeg->err->format_message)(jpeg, errors->message);
  std::longjmp(errors->escape, 1);
}

/// The library's warnings are about damage, but for three: what stands in JFIF's and Adobe's
/// version fields, and filling bytes before the end, which some cameras write.
void on_jpeg_message(j_common_ptr jpeg, int level) {
  constexpr int kEndOfImage = 0xD9;
  if (level >= 0) return;
  const int code = jpeg->err->msg_code;
  if (code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM) return;
  if (code == JWRN_EXTRANEOUS_DATA && jpeg->err->msg_parm.i[1] == kEndOfImage) return;
  on_jpeg_error(jpeg);
}

void on_jpeg_output(j_common_ptr) {}  // nothing on stderr

[[noreturn]] void refuse_jpeg(j_common_ptr jpeg, const char* why) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  std::snprintf(errors->message, sizeof errors->message, "%s", why);
  std::longjmp(errors->escape, 1);
}

void on_jpeg_progress(j_common_ptr jpeg) {
  if (!jpeg->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMaxScans)
    refuse_jpeg(jpeg, "more than 100 scans");
}

class JpegReader {
 public:
  JpegReader() {
    jpeg.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = on_jpeg_error;
    errors.manager.emit_message = on_jpeg_message;
    errors.manager.output_message = on_jpeg_output;
    progress_.progress_monitor = on_jpeg_progress;
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg); }  // fine where none was created

  bool read_header(const unsigned char* bytes, unsigned long size) {
    if (setjmp(errors.escape)) return false;
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &progress_;
    jpeg_mem_src(&jpeg, bytes, size);
    jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&jpeg, TRUE);
    return true;
  }

  /// Into jpeg.output_components values a pixel.
  bool start(J_COLOR_SPACE colours) {
    if (setjmp(errors.escape)) return false;
    // The library would decode with the tables of the standard's example in the place of missing
    // ones.
    if (!jpeg.progressive_mode && !jpeg.arith_code) {
      for (int i = 0; i < jpeg.comps_in_scan; ++i) {
        const jpeg_component_info& part = *jpeg.cur_comp_info[i];
        const auto missing = [](JHUFF_TBL* const* tables, int table) {
          return table < 0 || table >= NUM_HUFF_TBLS || !tables[table];
        };
        if (missing(jpeg.dc_huff_tbl_ptrs, part.dc_tbl_no) ||
            missing(jpeg.ac_huff_tbl_ptrs, part.ac_tbl_no))
          refuse_jpeg(common(), "a Huffman table that its scan uses is not defined");
      }
    }
    jpeg.out_color_space = colours;
    jpeg_start_decompress(&jpeg);
    return true;
  }

  bool read_pixels(unsigned char* pixels, size_t row_bytes) {
    if (setjmp(errors.escape)) return false;
    while (jpeg.output_scanline < jpeg.output_height) {
      JSAMPROW row = pixels + jpeg.output_scanline * row_bytes;
      jpeg_read_scanlines(&jpeg, &row, 1);
    }
    for (int i = 0; i < jpeg.num_components; ++i) {
      if (!jpeg.comp_info[i].quant_table || (jpeg.coef_bits && jpeg.coef_bits[i][0] < 0))
        refuse_jpeg(common(), "no data of one of its components");
    }
    jpeg_finish_decompress(&jpeg);
    return true;
  }

  jpeg_decompress_struct jpeg{};
  JpegErrors errors{};

 private:
  j_common_ptr common() { return reinterpret_cast<j_common_ptr>(&jpeg); }
  jpeg_progress_mgr progress_{};
};

/// Four values a pixel to three. Adobe's programs store them inverted and say who wrote the file.
std::vector<uint8_t> rgb_of_cmyk(const std::vector<uint8_t>& cmyk, bool inverted) {
  std::vector<uint8_t> rgb;
  rgb.reserve(cmyk.size() / 4 * 3);
  for (size_t i = 0; i < cmyk.size(); i += 4) {
    const auto light = [&](size_t c) { return inverted ? cmyk[i + c] : 255 - cmyk[i + c]; };
    for (size_t c = 0; c < 3; ++c)
      rgb.push_back(static_cast<uint8_t>((light(c) * light(3) + 127) / 255));
  }
  return rgb;
}

}  // namespace

int exif_orientation(std::string_view tiff) {
  const bool little = tiff.starts_with("II");
  if ((!little && !tiff.starts_with("MM")) || read_number(tiff, 2, 2, little) != 42u) return 1;
  const auto directory = read_number(tiff, 4, 4, little);
  if (!directory) return 1;
  const uint32_t entries = read_number(tiff, *directory, 2, little).value_or(0);
  for (uint32_t i = 0; i < entries; ++i) {
    const uint64_t entry = uint64_t{*directory} + 2 + uint64_t{12} * i;  // tag, type, count, value
    const auto tag = read_number(tiff, entry, 2, little);
    if (!tag) break;
    if (tag != 0x0112u || read_number(tiff, entry + 2, 2, little) != 3u) continue;
    const uint32_t value = read_number(tiff, entry + 8, 2, little).value_or(1);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image decode_jpeg(std::string_view bytes, const std::string& name, int64_t max_pixels,
                  int* orientation) {
  JpegReader reader;
  const jpeg_decompress_struct& jpeg = reader.jpeg;
  if (!reader.read_header(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()))
    damaged_jpeg(name, reader.errors.message);
  const int64_t width = jpeg.image_width, height = jpeg.image_height;
  if (width < 1 || height < 1 || width * height > max_pixels)
    damaged_jpeg(name,
                 concat("expected 1 to ", max_pixels, " pixels, found ", width, " x ", height));
  *orientation = 1;
  for (auto* marker = jpeg.marker_list; marker; marker = marker->next) {
    const std::string_view content(reinterpret_cast<const char*>(marker->data),
                                   marker->data_length);
    const std::string_view exif("Exif\0\0", 6);
    if (!content.starts_with(exif)) continue;
    *orientation = exif_orientation(content.substr(exif.size()));
    break;
  }
  const bool grey = jpeg.jpeg_color_space == JCS_GRAYSCALE;
  const bool print = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  if (!reader.start(grey ? JCS_GRAYSCALE : print ? JCS_CMYK : JCS_RGB))
    damaged_jpeg(name, reader.errors.message);
  const int64_t found = grey ? 1 : print ? 4 : 3;
  std::vector<uint8_t> pixels(static_cast<size_t>(width * height * found));
  if (!reader.read_pixels(pixels.data(), static_cast<size_t>(width * found)))
    damaged_jpeg(name, reader.errors.message);
  if (print) pixels = rgb_of_cmyk(pixels, jpeg.saw_Adobe_marker);
  return Image{width, height, grey ? 1 : 3, std::move(pixels)};
}

}  // namespace genai
