// What diffusion does, to look at: the way from noise to samples, and from a picture to noise.
#pragma once
#include <functional>

#include "genai/generation/told_pictures.h"

namespace genai {

/// Which half of a frame is drawn.
enum class PathView {
  noisy,  ///< the mixture of image and noise
  clean,  ///< the image that the model predicts behind it
  both,
};
extern const EnumNames<PathView> kPathViewNames;

/// The samples and how many frames of their way; or, with pictures, the way of these to noise.
struct PathRequest {
  /// Of a forward path: the number of the first picture's noise, how many pictures there are, the
  /// class that the model is told (-1: the pictures' labels), options that choose the levels.
  ImageRequest images;
  Split pictures;      ///< what comes with them is told where it is there; none: samples
  int64_t test = -1;   ///< the pictures are the run's test images from this one on; -1: the user's
  int64_t frames = 0;  ///< at most so many, evenly chosen, both ends among them; 0: all
};

/// Test images `test` to `test + count - 1` of those that the run keeps, with what comes with them.
/// Throws Error{usage} where there are not as many.
void take_test_pictures(const LoadedModel& loaded, PathRequest& request);

/// Images on their way, at one level of noise.
struct PathFrame {
  NoiseLevel level;
  Tensor noisy;  ///< uint8 [N, C, H, W]: x / sqrt(alpha^2 + sigma^2)
  Tensor clean;  ///< uint8 [N, C, H, W]: the prediction of x0
};

/// sigma / (alpha + sigma), 0 to 1.
double noise_share(const NoiseLevel& level);

/// Told each frame as it is reached, of a first part of the images (a chunk). Cannot change it.
using FrameWatch = std::function<void(const PathFrame&)>;

/// The way of samples from noise (their last frame is what generate_items gives, bit for bit);
/// or that of pictures to noise, with one draw of noise for each.
/// Throws Error{usage} when the model is no Denoiser, the request does not fit it, or for fewer
/// than two frames.
std::vector<PathFrame> find_path(const LoadedModel& loaded, const PathRequest& request,
                                 const FrameWatch& watch = {});

/// How a path is drawn.
struct PathLayout {
  PathView view = PathView::both;
  bool strip = true;  ///< one picture with a column for each frame; else a picture a frame
  int64_t scale = 0;  ///< whole-pixel enlargement; 0: so that small pictures are seen
};

/// The scale filled in for so many images of this size and frames.
PathLayout resolve_layout(PathLayout layout, int64_t count, int64_t frames, const DataInfo& info);

/// The grids that samples on a path are told; those of pictures are derived from what is seen.
ToldPictures told_on_path(const LoadedModel& loaded, const PathRequest& request);

/// One picture, or one for each frame; `told` before what is made of it. The layout is resolved.
std::vector<Image> draw_path(const std::vector<PathFrame>& path, const PathLayout& layout,
                             const ToldPictures& told = {});

/// What makes the same pictures again: the request of their provenance.
/// @param frame  of the picture, when it is one of draw_path's alone
Json path_json(const LoadedModel& loaded, const PathRequest& request, const PathLayout& layout,
               int64_t frame = -1);

/// Of such a request, of version 0.1 too. Throws Json::exception.
int64_t frames_of(const Json& request);

/// The pictures of a path_json's request. Throws Json::exception and Error{usage} for others.
/// (The user's pictures are not in it; those paths cannot be made again.)
std::vector<Image> draw_path_again(const LoadedModel& loaded, const Json& request);

}  // namespace genai
