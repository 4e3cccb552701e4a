#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "genai/base/animation.h"
#include "genai/base/error.h"

namespace genai {
namespace {

constexpr uint8_t kGround = 255;  // where nothing is drawn: white, as under transparent pictures

struct CloseGif {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

/// Rows of a frame in the order that a GIF has them.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> rows;
  if (!interlaced) {
    for (int y = 0; y < height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr int kPasses[][2] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
  for (const auto& [first, step] : kPasses) {
    for (int y = first; y < height; y += step) rows.push_back(y);
  }
  return rows;
}

/// Reads the frames one after the other onto a canvas.
class GifReader {
 public:
  GifReader(std::string_view bytes, const std::string& name, int64_t max_pixels)
      : rest_(bytes), name_(name) {
    int error = 0;
    gif_.reset(DGifOpen(&rest_, read, &error));
    if (!gif_) damaged(GifErrorString(error));
    const int64_t area = int64_t{gif_->SWidth} * gif_->SHeight;
    if (area < 1 || area > max_pixels) {
      damaged(concat("expected 1 to ", max_pixels, " pixels a frame, found ", gif_->SWidth, " x ",
                     gif_->SHeight));
    }
    most_frames_ = max_pixels / area;
    canvas_ = {.width = gif_->SWidth, .height = gif_->SHeight, .channels = 3, .pixels = {}};
    canvas_.pixels.assign(static_cast<size_t>(3 * area), kGround);
  }

  std::vector<Image> frames() {
    std::vector<Image> frames;
    for (;;) {
      GifRecordType record = UNDEFINED_RECORD_TYPE;
      check(DGifGetRecordType(gif_.get(), &record));
      if (record == TERMINATE_RECORD_TYPE) break;
      if (record == EXTENSION_RECORD_TYPE) read_extension();
      if (record != IMAGE_DESC_RECORD_TYPE) continue;
      if (static_cast<int64_t>(frames.size()) == most_frames_) {
        damaged(concat("expected at most ", most_frames_, " frames of its size"));
      }
      frames.push_back(next_frame());
    }
    if (frames.empty()) damaged("it has no frames");
    return frames;
  }

 private:
  static int read(GifFileType* gif, GifByteType* into, int count) {
    auto& rest = *static_cast<std::string_view*>(gif->UserData);
    const size_t taken = std::min(rest.size(), static_cast<size_t>(count));
    std::memcpy(into, rest.data(), taken);
    rest.remove_prefix(taken);
    return static_cast<int>(taken);
  }

  [[noreturn]] void damaged(const std::string& why) const {
    fail(ErrorKind::data, "cannot read GIF ", name_, ": ", why, "; get or make the file again");
  }
  void check(int result) const {
    const char* why = result == GIF_OK ? nullptr : GifErrorString(gif_->Error);
    if (result != GIF_OK) damaged(why ? why : "it ends too early");
  }

  /// Of the extensions only what is said of the next frame counts.
  void read_extension() {
    int kind = 0;
    GifByteType* block = nullptr;
    check(DGifGetExtension(gif_.get(), &kind, &block));
    if (kind == GRAPHICS_EXT_FUNC_CODE && block) {
      GraphicsControlBlock control;
      check(DGifExtensionToGCB(block[0], block + 1, &control));
      transparent_ = control.TransparentColor;
      disposal_ = control.DisposalMode;
    }
    while (block) check(DGifGetExtensionNext(gif_.get(), &block));
  }

  Image next_frame() {
    check(DGifGetImageDesc(gif_.get()));
    const GifImageDesc& place = gif_->Image;
    const ColorMapObject* colours = place.ColorMap ? place.ColorMap : gif_->SColorMap;
    if (!colours) damaged("a frame has no colours");
    if (place.Left < 0 || place.Top < 0 || place.Width < 1 || place.Height < 1 ||
        place.Left + place.Width > gif_->SWidth || place.Top + place.Height > gif_->SHeight) {
      damaged("a frame does not lie within the picture");
    }
    const std::vector<uint8_t> before = canvas_.pixels;
    std::vector<GifPixelType> row(static_cast<size_t>(place.Width));
    for (const int y : row_order(place.Height, place.Interlace)) {
      check(DGifGetLine(gif_.get(), row.data(), place.Width));
      uint8_t* pixel = at(place.Left, place.Top + y);
      for (const GifPixelType index : row) {
        if (index >= colours->ColorCount) damaged("a pixel of a colour that there is not");
        const GifColorType& c = colours->Colors[index];
        if (int{index} != transparent_)
          std::memcpy(pixel, std::array{c.Red, c.Green, c.Blue}.data(), 3);
        pixel += 3;
      }
    }
    const Image frame = canvas_;
    if (disposal_ == DISPOSE_PREVIOUS) canvas_.pixels = before;
    if (disposal_ == DISPOSE_BACKGROUND) {
      for (int y = 0; y < place.Height; ++y)
        std::fill_n(at(place.Left, place.Top + y), 3 * place.Width, kGround);
    }
    transparent_ = NO_TRANSPARENT_COLOR;
    disposal_ = DISPOSAL_UNSPECIFIED;
    return frame;
  }

  uint8_t* at(int x, int y) { return canvas_.pixels.data() + 3 * (int64_t{y} * canvas_.width + x); }

  std::string_view rest_;
  std::string name_;
  std::unique_ptr<GifFileType, CloseGif> gif_;
  int64_t most_frames_ = 0;
  Image canvas_;
  int transparent_ = NO_TRANSPARENT_COLOR, disposal_ = DISPOSAL_UNSPECIFIED;
};

bool has_no_colour(const Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2])
      return false;
  }
  return true;
}

Image first_channel(const Image& image) {
  Image grey{.width = image.width, .height = image.height, .channels = 1, .pixels = {}};
  for (size_t i = 0; i < image.pixels.size(); i += 3) grey.pixels.push_back(image.pixels[i]);
  return grey;
}

}  // namespace

std::vector<Image> decode_gif(std::string_view bytes, const std::string& name, int64_t max_pixels) {
  std::vector<Image> frames = GifReader(bytes, name, max_pixels).frames();
  if (std::ranges::all_of(frames, has_no_colour)) {
    for (Image& frame : frames) frame = first_channel(frame);
  }
  return frames;
}

std::string read_gif_comment(std::string_view gif) {
  if (!gif.starts_with("GIF89a")) return "";
  std::string_view rest = gif;
  const auto take = [&](size_t count) {  // nothing where the file ends before
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(std::min(count, rest.size()));
    return taken.size() == count ? taken : std::string_view();
  };
  const auto skip_table = [&](std::string_view flags) {
    if (!flags.empty() && flags[0] & 0x80) take(size_t{3} << ((flags[0] & 7) + 1));
  };
  const auto take_blocks = [&] {
    std::string all;
    for (std::string_view size = take(1); !size.empty() && size[0] != 0; size = take(1)) {
      all += take(static_cast<uint8_t>(size[0]));
    }
    return all;
  };
  take(10);  // signature, width, height
  skip_table(take(1));
  take(2);
  std::string comment;
  for (std::string_view kind = take(1); !kind.empty() && kind[0] != '\x3B'; kind = take(1)) {
    if (kind[0] == '\x21') {
      const std::string_view label = take(1);
      const std::string blocks = take_blocks();
      if (label == "\xFE") comment += blocks;
    } else {
      take(8);  // place and size of a frame
      skip_table(take(1));
      take(1);  // bits of the smallest codes
      take_blocks();
    }
  }
  return comment;
}

std::vector<Image> decode_frames(std::string_view bytes, const std::string& name,
                                 int64_t max_pixels) {
  return bytes.starts_with("GIF8") ? decode_gif(bytes, name, max_pixels)
                                   : decode_apng(bytes, name, max_pixels);
}

}  // namespace genai
