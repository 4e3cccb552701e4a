// Writes the inputs that fuzzing begins with: make_seeds FOLDER, with a folder below it for each
// target.
#include <webp/encode.h>

#include <filesystem>
#include <fstream>

#include "fuzz.h"
#include "genai/base/animation.h"
#include "genai/base/json.h"
#include "genai/base/png.h"
#include "png_repair.h"
#include "zip_repair.h"

extern "C" {
#include <jpeglib.h>
}

namespace genai {
namespace {

namespace fs = std::filesystem;

using namespace std::string_literals;

void write(const fs::path& folder, const std::string& name, const std::string& bytes) {
  fs::create_directories(folder);
  std::ofstream file(folder / name, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  promise(!file.fail(), "a seed can be written");
}

Image sample(int64_t width, int64_t height, int64_t channels) {
  Image image{width, height, channels, {}};
  for (int64_t i = 0; i < width * height * channels; ++i)
    image.pixels.push_back(static_cast<uint8_t>(i * 37 % 251));
  return image;
}

std::string little_endian(uint32_t value, int size = 4) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// ---- pictures ----

std::string jpeg_file(const Image& image, bool progressive, bool exif) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* made = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &made, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = static_cast<int>(image.channels);
  jpeg.in_color_space = image.channels == 4   ? JCS_CMYK
                        : image.channels == 3 ? JCS_RGB
                                              : JCS_GRAYSCALE;
  jpeg_set_defaults(&jpeg);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  const std::string turned = "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"s;
  if (exif)
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(turned.data()),
                      static_cast<unsigned>(turned.size()));
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<uint8_t*>(image.pixels.data()) +
                jpeg.next_scanline * static_cast<size_t>(image.width * image.channels);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  const std::string bytes(reinterpret_cast<char*>(made), size);
  jpeg_destroy_compress(&jpeg);
  std::free(made);
  return bytes;
}

std::string webp_file(const Image& image, bool lossless) {
  uint8_t* made = nullptr;
  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  const size_t size =
      lossless ? WebPEncodeLosslessRGBA(image.pixels.data(), width, height, width * 4, &made)
               : WebPEncodeRGBA(image.pixels.data(), width, height, width * 4, 50, &made);
  const std::string bytes(reinterpret_cast<char*>(made), size);
  WebPFree(made);
  return bytes;
}

/// @param packing  of the format: 0 none, 1 and 2 runs of 8 and 4 bits, 3 masks
std::string bmp_file(int bits, uint32_t packing, const std::string& palette,
                     const std::string& pixels) {
  const auto start = static_cast<uint32_t>(54 + palette.size());
  return "BM" + little_endian(start + static_cast<uint32_t>(pixels.size())) + little_endian(0) +
         little_endian(start) + little_endian(40) + little_endian(2) + little_endian(2) +
         little_endian(1, 2) + little_endian(static_cast<uint32_t>(bits), 2) +
         little_endian(packing) + little_endian(static_cast<uint32_t>(pixels.size())) +
         little_endian(0) + little_endian(0) +
         little_endian(static_cast<uint32_t>(palette.size() / 4)) + little_endian(0) + palette +
         pixels;
}

void write_pictures(const fs::path& png, const fs::path& picture) {
  const std::vector<PngText> texts{{"Title", "a text", false}, {"genai", "{\"a\":1}", true}};
  write(png, "grey", encode_png(sample(5, 4, 1), texts));
  write(png, "rgb", encode_png(sample(3, 4, 3)));
  write(png, "apng", encode_apng({{sample(3, 2, 1), 50}, {sample(3, 2, 1), 80}}, texts));
  write(png.parent_path() / "gif", "grey",
        encode_gif({{sample(3, 2, 1), 50}, {sample(3, 2, 1), 80}}));
  write(png.parent_path() / "gif", "colours", encode_gif({{sample(5, 4, 3)}}, "a comment"));
  // Pixels as the repair of the target packs them, so that they can be changed.
  const auto open = [&](const std::string& name, int bits, int colour, int interlace,
                        const std::string& raw, const std::string& extra = "") {
    write(png, name,
          kPngSignature + png_header(2, 2, bits, colour, interlace) + extra +
              png_chunk("IDAT", raw) + png_chunk("IEND", ""));
  };
  const std::string row = "\0\x10\x20\x30\x40\x50\x60\x70\x80"s;
  open("open-rgba", 8, 6, 0, row + row);
  open("open-grey-alpha-16", 16, 4, 0, row + row);
  open("open-grey-1", 1, 0, 0, "\0\x80\0\x40"s);
  open("open-palette", 2, 3, 0, "\0\x10\0\xB0"s,
       png_chunk("PLTE", "abcdefghi") + png_chunk("tRNS", "\0\x80"s));
  open("open-interlaced", 8, 0, 1, "\0\x01\0\x02\0\x03\x04"s);
  open("open-turned", 8, 0, 0, "\0\x01\x02\0\x03\x04"s,
       png_chunk("eXIf", "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"s));

  write(picture, "grey.jpg", jpeg_file(sample(9, 5, 1), false, false));
  write(picture, "rgb.jpg", jpeg_file(sample(9, 5, 3), false, true));
  write(picture, "cmyk.jpg", jpeg_file(sample(4, 4, 4), false, false));
  write(picture, "progressive.jpg", jpeg_file(sample(9, 5, 3), true, false));
  write(picture, "lossless.webp", webp_file(sample(5, 4, 4), true));
  write(picture, "lossy.webp", webp_file(sample(5, 4, 4), false));
  const std::string palette("abc\0def\0", 8);
  write(picture, "24.bmp", bmp_file(24, 0, "", "abcdef\0\0ghijkl\0\0"s));
  write(picture, "32.bmp", bmp_file(32, 0, "", "abcdefghijklmnop"));
  write(picture, "16.bmp", bmp_file(16, 0, "", "abcdefgh"));
  write(picture, "8.bmp", bmp_file(8, 0, palette, "\0\1\0\0\1\0\0\0"s));
  write(picture, "4.bmp", bmp_file(4, 0, palette, "\x01\0\0\0\x10\0\0\0"s));
  write(picture, "1.bmp", bmp_file(1, 0, palette, "\x80\0\0\0\x40\0\0\0"s));
  write(picture, "masks.bmp", bmp_file(16, 3, "\0\xF8\0\0\xE0\x07\0\0\x1F\0\0\0"s, "abcdefgh"));
  write(picture, "core.bmp",
        "BM" + little_endian(42) + little_endian(0) + little_endian(26) + little_endian(12) +
            "\2\0\2\0\1\0\x18\0abcdef\0\0ghijkl\0\0"s);
}

// ---- texts ----

/// As `gzip` writes it, of one stored block.
std::string gzip_file(const std::string& content) {
  const uLong crc =
      crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
  const auto size = static_cast<uint32_t>(content.size());
  return "\x1f\x8b\x08\0\0\0\0\0\0\x03\x01"s + little_endian(size, 2) + little_endian(~size, 2) +
         content + little_endian(static_cast<uint32_t>(crc)) + little_endian(size);
}

void write_json(const fs::path& folder) {
  const Json object = Json::parse(R"({"a":[1,-2,3.5e-7,true,null],"b":{"c":"é\n\"\\u0041"}})");
  write(folder, "object", object.dump(2));
  write(folder, "comments", "// one\n{\"a\": /* two */ [[], {}]}");
  write(folder, "sealed", seal_json(object));
  write(folder, "lines", checked_line(object) + "\n" + checked_line({{"b", 2}}) + "\n{\"c\":3}\n");
  write(folder, "large", "[9223372036854775807,-9223372036854775808,1e308,18446744073709551616]");
}

void write_texts(const fs::path& table, const fs::path& text, const fs::path& gzip) {
  write(table, "names", "\0date,value\n2020-01-01,1\n2020-01-02,2.5\n2020-01-03,4\n"s);
  write(table, "months", "\0Jan 2020;1\nFeb 2020;3\nMar 2020;2\n"s);
  write(table, "decimal-commas", "\x03when;value\n1.1.2020;1.234,5\n2.1.2020;\n3.1.2020;7,0\n"s);
  write(table, "quotes", "\x08sep=|\n\"a \"\"b\"\"\"|\"1,234.5\"\nx|NaN\ny|-2e3\nz|3\nu|5\n"s);
  write(table, "clock", "\x08id\ttime\tvalue\na\t08:00 pm\t1\na\t09:00 pm\t+2\n# no\na\t\t3\n"s);
  write(table, "alone", "\x1B 1\n2\n\n4\n8\n16'000\n"s);
  const std::string words = "To be, or not to be: it's 2 \xC3\xA9\xE4\xB8\xAD  \r\n\xFF!\r\n";
  write(text, "utf-8", "\xEF\xBB\xBF" + words);
  write(text, "utf-16",
        "\xFF\xFE"
        "a\0b\0\x3D\xD8\0\xDE\r\0\n\0"s);
  write(text, "utf-16-big", "\xFE\xFF\0a\0b\xD8\x3D\xDE\0"s);
  write(text, "utf-16-no-mark", "a\0b\0c\0d\0\n\0e\0"s);
  write(text, "packed", gzip_file(words));
  write(gzip, "stored", gzip_file(words));
  const std::string packed = deflated(std::string(300, 'a') + words);
  const std::string all = std::string(300, 'a') + words;
  write(gzip, "deflated",
        "\x1f\x8b\x08\x08\0\0\0\0\0\x03name\0"s + packed.substr(2, packed.size() - 6) +
            little_endian(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(all.data()),
                                                      static_cast<uInt>(all.size())))) +
            little_endian(static_cast<uint32_t>(all.size())));
}

void write_tokenizers(const fs::path& json, const fs::path& gpt2) {
  const std::string text = "the end of\0"s;
  write(json, "characters", text + R"({"kind":"characters","vocabulary":" defhnot"})");
  write(json, "bytes", text + R"({"kind":"bytes"})");
  write(json, "words", text + R"({"kind":"words","vocabulary":["the","Ġend"]})");
  write(json, "bpe",
        text + R"({"kind":"bpe","vocabulary":["BYTES","th","the","<e>"],"merges":["t h","th e"],)"
               R"("special":[258],"end":258})");
  write(json, "bpe-2", text + R"({"kind":"bpe","vocabulary":["BYTES","th"],"merges":["t h"]})");
  for (const char* kind : {"differences", "returns"})
    write(json, kind,
          "1\n2\n\0"s + concat(R"({"kind":")", kind,
                               R"(","season":0,"column":"","edges":[0.5],"changes":[0,1.5]})"));
  const std::string vocabulary = R"("BYTES":0,"th":256,"the":257)";
  const auto files = [&](const std::string& name, const std::string& whole,
                         const std::string& vocab, const std::string& merges,
                         const std::string& added, const std::string& config) {
    std::string bytes = "the <e>th\0"s;
    for (const std::string& file : {whole, vocab, merges, added, config}) bytes += file + '\0';
    write(gpt2, name, bytes);
  };
  files("whole",
        R"({"added_tokens":[{"id":258,"content":"<e>"}],"normalizer":null,)"
        R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},)"
        R"("model":{"type":"BPE","vocab":{)" +
            vocabulary + R"(},"merges":["t h",["th","e"]]}})",
        "", "", "", "");
  files("parts", "", "{" + vocabulary + R"(,"<|endoftext|>":258})", "#version: 0.2\nt h\r\nth e\n",
        R"({"<e>":259})", R"({"added_tokens_decoder":{"260":{"content":"<p>"}}})");
}

// ---- tensors ----

void write_tensors(const fs::path& folder) {
  const std::string header =
      R"({"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
      R"("y":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]},)"
      R"("z":{"dtype":"I16","shape":[0,3],"data_offsets":[9,9]}})";
  const std::string data = "abcdefgh\1";
  write(folder, "whole",
        little_endian(static_cast<uint32_t>(header.size())) + little_endian(0) + header + data);
  write(folder, "without-length", header + "\n" + data);
  const std::pair<const char*, int> types[] = {{"F64", 1}, {"F16", 4}, {"BF16", 4}, {"I64", 1},
                                               {"I32", 2}, {"I8", 8},  {"U8", 8}};
  for (const auto& [type, count] : types)
    write(folder, type,
          concat(R"({"x":{"dtype":")", type, R"(","shape":[)", count, R"(],"data_offsets":[0,8]}})",
                 "\nabcdefgh"));
}

/// Headers; tests/fuzz/archive.cpp wraps them.
void write_archives(const fs::path& folder) {
  const std::string begin =
      R"({"weights_sha256":"a","arithmetic":"b","content_sha256":"c","items":[)";
  write(folder, "text", begin + R"({"name":"a.txt","kind":"text","size":9,"symbols":4}]})");
  write(folder, "pictures",
        begin + R"({"name":"a.png","kind":"picture"},{"name":"t","kind":"idx","size":7}]})");
}

void write_idx(const fs::path& folder) {
  const std::string images =
      png_number(2051) + png_number(2) + png_number(2) + png_number(3) + "abcdefghijkl";
  write(folder, "two",
        "\0"s + static_cast<char>(images.size()) + images + png_number(2049) + png_number(2) +
            "\x03\x09");
}

void write_zips(const fs::path& folder) {
  const std::string files = "\0a.png\0abc\0\1b/c.jpg\0aaaaaaaaaaaa\0\0readme\0x\0\0b/\0\0"s;
  write(folder, "files", files);
  write(folder, "zip", zip_of(files));
  write(folder, "deflated", "\2a.png\0\x4b\x4c\x4a\x06"s);
  write(folder, "encrypted", "\4a.png\0abc\0\xC__MACOSX/a.png\0abc"s);
  write(folder, "empty", zip_of(""));
}

// ---- manifests ----

void write_manifests(const fs::path& folder) {
  const auto manifest = [](int format, const std::string& data, const std::string& files) {
    return R"({"format":)" + std::to_string(format) +
           R"(,"genai":"0.1.0","step":4,"steps":8,)"
           R"("preset":"vae","config":{"model":{"family":"vae","latent":2},"data":{"source":"pics",)"
           R"("size":0,"leave_out":["a"]},"training":{"epochs":1.5}},"data":{"source":"pics",)"
           R"("train_count":19,"test_count":5,"fingerprint":"79e6",)" +
           data +
           R"(},"numerics":{"device":"cpu","precision":"float32","layout":"contiguous","threads":1,)"
           R"("cpu":"AVX2","libtorch":"2.13.0"},"objective":"nelbo","validation":{"nelbo":45.5},)"
           R"("best_step":4,"best_value":45.5,"kept_sha256":"4d3f","folder":"../..","files":)"
           R"({"model.safetensors":{"sha256":"ff0b","bytes":5280},)"
           R"("training.safetensors":{"sha256":"fb46","bytes":1})" +
           files + "}}";
  };
  const std::string texts = R"("lines":false,"context":8,"windows":"shuffled","tokenizer":)";
  write(folder, "pictures",
        manifest(1, R"("channels":1,"height":8,"width":8,"classes":["a","b"],"binarize":"dynamic")",
                 ""));
  write(folder, "text", manifest(1, texts + R"({"kind":"bytes"})", ""));
  write(folder, "tokenizer",
        manifest(2, texts + R"("tokenizer.json")",
                 R"(,"tokenizer.json":{"sha256":"TOKENIZER","bytes":1})") +
            "\0"s + R"({"kind":"characters","vocabulary":" defhnot"})");
}

void write_seeds(const fs::path& to) {
  write_json(to / "json");
  write_pictures(to / "png", to / "picture");
  write_texts(to / "table", to / "text", to / "gzip");
  write_tokenizers(to / "tokenizer", to / "gpt2");
  write_tensors(to / "safetensors");
  write_idx(to / "idx");
  write_archives(to / "archive");
  write_zips(to / "zip");
  write_manifests(to / "manifest");
  write(to / "provenance", "png",
        encode_png(sample(2, 2, 1), {{"genai", R"({"genai":"1","request":{"seed":1}})", true}}));
  write(to / "provenance", "text", R"({"genai":"1","numerics":{"device":"cpu"},"request":{}})");
}

}  // namespace
}  // namespace genai

int main(int count, char** arguments) {
  if (count != 2) return 2;
  genai::write_seeds(arguments[1]);
  return 0;
}
