// Pictures that move: APNG keeps every colour and tells how it was made, GIF plays everywhere.
#pragma once
#include "genai/base/png.h"

namespace genai {

struct Frame {
  Image image;
  int64_t milliseconds = 100;  ///< shown for, 20 to 65,535; GIF: to the nearest 10
};

/// Pixels of all frames of a file together that are read, at most, unless it is said otherwise.
inline constexpr int64_t kMostFilmPixels = int64_t{256} << 20;

/// An APNG that plays for ever; programs that know none show its first frame. Equal arguments give
/// equal bytes, as with encode_png. Throws ErrorKind::usage for no frames, frames of different
/// sizes or channel counts, an impossible image, time or text.
std::string encode_apng(const std::vector<Frame>& frames, const std::vector<PngText>& text = {});

/// The frames of an APNG as they are seen one after the other, over white; of a PNG that does not
/// move its image. Throws ErrorKind::data like decode_png; `max_pixels` bounds all frames together.
std::vector<Image> decode_apng(std::string_view bytes, const std::string& name,
                               int64_t max_pixels = kMostFilmPixels);

/// A GIF89a that plays for ever. Frames of up to 256 colours together keep them, as grey ones do.
/// Else each frame has a palette of its own: its colours, or, of more than 256, the means of a
/// median cut; greys stay grey. Equal frames give equal bytes. Throws ErrorKind::usage as
/// encode_apng does, or beyond 65,535 pixels a side.
/// @param comment  what the file tells of itself
std::string encode_gif(const std::vector<Frame>& frames, const std::string& comment = "");

/// The frames of a GIF as they are seen one after the other, over white; grey where all of them
/// are. Throws ErrorKind::data for what is none, a damaged or truncated one, or more than
/// `max_pixels` pixels in all frames together (checked before a frame is decoded).
std::vector<Image> decode_gif(std::string_view bytes, const std::string& name,
                              int64_t max_pixels = kMostFilmPixels);

/// decode_gif or decode_apng, as the first bytes say.
std::vector<Image> decode_frames(std::string_view bytes, const std::string& name,
                                 int64_t max_pixels = kMostFilmPixels);

/// The comments of a GIF, one after the other; empty for what has none or is no GIF.
std::string read_gif_comment(std::string_view gif);

}  // namespace genai
