// Pictures and texts as compress takes them and decompress gives them back.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <filesystem>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/gzip.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"
#include "genai/compression/latent_coder.h"
#include "genai/compression/text_coder.h"
#include "genai/data/batcher.h"
#include "genai/data/idx.h"
#include "genai/data/images.h"
#include "genai/data/picture_files.h"
#include "genai/data/text_file.h"
#include "genai/data/unicode.h"
#include "items-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostFile = uint64_t{1} << 30;
constexpr int64_t kMostPixels = int64_t{1} << 30;  // of all pictures together

CodingProgress coding(const JobContext& context, const std::string& stage) {
  return [told = context.progress(), stage](double done) { told(stage, done); };
}

std::string bytes_of(const Tensor& pixels) {
  const Tensor all = pixels.contiguous();
  return {reinterpret_cast<const char*>(all.const_data_ptr<uint8_t>()),
          static_cast<size_t>(all.numel())};
}

// ---- Pictures

std::string shape_text(int64_t width, int64_t height, int64_t channels) {
  return concat(width, "x", height, channels == 1 ? " grey" : " colour");
}

/// The user's pictures, in the order in which they were named.
class PictureReader {
 public:
  explicit PictureReader(const CompressWork& work)
      : info_(work.loaded.manifest.data), context_(work.context) {}

  void add(const std::string& file) {
    std::error_code error;
    if (fs::is_directory(file, error) || binary_kind(read_start(file, 16)) == "a ZIP") {
      return add_all(*open_picture_files(file));
    }
    std::string bytes = read_file(file, kMostFile);
    std::string name = fs::path(file).filename().string();
    if (is_gzip(bytes)) {
      bytes = gunzip(bytes, kMostFile, file);
      if (name.ends_with(".gz")) name.resize(name.size() - 3);
    }
    binary_kind(bytes).empty() ? add_idx(bytes, name, file) : add_picture(bytes, name, file);
  }

  std::vector<ArchiveItem> items;

  /// uint8 [N, C, H, W]
  Tensor images() const {
    if (parts_.empty()) fail(ErrorKind::data, "compress: there is no picture in what was named");
    return at::cat(parts_);
  }

 private:
  void add_all(const PictureFiles& files) {
    for (const std::string& path : files.pictures) {
      context_.check_wanted();
      add_picture(files.read(path), fs::path(path).filename().string(), files.where(path));
    }
  }

  void add_idx(const std::string& bytes, const std::string& name, const std::string& file) {
    const LabelledImages images = read_idx_images(bytes, file);
    check_shape(images.width, images.height, 1, file);
    add_tensor(to_tensor(images), file);
    items.push_back({.kind = ArchiveItem::Kind::idx, .name = name, .size = images.count});
  }

  void add_picture(const std::string& bytes, const std::string& name, const std::string& file) {
    const Picture picture = decode_picture(bytes, file);
    if (!picture.alpha.pixels.empty() || picture.highest >= 0) {
      fail(ErrorKind::data, file, ": has ",
           picture.highest >= 0 ? "16 bits a colour" : "transparent parts",
           ", which would be lost; expected an opaque picture of 8 bits a colour");
    }
    Image image = picture.image;
    // Grey that is stored as colour stays what it is.
    if (info_.channels == 1 && image.channels == 3 && to_rgb(to_grey(image)) == image)
      image = to_grey(image);
    if (info_.channels == 3) image = to_rgb(image);
    check_shape(image.width, image.height, image.channels, file);
    add_tensor(from_images({image}, info_.channels), file);
    items.push_back({.kind = ArchiveItem::Kind::picture,
                     .name = fs::path(name).replace_extension(".png").string(),
                     .size = 1});
  }

  void check_shape(int64_t width, int64_t height, int64_t channels, const std::string& file) const {
    if (width == info_.width && height == info_.height && channels == info_.channels) return;
    fail(ErrorKind::data, file, ": expected ",
         shape_text(info_.width, info_.height, info_.channels), " as the model makes them, found ",
         shape_text(width, height, channels));
  }

  void add_tensor(const Tensor& images, const std::string& file) {
    pixels_ += images.numel();
    if (pixels_ > kMostPixels)
      fail(ErrorKind::usage, file, ": expected at most ", kMostPixels, " pixels in all");
    parts_.push_back(images);
  }

  const DataInfo& info_;
  JobContext& context_;
  std::vector<Tensor> parts_;
  int64_t pixels_ = 0;
};

/// Pictures as the run's test images are (data/batcher.h): binarized where these are.
Tensor binarized(const Tensor& images, const DataInfo& info, JobContext& context) {
  if (info.binarize == Binarize::none) return images;
  const Split split{.grids = images};
  const Tensor bits = items_batch(split, info, 0, images.size(0), at::kCPU).input;
  const Tensor kept = bits.mul(255).to(at::kByte);
  const auto changed = kept.ne(images).flatten(1).any(1).sum().item<int64_t>();
  if (changed > 0) {
    context.events.noted(concat("note: the model is of binary pixels: ", changed, " of ",
                                images.size(0), " images are binarized (",
                                binarize_protocol(info.binarize),
                                "), and what comes back are pixels of 0 and 255"));
  }
  return kept;
}

/// Eight binary pixels a byte, the first in the highest bit; bytes where pixels are grey.
std::string packed_pixels(const Tensor& images, const DataInfo& info) {
  const std::string bytes = bytes_of(images);
  if (info.binarize == Binarize::none) return bytes;
  std::string packed((bytes.size() + 7) / 8, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != 0) packed[i / 8] = static_cast<char>(packed[i / 8] | 0x80 >> i % 8);
  }
  return packed;
}

/// All pictures below each other as one PNG.
uint64_t png_bytes(const Tensor& images) {
  Image column{.width = images.size(3),
               .height = images.size(0) * images.size(2),
               .channels = images.size(1),
               .pixels = {}};
  const std::string bytes = bytes_of(images.permute({0, 2, 3, 1}));
  column.pixels.assign(bytes.begin(), bytes.end());
  return encode_png(column).size();
}

// ---- Texts

/// The bytes of each file.
std::vector<std::string> read_texts(const CompressWork& work, std::vector<ArchiveItem>& items) {
  std::vector<std::string> texts;
  int64_t all = 0;
  for (const std::string& file : work.files) {
    texts.push_back(read_file(file, kMostText));
    const auto size = static_cast<int64_t>(texts.back().size());
    all += size;
    if (all > kMostText)
      fail(ErrorKind::usage, "compress: expected at most ", kMostText, " bytes of text in all");
    items.push_back({.kind = ArchiveItem::Kind::text,
                     .name = fs::path(file).filename().string(),
                     .size = size});
  }
  return texts;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text;
  return all;
}

}  // namespace

Compressed compress_pictures(const CompressWork& work) {
  const DataInfo& info = work.loaded.manifest.data;
  check_codable(work.loaded);
  PictureReader reader(work);
  for (const std::string& file : work.files) reader.add(file);
  check_items(reader.items);
  const Tensor images = binarized(reader.images(), info, work.context);
  Json stats = {{"items", images.size(0)},
                {"items_name", "images"},
                {"units", images.numel()},
                {"unit", "dim"}};
  if (work.stats) {
    stats["bound_bits"] = elbo_bits(work.loaded, images, coding(work.context, "bound"));
    stats["png_bytes"] = png_bytes(images);
  }
  LatentCoder coder(work.loaded);
  AnsStack stack;
  coder.encode(images, stack, coding(work.context, "compressing"));
  return {.items = reader.items,
          .code = stack.to_bytes(),
          .content = bytes_of(images),
          .packed = work.stats ? packed_pixels(images, info) : "",
          .stats = stats};
}

Decompressed decompress_pictures(LoadedModel& loaded, const Archive& archive, JobContext& context) {
  const DataInfo& info = loaded.manifest.data;
  int64_t count = 0;
  for (const ArchiveItem& item : archive.items) {
    if (item.kind == ArchiveItem::Kind::text)
      fail(ErrorKind::data, "expected pictures, found a text");
    count += item.size;
  }
  if (count > kMostPixels / info.pixels())
    fail(ErrorKind::data, "expected at most ", kMostPixels, " pixels, found ", count, " images");
  LatentCoder coder(loaded);
  AnsStack stack = AnsStack::from_bytes(archive.code);
  const Tensor images = coder.decode(count, stack, coding(context, "decompressing"));
  Decompressed result{.content = bytes_of(images), .files = {}};
  if (!stack.only_borrowed()) fail(ErrorKind::data, "something is left of the code");
  int64_t first = 0;
  for (const ArchiveItem& item : archive.items) {
    const Tensor part = images.narrow(0, first, item.size);
    first += item.size;
    if (item.kind == ArchiveItem::Kind::picture) {
      result.files.push_back(encode_png(to_images(part)[0]));
    } else {
      const std::string bytes = bytes_of(part);
      result.files.push_back(write_idx_images({.count = item.size,
                                               .channels = info.channels,
                                               .height = info.height,
                                               .width = info.width,
                                               .pixels = {bytes.begin(), bytes.end()},
                                               .labels = {}}));
    }
  }
  return result;
}

Compressed compress_texts(const CompressWork& work) {
  Compressed result;
  const auto texts = read_texts(work, result.items);
  check_items(result.items);
  TextCoder coder(work.loaded, at::get_num_threads());
  AnsStack stack;
  const auto coded = coder.encode(texts, stack, coding(work.context, "compressing"));
  for (size_t i = 0; i < texts.size(); ++i) result.items[i].symbols = coded.symbols[i];
  result.code = stack.to_bytes();
  result.content = joined(texts);
  const int64_t characters = count_characters(result.content);
  result.stats = {{"items", characters},
                  {"items_name", "characters"},
                  {"units", characters},
                  {"unit", "character"}};
  if (work.stats) {
    result.stats["bound_bits"] = coded.bits;
    result.packed = result.content;
  }
  return result;
}

Decompressed decompress_texts(LoadedModel& loaded, const Archive& archive, JobContext& context) {
  std::vector<TextCoder::Size> sizes;
  for (const ArchiveItem& item : archive.items) {
    if (item.kind != ArchiveItem::Kind::text)
      fail(ErrorKind::data, "expected texts, found pictures");
    sizes.push_back({.bytes = item.size, .symbols = item.symbols});
  }
  TextCoder coder(loaded, at::get_num_threads());
  AnsStack stack = AnsStack::from_bytes(archive.code);
  Decompressed result;
  result.files = coder.decode(sizes, stack, coding(context, "decompressing"));
  if (!stack.only_borrowed()) fail(ErrorKind::data, "something is left of the code");
  result.content = joined(result.files);
  return result;
}

}  // namespace genai
