// What comes next of a clip: a model that is told the frames before (`past`) makes the next one,
// which then is the last of those before the one after it.
#pragma once
#include "genai/base/animation.h"
#include "genai/generation/generate.h"

namespace genai {

struct Rollout {
  Tensor past;    ///< uint8 [N, P, C, H, W]: what was given, oldest first
  Tensor frames;  ///< uint8 [N, F, C, H, W]: what was made
};

/// `frames` frames after those that request.condition gives, for each of request.count samples.
/// Frame f of sample n has the noise of sample n + f 2^40: the first ones are the samples that
/// generate_items makes.
/// Throws Error{usage} for fewer than one frame, a model that is not told `past`, or one that is
/// told more of each frame than stays the same in a clip (class, caption).
Rollout roll_out(const LoadedModel& loaded, const ImageRequest& request, int64_t frames);

/// What a model is told as `past` of a clip, [1, channels, h, w]: its last frames, fitted to the
/// model's size. Throws Error{usage} where there are too few, Error{data} for frames of different
/// sizes.
Tensor past_of_clip(const ConditionSpec& past, const std::vector<Image>& clip,
                    const std::string& name, const DataInfo& info);

/// A row for each sample: the frames that were given, then those that were made.
Image draw_clip_strip(const Rollout& rollout, int64_t scale);
/// The samples beside each other, frame by frame.
std::vector<Frame> draw_clips(const Rollout& rollout, int64_t scale);
/// Filled in where it is 0. @param strip  of draw_clip_strip, else of draw_clips
int64_t clip_scale(int64_t scale, bool strip, int64_t count, int64_t frames, const DataInfo& info);

/// What makes the same pictures again: the request of their provenance.
Json rollout_json(const LoadedModel& loaded, const ImageRequest& request, int64_t frames,
                  bool strip, int64_t scale);
/// The pictures of a rollout_json's request.
std::vector<Image> draw_rollout_again(const LoadedModel& loaded, const Json& json);

}  // namespace genai
